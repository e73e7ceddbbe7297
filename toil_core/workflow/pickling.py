"""Sending jobs and values to other processes.

Importable functions and classes travel by name, everything else whole. A job or a promise
that is met anywhere inside becomes a reference to its producer's id; `load` puts the
producer's value in its place.
"""

from __future__ import annotations

import pickle
import sys
import zlib
from collections.abc import Callable, Iterable, Mapping
from functools import cache, lru_cache
from io import BytesIO
from types import FunctionType
from typing import TYPE_CHECKING, Any

from toil_core.errors import NotPicklable, ToilError
from toil_core.workflow.job import Job, JobFunction
from toil_core.workflow.promise import Known, Promise, follow

if TYPE_CHECKING:
    from toil_core.wire.jobs import Span

PROTOCOL = 5
_DEPTH = 50
"""How many values deep promises are resolved by recursion before it is unwound and goes on from there."""


class UnknownJob(Exception):
    """A promise of a job that has no id was met.

    Args:
        job: The job.
    """

    def __init__(self, job: Job[Any]) -> None:
        super().__init__(f"{job!r} has no id")
        self.job = job


class _MustTravelWhole(Exception):
    """Something was met that cannot be imported elsewhere."""


class Writer:
    """Pickles objects one after another into one payload, and notes which promises each holds.

    Args:
        ids: For each job by `id(job)` (whatever equality its class defines), its id in the graph.
    """

    def __init__(self, ids: Mapping[int, str]) -> None:
        self._ids = ids
        self._buffer = BytesIO()
        self._pickler = _Pickler(self._buffer, self)
        self._needs: dict[str, None] = {}
        self.main_by_name = main_from_file()

    def add(self, value: object, parts: Callable[[], Iterable[tuple[str, object]]]) -> tuple[Span, int, tuple[str, ...]]:
        """Pickle an object.

        Args:
            value: The object.
            parts: Gives what it consists of, each part with its name in errors.

        Returns:
            Where its bytes lie in the payload, their CRC-32, and the ids of the jobs whose
            promises it holds.

        Raises:
            NotPicklable: It cannot be sent; says which part of it.
            UnknownJob: It holds a promise of a job that has no id.
        """
        buffer, start = self._buffer, self._buffer.tell()
        if self._needs:
            self._needs = {}
        self._pickler.clear_memo()
        try:
            self._pickler.dump(value)
        except (ToilError, UnknownJob):
            raise
        except Exception:  # noqa: BLE001 - users' own methods raise anything
            self._restart(start)
            self._add_whole(value, parts)
        stop = buffer.tell()
        with buffer.getbuffer() as view:
            crc = zlib.crc32(view[start:stop])
        return (start, stop), crc, tuple(self._needs)

    def payload(self) -> bytes:
        """Everything pickled so far."""
        return self._buffer.getvalue()

    def refer(self, promise: Promise[Any]) -> tuple[Any, ...]:
        """How a promise is pickled."""
        job = promise.job
        producer = self._ids.get(id(job))
        if producer is None:
            raise UnknownJob(job)
        return self.refer_to(producer, job.name, *promise.path)

    def refer_to(self, producer: str, name: str, *path: Any) -> tuple[Any, ...]:
        """How the promise of a job with that id and that name is pickled."""
        self._needs[producer] = None
        return promised, (producer, name, *path)

    def _restart(self, start: int) -> None:
        self._buffer.seek(start)
        self._buffer.truncate()
        self._needs = {}

    def _add_whole(self, value: object, parts: Callable[[], Iterable[tuple[str, object]]]) -> None:
        start = self._buffer.tell()
        try:
            self._dump_whole(value, self._buffer)
        except (ToilError, UnknownJob):
            raise
        except Exception as error:
            from toil_core.workflow.unpicklable import explain

            self._restart(start)
            raise NotPicklable(explain(parts(), error, lambda part: self._dump_whole(part, BytesIO()))) from error

    def _dump_whole(self, value: object, buffer: BytesIO) -> None:
        _whole_pickler()(buffer, self).dump(value)


class Whole:
    """An object that was pickled on its own; unpickling it gives the object.

    Args:
        data: Its pickle.
    """

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data

    def __reduce__(self) -> tuple[Any, ...]:
        return pickle.loads, (self.data,)


def _reduce(writer: Writer, obj: Any) -> Any:
    """What both picklers do with objects that are not of built-in types."""
    if isinstance(obj, Promise):
        return writer.refer(obj)
    if isinstance(obj, Job):
        return writer.refer(obj.rv())  # of another job, when it stands for one
    if isinstance(obj, Known):
        return writer.refer_to(obj.id, obj.name)
    if isinstance(obj, (FunctionType, type)) and obj.__module__ == "__main__" and not (writer.main_by_name and _is_in_file(obj)):
        raise _MustTravelWhole
    return NotImplemented


