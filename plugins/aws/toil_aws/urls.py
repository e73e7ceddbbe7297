"""`s3://BUCKET/KEY`: read, written, copied inside S3, and listed where it stands for a folder."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from tempfile import SpooledTemporaryFile
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from urllib.parse import unquote

from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError
from toil_core.errors import BadLocator, ToilError, Transient
from toil_core.job_store import Listed

from toil_aws import clients, reader, transfer
from toil_aws.errors import SDK, code_of, no_bucket, no_object, status_of, url_verdict, verdict
from toil_aws.options import AwsOptions

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import CopySourceTypeDef
    from toil_core.options import Config

_SDK = (*SDK, Boto3Error)
_AT_ONCE = 256 << 20
"""Larger objects are copied in parts of this size, several at a time; S3 copies at most 5 GiB at once."""
_SPOOLED = 16 << 20


@dataclass(frozen=True, slots=True)
class Place:
    """An object of S3, or all whose names begin alike.

    Args:
        url: As the user wrote it.
        bucket: The bucket.
        key: The object's name.
    """

    url: str
    bucket: str
    key: str


def parse(url: str) -> Place:
    """What an `s3://` URL names.

    `%` and two hexadecimal digits stand for a byte, as in every URL; `?` and `#` are allowed as they are.

    Raises:
        BadLocator: It names no bucket.
    """
    bucket, _, key = url.partition(":")[2].removeprefix("//").partition("/")
    if not url.partition(":")[2].startswith("//") or not bucket or "@" in bucket:
        raise BadLocator(f"{url!r} names no object of S3; write s3://BUCKET/KEY")
    return Place(url, bucket, unquote(key))


def parse_object(url: str) -> Place:
    """What an `s3://` URL names, which must be an object.

    Raises:
        BadLocator: It names a bucket or a folder.
    """
    place = parse(url)
    if not place.key or place.key.endswith("/"):
        raise BadLocator(f"{url} names a bucket or a folder, not an object; import it with import_directory, or name an object in it")
    return place


def opened(url: str, mode: str, config: Config) -> BinaryIO:
    """Open an object for reading (`rb`), or for writing (`wb`): it appears whole when the stream is closed.

    Raises:
        BadLocator: It cannot be read or written, for a reason that will not pass.
        Transient: S3 fails in a way that may pass.
        UsageError: There are no usable credentials.
    """
    place, options = parse_object(url), config[AwsOptions]
    client = _client_for(place, options, writing=mode == "wb")
    if mode == "wb":
        return cast("BinaryIO", _Writer(client, place, options))
    request = {"Bucket": place.bucket, "Key": place.key, **_payer(options)}
    return reader.opened(client, request, lambda error: url_verdict(error, url, options.profile), part=options.part_size, several=options.transfers)


def listed(url: str, config: Config) -> Iterator[Listed]:
    """What lies under a URL; the path is empty for the object itself.

    Names that end with `/`, which stand for empty folders, are left out.

    Raises:
        BadLocator: There is no such bucket, or it may not be listed.
    """
    place, options = parse(url), config[AwsOptions]
    client = _client_for(place, options, writing=False)
    if place.key and not place.key.endswith("/"):
        found = _found(client, place, options)
        if found is not None:
            yield found
            return
    folder = place.key if not place.key or place.key.endswith("/") else place.key + "/"
    with _said(place, options):
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=place.bucket, Prefix=folder, **_payer(options)):
            for item in page.get("Contents", []):
                if not item["Key"].endswith("/"):
                    yield Listed(item["Key"][len(folder) :], item["Size"], item.get("ETag", ""))


def copied(store: S3Client, url: str, bucket: str, name: str, extra: dict[str, Any], options: AwsOptions, known: Listed | None = None) -> int | None:
    """Copy an object inside S3.

    Args:
        store: A client for the bucket that it is copied to.
        url: The object's URL.
        bucket: Where the copy goes.
        name: What the copy is called.
        extra: Further headers of the copy.
        options: The plugin's options.
        known: What a listing has told about the object, which is then not asked for, unless it was replaced since.

    Returns:
        Its length in bytes; None when S3 cannot copy this by itself, so that it must be streamed.

    Raises:
        BadLocator: There is no such object.
    """
    if url.partition(":")[0].lower() != "s3":
        return None
    place = parse_object(url)
    source = _client_for(place, options, writing=False)
    if known is not None and known.version:
        try:
            return _copy(store, source, place, known, bucket, name, extra, options)
        except _Replaced:
            pass
    try:
        return _copy(store, source, place, _asked(source, place, options), bucket, name, extra, options)
    except _Replaced as error:
        raise Transient(f"{url}: it is being replaced while it is copied") from error


class _Replaced(Exception):
    """An object is no longer what was known of it."""


def _asked(client: S3Client, place: Place, options: AwsOptions) -> Listed:
    found = _found(client, place, options)
    if found is None:
        raise no_bucket(place.url) if _no_bucket(client, place.bucket) else no_object(place.url)  # the answer does not tell which
    return found


def _copy(
    store: S3Client, source: S3Client, place: Place, known: Listed, bucket: str, name: str, extra: dict[str, Any], options: AwsOptions
) -> int | None:
    """Copy the version of an object that is known.

    Raises:
        _Replaced: There is another one.
    """
    at_once = max(_AT_ONCE, -(-known.size // 10_000))
    given = {**extra, "CopySourceIfMatch": known.version, **_payer(options)}
    if not extra:
        given["MetadataDirective"] = "REPLACE"
    what: CopySourceTypeDef = {"Bucket": place.bucket, "Key": place.key}
    try:
        if known.size <= at_once:  # the transfer manager, with its threads, would take several times the time
            store.copy_object(Bucket=bucket, Key=name, CopySource=what, **given)
        else:
            tuning = TransferConfig(
                multipart_threshold=at_once, multipart_chunksize=at_once, max_concurrency=options.transfers, preferred_transfer_client="classic"
            )
            store.copy(what, bucket, name, ExtraArgs=given, SourceClient=source, Config=tuning)
    except ClientError as error:
        if status_of(error) in (400, 403, 405, 501):  # readable, but not for this bucket's account: it passes through this machine
            return None
        if status_of(error) == 412:
            raise _Replaced from error
        if code_of(error) == "NoSuchBucket":  # the object's own is there
            raise verdict(error, f"s3://{bucket}", profile=options.profile) from error
        raise url_verdict(error, place.url, options.profile) from error
    except _SDK as error:
        raise url_verdict(error, place.url, options.profile) from error
    return known.size


def forget() -> None:
    """Make new clients from now on."""
    _clients.cache_clear()
    _general.cache_clear()


class _Writer(io.RawIOBase):
    """Keeps what is written until it is closed, then makes the object of it.

    Args:
        client: The client.
        place: The object.
        options: The plugin's options.
    """

    def __init__(self, client: S3Client, place: Place, options: AwsOptions) -> None:
        self._client, self._place, self._options = client, place, options
        self._spool: SpooledTemporaryFile[bytes] = SpooledTemporaryFile(_SPOOLED)  # noqa: SIM115 - closed with the stream
        self._whole = True

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        return self._spool.write(data)

    def close(self) -> None:
        if self.closed:
            return
        try:
            if self._whole:
                self._spool.seek(0)
                with _said(self._place, self._options, writing=True):
                    transfer.upload(
                        self._client, cast("BinaryIO", self._spool), self._place.bucket, self._place.key, _payer(self._options), self._options
                    )
        finally:
            self._spool.close()
            super().close()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._whole = self._whole and kind is None
        self.close()

    def __del__(self) -> None:
        self._whole = False
        self.close()


class _said:
    """Raise what the SDK's errors mean to the user of a URL."""

    def __init__(self, place: Place, options: AwsOptions, *, writing: bool = False) -> None:
        self._place, self._options, self._writing = place, options, writing

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if isinstance(error, _SDK):
            raise url_verdict(error, self._place.url, self._options.profile, writing=self._writing) from error


