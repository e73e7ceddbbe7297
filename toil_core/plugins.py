"""Finding plugins: drivers one of N by name (stevedore), hooks 1:N (pluggy).

Nothing else in the code base imports stevedore or builds a PluginManager. Installed packages are
searched once per process; a process that got its config from another one (a worker) uses that
one's findings and searches nothing, so it stays small.
"""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import pluggy

from toil_core.entry_points import HOOKS, KINDS, any_disabled, disabled, distribution, entry_points, in_group, pluggable, warn_of_unknown
from toil_core.errors import BadLocator, NoSuchDriver
from toil_core.install_hints import DRIVERS, LOCATORS, SCHEMES
from toil_core.job_store import Listed
from toil_core.locators import driver_name, parse_locator

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint
    from types import ModuleType
    from typing import BinaryIO

    from toil_core.batch_system import BatchSystem
    from toil_core.cluster_engine import ClusterEngine
    from toil_core.job_store import JobStore
    from toil_core.options import Command, Config, Group, Targets
    from toil_core.provisioner import Provisioner
    from toil_core.sync_transport import SyncTransport

hookimpl = pluggy.HookimplMarker("toil")

CORE = "toil_core.builtin"


def open_job_store(locator: str, config: Config) -> JobStore:
    """Open the job store that a locator (`NAME:REST`, or a path) names.

    Raises:
        NoSuchDriver: No installed plugin has the name.
        BadLocator: The locator cannot be used.
    """
    name, rest = parse_locator(locator)
    store: JobStore = hooks(config).hook.toil_job_store(name=name, locator=rest, config=config)
    return store


def open_batch_system(name: str, config: Config) -> BatchSystem:
    """Start the batch system of that name; `singleMachine` is `single_machine`.

    Raises:
        NoSuchDriver: No installed plugin has the name.
    """
    batch: BatchSystem = hooks(config).hook.toil_batch_system(name=driver_name(name), config=config)
    return batch


def open_provisioner(name: str, config: Config) -> Provisioner:
    """Connect to the cloud of that name.

    Raises:
        NoSuchDriver: No installed plugin has the name.
    """
    provisioner: Provisioner = hooks(config).hook.toil_provisioner(name=driver_name(name), config=config)
    return provisioner


def open_sync_transport(name: str, config: Config) -> SyncTransport:
    """Open the way into nodes that has that name.

    Raises:
        NoSuchDriver: No installed plugin has the name.
    """
    transport: SyncTransport = hooks(config).hook.toil_sync_transport(name=driver_name(name), config=config)
    return transport


def open_engine(name: str, config: Config) -> ClusterEngine:
    """The engine of that name, for clusters.

    Raises:
        NoSuchDriver: No installed plugin has the name.
    """
    engine: ClusterEngine = hooks(config).hook.toil_engine(name=driver_name(name), config=config)
    return engine


def open_url(url: str, mode: str, config: Config) -> BinaryIO:
    """Open a URL through the plugin that knows its scheme.

    Args:
        url: What to open.
        mode: `rb` to read; `wb` to write, whole when closed.
        config: The options.

    Raises:
        BadLocator: It has no scheme, or nothing installed knows its scheme.
    """
    scheme, colon, _ = url.partition(":")
    if not colon or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme):
        raise BadLocator(f"{url!r} is no URL; write SCHEME:REST, file:///data/reads.txt for example")
    stream: BinaryIO | None = hooks(config).hook.toil_open_url(url=url, mode=mode, config=config)
    if stream is None:
        hint = _install_hint(SCHEMES[scheme.lower()]) if scheme.lower() in SCHEMES else "`toil plugins` lists what is installed"
        raise BadLocator(f"nothing installed opens {scheme}: URLs, so not {url} either ({hint})")
    return stream


def list_url(url: str, config: Config) -> Iterator[Listed]:
    """What lies at or under a URL; the path is empty for the file itself.

    Raises:
        BadLocator: Nothing installed can tell, or nothing is there.
    """
    found: Iterable[Listed | tuple[str, int]] | None = hooks(config).hook.toil_list_url(url=url, config=config)
    if found is None:
        scheme = url.partition(":")[0].lower()
        hint = f" ({_install_hint(SCHEMES[scheme])})" if scheme in SCHEMES else ""
        raise BadLocator(f"nothing installed can tell what lies at {url}{hint}")
    return (Listed(*item) for item in found)


def hooks(config: Config | None = None) -> pluggy.PluginManager:
    """The process's manager, with the hooks of every plugin that loads.

    Args:
        config: When it was restored from a saved one, and nothing was searched yet, the plugins it names are used.
    """
    return _loaded(config.plugins.get(HOOKS) if config else None).manager


def option_groups() -> list[Group]:
    """Every group of options that a plugin announces."""
    return list(_loaded().groups)


def workflow_option_groups() -> list[Group]:
    """The groups of options that a workflow has: all but those of certain subcommands, whose options may have the same names."""
    return [group for group in option_groups() if not group.commands]


def commands() -> list[Command]:
    """Every subcommand that a plugin announces."""
    return list(_loaded().commands)


