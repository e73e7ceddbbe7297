"""The bucket: made with all that belongs to it, told from others, removed only when it is ours."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError
from tests.proxy import Fault, proxy_to
from tests.servers import Server
from toil_core.errors import BadOption, NoSuchJobStore, NotAJobStore, Transient, Unsupported, UsageError
from toil_core.monitor.status import workflow_info
from toil_core.options import Config
from toil_core.wire.patient import PatientStore

from toil_aws import clients
from toil_aws.bucket import Bucket, only_tls
from toil_aws.job_store import S3JobStore
from toil_aws.names import MARKER
from toil_aws.options import AwsOptions, parse_part, parse_tag


@pytest.fixture
def s3(fake: Server) -> Any:
    return boto3.client("s3")


def store_at(name: str, **options: Any) -> S3JobStore:
    return S3JobStore(f"us-west-2:{name}", Config([AwsOptions(**options)]))


def make(s3: Any, name: str) -> None:
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})


def there(s3: Any, name: str) -> bool:
    return name in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]


def test_a_new_bucket_is_private_encrypted_and_tagged(s3: Any, name: str) -> None:
    with store_at(name, tags=("project=lambda", "owner=me")) as store:
        store.prepare()
        assert set(s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"].values()) == {True}
        rule = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"][0]
        assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
        tags = {tag["Key"]: tag["Value"] for tag in s3.get_bucket_tagging(Bucket=name)["TagSet"]}
        assert tags == {"toil-job-store": f"aws:us-west-2:{name}", "project": "lambda", "owner": "me"}
        rules = s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
        assert rules[0]["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] == 7
        store.destroy()
    assert not there(s3, name)


def test_a_kms_key_is_used_through_a_bucket_key(s3: Any, name: str) -> None:
    with store_at(name, kms_key="alias/ours") as store:
        store.prepare()
        rule = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"][0]
        assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/ours"}
        assert rule["BucketKeyEnabled"]
        store.destroy()


def test_the_policy_admits_tls_only(s3: Any, name: str) -> None:
    policy = json.loads(only_tls(s3, name))
    statement = policy["Statement"][0]
    assert statement["Effect"] == "Deny"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert statement["Resource"] == [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"]


class Raw(io.BytesIO):
    """The body of an answer, as the SDK reads it."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()


@pytest.mark.parametrize(("scheme", "policies"), [("https", 1), ("http", 0)])
def test_a_bucket_that_is_reached_by_tls_admits_nothing_else(name: str, scheme: str, policies: int) -> None:
    client = boto3.client("s3", "us-west-2", endpoint_url=f"{scheme}://s3.example.org", aws_access_key_id="x", aws_secret_access_key="x")
    sent: list[Any] = []

    def answer(request: Any, **_: Any) -> AWSResponse:
        sent.append(request)
        done = request.method == "PUT"
        body = b"" if done else b"<Error><Code>NoSuchBucket</Code></Error>"
        return AWSResponse(request.url, 200 if done else 404, {"ETag": "x"}, Raw(body))  # type: ignore[arg-type]

    client.meta.events.register("before-send.s3", answer)  # type: ignore[arg-type]
    Bucket(client, name, "us-west-2", AwsOptions(), f"aws:us-west-2:{name}", amazon=False).prepare()
    written = [request.body.decode() for request in sent if request.url.endswith("?policy")]
    assert written == [only_tls(client, name)] * policies
    assert sent[-1].method == "PUT" and MARKER.strip("~") in sent[-1].url


def test_a_bucket_with_something_else_is_left_alone(s3: Any, name: str) -> None:
    make(s3, name)
    s3.put_object(Bucket=name, Key="thesis.tex", Body=b"years of work")
    with store_at(name) as store:
        with pytest.raises(NotAJobStore, match="something else"):
            store.prepare()
        with pytest.raises(NotAJobStore, match="nothing of it is removed"):
            store.destroy()
    assert s3.get_object(Bucket=name, Key="thesis.tex")["Body"].read() == b"years of work"


def test_a_bucket_of_the_users_is_left_alone_where_making_it_again_succeeds(s3: Any, name: str) -> None:
    east = boto3.client("s3", region_name="us-east-1")
    for _ in range(2):
        east.create_bucket(Bucket=name)  # S3 says no error there
    east.put_bucket_tagging(Bucket=name, Tagging={"TagSet": [{"Key": "owner", "Value": "me"}]})
    east.put_object(Bucket=name, Key="thesis.tex", Body=b"years of work")
    with S3JobStore(f"us-east-1:{name}", Config()) as store:
        with pytest.raises(NotAJobStore, match="something else"):
            store.prepare()
        with pytest.raises(NotAJobStore, match="nothing of it is removed"):
            store.destroy()
    assert east.get_bucket_tagging(Bucket=name)["TagSet"] == [{"Key": "owner", "Value": "me"}]
    assert east.get_object(Bucket=name, Key="thesis.tex")["Body"].read() == b"years of work"


