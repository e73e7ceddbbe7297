"""What the core itself looks at for `toil doctor`: this machine, and job stores."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Literal

from toil_core.checks import Check
from toil_core.errors import KeyExists, NoSuchJobStore, NoSuchKey, ToilError
from toil_core.job_store import JobStore, check_place
from toil_core.leader.options import EngineOptions
from toil_core.options import Config
from toil_core.sizes import count

Verdict = tuple[Literal["ok", "warning", "error"], str, str]
_LEAST_FREE = 1 << 30
_PROBE = "doctor/probe-"


def of_machine(config: Config) -> Iterator[Check]:
    """Python, the clock, the folder for temporary files and its disk."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield Check("python", "ok", f"{version} at {sys.executable}")
    yield _clock()
    folder = Path(config[EngineOptions].work_dir or tempfile.gettempdir())
    yield _folder(folder)
    with suppress(OSError):
        yield _disk(folder)


def of_stores(locators: Iterable[str], config: Config) -> Iterator[Check]:
    """Each job store: whether it can be reached, and does what it promises; nothing is made where nothing is."""
    from toil_core.plugins import open_job_store

    for locator in locators:
        try:
            with open_job_store(locator, config) as store:
                yield Check(f"job store {locator}", *_store(store))
        except ToilError as error:
            yield Check(f"job store {locator}", "error", str(error).removeprefix(f"{locator}: "))


def _clock() -> Check:
    if time.time() < 1_700_000_000:
        return Check("clock", "error", f"it says {time.ctime()}", "set the clock, by NTP for example")
    return Check("clock", "ok", time.strftime("%Y-%m-%d %H:%M:%S %Z"))


def _folder(folder: Path) -> Check:
    name = "temporary files"
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix="toil-doctor-") as file:
            os.chmod(file.name, 0o700)
            file.write(b"#!/bin/sh\nexit 0\n")
            file.flush()
            runs = os.access(file.name, os.X_OK)
    except OSError as error:
        return Check(name, "error", f"{folder} cannot be written: {error.strerror}", "give another folder with --work-dir")
    if not runs:
        return Check(name, "warning", f"programs cannot be run from {folder}", "mount it without noexec, or give another folder with --work-dir")
    return Check(name, "ok", str(folder))


def _disk(folder: Path) -> Check:
    usage = shutil.disk_usage(folder)
    inodes = os.statvfs(folder)
    free = f"{usage.free / (1 << 30):.1f} GiB of {usage.total / (1 << 30):.1f} GiB are free for {folder}"
    if usage.free < _LEAST_FREE:
        return Check("disk", "error", free, "free some space, or give another folder with --work-dir")
    if inodes.f_files and inodes.f_favail < 10_000:
        return Check("disk", "error", f"{folder} has room for {count(inodes.f_favail, 'more file')}", "remove files, or give another folder with --work-dir")
    return Check("disk", "ok", free)


def _store(store: JobStore) -> Verdict:
    key = _PROBE + os.urandom(8).hex()
    try:
        holds = "it holds a workflow" if _holds_workflow(store) else "it holds no workflow"
    except NoSuchJobStore:
        return _absent(store)
    try:
        try:
            store.create(key, b"probe")
        except NoSuchJobStore:
            return _absent(store)
        return _promises(store, key, holds)
    finally:
        with suppress(ToilError):
            store.delete([key])


def _holds_workflow(store: JobStore) -> bool:
    """Whether it does; raises `NoSuchJobStore` where there is none, and an error where something else is."""
    try:
        store.stat("workflow")
    except NoSuchKey:
        check_place(store)  # so that nothing is written to what belongs to somebody else
        for _ in store.list("workflow"):  # servers that do not tell a missing key from a missing store, and make one for who writes to it, tell it here
            break
        return False
    return True


def _absent(store: JobStore) -> Verdict:
    check_place(store)
    return "ok", "nothing is there yet, and it will be made when a run starts", ""


def _promises(store: JobStore, key: str, holds: str) -> Verdict:
    began = time.monotonic()
    with suppress(KeyExists):
        store.create(key, b"another")
        return "error", "it lets two writers create the same key", "use another job store: workflows would be damaged in this one"
    store.write(key, BytesIO(b"written"))
    with store.read(key) as stream:
        if stream.read() != b"written":
            return "error", "it gives back something else than was written", "use another job store"
    if [blob.key for blob in store.list(key)] != [key]:
        return "error", "it does not list what was written", "use another job store"
    return "ok", f"{holds}; it does what it must, in {(time.monotonic() - began) / 4 * 1000:.0f} ms for each request", ""