class _Pickler(pickle.Pickler):
    """The fast one: everything by name."""

    def __init__(self, buffer: BytesIO, writer: Writer) -> None:
        super().__init__(buffer, PROTOCOL)
        self._writer = writer

    def reducer_override(self, obj: Any) -> Any:
        return _reduce(self._writer, obj)


@cache
def _whole_pickler() -> type[Any]:
    """The slow one: what cannot be imported elsewhere travels whole."""
    import cloudpickle  # type: ignore[import-untyped]

    class WholePickler(cloudpickle.Pickler):  # type: ignore[misc]
        def __init__(self, buffer: BytesIO, writer: Writer) -> None:
            super().__init__(buffer, PROTOCOL)
            self._writer = writer

        def reducer_override(self, obj: Any) -> Any:
            try:
                reduced = _reduce(self._writer, obj)
            except _MustTravelWhole:
                return super().reducer_override(obj)
            if reduced is not NotImplemented:
                return reduced
            if isinstance(obj, (FunctionType, type)) and find_reference(obj):
                return NotImplemented
            return super().reducer_override(obj)

    return WholePickler


def main_from_file() -> bool:
    """Whether the main module is a file, which workers can load too."""
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    return file is not None and _is_file(file)


@lru_cache(maxsize=16)
def _is_file(path: str) -> bool:
    import os

    return os.path.isfile(path)


def _is_in_file(obj: FunctionType | type) -> bool:
    """False for a function typed in at a prompt after a script was loaded."""
    return not (isinstance(obj, FunctionType) and obj.__code__.co_filename.startswith("<"))


def find_reference(obj: Any) -> str | None:
    """`module:name` when a worker that imports the module finds the object, or the job function made of it, under the name."""
    module, name = getattr(obj, "__module__", None), getattr(obj, "__qualname__", None)
    if module is None or name is None or module not in sys.modules:
        return None
    inner: Any = obj.function if isinstance(obj, JobFunction) else obj
    if module == "__main__" and not (main_from_file() and _is_in_file(inner)):
        return None
    found: Any = sys.modules[module]
    try:
        for part in name.split("."):
            found = getattr(found, part)
    except AttributeError:
        return None
    if found is obj or (isinstance(found, JobFunction) and found.function is inner):
        return f"{module}:{name}"
    return None


def load(data: bytes, values: Mapping[str, bytes]) -> Any:
    """The object that was pickled, with values in the place of promises.

    Args:
        data: The object as `Writer` pickled it.
        values: By producer, the pickled values that it and they hold promises of. Each is
            unpickled once, so two promises of one job are one object, as in a plain call.

    Raises:
        LookupError: A promise's path leads nowhere in the value.
        Exception: Whatever unpickling raises.
    """
    if not values:
        return pickle.loads(data)
    return _Values(values).load(data)


class _Values:
    """Values by producer, unpickled when they are first asked for."""

    def __init__(self, encoded: Mapping[str, bytes]) -> None:
        self._encoded = encoded
        self._ready: dict[str, Any] = {}
        self._depth = 0

    def load(self, data: bytes) -> Any:
        global _resolving
        outer, _resolving = _resolving, self
        try:
            while True:
                try:
                    return pickle.loads(data)
                except _TooDeep as deep:
                    self._settle(deep.id)
        finally:
            _resolving = outer

    def get(self, id: str) -> Any:
        try:
            return self._ready[id]
        except KeyError:
            if self._depth == _DEPTH:
                raise _TooDeep(id) from None
        data = self._encoded.get(id)
        if data is None:
            raise LookupError(f"the value of job {id} was not given to this attempt")
        self._depth += 1
        try:
            value = self._ready[id] = pickle.loads(data)
        finally:
            self._depth -= 1
        return value

    def _settle(self, id: str) -> None:
        """Get a value that others hold promises of, with as little recursion as may be."""
        waiting = [id]
        while waiting:
            self._depth = 0
            try:
                self.get(waiting[-1])
                waiting.pop()
            except _TooDeep as deep:
                waiting.append(deep.id)
        self._depth = 0


class _TooDeep(BaseException):
    """Unwinds recursion; no user's `except Exception` may stop it."""

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.id = id


_resolving: _Values | None = None


def promised(id: str, name: str, *path: Any) -> Any:
    """Called by unpickling where a promise was: the value, or the part of it that is meant."""
    if _resolving is None:
        raise LookupError(f"the value of job '{name}' ({id}) was not given to this attempt")
    value = _resolving.get(id)
    return follow(value, path, name) if path else value
