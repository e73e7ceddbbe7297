"""`toil doctor`: looks at what runs need before they need it, and says what to do."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import cast

from toil_core.checks import Check
from toil_core.leader.options import EngineOptions
from toil_core.options import Config, OptionParser

_SIGNS = {"ok": "ok     ", "warning": "warning", "error": "ERROR  "}


def configure(parser: OptionParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("locators", metavar="LOCATOR", nargs="*", help="A job store that is to be used, or would be.")
    parser.add_argument(
        "--work-dir", "--workDir", default=os.environ.get("TOIL_WORKDIR"), help="The folder for temporary files of jobs, if it is not the system's."
    )
    parser.add_argument("--json", action="store_true", help="Print JSON instead of text: an object on a line for each check.")


def run(arguments: argparse.Namespace, config: Config) -> int:
    """Print every check as it ends.

    Returns:
        0, or 1 when something would make a run fail.
    """
    config = config.replacing(replace(config[EngineOptions], work_dir=arguments.work_dir))
    failed = False
    for check in checks(arguments.locators, config):
        failed = failed or check.state == "error"
        _print(check, json=arguments.json)
    return int(failed)


def checks(locators: Iterable[str], config: Config) -> Iterator[Check]:
    """Every check: the core's, and those of plugins; a plugin that fails is a check too.

    Args:
        locators: Job stores to look at.
        config: The options.
    """
    from toil_core.plugins import broken, hooks, one_line

    locators = tuple(locators)
    for name, error in broken().items():
        yield Check(f"plugin {name}", "error", f"cannot be used: {error}", "repair or uninstall it; `toil plugins` tells more")
    for implementation in hooks(config).hook.toil_checks.get_hookimpls():
        given = {"locators": locators, "config": config}
        try:
            yield from cast("Iterable[Check]", implementation.function(*(given[name] for name in implementation.argnames)))
        except Exception as error:  # noqa: BLE001 - one plugin's trouble must not hide what others found
            yield Check(f"plugin {implementation.plugin_name}", "error", f"its checks failed: {one_line(error)}", "tell its authors")


def _print(check: Check, *, json: bool) -> None:
    if json:
        from dataclasses import asdict
        from json import dumps

        print(dumps(asdict(check)), flush=True)
        return
    print(f"{_SIGNS[check.state]}  {check.name}: {check.found}", flush=True)
    if check.advice:
        print(f"         -> {check.advice}", flush=True)
