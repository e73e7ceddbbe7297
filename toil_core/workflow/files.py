"""The workflow's files: written once, kept in the job store, read by any job."""

from __future__ import annotations

import os
from io import BufferedWriter, FileIO
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Self

import msgspec

from toil_core.errors import CorruptBlob, NoSuchKey, UsageError
from toil_core.job_store import CanCopy, HasPaths, JobStore
from toil_core.wire import keys
from toil_core.wire.names import staged_name
from toil_core.workflow.file_copy import copy_file, copy_stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from toil_core.options import Config

LINKS = ".files"
"""The folder in a job's own folder that holds what it reads."""


class File(msgspec.Struct, frozen=True):
    """A file in the job store. Give it to other jobs; read it with `job.files`.

    Args:
        key: The key of its blob.
        size: Its length in bytes.
        name: What it is called where it is read, suffix included.
    """

    key: str
    size: int
    name: str


class Output(BufferedWriter):
    """A file being written: a binary stream, and a path that a tool may write to instead.

    Made by `Files.create`. The file is kept when the `with` block ends, and is dropped when an
    error leaves the block.
    """

    def __init__(self, path: Path, keep: Callable[[Path], File]) -> None:
        super().__init__(FileIO(path, "xb"))
        self.path = path
        """Where it is written; the name ends like the file's."""
        self._keep: Callable[[Path], File] | None = keep
        self._file: File | None = None

    @property
    def file(self) -> File:
        """The file, once the `with` block has ended.

        Raises:
            UsageError: It has not ended yet, or an error left it.
        """
        if self._file is None:
            raise UsageError(f"{self.path.name} is a file only after its `with` block has ended without an error")
        return self._file

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        keep, self._keep = self._keep, None
        try:
            self.close()
            if kind is None and keep is not None:
                self._file = keep(self.path)
        finally:
            self.path.unlink(missing_ok=True)


