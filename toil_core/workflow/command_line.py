"""A command line made of one function's signature."""

from __future__ import annotations

import argparse
import enum
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from toil_core.errors import BadOption, GraphError
from toil_core.options import OptionParser, add_engine_options
from toil_core.workflow.files import Directory, File
from toil_core.workflow.job import Job, JobFunction, job, takes_job

_PREFIX = "argument of the function: "
"""Before a parameter's name in the parsed arguments, so that no option has the same."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of the function.

    Args:
        name: Its name.
        kind: The type of its value, or of each value.
        many: `list` or `tuple` when it takes several.
        default: Its default; `inspect.Parameter.empty` when it must be given.
        help: What the docstring says of it.
    """

    name: str
    kind: Any
    many: Any
    default: Any
    help: str

    @property
    def flag(self) -> str:
        """Its option."""
        return "--" + self.name.replace("_", "-")

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.default is inspect.Parameter.empty


class CommandLine:
    """The command line of a function that is run as a workflow.

    Args:
        function: The function, decorated by `job` or not.

    Raises:
        GraphError: It has parameters that no command line can give.
    """

    def __init__(self, function: Callable[..., Any] | JobFunction[..., Any]) -> None:
        self.function: JobFunction[..., Any] = function if isinstance(function, JobFunction) else job(function)
        self._text, notes = _docstring(self.function.function)
        self.parameters = list(_parameters(self.function.function, notes))

    def parser(self) -> OptionParser:
        """The parser: the locator, the parameters, `--output-dir`, and every option of the engine."""
        parser = OptionParser(description=self._text)
        parser.add_argument("locator", metavar="LOCATOR", help="The job store: a folder, or DRIVER:REST.")
        section = parser.add_argument_group("arguments of the workflow")
        for parameter in self.parameters:
            _add(parser, section, parameter)
        if not parser.taken("--output-dir"):
            parser.add_argument("--output-dir", dest="output_dir", metavar="FOLDER", help="Where files that the workflow returns are written. [.]")
        add_engine_options(parser)
        return parser

    def parse(self, arguments: Sequence[str] | None) -> argparse.Namespace:
        """What the user gave.

        Raises:
            BadOption: Something is wrong with it.
        """
        found: argparse.Namespace = self.parser().parse_args(arguments)
        return found

    def root(
        self, found: argparse.Namespace, import_file: Callable[[str], File], import_directory: Callable[[str], Directory]
    ) -> Job[Any]:
        """The job that calls the function with what the user gave.

        Args:
            found: The parsed arguments.
            import_file: Puts the content of a URL or path into the job store.
            import_directory: Puts a folder into the job store.

        Raises:
            BadOption: An argument is missing.
        """
        values = {}
        for parameter in self.parameters:
            given = getattr(found, _PREFIX + parameter.name)
            if given is not None:
                values[parameter.name] = _import(parameter, given, {File: import_file, Directory: import_directory})
            elif parameter.required:
                raise BadOption(f"{parameter.flag} is missing; --help tells what it is")
        return self.function(**values)

    def exported(self, value: Any, found: argparse.Namespace, export_file: Callable[[File | Directory, Path], None]) -> Any:
        """The workflow's value with the path of each file in the file's place; the files are written.

        Args:
            value: What the function returned.
            found: The parsed arguments.
            export_file: Writes a file or directory to a path.
        """
        return _export(value, Path(getattr(found, "output_dir", None) or "."), export_file, set())

    def show(self, value: Any) -> str | None:
        """What to print of the workflow's value.

        Args:
            value: The value, its files exported.
        """
        if value is None or isinstance(value, str):
            return value
        import json

        try:
            return json.dumps(value, indent=2, ensure_ascii=False)
        except (TypeError, ValueError):
            return repr(value)


def _parameters(function: Callable[..., Any], notes: dict[str, str]) -> Iterator[Parameter]:
    name = getattr(function, "__name__", repr(function))
    try:
        hints = typing.get_type_hints(function)
    except NameError as error:
        raise GraphError(f"main({name}): an annotation names what is not defined: {error}") from None
    for parameter in list(inspect.signature(function).parameters.values())[takes_job(function) :]:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise GraphError(f"main({name}): parameter '{parameter.name}' has no name to give it by on a command line")
        hint = hints.get(parameter.name, _guess(parameter.default))
        kind, many = _kind(hint)
        if kind is None:
            raise GraphError(f"main({name}): parameter '{parameter.name}' is a {hint}, which no command line can give")
        yield Parameter(parameter.name, kind, many, parameter.default, notes.get(parameter.name, ""))


