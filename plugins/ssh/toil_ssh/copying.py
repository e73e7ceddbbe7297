"""Making a path of a node like one of this machine, and the other way round, over SFTP."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from subprocess import CompletedProcess
from uuid import uuid4

import paramiko
from toil_core.errors import CannotCopy, NodeFull
from toil_core.file_trees import Changes, Entry, Tree, changes, kind_of, same_size, tree_of
from toil_core.provisioner import Node

from toil_ssh.connection import ANSWER, Connection, lost

SECOND = 10**9
"""SFTP knows times in seconds."""


class Copier:
    """Copies to and from one node.

    Args:
        node: The node.
        connection: The connection to it.
        run: Runs a command there.
    """

    def __init__(self, node: Node, connection: Connection, run: Callable[[Sequence[str], bytes], CompletedProcess[bytes]]) -> None:
        self._node, self._connection, self._run = node, connection, run

    def push(self, source: Path, target: PurePosixPath, *, delete: bool) -> None:
        """See `SyncTransport.push`."""
        real = os.path.realpath(source)
        wanted = {path: _to_the_second(entry) for path, entry in tree_of(Path(real)).items()}
        if not wanted or wanted[""].kind not in ("file", "folder"):
            raise CannotCopy(f"there is no file or folder {source}")
        with self._sftp(f"{source} cannot be copied to {target}") as sftp:
            place = str(target)
            if wanted[""].kind == "folder" and _kind(sftp.stat, place) == "folder":
                place = sftp.normalize(place)
            there = _remote_tree(sftp, place)
            todo = self._changes(wanted, there, self._alike(real, place, same_size(wanted, there)), str(target), delete)
            _make_folders(sftp, os.path.dirname(place))
            _clear(todo, place, sftp.rmdir, sftp.remove)
            for path in todo.folders:
                sftp.mkdir(_at(place, path))
            for path in todo.files:
                self._send(sftp, _at(real, path), _at(place, path), wanted[path])
            for path in todo.links:
                sftp.symlink(wanted[path].link, _at(place, path))
            for path in todo.kept:
                sftp.chmod(_at(place, path), wanted[path].mode)
                sftp.utime(_at(place, path), (wanted[path].time // SECOND,) * 2)

    def pull(self, source: PurePosixPath, target: Path, *, delete: bool) -> None:
        """See `SyncTransport.pull`."""
        with self._sftp(f"{source} cannot be copied to {target}") as sftp:
            if _kind(sftp.stat, str(source)) not in ("file", "folder"):
                raise CannotCopy(f"node {self._node.name}: there is no file or folder {source}")
            real = sftp.normalize(str(source))
            wanted = _remote_tree(sftp, real)
            if wanted[""].kind == "folder" and target.is_dir():
                target = Path(os.path.realpath(target))
            there = tree_of(target)
            try:
                todo = self._changes(wanted, there, self._alike(os.fspath(target), real, same_size(wanted, there)), str(target), delete)
                target.parent.mkdir(parents=True, exist_ok=True)
                _clear(todo, os.fspath(target), os.rmdir, os.unlink)
                for path in todo.folders:
                    os.mkdir(_at(target, path))
                for path in todo.files:
                    _fetch(sftp, _at(real, path), _at(target, path), wanted[path])
                for path in todo.links:
                    os.symlink(wanted[path].link, _at(target, path))
                for path in todo.kept:
                    os.chmod(_at(target, path), wanted[path].mode)
                    os.utime(_at(target, path), ns=(wanted[path].time,) * 2)
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise CannotCopy(f"no space left on this machine for {target}") from None
                raise

    def _changes(self, wanted: Tree, there: Tree, same: set[str], target: str, delete: bool) -> Changes:
        try:
            return changes(wanted, {path: _to_the_second(entry) for path, entry in there.items()}, same, delete=delete)
        except CannotCopy as error:
            raise CannotCopy(f"node {self._node.name}: {target}: {error}") from None

    def _alike(self, here: str, there: str, paths: Sequence[str]) -> set[str]:
        """Those of the files whose contents are the same on both sides."""
        if not paths:
            return set()
        names = b"".join(os.fsencode(_dotted(_at(there, path))) + b"\0" for path in paths)
        done = self._run(["xargs", "-0", "sha256sum", "-z", "--"], names)
        digests = {line[66:]: line[:64].decode() for line in done.stdout.split(b"\0") if line}
        found = set()
        for path in paths:
            with suppress(OSError), open(_at(here, path), "rb") as file:
                if digests.get(os.fsencode(_dotted(_at(there, path)))) == hashlib.file_digest(file, "sha256").hexdigest():
                    found.add(path)
        return found

    def _send(self, sftp: paramiko.SFTPClient, source: str, target: str, entry: Entry) -> None:
        """Copy a file, so that it appears whole."""
        part = f"{os.path.dirname(target) or '.'}/.toil-{uuid4().hex[:12]}"
        try:
            with open(source, "rb") as file:
                sftp.putfo(file, part, confirm=False)
            if (sftp.stat(part).st_size or 0) < entry.size:
                raise OSError("it was cut short")
            sftp.chmod(part, entry.mode)
            sftp.utime(part, (entry.time // SECOND,) * 2)
            sftp.posix_rename(part, target)
        except FileNotFoundError:
            if os.path.exists(source):
                raise
        except OSError as error:
            with suppress(OSError):
                sftp.remove(part)
            if error.errno is None and self._is_full(os.path.dirname(target) or ".", entry.size):
                raise NodeFull(f"node {self._node.name}: no space left for {target}") from None
            raise

    def _is_full(self, folder: str, size: int) -> bool:
        """Whether a file of that size has no room; SFTP does not tell."""
        done = self._run(["df", "--output=avail", "-B1", "--", _dotted(folder)], b"")
        free = done.stdout.split()[-1:]
        return done.returncode == 0 and bool(free) and free[0].isdigit() and int(free[0]) < size + 4096

    @contextmanager
    def _sftp(self, failing: str) -> Iterator[paramiko.SFTPClient]:
        transport = self._connection.open()
        with self._connection.copies:
            try:
                with self._connection.session(transport, ANSWER) as channel:
                    channel.invoke_subsystem("sftp")
                    yield paramiko.SFTPClient(channel)
            except (EOFError, paramiko.SSHException) as error:
                raise lost(self._node.name, error) from None
            except OSError as error:
                if not transport.is_active():
                    raise lost(self._node.name, error) from None
                reason = os.strerror(error.errno) if error.errno else str(error) or "it is not told why"
                where = f"{error.filename}: " if error.filename else ""
                raise CannotCopy(f"node {self._node.name}: {failing}: {where}{reason}") from None


def _fetch(sftp: paramiko.SFTPClient, source: str, target: str, entry: Entry) -> None:
    """Copy a file, so that it appears whole; one that went away meanwhile is left out."""
    handle, part = tempfile.mkstemp(prefix=".toil-", dir=os.path.dirname(target) or ".")
    try:
        with os.fdopen(handle, "wb") as file:
            sftp.getfo(source, file)
        os.chmod(part, entry.mode)
        os.utime(part, ns=(entry.time, entry.time))
        os.replace(part, target)
    except BaseException as error:
        os.unlink(part)
        if not isinstance(error, FileNotFoundError):
            raise


def _remote_tree(sftp: paramiko.SFTPClient, top: str) -> Tree:
    """The tree at a path of the node; empty when nothing is there."""
    try:
        found = {"": _entry(sftp, top, sftp.lstat(top))}
    except FileNotFoundError:
        return {}
    waiting = [""] if found[""].kind == "folder" else []
    while waiting:
        folder = waiting.pop()
        for item in sftp.listdir_attr(_at(top, folder)):
            path = f"{folder}/{item.filename}" if folder else item.filename
            with suppress(FileNotFoundError):
                found[path] = _entry(sftp, _at(top, path), item)
                if found[path].kind == "folder":
                    waiting.append(path)
    return found


def _entry(sftp: paramiko.SFTPClient, path: str, status: paramiko.SFTPAttributes) -> Entry:
    mode = status.st_mode or 0
    kind = kind_of(mode)
    link = sftp.readlink(path) or "" if kind == "link" else ""
    return Entry(kind, stat.S_IMODE(mode), (status.st_mtime or 0) * SECOND, (status.st_size or 0) if kind == "file" else 0, link)


def _to_the_second(entry: Entry) -> Entry:
    return Entry(entry.kind, entry.mode, entry.time // SECOND * SECOND, entry.size, entry.link)


def _kind(look: Callable[[str], paramiko.SFTPAttributes], path: str) -> str:
    try:
        return kind_of(look(path).st_mode or 0)
    except FileNotFoundError:
        return ""


def _make_folders(sftp: paramiko.SFTPClient, path: str) -> None:
    """Make a folder of the node and those above it, where they are missing."""
    if path and not _kind(sftp.stat, path):
        _make_folders(sftp, os.path.dirname(path))
        with suppress(FileExistsError):
            try:
                sftp.mkdir(path)
            except OSError:
                if _kind(sftp.stat, path) != "folder":  # somebody else may have made it
                    raise


def _clear(todo: Changes, top: str, remove_folder: Callable[[str], object], remove: Callable[[str], object]) -> None:
    for path, kind in todo.removed:
        (remove_folder if kind == "folder" else remove)(_at(top, path))


def _at(top: str | Path, path: str) -> str:
    return f"{top}/{path}" if path else str(top)


def _dotted(path: str) -> str:
    return path if path.startswith("/") else f"./{path}"
