"""The folder of a file job store: making it, probing its file system, cleaning and removing it.

toil-job-store.json     says that the folder is ours; written first, removed last
blobs/                  one read-only file for each blob
staging/                files on their way to become blobs; each name starts with who makes it
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from contextlib import suppress

from toil_core.errors import NotAJobStore, ToilError, Transient, UsageError
from toil_core.staged_names import abandoned, staged_name

MARKER = b"toil-job-store.json"
BLOBS = b"blobs"
STAGING = b"staging"
_MARK = b'{"toil job store": 1}\n'
_FORGOTTEN = 3 * 86400.0
"""After this many seconds a staged file that another machine did not touch counts as left behind."""
_CHUNK, _THREADS = 500, 8
_GET_FLAGS, _SET_FLAGS, _TOP_FOLDER = 0x80086601, 0x40086602, 0x20000
"""FS_IOC_GETFLAGS, FS_IOC_SETFLAGS and FS_TOPDIR_FL of Linux."""
PASSES = (errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EAGAIN, errno.EBUSY, errno.ENOLCK, errno.EINTR)


def prepare(root: bytes) -> None:
    """Make the folder, or check the one that is there.

    Raises:
        NotAJobStore: Something else lives there.
        UsageError: It cannot be written, or the file system cannot give a job store's guarantees.
    """
    try:
        with suppress(FileExistsError):
            os.mkdir(root)
        if _mark(root) != _MARK:
            if os.listdir(root) and not is_ours(root):
                raise NotAJobStore(f"{shown(root)} holds other things than a job store; choose a new or an empty folder")
            with open(root + b"/" + MARKER, "wb") as file:
                file.write(_MARK)
        for folder in (BLOBS, STAGING):
            if not os.path.isdir(root + b"/" + folder):
                make_apart(root, folder)
        sweep(root)
        _probe(root)
    except OSError as error:
        raise verdict(error, root) from error


def check_place(root: bytes) -> None:
    """Make sure that nothing is in the way of a folder that is to be made; nothing is changed.

    Raises:
        NotAJobStore: Something else lives there.
        UsageError: It cannot be written.
    """
    try:
        if os.path.lexists(root):
            if os.listdir(root) and not is_ours(root):
                raise NotAJobStore(f"{shown(root)} holds other things than a job store; choose a new or an empty folder")
        elif not os.access(os.path.dirname(root), os.W_OK | os.X_OK):
            raise OSError(errno.EACCES if os.path.isdir(os.path.dirname(root)) else errno.ENOENT, "")
    except OSError as error:
        raise verdict(error, root) from error


def destroy(root: bytes) -> None:
    """Remove the folder with all that is ours in it; what others put there stays, and so does the folder then.

    Raises:
        NotAJobStore: It is not ours; nothing is removed.
        UsageError: It may not be removed.
    """
    try:
        if not is_ours(root):
            if _is_taken(root):
                raise NotAJobStore(f"{shown(root)} is not a job store, so nothing was removed")
            return
        for name in os.listdir(root):
            if name.partition(b"-")[0] in (BLOBS, STAGING):
                _remove(root + b"/" + name)
        os.unlink(root + b"/" + MARKER)
        if not os.path.islink(root):  # a link was the user's own, and so is what it leads to
            os.rmdir(root)
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno != errno.ENOTEMPTY:
            raise verdict(error, root) from error


def _is_taken(root: bytes) -> bool:
    """Whether something lies there: a file, a link to nowhere, or a folder that is not empty; asked once, as others may remove it meanwhile."""
    try:
        return bool(os.listdir(root))
    except NotADirectoryError:
        return True
    except FileNotFoundError:
        return os.path.islink(root)


def is_ours(root: bytes) -> bool:
    """Whether the folder has our marker, or the beginning of one.

    Raises:
        UsageError: A later version of this program made it.
    """
    mark = _mark(root)
    if mark is None or _MARK.startswith(mark):
        return mark is not None
    if mark.startswith(_MARK[:-3]):
        raise UsageError(f"{shown(root)} was made by another version of toil; use that one")
    return False


def sweep(root: bytes) -> None:
    """Remove what processes that are gone left in the staging folder."""
    staging = root + b"/" + STAGING
    now = 0.0
    for name in os.listdir(staging):
        path = staging + b"/" + name
        gone = abandoned(os.fsdecode(name))
        with suppress(FileNotFoundError):
            if gone is None:
                now = now or _file_server_time(staging)
                gone = now - os.lstat(path).st_mtime > _FORGOTTEN
            if gone:
                _remove(path)


def shown(root: bytes) -> str:
    """The path as people read it."""
    return os.fsdecode(root)


def file_system(path: bytes) -> str:
    """The type of the file system that holds the path, such as `ext4`; `unknown` when it cannot be told."""
    best, kind = b"", b"unknown"
    real = os.path.realpath(path) + b"/"
    with suppress(OSError), open("/proc/self/mountinfo", "rb") as mounts:
        for line in mounts:
            left, _, right = line.partition(b" - ")
            point = left.split(b" ")[4].replace(b"\\040", b" ")
            if real.startswith(point.rstrip(b"/") + b"/") and len(point) >= len(best):
                best, kind = point, right.split(b" ")[0]
    return kind.decode()


def verdict(error: OSError, root: bytes) -> ToilError:
    """What the file system's refusal means for the one who asked for the store at root."""
    where, why = shown(root), os.strerror(error.errno) if error.errno else str(error)
    if error.errno in PASSES:
        return Transient(f"job store {where}: {why}")
    if error.errno == errno.ENOENT:
        if os.path.islink(root):
            return UsageError(
                f"job store {where} cannot be made: it is a link that leads nowhere; remove it, or make the folder that it names"
            )
        if os.path.isdir(os.path.dirname(root)):
            return UsageError(f"job store {where} cannot be made: nothing can be made in {os.path.dirname(where)}; choose another folder")
        return UsageError(f"job store {where} cannot be made: there is no folder {os.path.dirname(where)}; make it first")
    if error.errno == errno.ENOTDIR:
        return NotAJobStore(f"job store {where} cannot be made: there is a file in the way; choose another folder")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UsageError(f"job store {where}: {full(error, root)}; free some space or choose another file system")
    if error.errno == errno.EROFS:
        return UsageError(f"job store {where} cannot be used: {read_only(root)}; mount it writable, or choose another folder")
    if error.errno == errno.ENAMETOOLONG:
        return UsageError(f"job store {where} cannot be made: {why}; choose a shorter path")
    return UsageError(f"job store {where} cannot be used: {why}; check the folder's permissions, or choose another one")


