"""Sending the user's code to workers: what is sent, as one blob that is named by its content."""

from __future__ import annotations

import hashlib
import logging
import os
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from io import BytesIO
from typing import TYPE_CHECKING

import msgspec

from toil_core.errors import CannotDeploy, KeyExists, NoSuchKey
from toil_core.monitor.text import about
from toil_core.wire import keys
from toil_core.wire.work import Code, Setup
from toil_core.workflow.deployment_files import IGNORE_FILE, Found, Search
from toil_core.workflow.deployment_sources import Sources, find, metadata_files

if TYPE_CHECKING:
    from toil_core.job_store import JobStore

_log = logging.getLogger("toil.deployment")
_EPOCH = (1980, 1, 1, 0, 0, 0)
_SHOWN = 3


def deploy(store: JobStore, setup: Setup, limit: int, written: Iterable[str] = ()) -> Setup:
    """Put the user's code into the job store, so that workers need nothing of this machine's files.

    The same code makes the same blob, whenever and wherever it is packed, so it is stored once. The
    blob is one like all others: where the store encrypts, it is encrypted.

    Args:
        store: The job store.
        setup: What workers must know; its script and import path are those of this machine.
        limit: The most bytes that the files may have in all.
        written: Files and folders that the run itself writes; they are left out.

    Returns:
        The setup with the code.

    Raises:
        CannotDeploy: There is too much of it, or something of it cannot be read.
    """
    sources = find(setup.script, setup.module, sys.path, sys.modules)
    if not sources.trees:
        return setup
    files = select(sources, limit, written)
    script = _inside(*sources.script) if sources.script else ""
    if script and script not in {found.name for found in files}:
        raise CannotDeploy(f"an ignore file ({IGNORE_FILE}) keeps the script {setup.script} itself from workers; take it in with a line `!NAME`")
    data = pack(files)
    digest = hashlib.sha256(data).hexdigest()
    _put(store, keys.code(digest), data)
    path = tuple(_inside(number, folder) for number, folder in sources.path)
    return msgspec.structs.replace(setup, code=Code(digest, script, path, sources.namespaces))


def select(sources: Sources, limit: int, written: Iterable[str] = ()) -> list[Found]:
    """The files to send, named as they will lie below one folder: `NUMBER/PATH` after their trees.

    Args:
        sources: Where they lie.
        limit: The most bytes that they may have in all.
        written: Files and folders to leave out.

    Raises:
        CannotDeploy: There is too much of it, or a folder cannot be read.
    """
    search = Search(frozenset(os.path.abspath(path) for path in written))
    every: list[Found] = []
    for number, tree in enumerate(sources.trees):
        every += [_below(number, found.name, found) for found in search.files(tree.root, tree.names)]
        for name, folder in tree.elsewhere:
            every += [_below(number, f"{name}/{found.name}", found) for found in search.files(folder, None)]
        for folder in tree.metadata:
            for path in metadata_files(folder):
                found = Found("", path, os.path.getsize(path), executable=False)
                every.append(_below(number, os.path.relpath(path, os.path.dirname(folder)), found))
    chosen = list({found.name: found for found in every}.values())  # what was moved to a place counts, not what lay there
    if search.left_out:
        _log.warning("%s", _left_out(search.left_out))
    total = sum(found.size for found in chosen)
    if total > limit:
        raise CannotDeploy(_too_much(chosen, sources, total, limit))
    return chosen


def pack(files: Sequence[Found]) -> bytes:
    """One archive of the files; equal files make equal bytes.

    Raises:
        CannotDeploy: A file cannot be read, or its name is not UTF-8.
    """
    from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

    buffer = BytesIO()
    with ZipFile(buffer, "w", ZIP_DEFLATED) as archive:
        for found in sorted(files, key=lambda found: found.name):
            info = ZipInfo(found.name, _EPOCH)
            info.create_system = 3
            info.compress_type = ZIP_DEFLATED
            info.external_attr = (0o100755 if found.executable else 0o100644) << 16
            try:
                with open(found.path, "rb") as file:
                    archive.writestr(info, file.read())
            except FileNotFoundError:  # it has just gone
                continue
            except (OSError, UnicodeEncodeError) as error:
                why = error.strerror if isinstance(error, OSError) else "its name is not UTF-8"
                raise CannotDeploy(
                    f"cannot send {found.path!r} to workers: {why}; make it readable, or list it in a {IGNORE_FILE} file"
                ) from None
    return buffer.getvalue()


def _inside(number: int, name: str) -> str:
    return f"{number}/{name}".rstrip("/")


def _below(number: int, name: str, found: Found) -> Found:
    return Found(_inside(number, name), found.path, found.size, found.executable)


def _put(store: JobStore, key: str, data: bytes) -> None:
    try:
        store.stat(key)
    except NoSuchKey:
        try:
            store.create(key, data)
        except KeyExists:
            pass


def _left_out(files: Sequence[Found]) -> str:
    largest = sorted(files, key=lambda found: -found.size)
    shown = ", ".join(f"{found.path} ({about(found.size)})" for found in largest[:_SHOWN])
    more = f" and {len(files) - _SHOWN} more" if len(files) > _SHOWN else ""
    return f"not sent to workers, as data files this large rarely belong to code: {shown}{more}; a line `!NAME` in a {IGNORE_FILE} file sends them"


def _too_much(chosen: Sequence[Found], sources: Sources, total: int, limit: int) -> str:
    parts: Counter[str] = Counter()
    for found in chosen:
        number, _, name = found.name.partition("/")
        first, _, _ = name.partition("/")
        parts[os.path.join(sources.trees[int(number)].root, first)] += found.size
    shown = ", ".join(f"{path} ({about(size)})" for path, size in parts.most_common(_SHOWN))
    return (
        f"the code to send to workers has {about(total)}, more than --max-deployment {about(limit)}; "
        f"the largest: {shown}; list what workers do not need in a {IGNORE_FILE} file"
    )
