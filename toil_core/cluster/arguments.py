"""Arguments that the cluster commands share."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from typing import Any

from toil_core.errors import BadOption
from toil_core.options import OptionParser
from toil_core.telling import Trouble

_log = logging.getLogger("toil.cluster")


def add_name(parser: OptionParser) -> None:
    """Add the cluster's name."""
    parser.add_argument("name", metavar="NAME", help="The cluster.")


def add_rest(parser: OptionParser, name: str, help: str, *, peel: bool = True) -> None:
    """Add everything that follows, options too; where `peel`, this parser's own options in front of it stay options.

    Args:
        parser: The parser.
        name: The argument's name.
        help: One line.
        peel: Whether options may stand between the cluster's name and the rest.
    """
    rest = parser.add_argument(name, nargs=argparse.REMAINDER, metavar=f"{name.upper()}…", help=help, action=_Rest if peel else "store")
    rest.required = False  # or it is named among what is missing when the cluster's name is


def converter(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """The function as a `type` of argparse: what it refuses is told with the flag before it."""

    def convert(text: str) -> Any:
        try:
            return parse(text)
        except BadOption as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


def tell(line: str) -> None:
    """Show a line of progress, or a `Trouble`, as far as the user wants to hear of such."""
    _log.log(logging.WARNING if isinstance(line, Trouble) else logging.INFO, "%s", line)


class _Rest(argparse.Action):
    """Takes what follows; options of the parser in front of it are done as such."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: str | None = None) -> None:
        rest = list(values)
        while rest and rest[0].startswith("-") and rest[0] != "--":
            flag, equals, value = rest[0].partition("=")
            action = parser._option_string_actions.get(flag)
            if action is None:
                raise BadOption(f"unknown option {flag}; what is for the command itself follows after --")
            count = 1 if equals or action.nargs == 0 else 2
            if len(rest) < count:
                raise BadOption(f"{flag} needs a value")
            given = [value] if equals else rest[1:count]
            action(parser, namespace, parser._get_values(action, given), flag)
            rest = rest[count:]
        setattr(namespace, self.dest, rest)
