"""A user's file that bears the name of a module that the engine imports: Python takes the file in its place.

Here nothing is imported at the top but what Python itself has loaded before any file can hide it.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType, TracebackType

_NEEDED = frozenset({"argcomplete", "cloudpickle", "msgspec", "packaging", "pathspec", "pluggy", "rich", "stevedore"})
"""Top-level names of what the engine needs besides Python's own modules."""


def leave_if_hidden(error: Exception) -> None:
    """End the program with one line when an error of the engine's imports comes from a file that hides a module.

    Args:
        error: What was raised by the engine; it goes on when this returns.

    Raises:
        SystemExit: With 2, for the user must rename the file.
    """
    for name, place in _modules(error):
        top = name.partition(".")[0]
        file = _hiding(top, place)
        if file:
            program = sys.argv[0].rpartition("/")[2] if sys.argv else ""
            whose = f"the module {top!r} that toil-core needs" if top in _NEEDED else f"Python's own module {top!r}"
            print(f"{program or 'toil'}: {file} hides {whose}: rename the file", file=sys.stderr)
            raise SystemExit(2) from None


def _modules(error: Exception) -> Iterator[tuple[str, str]]:
    """Names and files of the modules that an error speaks of or came through."""
    if isinstance(error, ImportError) and error.name:
        yield error.name, error.path or _file(sys.modules.get(error.name.partition(".")[0]))
    if isinstance(error, AttributeError) and isinstance(error.obj, type(sys)):
        yield error.obj.__name__, _file(error.obj)
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        known = trace.tb_frame.f_globals
        yield str(known.get("__name__")), str(known.get("__file__"))
        trace = trace.tb_next


def _file(module: ModuleType | None) -> str:
    return str(getattr(module, "__file__", None) or "")


def _hiding(name: str, place: str) -> str:
    """The file, if it is found before Python's own folder where a program imports from; else empty."""
    if not (name in sys.stdlib_module_names or name in _NEEDED):
        return ""
    own = os.path.dirname(os.__file__)
    for folder in sys.path:
        folder = os.path.abspath(folder)
        if folder == own:
            break
        if os.path.abspath(place).startswith((os.path.join(folder, f"{name}."), os.path.join(folder, name, ""))):
            return os.path.abspath(place)
    return ""
