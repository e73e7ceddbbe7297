"""The `aws` job store: blobs as objects of an S3 bucket.

One bucket and no database: S3's conditional writes decide who creates a key first.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, BinaryIO

from botocore.exceptions import ClientError
from toil_core.errors import KeyExists, NoSuchKey, ToilError, Transient, Unsupported, UsageError
from toil_core.job_store import Blob, JobStore, Listed

from toil_aws import clients, names, reader, transfer
from toil_aws.bucket import Bucket
from toil_aws.errors import code_of, retried, status_of, translated, verdict
from toil_aws.options import AwsOptions

if TYPE_CHECKING:
    from toil_core.options import Config

_WRITER = "toil-writer"
_TRIES = 8
_PACE = 1.0
_LONGEST_URL = 7 * 86400


class S3JobStore(JobStore):
    """Blobs in a bucket of their own.

    Args:
        locator: `REGION:NAME`; the bucket has that name.
        config: The options; those of `AwsOptions` concern this driver.

    Raises:
        BadLocator: It is none.
        UsageError: The file with the customer's key cannot be used, or there is no such profile.
    """

    def __init__(self, locator: str, config: Config) -> None:
        options = config[AwsOptions]
        self._region, self._name = names.parse(locator)
        self._where = f"aws:{locator}"
        self._options = options
        self._customer = transfer.customer_key(options.sse_key)
        self._s3 = clients.s3(options, self._region)
        self._bucket = Bucket(self._s3, self._name, self._region, options, self._where, amazon=clients.endpoint(options) is None)

    @classmethod
    def warm(cls, locator: str, config: Config) -> None:
        """Make ready what opening takes time for; see `toil_core.job_store.CanWarm`."""
        clients.warm(config[AwsOptions], names.parse(locator)[0])

    def prepare(self) -> None:
        self._bucket.prepare()

    def check_place(self) -> None:
        """See `ChecksPlace`."""
        self._bucket.check_place()

    def destroy(self) -> None:
        self._bucket.destroy()

    def create(self, key: str, data: bytes) -> None:
        """Store data only if the key is absent; see `JobStore.create`.

        S3 answers 412 when it is there, and 409 when it is just being written: by somebody else, or
        by a try of ours whose answer came too late, or got lost. The blob's writer tells whether it is ours.
        """
        name = names.object_name(key)
        mark = secrets.token_hex(8)
        with self._translated(key):
            for tried in range(_TRIES):
                try:
                    self._s3.put_object(
                        Bucket=self._name, Key=name, Body=data, IfNoneMatch="*", Metadata={_WRITER: mark}, **self._customer
                    )
                    return
                except ClientError as error:
                    if status_of(error) == 409 and code_of(error) != "OperationAborted":
                        continue
                    if status_of(error) == 412 and (tried or retried(error)) and self._writer(name) == mark:
                        return
                    raise
            raise Transient(f"{self._where}: others write {key} all the time")

    def write(self, key: str, stream: BinaryIO) -> None:
        name = names.object_name(key)
        with self._translated(key):
            transfer.upload(self._s3, stream, self._name, name, self._customer, self._options)

    def read(self, key: str, start: int = 0, stop: int | None = None) -> BinaryIO:
        name = names.object_name(key)
        if stop is not None and stop <= start:
            stop = start = 0  # S3 knows no empty ranges; the key's absence is to be told all the same
            self.stat(key)
            from io import BytesIO

            return BytesIO()
        return reader.opened(
            self._s3, {"Bucket": self._name, "Key": name, **self._customer}, self._verdict(key), start=start, stop=stop,
            part=self._options.part_size, several=self._options.transfers,
        )  # fmt: skip

    def stat(self, key: str) -> Blob:
        name = names.object_name(key)
        with self._translated(key):
            return Blob(key, self._s3.head_object(Bucket=self._name, Key=name, **self._customer)["ContentLength"])

    def delete(self, keys: Iterable[str]) -> None:
        with self._translated():
            self._bucket.delete(map(names.object_name, keys))

    def list(self, prefix: str = "") -> Iterator[Blob]:
        seen: list[str] = []
        for start in names.prefixes(prefix):
            with self._translated():
                yield from self._listed(prefix, start, tuple(seen))
            seen.append(start)

    def url(self, key: str, seconds: int = 3600) -> str:
        """A signed URL; see `HasUrls`.

        Nothing is asked of S3. Temporary credentials that expire sooner end the URL with them.

        Args:
            key: The blob's key.
            seconds: For how long it is valid; S3 allows seven days at most.

        Raises:
            Unsupported: The blobs have a customer's key, which would have to be in the URL.
            UsageError: No URL can be valid for so short a time.
        """
        if seconds < 1:
            raise UsageError(f"a URL cannot be valid for {seconds} s; ask for a second at least")
        if self._customer:
            raise Unsupported(f"{self._where} is encrypted with a key of your own, so its blobs have no public URLs")
        with self._translated(key):
            made: str = self._s3.generate_presigned_url(
                "get_object", Params={"Bucket": self._name, "Key": names.object_name(key)}, ExpiresIn=min(seconds, _LONGEST_URL)
            )
            return made

    def copy_from(self, key: str, url: str, listed: Listed | None = None) -> int | None:
        """Copy an `s3://` object inside S3; see `CanCopy`."""
        from toil_aws import urls

        return urls.copied(self._s3, url, self._name, names.object_name(key), self._customer, self._options, listed)

    def pace(self) -> float:
        """A write costs as much as some seconds of a core; see `HasPace`."""
        return _PACE

    def close(self) -> None:
        self._s3.close()

    def _translated(self, key: str = "") -> AbstractContextManager[None]:
        return translated(self._where, key, self._region, self._options.profile)

    def _listed(self, prefix: str, start: str, seen: tuple[str, ...]) -> Iterator[Blob]:
        for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._name, Prefix=start):
            for item in page.get("Contents", []):
                key = names.key_of(item["Key"])
                if key is not None and key.startswith(prefix) and not (seen and item["Key"].startswith(seen)):
                    yield Blob(key, item["Size"])

    def _writer(self, name: str) -> str:
        return self._s3.head_object(Bucket=self._name, Key=name, **self._customer)["Metadata"].get(_WRITER, "")

    def _verdict(self, key: str) -> Callable[[Exception], ToilError]:
        def translate(error: Exception) -> ToilError:
            found = verdict(error, self._where, key, self._region, self._options.profile)
            return NoSuchKey(key) if isinstance(found, KeyExists) else found

        return translate
