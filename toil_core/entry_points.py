"""The entry points of all that is installed and plugs in, and what of it `TOIL_DISABLE_PLUGINS` leaves out."""

from __future__ import annotations

import os
import re
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

HOOKS = "toil"
"""The group of light modules with hooks."""
KINDS = {
    "job_store": "job store",
    "batch_system": "batch system",
    "provisioner": "provisioner",
    "sync_transport": "transport",
    "engine": "engine",
}
"""The kinds of drivers, each with a group `toil.KIND`, and what people call them."""


def entry_points(group: str) -> list[EntryPoint]:
    """The entry points of a group, without those of disabled plugins."""
    return [entry for entry in in_group(group) if not disabled(entry)]


@cache
def in_group(group: str) -> tuple[EntryPoint, ...]:
    """The entry points of a group, disabled or not."""
    return tuple(_all_entry_points().select(group=group))  # to look through all that is installed takes long


def pluggable() -> list[EntryPoint]:
    """Everything that is installed and plugs in, disabled or not."""
    return [entry for group in (HOOKS, *(f"toil.{kind}" for kind in KINDS)) for entry in in_group(group)]


def distribution(entry: EntryPoint) -> tuple[str, str]:
    """Name and version of what brings an entry point; empty when nobody knows."""
    return (entry.dist.name, entry.dist.version) if entry.dist else ("", "")


def disabled(entry: EntryPoint) -> bool:
    """Whether an entry point is left out."""
    blocked = _blocked()
    whose = _normal(distribution(entry)[0]) if blocked else "core"
    if whose == "core":  # without the core's own part there is no program
        return False
    return whose in blocked or (entry.group == HOOKS and _normal(entry.name) in blocked)


def any_disabled(name: str) -> bool:
    """Whether a distribution of that name is installed and something of it is left out."""
    return _normal(name) in {_normal(distribution(entry)[0]) for entry in pluggable() if disabled(entry)}


def warn_of_unknown() -> None:
    """Say on standard error which names in `TOIL_DISABLE_PLUGINS` no plugin has."""
    unknown = _blocked()
    if not unknown:
        return
    entries = pluggable()
    distributions = {_normal(distribution(entry)[0]) for entry in entries}
    unknown -= distributions | {_normal(entry.name) for entry in entries if entry.group == HOOKS}
    if unknown:
        known = ", ".join(sorted(distributions - {"core"})) or "none"
        print(f"toil: warning: TOIL_DISABLE_PLUGINS names no plugin: {', '.join(sorted(unknown))} (installed: {known})", file=sys.stderr)


@cache
def _all_entry_points() -> Any:
    import importlib.metadata

    return importlib.metadata.entry_points()


def _blocked() -> set[str]:
    """What `TOIL_DISABLE_PLUGINS` names."""
    return {_normal(name) for name in os.environ.get("TOIL_DISABLE_PLUGINS", "").split(",")} - {""}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip()).lower().removeprefix("toil-")
