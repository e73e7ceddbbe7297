"""A folder of this machine for what is made once and used by many workers, named by its content."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
import time
from collections.abc import Callable
from pathlib import Path

from toil_core.errors import UsageError
from toil_core.staged_names import staged_name

KEPT_SECONDS = 7 * 86400.0
"""How long something stays after its last use."""

_NEW = ".new"
_USED = ".used"
"""Ends the name of a file that is locked by all users of a thing."""
_MAKING = ".making"
"""Ends the name of a file that is locked by the maker of a thing."""
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)


class Shelf:
    """Makes things and finds them again; whatever it has given stays as long as it is open.

    Each thing is a folder, made under another name and then renamed, so it is there whole or not
    at all. Makers of the same thing wait for each other; when one is killed, the next begins
    anew. Machines that share the work folder, and boots of one machine, make their own: what was
    written before a loss of power is not trusted.

    Args:
        work_root: Folder for temporary files.

    Raises:
        UsageError: Somebody else could write to the folder.
    """

    def __init__(self, work_root: Path) -> None:
        self.folder = work_root.resolve() / f"toil-code-{os.getuid()}"
        self._machine = staged_name().partition(".")[0]
        self._locks: list[int] = []
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        info = self.folder.lstat()
        if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.getuid() or info.st_mode & 0o022:
            raise UsageError(f"{self.folder} can be written to by others, so no code is kept there; remove it, or choose another --work-dir")

    def get(self, name: str, make: Callable[[Path, int], None]) -> Path:
        """The folder of that name.

        Args:
            name: Tells its content from all others.
            make: Fills the empty folder that it gets. Its second argument is the open lock: a process that
                inherits it keeps others from making the same while it lives.
        """
        name = f"{name}.{self._machine}"
        target = self.folder / name
        used = self._open(name + _USED)
        try:
            _flock(used, fcntl.LOCK_SH)
            if not target.is_dir():
                making = self._open(name + _MAKING)
                try:
                    alone = _flock(making, fcntl.LOCK_EX)
                    if not target.is_dir():
                        self._make(target, make, making, alone=alone)
                finally:
                    os.close(making)
            os.utime(used)
        except BaseException:
            os.close(used)
            raise
        self._locks.append(used)
        return target

    def close(self) -> None:
        """Let others remove what was given from here."""
        while self._locks:
            os.close(self._locks.pop())

    def _open(self, name: str) -> int:
        return os.open(self.folder / name, os.O_RDWR | os.O_CREAT, 0o600)

    def _make(self, target: Path, make: Callable[[Path, int], None], lock: int, *, alone: bool) -> None:
        if alone:  # what is there was left by makers that were killed
            for left in self.folder.glob(f"{target.name}.*{_NEW}"):
                shutil.rmtree(left, ignore_errors=True)
        new = self.folder / f"{target.name}.{staged_name()}{_NEW}"
        new.mkdir(mode=0o700)
        try:
            make(new, lock)
            new.rename(target)
        except OSError:
            if not target.is_dir():  # else another one was first, where there are no locks
                raise
        finally:
            shutil.rmtree(new, ignore_errors=True)
        self._sweep()

    def _sweep(self) -> None:
        """Remove what nobody uses and nobody has used for long."""
        before = time.time() - KEPT_SECONDS
        for path in self.folder.glob(f"*{_USED}"):
            lock = self._open(path.name)
            try:
                if os.fstat(lock).st_mtime < before and _flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB):
                    old = path.with_name(path.name.removesuffix(_USED))
                    if old.is_dir():  # renamed first, so that it is never seen in part
                        old.rename(f"{old}.{staged_name()}{_NEW}")
                    for left in self.folder.glob(f"{old.name}.*{_NEW}"):
                        shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(lock)


def _flock(lock: int, how: int) -> bool:
    """Whether the lock is held now."""
    try:
        fcntl.flock(lock, how)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return False
        raise
    return True
