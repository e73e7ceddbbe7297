"""How a file gets from the job store to a path and back: by links where the store has files, else through the node's cache."""

from __future__ import annotations

import errno
import os
import zlib
from abc import ABC, abstractmethod
from enum import Enum
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from toil_core.errors import NoSuchKey
from toil_core.job_store import PIECE, HasPaths, JobStore
from toil_core.staged_names import staged_name
from toil_core.workflow.file_copy import copy_checked, copy_file, new_file, symlinked
from toil_core.workflow.file_values import File, check_content, gone

if TYPE_CHECKING:
    from toil_core.options import Config
    from toil_core.worker.cache import Cache

_SEVERAL = 8


class Way(Enum):
    """What a job wants of a file."""

    LINK = "a path to read, which may be a symbolic link"
    FILE = "a path to read that is no symbolic link"
    OWN = "a file that it may change"


class Access(ABC):
    """The way to the files of one job store.

    Args:
        store: The job store.
        tmp: A folder for temporary files.
        config: The run's options.
    """

    several = 1
    """How many files are best moved at once."""

    def __init__(self, store: JobStore, tmp: Path, config: Config) -> None:
        self.store, self.tmp, self.config = store, tmp, config

    @abstractmethod
    def place(self, file: File, path: Path, *, symlink: bool) -> None:
        """Make the file readable at a path that does not exist; nobody may write there."""

    @abstractmethod
    def copy(self, file: File, path: Path) -> None:
        """Put a copy of one's own at a path that does not exist."""

    @abstractmethod
    def keep(self, path: Path, key: str, name: str, *, take: bool) -> File:
        """Store the file at a path; a file that may be taken is gone then."""

    @abstractmethod
    def keep_content(self, data: bytes, key: str, name: str) -> File:
        """Store these bytes."""

    @abstractmethod
    def scratch(self, name: str, tmp: Path) -> Path:
        """A path that does not exist, where a new file is best written before it is kept."""

    def open(self, file: File) -> BinaryIO:
        """The content as a stream."""
        if file.source:
            from toil_core.plugins import open_url

            return open_url(file.source, "rb", self.config)
        try:
            return self.store.read(file.key)
        except NoSuchKey:
            raise gone(file) from None

    def _fetch(self, file: File, target: BinaryIO) -> None:
        with Access.open(self, file) as stream:
            size, crc = copy_checked(stream, target)
        check_content(file, size, crc)

    def _download(self, file: File, path: Path) -> None:
        with new_file(path) as target:
            self._fetch(file, target)


def access_to(store: JobStore, tmp: Path, config: Config, cache: Cache | None = None) -> Access:
    """The best way to the files of a store.

    Args:
        store: The job store.
        tmp: A folder for temporary files.
        config: The run's options.
        cache: The node's cache, if it has one.
    """
    return LinkedAccess(store, store, tmp, config) if isinstance(store, HasPaths) else FetchedAccess(store, tmp, config, cache)


