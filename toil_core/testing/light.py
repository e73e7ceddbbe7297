"""Hook modules are imported at every start, so they must stay light: a check for plugin authors' tests."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points


def check_hooks_are_light(name: str, allowed: tuple[str, ...] = ("toil_core", "pluggy"), modules: int = 200) -> None:
    """Fail if importing a plugin's hooks pulls in anything but the core.

    Args:
        name: The plugin's entry point in the group `toil`.
        allowed: Top-level modules it may import besides its own and the standard library's.
        modules: How many modules may be loaded in all.

    Raises:
        AssertionError: It is not installed, imports something else, or too much.
    """
    found = [entry for entry in entry_points(group="toil") if entry.name == name]
    assert len(found) == 1, f"{len(found)} plugins are named {name!r}; is it installed?"
    code = f"import sys; before = set(sys.modules); import {found[0].module}; print(*sys.modules.keys() - before)"
    seen = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    tops = {module.partition(".")[0] for module in seen}
    heavy = tops - sys.stdlib_module_names - {found[0].module.partition(".")[0], *allowed}
    assert not heavy, f"{found[0].module} imports {', '.join(sorted(heavy))}; import them where they are used"
    assert len(seen) <= modules, f"{found[0].module} imports {len(seen)} modules; {modules} are allowed"
