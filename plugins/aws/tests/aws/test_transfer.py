"""By which of the SDK's clients large files go up."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest

from toil_aws import transfer
from toil_aws.options import AwsOptions

DATA = os.urandom(6 << 20)
OPTIONS = AwsOptions(part_size=5 << 20)
AwsCrtError = type("AwsCrtError", (Exception,), {"__module__": "awscrt.exceptions"})


class Client:
    """Stands for the SDK's: keeps what is sent, and by which client."""

    def __init__(self, native_fails: Exception | None = None) -> None:
        self.sent: list[tuple[str, bytes]] = []
        self._fails = native_fails

    def upload_fileobj(self, stream: BinaryIO, bucket: str, name: str, ExtraArgs: dict[str, Any], Config: Any) -> None:
        by = cast("str", Config.preferred_transfer_client)
        self.sent.append((by, stream.read()))
        if by == "auto" and self._fails:
            raise self._fails

    def upload_file(self, path: str, bucket: str, name: str, ExtraArgs: dict[str, Any], Config: Any) -> None:
        with open(path, "rb") as stream:
            self.upload_fileobj(stream, bucket, name, ExtraArgs, Config)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(transfer, "HAS_CRT", True)
    monkeypatch.setattr(transfer, "_native_in", None)
    path = tmp_path / "large"
    path.write_bytes(DATA)
    return path


def sent(path: Path, client: Client, options: AwsOptions = OPTIONS, **extra: str) -> list[tuple[str, bytes]]:
    with path.open("rb") as stream:
        path.unlink()  # what is open is sent, whatever becomes of its name
        transfer.upload(cast("Any", client), stream, "bucket", "name", extra, options)
    return client.sent


def test_the_sdk_may_choose_its_native_client_for_files(path: Path) -> None:
    assert sent(path, Client()) == [("auto", DATA)]


def test_the_native_client_is_for_amazon_alone(path: Path) -> None:
    assert sent(path, Client(), AwsOptions(part_size=5 << 20, endpoint_url="https://minio.example.org")) == [("classic", DATA)]


def test_the_native_client_is_not_taken_where_it_is_not_installed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "HAS_CRT", False)
    assert sent(path, Client()) == [("classic", DATA)]


def test_a_customers_key_goes_with_the_ordinary_client(path: Path) -> None:
    assert sent(path, Client(), SSECustomerAlgorithm="AES256") == [("classic", DATA)]


def test_the_native_client_is_not_used_in_a_process_that_was_forked(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "_native_in", os.getpid())
    parent = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: parent + 1)
    assert sent(path, Client()) == [("classic", DATA)]


def test_what_the_native_client_fails_in_the_ordinary_one_does(path: Path) -> None:
    assert sent(path, Client(AwsCrtError("AWS_IO_DNS_INVALID_NAME"))) == [("auto", DATA), ("classic", DATA)]


def test_other_failures_are_told(path: Path) -> None:
    with pytest.raises(RuntimeError):
        sent(path, Client(RuntimeError("something else")))


def test_the_rest_of_a_file_is_sent_from_where_it_was(path: Path) -> None:
    client = Client()
    with path.open("rb") as stream:
        stream.seek(7)
        transfer.upload(cast("Any", client), stream, "bucket", "name", {}, OPTIONS)
    assert client.sent == [("classic", DATA[7:])]
