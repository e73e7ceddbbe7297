"""`toil plugins`: what is installed, what it offers, and whether it loads."""

from __future__ import annotations

import argparse

from toil_core.cli.as_json import add_json, print_json
from toil_core.options import Config, OptionParser
from toil_core.plugins import Installed, installed

USES_CONFIG = False
"""A bad config file must not keep anyone from seeing which plugins there are."""


def configure(parser: OptionParser) -> None:
    """Add the command's arguments."""
    add_json(parser, "Print JSON instead of a table.")


def run(arguments: argparse.Namespace, config: Config) -> int:
    """Print every distribution that plugs in; each driver and hook module is imported to see whether it can be.

    Returns:
        0, or 1 when something does not load.
    """
    found = installed()
    if arguments.json:
        print_json(found)
    else:
        _print_table(found)
    return int(any(offer.error for plugin in found for offer in plugin.offers))


def _print_table(found: list[Installed]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("distribution", "version", "offers", "loads", show_lines=True)
    for plugin in found:
        if plugin.disabled:
            table.add_row(plugin.distribution, plugin.version, "", Text("disabled by TOIL_DISABLE_PLUGINS", "yellow"))
            continue
        offers = [f"{offer.kind.replace('_', ' ')} {offer.name}" for offer in plugin.offers]
        errors = [f"{offer.name}: {offer.error}" for offer in plugin.offers if offer.error]
        verdict = Text("\n".join(errors), "red") if errors else Text("yes", "green")
        table.add_row(plugin.distribution, plugin.version, Text("\n".join(offers)), verdict)
    Console().print(table)
