"""The folder of the node's cache: whether there is one, who holds it, and who removes it."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

from toil_core.drivers import file_layout
from toil_core.job_store import HasPaths, JobStore
from toil_core.leader.options import EngineOptions
from toil_core.open_files import is_at
from toil_core.options import Config
from toil_core.staged_names import staged_name
from toil_core.wire.work import Setup
from toil_core.worker.cache_ledger import ENTRIES, FILLING, Ledger

PREFIX = "toil-cache-"
KEPT_SECONDS = 6 * 3600.0
"""How long a cache waits for the next worker of its run where workers come and go."""
SHARE = 0.2
"""The part of the free disk that a cache may take when nobody says."""
_HELD = "held"
_KEEP = b"keep"
_SHARED = ("nfs", "cifs", "smb", "9p", "ceph", "lustre", "gpfs", "beegfs", "glusterfs", "afs", "panfs", "pvfs", "orangefs", "ocfs", "gfs", "fuse")
"""How types of file systems begin that several machines may have mounted."""
_LOCAL = ("fuse.fuse-overlayfs", "fuseblk")

_log = logging.getLogger("toil.worker")


class CacheFolder:
    """A hold on the cache of one run on this node; as long as it lasts nobody removes the cache.

    Args:
        path: The cache's folder.
        held: Its open lock file, locked.
    """

    def __init__(self, path: Path, held: int) -> None:
        self.path = path
        self._held = held

    @classmethod
    def open(cls, root: Path, store: JobStore, setup: Setup, *, keep: bool) -> CacheFolder | None:
        """The cache of the run, made when there is none; None when files are better read without one.

        Caches of runs that have no worker on this node any more are removed.

        Args:
            root: The folder for temporary files.
            store: The run's job store.
            setup: What workers must know of the run.
            keep: Whether the cache is to wait for the run's next worker when nobody holds it.
        """
        options = _options(setup)
        try:
            for other in root.glob(f"{PREFIX}*"):
                _sweep(other)
            if isinstance(store, HasPaths) or not options.caching or not setup.workflow:
                return None
            kind = file_layout.file_system(os.fsencode(root))
            if kind.startswith(_SHARED) and kind not in _LOCAL:
                _log.info("files are not cached: %s lies on %s, which machines may share; choose a local --work-dir", root, kind)
                return None
            return cls._hold(root / name(setup.workflow), options.cache_size, keep)
        except OSError as error:
            _log.info("files are not cached: %s", error)
            return None

    @classmethod
    def _hold(cls, path: Path, size: int | None, keep: bool) -> CacheFolder:
        while True:
            path.mkdir(mode=0o700, exist_ok=True)
            try:
                _check_ours(path)
                held = os.open(path / _HELD, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:  # removed since
                continue
            fcntl.flock(held, fcntl.LOCK_SH)
            if is_at(path / _HELD, held):
                break
            os.close(held)  # removed since
        for part in (ENTRIES, FILLING):
            if not (path / part).is_dir():
                file_layout.make_apart(os.fsencode(path), part.encode())
        if keep:
            os.pwrite(held, _KEEP, 0)
        disk = os.statvfs(path)
        limit = size if size is not None else int(SHARE * disk.f_bavail * disk.f_frsize)
        Ledger(str(path)).begin(limit, replace=size is not None)
        return cls(path, held)

    def release(self) -> None:
        """Let go; the cache is removed when nobody else holds it and none is to come."""
        os.utime(self._held)
        os.close(self._held)
        with suppress(OSError):
            _sweep(self.path)


def name(workflow: str) -> str:
    """What the cache's folder is called: no other machine, user or run has that name."""
    return f"{PREFIX}{staged_name().partition('.')[0]}-{os.geteuid()}-{workflow}"


def _sweep(path: Path) -> None:
    """Remove a cache that nobody holds; one that waits for workers, after a time."""
    try:
        held = os.open(path / _HELD, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:  # it is being made, or whoever made or removed it was killed
        if path.name.startswith(f"{PREFIX}gone-"):
            shutil.rmtree(path, ignore_errors=True)
        with suppress(OSError):
            path.rmdir()
        return
    except OSError:
        return
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        waits = os.pread(held, len(_KEEP), 0) == _KEEP and time.time() - os.fstat(held).st_mtime < KEPT_SECONDS
        if not waits and is_at(path / _HELD, held):
            doomed = path if path.name.startswith(f"{PREFIX}gone-") else path.with_name(f"{PREFIX}gone-{staged_name()}")
            path.rename(doomed)  # at once, so that nobody begins to use it
            shutil.rmtree(doomed, ignore_errors=True)
    except BlockingIOError:
        return
    finally:
        os.close(held)


def _check_ours(path: Path) -> None:
    facts = path.lstat()
    if path.is_symlink() or facts.st_uid != os.geteuid() or facts.st_mode & 0o022:
        raise PermissionError(f"{path} belongs to somebody else")


def _options(setup: Setup) -> EngineOptions:
    return Config.from_dict(setup.options)[EngineOptions]
