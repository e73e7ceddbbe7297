"""A job store as scripts see it, and what goes wrong with one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, TypeVar

from toil_core.errors import NoSuchJobStore, NoSuchKey
from toil_core.locators import canonical_locator

from toil.exceptions import (
    InvalidImportExportUrlException,
    JobStoreExistsException,
    LocatorException,
    NoSuchFileException,
    NoSuchJobException,
    NoSuchJobStoreException,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toil_core.job_store import JobStore
    from toil_core.options import Config

__all__ = [
    "AbstractJobStore", "InvalidImportExportUrlException", "JobStoreExistsException", "LocatorException", "NoSuchFileException",
    "NoSuchJobException", "NoSuchJobStoreException",
]  # fmt: skip

T = TypeVar("T")


class AbstractJobStore:
    """A job store, to look into it or to remove it.

    Args:
        locator: The job store: a folder, or `DRIVER:REST`.
        config: Options of its driver; None for what environment and config file say.
    """

    def __init__(self, locator: str, config: Config | None = None) -> None:
        self.locator = canonical_locator(str(locator))
        self._config = config

    def resume(self) -> None:
        """Check that it is there.

        Raises:
            NoSuchJobStoreException: It is not.
        """
        if self._with(lambda store: next(iter(store.list("")), None)) is None:
            raise NoSuchJobStoreException(self.locator)

    def destroy(self) -> None:
        """Remove it; doing it twice is harmless."""
        self._open(lambda store: store.destroy())

    def file_exists(self, file_id: str) -> bool:
        """Whether a file is in it."""
        try:
            self.get_file_size(file_id)
        except NoSuchFileException:
            return False
        return True

    def get_file_size(self, file_id: str) -> int:
        """The length of a file in bytes.

        Raises:
            NoSuchFileException: It is not in it.
        """
        return self._with(lambda store: store.stat(str(file_id)).size, file_id)

    def read_file(self, file_id: str, local_path: str, symlink: bool = False) -> None:
        """Copy a file to a path.

        Raises:
            NoSuchFileException: It is not in it.
        """
        import shutil

        with self.read_file_stream(file_id) as stream, Path(local_path).open("wb") as target:
            shutil.copyfileobj(stream, target)

    @contextmanager
    def read_file_stream(self, file_id: str, encoding: str | None = None, errors: str | None = None) -> Iterator[IO[Any]]:
        """A file's content: bytes, or text when an encoding is given.

        Raises:
            NoSuchFileException: It is not in it.
        """
        from io import TextIOWrapper

        def read(store: JobStore) -> BinaryIO:
            return store.read(str(file_id))

        with self._with(read, file_id) as stream:
            yield stream if encoding is None else TextIOWrapper(stream, encoding=encoding, errors=errors)

    def delete_file(self, file_id: str) -> None:
        """Remove a file; a missing one is harmless."""
        self._with(lambda store: store.delete([str(file_id)]))

    fileExists = file_exists
    getFileSize = get_file_size
    readFile = read_file
    readFileStream = read_file_stream
    deleteFile = delete_file

    def _with(self, action: Callable[[JobStore], T], file_id: str = "") -> T:
        try:
            return self._open(action)
        except NoSuchJobStore:
            raise NoSuchJobStoreException(self.locator) from None
        except NoSuchKey:
            raise NoSuchFileException(file_id) from None

    def _open(self, action: Callable[[JobStore], T]) -> T:
        from toil_core.options import config_from
        from toil_core.plugins import open_job_store

        with open_job_store(self.locator, self._config or config_from(None)) as store:
            return action(store)
