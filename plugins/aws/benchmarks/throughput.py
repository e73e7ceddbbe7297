"""1 GiB into an S3 store and out of it, beside the AWS CLI and cp: python plugins/aws/benchmarks/throughput.py ENDPOINT [AWS]

Needs toil-aws, an S3 server at ENDPOINT with credentials in the environment, and the AWS CLI (AWS is the path of its program).
Each of them moves the same file; the order changes from round to round, and the best of the rounds counts.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from toil_core.options import Config
from toil_core.plugins import open_job_store

from toil_aws.options import AwsOptions

SIZE = int(os.environ.get("BENCH_BYTES", str(1 << 30)))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))


def main(endpoint: str, cli: str) -> None:
    """Measure, and print a table of MiB/s and ratios."""
    os.environ["AWS_ENDPOINT_URL"] = endpoint
    bucket = f"toil-bench-{os.getpid()}"
    with tempfile.TemporaryDirectory() as name, open_job_store(f"aws:us-west-2:{bucket}", Config([AwsOptions(encryption="none")])) as store:
        folder = Path(name)
        source, target = folder / "source", folder / "target"
        with source.open("wb") as out:
            for _ in range(SIZE >> 20):
                out.write(random.randbytes(1 << 20))
        store.prepare()

        def store_up() -> None:
            with source.open("rb") as stream:
                store.write("files/1/2/3/ours", stream)

        def store_down() -> None:
            with store.read("files/1/2/3/ours") as stream, target.open("wb") as out:
                while chunk := stream.read(1 << 20):
                    out.write(chunk)

        def cp() -> None:
            subprocess.run(["cp", source, target], check=True)

        def cli_up() -> None:
            subprocess.run([cli, "s3", "cp", "--only-show-errors", source, f"s3://{bucket}/cli"], check=True)

        def cli_down() -> None:
            subprocess.run([cli, "s3", "cp", "--only-show-errors", f"s3://{bucket}/cli", target], check=True)

        ways: list[tuple[str, Callable[[], None]]] = [
            ("up, toil", store_up), ("up, AWS CLI", cli_up), ("down, toil", store_down), ("down, AWS CLI", cli_down), ("cp", cp)
        ]  # fmt: skip
        best: dict[str, float] = {}
        for number in range(ROUNDS):
            for what, way in ways if number % 2 == 0 else [ways[1], ways[0], ways[3], ways[2], ways[4]]:
                began = time.perf_counter()
                way()
                best[what] = min(best.get(what, 1e9), time.perf_counter() - began)
                assert not target.exists() or target.stat().st_size == SIZE
                target.unlink(missing_ok=True)
        store.destroy()
    for what, seconds in best.items():
        print(f"{what:15} {SIZE / (1 << 20) / seconds:8.0f} MiB/s")
    for where in ("up", "down"):
        print(f"{where}: toil is {best[f'{where}, AWS CLI'] / best[f'{where}, toil']:.2f} times as fast as the AWS CLI")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "aws")
