"""Finding which part of an object cannot be pickled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import FunctionType
from typing import Any

from toil_core.workflow.job import JobFunction

_DEEPEST = 30
_MOST = 2000
"""How many parts are tried before the nearest culprit found so far is blamed."""


def explain(parts: Iterable[tuple[str, object]], error: Exception, pickle: Callable[[object], object]) -> str:
    """Which part of an object cannot be pickled, where in it the culprit lies, and why, in a line.

    Args:
        parts: What the object consists of, each part with its name.
        error: What pickling the object raised.
        pickle: Tries to pickle a part.
    """
    name = ""
    for name, part in parts:
        try:
            pickle(part)
        except Exception as inner:  # noqa: BLE001 - users' own methods raise anything
            path, why = _blame(part, inner, pickle)
            return ": ".join(text for text in (name, path.strip(), why) if text)
    return f"{name}: {_cause(error)}"


def _blame(value: Any, error: Exception, pickle: Callable[[object], object]) -> tuple[str, str]:
    path, seen, left = "", {id(value)}, _MOST
    for _ in range(0 if _is_too_deep(error) else _DEEPEST):
        for step, part in _parts(value):
            left -= 1
            if left < 0 or id(part) in seen:
                continue
            seen.add(id(part))
            try:
                pickle(part)
            except Exception as inner:  # noqa: BLE001 - users' own methods raise anything
                value, error, path = part, inner, path + step
                break
        else:
            break
    return path, _cause(error)


def _cause(error: Exception) -> str:
    if _is_too_deep(error):
        return "it is nested too deeply to be pickled"
    return (str(error) or type(error).__name__).partition("\n")[0]


def _is_too_deep(error: BaseException) -> bool:
    return isinstance(error, RecursionError) or isinstance(error.__cause__ or error.__context__, RecursionError)


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield f" key {key!r}", key
            yield f"[{key!r}]", item
    elif isinstance(value, (list, tuple, set, frozenset)):
        for place, item in enumerate(value):
            yield f"[{place}]", item
    elif isinstance(value, JobFunction):
        yield "", value.function
    elif isinstance(value, FunctionType):
        yield from _of_function(value)
    elif not isinstance(value, type):
        yield from ((f".{name}", item) for name, item in _attributes(value))


def _of_function(function: FunctionType) -> Iterator[tuple[str, Any]]:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield f" variable '{name}'", cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    for name in function.__code__.co_names:
        if name in function.__globals__:
            yield f" global '{name}'", function.__globals__[name]


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    try:
        yield from vars(value).items()
    except TypeError:
        for kind in type(value).__mro__:
            slots = kind.__dict__.get("__slots__", ())
            for name in (slots,) if isinstance(slots, str) else slots:
                if hasattr(value, name):
                    yield name, getattr(value, name)
