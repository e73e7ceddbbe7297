"""What runs ask of S3, counted by a proxy before a real server, and what that costs at list prices.

    python -m plugins.aws.benchmarks.costs [--jobs 10000] [--restarted 20000] [--document]
    python -m plugins.aws.benchmarks.costs --phases large [--large 100000] [--document]

The second takes long, and has a phase of its own. The figures of each phase are kept in build/, in the place of those of the last time;
the table is made of all that are there. Every run is a process of its own, as a user starts it.
What goes by time is counted with a clock that is set, not waited for.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

from tests.leader.world import Plan, World
from tests.proxy import Asked, Proxy, proxy_to
from tests.scripts import CHAIN, tiny
from toil_core.leader.watch import Watch
from toil_core.leader.watch_options import WatchOptions
from toil_core.options import Config
from toil_core.plugins import open_job_store

from benchmarks import document, machine, table
from tests import servers

ROOT = Path(__file__).parents[3]
HEAD = ("phase", "writes", "reads", "listings", "deletions", "$ per million jobs")
PHASES = ("chains", "time", "isolated", "shared", "killed", "large")
USUAL = PHASES[:-1]
SAVED = ROOT / "build" / "aws-costs.json"
KINDS = ("write", "read", "listing", "deletion")
PRICES = {"write": 5e-6, "listing": 5e-6, "read": 0.4e-6, "deletion": 0.0}
"""US dollars for a request to S3 Standard in us-west-2."""
DAY = 86400


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Args:
        phase: What was done.
        asked: How many requests of each kind it took.
        jobs: How many jobs are in it, when it is all that they cost; 0 for other phases.
    """

    phase: str
    asked: Counter[str]
    jobs: int = 0

    def cells(self) -> tuple[str, ...]:
        """The line's cells."""
        return (self.phase, *(f"{self.asked[kind]:g}" for kind in KINDS), f"{self.dollars():.3f}" if self.jobs else "")

    def dollars(self) -> float:
        """What a million of its jobs cost."""
        return sum(PRICES[kind] * self.asked[kind] for kind in KINDS) * 1e6 / self.jobs


class Bench:
    """Runs workflows on a real S3 server, and counts.

    Args:
        proxy: Stands before the server.
        folder: For scripts.
    """

    def __init__(self, proxy: Proxy, folder: Path) -> None:
        self._proxy, self._folder, self._stores = proxy, folder, 0

    def chains(self) -> list[Row]:
        """The start, and what a further job costs, alone and with a file."""
        asked = {}
        for count, files in ((5, False), (15, False), (5, True), (15, True)):
            asked[count, files] = self._asked(CHAIN, "--left", str(count), "--disable-chaining", *(["--files"] if files else []))
        first = first_commit(asked[5, False], epoch=1)
        kinds = {key: counted(self._of_jobs(each)) for key, each in asked.items()}
        lone, filed = (Counter({kind: (kinds[15, files][kind] - kinds[5, files][kind]) / 10 for kind in KINDS}) for files in (False, True))
        return [
            Row("start: make the bucket, begin, lead", counted(asked[5, False][:first])),
            Row("a job that runs alone", lone),
            Row("a job that runs alone, and writes a file of 100 kB that the next one reads on the same node", filed),
        ]

    def tiny(self, jobs: int, *, isolated: bool) -> list[Row]:
        """Many tiny jobs from start to end, then the removal of their job store."""
        began = time.monotonic()
        asked = self._asked(tiny(isolated=isolated), "--count", str(jobs), "--clean", "never")
        minutes = (time.monotonic() - began) / 60
        how = "each in a process of its own" if isolated else "that share processes"
        commits = self._of_jobs(asked)
        return [
            Row(f"{jobs:,} tiny jobs, {how}: their commits", counted(commits), jobs),
            Row(f"the same: all that was asked, in {minutes:.1f} minutes", counted(asked), jobs),
        ]

    def killed(self, jobs: int) -> list[Row]:
        """Many tiny jobs whose leader is killed on the way, and which are then restarted; and the removal of their job store."""
        at = jobs * 2 // 5
        before = self._proxy.asked[:]
        events = self._folder / "events"
        os.mkfifo(events)
        command, locator = self._command(tiny(isolated=False), "--count", str(jobs), "--clean", "never", "--write-messages", str(events))
        leader = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        ended = 0
        with events.open() as lines:
            for line in lines:
                ended += json.loads(line)["event"] == "JobDone"
                if ended >= at:
                    break
        os.killpg(leader.pid, signal.SIGKILL)
        leader.wait()
        events.unlink()  # a restart has the same options, and would wait for a reader
        whole = self._proxy.asked[len(before) :]
        restarted = self._asked("", locator, "--restart", "--clean", "never")
        first = first_commit(restarted, epoch=2)
        blobs = self._blobs(locator)
        done = len(self._proxy.asked)
        subprocess.run([str(Path(sys.executable).parent / "toil"), "clean", locator], check=True, stdout=subprocess.DEVNULL)
        return [
            Row(f"restart, after the leader was killed at {at:,} of {jobs:,} jobs: until the first commit of a job", counted(restarted[:first])),
            Row(f"{jobs:,} tiny jobs that share processes, with that kill and restart: all that was asked", counted([*whole, *restarted]), jobs),
            Row(f"clean of the store of those {jobs:,} jobs, in which {blobs} blobs were left", counted(self._proxy.asked[done:])),
        ]

    def by_time(self) -> list[Row]:
        """A minute in which something happens each second, and a day in which nothing does."""
        with open_job_store(f"aws:us-west-2:{self._bucket()}", Config()) as store:
            store.prepare()
            busy, idle = (self._watched(Watch(store, 1, WatchOptions(), now=lambda: 0.0), seconds, busy=busy) for seconds, busy in ((60, True), (DAY, False)))
            store.destroy()
        return [Row("each minute in which something happens", busy), Row("a day in which nothing happens", idle)]

    def _watched(self, watch: Watch, seconds: int, *, busy: bool) -> Counter[str]:
        graph, start, now = World(Plan("root")).graph, len(self._proxy.asked), 0.0
        while now <= seconds:
            watch.turn(graph, now)
            if busy:
                watch.changed()
            now = now + 1 if busy or watch.at is None else max(watch.at, now + 1)
        return counted(self._proxy.asked[start:])

    def _bucket(self) -> str:
        self._stores += 1
        return f"toil-costs-{os.getpid()}-{self._stores}"

    def _command(self, source: str, *arguments: str) -> tuple[list[str], str]:
        script = self._folder / "script.py"
        if not source:
            return [sys.executable, str(script), *arguments], arguments[0]
        script.write_text(dedent(source))
        locator = f"aws:us-west-2:{self._bucket()}"
        return [sys.executable, str(script), locator, *arguments], locator

    def _asked(self, source: str, *arguments: str) -> list[Asked]:
        """What a run asks for; without a source, another run of the script before."""
        start = len(self._proxy.asked)
        subprocess.run(self._command(source, *arguments)[0], check=True, stdout=subprocess.DEVNULL)
        return self._proxy.asked[start:]

    def _of_jobs(self, asked: Iterable[Asked]) -> list[Asked]:
        return [each for each in asked if each.path.split("/")[2:3] and each.path.split("/")[2] in ("commits", "files", "logs")]

    def _blobs(self, locator: str) -> int:
        with open_job_store(locator, Config()) as store:
            return sum(1 for _ in store.list())