class LinkedAccess(Access):
    """The way where blobs are files: links.

    Args:
        store: The job store.
        paths: The same store.
        tmp: A folder for temporary files.
        config: The run's options.
    """

    def __init__(self, store: JobStore, paths: HasPaths, tmp: Path, config: Config) -> None:
        super().__init__(store, tmp, config)
        self._paths = paths

    def place(self, file: File, path: Path, *, symlink: bool) -> None:
        blob = self._blob(file)
        if blob is None:
            self._download(file, path)
            path.chmod(_mode(file.executable))
            return
        if (not file.executable or os.access(blob, os.X_OK)) and (symlinked if symlink else _linked)(blob, path):
            return
        copy_file(blob, path)
        path.chmod(_mode(file.executable))

    def copy(self, file: File, path: Path) -> None:
        blob = self._blob(file)
        if blob is None:
            self._download(file, path)
        else:
            copy_file(blob, path)
        _make_executable(file, path)

    def keep(self, path: Path, key: str, name: str, *, take: bool) -> File:
        facts = path.stat()
        executable = bool(facts.st_mode & 0o100)
        if take and path.parent == self._paths.staging():
            self._paths.adopt(key, path)
            return File(key, facts.st_size, name, executable)
        scratch = self.scratch(name, path)
        try:
            copy_file(path, scratch, move=take)
            if executable:
                scratch.chmod(_mode(True))
            size = scratch.stat().st_size
            self._paths.adopt(key, scratch)
        finally:
            scratch.unlink(missing_ok=True)
        return File(key, size, name, executable)

    def keep_content(self, data: bytes, key: str, name: str) -> File:
        self.store.write(key, BytesIO(data))
        return File(key, len(data), name)

    def scratch(self, name: str, tmp: Path) -> Path:
        return self._paths.staging() / f"{staged_name()}.{name}"

    def _blob(self, file: File) -> Path | None:
        """The file of this machine with the content; None when it has to be fetched."""
        if file.source:
            from toil_core.drivers.urls import local_path

            found = local_path(file.source)
            if found is None:
                return None
            path = Path(found)
        else:
            path = self._paths.path(file.key).absolute()
        try:
            check_content(file, path.stat().st_size)
        except FileNotFoundError:
            raise gone(file) from None
        return path


class FetchedAccess(Access):
    """The way where blobs are elsewhere: they are fetched, through the node's cache if there is one.

    Args:
        store: The job store.
        tmp: A folder for temporary files.
        config: The run's options.
        cache: The node's cache.
    """

    several = _SEVERAL

    def __init__(self, store: JobStore, tmp: Path, config: Config, cache: Cache | None) -> None:
        super().__init__(store, tmp, config)
        self._cache = cache

    def place(self, file: File, path: Path, *, symlink: bool) -> None:
        if not self._provided(file, path, Way.LINK if symlink else Way.FILE):
            self._download(file, path)
            path.chmod(_mode(file.executable))

    def copy(self, file: File, path: Path) -> None:
        if not self._provided(file, path, Way.OWN):
            self._download(file, path)
        _make_executable(file, path)

    def keep(self, path: Path, key: str, name: str, *, take: bool) -> File:
        with path.open("rb") as stream:
            facts = os.fstat(stream.fileno())
            crc = 0
            while chunk := stream.read(PIECE):
                crc = zlib.crc32(chunk, crc)
            stream.seek(0)
            self.store.write(key, stream)
        file = File(key, facts.st_size, name, bool(facts.st_mode & 0o100), crc)
        if self._cache is not None:
            self._cache.put(key, path, _mode(file.executable), take=take)
        if take:
            path.unlink(missing_ok=True)
        return file

    def keep_content(self, data: bytes, key: str, name: str) -> File:
        self.store.write(key, BytesIO(data))
        if self._cache is not None:
            self._cache.put(key, data, _mode(False))
        return File(key, len(data), name, crc=zlib.crc32(data))

    def scratch(self, name: str, tmp: Path) -> Path:
        return tmp / f"{staged_name()}.{name}"

    def open(self, file: File) -> BinaryIO:
        here = None if self._cache is None else self._cache.open(file.key, file.size)
        return here or super().open(file)

    def _provided(self, file: File, path: Path, way: Way) -> bool:
        if self._cache is None:
            return False
        return self._cache.provide(file.key, file.size, _mode(file.executable), path, way, lambda target: self._fetch(file, target))


def _linked(blob: Path, path: Path) -> bool:
    try:
        os.link(blob, path)
    except FileExistsError:
        return path.samefile(blob)  # NFS may say so of a link that it has just made
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        return False
    return True


def _mode(executable: bool) -> int:
    return 0o555 if executable else 0o444


def _make_executable(file: File, path: Path) -> None:
    if file.executable:
        mode = path.stat().st_mode
        path.chmod(mode | (mode & 0o444) >> 2)
