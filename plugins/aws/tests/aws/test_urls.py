"""`s3://` URLs on a real S3 server: what comes in, what goes out, what is read where it is."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from tests.proxy import Asked, Fault, proxy_to
from tests.scripts import run_script
from tests.servers import Server
from toil_core.drivers.memory import MemoryJobStore
from toil_core.errors import BadLocator, NoSuchJobStore, NoSuchKey
from toil_core.job_store import Listed
from toil_core.options import Config
from toil_core.plugins import list_url, open_url
from toil_core.workflow.files import Files

from toil_aws.job_store import S3JobStore
from toil_aws.options import AwsOptions
from toil_aws.urls import parse

DATA = bytes(range(256)) * 50_000


@pytest.fixture
def s3(real: Server) -> Any:
    return boto3.client("s3")


@pytest.fixture
def bucket(s3: Any, name: str) -> Iterator[str]:
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    yield name
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket=name).get("Contents", [])]
    if keys:
        s3.delete_objects(Bucket=name, Delete={"Objects": [{"Key": key} for key in keys]})
    s3.delete_bucket(Bucket=name)


def read(url: str, **options: Any) -> bytes:
    with open_url(url, "rb", Config([AwsOptions(**options)])) as stream:
        return stream.read()


@pytest.mark.parametrize("data", [b"", b"small", DATA], ids=["empty", "small", "parts"])
def test_what_is_written_is_read(bucket: str, data: bytes) -> None:
    url = f"s3://{bucket}/a folder/re%61ds%20ü.txt"
    with open_url(url, "wb", Config()) as out:
        out.write(data[:1000])
        out.write(data[1000:])
    assert read(url, part_size=5 << 20) == data
    assert boto3.client("s3").get_object(Bucket=bucket, Key="a folder/reads ü.txt")["Body"].read() == data


def test_what_is_not_finished_does_not_appear(bucket: str, s3: Any) -> None:
    with pytest.raises(RuntimeError), open_url(f"s3://{bucket}/k", "wb", Config()) as out:
        out.write(b"half")
        raise RuntimeError
    forgotten = open_url(f"s3://{bucket}/k", "wb", Config())
    forgotten.write(b"half")
    del forgotten
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_a_reader_that_has_enough_may_stop(bucket: str, s3: Any) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=DATA * 4)
    with open_url(f"s3://{bucket}/k", "rb", Config([AwsOptions(part_size=5 << 20, transfers=2)])) as stream:
        assert stream.read(10) == DATA[:10]


def test_errors_name_the_url_and_what_to_do(bucket: str) -> None:
    for url, message in {
        f"s3://{bucket}/absent": "no such object; check the spelling",
        "s3://toil-there-is-no-such-bucket/k": "no such bucket; check the spelling",
        f"s3://{bucket}": "names a bucket or a folder",
        f"s3://{bucket}/folder/": "names a bucket or a folder",
        "s3://NO-SUCH-BUCKET/k": "no such bucket; check the spelling",
        "s3://no such bucket/k": "no such bucket; check the spelling",
        "s3:bucket/k": "write s3://BUCKET/KEY",
        "s3://user@bucket/k": "write s3://BUCKET/KEY",
    }.items():
        with pytest.raises(BadLocator, match=message) as raised:
            read(url)
        assert url in str(raised.value)


def test_an_object_with_a_key_of_its_owner_is_told(bucket: str, s3: Any) -> None:
    s3.put_object(Bucket=bucket, Key="locked", Body=b"x", SSECustomerAlgorithm="AES256", SSECustomerKey=bytes(32))
    with pytest.raises(BadLocator, match="s3://.*/locked: S3 does not give it .*encrypted with a key of its owner"):
        open_url(f"s3://{bucket}/locked", "rb", Config())


def test_where_nothing_can_be_written(real: Server) -> None:
    for bucket in ("NO-SUCH-BUCKET", "no such bucket"):
        out = open_url(f"s3://{bucket}/k", "wb", Config())
        out.write(b"1")
        with pytest.raises(BadLocator, match="no such bucket; check the spelling$"):
            out.close()


def test_urls_in_parts() -> None:
    place = parse("s3://b/some%20key?with#signs")
    assert (place.bucket, place.key) == ("b", "some key?with#signs")


def test_what_lies_under_a_prefix(bucket: str, s3: Any) -> None:
    for key in ("in/a.txt", "in/deep/b.txt", "in/deep/", "inside", "in-other/c"):
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    for url in (f"s3://{bucket}/in", f"s3://{bucket}/in/"):
        assert [item[:2] for item in sorted(list_url(url, Config()))] == [("a.txt", 8), ("deep/b.txt", 13)]
    itself = s3.head_object(Bucket=bucket, Key="inside")
    assert list(list_url(f"s3://{bucket}/inside", Config())) == [Listed("", 6, itself["ETag"])]
    assert len(list(list_url(f"s3://{bucket}", Config()))) == 4
    assert list(list_url(f"s3://{bucket}/nothing", Config())) == []


def test_server_side_copies(bucket: str, s3: Any, name: str) -> None:
    s3.put_object(Bucket=bucket, Key="small", Body=b"small", Metadata={"toil-writer": "another"})
    s3.put_object(Bucket=bucket, Key="large", Body=DATA)
    with S3JobStore(f"us-west-2:{name}-store", Config()) as store:
        store.prepare()
        seen: list[str] = []
        store._s3.meta.events.register("before-parameter-build.s3", lambda model, **_: seen.append(model.name))
        assert store.copy_from("files/0/a/0/small", f"s3://{bucket}/small") == 5
        assert store.copy_from("files/0/a/1/large", f"s3://{bucket}/large") == len(DATA)
        assert store.read("files/0/a/0/small").read() == b"small"
        assert store.read("files/0/a/1/large").read() == DATA
        assert seen.count("CopyObject") == 2 and not {"PutObject", "UploadPartCopy"} & set(seen)
        assert store.copy_from("k", "https://example.org/k") is None
        with pytest.raises(BadLocator, match="no such object"):
            store.copy_from("k", f"s3://{bucket}/absent")
        with pytest.raises(BadLocator, match="no such bucket"):
            store.copy_from("k", "s3://toil-there-is-no-such-bucket/k")
        with pytest.raises(BadLocator, match="names a bucket or a folder"):
            store.copy_from("k", f"s3://{bucket}/")
        with pytest.raises(NoSuchKey):
            store.stat("k")
        store.destroy()


def test_a_folder_costs_one_request_for_each_object(bucket: str, s3: Any, name: str, tmp_path: Path) -> None:
    contents = {f"{number % 3}/{number:02d}": b"x" * number for number in range(20)}
    for key, content in contents.items():
        s3.put_object(Bucket=bucket, Key=f"in/{key}", Body=content)
    with S3JobStore(f"us-west-2:{name}-store", Config()) as store:
        store.prepare()
        files = Files(store, "files/0/a/", tmp_path, Config())
        seen: list[str] = []
        store._s3.meta.events.register("before-parameter-build.s3", lambda model, **_: seen.append(model.name))
        folder = files.import_directory(f"s3://{bucket}/in")
        assert sorted(seen) == ["CopyObject"] * 20 + ["PutObject"]
        found = files.contents(folder)
        assert {path: (file.size, files.open(file).read()) for path, file in found.items()} == {key: (len(data), data) for key, data in contents.items()}
        store.destroy()


def test_what_was_replaced_since_it_was_listed_is_copied_as_it_is_now(bucket: str, s3: Any, name: str) -> None:
    s3.put_object(Bucket=bucket, Key="in/k", Body=b"old")
    (listed,) = list_url(f"s3://{bucket}/in", Config())
    s3.put_object(Bucket=bucket, Key="in/k", Body=b"newer")
    with S3JobStore(f"us-west-2:{name}-store", Config()) as store:
        store.prepare()
        assert store.copy_from("k", f"s3://{bucket}/in/k", listed) == 5
        assert store.read("k").read() == b"newer"
        s3.delete_object(Bucket=bucket, Key="in/k")
        with pytest.raises(BadLocator, match="no such object"):
            store.copy_from("k", f"s3://{bucket}/in/k", listed)
        store.destroy()


def test_a_store_that_is_gone_is_not_taken_for_the_source(fake: Server, name: str) -> None:
    client = boto3.client("s3")
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    client.put_object(Bucket=name, Key="in/k", Body=b"here")
    (listed,) = list_url(f"s3://{name}/in", Config())
    with S3JobStore(f"us-west-2:{name}-store", Config()) as store, pytest.raises(NoSuchJobStore, match=f"{name}-store"):
        store.copy_from("k", f"s3://{name}/in/k", listed)


def test_what_may_be_read_and_not_copied_passes_through_this_machine(
    bucket: str, s3: Any, name: str, tmp_path: Path, real: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("in/a", "in/b"):
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    with proxy_to(real.url) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        with S3JobStore(f"us-west-2:{name}-store", Config()) as store:
            store.prepare()
            proxy.fault = lambda asked: Fault.DENIED if asked.copies and asked.path.endswith("/a") else None
            files = Files(store, "files/0/a/", tmp_path, Config())
            folder = files.import_directory(f"s3://{bucket}/in")
            assert [asked.fault for asked in proxy.asked if asked.copies].count(Fault.DENIED) == 1
            assert {path: files.open(file).read() for path, file in files.contents(folder).items()} == {"a": b"in/a", "b": b"in/b"}
            store.destroy()


def test_large_objects_are_copied_in_parts(bucket: str, s3: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toil_aws.urls._AT_ONCE", 5 << 20)
    s3.put_object(Bucket=bucket, Key="large", Body=DATA)
    with S3JobStore(f"us-west-2:{name}-store", Config()) as store:
        store.prepare()
        seen: list[str] = []
        store._s3.meta.events.register("before-parameter-build.s3", lambda model, **_: seen.append(model.name))
        assert store.copy_from("k", f"s3://{bucket}/large") == len(DATA)
        assert seen.count("UploadPartCopy") == 3
        assert store.read("k").read() == DATA
        store.destroy()


def test_small_copies_start_no_threads(bucket: str, s3: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    start, here = threading.Thread.start, threading.get_ident()

    def told(self: threading.Thread) -> None:
        if threading.get_ident() == here:
            started.append(self.name)
        start(self)

    s3.put_object(Bucket=bucket, Key="small", Body=b"small")
    with S3JobStore(f"us-west-2:{name}-store", Config()) as store:
        store.prepare()
        monkeypatch.setattr(threading.Thread, "start", told)
        assert store.copy_from("k", f"s3://{bucket}/small") == 5
        assert started == []
        store.destroy()


def test_a_file_is_read_where_it_is(bucket: str, s3: Any, tmp_path: Path) -> None:
    s3.put_object(Bucket=bucket, Key="in/reads.fq", Body=DATA)
    s3.put_object(Bucket=bucket, Key="in/deep/b.txt", Body=b"b")
    with MemoryJobStore("references", Config()) as store:
        files = Files(store, "files/0/a/", tmp_path, Config())
        file = files.import_url(f"s3://{bucket}/in/reads.fq", reference=True)
        assert (file.name, file.size) == ("reads.fq", len(DATA))
        assert list(store.list()) == []
        assert files.read(file).read_bytes() == DATA
        assert files.open(file).read() == DATA
        assert files.exists(file)
        folder = files.import_directory(f"s3://{bucket}/in", reference=True)
        assert (folder.count, folder.size) == (2, len(DATA) + 1)
        assert [blob.key for blob in store.list()] == [folder.manifest.key]
        assert (files.read(folder) / "deep" / "b.txt").read_bytes() == b"b"
        with pytest.raises(BadLocator, match="read where it is"):
            files.import_url(f"s3://{bucket}/absent", reference=True)


def test_folders_come_in_and_go_out(bucket: str, s3: Any, tmp_path: Path) -> None:
    for key in ("in/a.txt", "in/deep/er/b.txt"):
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    with MemoryJobStore("folders", Config()) as store:
        files = Files(store, "files/0/a/", tmp_path, Config())
        folder = files.import_directory(f"s3://{bucket}/in")
        assert sorted(files.contents(folder)) == ["a.txt", "deep/er/b.txt"]
        files.export_url(folder, f"s3://{bucket}/out")
        files.export_url(files.contents(folder)["a.txt"], f"s3://{bucket}/a copy")
        with pytest.raises(BadLocator, match="nothing lies under"):
            files.import_directory(f"s3://{bucket}/nothing")
        with pytest.raises(BadLocator, match="in/a.txt is a file; import it with import_url"):
            files.import_directory(f"s3://{bucket}/in/a.txt")
    assert s3.get_object(Bucket=bucket, Key="out/deep/er/b.txt")["Body"].read() == b"in/deep/er/b.txt"
    assert s3.get_object(Bucket=bucket, Key="a copy")["Body"].read() == b"in/a.txt"


def test_a_workflow_from_s3_to_s3(bucket: str, s3: Any, tmp_path: Path, name: str) -> None:
    s3.put_object(Bucket=bucket, Key="reads.txt", Body=b"b\na\nc\n")
    script = """
        from toil_core import File, job, main

        @job(memory="64 MiB")
        def ordered(job, text: File, target: str):
            lines = sorted(job.files.read(text).read_text().split())
            job.files.export_url(job.files.write("".join(lines), "lines.txt"), target)
            return len(lines), bool(text.source)

        if __name__ == "__main__":
            main(ordered)
        """
    for number, options in enumerate(([], ["--reference-imports"])):
        store = f"aws:us-west-2:{name}-{number}"
        done = run_script(tmp_path, script, store, "--text", f"s3://{bucket}/reads.txt", "--target", f"s3://{bucket}/out{number}", *options)
        assert json.loads(done.stdout) == [3, bool(options)]
        assert s3.get_object(Bucket=bucket, Key=f"out{number}")["Body"].read() == b"abc"
        with S3JobStore(store.removeprefix("aws:"), Config()) as gone:
            assert not gone._bucket._there()


def test_a_bucket_whose_readers_pay(bucket: str, s3: Any, name: str, tmp_path: Path, real: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toil_aws.urls._AT_ONCE", 5 << 20)
    contents = {"a": b"small", "deep/b": DATA[: 6 << 20]}
    for key, data in contents.items():
        s3.put_object(Bucket=bucket, Key=f"in/{key}", Body=data)

    def wants_money(asked: Asked) -> Fault | None:
        of, _, key = asked.path[1:].partition("/")
        costs = asked.copies or (of == bucket and (key or asked.method != "HEAD"))
        return Fault.DENIED if costs and not asked.pays else None

    paying = Config([AwsOptions(request_payer=True, part_size=5 << 20)])
    with proxy_to(real.url) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        proxy.fault = wants_money
        with pytest.raises(BadLocator, match="--aws-request-payer if its readers pay"):
            read(f"s3://{bucket}/in/a")
        with S3JobStore(f"us-west-2:{name}-store", paying) as store:
            store.prepare()
            for target in (store, MemoryJobStore("paid", Config())):
                for reference in (False, True):
                    files = Files(target, f"files/0/a{reference}/", tmp_path, paying)
                    file = files.import_url(f"s3://{bucket}/in/deep/b", reference=reference)
                    folder = files.import_directory(f"s3://{bucket}/in", reference=reference)
                    assert files.open(file).read() == contents["deep/b"]
                    assert {path: files.open(item).read() for path, item in files.contents(folder).items()} == contents
            store.destroy()
        assert not [asked for asked in proxy.asked if asked.fault and asked.pays]
        assert sum(asked.copies for asked in proxy.asked if not asked.fault) == 2 + 1 + 2


def test_public_objects_need_no_credentials(fake: Server, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client = boto3.client("s3")
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    client.put_object(Bucket=name, Key="k", Body=io.BytesIO(b"public"), ACL="public-read")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert read(f"s3://{name}/k") == b"public"
