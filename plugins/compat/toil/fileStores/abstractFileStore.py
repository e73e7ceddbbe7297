"""The files of the workflow and the job's own folder, as scripts see them."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import toil_core
from toil_core import File
from toil_core.errors import BadLocator, NoSuchKey, UsageError

from toil.exceptions import IllegalDeletionCacheError, InvalidImportExportUrlException, NoSuchFileException
from toil.fileStores import FileID

INFO = 20
"""The level of that name of the logging module, which not every worker needs."""

MUTABLE = "TOIL_COMPAT_MUTABLE"
"""Set for jobs when `--readGlobalFileMutableByDefault` was given."""


class AbstractFileStore:
    """The files of the workflow, and the folder of one running job.

    Args:
        job: The running job of toil-core.
    """

    def __init__(self, job: toil_core.Job[Any]) -> None:
        self._job = job
        self._local: dict[str, list[Path]] = {}
        """By file, the paths that the job was given."""
        self._temp_dir = ""
        self._count = 0

    # Folders and files of the job's own

    @property
    def localTempDir(self) -> str:
        """The job's own folder, its working directory; gone when it ends."""
        return str(self._job.tmp)

    @property
    def tempDir(self) -> str:
        """A folder in it; the same each time."""
        self._temp_dir = self._temp_dir or self.getLocalTempDir()
        return self._temp_dir

    def getLocalTempDir(self) -> str:
        """A new folder in the job's own."""
        path = self._new("", "")
        path.mkdir(0o700)
        return str(path)

    def getLocalTempFile(self, suffix: str | None = None, prefix: str | None = None) -> str:
        """A new, empty file in the job's folder."""
        path = self._new(suffix, prefix)
        path.touch(0o600)
        return str(path)

    def getLocalTempFileName(self, suffix: str | None = None, prefix: str | None = None) -> str:
        """A path in the job's folder where nothing is."""
        return str(self._new(suffix, prefix))

    def get_disk_usage(self) -> int:
        """Bytes that the job's folder takes."""
        return sum(path.lstat().st_size for path in self._job.tmp.rglob("*") if path.is_file() and not path.is_symlink())

    # Files of the workflow

    def writeGlobalFile(self, localFileName: str | os.PathLike[str], cleanup: bool = False, hints: Sequence[str] | None = None) -> FileID:
        """Keep a file of this machine in the job store.

        Args:
            localFileName: Its path.
            cleanup: Delete it from the job store when the job and all below it is done.
            hints: Not used.
        """
        path = Path(localFileName).absolute()
        file = FileID.of(self._job.files.write(path, cleanup=cleanup))
        if path.is_relative_to(self._job.tmp):
            self._local.setdefault(str(file), []).append(path)
        return file

    @contextmanager
    def writeGlobalFileStream(
        self, cleanup: bool = False, basename: str | None = None, hints: Sequence[str] | None = None, encoding: str | None = None,
        errors: str | None = None,
    ) -> Iterator[tuple[IO[Any], FileID]]:  # fmt: skip
        """A stream to write to and the id of the file that it becomes when the `with` block ends.

        Args:
            cleanup: Delete it from the job store when the job and all below it is done.
            basename: What it is called.
            hints: Not used.
            encoding: How text is written; None for a stream of bytes.
            errors: What becomes of text that the encoding cannot say.
        """
        name, files = basename or "stream", self._job.files
        if encoding is None:
            out: Any = files.create(name, cleanup=cleanup)
        else:
            out = files.create(name, encoding=encoding, errors=errors, cleanup=cleanup)
        file = FileID(out.key)
        with out:
            yield out, file
        file.size, file.crc = out.file.size, out.file.crc

    def readGlobalFile(
        self, fileStoreID: str, userPath: str | os.PathLike[str] | None = None, cache: bool = True, mutable: bool | None = None,
        symlink: bool = False,
    ) -> str:  # fmt: skip
        """A local path of a file.

        Args:
            fileStoreID: The file.
            userPath: Where to put it, a path where nothing is; if not given, somewhere in the job's folder.
            cache: Not used.
            mutable: Whether the job may change it; if not, its content is shared and must not be changed.
            symlink: Whether a symbolic link will do.
        """
        file = self._find(fileStoreID)
        target = self._free(file) if userPath is None else Path(userPath).absolute()
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, "there is something already, so the file cannot be read to", str(target))
        with _missing(fileStoreID):
            own = os.environ.get(MUTABLE) == "true" if mutable is None else mutable
            if own or not target.is_relative_to(self._job.tmp):  # what outlives the job shares nothing with the job store
                self._job.files.copy(file, target)
            elif symlink:
                target.symlink_to(self._job.files.read(file))
            else:
                _place(self._job.files.read(file, symlink=False), target)
        self._local.setdefault(str(fileStoreID), []).append(target)
        return str(target)

    def readGlobalFileStream(self, fileStoreID: str, encoding: str | None = None, errors: str | None = None) -> Any:
        """A stream of a file's content: bytes, or text when an encoding is given."""
        file, files = self._find(fileStoreID), self._job.files
        with _missing(fileStoreID):
            return files.open(file) if encoding is None else files.open(file, encoding=encoding, errors=errors)

    def getGlobalFileSize(self, fileStoreID: str) -> int:
        """The length of a file in bytes."""
        return self._find(fileStoreID).size

    def deleteLocalFile(self, fileStoreID: str) -> None:
        """Remove the local copies of a file that the job was given.

        Raises:
            IllegalDeletionCacheError: It was given none.
        """
        paths = self._local.pop(str(fileStoreID), None)
        if paths is None:
            raise IllegalDeletionCacheError(errno.ENOENT, "the job has no local copy of this file", str(fileStoreID))
        for path in paths:
            path.unlink(missing_ok=True)

    def deleteGlobalFile(self, fileStoreID: str) -> None:
        """Remove a file from the job store once this attempt has succeeded, and its local copies at once."""
        try:
            self._job.files.delete(self._find(fileStoreID))
        except NoSuchFileException:  # somebody else removed it, which was what is wanted
            pass
        for path in self._local.pop(str(fileStoreID), ()):
            path.unlink(missing_ok=True)

    def importFile(self, srcUrl: str, sharedFileName: str | None = None) -> FileID:
        """Keep the content of a URL, or of a path, in the job store."""
        refuse_shared(sharedFileName)
        with bad_url():
            return FileID.of(self._job.files.import_url(str(srcUrl)))

    def exportFile(self, jobStoreFileID: str, dstUrl: str) -> None:
        """Write a file to a URL, or to a path."""
        file = self._find(jobStoreFileID)
        with bad_url(), _missing(jobStoreFileID):
            self._job.files.export_url(file, str(dstUrl))

    # What it says

    def logToMaster(self, text: str, level: int = INFO) -> None:
        """Tell the user something."""
        self._job.log(str(text), level)

    def log_user_stream(self, name: str, stream: IO[bytes]) -> None:
        """Put what a stream gives into the job's log, below its name."""
        print(f"{name}:")
        for line in stream:
            print(line.decode(errors="replace") if isinstance(line, bytes) else line, end="")
        print(flush=True)

    # Other names

    def __getattr__(self, name: str) -> Any:
        from toil.job import camel

        return getattr(self, camel(type(self), name))

    import_file: Callable[..., FileID] = importFile
    export_file = exportFile
    log_to_leader = log_to_master = logToMaster

    def _find(self, fileStoreID: str) -> File:
        found = fileStoreID.file() if isinstance(fileStoreID, FileID) else None
        with _missing(fileStoreID):
            return found or self._job.files.find(str(fileStoreID))

    def _free(self, file: File) -> Path:
        return Path(self.getLocalTempDir()) / file.name

    def _new(self, suffix: str | None, prefix: str | None) -> Path:
        """A path in the job's folder where nothing is, and which is given once."""
        while True:
            self._count += 1
            path = self._job.tmp / f"{prefix or 'tmp'}{self._count}{suffix or ''}"
            if not os.path.lexists(path):
                return path


def refuse_shared(name: str | None) -> None:
    """Files have no names of their own in a job store.

    Raises:
        UsageError: One is given.
    """
    if name is not None:
        raise UsageError(f"sharedFileName={name!r}: files have no fixed names in a job store; give the returned FileID to the jobs that need it")


@contextmanager
def bad_url() -> Iterator[None]:
    """Tell of a URL that cannot be used as scripts expect it."""
    try:
        yield
    except BadLocator as error:
        raise InvalidImportExportUrlException(str(error)) from None


@contextmanager
def _missing(fileStoreID: str) -> Iterator[None]:
    try:
        yield
    except NoSuchKey:
        raise NoSuchFileException(fileStoreID) from None


def _place(path: Path, target: Path) -> None:
    try:
        os.link(path, target, follow_symlinks=False)
    except OSError:
        import shutil

        shutil.copy(path, target)
