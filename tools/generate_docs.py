"""Write docs/cli.md, docs/options.md and docs/json.md from the program itself: python tools/generate_docs.py

A test compares the files with what this would write.
"""

from __future__ import annotations

import argparse
import inspect
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from toil_core.batch_system import Accelerator, Requirement
from toil_core.builtin import toil_commands, toil_options
from toil_core.checks import Check
from toil_core.cli import configure
from toil_core.cli.clean import Cleaned
from toil_core.cli.config import OptionValue
from toil_core.cluster import told
from toil_core.cluster.listing import NodeStatus, Summary
from toil_core.cluster.offline import Bundle
from toil_core.cluster.runs import Run
from toil_core.cluster.wanted import WantedNode
from toil_core.leader.history import Attempt
from toil_core.monitor import status
from toil_core.monitor.causes import Cause
from toil_core.monitor.debug import JobInfo, Outcome
from toil_core.monitor.kill import Killed
from toil_core.monitor.logs import Log
from toil_core.monitor.stats import KindStats, Share, Spread
from toil_core.option_parser import OptionParser
from toil_core.option_specs import Spec, specs
from toil_core.options import Command
from toil_core.plugins import Installed, Offer
from toil_core.provisioner import Resource
from toil_core.wire.jobs import Failure

DOCS = Path(__file__).parent.parent / "docs"

CLI_HEAD = """\
# Command line

`toil COMMAND --help` shows the same. Exit codes: 0 when all went well, 1 for a failure, 2 when something has to be changed
before it can work (one line says what), 130 after Ctrl-C and 143 after a request to end.
"""

OPTIONS_HEAD = """\
# Options

Each option can be given on the command line, in an environment variable, or in the config file (`--config FILE`, or
`~/.config/toil/config.toml`), in this order of precedence; else it has its default. `toil config FILE` writes a commented config file.

* Flags are also accepted in camelCase: `--default-memory` and `--defaultMemory` are the same. So are *preemptible* and *preemptable*.
* A switch may stand alone, take `true` or `false`, or be negated: `--disable-chaining`, `--disable-chaining false`, `--no-disable-chaining`.
* Sizes are bytes: `1000000`, `500M`, `2G` (powers of 1000), `1.5 GiB`, `1Gi` (powers of 1024).
* Durations are seconds: `90`, `10m`, `2h`, `1h30m`.
* An option that may be repeated takes a list in the config file, and values between commas in the environment.
* A restarted workflow keeps its options, unless the command line says otherwise.
"""


JSON_HEAD = """\
# JSON of commands

What commands print with `--json`, field by field: first those that look at a run, then those for [clusters](clusters.md), then the others. Sizes are in bytes, spans of time in seconds, times in seconds since 1970. A
text is empty, a list is empty, and a number is 0 where there is nothing to tell; `null` stands only where it says so. Later versions may add fields.
`toil run --json` is described in [Running workflows](running.md#start), `toil report --json` in [Report and dashboard](report.md#report).
"""

JSON: dict[str, tuple[str, list[type]]] = {
    "toil status": (
        "One object; its field `next`, beside those below, says what to do next, in a line.",
        [status.Status, status.LeaderStatus, status.KindStatus, status.FailedJob, status.RunningJob, status.DelayedJob],
    ),
    "toil why": ("A list; each step leads to the next.", [Cause]),
    "toil logs": ("A list; with a JOB each has also `text`, what was printed.", [Log]),
    "toil stats": ("An object: `kinds`, a list of what follows, and `all`, the same for all jobs, or `null` when no attempt has ended.", [KindStats, Spread, Share]),
    "toil stats --raw": ("An object on each line, for each attempt.", [Attempt]),
    "toil kill": ("One object.", [Killed]),
    "toil debug-job": (
        "One object: the second, or with `--print-job-info` the first.",
        [JobInfo, Outcome, Requirement, Accelerator, Failure],
    ),
    "toil clean": ("An object on each line, for each job store.", [Cleaned]),
    "toil doctor": ("An object on each line, for each check.", [Check]),
    "toil launch-cluster": ("One object; how far the launch is stands on standard error.", [told.Launched, WantedNode]),
    "toil list-clusters": ("A list.", [Summary]),
    "toil cluster-status": ("One object.", [told.ClusterStatus, NodeStatus, Run]),
    "toil ssh-cluster": ("One object.", [told.Ran]),
    "toil rsync-cluster": ("One object; what rsync says stands on standard error.", [told.Copied]),
    "toil submit": ("One object.", [told.Submitted]),
    "toil attach": ("One object, a `Run` as in `toil cluster-status`, once it has ended; what it says stands on standard error.", []),
    "toil scale-cluster": ("One object.", [told.Scaled]),
    "toil destroy-cluster": ("One object, with `--dry-run` too; a `Run` is as in `toil cluster-status`.", [told.Destroyed, Resource]),
    "toil local-cloud": ("One object.", [told.TakenAway]),
    "toil bundle": ("One object; its field `file`, beside those below, is the path of the bundle.", [Bundle]),
    "toil plugins": ("A list.", [Installed, Offer]),
    "toil config": (
        "An object: `config_file`, the path of the config file or `null`, and `options`, a list of what follows; with a FILE only `file`, where it was written.",
        [OptionValue],
    ),
    "toil completion": ("An object: `shell`, `how` to use it, and `script`, what the shell reads.", []),
}
"""For each command what its JSON is, and the records in it."""


