"""The user's main script, under names that mean the same in the user's program and in workers.

A script's functions and classes live in `__main__`, which in a worker is another program. A
worker loads the script under another name and lets `__main__` stand for it as well (see
`toil_core.worker.modules`); here, that other name stands for `__main__`. So what either
side pickles by name the other finds.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

from toil_core.errors import UsageError


def others(modules: Iterable[str]) -> tuple[str, ...]:
    """Those of the modules that a worker does not import with the main one; ours it has anyway."""
    from toil_core.worker.modules import MAIN

    own = {"__main__", MAIN, describe()[1]}
    return tuple(sorted(name for name in {*modules} - own if not name.startswith("toil_core.")))


def describe() -> tuple[str, str]:
    """The main script's absolute path and the main module's dotted name, as `Setup` wants them; one or both are empty."""
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is not None and not spec.name.startswith("__"):
        return "", spec.name
    file = getattr(main, "__file__", None)
    return (os.path.abspath(file), "") if file and os.path.isfile(file) else ("", "")


def import_path() -> tuple[str, ...]:
    """The folders that this program imports from, besides Python's own and those of installed packages."""
    standard = os.path.dirname(os.__file__)
    folders = (os.path.abspath(folder) for folder in sys.path)
    own = (folder for folder in folders if not folder.startswith(standard) and not folder.endswith((".zip", "site-packages", "dist-packages")))
    return tuple(dict.fromkeys(own))


def announce() -> None:
    """Let what workers pickled by name of the main script be found in this program."""
    from toil_core.worker.modules import MAIN

    main = sys.modules["__main__"]
    sys.modules.setdefault(MAIN, main)
    module = describe()[1]
    if module:
        sys.modules.setdefault(module, main)


def refuse_while_loading() -> None:
    """Called where a workflow is started.

    Raises:
        UsageError: This is a worker that is only just importing the script.
    """
    modules = sys.modules.get("toil_core.worker.modules")
    if modules is not None and modules.loading:
        raise UsageError("the script starts a workflow when it is imported; start it below `if __name__ == \"__main__\":`")