def _found(client: S3Client, place: Place, options: AwsOptions) -> Listed | None:
    """The object itself; None when there is none of just this name."""
    try:
        facts = client.head_object(Bucket=place.bucket, Key=place.key, **_payer(options))
    except _SDK as error:
        if status_of(error) == 404:
            return None
        raise url_verdict(error, place.url, options.profile) from error
    return Listed("", facts["ContentLength"], facts["ETag"])


def _no_bucket(client: S3Client, bucket: str) -> bool:
    try:
        client.head_bucket(Bucket=bucket)
    except ClientError as error:
        return status_of(error) == 404
    return False


def _payer(options: AwsOptions) -> dict[str, Any]:
    return {"RequestPayer": "requester"} if options.request_payer else {}


def _client_for(place: Place, options: AwsOptions, *, writing: bool) -> S3Client:
    """A client of the bucket's region; as nobody where there are no credentials and nothing is written."""
    try:
        return _clients(place.bucket, options, writing)
    except ToilError as error:
        raise type(error)(f"{place.url}: {error}") from error


@lru_cache(maxsize=64)
def _clients(bucket: str, options: AwsOptions, writing: bool) -> S3Client:
    anonymous = not writing and not clients.has_credentials(options)
    asking = _general(options, anonymous)
    region = asking.meta.region_name if clients.endpoint(options) else _region_of(asking, bucket, options)
    return asking if region in (None, asking.meta.region_name) else clients.s3(options, region, anonymous=anonymous)


@cache
def _general(options: AwsOptions, anonymous: bool) -> S3Client:
    region = options.region or clients.session(options).region_name or "us-east-1"
    return clients.s3(options, region, anonymous=anonymous)


def _region_of(client: S3Client, bucket: str, options: AwsOptions) -> str | None:
    """The bucket's region, which S3 tells even those who may not look into the bucket; None when it does not tell."""
    try:
        return client.head_bucket(Bucket=bucket).get("BucketRegion")
    except ClientError as error:
        if code_of(error) == "NoSuchBucket" or status_of(error) == 404:
            return None  # the request that follows says so in its own words
        return error.response["ResponseMetadata"].get("HTTPHeaders", {}).get("x-amz-bucket-region")
    except _SDK as error:
        raise url_verdict(error, f"s3://{bucket}", options.profile) from error


