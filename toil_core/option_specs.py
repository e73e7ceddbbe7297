"""One option as command line, environment and config file see it: its spellings, and how text becomes its value."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from toil_core.errors import BadOption
from toil_core.options import Group
from toil_core.sizes import format_duration, format_size, parse_duration, parse_size, parse_time_limit, parse_waiting_time

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
_FORMATS: Mapping[Callable[..., Any], Callable[[Any], str]] = {
    parse_size: format_size,
    **dict.fromkeys((parse_duration, parse_time_limit, parse_waiting_time), format_duration),
}


@dataclass(frozen=True)
class Spec:
    """An option of a group.

    Args:
        group: The name of its group.
        field: The name of its field.
        kind: The type of its value, or of each value when it may be repeated.
        optional: Whether it may have no value.
        repeated: Whether it may be given more than once.
        default: Its value when nobody says anything.
        help: One line for the user.
        flags: Its spellings on the command line, the canonical one first.
        negatives: The spellings that mean false.
        shortcuts: Flags that stand for a value, or for one of two as they are followed by `true` or `false`.
        variable: Its environment variable, or empty.
        convert: Turns text into a value; None to go by the kind.
        saved: Whether a restart inherits it.
    """

    group: str
    field: str
    kind: Any
    optional: bool
    repeated: bool
    default: Any
    help: str
    flags: tuple[str, ...]
    negatives: tuple[str, ...]
    shortcuts: Mapping[str, str | tuple[str, str]]
    variable: str
    convert: Callable[[str], Any] | None
    saved: bool

    @property
    def key(self) -> str:
        """Its name in the group's table of the config file."""
        return self.field.replace("_", "-")

    @property
    def dest(self) -> str:
        """Its name among parsed arguments; no user's own argument can have it."""
        return f"{self.group}.{self.field}"

    @property
    def metavar(self) -> str:
        """What stands for its value in the help."""
        if self.convert is not None and self.choices == ():
            return self.convert.__name__.removeprefix("parse_").upper()
        if self.choices:
            return "{" + ",".join(self.choices) + "}"
        return {bool: "true|false", int: "NUMBER", float: "NUMBER"}.get(self.kind, "TEXT")

    @property
    def choices(self) -> tuple[str, ...]:
        """The values it can have, when these are few."""
        return typing.get_args(self.kind) if typing.get_origin(self.kind) is Literal else ()

    def value(self, raw: Any) -> Any:
        """The value that text (or a value of a config file, or a list of either) stands for.

        Raises:
            BadOption: It stands for none; the message does not say where it was written.
        """
        if self.repeated:
            return tuple(self._one(item) for item in (raw if isinstance(raw, (list, tuple)) else [raw]))
        if isinstance(raw, (list, tuple, dict)):
            raise BadOption(f"{raw!r} is not a single value")
        return self._one(raw)

    def shown(self, value: Any) -> str:
        """The value as a user would write it."""
        if value is None:
            return "none"
        if isinstance(value, tuple):
            return ",".join(self.shown(item) for item in value)
        if isinstance(value, bool):
            return str(value).lower()
        if self.convert is not None and self.convert in _FORMATS:
            return _FORMATS[self.convert](value)
        return f"{value:g}" if isinstance(value, float) else str(value)

    def _one(self, raw: Any) -> Any:
        text = str(raw).lower() if isinstance(raw, bool) else str(raw).strip()
        if self.optional and text.lower() == "none":
            return None
        if self.convert is not None:
            return self.convert(text)
        if self.choices:
            return self._choice(text)
        if self.kind is bool:
            return parse_bool(text)
        if self.kind in (int, float):
            return _number(self.kind, text)
        if not text and self.default != "":
            raise BadOption("its value is empty; " + ("leave the option out, or write `none`" if self.optional else "leave the option out"))
        return text

    def _choice(self, text: str) -> str:
        for choice in self.choices:
            if _plain(choice) == _plain(text):
                return choice
        raise BadOption(f"{text!r} is none of {', '.join(self.choices)}")


def specs(group: Group) -> tuple[Spec, ...]:
    """The options of a group, in the order of its fields.

    Raises:
        TypeError: A field's type is none that options can have.
    """
    hints = typing.get_type_hints(group.type)
    return tuple(_spec(group, item, hints[item.name]) for item in fields(group.type))


def parse_bool(text: str) -> bool:
    """True or false.

    Raises:
        BadOption: The text is neither.
    """
    if text.lower() not in (*_TRUE, *_FALSE):
        raise BadOption(f"{text!r} is neither true nor false")
    return text.lower() in _TRUE


def camel(name: str) -> str:
    """`default_memory` and `default-memory` as `defaultMemory`."""
    first, *rest = name.replace("_", "-").split("-")
    return first + "".join(part.capitalize() for part in rest)


def kebab(name: str) -> str:
    """`defaultMemory` and `default_memory` as `default-memory`."""
    return "".join(f"-{char.lower()}" if char.isupper() else char for char in name.replace("_", "-"))


def spellings(flags: Iterable[str]) -> tuple[str, ...]:
    """The flags and, for each that is about preemptible nodes, its other spelling."""
    pairs = (("preemptible", "preemptable"), ("Preemptible", "Preemptable"))
    both = [[flag, *(flag.replace(*pair) for pair in pairs), *(flag.replace(*pair[::-1]) for pair in pairs)] for flag in flags]
    return tuple(dict.fromkeys(flag for group in both for flag in group))


def _spec(group: Group, item: Any, hint: Any) -> Spec:
    kind, optional, repeated = _kind(group, item.name, hint)
    meta = item.metadata
    name = f"{group.prefix}_{item.name}" if group.prefix else item.name
    flags = spellings((f"--{kebab(name)}", f"--{camel(name)}", *meta.get("flags", ())))
    negatives = tuple(_negative(flag) for flag in flags if flag.startswith("--")) if kind is bool and not repeated else ()
    shortcuts = {new: value for flag, value in meta.get("shortcuts", {}).items() for new in (kebab(flag), flag)}
    variable = meta.get("env")
    return Spec(
        group=group.name,
        field=item.name,
        kind=kind,
        optional=optional,
        repeated=repeated,
        default=item.default,
        help=meta.get("help", ""),
        flags=flags,
        negatives=negatives,
        shortcuts=shortcuts,
        variable=f"TOIL_{name.upper()}" if variable is None else variable,
        convert=meta.get("parse"),
        saved=meta.get("saved", True),
    )


def _kind(group: Group, field: str, hint: Any) -> tuple[Any, bool, bool]:
    optional = repeated = False
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        rest = [part for part in typing.get_args(hint) if part is not type(None)]
        optional, hint = True, rest[0] if len(rest) == 1 else None
    if typing.get_origin(hint) is tuple and typing.get_args(hint)[1:] == (...,):
        repeated, hint = True, typing.get_args(hint)[0]
    if hint not in (bool, int, float, str) and typing.get_origin(hint) is not Literal:
        raise TypeError(f"option {group.name}.{field}: its type must be bool, int, float, str, Literal, one of these or None, or a tuple of one")
    return hint, optional, repeated


def _negative(flag: str) -> str:
    word = flag.removeprefix("--")
    return f"--no-{word}" if "-" in word or word.islower() else f"--no{word[0].upper()}{word[1:]}"


def _number(kind: type[Any], text: str) -> Any:
    try:
        number = kind(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise BadOption(f"{text!r} is not a {'whole ' if kind is int else ''}number")
    return number


def _plain(text: str) -> str:
    return text.replace("-", "").replace("_", "").lower()
