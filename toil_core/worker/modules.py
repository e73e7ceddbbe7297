"""Loading the user's modules into a fork server, so that attempts find them warm."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from types import ModuleType
from typing import Any, cast

from toil_core.errors import BadOption, UsageError
from toil_core.wire.work import Setup
from toil_core.worker.procfs import threads
from toil_core.worker.runner import Runner

MAIN = "__mp_main__"
"""The name that the user's script has in workers, so that its `if __name__ == "__main__"` does not run."""

loading = False
"""Whether a fork server is importing the user's modules: no workflow may be started now."""


def load(setup: Setup) -> Runner:
    """Import the user's main module, those others that define jobs, and the runner.

    The main module is also known as `__main__` afterwards, so that what was pickled by
    reference there is found here.

    Returns:
        The runner.
    """
    global loading
    sys.path[:0] = setup.path
    loading = True
    try:
        with _spared_fork_handlers():
            if setup.code is not None:
                _claim(setup.code.namespaces, setup.path)
            if setup.script:
                _script(setup.script)
            elif setup.module:
                sys.modules["__main__"] = sys.modules[MAIN] = import_module(setup.module)
            for other in setup.modules:
                with suppress(Exception, SystemExit):  # a job that needs it will say why
                    import_module(other)
            module, _, name = setup.runner.partition(":")
            home = import_module(module)
            if prepare := getattr(home, "prepare", None):
                prepare(setup)
            return cast(Runner, getattr(home, name))
    finally:
        loading = False


def _script(path: str) -> None:
    module = ModuleType(MAIN)
    module.__file__ = path
    sys.modules["__main__"] = sys.modules[MAIN] = module
    with open(path, "rb") as file:
        exec(compile(file.read(), path, "exec"), module.__dict__)  # noqa: S102 - running the user's script is the point


def explain(error: BaseException, setup: Setup) -> str:
    """Why the user's modules cannot be loaded, in a line, with what to do about it."""
    line = " ".join(f"{type(error).__name__}: {error}".split())
    if isinstance(error, (SystemExit, BadOption)):
        line = str(error) if isinstance(error, BadOption) else line
        return f"{line}; the script reads a command line, or ends, when it is imported; do that below `if __name__ == \"__main__\":`"
    if isinstance(error, UsageError):
        return str(error)
    if isinstance(error, ModuleNotFoundError) and setup.code is not None:
        return (
            f"{line}; it was not sent with the workflow's code, and is not installed on this worker: "
            "name it with --python-requirements, or look whether a .toilignore file lists it"
        )
    if isinstance(error, ModuleNotFoundError):
        return f"{line}; this worker cannot import it, and no code was sent"
    if isinstance(error, FileNotFoundError) and setup.code is None and error.filename == setup.script:
        return f"{line}; this worker has not the leader's files, and no code was sent"
    return line


def _claim(namespaces: Iterable[str], path: Sequence[str]) -> None:
    """Let these packages be namespaces, although what is installed may know a package of that name with an `__init__.py`."""
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    for name in namespaces:
        spec = PathFinder.find_spec(name, path)
        if spec is None or spec.origin is not None or spec.submodule_search_locations is None:
            continue
        known = sys.modules.get(name)
        if known is not None and getattr(known, "__file__", None) is None:
            if isinstance(known.__path__, list):  # made by a `.pth` file; others look at `sys.path` again
                known.__path__[:0] = spec.submodule_search_locations
            continue
        installed = PathFinder.find_spec(name)
        if installed is not None and installed.origin is not None:
            for module in [module for module in sys.modules if module == name or module.startswith(f"{name}.")]:
                del sys.modules[module]
            sys.modules[name] = module_from_spec(spec)


@contextmanager
def _spared_fork_handlers() -> Iterator[None]:
    """Leave out what threading and logging would do in every forked process.

    They repair locks that other threads may have held. In a process with one thread there are
    none, and their work would be a fifth of the cost of an attempt.
    """
    register: Callable[..., None] = os.register_at_fork
    spared: list[dict[str, Any]] = []

    def filtered(**handlers: Any) -> None:
        owners = {getattr(handler, "__module__", "") for handler in handlers.values()}
        if owners <= {"threading", "logging"}:
            spared.append(handlers)
        else:
            register(**handlers)

    setattr(os, "register_at_fork", filtered)  # noqa: B010
    try:
        yield
    finally:
        setattr(os, "register_at_fork", register)  # noqa: B010
        if threads() > 1:
            for handlers in spared:
                register(**handlers)
