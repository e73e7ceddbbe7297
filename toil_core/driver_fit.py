"""Whether a plugin's driver has what its contract asks for: told when it is chosen, before a call of it fails."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
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
    module, contract = _CONTRACTS[kind]
    for fault in _faults(driver, getattr(import_module(module), contract), ["REST", "CONFIG"] if kind == "job_store" else ["CONFIG"]):
        raise NoSuchDriver(f"{called} {name!r} cannot be used: {target} {fault}; see {module}.{contract}")
    return driver


def _faults(driver: Any, contract: type, given: Sequence[str]) -> Iterator[str]:
    if not callable(driver):
        yield "is no class"
        return
    if isinstance(driver, type) and issubclass(driver, contract):
        missing: Sequence[str] = sorted(getattr(driver, "__abstractmethods__", ()))
        if missing:
            yield f"has no {' and no '.join(missing)}"
        for name in sorted(getattr(contract, "__abstractmethods__", ())):
            if name not in missing and callable(own := getattr(driver, name)):
                yield from _refused(name, own, getattr(contract, name))
    if not _takes(driver, given):
        yield f"cannot be made by {getattr(driver, '__name__', 'it')}({', '.join(given)})"


def _refused(name: str, own: Callable[..., Any], theirs: Callable[..., Any]) -> Iterator[str]:
    """What calls of a method of the contract would fail: those with all arguments, and those with the needed ones."""
    parameters = [parameter for parameter in inspect.signature(theirs).parameters.values() if parameter.kind not in _BY_NAME]
    needed = [parameter for parameter in parameters if parameter.default is parameter.empty]
    for some in (needed, parameters):
        if not _takes(own, [parameter.name for parameter in some]):
            yield f"cannot be called as {name}({', '.join(parameter.name for parameter in some[1:])})"
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
