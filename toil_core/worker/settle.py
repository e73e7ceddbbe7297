"""A worker host's dealings with the job store: reading what tasks need, keeping logs, making commits."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from toil_core.batch_system import Reason
from toil_core.errors import CannotInstall, CorruptBlob, StoreError, ToilError, Transient
from toil_core.job_store import JobStore, tidy
from toil_core.wire import commits, keys
from toil_core.wire.jobs import Failure, Kind, Ref, Result
from toil_core.worker import folders, logs
from toil_core.worker.messages import Ended, Item, to_item
from toil_core.worker.running import Finished, decode_result, encode, failure_of, usage_of


@dataclass(frozen=True)
class Keeping:
    """What is kept of logs.

    Args:
        most: Bytes of one log; 0 for all.
        all: Whether logs of successful attempts are kept too.
    """

    most: int
    all: bool


def fetch_all(store: JobStore, refs: Iterable[Ref]) -> dict[Ref, bytes | str]:
    """Read what the references speak of; neighbours in a blob with one read.

    Returns:
        For each reference its bytes, or why they cannot be had.

    Raises:
        Transient: The store failed in a way that may pass.
    """
    found: dict[Ref, bytes | str] = {}
    for run in _runs(sorted(set(refs), key=lambda ref: (ref.key, ref.start, ref.stop))):
        start = run[0].start
        try:
            with store.read(run[0].key, start, max(ref.stop for ref in run)) as stream:
                data = stream.read()
        except StoreError as error:
            found.update(dict.fromkeys(run, f"cannot read what the job needs: {type(error).__name__}: {error}"))
            continue
        for ref in run:
            try:
                found[ref] = _checked(store, data[ref.start - start : ref.stop - start], ref)
            except StoreError as error:
                found[ref] = f"cannot read what the job needs: {type(error).__name__}: {error}"
    return found


def _checked(store: JobStore, data: bytes, ref: Ref) -> bytes:
    """The data, read once more when it was altered on its way."""
    try:
        return commits.check(data, ref)
    except CorruptBlob:
        return commits.fetch(store, ref)


def told(ended: Ended) -> Item | None:
    """What the attempt said of itself, when that came with the news of its end and is whole."""
    try:
        return to_item.decode(ended.told) if ended.told else None
    except msgspec.MsgspecError:  # something that it left running wrote there too
        return None


def settle(store: JobStore, execution: str, job: str, files: str, kind: Kind, ended: Ended, item: Item | None, keeping: Keeping) -> Finished:
    """What came of an attempt with a process of its own, once its log and its folder are seen to; `files` is where it put files.

    Raises:
        Transient: The store failed in a way that may pass.
    """
    disk = 0
    if ended.trash and os.path.exists(ended.trash):
        disk = folders.size(ended.trash)
        folders.remove(ended.trash)
    usage = usage_of(ended, disk)
    result = Result(job, failure=failure_of(ended, kind)) if item is None else None
    if ended.opened and (item is None or not item.ok):
        sweep(store, files)
    if not ended.log:
        return (encode(result) if item is None else item.result), b"" if item is None else item.payload, usage
    assert item is not None or result is not None
    known = result if result is not None else decode_result(item.result)  # type: ignore[union-attr]
    text = logs.bounded(ended.log, keeping.most)
    known = with_log(store, execution, known, text, keeping)
    os.unlink(ended.log)
    return encode(known), b"" if item is None else item.payload, usage


def with_log(store: JobStore, execution: str, result: Result, text: bytes, keeping: Keeping) -> Result:
    """The result, with the log kept in the store where it is to be.

    Raises:
        Transient: The store failed in a way that may pass.
    """
    failure = result.failure
    if not text:
        return result
    key = keys.log(result.job, execution)
    store.write(key, io.BytesIO(logs.cut(text, keeping.most)))
    if failure is None:
        return msgspec.structs.replace(result, log=key)
    tail = failure.tail or logs.tail(text)
    return msgspec.structs.replace(result, failure=msgspec.structs.replace(failure, log=key, tail=tail))


def discard(ended: Ended) -> None:
    """Remove what an attempt that does not count left on this machine."""
    if ended.log:
        os.unlink(ended.log)
    if ended.trash:
        folders.remove(ended.trash)


def sweep(store: JobStore, files: str) -> None:
    """Delete the files of an attempt that does not count, by the prefix of their keys, and what it may have left half written.

    Raises:
        Transient: The store failed in a way that may pass.
    """
    store.delete([blob.key for blob in store.list(files)])
    tidy(store)


def failed(job: str, failure: Failure, now: float) -> Finished:
    """The result of a job that could not be tried.

    Args:
        job: Its id.
        failure: Why.
        now: Seconds since 1970.
    """
    from toil_core.batch_system import Usage

    return encode(Result(job, failure=failure)), b"", Usage(started=now)


def blame(error: BaseException) -> Reason:
    """Why a request ends whose worker could not use the store: that it is not reached from here is no job's fault."""
    return Reason.NODE_LOST if isinstance(error, Transient) else Reason.FAILED


def words(error: BaseException) -> str:
    """An error of the store as the user reads it."""
    kind = type(error).__name__
    if isinstance(error, Transient):
        return f"the job store cannot be reached: {error}"
    if isinstance(error, CannotInstall):
        return str(error)
    return f"the job store refused: {kind}: {error}" if isinstance(error, ToilError) else f"the job store failed: {kind}: {error}"


def _runs(refs: Sequence[Ref]) -> Iterable[list[Ref]]:
    """References whose bytes lie next to each other."""
    run: list[Ref] = []
    stop = 0
    for ref in refs:
        if run and (ref.key != run[0].key or ref.start > stop):
            yield run
            run = []
        stop = max(stop, ref.stop) if run else ref.stop
        run.append(ref)
    if run:
        yield run