def _guess(default: Any) -> Any:
    return str if default is None or default is inspect.Parameter.empty else type(default)


def _kind(hint: Any) -> tuple[Any, Any]:
    """The type of a value (None when it cannot be given), and whether there may be several."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        rest = [part for part in typing.get_args(hint) if part is not type(None)]
        return _kind(rest[0]) if len(rest) == 1 else (None, None)
    origin = typing.get_origin(hint) or hint
    if origin in (list, tuple):
        inner = [part for part in typing.get_args(hint) if part is not Ellipsis] or [str]
        kind, many = _kind(inner[0])
        return (kind if many is None and len(inner) == 1 else None), origin
    if origin is Literal or hint in (str, int, float, bool, Path, File, Directory) or (isinstance(hint, type) and issubclass(hint, enum.Enum)):
        return hint, None
    return None, None


def _add(parser: OptionParser, section: Any, parameter: Parameter) -> None:
    help = parameter.help + ("" if parameter.default in (None, inspect.Parameter.empty) else f" [{parameter.default}]")
    options: dict[str, Any] = {"dest": _PREFIX + parameter.name, "default": None, "help": help.strip().replace("%", "%%")}
    if parameter.required:
        options["help"] = f"{options['help']} (required)".strip()
    if parameter.kind is bool and parameter.many is None:
        section.add_argument(parameter.flag, action=argparse.BooleanOptionalAction, **options)
        return
    options["type"] = _converter(parameter.kind)
    options["metavar"] = _metavar(parameter.kind)
    if parameter.many is not None:
        options.update(nargs="*", action="extend")
    section.add_argument(parameter.flag, **options)


def _metavar(kind: Any) -> str:
    if typing.get_origin(kind) is Literal:
        return "{" + ",".join(str(choice) for choice in typing.get_args(kind)) + "}"
    if issubclass(kind, enum.Enum):
        return "{" + ",".join(member.name for member in kind) + "}"
    return {int: "NUMBER", float: "NUMBER", bool: "true|false", str: "TEXT", Path: "PATH", File: "FILE", Directory: "FOLDER"}[kind]


def _converter(kind: Any) -> Callable[[str], Any]:
    if typing.get_origin(kind) is Literal:
        return _chooser({str(choice): choice for choice in typing.get_args(kind)})
    if issubclass(kind, enum.Enum):
        return _chooser(dict(kind.__members__))
    if kind is bool:
        return _chooser({"true": True, "false": False})
    if kind is Path:
        return lambda text: Path(text).expanduser().absolute()  # a job has another working directory
    return _number(kind) if kind in (int, float) else str


def _chooser(choices: dict[str, Any]) -> Callable[[str], Any]:
    def choose(text: str) -> Any:
        if text not in choices:
            raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(choices)}")
        return choices[text]

    return choose


def _number(kind: type) -> Callable[[str], Any]:
    def convert(text: str) -> Any:
        try:
            return kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a {'whole ' if kind is int else ''}number") from None

    return convert


def _import(parameter: Parameter, given: Any, importers: dict[type, Callable[[str], File | Directory]]) -> Any:
    imported = importers.get(parameter.kind, lambda value: value)
    return imported(given) if parameter.many is None else parameter.many(map(imported, given))


def _export(value: Any, folder: Path, export_file: Callable[[File | Directory, Path], None], names: set[str]) -> Any:
    if isinstance(value, File | Directory):
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / _free_name(value.name, names)
        export_file(value, path)
        return str(path)
    if type(value) in (list, tuple):
        return [_export(item, folder, export_file, names) for item in value]
    if type(value) is dict:
        return {key: _export(item, folder, export_file, names) for key, item in value.items()}
    return value


def _free_name(name: str, names: set[str]) -> str:
    """The name; or, when another file of the same value has it, one with a number before the suffixes."""
    stem, dot, suffixes = name.partition(".")
    number = 1
    while name in names:
        number += 1
        name = f"{stem}-{number}{dot}{suffixes}"
    names.add(name)
    return name


def _docstring(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """What a function's docstring says of it, and of each parameter in its `Args:` section."""
    text, _, rest = (inspect.getdoc(function) or "").partition("\nArgs:\n")
    notes: dict[str, str] = {}
    name = ""
    for line in rest.splitlines():
        if line and not line.startswith(" "):
            break
        match = re.match(r" {1,4}(\w+)(?: \([^)]*\))?: +(.*)", line)
        if match:
            name = match[1]
            notes[name] = match[2]
        elif name and line.strip():
            notes[name] += " " + line.strip()
    return text.strip(), notes