@pytest.mark.parametrize("content", [b"{", b"3", b"null", b"[1]"])
def test_a_damaged_marker_is_told(s3: Any, name: str, content: bytes) -> None:
    make(s3, name)
    s3.put_object(Bucket=name, Key=MARKER, Body=content)
    with store_at(name) as store:
        for ask in (store.prepare, store.destroy):
            with pytest.raises(NotAJobStore, match="damaged"):
                ask()


def test_an_empty_bucket_that_was_made_for_us_is_used_and_emptied_and_stays(s3: Any, name: str) -> None:
    make(s3, name)
    with store_at(name) as store:
        with pytest.raises(NotAJobStore):
            store.destroy()
        store.prepare()
        store.create("a/b/c", b"1")
        store.prepare()
        store.destroy()
    assert s3.list_objects_v2(Bucket=name)["KeyCount"] == 0
    assert there(s3, name)


@pytest.mark.parametrize("steps", range(1, 6))
def test_a_bucket_that_was_made_in_part_is_finished_or_removed(s3: Any, name: str, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    class Died(BaseException):
        pass

    for finishing in (True, False):
        store = store_at(name)
        calls = 0

        def counted(**arguments: Any) -> None:
            nonlocal calls
            calls += 1
            if calls > steps:
                raise Died

        store._s3.meta.events.register("before-call.s3", counted)
        with pytest.raises(Died):
            store.prepare()
        store = store_at(name)
        if finishing:
            store.prepare()
            assert list(store.list()) == []
            store.create("k", b"1")
        try:
            store.destroy()
        except NotAJobStore:
            assert steps == 2 and not finishing  # made, and nothing yet says by whom; it is empty
            s3.delete_bucket(Bucket=name)
        if finishing and steps == 2:
            s3.delete_bucket(Bucket=name)  # it was taken for one that somebody had made for us
        assert not there(s3, name)


def test_every_version_is_removed(s3: Any, name: str) -> None:
    with store_at(name) as store:
        store.prepare()
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        for _ in range(3):
            store.write("k", io.BytesIO(b"again"))
        store.delete(["k"])
        store.create("k", b"created after it was deleted")
        store.prepare()
        store.destroy()
    assert not there(s3, name)


def test_no_version_stays_in_a_bucket_that_stays(s3: Any, name: str) -> None:
    make(s3, name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    with store_at(name) as store:
        store.prepare()
        store.create("k", b"1")
        store.destroy()
    left = s3.list_object_versions(Bucket=name)
    assert (left.get("Versions", []), left.get("DeleteMarkers", [])) == ([], [])


def test_uploads_that_were_broken_off_are_removed(s3: Any, name: str) -> None:
    with store_at(name) as store:
        store.prepare()
        s3.create_multipart_upload(Bucket=name, Key="half")
        store.destroy()
    assert not there(s3, name)


def test_the_marker_goes_last(s3: Any, name: str) -> None:
    store = store_at(name)
    store.prepare()
    store.create("k", b"1")
    seen = []
    store._s3.meta.events.register("before-parameter-build.s3", lambda model, params, **_: seen.append((model.name, params.get("Key"))))
    store.destroy()
    deletions = [(operation, key) for operation, key in seen if operation.startswith("Delete")]
    assert deletions == [("DeleteObjects", None), ("DeleteObject", MARKER), ("DeleteBucket", None)]


def test_a_bucket_in_another_region_is_named(s3: Any, name: str) -> None:
    boto3.client("s3", region_name="eu-west-1").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    with store_at(name) as store, pytest.raises(UsageError, match=f"in eu-west-1.*aws:eu-west-1:{name}"):
        store.prepare()


def test_a_store_in_another_region_is_named(s3: Any, name: str) -> None:
    with store_at(name) as store:
        store.prepare()
    with S3JobStore(f"eu-west-1:{name}", Config()) as elsewhere:
        for ask in (elsewhere.prepare, elsewhere.check_place, elsewhere.destroy):
            with pytest.raises(UsageError, match=f"in us-west-2, not in eu-west-1; write aws:us-west-2:{name}"):
                ask()
    with store_at(name) as store:
        store.destroy()
    assert not there(s3, name)


def test_a_store_that_is_not_there(real: Server, name: str) -> None:
    with store_at(name) as store:
        with pytest.raises(NoSuchJobStore, match="no such bucket"):
            store.read("workflow")
        with pytest.raises(NoSuchJobStore):
            list(store.list())
        store.destroy()


@pytest.mark.parametrize("text", ["no-value", "=value", "aws:mine=1", "k" * 129 + "=v"])
def test_bad_tags_are_told(text: str) -> None:
    with pytest.raises(BadOption, match="write KEY=VALUE"):
        parse_tag(text)


@pytest.fixture
def key(tmp_path: Path) -> Iterator[str]:
    path = tmp_path / "sse.key"
    path.write_bytes(bytes(range(32)))
    yield str(path)


def test_blobs_with_a_customer_key_need_it(real: Server, name: str, key: str) -> None:
    with store_at(name, sse_key=key, part_size=5 << 20) as store:
        store.prepare()
        data = bytes(range(256)) * 50_000
        store.create("small", b"secret")
        store.write("large", io.BytesIO(data))
        assert store.read("small").read() == b"secret"
        assert store.read("large").read() == data
        assert store.read("large", 6_000_000, 6_000_010).read() == data[6_000_000:6_000_010]
        assert store.stat("large").size == len(data)
        with pytest.raises(Unsupported, match="key of your own"):
            store.url("small", 60)
        with pytest.raises(ClientError):
            boto3.client("s3").get_object(Bucket=name, Key="small")
        with store_at(name) as without:
            for ask in (lambda: without.read("small"), lambda: without.stat("small")):
                with pytest.raises(UsageError, match="name its file by --sse-key"):
                    ask()
        Path(key).write_bytes(bytes(32))
        with store_at(name, sse_key=key) as other, pytest.raises(UsageError, match="--sse-key must name just that one"):
            other.read("small")
        store.destroy()


def test_a_key_file_that_cannot_be_one_is_told(fake: Server, tmp_path: Path) -> None:
    short = tmp_path / "short"
    short.write_bytes(b"123")
    with pytest.raises(UsageError, match="exactly 32 bytes, and holds 3"):
        store_at("name", sse_key=str(short))
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        store_at("name", sse_key=str(tmp_path / "absent"))


def test_signed_urls_expire(real: Server, name: str) -> None:
    import urllib.error
    import urllib.request

    with store_at(name) as store:
        store.prepare()
        store.create("k", b"public for a while")
        url = store.url("k")
        assert "X-Amz-Expires=3600" in url and "X-Amz-Expires=604800" in store.url("k", 30 * 86400)
        for seconds in (0, -5):
            with pytest.raises(UsageError, match="cannot be valid for"):
                store.url("k", seconds)
        with urllib.request.urlopen(url, timeout=30) as answer:
            assert answer.read() == b"public for a while"
        with pytest.raises(urllib.error.HTTPError) as raised:
            urllib.request.urlopen(url.replace("X-Amz-Expires=3600", "X-Amz-Expires=7200"), timeout=30)
        raised.value.close()
        store.destroy()


def test_too_small_parts_are_refused() -> None:
    assert parse_part("16 MiB") == 16 << 20
    with pytest.raises(BadOption, match="5 MiB to 5 GiB"):
        parse_part("1 MiB")


def test_what_could_not_be_deleted_is_told(s3: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with store_at(name) as store:
        store.prepare()
        monkeypatch.setattr(
            store._bucket, "_s3", type("S3", (), {"delete_objects": lambda self, **_: {"Errors": [{"Key": "a", "Code": "InternalError"}]}})()
        )
        with pytest.raises(Transient, match="1 of 2 objects were not deleted"):
            store.delete(["a", "b"])
        monkeypatch.undo()


def test_what_was_made_ready_is_used(real: Server, name: str) -> None:
    from toil_core.job_store import CanWarm

    assert isinstance(S3JobStore, CanWarm)
    S3JobStore.warm(f"us-west-2:{name}", Config())
    ready = clients._ready["us-west-2", AwsOptions()]
    with store_at(name) as store:
        assert store._s3 is ready
        store.prepare()
        store.destroy()
    with store_at(name) as other:
        assert other._s3 is not ready


def test_what_somebody_else_keeps_in_a_bucket_is_no_workflow(s3: Any, name: str) -> None:
    make(s3, name)
    s3.put_object(Bucket=name, Key="thesis.tex", Body=b"years of work")
    with store_at(name) as store, pytest.raises(NotAJobStore, match="something else"):
        workflow_info(PatientStore(store, seconds=0.0), f"aws:us-west-2:{name}")


def test_an_empty_bucket_of_nobody_is_told_how_to_be_removed(s3: Any, name: str) -> None:
    make(s3, name)
    with store_at(name) as store, pytest.raises(NotAJobStore, match=f"it is empty: .*aws s3 rb s3://{name}"):
        store.destroy()


def test_a_server_without_keys_is_told_from_one_that_is_down(fake: Server, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with proxy_to(fake.url) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        proxy.fault = lambda asked: Fault.INTERNAL_ERROR if asked.path.endswith(MARKER) and asked.method == "PUT" else None
        with store_at(name, attempts=1) as store, pytest.raises(Transient, match="stores nothing in it .*--aws-encryption none"):
            store.prepare()
        with store_at(name, attempts=1, encryption="none") as store:
            with pytest.raises(Transient, match="answers InternalError"):
                store.prepare()
            proxy.fault = lambda asked: None
            store.prepare()
            store.destroy()


@pytest.mark.parametrize(("query", "permission"), [("", "s3:CreateBucket"), ("lifecycle", "s3:PutLifecycleConfiguration")])
def test_who_may_not_make_a_bucket_is_told_to_have_one_made(
    fake: Server, name: str, monkeypatch: pytest.MonkeyPatch, query: str, permission: str
) -> None:
    with proxy_to(fake.url) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        proxy.fault = lambda asked: Fault.DENIED if asked.method == "PUT" and "/".join(asked.query) == query else None
        with pytest.raises(UsageError, match=f"does not permit {permission}, which .* have an empty bucket named {name} made for you"):
            store_at(name).prepare()
