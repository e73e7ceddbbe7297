"""A folder of many small objects of S3 into a job store on the same server, with 8, 16 and 32 copies at a time.

    python -m plugins.aws.benchmarks.importing [--objects 10000] [--document]

Each import is a process of its own. Requests are counted by the SDK's events, tries as well; CPU is that of the process, without the server.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from toil_core.options import Config
from toil_core.workflow import transfers
from toil_core.workflow.files import Files

from benchmarks import document, machine, table
from tests import servers
from toil_aws.job_store import S3JobStore

ROOT = Path(__file__).parents[3]
HEAD = ("copies at a time", "requests per object", "tries per object", "objects/s", "CPU ms per object", "more memory, MiB")
WAYS = (8, 16, 32)


def import_all(several: int, objects: int, folder: Path) -> dict[str, float]:
    """Import the folder, and measure that."""
    transfers._COPIES = several
    with S3JobStore(f"us-west-2:import-{several}", Config()) as store:
        store.prepare()
        files, tries = Files(store, "files/0/a/", folder, Config()), [0]
        store._s3.meta.events.register("before-send.s3", lambda **_: tries.__setitem__(0, tries[0] + 1))
        asked = [0]
        store._s3.meta.events.register("before-parameter-build.s3", lambda **_: asked.__setitem__(0, asked[0] + 1))
        before, began, cpu = _peak(), time.monotonic(), time.process_time()
        directory = files.import_directory("s3://import-source/in")
        wall, cpu = time.monotonic() - began, time.process_time() - cpu
        assert directory.count == objects
        found = {"requests": asked[0] / objects, "tries": tries[0] / objects, "rate": objects / wall, "cpu": cpu / objects * 1e3, "memory": _peak() - before}
        store.destroy()
        return found


def _peak() -> float:
    """The most memory of this process so far, in MiB."""
    return int(re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[0]) / 1024


def fill(objects: int) -> None:
    """Make the objects."""
    import boto3

    s3: Any = boto3.client("s3")
    s3.create_bucket(Bucket="import-source", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: s3.put_object(Bucket="import-source", Key=f"in/{number % 100}/{number:06d}", Body=b"x" * 1000), range(objects)))


def main() -> None:
    parsing = argparse.ArgumentParser(
        prog="python -m plugins.aws.benchmarks.importing", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parsing.add_argument("--objects", type=int, default=10_000)
    parsing.add_argument("--several", type=int, help=argparse.SUPPRESS)
    parsing.add_argument("--document", action="store_true", help="write the table into docs/aws.md")
    given = parsing.parse_args()
    with tempfile.TemporaryDirectory(prefix="toil-importing-") as folder:
        if given.several:
            print(json.dumps(import_all(given.several, given.objects, Path(folder))))
            return
        with servers.seaweedfs(Path(folder)) as server:
            os.environ.update(server.environment)
            before = machine.load()
            fill(given.objects)
            rows = []
            for several in WAYS:
                command = [sys.executable, "-m", "plugins.aws.benchmarks.importing", "--objects", str(given.objects), "--several", str(several)]
                one = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
                rows.append((str(several), f"{one['requests']:.3f}", f"{one['tries']:.3f}", f"{one['rate']:.0f}", f"{one['cpu']:.2f}", f"{one['memory']:.0f}"))
                print(" | ".join(rows[-1]), flush=True)
    text = table.markdown(HEAD, rows, right=(0, 1, 2, 3, 4, 5))
    if given.document:
        about = f"{given.objects:,} objects of 1,000 bytes; {os.cpu_count()} cores, the server beside; load {before} before, {machine.load()} after."
        document.put(f"{text}\n\n{about}", ROOT / "docs" / "aws.md", "importing")


if __name__ == "__main__":
    main()
