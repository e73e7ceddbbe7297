"""Options as scripts have them: attributes of a namespace in camelCase, readable and settable before `Toil(options)`.

A parser is given the engine's own options, and remembers what was typed as the engine wants it. Beside that, each
option's value is an attribute. What a script changed there is found by comparing it with what was typed.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any, cast

from toil_core.errors import BadOption
from toil_core.option_specs import Spec, specs
from toil_core.options import Group, OptionParser, add_engine_options, config_from
from toil_core.plugins import workflow_option_groups

from toil._foreign import FOREIGN, Foreign
from toil.fileStores.abstractFileStore import MUTABLE

_UNLIMITED = sys.maxsize
"""What Toil shows where there is no limit."""
_OWN = "toil_own_options"
"""Attribute of a namespace: the script's own arguments."""


class HelpFormatter(argparse.HelpFormatter):
    """Leaves the engine's options out of the usage line."""

    def add_usage(self, usage: str | None, actions: Iterable[argparse.Action], groups: Any, prefix: str | None = None) -> None:
        """Show the script's own arguments."""
        super().add_usage(usage, [action for action in actions if not _of_engine(action)], groups, prefix)


def default_parser(*, jobstore_as_flag: bool = False) -> argparse.ArgumentParser:
    """A parser with the job store and every option of the engine and its plugins.

    Args:
        jobstore_as_flag: Whether the job store is given as `--jobStore`.
    """
    parser = argparse.ArgumentParser(formatter_class=HelpFormatter)
    add_options(parser, jobstore_as_flag=jobstore_as_flag)
    return parser


def default_options(job_store: str | os.PathLike[str] | None) -> argparse.Namespace:
    """The options of a run on a job store, where nothing was typed.

    Args:
        job_store: Its locator.
    """
    options = default_parser(jobstore_as_flag=True).parse_args([])
    options.jobStore = None if job_store is None else os.fspath(job_store)
    return options


def add_options(parser: Any, *, jobstore_as_flag: bool = False) -> None:
    """Add the job store, and every option of the engine and its plugins.

    Args:
        parser: A parser of argparse. A flag that it has already stays the script's own.
        jobstore_as_flag: Whether the job store is given as `--jobStore`.

    Raises:
        TypeError: It is another parser.
    """
    if not isinstance(parser, argparse.ArgumentParser):
        raise TypeError(f"addToilOptions takes an argparse.ArgumentParser, not {type(parser).__name__}")
    own = {action.dest for action in parser._actions}
    if jobstore_as_flag:
        parser.add_argument("--jobStore", "--jobstore", dest="jobStore", metavar="LOCATOR", help="The job store: a folder, or DRIVER:REST.")
    else:
        parser.add_argument("jobStore", metavar="jobStore", help="The job store: a folder, or DRIVER:REST.")
    adapter = _Adapter(parser)
    add_engine_options(cast(OptionParser, adapter))
    _add_foreign(parser, adapter)
    _teach(parser, adapter, own)


class _Switches(OptionParser):
    """Knows which flags may stand alone."""

    def joined(self, args: Sequence[str]) -> list[str]:
        """The words of a command line, each such flag with its value; `--writeLogs` may stand alone too, for the folder that this is."""
        pairs = zip(args, [*args[1:], "-"], strict=False)
        return self._joined([f"{word}=." if word == "--writeLogs" and after.startswith("-") else word for word, after in pairs])


class _Adapter:
    """Lets any parser take the engine's options.

    Args:
        parser: The parser.
    """

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._switches = _Switches(add_help=False)
        self.add_argument = parser.add_argument
        self.add_argument_group = parser.add_argument_group
        self.switch = self._switches.switch
        self.joined = self._switches.joined
        self._parser = parser

    def taken(self, flag: str) -> bool:
        """Whether the parser has the flag."""
        return flag in self._parser._option_string_actions