def broken() -> dict[str, str]:
    """Plugins whose hooks cannot be used, by entry-point name, and why."""
    return dict(_loaded().errors)


def driver_names(kind: str) -> list[str]:
    """Names that can be chosen for a kind of driver, found without importing any plugin."""
    return sorted({entry.name for entry in entry_points(f"toil.{kind}")})


def driver(kind: str, name: str, targets: Targets | None = None) -> Any:
    """Import and return the one driver of that kind with this name.

    Args:
        kind: `job_store`, `batch_system`, `provisioner`, `sync_transport` or `engine`.
        name: The driver's name.
        targets: What a saved config says of entry points.

    Raises:
        NoSuchDriver: Nothing has the name, two plugins have it, or it cannot be imported.
    """
    target = (targets or {}).get(f"toil.{kind}", {}).get(name)
    if target:
        module, _, attribute = target.partition(":")
        try:
            return attrgetter(attribute)(import_module(module))
        except (ImportError, AttributeError) as error:
            raise _unusable(kind, name, target, error) from error
    return _search(kind, name)


@dataclass(frozen=True)
class Offer:
    """One thing that a distribution brings.

    Args:
        kind: A kind of driver, `options`, `command` or `hook`.
        name: Its name.
        error: Why it cannot be used; empty when it loads.
    """

    kind: str
    name: str
    error: str = ""


@dataclass(frozen=True)
class Installed:
    """A distribution that plugs into this program.

    Args:
        distribution: Its name.
        version: Its version.
        offers: What it brings.
        disabled: Whether TOIL_DISABLE_PLUGINS blocks it.
    """

    distribution: str
    version: str
    offers: tuple[Offer, ...]
    disabled: bool = False


def installed() -> list[Installed]:
    """Every distribution that plugs in, with each thing it offers tried."""
    found: dict[tuple[str, str], list[EntryPoint]] = {}
    for entry in pluggable():
        found.setdefault(distribution(entry), []).append(entry)
    result = []
    for (name, version), entries in sorted(found.items()):
        left_out = any(disabled(entry) for entry in entries)
        offers = [offer for entry in entries for offer in ([] if left_out else _offers(entry))]
        result.append(Installed(name, version, tuple(offers), left_out))
    return result


def entry_point_targets() -> Targets:
    """The entry points in use as data, for processes that should not search again."""
    errors = _loaded().errors
    targets = {f"toil.{kind}": {entry.name: entry.value for entry in entry_points(f"toil.{kind}")} for kind in KINDS}
    return {HOOKS: {entry.name: entry.value for entry in entry_points(HOOKS) if entry.name not in errors}, **targets}


class Drivers:
    """The core's own answer to every open-a-driver hook: look the name up."""

    @hookimpl(trylast=True)
    def toil_job_store(self, name: str, locator: str, config: Config) -> JobStore:
        store: JobStore = driver("job_store", name, config.plugins)(locator, config)
        return store

    @hookimpl(trylast=True)
    def toil_batch_system(self, name: str, config: Config) -> BatchSystem:
        batch: BatchSystem = driver("batch_system", name, config.plugins)(config)
        return batch

    @hookimpl(trylast=True)
    def toil_provisioner(self, name: str, config: Config) -> Provisioner:
        provisioner: Provisioner = driver("provisioner", name, config.plugins)(config)
        return provisioner

    @hookimpl(trylast=True)
    def toil_sync_transport(self, name: str, config: Config) -> SyncTransport:
        transport: SyncTransport = driver("sync_transport", name, config.plugins)(config)
        return transport

    @hookimpl(trylast=True)
    def toil_engine(self, name: str, config: Config) -> ClusterEngine:
        engine: ClusterEngine = driver("engine", name, config.plugins)(config)
        return engine


@dataclass
class Loaded:
    """Plugins whose hooks are in use.

    Args:
        manager: Calls the hooks.
        groups: The options that they announce.
        commands: The subcommands that they announce.
        errors: By name, why a plugin was left out.
        searched: False when a saved config named the plugins; then groups and commands are not asked for.
    """

    manager: pluggy.PluginManager
    groups: list[Group] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)
    searched: bool = True


_lock = threading.RLock()
_state: Loaded | None = None


def _loaded(saved: Mapping[str, str] | None = None) -> Loaded:
    global _state
    with _lock:
        if _state is None or (saved is None and not _state.searched):
            if saved is not None:
                _state = load(saved.items(), searched=False)
            else:
                warn_of_unknown()
                found = sorted((entry.value != CORE, entry.name, entry.value) for entry in entry_points(HOOKS))
                _state = load((name, target) for _, name, target in found)
            for name, error in _state.errors.items():
                print(f"toil: warning: plugin {name!r} is ignored: {error} (see `toil plugins`)", file=sys.stderr)
        return _state


