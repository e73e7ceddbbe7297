"""`toil config`: a commented config file of all options with their defaults, or all options as data."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toil_core.cli.as_json import add_json, print_json
from toil_core.errors import BadOption
from toil_core.option_specs import Spec, specs
from toil_core.options import Config, Group, OptionParser
from toil_core.plugins import option_groups

if TYPE_CHECKING:
    from toil_core.option_parser import Setting

USES_CONFIG = False
"""The file shows defaults, not what some other file says."""
_TYPES = {bool: "boolean", int: "integer", float: "number", str: "text"}

_HEAD = """\
# Options of toil. Remove the # before an option to set it.
# A flag on the command line and an environment variable both win over this file.
"""


@dataclass(frozen=True)
class OptionValue:
    """An option, and the value that it has.

    Args:
        group: The group that it is in; its table in the config file.
        name: Its name there.
        flags: Its spellings on the command line, the canonical one first.
        environment: Its environment variable; None for none.
        help: What it does, in a line.
        type: `boolean`, `integer`, `number`, `text` or `choice`.
        choices: What can be chosen; empty for anything.
        repeated: Whether it may be given more than once; then its value is a list.
        default: Its value when nobody says anything; None for no value.
        value: Its value; None for no value.
        source: Who says so: `command line`, `environment`, `config file` or `default`.
    """

    group: str
    name: str
    flags: tuple[str, ...]
    environment: str | None
    help: str
    type: str
    choices: tuple[str, ...]
    repeated: bool
    default: Any
    value: Any
    source: str


def configure(parser: OptionParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("file", nargs="?", default="-", metavar="FILE", help="Where to write it; - prints it. [-]")
    parser.add_argument("--force", action="store_true", help="Replace a file that exists.")
    add_json(parser, "Print JSON instead: every option, its value and where that comes from; with a FILE, where that was written.")


def run(arguments: argparse.Namespace, config: Config) -> int:
    """Write or print the file, or print the options.

    Raises:
        BadOption: The file exists and `--force` was not given, or it cannot be written; or a value cannot be used.
    """
    if arguments.file == "-":
        if arguments.json:
            print_json(_options(arguments))
        else:
            print(template(option_groups()), end="")
        return 0
    path = _write(arguments)
    if arguments.json:
        print_json({"file": str(path)})
    else:
        print(f"wrote {path}")
    return 0


def _write(arguments: argparse.Namespace) -> Path:
    if not arguments.file:
        raise BadOption("argument FILE: the name of a file is wanted, not an empty text; - prints the options")
    path = Path(arguments.file).expanduser()
    try:
        if not path.parent.exists():
            path.parent.mkdir(parents=True)
        with path.open("w" if arguments.force else "x", encoding="utf-8") as stream:
            stream.write(template(option_groups()))
    except FileExistsError:
        raise BadOption(f"{path} exists already; --force replaces it") from None
    except OSError as error:
        raise BadOption(f"{path} cannot be written: {error.strerror}") from None
    return path


def _options(arguments: argparse.Namespace) -> dict[str, object]:
    from toil_core.option_parser import config_file, settings

    path, _ = config_file(arguments)
    found = [_described(setting) for group in settings(arguments).values() for setting in group]
    return {"config_file": str(path) if path.exists() else None, "options": found}


def _described(setting: Setting) -> OptionValue:
    spec = setting.spec
    return OptionValue(
        spec.group, spec.key, spec.flags, spec.variable or None, spec.help, _TYPES.get(spec.kind, "choice"), spec.choices, spec.repeated,
        spec.default, setting.value, setting.source,
    )  # fmt: skip


def template(groups: Iterable[Group]) -> str:
    """The text of a config file that sets nothing, with every option as a comment."""
    return _HEAD + "".join(_section(group) for group in groups)


def _section(group: Group) -> str:
    return f"\n[{group.name if group.name.replace('_', '').isalnum() else _quoted(group.name)}]\n" + "".join(_entry(spec) for spec in specs(group) if spec.saved)


def _entry(spec: Spec) -> str:
    variable = f" Environment: {spec.variable}." if spec.variable else ""
    return f"\n# {spec.help} Flag: {spec.flags[0]}.{variable}\n# {spec.key} = {_toml(spec, spec.default)}\n"


def _toml(spec: Spec, value: object) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(spec, item) for item in value) + "]"
    shown = spec.shown(value)
    bare = isinstance(value, (bool, int, float)) and shown.replace(".", "", 1).isdigit()
    return shown if bare or isinstance(value, bool) else _quoted(shown)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