def read_only(root: bytes) -> str:
    """Which file system cannot be written to, in words."""
    return f"the {file_system(root)} file system of {shown(root)} is mounted read-only"


def full(error: OSError, root: bytes) -> str:
    """Which file system is full, in words."""
    kind, place = file_system(root), shown(root)
    if error.errno == errno.EDQUOT:
        return f"your disk quota on the {kind} file system of {place} is used up"
    try:
        facts = os.statvfs(root)
    except OSError:
        return f"the {kind} file system of {place} is full"
    if facts.f_files and not facts.f_favail:
        return f"the {kind} file system of {place} has no inode left for another file"
    return f"the {kind} file system of {place} is full ({facts.f_bavail * facts.f_frsize / 2**20:.1f} MiB free)"


def _mark(root: bytes) -> bytes | None:
    try:
        with open(root + b"/" + MARKER, "rb") as file:
            return file.read(200)
    except (FileNotFoundError, NotADirectoryError):
        return None


def make_apart(root: bytes, folder: bytes) -> None:
    """Make one of our folders, far from others on the disk where the file system can do that.

    For minutes ext4 avoids the inode of a deleted file, and looks at each of them for every new
    file near by: after some thousand deletions a new file costs ten times as much. Folders of a
    flagged folder are spread by their names' hash, hence a name never used before.
    """
    if file_system(root).startswith("ext"):
        _flag(root)
    made = root + b"/" + folder + b"-" + os.urandom(8).hex().encode()
    os.mkdir(made)
    try:
        os.rename(made, root + b"/" + folder)
    except OSError as error:
        os.rmdir(made)
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):  # another process was first
            raise


