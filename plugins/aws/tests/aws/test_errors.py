"""What answers, and is no S3."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from botocore.exceptions import ClientError
from toil_core.errors import NoSuchKey, Transient, UsageError
from toil_core.options import Config

from toil_aws.errors import verdict
from toil_aws.job_store import S3JobStore


class Nothing(BaseHTTPRequestHandler):
    """A web server that has nothing."""

    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Anything(Nothing):
    """A web server that has everything."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "6")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(b"<html>")

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3JobStore]:
    with answered_by(Nothing, monkeypatch) as store:
        yield store


@contextmanager
def answered_by(handler: type[Nothing], monkeypatch: pytest.MonkeyPatch) -> Iterator[S3JobStore]:
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"AWS_{name}", "x")
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        with S3JobStore("us-west-2:bucket", Config()) as store:
            yield store
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_web_server_is_told_from_an_empty_bucket(store: S3JobStore) -> None:
    with pytest.raises(UsageError, match="bucket.*a server of S3.*aws-endpoint-url"):
        list(store.list(""))


@pytest.mark.parametrize(
    "ask",
    [
        lambda store: store.prepare(),
        lambda store: store.read("a"),
        lambda store: store.stat("a"),
    ],
    ids=["prepare", "read", "stat"],
)
def test_a_server_that_has_everything_is_no_job_store(ask: Callable[[S3JobStore], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    with answered_by(Anything, monkeypatch) as store, pytest.raises(UsageError, match="127.0.0.1:[0-9]+ is no server of S3; check --aws-endpoint-url"):
        ask(store)


def test_a_blob_is_just_not_there(store: S3JobStore) -> None:
    with pytest.raises(NoSuchKey, match="some/key"):
        store.read("some/key")


def test_an_upload_that_is_gone_is_no_missing_blob() -> None:
    error = ClientError({"Error": {"Code": "NoSuchUpload", "Message": "gone"}, "ResponseMetadata": {"HTTPStatusCode": 404}}, "UploadPart")  # type: ignore[typeddict-item]
    assert isinstance(verdict(error, "aws:us-west-2:bucket", "some/key"), Transient)


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (400, "KMS.NotFoundException", "Alias arn:aws:kms:us-west-2:1:alias/gone is not found."),
        (400, "KMS.DisabledException", "arn:aws:kms:us-west-2:1:key/2 is disabled."),
        (403, "AccessDenied", "User: arn:aws:iam::1:user/me is not authorized to perform: kms:GenerateDataKey on this resource"),
    ],
)
def test_a_kms_key_that_cannot_be_used_is_told(status: int, code: str, message: str) -> None:
    error = ClientError({"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}, "PutObject")  # type: ignore[typeddict-item]
    found = verdict(error, "aws:us-west-2:bucket", "some/key")
    assert isinstance(found, UsageError) and message in str(found) and "check --aws-kms-key" in str(found)


@pytest.mark.parametrize(("region", "said"), [("nowhere-9", "AWS has no region nowhere-9; its .*like us-west-2"), ("useast1", "did you mean us-east-1")])
def test_a_region_that_amazon_cannot_have_is_refused(region: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        S3JobStore(f"{region}:bucket", Config())


def test_regions_that_are_newer_than_the_sdk_are_not_refused() -> None:
    S3JobStore("eu-north-77:bucket", Config()).close()


def test_other_servers_may_have_regions_of_their_own(store: S3JobStore) -> None:
    S3JobStore("garage:bucket", Config()).close()
    error = ClientError({"Error": {"Code": "NoSuchBucket", "Message": "none"}}, "GetObject")
    assert str(verdict(error, "aws:garage:bucket", region="garage")).endswith(
        "there is no such bucket (AWS has no region garage; its regions have names like us-west-2, unless your server calls one so)"
    )
    assert str(verdict(error, "aws:us-west-2:bucket", region="us-west-2")).endswith("there is no such bucket")


@pytest.mark.parametrize(("url", "said"), [("ftp://server", "check --aws-endpoint-url and AWS_ENDPOINT_URL"), ("https://127.0.0.1:{port}", "does it speak https")])
def test_where_the_server_is_said_to_be(store: S3JobStore, monkeypatch: pytest.MonkeyPatch, url: str, said: str) -> None:
    port = store._s3.meta.endpoint_url.rpartition(":")[2]
    monkeypatch.setenv("AWS_ENDPOINT_URL", url.format(port=port))
    with S3JobStore("us-west-2:bucket", Config()) as lost, pytest.raises(UsageError, match=said):
        lost.read("some/key")