class _ForeignAction(argparse.Action):
    """Keeps the value of an option that means nothing here."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: str | None = None) -> None:
        setattr(namespace, self.dest, True if values is None or values == [] else values)


def _add_foreign(parser: argparse.ArgumentParser, adapter: _Adapter) -> None:
    if not adapter.taken("--logTrace"):
        parser.add_argument("--logTrace", action=_Trace, nargs=0, dest="engine.log_level", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    for name, kind in (("--maxJobDuration", "1"), ("--readGlobalFileMutableByDefault", "")):
        if not adapter.taken(name):
            _add_one(parser, Foreign(name, None if kind else False, kind))
    for foreign in FOREIGN:
        if not adapter.taken(foreign.flag):
            _add_one(parser, foreign)


def _add_one(parser: argparse.ArgumentParser, foreign: Foreign) -> None:
    nargs: Any = {"": 0, "1": None, "?": "?"}[foreign.takes]
    parser.add_argument(
        foreign.flag, action=_ForeignAction, nargs=nargs, dest=foreign.attribute, default=foreign.default, help=argparse.SUPPRESS
    )


class _Trace(argparse.Action):
    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: str | None = None) -> None:
        setattr(namespace, self.dest, [(option_string, "DEBUG")])


def _of_engine(action: argparse.Action) -> bool:
    return "." in action.dest or isinstance(action, _ForeignAction)


def _teach(parser: argparse.ArgumentParser, adapter: _Adapter, before: set[str]) -> None:
    """Make a parser fill in the attributes whenever it parses."""
    parse = parser.parse_known_args

    def parse_known_args(args: Any = None, namespace: Any = None) -> Any:
        found, rest = parse(adapter.joined(sys.argv[1:] if args is None else args), namespace)
        own = before | {action.dest for action in parser._actions if not _of_engine(action)} - {"jobStore"}
        setattr(found, _OWN, own)
        try:
            _fill(found, own)
        except BadOption as error:
            parser.error(str(error))
        return found, rest

    setattr(parser, "parse_known_args", parse_known_args)  # noqa: B010  of this parser only


def _fill(options: argparse.Namespace, own: set[str]) -> None:
    config = config_from(options)
    for group, spec, names in _all_specs():
        value = _shown(spec, getattr(config[group.type], spec.field))
        for name in names:
            if name not in own:
                setattr(options, name, value)
    if own.isdisjoint(("caching", "disableCaching")):
        options.disableCaching = not options.caching


def engine_options(options: argparse.Namespace) -> argparse.Namespace:
    """What a run is told: what was typed, and what the script changed since.

    Args:
        options: Attributes as scripts have them; those that are missing have their defaults.

    Raises:
        BadOption: A value cannot be used; names the attribute.
    """
    given = argparse.Namespace(**{name: value for name, value in vars(options).items() if "." in name})
    config = config_from(options)
    own: set[str] = getattr(options, _OWN, set())
    for group, spec, names in _all_specs():
        typed = _shown(spec, getattr(config[group.type], spec.field))
        for name in names:
            if name not in own and getattr(options, name, typed) != typed:
                _override(given, spec, name, getattr(options, name))
                break
    _special(given, options)
    return given


def _override(given: argparse.Namespace, spec: Spec, name: str, raw: Any) -> None:
    if spec.repeated:
        changed: Any = [(f"options.{name}", item) for item in ([raw] if isinstance(raw, str) else raw or ())]
    elif spec.optional and raw in (_UNLIMITED, float("inf")):
        changed = [(f"options.{name}", "none")]
    elif raw is None and not spec.optional:  # what Toil has where nothing was said
        changed = None
    else:
        changed = [(f"options.{name}", raw if isinstance(raw, (bool, int, float, str)) else str(raw))]
    if changed:
        setattr(given, spec.dest, changed)


def _special(given: argparse.Namespace, options: argparse.Namespace) -> None:
    """What has no option of its own name in the engine."""
    found = vars(options)
    caching = found.get("caching")
    if found.get("disableCaching") is True and caching is not False:
        setattr(given, "engine.caching", [("options.disableCaching", False)])
    duration = found.get("maxJobDuration")
    if duration is not None and int(duration) < _UNLIMITED and "engine.default_wall_time" not in vars(given):
        setattr(given, "engine.default_wall_time", [("--maxJobDuration", duration)])
    if found.get("readGlobalFileMutableByDefault"):
        before = vars(given).get("engine.set_env") or [("--setEnv", item) for item in found.get("setEnv", ())]
        setattr(given, "engine.set_env", [*before, ("--readGlobalFileMutableByDefault", f"{MUTABLE}=true")])


def without_effect(options: argparse.Namespace) -> Iterator[str]:
    """A line for each option that was given and means nothing here."""
    groups = {flag for _, spec, _ in _all_specs() for flag in spec.flags}
    for foreign in FOREIGN:
        value = getattr(options, foreign.attribute, foreign.default)
        if foreign.flag not in groups and value not in (foreign.default, None, [], ()) and foreign.attribute not in getattr(options, _OWN, ()):
            yield f"{foreign.flag} has no effect" + (f": {foreign.why}" if foreign.why else "")


@cache
def _all_specs() -> list[tuple[Group, Spec, tuple[str, ...]]]:
    """Every option, with its group and its attributes."""
    return [(group, spec, _names(spec)) for group in workflow_option_groups() for spec in specs(group)]


def _names(spec: Spec) -> tuple[str, ...]:
    """The attributes that an option has: in camelCase first, in snake_case too."""
    words = [flag.lstrip("-").replace("-", "_") for flag in spec.flags if flag.startswith("--")]
    return tuple(dict.fromkeys(sorted((word for word in words if word.isidentifier()), key=lambda word: "_" in word)))


def _shown(spec: Spec, value: Any) -> Any:
    if value is None and spec.field.startswith("max_"):
        return _UNLIMITED
    return list(value) if spec.repeated else value
