"""Options from command line, environment and config file, in this order of precedence, then their defaults.

A script's own arguments and the engine's options live in one parser:

    parser = OptionParser("words.py")
    parser.add_argument("locator")
    add_engine_options(parser)
    arguments = parser.parse_args()
    config = config_from(arguments)
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Never

from toil_core.errors import BadOption
from toil_core.option_specs import Spec, camel, parse_bool, specs, spellings
from toil_core.options import Config, Group
from toil_core.plugins import option_groups, workflow_option_groups

CONFIG_DEST = "toil.config"
CONFIG_VARIABLE = "TOIL_CONFIG"


class OptionParser(argparse.ArgumentParser):
    """An argument parser whose errors are `BadOption`, with the close match for an unknown flag."""

    def __init__(self, prog: str | None = None, description: str | None = None, **more: Any) -> None:
        more.setdefault("formatter_class", _Help)
        super().__init__(prog, description=description, allow_abbrev=False, **more)
        self._switches: set[str] = set()

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        optional = any(action.nargs == "?" and not action.option_strings for action in self._actions)
        parse = self.parse_known_intermixed_args if optional else self.parse_known_args  # else a flag before such an argument hides it
        found, extra = parse(args, namespace)
        if extra:
            self.error(self._unknown(extra[0]))
        return found

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        return super().parse_known_args(self._joined(sys.argv[1:] if args is None else args), namespace)

    def error(self, message: str) -> Never:
        message = re.sub(r"^argument ([^/:]+)[^:]*: ", r"\1: ", message)
        raise BadOption(re.sub(r"ignored explicit argument (.*)", r"it takes no value, and was given \1", message))

    def switch(self, *flags: str) -> None:
        """Let these flags stand alone for true, and take `true` or `false` after a space."""
        self._switches.update(flags)

    def taken(self, flag: str) -> bool:
        """Whether an argument has the flag already."""
        return flag in self._option_string_actions

    def _joined(self, args: Sequence[str]) -> list[str]:
        joined: list[str] = []
        for place, arg in enumerate(args):
            if arg == "--":
                return [*joined, *args[place:]]
            if joined and joined[-1] in self._switches and arg.lower() in ("true", "false"):
                joined[-1] += f"={arg}"
            else:
                joined.append(arg)
        return [f"{arg}=true" if arg in self._switches else arg for arg in joined]

    def _unknown(self, arg: str) -> str:
        flag = arg.partition("=")[0]
        if not flag.startswith("-"):
            return f"unexpected argument {arg!r}"
        close = difflib.get_close_matches(flag, self._option_string_actions, 1, 0.7)
        return f"unknown option {flag}" + (f"; did you mean {close[0]}?" if close else f" (`{self.prog} --help` lists them)")


def add_engine_options(parser: OptionParser, groups: Iterable[Group] | None = None) -> None:
    """Add `--config` and the options of every group to a parser.

    A flag that the parser has already stays as it is: a script's own argument wins over an option of
    that name, which can then be set by its other spellings, the environment and the config file.

    Args:
        parser: The parser.
        groups: The groups to add; None for all that are installed and are about workflows.
    """
    add_config_option(parser)
    for group in workflow_option_groups() if groups is None else groups:
        section = parser.add_argument_group(f"{group.name} options")
        for spec in specs(group):
            _add(parser, section, spec)


def add_config_option(parser: OptionParser) -> None:
    """Add `--config FILE`, unless the parser has it."""
    if not parser.taken("--config"):
        where = f"Read options from this TOML file instead of ~/.config/toil/config.toml. [{CONFIG_VARIABLE}]"
        parser.add_argument("--config", dest=CONFIG_DEST, metavar="FILE", default=argparse.SUPPRESS, help=where)


def config_from(
    arguments: argparse.Namespace | None = None,
    *,
    saved: Config | None = None,
    environ: Mapping[str, str] | None = None,
    groups: Iterable[Group] | None = None,
) -> Config:
    """Every option's value: the command line's, else the environment's, the config file's, or the default.

    Args:
        arguments: What a parser with `add_engine_options` found; None when there was no command line.
        saved: The config of the run that is restarted. It stands in for environment, file and defaults
            except for options that a restart does not inherit.
        environ: The environment; None for the process's own.
        groups: The groups; None for all that are installed.

    Raises:
        BadOption: A value cannot be used, or the config file cannot; the message names flag, variable or key.
    """
    known = list(option_groups() if groups is None else groups)
    found = settings(arguments, saved=saved, environ=environ, groups=known)
    return Config(group.type(**{each.spec.field: each.value for each in found[group.name] if each.source != "default"}) for group in known)


@dataclass(frozen=True, slots=True)
class Setting:
    """An option's value.

    Args:
        spec: The option.
        value: Its value.
        source: Who says so: `command line`, `earlier run`, `environment`, `config file` or `default`.
    """

    spec: Spec
    value: Any
    source: str


def settings(
    arguments: argparse.Namespace | None = None,
    *,
    saved: Config | None = None,
    environ: Mapping[str, str] | None = None,
    groups: Iterable[Group] | None = None,
) -> dict[str, list[Setting]]:
    """Every option's value and where it comes from, by the names of groups; see `config_from`."""
    environ = os.environ if environ is None else environ
    known = list(option_groups() if groups is None else groups)
    given = vars(arguments) if arguments is not None else {}
    path, named = config_file(arguments, environ)
    tables = _tables(path, named, known)
    return {group.name: [_setting(spec, group, given, environ, tables.get(group.name, {}), saved) for spec in specs(group)] for group in known}


