"""Large files through the SDK's native client, really run against a real server.

It is run in a process of its own: its threads outlive what they were made for.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

from tests.servers import Server
from toil_core.testing.needs import need

ROOT = Path(__file__).parents[4]
CONTRACT = Path(__file__).with_name("native_contract.py")
APART = Path(sys.prefix) / "native"
"""Where `tools/setup test` puts it: in the environment, each process that imports the SDK would be some MiB larger for it."""

# The SDK gives the native client TLS only, takes it on large machines only, and in one process of the machine at a time.
NATIVE = """
    import os
    import sys

    import boto3.crt
    import boto3.s3.transfer as sdk
    from toil_core.errors import ToilError
    from toil_core.options import Config

    from toil_aws import transfer
    from toil_aws.job_store import S3JobStore
    from toil_aws.options import AwsOptions

    make, lock, manager = boto3.crt.create_s3_crt_client, boto3.crt.acquire_crt_s3_process_lock, sdk.create_crt_transfer_manager
    taken = []

    def noted(*arguments):
        made = manager(*arguments)
        taken.append(type(made).__name__)
        return made

    boto3.crt.create_s3_crt_client = lambda **given: make(**{**given, "use_ssl": False})
    boto3.crt.acquire_crt_s3_process_lock = lambda name: lock(f"{name}-{os.getpid()}")
    def noted_ordinary(*arguments):
        taken.append("ordinary")
        return ordinary(*arguments)

    ordinary = sdk._create_default_transfer_manager
    sdk.create_crt_transfer_manager = noted
    sdk._create_default_transfer_manager = noted_ordinary
    sdk.awscrt.s3.is_optimized_for_system = lambda: True
    transfer._native = lambda options: True

    folder, bucket = sys.argv[1:]
    store = S3JobStore(f"us-west-2:{bucket}", Config([AwsOptions(part_size=5 << 20)]))
    """

OF_TRANSFERS = "size or large or see_whole or outlives"
"""The cases of the contract in which large blobs go up or come down; in the others nothing would be done by the native client."""


def run(folder: Path, bucket: str, script: str, seconds: float = 100) -> str:
    """What a script says that has the native client and a store, and ends within some seconds."""
    need("" if (APART / "awscrt").is_dir() else f"awscrt is not in {APART}: run tools/setup test")
    command = [sys.executable, "-c", dedent(NATIVE) + dedent(script), str(folder), bucket]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(APART)}, capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_large_files_come_back_as_they_were(real: Server, name: str, tmp_path: Path) -> None:
    said = run(
        tmp_path,
        name,
        """
        store.prepare()
        for size in ((5 << 20) + 1, 20 << 20, (20 << 20) + 7):
            data = os.urandom(size)
            with open(f"{folder}/file", "wb+") as file:
                file.write(data)
                file.seek(0)
                os.unlink(file.name)
                store.write("files/large", file)
            assert store.stat("files/large").size == size
            with store.read("files/large") as stream:
                assert stream.read() == data
        store.destroy()
        print(*taken)
        """,
    )
    assert said.split() == ["CRTTransferManager"] * 3


def test_its_errors_are_told_as_those_of_the_ordinary_client(real: Server, name: str, tmp_path: Path) -> None:
    said = run(
        tmp_path,
        name,
        """
        store.prepare()
        boto3.crt.compare_identity = lambda *_: True
        boto3.crt.BotocoreCRTCredentialsWrapper.to_crt_credentials_provider = lambda self: (
            __import__("awscrt.auth").auth.AwsCredentialsProvider.new_static("AKIANOBODY", "SECRET")
        )
        with open(f"{folder}/file", "wb+") as file:
            file.truncate(6 << 20)
            try:
                store.write("files/large", file)
            except ToilError as error:
                print(taken, type(error).__name__, error)
        store.destroy()
        """,
    )
    assert "CRTTransferManager" in said and "UsageError" in said and "AWS does not know the access key" in said


def test_where_it_cannot_connect_the_ordinary_client_takes_over(real: Server, name: str, tmp_path: Path) -> None:
    said = run(
        tmp_path,
        name,
        """
        boto3.crt.create_s3_crt_client = make  # it asks for TLS, which the server does not speak
        store.prepare()
        data = os.urandom(6 << 20)
        with open(f"{folder}/file", "wb+") as file:
            file.write(data)
            file.seek(0)
            store.write("files/large", file)
        with store.read("files/large") as stream:
            assert stream.read() == data
        store.destroy()
        print(*taken)
        """,
    )
    assert said.split() == ["CRTTransferManager", "ordinary"]


def test_the_contract_holds_of_what_it_stores(real: Server, name: str, tmp_path: Path) -> None:
    said = run(
        tmp_path,
        name,
        f"""
        import pytest

        store.close()
        options = ["-q", "--noconftest", "-p", "no:cacheprovider", "-p", "no:xdist", "--rootdir", {str(ROOT)!r}, "-k", {OF_TRANSFERS!r}]
        code = pytest.main([*options, {str(CONTRACT)!r}])
        print("by", *set(taken))
        sys.exit(code)
        """,
        seconds=240,
    )
    assert said.splitlines()[-1] == "by CRTTransferManager"