def measure(folder: Path, jobs: int, restarted: int, large: int, phases: Collection[str]) -> None:
    """Start the server, go through the phases, and keep what was counted."""
    with servers.seaweedfs(folder / "server") as server, proxy_to(server.url) as proxy:
        os.environ.update({**server.environment, "AWS_ENDPOINT_URL": proxy.url, "XDG_CONFIG_HOME": str(folder)})
        bench = Bench(proxy, folder)
        doing: dict[str, Callable[[], list[Row]]] = {
            "chains": bench.chains,
            "time": bench.by_time,
            "isolated": lambda: bench.tiny(jobs, isolated=True),
            "shared": lambda: bench.tiny(jobs, isolated=False),
            "killed": lambda: bench.killed(restarted),
            "large": lambda: bench.killed(large),
        }
        for phase in PHASES:
            if phase in phases:
                keep(phase, doing[phase]())


def keep(phase: str, rows: list[Row]) -> None:
    """Put a phase's figures in the place of those of the last time."""
    print(*(" | ".join(row.cells()) for row in rows), sep="\n", flush=True)
    SAVED.parent.mkdir(exist_ok=True)
    SAVED.write_text(json.dumps({**saved(), phase: [{"phase": row.phase, "asked": dict(row.asked), "jobs": row.jobs} for row in rows]}, indent=1))


def saved() -> dict[str, Any]:
    """The figures of all phases that were run so far."""
    return json.loads(SAVED.read_text()) if SAVED.exists() else {}


def first_commit(asked: Sequence[Asked], epoch: int) -> int:
    """Where the first commit of a job is that a leader of that epoch sent out."""
    return next(number for number, each in enumerate(asked) if each.kind == "write" and f"/{epoch}-" in each.path and "/commits/" in each.path)


def counted(asked: Iterable[Asked]) -> Counter[str]:
    """How many there are of each kind."""
    return Counter(each.kind for each in asked)


def budgets(rows: Sequence[Row]) -> str:
    """Which of the rows of jobs keep to what they may cost: 2 writes and 1 read if they run alone, else 0.1 of each and a dollar a million."""
    told = []
    for row in rows:
        if row.phase.startswith("a job that runs alone"):
            kept = row.asked["write"] <= 2 and row.asked["read"] <= 1 and not row.asked["listing"]
        elif row.jobs:
            kept = max(row.asked["write"], row.asked["read"]) <= row.jobs / 10 and row.dollars() <= 1
        else:
            continue
        told.append(f"* {'met' if kept else 'NOT met'}: {row.phase}")
    return "The budgets (2 writes and 1 read for a job that runs alone; 0.1 of each and $1 a million for tiny ones):\n\n" + "\n".join(told)


def main() -> None:
    parsing = argparse.ArgumentParser(
        prog="python -m plugins.aws.benchmarks.costs", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parsing.add_argument("--jobs", type=int, default=10_000, help="of the runs of tiny jobs")
    parsing.add_argument("--restarted", type=int, default=20_000, help="jobs of the run that is killed and restarted")
    parsing.add_argument("--large", type=int, default=100_000, help="jobs of the phase `large`, which is the same with more")
    parsing.add_argument("--phases", default=",".join(USUAL), help=f"which of {', '.join(PHASES)} to run (all but the last)")
    parsing.add_argument("--document", action="store_true", help="write the table into docs/aws.md")
    given = parsing.parse_args()
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    with tempfile.TemporaryDirectory(prefix="toil-costs-") as folder:
        measure(Path(folder), given.jobs, given.restarted, given.large, given.phases.split(","))
    kept = saved()
    rows = [Row(each["phase"], Counter(each["asked"]), each["jobs"]) for phase in PHASES for each in kept.get(phase, [])]
    text = table.markdown(HEAD, [row.cells() for row in rows], right=(1, 2, 3, 4, 5))
    if given.document:
        document.put(f"{text}\n\n{budgets(rows)}\n\nCounted on {os.cpu_count()} cores, load {machine.load()} after.", ROOT / "docs" / "aws.md", "costs")


if __name__ == "__main__":
    main()
