"""The `file` job store: a folder on a local disk or on NFS.

link(2) decides who creates a key first, rename(2) replaces a blob in one step; both are atomic
on local file systems and on NFS servers. Blobs are read-only files, so that readers may link
to them instead of copying.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from toil_core.drivers import file_layout
from toil_core.drivers.file_names import KEEPS_NAME, encode, walk
from toil_core.drivers.file_reader import Span
from toil_core.errors import (
    BadLocator,
    KeyExists,
    NoSuchJobStore,
    NoSuchKey,
    StoreError,
    StoreFull,
    StoreReadOnly,
    ToilError,
    Transient,
    UsageError,
)
from toil_core.job_store import PIECE, Blob, JobStore
from toil_core.staged_names import staged_name

if TYPE_CHECKING:
    from toil_core.options import Config

T = TypeVar("T")

_SMALL = 1 << 16
_PAGE = 1000
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_MISSING = (errno.ENOENT, errno.ENOTDIR)
_FORBIDDEN = (errno.EACCES, errno.EPERM)
_USER_FILES = KEEPS_NAME.encode() + b",/"
_TRIES = 8
"""How often a folder may vanish, because it was empty, before it is filled."""


class FileJobStore(JobStore):
    """Blobs as files of one folder.

    Args:
        locator: The folder's path; a relative one counts from the working directory.
        config: The options; none concern this driver.

    Raises:
        BadLocator: It is no path.
    """

    def __init__(self, locator: str, config: Config) -> None:
        if not locator or "\0" in locator:
            raise BadLocator(f"{locator!r} is no path of a folder; write file:FOLDER")
        self._root = os.fsencode(os.path.abspath(os.path.expanduser(locator)))
        self._blobs = self._root + b"/" + file_layout.BLOBS + b"/"
        self._staging = self._root + b"/" + file_layout.STAGING + b"/"
        self._disk: int | None = None

    def prepare(self) -> None:
        file_layout.prepare(self._root)

    def tidy(self) -> None:
        """See `CanTidy`."""
        with suppress(OSError):
            file_layout.sweep(self._root)

    def check_place(self) -> None:
        """See `ChecksPlace`."""
        file_layout.check_place(self._root)

    def destroy(self) -> None:
        file_layout.destroy(self._root)

    def create(self, key: str, data: bytes) -> None:
        target = self._blobs + encode(key)
        staged = self._staging + staged_name().encode()
        try:
            self._ask(key, _fill, staged, data)
            self._ask(key, self._link, staged, target, key)
        finally:
            with suppress(OSError):
                os.unlink(staged)

    def write(self, key: str, stream: BinaryIO) -> None:
        target = self._blobs + encode(key)
        staged = self._staging + staged_name().encode()
        try:
            fd = self._ask(key, os.open, staged, _NEW, 0o444)
            try:
                while data := stream.read(PIECE):
                    self._ask(key, _write_all, fd, data)
            finally:
                self._ask(key, os.close, fd)
            self._ask(key, self._rename, staged, target)
        except BaseException:
            with suppress(OSError):
                os.unlink(staged)
            raise

    def read(self, key: str, start: int = 0, stop: int | None = None) -> BinaryIO:
        path, own = self._blobs + encode(key), -1
        wanted = _SMALL if stop is None else min(max(0, stop - start), _SMALL)
        try:
            fd = self._insist(os.open, path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                data = os.pread(fd, wanted, start)
                if len(data) < _SMALL:
                    return io.BytesIO(data)
                fd, own = -1, fd
                return io.BufferedReader(Span(own, start, stop, lambda error: self._verdict(error, key)), _SMALL)
            finally:
                if fd >= 0:
                    os.close(fd)
        except OSError as error:
            raise self._verdict(error, key, NoSuchKey) from error

    def stat(self, key: str) -> Blob:
        found: os.stat_result = self._ask(key, self._insist, os.stat, self._blobs + encode(key), missing=NoSuchKey)
        return Blob(key, found.st_size)

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            name = encode(key)
            try:
                os.unlink(self._blobs + name)
            except FileNotFoundError:
                pass
            except OSError as error:
                raise self._verdict(error, key) from error
            if name.startswith(_USER_FILES):  # each has a folder nearly to itself
                with suppress(OSError):
                    os.rmdir(os.path.dirname(self._blobs + name))

    def list(self, prefix: str = "") -> Iterator[Blob]:
        found = walk(self._blobs[:-1], prefix)
        while page := self._ask(prefix, _sized, found):
            yield from page

    def close(self) -> None:
        if self._disk is not None:
            os.close(self._disk)
            self._disk = None

    def path(self, key: str) -> Path:
        return Path(os.fsdecode(self._blobs + encode(key)))

    def staging(self) -> Path:
        return Path(os.fsdecode(self._staging))

    def adopt(self, key: str, source: Path) -> None:
        """Make the file the blob of the key; see `HasPaths`.

        Raises:
            UsageError: It is no regular file of the staging folder.
        """
        target, path = self._blobs + encode(key), os.fsencode(os.path.abspath(source))
        mode = self._ask(key, os.lstat, path).st_mode if path.startswith(self._staging) else 0
        if not stat.S_ISREG(mode):
            raise UsageError(f"{source} cannot become a blob of the job store: it is no regular file in {self.staging()}")
        with suppress(PermissionError):  # another user's file, made by a container for example
            self._ask(key, os.chmod, path, stat.S_IMODE(mode) & ~0o222)
        self._ask(key, self._rename, path, target)

    def sync(self) -> None:
        """Return once everything that any process of this machine wrote before survives power loss.

        One syncfs(2) is a tenth to a quarter of an fsync for each blob, and covers what the
        jobs' own processes wrote; it also waits for other files of the same disk.
        """
        import ctypes

        disk = self._ask("", self._disk_fd)
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.syncfs(disk):
            code = ctypes.get_errno()
            raise self._verdict(OSError(code, os.strerror(code)), "")

    def _disk_fd(self) -> int:
        if self._disk is None:
            self._disk = os.open(self._root, os.O_RDONLY | os.O_CLOEXEC)
        return self._disk

    def _link(self, staged: bytes, target: bytes, key: str) -> None:
        try:
            self._in_folder(target, os.link, staged, target)
        except OSError as error:
            if error.errno not in _MISSING and _links(staged) == 2:
                return  # an NFS client may hear of a failure although the server linked
            if error.errno == errno.EEXIST:
                raise KeyExists(key) from None
            raise

    def _rename(self, staged: bytes, target: bytes) -> None:
        identity = os.lstat(staged).st_ino
        try:
            self._in_folder(target, os.replace, staged, target)
        except FileNotFoundError:
            if os.stat(target).st_ino != identity:  # as above: done, and then asked for again
                raise

    def _in_folder(self, target: bytes, call: Callable[[bytes, bytes], None], staged: bytes, path: bytes) -> None:
        for _ in range(_TRIES):
            try:
                return call(staged, path)
            except FileNotFoundError:
                if not self._make_folders(target):
                    raise
        return call(staged, path)

    def _make_folders(self, target: bytes) -> bool:
        folders = []
        folder = os.path.dirname(target)
        while len(folder) >= len(self._blobs):
            folders.append(folder)
            folder = os.path.dirname(folder)
        for folder in reversed(folders):
            with suppress(FileExistsError):
                os.mkdir(folder)
        return bool(folders)

    def _insist(self, call: Callable[..., T], path: bytes, *rest: int) -> T:
        try:
            return call(path, *rest)
        except FileNotFoundError:
            for folder in (self._blobs, os.path.dirname(path)):  # makes an NFS client forget that the file was missing
                os.close(os.open(folder, os.O_RDONLY | os.O_CLOEXEC))
            return call(path, *rest)

    def _ask(self, key: str, call: Callable[..., T], *arguments: object, missing: type[StoreError] | None = None) -> T:
        try:
            return call(*arguments)
        except OSError as error:
            raise self._verdict(error, key, missing) from error

    def _verdict(self, error: OSError, key: str, missing: type[StoreError] | None = None) -> ToilError:
        where = file_layout.shown(self._root)
        if error.errno in _MISSING:
            return missing(key) if missing else NoSuchJobStore(f"there is no job store at {where}")
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return StoreFull(key, file_layout.full(error, self._root))
        if error.errno == errno.EROFS:
            return StoreReadOnly(key, file_layout.read_only(self._root))
        if error.errno in file_layout.PASSES:
            return Transient(f"job store {where}, key {key}: {os.strerror(error.errno or 0)}")
        if error.errno in _FORBIDDEN:
            return UsageError(f"job store {where} cannot be used: {os.strerror(error.errno or 0)}; check the folder's permissions")
        return StoreError(key, str(error))


def _fill(path: bytes, data: bytes) -> None:
    fd = os.open(path, _NEW, 0o444)
    try:
        _write_all(fd, data)
    finally:
        os.close(fd)


def _write_all(fd: int, data: bytes) -> None:
    done = os.write(fd, data)
    while done < len(data):  # the system takes at most 2 GiB at once
        done += os.write(fd, memoryview(data)[done:])


def _sized(found: Iterator[tuple[bytes, str]]) -> tuple[Blob, ...]:
    blobs: list[Blob] = []
    for path, key in found:
        try:
            blobs.append(Blob(key, os.stat(path).st_size))
        except FileNotFoundError:
            continue
        if len(blobs) == _PAGE:
            break
    return tuple(blobs)


def _links(path: bytes) -> int:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # opening makes an NFS client ask the server
    try:
        return os.fstat(fd).st_nlink
    finally:
        os.close(fd)
