"""The workflow's files: written once, kept in the job store, read by any job."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TextIO, overload

from toil_core.errors import NoSuchKey, UsageError
from toil_core.job_store import JobStore
from toil_core.workflow.file_access import access_to
from toil_core.workflow.file_values import Directory, File, check_file, check_name
from toil_core.workflow.outputs import Output, TextOutput

if TYPE_CHECKING:
    from toil_core.options import Config
    from toil_core.worker.cache import Cache
    from toil_core.workflow.file_values import Entry

__all__ = ["Directory", "File", "Files", "Output", "TextOutput"]

LINKS = ".files"
"""The folder in a job's own folder that holds what it reads."""


class Files:
    """The workflow's files, as one attempt (or the user's program) sees them.

    What an attempt writes belongs to it: it goes when the attempt does not succeed. With
    `cleanup=True` it also goes when the job and everything below it is done and nobody waits for
    the job's return value any more; that of the root job goes with the job store.

    Args:
        store: The job store.
        prefix: What all keys of this attempt start with.
        tmp: The attempt's own folder.
        config: The run's options.
        cache: The node's cache, if it has one.
    """

    def __init__(self, store: JobStore, prefix: str, tmp: Path, config: Config, cache: Cache | None = None) -> None:
        self._store = store
        self._access = access_to(store, tmp, config, cache)
        self._prefix = prefix
        self._tmp = tmp
        self._config = config
        self._count = 0
        self._links: dict[tuple[str, str, bool], Path] = {}
        self.deleted: dict[str, None] = {}
        """Keys of the files to delete once the attempt has succeeded."""
        self.temporary: dict[str, None] = {}
        """Keys of the files to delete once the job and all below it is done."""

    # Writing

    def write(self, source: str | bytes | os.PathLike[str], name: str = "", *, move: bool = False, cleanup: bool = False) -> File:
        """Keep content, or a file of this machine.

        A symbolic link is followed. Whether the file may be executed is kept.

        Args:
            source: Text (kept as UTF-8) or bytes; or a `Path` to a file.
            name: What it is called where it is read; the path's own name if not given.
            move: Take the file at the path away, which saves copying it where that is possible.
            cleanup: Delete the file when the job and everything below it is done.

        Raises:
            UsageError: The name cannot be one, the path is a folder, or the source is none of these.
            FileNotFoundError: Nothing is at the path.
        """
        if isinstance(source, str | bytes):
            key, name = self._key(name or "file")
            return self._wrote(self._access.keep_content(source.encode() if isinstance(source, str) else source, key, name), cleanup)
        path = _existing(source, "files.write takes text, bytes or a Path")
        if path.is_dir():
            raise UsageError(f"{path} is a folder; files.write takes one file, files.write_directory takes a folder")
        key, name = self._key(name or path.name)
        return self._wrote(self._access.keep(path, key, name, take=move), cleanup)

    def write_directory(
        self, source: os.PathLike[str], name: str = "", *, follow_symlinks: bool = False, cleanup: bool = False
    ) -> Directory:
        """Keep a folder with everything in it: files, folders, symbolic links, permissions.

        Files of the same content are stored once. A symbolic link to something in the folder
        stays one, made relative; what any other leads to is kept in its place.

        Args:
            source: A `Path` to a folder.
            name: What it is called where it is read; the path's own name if not given.
            follow_symlinks: Keep what symbolic links lead to in the place of every one.
            cleanup: Delete the directory when the job and everything below it is done.

        Raises:
            UsageError: The path is no folder; or something in it cannot be kept: a socket or device, a
                symbolic link that leads nowhere or in a circle, a name that is not printable.
            FileNotFoundError: Nothing is at the path.
        """
        from toil_core.workflow import folders

        path = _existing(source, "files.write_directory takes a Path")
        if not path.is_dir():
            raise UsageError(f"{path} is no folder; files.write_directory takes a folder, files.write takes one file")
        name = name or path.resolve().name or "folder"
        directory, kept = folders.keep(path, name, self._access, self._key(name)[0], follow_symlinks)
        if cleanup:
            self.temporary.update(dict.fromkeys(kept))
        return directory

    @overload
    def create(self, name: str = "file", *, encoding: None = None, cleanup: bool = False) -> Output: ...
    @overload
    def create(self, name: str = "file", *, encoding: str, errors: str | None = None, cleanup: bool = False) -> TextOutput: ...

    def create(
        self, name: str = "file", *, encoding: str | None = None, errors: str | None = None, cleanup: bool = False
    ) -> Output | TextOutput:
        """Open a new file to write.

        ```
        with job.files.create("calls.vcf") as out:
            out.write(b"...")                        # or let a tool write to out.path
        return out.file
        ```

        Args:
            name: What it is called where it is read.
            encoding: How text is written, such as `utf-8`; None for a stream of bytes.
            errors: What becomes of text that the encoding cannot say; see `open` of Python.
            cleanup: Delete the file when the job and everything below it is done.

        Raises:
            UsageError: The name cannot be one.
        """
        key, name = self._key(name)
        out = Output(
            self._access.scratch(name, self._tmp),
            key,
            lambda path: self._wrote(self._access.keep(path, key, name, take=True), cleanup),
        )
        return out if encoding is None else TextOutput(out, encoding, errors)

    # Reading

    def read(self, source: File | Directory, *, symlink: bool = True) -> Path:
        """A local path of the file or directory, to be read only.

        The path lies in the job's own folder, is the same each time, and ends in the file's name.
        It shares its content with all readers wherever that can be: never change it, not even as
        root, who is not stopped; `copy` gives a path of one's own.

        Args:
            source: The file or directory.
            symlink: Whether symbolic links to files outside the job's folder will do. Without, there are
                hard links or copies: what a container needs that sees only the job's folder.

        Raises:
            NoSuchKey: The file was deleted.
            CorruptBlob: The store holds something else than was written.
        """
        key = _check(source).key
        known = self._links.get((key, source.name, symlink))
        if known is not None:
            return known
        folder = self._tmp / LINKS / str(len(self._links))
        folder.mkdir(parents=True)
        path = folder / source.name
        if isinstance(source, Directory):
            from toil_core.workflow.folders import lay_out

            lay_out(self._entries(source), path, self._access, own=False, symlink=symlink)
        else:
            self._access.place(source, path, symlink=symlink)
        self._links[key, source.name, symlink] = path
        return path

    def copy(self, source: File | Directory, target: str | os.PathLike[str] | None = None) -> Path:
        """A local copy of the file or directory that the job may change.

        Args:
            source: The file or directory.
            target: Where to put it; a folder, or a path that does not exist yet. If not given, the
                source's name in the working directory.

        Raises:
            FileExistsError: Something is there.
            NoSuchKey: The file was deleted.
            CorruptBlob: The store holds something else than was written.
        """
        _check(source)
        path = self._tmp / (source.name if target is None else target)
        if path.is_dir():
            path /= source.name
        if os.path.lexists(path):
            raise FileExistsError(f"{path} exists; give files.copy another target for {source.name}")
        if isinstance(source, Directory):
            from toil_core.workflow.folders import lay_out

            lay_out(self._entries(source), path, self._access, own=True, symlink=False)
        else:
            self._access.copy(source, path)
        return path

    @overload
    def open(self, file: File, *, encoding: None = None) -> BinaryIO: ...
    @overload
    def open(self, file: File, *, encoding: str, errors: str | None = None) -> TextIO: ...

    def open(self, file: File, *, encoding: str | None = None, errors: str | None = None) -> BinaryIO | TextIO:
        """The file's content as a stream, without a local copy.

        Args:
            file: The file.
            encoding: How it is text, such as `utf-8`; None for a stream of bytes.
            errors: What becomes of bytes that are no such text; see `open` of Python.

        Raises:
            NoSuchKey: The file was deleted.
        """
        check_file(file)
        stream = self._access.open(file)
        if encoding is None:
            return stream
        from io import TextIOWrapper

        return TextIOWrapper(stream, encoding=encoding, errors=errors)

    def contents(self, directory: Directory) -> dict[str, File]:
        """The files in a directory, each to be read by itself, by their paths in it.

        Raises:
            NoSuchKey: The directory was deleted.
        """
        return {entry.path: entry.file for entry in self._entries(directory) if entry.file is not None}

    def find(self, key: str) -> File:
        """The file that has a key, for those who kept the key alone: `job.files.find(file.key)`.

        Whether the file may be executed is not told by its key.

        Raises:
            NoSuchKey: It was deleted, or never kept.
            UsageError: This is no key of a file.
        """
        file = File(key, 0, key.rpartition("/")[2])
        check_file(file)
        return File(key, self._store.stat(key).size, file.name)

    def exists(self, source: File | Directory) -> bool:
        """Whether the file or directory is still in the job store; one that is read where it is counts as there."""
        if isinstance(source, File) and source.source:
            return True
        try:
            self._store.stat(_check(source).key)
        except NoSuchKey:
            return False
        return True

    def delete(self, source: File | Directory) -> None:
        """Remove the file or directory from the job store, whoever wrote it, once this attempt has succeeded.

        Raises:
            NoSuchKey: It is a directory that was deleted.
        """
        self.deleted[_check(source).key] = None
        if isinstance(source, Directory):
            self.deleted.update((file.key, None) for file in self.contents(source).values())

    # In and out

    def import_url(self, url: str, name: str = "", *, reference: bool = False, cleanup: bool = False) -> File:
        """Keep the content of a URL, or of a path.

        Args:
            url: `file:`, `https:` or another scheme that is installed; or a path.
            name: What the file is called; the last part of the URL if not given.
            reference: Copy nothing: the file is read where it is, and must stay there unchanged.
            cleanup: Delete the file when the job and everything below it is done.

        Raises:
            BadLocator: Nothing installed opens it, or there is nothing.
        """
        from toil_core.workflow import transfers
        from toil_core.workflow.urls import last_part, with_scheme

        url = with_scheme(url)
        key, name = self._key(name or last_part(url))
        if reference:
            return transfers.refer(url, key, name, self._config)
        return self._wrote(transfers.take_in(url, key, name, self._access, self._config), cleanup)

    def import_directory(self, url: str, name: str = "", *, reference: bool = False, cleanup: bool = False) -> Directory:
        """Keep everything that lies under a URL, or in a folder given by its path.

        Args:
            url: A scheme whose places have folders: `file:`, or another one that is installed; or a path.
            name: What the directory is called; the last part of the URL if not given.
            reference: Copy nothing: the files are read where they are, and must stay there unchanged.
            cleanup: Delete the directory when the job and everything below it is done.

        Raises:
            BadLocator: Nothing installed lists such a URL, or there is nothing.
        """
        from toil_core.drivers.urls import local_path
        from toil_core.workflow import transfers
        from toil_core.workflow.urls import last_part, with_scheme

        url = with_scheme(url)
        path = local_path(url)
        if path is not None and not reference:
            return self.write_directory(Path(path), name, cleanup=cleanup)
        key, name = self._key(name or last_part(url))
        directory, kept = transfers.take_in_folder(url, key, name, self._access, self._config, reference=reference)
        if cleanup:
            self.temporary.update(dict.fromkeys(kept))
        return directory

    def export_url(self, source: File | Directory, url: str) -> None:
        """Write the file's content to a URL, or to a path; a directory to a path that does not exist, or under a URL.

        Raises:
            BadLocator: Nothing installed writes there.
            NoSuchKey: The file was deleted.
            UsageError: A directory with symbolic links to folders is to be written to something else than a path.
        """
        from toil_core.drivers.urls import local_path
        from toil_core.workflow import transfers
        from toil_core.workflow.urls import with_scheme

        url = with_scheme(url)
        if not isinstance(source, Directory):
            transfers.give_out(_check(source), url, self._access, self._config)
            return
        path = local_path(url)
        if path is None:
            transfers.give_out_folder(self._entries(source), url, self._access, self._config)
            return
        if os.path.lexists(path):
            raise FileExistsError(f"{path} exists; export directory '{source.name}' to a new path")
        self.copy(source, path)

    def _wrote(self, file: File, cleanup: bool) -> File:
        if cleanup:
            self.temporary[file.key] = None
        return file

    def _entries(self, directory: Directory) -> list[Entry]:
        from toil_core.workflow.folders import entries_of

        _check(directory)
        return entries_of(directory, self._access)

    def _key(self, name: str) -> tuple[str, str]:
        check_name(name)
        number, self._count = self._count, self._count + 1
        return f"{self._prefix}{number}/{name}", name


def _check(source: File | Directory) -> File:
    """The file that stands for it."""
    file = source.manifest if isinstance(source, Directory) else source
    check_file(file)
    check_name(source.name)
    return file


def _existing(source: os.PathLike[str], wanted: str) -> Path:
    if not isinstance(source, os.PathLike):
        raise UsageError(f"{wanted}, not {type(source).__name__}")
    path = Path(source)
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path} to write to the job store")
    return path
