"""Options are frozen dataclasses; command line, environment, config file and saved config derive from them."""

from __future__ import annotations

import argparse
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")


def option(default: Any, help: str, *, flags: tuple[str, ...] = (), env: str | None = None, parse: Callable[[str], Any] | None = None) -> Any:
    """Declare one option of a group.

    Args:
        default: Its value when nobody says anything.
        help: One line for the user.
        flags: Further documented spellings, such as `--jobStore`.
        env: The environment variable that sets it; None for `TOIL_` and its name.
        parse: Turns text into the value; None to go by the annotation.
    """
    return field(default=default, metadata={"help": help, "flags": flags, "env": env, "parse": parse})


@dataclass(frozen=True)
class Group:
    """Options that a plugin adds.

    Args:
        name: What the group is called in the help and in the config file.
        type: A frozen dataclass whose fields are made by `option`.
        prefix: Put before each field's name to make the flag; empty for none.
    """

    name: str
    type: type[Any]
    prefix: str = ""


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
    """Every option's value; a plugin asks for its own group by type: `config[AwsOptions].region`."""

    def __init__(self, groups: Iterable[object] = ()) -> None:
        self._groups: dict[type[Any], object] = {type(group): group for group in groups}

    def __getitem__(self, kind: type[T]) -> T:
        found = self._groups.get(kind)
        return typing.cast(T, kind() if found is None else found)


__all__ = ["Command", "Config", "Group", "argparse", "option"]
