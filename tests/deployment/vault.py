"""A plugin for tests: it encrypts every job store that is opened, as a site would by wrapping the drivers.

The key is a file beside the module. The cipher is one for tests only: bytes of SHAKE-256 of key and nonce.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from toil_core import hookimpl
from toil_core.job_store import Blob, JobStore

MAGIC = b"VAULT1"
_NONCE = 16
_HEAD = len(MAGIC) + _NONCE


class Vault(JobStore):
    """Blobs of the store below, encrypted; their keys are not.

    Args:
        inner: The store below.
        key: The key.
    """

    def __init__(self, inner: JobStore, key: bytes) -> None:
        self._inner, self._key = inner, key

    def prepare(self) -> None:
        self._inner.prepare()

    def destroy(self) -> None:
        self._inner.destroy()

    def create(self, key: str, data: bytes) -> None:
        self._inner.create(key, self._locked(data))

    def write(self, key: str, stream: BinaryIO) -> None:
        self._inner.write(key, io.BytesIO(self._locked(stream.read())))

    def read(self, key: str, start: int = 0, stop: int | None = None) -> BinaryIO:
        with self._inner.read(key) as stream:
            data = stream.read()
        return io.BytesIO(self._mixed(data[len(MAGIC) : _HEAD], data[_HEAD:])[start:stop])

    def stat(self, key: str) -> Blob:
        return Blob(key, self._inner.stat(key).size - _HEAD)

    def delete(self, keys: Iterable[str]) -> None:
        self._inner.delete(keys)

    def list(self, prefix: str = "") -> Iterator[Blob]:
        return (Blob(blob.key, blob.size - _HEAD) for blob in self._inner.list(prefix))

    def close(self) -> None:
        self._inner.close()

    def _locked(self, data: bytes) -> bytes:
        nonce = os.urandom(_NONCE)
        return MAGIC + nonce + self._mixed(nonce, data)

    def _mixed(self, nonce: bytes, data: bytes) -> bytes:
        mask = hashlib.shake_256(self._key + nonce).digest(len(data))
        return (int.from_bytes(data, "big") ^ int.from_bytes(mask, "big")).to_bytes(len(data), "big")


@hookimpl(wrapper=True)
def toil_job_store() -> Generator[None, JobStore, JobStore]:
    """Wrap whatever store was opened."""
    return Vault((yield), Path(__file__).with_name("toil_vault.key").read_bytes())
