"""Bundles: all that nodes of a cluster need in one file, made once, so that neither this machine nor a node asks a package registry at a launch."""

from __future__ import annotations

import hashlib
import json
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from toil_core import __version__
from toil_core.cluster import wheels
from toil_core.cluster.bundle import NodeKind, add_plainly, cache_folder, kept_wheel, python_version, requirement_lines
from toil_core.cluster.wheel_needs import holding_there, name_of, unmet
from toil_core.errors import ToilError, UsageError
from toil_core.sizes import count

_ABOUT = "bundle.json"
_PYTHON = re.compile(r"3\.[0-9]{1,2}")
_PLATFORM = re.compile(r"(manylinux|musllinux|linux)[a-z0-9_]*_(x86_64|aarch64|ppc64le|s390x|riscv64|i686|armv7l)")


class Bundle(msgspec.Struct, frozen=True):
    """What a bundle says of itself.

    Args:
        name: A hash of its contents, which the image on nodes is named by.
        engine: What runs on the cluster.
        python: The version of Python that it is for, `3.11`.
        machine: The kind of processor that it is for, as `uname -m` says.
        version: The version of toil-core in it.
        distributions: Name and version of each distribution.
    """

    name: str
    engine: str
    python: str
    machine: str
    version: str
    distributions: tuple[tuple[str, str], ...]

    @property
    def kind(self) -> NodeKind:
        """The nodes that it is for."""
        return NodeKind(self.python, self.machine)


@dataclass(frozen=True)
class Wanted:
    """What shall be packed.

    Args:
        engine: The engine's name.
        needed: What the engine's nodes need, as pip takes it.
        requirements: Path of a requirements file of the user.
        python: The version of Python on nodes; empty for this one's.
        platform: The platform tag of nodes, as pip takes it; empty for this machine's.
    """

    engine: str
    needed: Sequence[str]
    requirements: Path | None = None
    python: str = ""
    platform: str = ""

    def __post_init__(self) -> None:
        if self.python and not _PYTHON.fullmatch(self.python):
            raise UsageError(f"--python: {self.python!r} is no version of Python; write 3.12 for example")
        if self.platform and not _PLATFORM.fullmatch(self.platform):
            raise UsageError(f"--platform: {self.platform!r} is no platform of Linux that pip knows; write manylinux_2_28_x86_64 or manylinux_2_28_aarch64 for example")

    @property
    def is_here(self) -> bool:
        """Whether nodes are like this machine, so that what is installed here works there."""
        return not self.platform and self.python in ("", python_version())

    @property
    def kind(self) -> NodeKind:
        """The nodes that it is for."""
        match = _PLATFORM.fullmatch(self.platform)
        return NodeKind(self.python or python_version(), match[2] if match else platform.machine())


def make(wanted: Wanted, path: Path, tell: Callable[[str], None]) -> Bundle:
    """Make a bundle.

    Args:
        wanted: What shall be in it.
        path: Where; a file that is there is replaced.
        tell: Shows a line to the user.

    Raises:
        UsageError: Something cannot be had for such nodes, or the file cannot be written.
    """
    lines = list(requirement_lines(wanted.requirements))
    with tempfile.TemporaryDirectory(prefix="toil-bundle-") as name:
        folder = Path(name)
        (_pack_what_is_here if wanted.is_here else _pack_for_others)(wanted, lines, folder, tell)
        about = _about(wanted, folder)
        new = path.with_name(f".{path.name}.new")
        try:
            with tarfile.open(new, "w") as tar:
                for each in (folder / _ABOUT, *sorted(folder.glob("*.whl"))):
                    add_plainly(tar, each)
            new.replace(path)
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror}") from None
        finally:
            new.unlink(missing_ok=True)
    return about


def read(path: Path) -> Bundle:
    """What a bundle says of itself.

    Raises:
        UsageError: It is none, or is one of another version of this program.
    """
    try:
        found = _told_by(path)
    except OSError as error:
        raise UsageError(f"--bundle: {path} cannot be read: {error.strerror or error}") from None
    if found is None:
        raise UsageError(f"--bundle: {path} is no bundle; `toil bundle FILE` makes one")
    if found.version != __version__:
        raise UsageError(f"--bundle: {path} has toil-core {found.version}, and this is {__version__}; `toil bundle {path}` makes it anew")
    return found


def check_target(path: Path) -> None:
    """Make sure that a bundle can be written there, and that nothing is lost by it.

    Raises:
        UsageError: It is a folder or in none, or something else than a bundle is there.
    """
    if path.is_dir() or not path.parent.is_dir():
        raise UsageError(f"{path} cannot be written: {'it is a folder' if path.is_dir() else f'there is no folder {path.parent}'}")
    try:
        if path.exists() and path.stat().st_size and _told_by(path) is None:
            raise UsageError(f"{path} is there and is no bundle, so it is not replaced; take another name")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from None


def _told_by(path: Path) -> Bundle | None:
    """What a file says of itself; None when it is no bundle."""
    try:
        with tarfile.open(path) as tar:
            first = tar.next()
            file: BinaryIO | None = tar.extractfile(first) if first is not None and first.name == _ABOUT else None  # type: ignore[assignment]
            return msgspec.json.decode(file.read(), type=Bundle) if file is not None else None
    except (tarfile.TarError, msgspec.MsgspecError):
        return None


