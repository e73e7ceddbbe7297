"""Which files of a folder go to workers: everything that is not ignored, within limits.

Hidden files, caches, virtual environments, job stores, large data files and the folder of
clusters' keys are left out.
A `.toilignore` in any folder (the patterns of git's ignore files) leaves out more, and takes
back in what a pattern with `!` names, whatever its size.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from toil_core.errors import CannotDeploy
from toil_core.state_folder import state_folder

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

IGNORE_FILE = ".toilignore"
DATA_LIMIT = 5 << 20
"""A larger file that is no Python is left out unless an ignore file takes it in."""
MOST_FILES = 10_000

_NAMES = {"__pycache__", "node_modules", "site-packages", "lost+found"}
_ENDINGS = (".pyc", ".pyo")
_CODE = (".py", ".so")
_MARKERS = {"pyvenv.cfg", "conda-meta", "CACHEDIR.TAG", "toil-job-store.json"}
"""A folder that holds one of these is an environment, a cache or a job store."""


@dataclass(frozen=True)
class Found:
    """A file to send.

    Args:
        name: Its path in the folder, with `/` between the parts.
        path: Its absolute path.
        size: Bytes.
        executable: Whether its owner may run it.
    """

    name: str
    path: str
    size: int
    executable: bool


@dataclass
class Search:
    """Looks through folders, and keeps count.

    Args:
        skipped: Absolute paths to leave out: what the run itself writes.
    """

    skipped: frozenset[str] = frozenset()
    left_out: list[Found] = field(default_factory=list)
    """Data files that are too large."""
    count: int = 0
    _seen: set[tuple[int, int]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.skipped |= {os.fspath(state_folder())}  # the keys of clusters are there

    def files(self, root: str, names: Sequence[str] | None) -> Iterator[Found]:
        """The files of a folder that go to workers, in the order of their names.

        Args:
            root: The folder.
            names: What of it to take; None for everything.

        Raises:
            CannotDeploy: It is an archive or cannot be read, an ignore file cannot be understood, or there are far too many files.
        """
        self._seen.clear()
        if os.path.isfile(root):
            raise CannotDeploy(f"the program lies in the archive {root}, which is not sent to workers: unpack it and start it from its folder")
        specs = _with_spec((), root, "")
        if names is None:
            yield from self._folder(root, "", specs)
            return
        for name in names:
            path = os.path.join(root, name)
            if os.path.isdir(path):
                yield from self._folder(path, f"{name}/", _with_spec(specs, path, f"{name}/"))
            else:
                yield from self._file(path, name, kept=True)

    def _folder(self, folder: str, prefix: str, specs: Specs) -> Iterator[Found]:
        try:
            info = os.stat(folder)
            if (info.st_dev, info.st_ino) in self._seen:  # a link into what is there already
                return
            self._seen.add((info.st_dev, info.st_ino))
            with os.scandir(folder) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            raise _unreadable(folder, error) from None
        for entry in listed:
            name = prefix + entry.name
            is_folder = entry.is_dir()
            verdict = _verdict(specs, name + "/" if is_folder else name)
            if verdict or entry.path in self.skipped or (verdict is None and _ignored(entry.name)):
                continue
            if not is_folder:
                yield from self._file(entry.path, name, kept=verdict is False)
            elif verdict is False or _is_to_enter(entry):
                yield from self._folder(entry.path, f"{name}/", _with_spec(specs, entry.path, f"{name}/"))

    def _file(self, path: str, name: str, *, kept: bool) -> Iterator[Found]:
        try:
            info = os.stat(path)
        except OSError:  # it has just gone, or is a link to nothing
            return
        if not stat.S_ISREG(info.st_mode):
            return
        found = Found(name, path, info.st_size, bool(info.st_mode & stat.S_IXUSR))
        if info.st_size > DATA_LIMIT and not kept and not name.endswith(_CODE):
            self.left_out.append(found)
            return
        self.count += 1
        if self.count > MOST_FILES:
            raise CannotDeploy(
                f"there are more than {MOST_FILES} files to send to workers, around {os.path.dirname(path)}; "
                f"list what workers do not need in a {IGNORE_FILE} file, or keep the script in a folder of its own"
            )
        yield found


Specs = tuple[tuple[str, "GitIgnoreSpec"], ...]
"""Ignore files, outermost first: the folder that each lies in, and its patterns."""


def _with_spec(specs: Specs, folder: str, prefix: str) -> Specs:
    path = os.path.join(folder, IGNORE_FILE)
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except FileNotFoundError:
        return specs
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from None
    from pathspec import GitIgnoreSpec

    try:
        return (*specs, (prefix, GitIgnoreSpec.from_lines(lines)))
    except ValueError as error:
        raise CannotDeploy(f"{path}: {error}") from None


def _verdict(specs: Specs, name: str) -> bool | None:
    """True to leave it out, False to take it in, None when no ignore file speaks of it; the innermost counts."""
    for prefix, spec in reversed(specs):
        verdict = spec.check_file(name.removeprefix(prefix)).include
        if verdict is not None:
            return verdict
    return None


def _is_to_enter(entry: os.DirEntry[str]) -> bool:
    try:
        inside = os.listdir(entry.path)
    except OSError as error:
        raise _unreadable(entry.path, error) from None
    if entry.is_symlink() and not any(name.endswith(".py") for name in inside):  # links often lead to data
        return False
    return _MARKERS.isdisjoint(inside)


def _ignored(name: str) -> bool:
    return name.startswith(".") or name in _NAMES or name.endswith(_ENDINGS)


def _unreadable(path: str, error: OSError | UnicodeDecodeError) -> CannotDeploy:
    why = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return CannotDeploy(f"cannot read {path} to send it to workers: {why}; make it readable, or list it in a {IGNORE_FILE} file")