def _flag(root: bytes) -> None:
    import fcntl

    with suppress(OSError):
        folder = os.open(root, os.O_RDONLY | os.O_CLOEXEC)
        try:
            (flags,) = struct.unpack("l", fcntl.ioctl(folder, _GET_FLAGS, bytes(struct.calcsize("l"))))
            fcntl.ioctl(folder, _SET_FLAGS, struct.pack("l", flags | _TOP_FOLDER))
        finally:
            os.close(folder)


def _probe(root: bytes) -> None:
    """Try what the guarantees rest on: a link is refused when the name is taken, a rename replaces, case matters."""
    one, two = (root + b"/" + STAGING + b"/" + staged_name().encode() for _ in range(2))
    try:
        for path, data in ((one, b"1"), (two, b"2")):
            with open(path, "xb") as file:
                file.write(data)
        _probe_link(root, one, one + b".a")
        os.replace(two, one + b".a")
        with open(one + b".a", "rb") as file:
            if file.read() != b"2" or os.path.lexists(two):
                raise _lacking(root, "replace a file in one step")
        if os.path.lexists(one + b".A"):
            raise _lacking(root, "tell upper from lower case in names")
    finally:
        for path in (one, two, one + b".a"):
            with suppress(FileNotFoundError):
                os.unlink(path)


def _probe_link(root: bytes, source: bytes, target: bytes) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno in PASSES or error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise _lacking(root, "make hard links") from error
    try:
        os.link(source, target)
    except FileExistsError:
        if not os.path.samefile(source, target):
            raise _lacking(root, "make hard links") from None
    else:
        raise _lacking(root, "refuse a name that is taken")


def _lacking(root: bytes, ability: str) -> UsageError:
    return UsageError(
        f"{shown(root)} is on a {file_system(root)} file system, which cannot {ability}: "
        "two writers could both believe to be first; put the job store on a local disk or on NFS"
    )


def _remove(path: bytes) -> None:
    """Remove a file, or a folder with all that is in it, even while somebody still adds to it."""
    for tries_left in (3, 2, 1, 0):
        try:
            if stat.S_ISDIR(os.lstat(path).st_mode):
                _empty(path)
                os.rmdir(path)
            else:
                os.unlink(path)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.ESTALE):  # an NFS client may hold a folder that another one removed
                raise
            if not tries_left:
                raise Transient(f"{shown(path)} is still being written to by another process; stop it") from error
        else:
            return


def _empty(folder: bytes) -> None:
    with os.scandir(folder) as entries:
        found = [(entry.path, entry.is_dir(follow_symlinks=False)) for entry in entries]
    if len(found) <= _CHUNK:
        return _drop(found)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_THREADS) as pool:  # each removal waits for the disk or for the file server
        for _ in pool.map(_drop, (found[at : at + _CHUNK] for at in range(0, len(found), _CHUNK))):
            pass


def _drop(entries: list[tuple[bytes, bool]]) -> None:
    for path, is_folder in entries:
        with suppress(FileNotFoundError):
            if is_folder:
                _empty(path)
                os.rmdir(path)
            else:
                os.unlink(path)


def _file_server_time(staging: bytes) -> float:
    path = staging + b"/" + staged_name().encode()
    with open(path, "xb") as file:
        now = os.fstat(file.fileno()).st_mtime
    os.unlink(path)
    return now
