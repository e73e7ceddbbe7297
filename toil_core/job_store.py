"""The job store contract: a place for blobs, where the first creator of a key wins."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Protocol, runtime_checkable

from toil_core.closing import Closing
from toil_core.errors import BadKey

if TYPE_CHECKING:
    from toil_core.options import Config

KEY_BYTES = 1024
"""The longest key that every driver stores, in bytes of UTF-8."""
PIECE = 1 << 18
"""How many bytes are best moved at a time from a stream into a file: Linux takes several times as long for the same bytes in writes of a MiB."""


def check_key(key: str) -> list[str]:
    """The parts of a key, when it can name a blob; every driver asks this first.

    Raises:
        BadKey: It is too long, holds something not printable, or has a part that is empty, `.` or `..`.
    """
    parts = key.split("/")
    if "" in parts or "." in parts or ".." in parts:
        raise BadKey(f"key {key!r} is no relative path: no part may be empty, `.` or `..`")
    if not key.isprintable():
        raise BadKey(f"key {key!r} holds a character that is not printable; rename it")
    if len(key) * 4 > KEY_BYTES and len(key.encode()) > KEY_BYTES:
        raise BadKey(f"key {key[:40]!r}... has more than {KEY_BYTES} bytes; shorten it")
    return parts


@dataclass(frozen=True, slots=True)
class Blob:
    """What a store knows about one key without reading it.

    Args:
        key: The key.
        size: The length of the blob in bytes.
    """

    key: str
    size: int


class Listed(NamedTuple):
    """A file that lies under a URL.

    Args:
        path: Where, below the URL.
        size: Its length in bytes.
        version: What tells its content from what may replace it; empty where nothing does.
    """

    path: str
    size: int
    version: str = ""


class JobStore(Closing):
    """Eight primitives. All workflow meaning is built on them in the core.

    Keys are relative paths of printable Unicode with `/` between the parts, at most 1,024
    bytes of UTF-8; no part is empty, `.` or `..`; any other key is refused with `BadKey`. A
    key and a longer one that goes on after a `/` may both have blobs. A blob appears whole or
    not at all, and once an operation returns, every later read, stat and list, by anyone, sees
    its effect. Every method may be called from several threads at once. Drivers raise errors
    from `toil_core.errors` only; the core retries `Transient` ones.
    """

    @abstractmethod
    def prepare(self) -> None:
        """Make whatever holds the blobs. Doing it twice is harmless.

        Raises:
            NotAJobStore: The place exists and something else lives there.
            UsageError: The place cannot be used (permissions, or it cannot give the guarantees above).
        """

    @abstractmethod
    def destroy(self) -> None:
        """Remove every blob and whatever holds them. Doing it twice, or on a half-made store, is harmless.

        Raises:
            NotAJobStore: The place was not made by `prepare`; nothing is removed.
        """

    @abstractmethod
    def create(self, key: str, data: bytes) -> None:
        """Store data only if the key is absent.

        Of any number of simultaneous creators of a key exactly one succeeds.

        Raises:
            KeyExists: The key has a blob already.
            StoreFull: There is no room.
        """

    @abstractmethod
    def write(self, key: str, stream: BinaryIO) -> None:
        """Store the stream to its end, replacing any blob under the key.

        When reading the stream or storing fails, the former blob, if any, is untouched.

        Raises:
            StoreFull: There is no room.
        """

    @abstractmethod
    def read(self, key: str, start: int = 0, stop: int | None = None) -> BinaryIO:
        """Open the bytes [start, stop) of a blob, as many of them as exist.

        Raises:
            NoSuchKey: Nothing is stored under the key.
        """

    @abstractmethod
    def stat(self, key: str) -> Blob:
        """Describe a blob.

        Raises:
            NoSuchKey: Nothing is stored under the key.
        """

    @abstractmethod
    def delete(self, keys: Iterable[str]) -> None:
        """Remove the keys. A missing key is harmless."""

    @abstractmethod
    def list(self, prefix: str = "") -> Iterator[Blob]:
        """Describe every blob whose key starts with the prefix, in any order."""

    def close(self) -> None:
        """Let go of connections. The blobs stay."""


@runtime_checkable
class HasPaths(Protocol):
    """A store whose blobs are files that workers can open, link and symlink."""

    def path(self, key: str) -> Path:
        """The file that holds (or would hold) the blob; never written through."""
        ...

    def adopt(self, key: str, source: Path) -> None:
        """Make the file the blob of the key, whole or not at all, replacing any former one.

        The source must lie in a folder given by `staging()` and is gone afterwards, so nothing is copied.
        """
        ...

    def staging(self) -> Path:
        """A folder on the same file system as the blobs, for files that will be adopted.

        It is shared: files there have names of `toil_core.staged_names`, by which the store's next `prepare` or `tidy` tells
        what a killed process left.
        """
        ...


@runtime_checkable
class HasUrls(Protocol):
    """A store that can hand out time-limited public URLs."""

    def url(self, key: str, seconds: int = 3600) -> str:
        """A URL that anyone can read the blob from until it expires."""
        ...


@runtime_checkable
class CanCopy(Protocol):
    """A store that can take in a URL without the bytes passing through this machine."""

    def copy_from(self, key: str, url: str, listed: Listed | None = None) -> int | None:
        """Copy the URL's content under the key.

        Args:
            key: The blob's key.
            url: The URL.
            listed: What a listing of the folder above has just told about it, so that it need not be asked for.

        Returns:
            The content's length in bytes; None when this URL must be streamed instead.
        """
        ...


@runtime_checkable
class CanSync(Protocol):
    """A store whose writes reach the disk later unless told otherwise.

    Stores without it are expected to survive power loss as soon as an operation returns.
    """

    def sync(self) -> None:
        """Return once everything written before this call survives power loss."""
        ...


@runtime_checkable
class CanTidy(Protocol):
    """A store in which a writer that was killed leaves what is no blob, and takes room."""

    def tidy(self) -> None:
        """Remove what writers that are gone left half written, as far as that can be told from here; what fails is left to another time."""
        ...


def tidy(store: JobStore) -> None:
    """Remove what killed writers left half written, where the store can."""
    if isinstance(store, CanTidy):
        store.tidy()


@runtime_checkable
class HasWorkerLocator(Protocol):
    """A store that workers reach under another address than the user's."""

    def worker_locator(self) -> str:
        """The locator, with its driver's name, to give to workers."""
        ...


@runtime_checkable
class HasPace(Protocol):
    """A store whose every request costs money, or a good part of a second.

    Jobs that last less than its pace share requests, and a leader that has nothing to do asks it less and less.
    """

    def pace(self) -> float:
        """Seconds of tiny jobs' work that are worth a write."""
        ...


@runtime_checkable
class ChecksPlace(Protocol):
    """A store that can tell beforehand what `prepare` would say."""

    def check_place(self) -> None:
        """Make sure that `prepare` would find nothing in its way; makes and writes nothing.

        Raises:
            UsageError: Something is there.
        """
        ...


def check_place(store: JobStore) -> None:
    """Make sure that nobody else uses the place, where the store can tell.

    Raises:
        UsageError: Something is there.
    """
    if isinstance(store, ChecksPlace):
        store.check_place()


@runtime_checkable
class CanWarm(Protocol):
    """A driver whose class can make ready what opening a store takes time for.

    A worker asks for it once, in a process that opens no store itself, and then forks the
    processes that do: what is made there must hold no connection and no thread.
    """

    def warm(self, locator: str, config: Config) -> None:
        """Import and make what does not depend on the process; a class method, with the arguments of the class itself."""
        ...
