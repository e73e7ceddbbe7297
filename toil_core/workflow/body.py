"""The body of a job: what a worker calls, and with what."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from pickle import loads
from types import ModuleType
from typing import Any, cast

from toil_core.errors import UsageError
from toil_core.wire.jobs import Span
from toil_core.workflow import pickling
from toil_core.workflow.job import FunctionJob, Job, JobFunction, takes_job
from toil_core.workflow.pickling import Whole, Writer
from toil_core.workflow.running import Running

Packed = tuple[Span, int, tuple[str, ...]]


class Packer:
    """Pickles the bodies of jobs into one payload.

    A function's body is `(function, arguments, keyword arguments)`, where the function is
    `module:name` or travels whole; an object's is `(class, state)`.

    Args:
        writer: Pickles them.
        ids: For each job by `id(job)`, its id in the graph.
    """

    def __init__(self, writer: Writer, ids: Mapping[int, str]) -> None:
        self._writer = writer
        self._ids = ids
        self._whole: dict[int, tuple[Whole, tuple[str, ...]]] = {}

    def add(self, node: Job[Any]) -> Packed:
        """Pickle a job's body: where it lies, its CRC-32, and the producers that it needs.

        Raises:
            NotPicklable: Something in it cannot be sent; names the argument and the part.
            UnknownJob: It holds a promise of a job that has no id.
        """
        if not isinstance(node, FunctionJob):
            name = node.name
            body = (type(node), node._toil_state(self._ids))
            return self._writer.add(body, lambda: _parts_of_object(name, body))
        function = node.function
        if function.reference is None:
            function.reference = pickling.find_reference(function)
        reference = function.reference or pickling.find_reference(function.function)  # `job(function)` of one made elsewhere
        if reference is not None:
            return self._writer.add((reference, node.args, node.kwargs), lambda: _parts_of_call(node))
        whole, needs = self._whole.get(id(function)) or self._pack_whole(function)
        span, crc, more = self._writer.add((whole, node.args, node.kwargs), lambda: _parts_of_call(node))
        return span, crc, tuple(dict.fromkeys(needs + more))

    def _pack_whole(self, function: JobFunction[..., Any]) -> tuple[Whole, tuple[str, ...]]:
        writer = Writer(self._ids)
        inner: object = function.function
        _, _, needs = writer.add(inner, lambda: [(f"the function of job '{function.name}'", inner)])
        found = self._whole[id(function)] = Whole(writer.payload()), needs
        return found


def home_of(node: Job[Any]) -> str:
    """The module that defines the job."""
    made = node.function.function if isinstance(node, FunctionJob) else type(node)
    return getattr(made, "__module__", None) or "__main__"


def unpack(
    data: bytes, values: Mapping[str, bytes], running: Running
) -> tuple[Job[Any] | None, Callable[..., Any], Sequence[Any], Mapping[str, Any]]:
    """What runs when a job runs.

    Args:
        data: The body.
        values: The values of all producers that it needs, directly or not.
        running: The attempt, which the running job will know.

    Returns:
        The running job (None when its function does not take it, so nothing can be added to it),
        and what to call with which arguments, with values in the place of promises.

    Raises:
        UsageError: The worker does not find the function.
        LookupError: A promise's path leads nowhere in the value.
        Exception: Whatever unpickling raises.
    """
    body = pickling.load(data, values) if values else loads(data)
    if len(body) == 2:
        kind, state = body
        revived = revive(kind, state)
        revived._toil_running = running
        return revived, revived.run, (), {}
    function, args, kwargs = body
    if type(function) is str:
        function, wants_job = _found.get(function) or _find(function)
    else:
        wants_job = takes_job(function)
    if not wants_job:
        return None, function, args, kwargs
    node = RunningJob.__new__(RunningJob)
    node._toil_running = running
    return node, function, (node, *args), kwargs


class RunningJob(Job[Any]):
    """The job that a function runs in, given to it as its parameter `job`."""

    @property
    def name(self) -> str:
        """What people call the job."""
        return self._when_running("name").kind.name


_found: dict[str, tuple[Callable[..., Any], bool]] = {}


def find_function(reference: str) -> Callable[..., Any]:
    """The user's function that is found under `module:name` here.

    Raises:
        UsageError: There is none.
    """
    return (_found.get(reference) or _find(reference))[0]


def know_functions() -> None:
    """Find the functions of jobs that the main module has, or a module that it has imported, before they are asked for."""
    main = sys.modules["__main__"]
    for module in (main, *(value for value in vars(main).values() if isinstance(value, ModuleType))):
        for value in list(vars(module).values()):
            if type(value) is JobFunction and (reference := pickling.find_reference(value) or pickling.find_reference(value.function)):
                _find(reference)
                if reference.startswith("__mp_main__:"):  # what the user's program calls `__main__`
                    _find(f"__main__:{value.__qualname__}")


def _find(reference: str) -> tuple[Callable[..., Any], bool]:
    module, _, name = reference.partition(":")
    found: Any = sys.modules.get(module) or import_module(module)
    home = getattr(found, "__file__", None) or module
    try:
        for part in name.split("."):
            found = getattr(found, part)
    except AttributeError:
        raise UsageError(f"the worker finds no function {name} in {home}") from None
    function = found.function if isinstance(found, JobFunction) else found
    _found[reference] = function, takes_job(function)
    return _found[reference]


def revive(kind: type[Job[Any]], state: Any) -> Job[Any]:
    """The job of that class with that state, as `Job.__getstate__` gave it.

    Args:
        kind: The class.
        state: The state.
    """
    node = Job.__new__(kind)
    setter = getattr(node, "__setstate__", None)
    if setter is not None:
        setter(state)
    else:
        attributes, slots = state if isinstance(state, tuple) else (state, None)
        node.__dict__.update(attributes or {})
        for name, value in (slots or {}).items():
            setattr(node, name, value)
    return node


def _parts_of_call(node: FunctionJob[Any]) -> Iterator[tuple[str, object]]:
    for place, value in enumerate(node.args):
        yield f"{_argument(node, place)} of job '{node.name}'", value
    for name, value in node.kwargs.items():
        yield f"argument '{name}' of job '{node.name}'", value


def _argument(node: FunctionJob[Any], place: int) -> str:
    from inspect import Parameter, signature

    function = node.function.function
    try:
        parameters = list(signature(function).parameters.values())[takes_job(function) :]
    except (TypeError, ValueError):
        parameters = []
    named = [parameter.name for parameter in parameters if parameter.kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)]
    return f"argument '{named[place]}'" if place < len(named) else f"argument {place + 1}"


def _parts_of_object(name: str, body: tuple[type, Any]) -> Iterator[tuple[str, object]]:
    yield f"the class of job '{name}'", body[0]
    state = body[1]
    attributes = state if isinstance(state, dict) else cast("dict[str, Any]", state[0] or {}) if isinstance(state, tuple) else {}
    for attribute, value in attributes.items():
        yield f"attribute '{attribute}' of job '{name}'", value
    yield f"the state of job '{name}'", state