def pages() -> dict[Path, str]:
    """What each generated page should hold."""
    return {
        DOCS / "cli.md": "\n".join([CLI_HEAD, *map(command_page, toil_commands())]),
        DOCS / "options.md": options_page(),
        DOCS / "json.md": "\n".join([JSON_HEAD, *(record_page(*item) for item in JSON.items())]),
    }


def record_page(command: str, described: tuple[str, list[type]]) -> str:
    """The section of one command's JSON."""
    lines = [f"## {command}", "", described[0], ""]
    for record in described[1]:
        lines += [f"{record.__doc__.splitlines()[0]} (`{record.__name__}`)" if record.__doc__ else "", "", "| field | | |", "|---|---|---|", *fields(record), ""]
    return "\n".join(lines)


def fields(record: type) -> Iterator[str]:
    """A line of the table for each field, from what the record's own documentation says of it."""
    _, _, described = inspect.cleandoc(record.__doc__ or "").partition("Args:\n")
    told = dict(re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", described, re.MULTILINE))
    for name, kind in inspect.get_annotations(record).items():
        yield f"| `{name}` | {in_json(kind)} | {cell(re.sub('^None|(?<=; )None', 'null', ' '.join(told[name].split())))} |"


def in_json(kind: str) -> str:
    """What stands in JSON for a type of Python."""
    kind, _, null = kind.partition(" | ")
    start = kind.partition("[")[0]
    if start in ("str", "Literal", "Reason", "LeaderState", "Fate"):
        told = "text"
    else:
        told = {"int": "number", "float": "number", "bool": "true or false", "tuple": "list", "list": "list", "dict": "object", "Mapping": "object", "Any": "any"}.get(start, f"`{start}`")
    return told + (" or null" if null else "")


def command_page(command: Command) -> str:
    """The section of one subcommand."""
    parser = OptionParser(f"toil {command.name}", command.help)
    configure(parser, command, list(toil_options()))
    rows = list(arguments(parser))
    lines = [f"## toil {command.name}", "", command.help, "", "| argument | |", "|---|---|", *(f"| {name} | {help} |" for name, help in rows), ""]
    return "\n".join(lines)


def arguments(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    """Name and help of each argument that the help shows."""
    for action in parser._actions:
        if action.help == argparse.SUPPRESS or action.dest == "help":
            continue
        value = action.metavar or ("{" + ",".join(map(str, action.choices)) + "}" if action.choices else "")
        names = [*(f"`{flag}`" for flag in action.option_strings), *([f"`{value}`"] if value and action.nargs != 0 else [])]
        yield cell(", ".join(names[:-1]) + " " + names[-1] if value and len(names) > 1 else ", ".join(names)), cell(action.help or "")


def options_page() -> str:
    """The page of all options."""
    sections = []
    for group in toil_options():
        sections += ["", f"## {group.name}", "", "| flag | default | environment | |", "|---|---|---|---|", *rows(specs(group))]
    return OPTIONS_HEAD + "\n".join(sections) + "\n"


def rows(options: Iterable[Spec]) -> Iterator[str]:
    """A line of the table for each option."""
    for spec in options:
        others = [f"`{flag}`" for flag in (*spec.flags[2:], *(name for name in spec.shortcuts if not name.islower())) if "eemptable" not in flag]
        flags = f"`{spec.flags[0]}`" + (f" ({', '.join(others)})" if others else "")
        default = "" if spec.default in (None, ()) else f"`{spec.shown(spec.default)}`"
        yield f"| {flags} | {default} | {f'`{spec.variable}`' if spec.variable else ''} | {cell(spec.help)} |"


def cell(text: str) -> str:
    """Text that can stand in a table."""
    return text.replace("%%", "%").replace("|", "\\|")


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text)
