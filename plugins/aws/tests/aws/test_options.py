"""Options that are wrong are told where they are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from toil_core.errors import BadOption

from toil_aws import options


@pytest.mark.parametrize("text", ["nonsense", "minio:9000", "ftp://minio", "https://", "http://a b", "http://minio:99999", "http://minio:0", "http://minio?x=1", "http://[minio"])
def test_a_server_is_a_url(text: str) -> None:
    with pytest.raises(BadOption, match="write https://"):
        options.parse_endpoint(text)


def test_a_server_has_no_password_in_its_url() -> None:
    with pytest.raises(BadOption, match="no password") as raised:
        options.parse_endpoint("https://me:secret@minio:9000")
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("text", ["0", "-1", "many", "2000"])
def test_so_many_parts_at_a_time(text: str) -> None:
    with pytest.raises(BadOption, match="from 1 to 1000"):
        options.parse_several(text)


def test_the_sdk_tries_at_least_once() -> None:
    with pytest.raises(BadOption, match="from 1 to 1000"):
        field_of("attempts")("0")


def field_of(name: str) -> Callable[[str], Any]:
    return next(field.metadata["parse"] for field in fields(options.AwsOptions) if field.name == name)  # type: ignore[no-any-return]


def test_what_is_right() -> None:
    assert options.parse_endpoint("http://127.0.0.1:8333") == "http://127.0.0.1:8333"
    assert options.parse_endpoint("https://[::1]:9000/storage/s3") == "https://[::1]:9000/storage/s3"
    assert options.parse_several("16") == 16


@pytest.mark.parametrize(("text", "size"), [("5 MiB", 5 << 20), ("64MiB", 64 << 20)])
def test_a_size_of_parts(text: str, size: int) -> None:
    assert options.parse_part(text) == size
    with pytest.raises(BadOption, match="5 MiB to 5 GiB"):
        options.parse_part("4 MiB")


def test_a_file_is_the_same_from_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert options.parse_file("sse.key") == str(tmp_path / "sse.key")
    assert options.parse_file("/etc/sse.key") == "/etc/sse.key"
    assert options.parse_file("~/sse.key") == "~/sse.key"
