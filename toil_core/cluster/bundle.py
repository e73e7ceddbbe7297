"""What is sent to nodes: one archive of wheels, named by what is in it, and kept for the next launch."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from toil_core.cluster import wheels
from toil_core.errors import UsageError

FORMAT = 3
"""Goes into the name of every image; another one makes all of them anew."""
_KEPT = 8
_KEPT_WHEELS = 500


@dataclass(frozen=True)
class NodeKind:
    """The nodes that something is made for.

    Args:
        python: Their version of Python, `3.11`.
        machine: Their kind of processor, as `uname -m` says.
    """

    python: str
    machine: str


def this_kind() -> NodeKind:
    """Nodes like this machine."""
    return NodeKind(python_version(), platform.machine())


@dataclass(frozen=True)
class Image:
    """What nodes shall have installed.

    Args:
        name: Tells it from any other: a hash of its contents.
        contents: The distributions.
        requirements: What nodes get by pip beside that, as lines of a requirements file.
    """

    name: str
    contents: tuple[wheels.Content, ...]
    requirements: tuple[str, ...]

    @property
    def packages(self) -> tuple[tuple[str, str, str], ...]:
        """Name, version and digest of each distribution."""
        return tuple((each.name, each.version, each.digest) for each in self.contents)


def differences(there: Iterable[tuple[str, str, str]], here: Iterable[tuple[str, str, str]]) -> list[str]:
    """How the distributions here differ from those there, for the user.

    Args:
        there: Name, version and digest of each that nodes have.
        here: The same of each that nodes to add would get.
    """
    old, new = ({name: (version, digest) for name, version, digest in each} for each in (there, here))
    found = []
    for name in sorted(old.keys() | new.keys()):
        if name not in new:
            found.append(f"no {name} (there {old[name][0]})")
        elif name not in old:
            found.append(f"{name} {new[name][0]} (there none)")
        elif old[name][0] != new[name][0]:
            found.append(f"{name} {new[name][0]} (there {old[name][0]})")
        elif old[name] != new[name]:
            found.append(f"{name} {new[name][0]} with other files")
    return found


def python_version() -> str:
    """The version of Python that this program runs on, `3.11`."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def image(engine: Sequence[str], requirements: Path | None) -> Image:
    """The image of what the user runs: the core, all that is made for it, what the engine needs, and what these need.

    Args:
        engine: What the engine's nodes need, as pip takes it.
        requirements: Path of a requirements file of the user. What is installed here and meets it is sent; nodes get the rest by pip.

    Raises:
        UsageError: Something is not installed here, or the file cannot be read.
    """
    here, left = wheels.met_here(requirement_lines(requirements))
    if left:
        here.append("pip")
    contents = tuple(wheels.content(distribution) for distribution in wheels.closure(["toil-core", *wheels.made_for("toil-core"), *engine, *here]))
    digest = hashlib.sha256(f"{FORMAT} {python_version()} {sysconfig.get_platform()}\n".encode())
    for each in contents:
        digest.update(f"{each.name} {each.version} {each.digest}\n".encode())
    digest.update("\n".join(left).encode())
    return Image(digest.hexdigest()[:20], contents, tuple(left))


def archive(image: Image, cache: Path) -> Path:
    """The archive of an image, from the cache or made now.

    Args:
        image: The image.
        cache: Folder of archives; the oldest are removed.

    Returns:
        Its path: a tar of wheels, and of `requirements.txt` when something is left for pip.
    """
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = cache / f"{image.name}.tar"
    if path.exists():
        os.utime(path)
        return path
    with tempfile.TemporaryDirectory(dir=cache, prefix=".new-") as name:
        folder = Path(name)
        with ThreadPoolExecutor(2) as pool:
            written = list(pool.map(lambda content: kept_wheel(content, cache, folder), image.contents))
        if image.requirements:
            (folder / "requirements.txt").write_text("\n".join([*image.requirements, ""]))
            written.append(folder / "requirements.txt")
        new = folder / "archive"
        with tarfile.open(new, "w") as tar:
            for each in written:
                add_plainly(tar, each)
        new.rename(path)
    _keep_newest(cache.glob("*.tar"), _KEPT)
    _keep_newest((cache / "wheels").glob("*/*.whl"), _KEPT_WHEELS)
    return path


def kept_wheel(content: wheels.Content, cache: Path, folder: Path) -> Path:
    """The wheel of a distribution, from the cache or made now.

    Args:
        content: What is in it.
        cache: Folder of archives and wheels.
        folder: Where it can be made, on the disk of the cache.
    """
    place = cache / "wheels" / f"{content.digest[:24]}-{FORMAT}-{python_version()}"
    for found in place.glob("*.whl"):
        os.utime(found)
        return found
    place.mkdir(parents=True, exist_ok=True)
    written = wheels.write_wheel(content, folder)
    return written.replace(place / written.name)


def _keep_newest(files: Iterable[Path], count: int) -> None:
    for old in sorted(files, key=lambda path: path.stat().st_mtime)[:-count]:
        old.unlink(missing_ok=True)


def cache_folder() -> Path:
    """Where archives are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "toil" / "images"


def add_plainly(tar: tarfile.TarFile, path: Path) -> None:
    """Add a file to an archive, so that the same contents give the same archive."""
    tar.add(path, path.name, filter=_plain)


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mtime = 0
    return info


def requirement_lines(requirements: Path | None) -> Iterable[str]:
    """The lines of a user's requirements file; none where there is none.

    Raises:
        UsageError: It cannot be read.
    """
    if requirements is None:
        return ()
    try:
        return requirements.read_text().splitlines()
    except OSError as error:
        raise UsageError(f"--python-requirements: {requirements} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"--python-requirements: {requirements} is no text") from None
