"""`toil completion`: what a shell needs to complete commands, options and file names."""

from __future__ import annotations

import argparse
import contextlib

from toil_core.cli.as_json import add_json, print_json
from toil_core.errors import UsageError
from toil_core.options import Config, OptionParser

USES_CONFIG = False

SHELLS = ("bash", "zsh", "fish")

_HOW = {
    "bash": 'eval "$(toil completion bash)"  # in ~/.bashrc',
    "zsh": 'eval "$(toil completion zsh)"  # in ~/.zshrc, after compinit',
    "fish": "toil completion fish | source  # in ~/.config/fish/config.fish",
}


def configure(parser: OptionParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("shell", choices=SHELLS, help="The shell; it reads what is printed, see the comment on the first line.")
    add_json(parser, "Print JSON instead: the shell, how to use what it reads, and that itself.")


def run(arguments: argparse.Namespace, config: Config) -> int:
    """Print the shell's code."""
    from argcomplete.shell_integration import shellcode

    how, script = _HOW[arguments.shell], shellcode(["toil"], shell=arguments.shell)
    if arguments.json:
        print_json({"shell": arguments.shell, "how": how, "script": script})
    else:
        print(f"# {how}\n{script}")
    return 0


def complete() -> None:
    """Answer a shell that asks what may come next, and leave the process."""
    import argcomplete

    from toil_core.cli import configure
    from toil_core.option_parser import OptionParser
    from toil_core.plugins import commands

    parser = OptionParser("toil")
    parser.add_argument("--version", action="store_true", help="Print the version.")
    choices = parser.add_subparsers()
    for command in commands():
        with contextlib.suppress(UsageError):  # one that cannot be loaded says so when it is run
            configure(choices.add_parser(command.name, help=command.help), command)
    argcomplete.autocomplete(parser)
