"""Whether a plugin's driver has what its contract asks for: told when it is chosen, before a call of it fails."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

from toil_core.errors import NoSuchDriver

_CONTRACTS = {
    "job_store": ("toil_core.job_store", "JobStore"),
    "batch_system": ("toil_core.batch_system", "BatchSystem"),
    "provisioner": ("toil_core.provisioner", "Provisioner"),
    "sync_transport": ("toil_core.sync_transport", "SyncTransport"),
    "engine": ("toil_core.cluster_engine", "ClusterEngine"),
}
_BY_NAME = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)


def checked(kind: str, called: str, name: str, target: str, driver: Any) -> Any:
    """The driver itself, when it fulfils its contract as far as that can be seen without calling it.

    Args:
        kind: The kind of driver, as in the name of its group of entry points.
        called: What people call that kind.
        name: The driver's name.
        target: Where it is.
        driver: What was found there.

    Raises:
        NoSuchDriver: It lacks a method, or one cannot be called as the engine calls it.
    """
    place, contract = _CONTRACTS[kind]
    module = import_module(place)
    for fault, says in _faults(driver, module, getattr(module, contract), ["REST", "CONFIG"] if kind == "job_store" else ["CONFIG"]):
        raise NoSuchDriver(f"{called} {name!r} cannot be used: {target} {fault}; see {place}.{says.__name__}")
    return driver


def _faults(driver: Any, module: ModuleType, contract: type, given: Sequence[str]) -> Iterator[tuple[str, type]]:
    """What is wrong, and the class of the module that says what would be right."""
    if not callable(driver):
        yield "is no class", contract
        return
    if isinstance(driver, type) and issubclass(driver, contract):
        if missing := sorted(getattr(driver, "__abstractmethods__", ())):
            yield f"has no {' and no '.join(missing)}", contract
        for promised in (contract, *_abilities(driver, module)):
            for name in methods(promised):
                if name not in missing and callable(own := getattr(driver, name)):
                    yield from ((fault, promised) for fault in _refused(name, own, getattr(promised, name)))
    if not _takes(driver, given):
        yield f"cannot be made by {getattr(driver, '__name__', 'it')}({', '.join(given)})", contract


def _abilities(driver: type, module: ModuleType) -> list[type]:
    """The optional abilities of a contract's module that a driver has, by the names of its methods."""
    protocols = [each for each in vars(module).values() if getattr(each, "_is_protocol", False) and each.__module__ == module.__name__]
    return [each for each in protocols if all(hasattr(driver, name) for name in methods(each))]


def methods(promised: type) -> list[str]:
    """What a contract's class asks for, or an optional ability, sorted."""
    if not getattr(promised, "_is_protocol", False):
        return sorted(getattr(promised, "__abstractmethods__", ()))
    protocols = [base for base in promised.__mro__ if getattr(base, "_is_protocol", False)]
    return sorted({name for base in protocols for name in vars(base) if not name.startswith("_")})


def _refused(name: str, own: Callable[..., Any], theirs: Callable[..., Any]) -> Iterator[str]:
    """What calls of a method of the contract would fail: those with all arguments, and those with the needed ones."""
    parameters = [parameter for parameter in inspect.signature(theirs).parameters.values() if parameter.kind not in _BY_NAME]
    needed = [parameter for parameter in parameters if parameter.default is parameter.empty]
    for some in (needed, parameters):
        names = [parameter.name for parameter in some]
        if not _takes(own, names[1:] if inspect.ismethod(own) else names):  # a class method has its first argument
            yield f"cannot be called as {name}({', '.join(names[1:])})"
            return


def _takes(function: Callable[..., Any], arguments: Sequence[str]) -> bool:
    try:
        signature = inspect.signature(function)
    except ValueError:  # there is none to be seen
        return True
    try:
        signature.bind(*arguments)
    except TypeError:
        return False
    return True
