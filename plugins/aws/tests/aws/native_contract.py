"""The job store contract where large blobs go up through the SDK's native client; `test_native.py` runs it, in a process of its own."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from tempfile import TemporaryFile
from typing import BinaryIO

import pytest
from toil_core.job_store import JobStore
from toil_core.options import Config
from toil_core.testing.job_store import JobStoreContract

from toil_aws import names, transfer
from toil_aws.job_store import S3JobStore
from toil_aws.options import AwsOptions

_numbers = itertools.count()
_SMALL_PARTS = AwsOptions(part_size=1 << 10)


class FromFiles(S3JobStore):
    """Writes what the native client takes: files, of which it gets all above a KiB."""

    def write(self, key: str, stream: BinaryIO) -> None:
        with TemporaryFile() as file:
            shutil.copyfileobj(stream, file)
            file.seek(0)
            transfer.upload(self._s3, file, self._name, names.object_name(key), self._customer, _SMALL_PARTS)


class TestNativeClient(JobStoreContract):
    large = 9 << 20

    @pytest.fixture
    def name(self) -> str:
        return f"toil-native-{os.getpid()}-{next(_numbers)}"

    @pytest.fixture
    def store(self, name: str) -> Iterator[JobStore]:
        yield FromFiles(f"us-west-2:{name}", Config())

    @pytest.fixture
    def reopen(self, store: JobStore, name: str) -> Callable[[], JobStore]:
        return lambda: FromFiles(f"us-west-2:{name}", Config())
