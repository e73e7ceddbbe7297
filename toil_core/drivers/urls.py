"""The URLs that need no plugin: `file:` to read and write, `http:` and `https:` to read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, BinaryIO, cast

from toil_core.errors import BadLocator
from toil_core.job_store import PIECE, CanCopy, HasPaths

if TYPE_CHECKING:
    from toil_core.job_store import JobStore
    from toil_core.options import Config

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")


def opened(url: str, mode: str) -> BinaryIO | None:
    """Open a `file:` URL, an absolute path, or (to read) an `http:` or `https:` URL.

    Args:
        url: What to open.
        mode: `rb` to read; `wb` to write, whole when closed.

    Returns:
        The stream; None when the scheme is another plugin's.

    Raises:
        BadLocator: It cannot be read or written, for a reason that will not pass.
        Transient: The server failed in a way that may pass.
        Unsupported: It is to be written, and its scheme is only read.
        StoreFull: No space is left where it is to be written.
    """
    path = local_path(url)
    if path is not None:
        from toil_core.drivers import url_files

        return url_files.read(path) if mode == "rb" else cast("BinaryIO", url_files.Output(path))
    if scheme_of(url) in ("http", "https"):
        from toil_core.drivers import url_http

        return url_http.opened(url, mode)
    return None


def listed(url: str) -> Iterable[tuple[str, int]] | None:
    """What lies at or under a `file:` URL or an absolute path: path below it, and length, of each file; None for other schemes.

    Raises:
        BadLocator: Nothing is there.
    """
    path = local_path(url)
    if path is None:
        return None
    if os.path.isfile(path):
        return [("", os.stat(path).st_size)]
    if not os.path.isdir(path):
        raise BadLocator(f"there is no file or folder {path}")
    found = [os.path.join(folder, name) for folder, _, names in os.walk(path, followlinks=True) for name in names]
    return [(os.path.relpath(file, path), os.stat(file).st_size) for file in sorted(found)]


def scheme_of(url: str) -> str:
    """The URL's scheme in lower case; empty when it has none."""
    match = _SCHEME.match(url)
    return match[1].lower() if match else ""


def local_path(url: str) -> str | None:
    """The absolute path that a `file:` URL or a bare path names; None for URLs of other schemes.

    Raises:
        BadLocator: The path is relative, on another machine, or not written as a URL must be.
    """
    if url.startswith("/"):
        return _checked(url, url)
    scheme = scheme_of(url)
    if scheme not in ("", "file"):
        return None
    rest = url[5:] if scheme else url
    if rest.startswith("//"):
        host, slash, path = rest[2:].partition("/")
        if host not in ("", "localhost"):
            raise BadLocator(f"{url!r} names the host {host!r}; write file:///PATH for a file of this machine")
        rest = slash + path
    if not rest.startswith("/"):
        raise BadLocator(f"{url!r} is relative; give an absolute path or file:///PATH")
    if "?" in rest or "#" in rest:
        raise BadLocator(f"{url!r} holds `?` or `#`; in a URL write %3F or %23, or give the bare path")
    from urllib.parse import unquote_to_bytes

    return _checked(os.fsdecode(unquote_to_bytes(rest)), url)


def import_url(store: JobStore, key: str, url: str, config: Config) -> int:
    """Store what a URL names under a key, replacing any blob there.

    The bytes move as little as they can: the back end copies by itself when it can; a local
    file is linked when nobody may write to it, shares its blocks where the file system can do
    that, and is copied inside the system otherwise.

    Args:
        store: The job store.
        key: The blob's key.
        url: A URL, or an absolute path.
        config: The options.

    Returns:
        The blob's length in bytes.

    Raises:
        BadLocator: The URL cannot be read.
        Transient: It may be readable later.
        StoreFull: The job store has no room.
    """
    path = local_path(url)
    if path is not None and os.path.isfile(path) and isinstance(store, HasPaths):
        from toil_core.drivers import url_files

        url_files.take_in(store, key, path)
    elif path is None and isinstance(store, CanCopy) and (size := store.copy_from(key, url)) is not None:
        return size
    else:
        with _through_plugins(url, "rb", config) as stream:
            store.write(key, stream)
    return store.stat(key).size


def export_blob(store: JobStore, key: str, url: str, config: Config) -> None:
    """Write a blob to a URL, whole or not at all. What is written is the user's own: no link to the blob.

    Args:
        store: The job store.
        key: The blob's key.
        url: A URL, or an absolute path.
        config: The options.

    Raises:
        NoSuchKey: Nothing is stored under the key.
        BadLocator: The URL cannot be written.
        Unsupported: URLs of this scheme are never written.
        StoreFull: There is no room.
    """
    path = local_path(url)
    if path is not None and isinstance(store, HasPaths):
        from toil_core.drivers import url_files

        store.stat(key)
        url_files.copy(os.fspath(store.path(key)), path)
        return
    with store.read(key) as source, _through_plugins(url, "wb", config) as target:
        while data := source.read(PIECE):
            target.write(data)


def _through_plugins(url: str, mode: str, config: Config) -> BinaryIO:
    from toil_core.plugins import open_url

    if url.startswith("/"):
        from urllib.parse import quote

        url = "file://" + quote(url)
    return open_url(url, mode, config)


def _checked(path: str, url: str) -> str:
    if "\0" in path:
        raise BadLocator(f"{url!r} names no file: it holds a NUL")
    return path