def _pack_what_is_here(wanted: Wanted, lines: Sequence[str], folder: Path, tell: Callable[[str], None]) -> None:
    """Wheels of what is installed here; what else is required is fetched, or built, once."""
    here, left = wheels.met_here(lines)
    found = wheels.closure([*_ours(), *wanted.needed, *here])
    cache = cache_folder()
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".new-") as new:
        for each in found:
            shutil.copy(kept_wheel(wheels.content(each), cache, Path(new)), folder)
    if left:
        tell(f"fetches {', '.join(left)}")
        fixed = [f"{each.name}=={each.version}" for each in found if each.read_text("direct_url.json") is None]
        _pip(["wheel", "--find-links", str(folder), "--wheel-dir", str(folder / "fetched")], left, fixed, folder)
        made = {canonicalize_name(each.name) for each in found}
        for path in (folder / "fetched").glob("*.whl"):
            if canonicalize_name(path.name.split("-", 1)[0]) not in made:
                path.rename(folder / path.name)


def _pack_for_others(wanted: Wanted, lines: Sequence[str], folder: Path, tell: Callable[[str], None]) -> None:
    """Our own wheels, which work anywhere, and all that they need fetched for such nodes, in the versions that are here where that can be."""
    ours = [each for each in wheels.closure([*_ours(), *wanted.needed]) if canonicalize_name(each.name) in {canonicalize_name(name) for name in _ours()}]
    names: set[str] = {canonicalize_name(each.name) for each in ours}
    for each in ours:
        written = wheels.write_wheel(wheels.content(each), folder, compiled=False)
        if not written.name.endswith("-none-any.whl"):
            raise UsageError(f"{each.name} is made for this machine alone ({written.name}); uninstall it, or make the bundle on a machine like the nodes")
    there = _environment(wanted.kind)
    needed = [line for line in (*(line for each in ours for line in each.requires or ()), *wanted.needed) if canonicalize_name(Requirement(line).name) not in names]
    left = holding_there([*needed, *(text for line in lines if (text := re.sub(r"(^|\s)#.*$", "", line).strip()))], there)
    tell(f"fetches {count(len(left), 'requirement')}, with all that is needed for that, for Python {wanted.kind.python} on {wanted.kind.machine}")
    tags = ["--python-version", wanted.kind.python, "--implementation", "cp", "--only-binary=:all:", *(word for tag in _tags(wanted.platform) for word in ("--platform", tag))]
    made, asked = set(folder.glob("*.whl")), list(left)
    while left:
        wrong = {canonicalize_name(name) for line in left if (name := name_of(line))}
        fetched = {path: parse_wheel_filename(path.name) for path in set(folder.glob("*.whl")) - made}
        for path, found in fetched.items():
            if found[0] in wrong:
                path.unlink()
        bounds = [f"{found[0]}=={found[1]}" for found in fetched.values() if found[0] not in wrong]
        _pip(["download", "--dest", str(folder), "--find-links", str(folder), *tags], left, bounds, folder)
        left = [line for line in unmet(folder.glob("*.whl"), asked, there) if line not in asked]
        asked += left


def _tags(platform: str) -> list[str]:
    """The platform tags of wheels that work on such a platform: those for an older C library do as well, but pip takes tags as they are."""
    match = re.fullmatch(r"manylinux_2_([0-9]+)_(\w+)", platform)
    if not match:
        return [platform] if platform else []
    newer = [f"manylinux_2_{minor}_{match[2]}" for minor in range(int(match[1]), 4, -1)]
    return [*newer, *(f"{old}_{match[2]}" for old, minor in (("manylinux2014", 17), ("manylinux2010", 12), ("manylinux1", 5)) if minor <= int(match[1]))]


def _ours() -> list[str]:
    return ["toil-core", *wheels.made_for("toil-core")]


def _environment(kind: NodeKind) -> dict[str, str]:
    here = {name: str(value) for name, value in default_environment().items()}
    return {**here, "python_version": kind.python, "python_full_version": f"{kind.python}.0", "platform_machine": kind.machine, "extra": ""}


def _pip(command: Sequence[str], requirements: Iterable[str], fixed: Iterable[str], folder: Path) -> None:
    """Have pip fetch wheels, as it is configured here, and in no other versions than those that are fixed."""
    asked, bounds = folder / "asked.txt", folder / "bounds.txt"
    asked.write_text("\n".join([*requirements, ""]))
    bounds.write_text("\n".join([*fixed, ""]))
    words = [sys.executable, "-m", "pip", *command, "--disable-pip-version-check", "--quiet", "-r", str(asked), "-c", str(bounds)]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in done.stderr.strip().splitlines() if line.strip()]
        if any("No module named pip" in line for line in said):
            raise UsageError("pip is not installed here, and is needed to fetch what is not: python -m ensurepip")
        raise UsageError(f"pip cannot fetch what is required: {_reason(said)}")


def _reason(said: Sequence[str]) -> str:
    errors = [line.removeprefix("ERROR: ") for line in said if line.startswith("ERROR: ")]
    return next((line for line in errors if "Could not find" in line), (errors or said or ["it does not say why"])[0])


def _about(wanted: Wanted, folder: Path) -> Bundle:
    digest, found = hashlib.sha256(), []
    for path in sorted(folder.glob("*.whl")):
        name, version = path.name.split("-")[:2]
        found.append((name.replace("_", "-"), version))
        digest.update(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    if not found:
        raise ToilError("there is nothing to pack")
    about = Bundle(digest.hexdigest()[:20], wanted.engine, wanted.kind.python, wanted.kind.machine, __version__, tuple(found))
    (folder / _ABOUT).write_text(json.dumps(msgspec.to_builtins(about), indent=1))
    return about
