"""Options are frozen dataclasses; command line, environment, config file and saved config derive from them."""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self, TypeVar

if typing.TYPE_CHECKING:
    from toil_core.option_parser import OptionParser, add_engine_options, config_from

T = TypeVar("T")

Targets = dict[str, dict[str, str]]
"""Entry points as data: for each group, name to `module:attribute`."""


def option(
    default: Any,
    help: str,
    *,
    flags: tuple[str, ...] = (),
    env: str | None = None,
    parse: Callable[[str], Any] | None = None,
    shortcuts: Mapping[str, str | tuple[str, str]] | None = None,
    saved: bool = True,
) -> Any:
    """Declare one option of a group.

    Args:
        default: Its value when nobody says anything.
        help: One line for the user.
        flags: Further documented spellings, such as `--jobStore`. Kebab-case and camelCase come by themselves.
        env: The environment variable that sets it; None for `TOIL_` and its name, empty for none.
        parse: Turns text into the value; None to go by the annotation.
        shortcuts: Flags without a value that stand for a value: `{"--logDebug": "DEBUG"}`. With a pair of values the flag
            may be followed by `true` or `false`: `{"--doubleMem": ("2", "1")}`.
        saved: False for what concerns this start of the workflow alone, so that a restart does not inherit it.
    """
    metadata = {"help": help, "flags": flags, "env": env, "parse": parse, "shortcuts": shortcuts or {}, "saved": saved}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Group:
    """Options that a plugin adds.

    Args:
        name: What the group is called in the help and in the config file.
        type: A frozen dataclass whose fields are made by `option`.
        prefix: Put before each field's name to make the flag; empty for none.
        commands: The subcommands that it is for; empty for workflows, and with a prefix for subcommands too.
    """

    name: str
    type: type[Any]
    prefix: str = ""
    commands: tuple[str, ...] = ()

    def concerns(self, command: str) -> bool:
        """Whether a subcommand of that name has these options."""
        return command in self.commands if self.commands else bool(self.prefix)


@dataclass(frozen=True)
class Command:
    """A subcommand of `toil`.

    Args:
        name: What the user types.
        help: One line.
        module: The module with `configure(parser)` and `run(arguments, config) -> int`; imported only when chosen.
    """

    name: str
    help: str
    module: str


class Config:
    """Every option's value; a plugin asks for its own group by type: `config[CloudOptions].region`.

    Args:
        groups: Instances of option groups; a group that is not among them has its defaults.
    """

    def __init__(self, groups: Iterable[object] = ()) -> None:
        self._groups: dict[type[Any], object] = {type(group): group for group in groups}
        self._saved: dict[str, dict[str, Any]] = {}
        self.plugins: Targets = {}
        """The entry points that the saver of this config used; empty unless it was restored."""

    def __getitem__(self, kind: type[T]) -> T:
        found = self._groups.get(kind)
        if found is None:
            found = self._groups[kind] = _restored(kind, self._saved.get(_home(kind), {}))
        return typing.cast(T, found)

    def replacing(self, *groups: object) -> Config:
        """A copy in which these groups have taken the place of those of their types."""
        copy = Config([*self._groups.values(), *groups])
        copy._saved, copy.plugins = self._saved, self.plugins
        return copy

    def as_dict(self) -> dict[str, Any]:
        """Everything that a worker, or a restart, needs to have the same options: plain lists, dicts and scalars."""
        from toil_core.plugins import entry_point_targets

        values = {_home(kind): _plain(group) for kind, group in self._groups.items()}
        return {"options": {**self._saved, **values}, "plugins": self.plugins or entry_point_targets()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The config that `as_dict` described.

        Groups are built when they are asked for, so nothing is imported or searched here. Options
        that this version does not know are kept for others and otherwise ignored.
        """
        config = cls()
        config._saved = dict(data.get("options", {}))
        config.plugins = dict(data.get("plugins", {}))
        return config


def _home(kind: type[Any]) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def _plain(group: Any) -> dict[str, Any]:
    return {item.name: _listed(getattr(group, item.name)) for item in fields(group) if item.metadata.get("saved", True)}


def _listed(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return [_listed(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def _restored(kind: type[T], saved: Mapping[str, Any]) -> T:
    if not saved:
        return kind()
    known = {item.name for item in fields(typing.cast(Any, kind))}
    return kind(**{name: _tupled(value) for name, value in saved.items() if name in known})


def _tupled(value: Any) -> Any:
    return tuple(_tupled(item) for item in value) if isinstance(value, (list, tuple)) else value


_ELSEWHERE = ("OptionParser", "add_engine_options", "config_from")


def __getattr__(name: str) -> Any:
    if name not in _ELSEWHERE:  # the parser is imported by those who parse, not by every worker
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from toil_core import option_parser

    return getattr(option_parser, name)


__all__ = ["Command", "Config", "Group", "OptionParser", "add_engine_options", "config_from", "option"]