def config_file(arguments: argparse.Namespace | None, environ: Mapping[str, str] | None = None) -> tuple[Path, bool]:
    """The config file that is read if it is there, and whether somebody named it, so that it must be.

    Args:
        arguments: What a parser found; None when there was no command line.
        environ: The environment; None for the process's own.
    """
    environ = os.environ if environ is None else environ
    path = getattr(arguments, CONFIG_DEST, None) or environ.get(CONFIG_VARIABLE)
    return (Path(path).expanduser() if path else default_file(environ)), bool(path)


def default_file(environ: Mapping[str, str] | None = None) -> Path:
    """The config file that is read when none is named."""
    environ = os.environ if environ is None else environ
    return Path(environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "toil" / "config.toml"


class _Remember(argparse.Action):
    """Keeps what was typed with the flag it was typed with, for errors to name."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: str | None = None) -> None:
        before = getattr(namespace, self.dest, []) if self.const == "repeated" else []
        setattr(namespace, self.dest, [*before, (option_string, values)])


class _Shortcut(argparse.Action):
    """Keeps the value that the flag stands for."""

    def __init__(self, option_strings: Sequence[str], dest: str, const: Any, **more: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, const=const, **more)

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: str | None = None) -> None:
        setattr(namespace, self.dest, [(option_string, self.const)])


class _Either(argparse.Action):
    """Keeps one of two values, by what follows the flag."""

    def __init__(self, option_strings: Sequence[str], dest: str, const: Any, **more: Any) -> None:
        super().__init__(option_strings, dest, const=const, **more)

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: str | None = None) -> None:
        try:
            value = self.const[0 if parse_bool(values) else 1]
        except BadOption as error:
            raise BadOption(f"{option_string}: {error}") from None
        setattr(namespace, self.dest, [(option_string, value)])


class _Negative(argparse.Action):
    """Keeps the opposite of what follows the flag."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: str | None = None) -> None:
        try:
            value = str(not parse_bool(values))
        except BadOption:
            value = values
        setattr(namespace, self.dest, [(option_string, value)])


class _Help(argparse.HelpFormatter):
    """Leaves the engine's options out of the usage line, and the value out of switches."""

    def add_usage(self, usage: str | None, actions: Iterable[argparse.Action], groups: Any, prefix: str | None = None) -> None:
        own = [action for action in actions if not isinstance(action, (_Remember, _Shortcut, _Either, _Negative))]
        super().add_usage(usage, own, groups, prefix)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not isinstance(action, _Remember):
            return super()._format_action_invocation(action)
        shown = ", ".join(action.option_strings)
        return shown if action.const == "switch" else f"{shown} {action.metavar}"


def _add(parser: OptionParser, section: Any, spec: Spec) -> None:
    flags = [flag for flag in spec.flags if not parser.taken(flag)]
    negatives = [flag for flag in spec.negatives if not parser.taken(flag)]
    shown = [flag for flag in flags if not flag.startswith("--")] + [flag for flag in flags if flag == spec.flags[0]]
    switch = spec.kind is bool and not spec.repeated
    const = "switch" if switch else "repeated" if spec.repeated else None
    common = {"dest": spec.dest, "default": argparse.SUPPRESS, "metavar": spec.metavar}
    text = _help(spec).replace("%", "%%")
    for names, help in ((shown, text), ([flag for flag in flags if flag not in shown], argparse.SUPPRESS)):
        if names:
            section.add_argument(*names, action=_Remember, const=const, help=help, **common)
    if negatives:
        section.add_argument(*negatives, action=_Negative, help=argparse.SUPPRESS, **common)
    if switch:
        parser.switch(*flags, *negatives)
    for flag, value in spec.shortcuts.items():
        if not parser.taken(flag):
            either = isinstance(value, tuple)
            section.add_argument(flag, action=_Either if either else _Shortcut, const=value, help=argparse.SUPPRESS, **common)
            if either:
                parser.switch(flag)


def _help(spec: Spec) -> str:
    notes = [spec.shown(spec.default)] if spec.default not in (None, ()) else []
    if spec.variable:
        notes.append(spec.variable)
    return f"{spec.help} [{'; '.join(notes)}]" if notes else spec.help


def _setting(
    spec: Spec, group: Group, given: Mapping[str, Any], environ: Mapping[str, str], table: Mapping[str, tuple[str, Any]], saved: Config | None
) -> Setting:
    if spec.dest in given:
        typed = given[spec.dest]
        return Setting(spec, _value(spec, typed[-1][0], [text for _, text in typed] if spec.repeated else typed[-1][1]), "command line")
    if saved is not None and spec.saved:
        return Setting(spec, getattr(saved[group.type], spec.field), "earlier run")
    if spec.variable and environ.get(spec.variable):
        text = environ[spec.variable]
        return Setting(spec, _value(spec, spec.variable, text.split(",") if spec.repeated else text), "environment")
    if spec.field in table:
        return Setting(spec, _value(spec, *table[spec.field]), "config file")
    return Setting(spec, spec.default, "default")


def _value(spec: Spec, where: str, raw: Any) -> Any:
    try:
        return spec.value(raw)
    except BadOption as error:
        raise BadOption(f"{where}: {error}") from None


def _tables(path: Path, named: bool, groups: Iterable[Group]) -> dict[str, dict[str, tuple[str, Any]]]:
    """For each group the fields that the file sets, with the place to name in errors and the raw value."""
    import tomllib

    try:
        with path.open("rb") as stream:
            content = tomllib.load(stream)
    except (FileNotFoundError, NotADirectoryError):
        if named:
            raise BadOption(f"there is no config file {path}; `toil config {path}` writes one") from None
        return {}
    except OSError as error:
        raise BadOption(f"config file {path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadOption(f"config file {path} is not TOML: {error}") from None
    by_name = {group.name: group for group in groups}
    for name in content:
        if name not in by_name:
            raise BadOption(f"{path}: there is no group of options [{name}]{_close(name, by_name)}")
    return {name: _table(path, by_name[name], table) for name, table in content.items()}


def _table(path: Path, group: Group, table: Any) -> dict[str, tuple[str, Any]]:
    if not isinstance(table, dict):
        raise BadOption(f"{path}: {group.name} must be a table; write [{group.name}] and its options below")
    keys = {spelling: spec for spec in specs(group) for spelling in _keys(spec)}
    for key in table:
        if key not in keys:
            raise BadOption(f"{path}: [{group.name}] has no option {key}{_close(key, keys)}")
    return {keys[key].field: (f"{path}: [{group.name}] {key}", value) for key, value in table.items()}


def _keys(spec: Spec) -> tuple[str, ...]:
    return (*spellings((spec.key, spec.field, camel(spec.field))), *(flag.lstrip("-") for flag in spec.flags))


def _close(word: str, words: Iterable[str]) -> str:
    words = list(words)
    close = difflib.get_close_matches(word, words, 1)
    return f"; did you mean {close[0]}?" if close else f"; known: {', '.join(words)}" if len(words) < 12 else ""
