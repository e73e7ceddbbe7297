"""What jobs and services need, in the words of scripts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import toil_core
from toil_core import sizes

from toil._graph import Links, Promise, PromisedRequirement

if TYPE_CHECKING:
    from typing import Self

T = TypeVar("T")

RESERVED = ("memory", "cores", "disk", "accelerators", "preemptible", "preemptable", "walltime", "checkpoint", "local")
"""Arguments of a wrapped function that are about its job."""


class Derived(Generic[T]):
    """A property that a script may replace by an attribute of its own.

    Args:
        get: Gives its value.
    """

    def __init__(self, get: Callable[[Any], T]) -> None:
        self._get = get
        self.__doc__ = get.__doc__

    def __get__(self, instance: Any, kind: type) -> T:
        if instance is None:
            return cast(T, self)  # as every descriptor does
        return self._get(instance)


class Requirer:
    """Something that needs a part of a machine."""

    _toil_links: Links
    _toil_needs: dict[str, Any]
    _toil_name: str

    def __new__(cls, *args: object, **kwargs: object) -> Self:
        self = super().__new__(cls)
        self._toil_links = Links()  # here, so that a subclass may forget to call __init__
        self._toil_needs = {}
        self._toil_name = ""
        return self

    def __getstate__(self) -> dict[str, Any]:
        """The attributes that a script set, and the needs; where it stands in a graph stays behind."""
        kept = {name: value for name, value in vars(self).items() if name != "_toil_links"}
        return kept | {"_toil_needs": dict(self._toil_needs)}

    def _toil_require(self, needs: Mapping[str, Any], *names: str | None) -> None:
        self._toil_needs = {name: value for name, value in needs.items() if value is not None}
        if "preemptable" in self._toil_needs:
            self._toil_needs["preemptible"] = self._toil_needs.pop("preemptable")
        self._toil_name = next((name for name in names if name), "")

    @property
    def memory(self) -> Any:
        """Bytes of memory; None where the run's default holds."""
        return self._toil_need("memory", sizes.parse_size)

    @memory.setter
    def memory(self, value: Any) -> None:
        self._toil_needs["memory"] = value

    @property
    def disk(self) -> Any:
        """Bytes of temporary disk; None where the run's default holds."""
        return self._toil_need("disk", sizes.parse_size)

    @disk.setter
    def disk(self, value: Any) -> None:
        self._toil_needs["disk"] = value

    @property
    def cores(self) -> Any:
        """Processor cores; None where the run's default holds."""
        return self._toil_need("cores", _cores)

    @cores.setter
    def cores(self, value: Any) -> None:
        self._toil_needs["cores"] = value

    @property
    def accelerators(self) -> Any:
        """Devices; None where the run's default holds."""
        return self._toil_need("accelerators", lambda value: value)

    @accelerators.setter
    def accelerators(self, value: Any) -> None:
        self._toil_needs["accelerators"] = value

    @property
    def preemptible(self) -> Any:
        """Whether a machine that may be taken away will do; None where the run's default holds."""
        return self._toil_need("preemptible", bool)

    @preemptible.setter
    def preemptible(self, value: Any) -> None:
        self._toil_needs["preemptible"] = value

    preemptable = preemptible

    @property
    def walltime(self) -> Any:
        """Seconds after which it is ended; None where the run's default holds."""
        return self._toil_need("walltime", sizes.parse_duration, "wall_time")

    @walltime.setter
    def walltime(self, value: Any) -> None:
        self._toil_needs["walltime"] = value

    @property
    def checkpoint(self) -> bool:
        """Whether it runs again when something below it fails for good."""
        return bool(self._toil_needs.get("checkpoint"))

    @checkpoint.setter
    def checkpoint(self, value: Any) -> None:
        self._toil_needs["checkpoint"] = value

    @Derived
    def jobName(self) -> str:
        """What people call it."""
        return self._toil_name or type(self).__name__

    displayName = unitName = jobName

    def _toil_core_needs(self) -> dict[str, Any]:
        """The same as toil-core wants it."""
        needs = {"name": self.jobName} | {name: _promised(self._toil_needs[name]) for name in ("memory", "cores", "disk") if name in self._toil_needs}
        if self._toil_needs.get("accelerators") is not None:
            needs["accelerators"] = _promised(_devices(self._toil_needs["accelerators"]))
        if self._toil_needs.get("walltime"):  # 0 is no limit
            needs["wall_time"] = _promised(self._toil_needs["walltime"])
        for name in ("preemptible", "checkpoint", "local"):
            if self._toil_needs.get(name) is not None:
                needs[name] = _flag(self._toil_needs[name])
        return needs

    def _toil_need(self, name: str, parse: Callable[[Any], Any], core_name: str = "") -> Any:
        running = self._toil_links.running
        value = self._toil_needs.get(name) if running is None else getattr(running.requirements, core_name or name)
        return value if value is None or isinstance(value, (Promise, PromisedRequirement)) else parse(value)

    def __repr__(self) -> str:
        return f"'{self.jobName}'"


def _cores(value: Any) -> float | int:
    cores = sizes.parse_cores(value)
    return int(cores) if cores.is_integer() else cores


def _promised(value: Any) -> Any:
    if isinstance(value, Promise):
        return PromisedRequirement(value).of_core()
    return value.of_core() if isinstance(value, PromisedRequirement) else value


def _flag(value: Any) -> bool:
    return value.lower() in ("true", "1", "yes") if isinstance(value, str) else bool(value)


def _devices(value: Any) -> Any:
    if isinstance(value, Mapping):
        return toil_core.Accelerator(**value)
    if isinstance(value, (list, tuple)):
        return [_devices(each) if isinstance(each, Mapping) else str(each) for each in value]
    return value
