"""`toil doctor` about AWS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from tests.proxy import Asked, Fault, Proxy, proxy_to
from tests.servers import Server
from toil_core.cli import main


def doctor(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, dict[str, str]]]:
    code = main(["doctor", "--json", *arguments])
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return code, {check["name"]: check for check in found}


def test_all_is_well(fake: Server, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, checks = doctor(capsys, f"aws:us-west-2:{name}")
    assert code == 0
    assert {check["state"] for check in checks.values()} == {"ok"}
    assert checks["aws credentials"]["found"] == "found in the environment's variables; key AKIA..."
    assert "SECRETMOTO" not in json.dumps(checks)
    assert "of account 123456789012" in checks["aws identity"]["found"]
    assert checks["aws permissions"]["found"] == "all that a job store in us-west-2 needs"
    assert "will be made when a run starts" in checks[f"job store aws:us-west-2:{name}"]["found"]


def test_a_server_that_makes_the_bucket_of_what_is_written_is_not_made_to(real: Server, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    import boto3

    code, checks = doctor(capsys, f"aws:us-west-2:{name}")
    assert code == 0
    assert "will be made when a run starts" in checks[f"job store aws:us-west-2:{name}"]["found"]
    assert name not in [bucket["Name"] for bucket in boto3.client("s3").list_buckets()["Buckets"]]


def test_nothing_is_left_behind(fake: Server, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    import boto3

    doctor(capsys, f"aws:us-west-2:{name}")
    assert [bucket["Name"] for bucket in boto3.client("s3").list_buckets()["Buckets"] if "doctor" in bucket["Name"] or bucket["Name"] == name] == []


def test_a_store_that_is_there_is_tried(real: Server, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    from toil_core.options import Config

    from toil_aws.job_store import S3JobStore

    with S3JobStore(f"us-west-2:{name}", Config()) as store:
        store.prepare()
        code, checks = doctor(capsys, f"aws:us-west-2:{name}")
        assert code == 0
        assert "it holds no workflow; it does what it must" in checks[f"job store aws:us-west-2:{name}"]["found"]
        assert list(store.list()) == []
        store.destroy()


def test_nothing_is_written_to_a_bucket_that_holds_something_else(real: Server, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    import boto3

    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    s3.put_object(Bucket=name, Key="thesis.tex", Body=b"years of work")
    code, checks = doctor(capsys, f"aws:us-west-2:{name}")
    assert code == 1
    check = checks[f"job store aws:us-west-2:{name}"]
    assert check["state"] == "error" and "something else" in check["found"]
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=name)["Contents"]] == ["thesis.tex"]
    s3.delete_object(Bucket=name, Key="thesis.tex")
    s3.delete_bucket(Bucket=name)


def test_missing_credentials_are_told_with_where_they_were_looked_for(
    fake: Server, name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(variable)
    code, checks = doctor(capsys, f"aws:us-west-2:{name}")
    assert code == 1
    assert "AWS_ACCESS_KEY_ID" in checks["aws credentials"]["found"]
    assert "the instance's role" in checks["aws credentials"]["found"]
    assert "aws sso login" in checks["aws credentials"]["advice"]
    assert "aws permissions" not in checks
    assert main(["status", f"aws:us-west-2:{name}"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and "no usable AWS credentials" in said[0] and "the container's role" in said[0]
    code, checks = doctor(capsys, "--aws-profile", "absent")
    assert code == 1 and "absent" in checks["aws credentials"]["found"]


def test_a_region_that_does_not_exist(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SECRETTEST")
    code, checks = doctor(capsys, "--aws-region", "us-wst-2")
    assert code == 1
    assert checks["aws region"]["found"] == "there is no region us-wst-2"
    assert "us-west-2" in checks["aws region"]["advice"]


@pytest.fixture
def proxy(fake: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    with proxy_to(fake.url) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        yield proxy


def test_the_permission_that_is_missing_is_named(proxy: Proxy, capsys: pytest.CaptureFixture[str]) -> None:
    def denies(asked: Asked) -> Fault | None:
        return Fault.DENIED if {"lifecycle", "tagging", "versions"} & set(asked.query) or asked.method == "GET" and asked.path.endswith("/probe") else None

    proxy.fault = denies
    code, checks = doctor(capsys, "--aws-region", "us-west-2")
    assert code == 1
    assert checks["aws permissions"]["found"] == (
        "AWS does not permit s3:PutBucketTagging, s3:GetBucketTagging, s3:PutLifecycleConfiguration, s3:GetObject, s3:ListBucketVersions"
    )


def test_credentials_that_have_expired_are_no_permission(proxy: Proxy, capsys: pytest.CaptureFixture[str]) -> None:
    proxy.fault = lambda asked: Fault.EXPIRED
    code, checks = doctor(capsys, "--aws-region", "us-west-2")
    assert code == 1
    assert "aws permissions" not in checks
    assert "the credentials have expired" in checks["aws s3"]["found"]


def test_a_clock_that_is_so_wrong_that_aws_refuses_everything(proxy: Proxy, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    proxy.fault = lambda asked: Fault.SKEWED
    code, checks = doctor(capsys, f"aws:us-west-2:{name}")
    assert code == 1
    assert checks["aws clock"]["state"] == "error" and "ahead of the server's" in checks["aws clock"]["found"]
    assert "aws permissions" not in checks
    for about in ("aws s3", f"job store aws:us-west-2:{name}"):
        assert "this machine's clock differs from AWS's" in checks[about]["found"]


def test_without_a_bucket_nothing_is_said_to_be_permitted(proxy: Proxy, capsys: pytest.CaptureFixture[str]) -> None:
    proxy.fault = lambda asked: Fault.INTERNAL_ERROR
    _, checks = doctor(capsys, "--aws-region", "us-west-2", "--aws-attempts", "1")
    assert checks["aws permissions"]["found"] == "they cannot be told without a bucket; s3:CreateBucket: InternalError"


def test_a_server_that_makes_no_buckets_permits_nothing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(variable, "x")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        try:
            _, checks = doctor(capsys, "--aws-region", "us-west-2", "--aws-attempts", "1")
        finally:
            server.shutdown()
            thread.join()
    assert checks["aws permissions"]["found"] == "they cannot be told without a bucket; s3:CreateBucket: 501"


@pytest.mark.parametrize(
    ("options", "algorithms"),
    [([], ["AES256"]), (["--aws-encryption", "none"], []), (["--aws-kms-key", "alias/ours"], ["aws:kms"])],
    ids=["own", "none", "kms"],
)
def test_the_encryption_of_the_options_is_tried(
    fake: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, options: list[str], algorithms: list[str]
) -> None:
    from toil_aws import clients

    asked: list[str] = []
    made = clients.s3

    def seen(*arguments: Any, **further: Any) -> Any:
        client = made(*arguments, **further)
        told = "before-parameter-build.s3.PutBucketEncryption"
        client.meta.events.register(told, lambda params, **_: asked.extend(rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] for rule in params["ServerSideEncryptionConfiguration"]["Rules"]))
        return client

    monkeypatch.setattr(clients, "s3", seen)
    code, checks = doctor(capsys, "--aws-region", "us-west-2", *options)
    assert (code, checks["aws permissions"]["state"], asked) == (0, "ok", algorithms)


def test_a_kms_key_that_cannot_be_used_is_no_missing_permission_of_s3(proxy: Proxy, capsys: pytest.CaptureFixture[str]) -> None:
    proxy.fault = lambda asked: Fault.KEY_DENIED if asked.path.endswith("/probe") and asked.method == "PUT" else None
    code, checks = doctor(capsys, "--aws-region", "us-west-2", "--aws-kms-key", "alias/ours")
    assert code == 1
    assert "the KMS key cannot be used (AccessDenied" in checks["aws s3"]["found"] and "check --aws-kms-key" in checks["aws s3"]["found"]
    assert "aws permissions" not in checks


def test_a_clock_that_is_wrong_is_told(fake: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import time as clock

    real_time = clock.time
    monkeypatch.setattr("toil_aws.doctor.time.time", lambda: real_time() + 300)
    code, checks = doctor(capsys, "--aws-region", "us-west-2")
    assert code == 0
    assert checks["aws clock"]["state"] == "warning"
    assert "ahead of the server's" in checks["aws clock"]["found"]
    monkeypatch.undo()
