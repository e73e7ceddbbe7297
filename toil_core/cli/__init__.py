"""The `toil` command: finds the subcommand, parses its options, and turns errors into a line and an exit code."""

from __future__ import annotations

import difflib
import errno
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from toil_core.errors import Interrupted, ToilError, UsageError, WorkflowFailed
from toil_core.telling import tell

if TYPE_CHECKING:
    from types import ModuleType

    from toil_core.options import Command, Group, OptionParser

FAILED, USAGE, INTERRUPTED = 1, 2, 130
"""Exit codes; a workflow that failed has that of its last failed job."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def main(argv: Sequence[str] | None = None) -> int:
    """Run `toil` with these arguments; the process's own if None.

    Returns:
        The exit code: 0, 1 for a failure, 2 for what the user must change, 130 after Ctrl-C, 143 after SIGTERM.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    return guarded(lambda: _dispatch(arguments))


def guarded(action: Callable[[], int]) -> int:
    """Do it; what it raises on purpose becomes one line on stderr and an exit code.

    Args:
        action: Returns an exit code.
    """
    try:
        if sys.stdout is None:
            raise ToilError("standard output is closed")
        code = action()
        sys.stdout.flush()
        return code
    except UsageError as error:
        return _say(error, USAGE)
    except WorkflowFailed as error:
        return _say(error, error.exit_code or FAILED)
    except Interrupted as error:
        return _say(error, error.exit_code)
    except ToilError as error:
        return _say(error, FAILED)
    except KeyboardInterrupt:
        tell("toil: interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains again when it flushes at exit
        return FAILED
    except OSError as error:
        if error.filename is not None or error.errno not in _FULL:  # nothing else that is written is without a name
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _say(ToilError(f"standard output cannot be written: {error.strerror}"), FAILED)


def configure(parser: OptionParser, command: Command, groups: Iterable[Group] | None = None) -> None:
    """Add a subcommand's arguments to a parser, and the options that it may have to do with.

    Args:
        parser: The parser.
        command: The subcommand.
        groups: All groups of options; those of every installed plugin if not given.

    Raises:
        UsageError: The module of the command cannot be imported.
    """
    from toil_core.option_parser import add_config_option, add_engine_options
    from toil_core.plugins import option_groups

    try:
        module = import_module(command.module)
    except ImportError as error:
        raise UsageError(f"command {command.name!r} cannot be loaded from {command.module}: {error}") from error
    module.configure(parser)
    if uses_config(module):
        add_engine_options(parser, [group for group in groups or option_groups() if group.concerns(command.name)])
    else:
        add_config_option(parser)


def uses_config(module: ModuleType) -> bool:
    """Whether a command's module wants to be given options; `USES_CONFIG = False` in it says no."""
    return bool(getattr(module, "USES_CONFIG", True))


def _dispatch(arguments: list[str]) -> int:
    if "_ARGCOMPLETE" in os.environ:
        from toil_core.cli.completion import complete

        complete()
    first = arguments[0] if arguments else "--help"
    if first in ("--version", "-V"):
        from toil_core import __version__

        print(f"toil {__version__}")
        return 0
    if first in ("--help", "-h"):
        print(_help(), end="")
        return 0
    return _run(_find(first), arguments[1:])


def _run(command: Command, arguments: list[str]) -> int:
    from toil_core.option_parser import OptionParser, config_from
    from toil_core.options import Config

    parser = OptionParser(f"toil {command.name}", command.help)
    configure(parser, command)
    parsed = parser.parse_args(arguments)
    module = import_module(command.module)
    if not uses_config(module):
        return int(module.run(parsed, Config()))
    from toil_core.cli.saying import said

    config = config_from(parsed)
    with said(config):
        return int(module.run(parsed, config))


def _find(name: str) -> Command:
    from toil_core.plugins import commands

    known = {command.name: command for command in commands()}
    if name in known:
        return known[name]
    if name.startswith("-"):
        raise UsageError(f"unknown option {name}; options follow the subcommand (`toil --help` lists those)")
    close = difflib.get_close_matches(name, known, 1)
    raise UsageError(f"there is no command {name!r}; " + (f"did you mean {close[0]}?" if close else "`toil --help` lists them"))


def _help() -> str:
    from toil_core.plugins import commands

    known = commands()
    width = max((len(command.name) for command in known), default=0)
    lines = [f"  {command.name:{width}}  {command.help}" for command in known]
    return "\n".join(
        [
            "usage: toil COMMAND [ARGUMENTS]",
            "",
            "Run workflows on this machine, on a scheduler or on a cluster in a cloud.",
            "",
            "commands:",
            *lines,
            "",
            "`toil COMMAND --help` tells more about a command; `toil --version` prints the version.",
            "",
        ]
    )


def _say(error: ToilError, code: int) -> int:
    tell(f"toil: error: {error}")
    return code
