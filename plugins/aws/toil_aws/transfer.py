"""Moving large content into S3: in parts, several at a time, by the SDK's transfer manager."""

from __future__ import annotations

import logging
import os
import stat
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from boto3.exceptions import S3UploadFailedError
from boto3.s3.transfer import TransferConfig
from botocore.compat import HAS_CRT
from toil_core.errors import UsageError

from toil_aws import clients

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

    from toil_aws.options import AwsOptions

_MOST_PARTS = 10_000
_UNKNOWN = 16 << 20
"""Bytes of a part of a stream whose length nobody knows, which is held in memory while it moves: enough for 160 GB."""
_SMALL = 1 << 20
_log = logging.getLogger("toil.aws")
_native_in: int | None = None


def upload(client: S3Client, stream: BinaryIO, bucket: str, name: str, extra: dict[str, Any], options: AwsOptions) -> None:
    """Store a stream to its end, whole or not at all.

    A small one goes with one request, a larger one in parts, each with a checksum and with tries of its own.

    Args:
        client: The client.
        stream: What to store.
        bucket: Where.
        name: Under which name.
        extra: Further headers.
        options: The plugin's options.

    Raises:
        ClientError: S3 says no.
    """
    size = _length(stream)
    if size is None or size <= options.part_size:
        start = _read_full(stream, options.part_size + 1)
        if len(start) <= options.part_size:
            client.put_object(Bucket=bucket, Key=name, Body=start, **extra)
            return
        stream = cast("BinaryIO", _Rest(start, stream))
    part = max(options.part_size, -(-size // _MOST_PARTS) if size else _UNKNOWN)
    path = _path(stream)
    if path is not None and not extra and _native(options):
        try:
            return _move(client, path, bucket, name, extra, part, options, "auto")
        except Exception as error:
            if not type(error).__module__.startswith("awscrt"):  # its errors have nothing else in common
                raise
            _log.info("the SDK's native client failed (%s); the ordinary one takes over", error)
    _move(client, path or stream, bucket, name, extra, part, options, "classic")


def _move(client: S3Client, source: BinaryIO | str, bucket: str, name: str, extra: dict[str, Any], part: int, options: AwsOptions, by: str) -> None:
    config = TransferConfig(multipart_threshold=part, multipart_chunksize=part, max_concurrency=options.transfers, preferred_transfer_client=by)
    config.max_in_memory_upload_chunks = options.transfers
    try:
        if isinstance(source, str):
            client.upload_file(source, bucket, name, ExtraArgs=dict(extra), Config=config)
        else:
            client.upload_fileobj(source, bucket, name, ExtraArgs=dict(extra), Config=config)
    except S3UploadFailedError as error:
        raise error.__cause__ or error.__context__ or error from None


def _path(stream: BinaryIO) -> str | None:
    """Where the whole of a stream can be opened again, so that its parts are read side by side and need no memory; None if nowhere."""
    if _length(stream) is None or stream.tell():
        return None
    path = f"/proc/self/fd/{stream.fileno()}"
    return path if os.path.exists(path) else None


def _native(options: AwsOptions) -> bool:
    """Whether the SDK may take its native client, where that is installed and suits the machine.

    It speaks to Amazon's servers only, and its threads do not live on in a process that was forked.
    """
    global _native_in
    if not HAS_CRT or clients.endpoint(options) is not None:
        return False
    _native_in = _native_in or os.getpid()
    return _native_in == os.getpid()


def customer_key(path: str | None) -> dict[str, Any]:
    """The headers of a key of the user's own, which a file holds.

    Raises:
        UsageError: The file cannot be read, or holds no key of 32 bytes.
    """
    if path is None:
        return {}
    try:
        with open(os.path.expanduser(path), "rb") as file:
            key = file.read(66)
    except OSError as error:
        raise UsageError(f"--sse-key: {path} cannot be read: {os.strerror(error.errno or 0)}; workers need the file at the same path") from None
    if len(key) != 32:
        key = key.rstrip(b"\r\n")
    if len(key) != 32:
        raise UsageError(f"--sse-key: {path} must hold exactly 32 bytes, and holds {'more' if len(key) > 32 else len(key)}")
    return {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": key}


def _length(stream: BinaryIO) -> int | None:
    """How many bytes a regular file still has; None for other streams, which are read to their end."""
    try:
        facts = os.fstat(stream.fileno())
        return max(0, facts.st_size - stream.tell()) if stat.S_ISREG(facts.st_mode) else None
    except (OSError, AttributeError, ValueError):
        return None


def _read_full(stream: BinaryIO, size: int) -> bytes:
    pieces = []
    while size > 0 and (piece := stream.read(min(size, _SMALL))):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


class _Rest:
    """A stream of which a part was read already; it gives as much as it is asked for, until it ends.

    Args:
        start: That part.
        stream: The stream after it.
    """

    def __init__(self, start: bytes, stream: BinaryIO) -> None:
        self._start, self._stream = start, stream

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        if size < 0:
            data, self._start = self._start, b""
            return data + self._stream.read()
        data, self._start = self._start[:size], self._start[size:]
        return data + _read_full(self._stream, size - len(data)) if len(data) < size else data