class Files:
    """The workflow's files, as one attempt (or the user's program) sees them.

    What an attempt writes belongs to it: it goes when the attempt does not succeed.

    Args:
        store: The job store.
        prefix: What all keys of this attempt start with.
        tmp: The attempt's own folder.
        config: The run's options.
    """

    def __init__(self, store: JobStore, prefix: str, tmp: Path, config: Config) -> None:
        self._store = store
        self._prefix = prefix
        self._tmp = tmp
        self._config = config
        self._count = 0
        self._links: dict[str, Path] = {}
        self.deleted: dict[str, None] = {}
        """Keys of the files to delete once the attempt has succeeded."""

    def write(self, source: str | bytes | os.PathLike[str], name: str = "", *, move: bool = False) -> File:
        """Keep content, or a file of this machine.

        Args:
            source: Text (kept as UTF-8) or bytes; or a `Path` to a file.
            name: What it is called where it is read; the path's own name if not given.
            move: Take the file at the path away, which saves copying it where that is possible.

        Raises:
            UsageError: The name cannot be one, the path is a folder, or the source is none of these.
            FileNotFoundError: Nothing is at the path.
        """
        if isinstance(source, str | bytes):
            return self._write_content(source.encode() if isinstance(source, str) else source, name or "file")
        if not isinstance(source, os.PathLike):
            raise UsageError(f"files.write takes text, bytes or a Path, not {type(source).__name__}")
        path = Path(source)
        if path.is_dir():
            raise UsageError(f"{path} is a folder; files.write takes one file (pack a folder with shutil.make_archive)")
        if not path.exists():
            raise FileNotFoundError(f"there is no file {path} to write to the job store")
        return self._write_path(path, name or path.name, move)

    def create(self, name: str = "file") -> Output:
        """Open a new file to write.

        ```
        with job.files.create("calls.vcf") as out:
            out.write(b"...")                        # or let a tool write to out.path
        return out.file
        ```

        Args:
            name: What it is called where it is read.

        Raises:
            UsageError: The name cannot be one.
        """
        key, name = self._key(name)
        return Output(self._scratch(name), lambda path: self._keep(path, key, name))

    def read(self, file: File) -> Path:
        """A local path of the file, to be read only.

        The path lies in the job's own folder, is the same each time, and ends in the file's name.
        Where the store has files it is a link to the one all readers share: never change it, not
        even as root, who is not stopped; `copy` gives a path of one's own.

        Raises:
            NoSuchKey: The file was deleted.
            CorruptBlob: The store holds another size of it.
        """
        self._check(file)
        known = self._links.get(file.key)
        if known is not None:
            return known
        folder = self._tmp / LINKS / str(len(self._links))
        folder.mkdir(parents=True)
        path = folder / file.name
        if isinstance(self._store, HasPaths):
            path.symlink_to(self._path(self._store, file))
        else:
            self._download(file, path)
            path.chmod(0o444)
        self._links[file.key] = path
        return path

    def copy(self, file: File, target: str | os.PathLike[str] | None = None) -> Path:
        """A local copy of the file that the job may change.

        Args:
            file: The file.
            target: Where to put it; a folder, or a path that does not exist yet. If not given, the file's
                name in the working directory.

        Raises:
            FileExistsError: Something is there.
            NoSuchKey: The file was deleted.
            CorruptBlob: The store holds another size of it.
        """
        self._check(file)
        path = self._tmp / (file.name if target is None else target)
        if path.is_dir():
            path /= file.name
        if os.path.lexists(path):
            raise FileExistsError(f"{path} exists; give files.copy another target for {file.name}")
        if isinstance(self._store, HasPaths):
            copy_file(self._path(self._store, file), path)
        else:
            self._download(file, path)
        return path

    def open(self, file: File) -> BinaryIO:
        """The file's content as a stream, without a local copy.

        Raises:
            NoSuchKey: The file was deleted.
        """
        self._check(file)
        try:
            return self._store.read(file.key)
        except NoSuchKey:
            raise _gone(file) from None

    def delete(self, file: File) -> None:
        """Remove the file from the job store, whoever wrote it, once this attempt has succeeded."""
        self._check(file)
        self.deleted[file.key] = None

    def import_url(self, url: str, name: str = "") -> File:
        """Keep the content of a URL, or of a path.

        Args:
            url: `file:`, `https:` or another scheme that is installed; or a path.
            name: What the file is called; the last part of the URL if not given.

        Raises:
            BadLocator: Nothing installed opens it, or there is nothing.
        """
        from toil_core import plugins
        from toil_core.workflow.urls import last_part, with_scheme

        url = with_scheme(url)
        key, name = self._key(name or last_part(url))
        if isinstance(self._store, CanCopy) and self._store.copy_from(key, url):
            return File(key, self._store.stat(key).size, name)
        with plugins.open_url(url, "rb", self._config) as stream:
            return self._write_stream(stream, key, name)

    def export_url(self, file: File, url: str) -> None:
        """Write the file's content to a URL, or to a path.

        Raises:
            BadLocator: Nothing installed writes there.
            NoSuchKey: The file was deleted.
        """
        from toil_core import plugins
        from toil_core.workflow.urls import with_scheme

        with self.open(file) as stream, plugins.open_url(with_scheme(url), "wb", self._config) as target:
            size = copy_stream(stream, target)
            if size != file.size:
                raise CorruptBlob(file.key, f"file '{file.name}' should have {file.size} bytes and has {size}")

    def _write_content(self, data: bytes, name: str) -> File:
        from io import BytesIO

        key, name = self._key(name)
        self._store.write(key, BytesIO(data))
        return File(key, len(data), name)

    def _write_path(self, path: Path, name: str, move: bool) -> File:
        key, name = self._key(name)
        if isinstance(self._store, HasPaths):
            scratch = self._scratch(name)
            try:
                copy_file(path, scratch, move=move)
                return self._keep(scratch, key, name)
            finally:
                scratch.unlink(missing_ok=True)
        file = self._keep(path, key, name)
        if move:
            path.unlink()
        return file

    def _write_stream(self, stream: BinaryIO, key: str, name: str) -> File:
        with Output(self._scratch(name), lambda path: self._keep(path, key, name)) as out:
            copy_stream(stream, out)
        return out.file

    def _keep(self, path: Path, key: str, name: str) -> File:
        size = path.stat().st_size
        if isinstance(self._store, HasPaths):
            self._store.adopt(key, path)
        else:
            with path.open("rb") as stream:
                self._store.write(key, stream)
        return File(key, size, name)

    def _scratch(self, name: str) -> Path:
        """A path that does not exist, where a new file can be written before it is kept."""
        folder = self._store.staging() if isinstance(self._store, HasPaths) else self._tmp
        return folder / f"{staged_name()}.{name}"

    def _key(self, name: str) -> tuple[str, str]:
        _check_name(name)
        number, self._count = self._count, self._count + 1
        return f"{self._prefix}{number}/{name}", name

    def _path(self, store: HasPaths, file: File) -> Path:
        path = store.path(file.key).absolute()
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            raise _gone(file) from None
        if size != file.size:
            raise CorruptBlob(file.key, f"file '{file.name}' should have {file.size} bytes and has {size}")
        return path

    def _download(self, file: File, path: Path) -> None:
        with self.open(file) as stream, path.open("xb") as target:
            size = copy_stream(stream, target)
        if size != file.size:
            path.unlink()
            raise CorruptBlob(file.key, f"file '{file.name}' should have {file.size} bytes and has {size}")

    def _check(self, file: Any) -> None:
        if not isinstance(file, File):
            raise UsageError(f"{file!r} is no File; files come from files.write, files.create and files.import_url")
        if not file.key.startswith(keys.FILES) or ".." in file.key.split("/"):
            raise UsageError(f"'{file.key}' is not the key of a file")
        _check_name(file.name)


def _gone(file: File) -> NoSuchKey:
    return NoSuchKey(file.key, f"file '{file.name}' is no longer in the job store; was it deleted?")


def _check_name(name: str) -> None:
    if not name or name in (".", "..") or "/" in name or not name.isprintable() or len(name.encode()) > 200:
        raise UsageError(f"{name!r} cannot be the name of a file: it must be printable, without /, and at most 200 bytes")