def load(modules: Iterable[tuple[str, str]], *, searched: bool = True) -> Loaded:
    """The hooks of these modules; one that fails is left out and its error kept.

    Args:
        modules: Name and dotted path of each.
        searched: Whether to ask for options and subcommands too.
    """
    from toil_core import hookspecs

    manager = pluggy.PluginManager("toil")
    manager.add_hookspecs(hookspecs)
    manager.register(Drivers(), name="drivers")
    loaded = Loaded(manager, searched=searched)
    for name, target in modules:
        if manager.has_plugin(name):
            loaded.errors[name] = f"two plugins have this name; {target} is left out"
            continue
        try:
            _register(loaded, name, import_module(target))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's module may raise anything
            if manager.has_plugin(name):
                manager.unregister(name=name)
            loaded.errors[name] = one_line(error)
    return loaded


def _register(loaded: Loaded, name: str, module: ModuleType) -> None:
    loaded.manager.register(module, name=name)
    loaded.manager.check_pending()
    if loaded.searched:
        groups, offered = list(_call(module, "toil_options")), list(_call(module, "toil_commands"))
        _refuse_taken("the group of options", (group.name for group in groups), (group.name for group in loaded.groups))
        _refuse_taken("the flag", *(chain.from_iterable(map(_flags, some)) for some in (groups, loaded.groups)))
        _refuse_taken("the command", (command.name for command in offered), (command.name for command in loaded.commands))
        loaded.groups += groups
        loaded.commands += offered


def _refuse_taken(what: str, new: Iterable[str], old: Iterable[str]) -> None:
    taken = set(new).intersection(old)
    if taken:
        raise ValueError(f"another plugin has {what} {min(taken)}")


def _flags(group: Group) -> Iterable[str]:
    from toil_core.option_specs import specs

    return (flag for spec in specs(group) for flag in (*spec.flags, *spec.negatives, *spec.shortcuts))


def _call(module: object, hook: str) -> Iterable[Any]:
    return getattr(module, hook, tuple)()


def one_line(error: BaseException) -> str:
    """An error's kind and its message, on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def _search(kind: str, name: str) -> Any:
    import difflib

    from stevedore.named import NamedExtensionManager

    class Manager(NamedExtensionManager[Any]):
        def list_entry_points(self) -> list[EntryPoint]:
            return entry_points(self.namespace)  # stevedore's own list may be an old one, from a cache on disk

    def failed(manager: object, entry: EntryPoint, error: BaseException) -> None:
        raise _unusable(kind, name, entry.value, error) from error

    found = Manager(f"toil.{kind}", [name], on_load_failure_callback=failed, on_missing_entrypoints_callback=None).extensions
    if len(found) == 1:
        from toil_core.driver_fit import checked

        return checked(kind, KINDS[kind], name, found[0].entry_point_target, found[0].plugin)
    if found:
        raise NoSuchDriver(f"{KINDS[kind]} {name!r} is offered by {' and by '.join(e.entry_point_target for e in found)}; uninstall one")
    names = driver_names(kind)
    if there := [entry for entry in in_group(f"toil.{kind}") if entry.name == name and disabled(entry)]:
        hint = _disabled_hint(distribution(there[0])[0])
    elif kind == "job_store" and name in LOCATORS:
        hint = LOCATORS[name]
    elif name in DRIVERS:
        hint = _install_hint(DRIVERS[name], lacks=True)
    elif close := difflib.get_close_matches(name, names):
        hint = f"did you mean {' or '.join(close)}?"
    else:
        hint = f"installed: {', '.join(names) or 'none'}"
    raise NoSuchDriver(f"there is no {KINDS[kind]} named {name!r} ({hint})")


def _install_hint(name: str, *, lacks: bool = False) -> str:
    """What to do to have a distribution that is missed: install it, or no longer disable it.

    Args:
        name: Its name.
        lacks: Whether, when it is installed, it is known to be without what is missed.
    """
    if any_disabled(name):
        return _disabled_hint(name)
    if lacks:
        from importlib.metadata import PackageNotFoundError, version

        with suppress(PackageNotFoundError):
            return f"{name} {version(name)}, which is installed, has none; pip install --upgrade {name} may bring it"
    return f"pip install {name}"


def _disabled_hint(name: str) -> str:
    return f"{name} has it, and is disabled by TOIL_DISABLE_PLUGINS"


def _unusable(kind: str, name: str, target: str, error: BaseException) -> NoSuchDriver:
    return NoSuchDriver(f"{KINDS[kind]} {name!r} cannot be loaded from {target}: {one_line(error)}")


def _offers(entry: EntryPoint) -> list[Offer]:
    if entry.group != HOOKS:
        kind = entry.group.removeprefix("toil.")
        try:
            driver(kind, entry.name)
        except NoSuchDriver as error:
            return [Offer(kind, entry.name, str(error))]
        return [Offer(kind, entry.name)]
    loaded = _loaded()
    if entry.name in loaded.errors:
        return [Offer("hook", entry.name, loaded.errors[entry.name])]
    module = loaded.manager.get_plugin(entry.name)
    found = [Offer("options", group.name) for group in _call(module, "toil_options")]
    found += [Offer("command", command.name) for command in _call(module, "toil_commands")]
    callers = loaded.manager.get_hookcallers(module) or []
    return found + [Offer("hook", caller.name) for caller in callers if caller.name not in ("toil_options", "toil_commands")]
