"""What wheels need on nodes of another kind than this machine: pip looks at the markers of requirements with this machine's eyes."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from email.parser import HeaderParser
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from toil_core.errors import UsageError


def holding_there(lines: Iterable[str], there: Mapping[str, str]) -> list[str]:
    """The requirements that count on such nodes, without the markers that say so; what only pip understands is left as it is.

    Args:
        lines: Requirements.
        there: What markers mean on the nodes.
    """
    found = []
    for line in lines:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            found.append(line)
            continue
        if requirement.marker is None or requirement.marker.evaluate(dict(there)):
            requirement.marker = None
            found.append(str(requirement))
    return found


def name_of(line: str) -> str:
    """The distribution that a requirement names; empty where only pip understands it."""
    try:
        return Requirement(line).name
    except InvalidRequirement:
        return ""


def unmet(wheels: Iterable[Path], asked: Iterable[str], there: Mapping[str, str]) -> list[str]:
    """What the wheels need on such nodes and do not have among them, as requirements without markers.

    Args:
        wheels: The wheels.
        asked: The requirements that they were fetched for; their extras count.
        there: What markers mean on the nodes.

    Raises:
        UsageError: One cannot be read.
    """
    known = {canonicalize_name(path.name.split("-", 1)[0]): path for path in wheels}
    waiting = [*known, *asked]
    seen: set[str] = set()
    missing: dict[str, None] = {}
    while waiting:
        line = waiting.pop()
        if line in seen:
            continue
        seen.add(line)
        try:
            requirement = Requirement(line)
        except InvalidRequirement:  # a path, or an option of pip's: it was for pip to understand
            continue
        path = known.get(canonicalize_name(requirement.name))
        if path is None or not requirement.specifier.contains(parse_wheel_filename(path.name)[1], prereleases=True):
            missing[line] = None
            continue
        needs = _needs(path)
        waiting += [each for extra in ("", *requirement.extras) for each in holding_there(needs, {**there, "extra": extra})]
    return list(missing)


def _needs(path: Path) -> list[str]:
    """The requirements that a wheel's metadata names."""
    try:
        with zipfile.ZipFile(path) as wheel:
            name = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
            return HeaderParser().parsestr(wheel.read(name).decode(errors="replace")).get_all("Requires-Dist") or []
    except (zipfile.BadZipFile, StopIteration):
        raise UsageError(f"{path.name} was fetched, and is no whole wheel") from None
