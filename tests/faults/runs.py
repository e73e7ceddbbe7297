"""Real runs of `workflow.py` in processes of their own, and what is left of them."""

from __future__ import annotations

import os
import secrets
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from tests.faults import workflow
from toil_core.drivers.file import FileJobStore
from toil_core.errors import CorruptBlob
from toil_core.leader.checkpoints import load
from toil_core.leader.graph import Graph
from toil_core.leader.issue import Sizing
from toil_core.leader.retries import Policy
from toil_core.options import Config
from toil_core.wire import commits, keys
from toil_core.worker import procfs

SCRIPT = Path(workflow.__file__)
DEADLINE = 180.0
MARK = "TOIL_TESTED_RUN"
"""A variable that all processes of one workflow carry, however they were started."""


class Run:
    """One workflow, with all its leaders.

    Args:
        folder: A folder for it alone.
        seed: Which workflow.
        size: About how many jobs it has.
        options: Options for every leader.
        store: The job store's folder, when it is not to be in `folder`.
    """

    def __init__(self, folder: Path, seed: int = 0, size: int = 12, options: Sequence[str] = (), store: Path | None = None) -> None:
        self.folder = folder
        self.store = store or folder / "store"
        self.tmp = folder / "tmp"
        self.step = workflow.plan(seed, size)
        self.orders = folder / "orders"
        self._arguments = ["--folder", str(folder), "--seed", str(seed), "--size", str(size)]
        self._options = ["--clean", "never", "--retry-backoff-seconds", "0", *options]
        self._mark = secrets.token_hex(8)
        self._leaders: list[subprocess.Popen[str]] = []
        self.tmp.mkdir(parents=True)
        self.orders.mkdir()

    def order(self, body: int | str, text: str) -> None:
        """Let the body whose line of effects is the number-th, or the next one of the name, do something; see `workflow`."""
        (self.orders / str(body).replace("/", ",")).write_text(text)

    def halt(self, body: int | str) -> None:
        """Let the body wait until it is met."""
        os.mkfifo(self.orders / str(body).replace("/", ","))

    def meet(self, body: int | str) -> TextIO:
        """Wait until that body runs; it goes on when its orders are written, or none are, and this is closed."""
        return (self.orders / str(body).replace("/", ",")).open("w")

    def start(self, *options: str, restart: bool = False, script: Path = SCRIPT, **variables: str) -> subprocess.Popen[str]:
        """Start a leader, in a process group of its own."""
        mode = ["--restart"] if restart else self._arguments
        leader = subprocess.Popen(
            [sys.executable, str(script), f"file:{self.store}", *mode, *self._options, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env={**os.environ, MARK: self._mark, "TMPDIR": str(self.tmp), **variables},
            start_new_session=True,
        )
        self._leaders.append(leader)
        return leader

    def succeed(self, *options: str, restart: bool = False, **variables: str) -> str:
        """Run a leader that must succeed; what it said on standard error."""
        code, out, said = end_of(self.start(*options, restart=restart, script=SCRIPT, **variables))
        assert code == 0, said
        assert int(out) == workflow.expected(self.step), said
        return said

    def processes(self) -> list[int]:
        """Every living process of the workflow but zombies."""
        return [pid for pid in procfs.belonging(self._mark, MARK) if procfs.start_time(pid)]

    def await_no_process(self) -> None:
        """Fail unless every process of the workflow ends soon."""
        deadline = time.monotonic() + DEADLINE
        while found := self.processes():
            for pid in found:
                assert ends(pid, deadline - time.monotonic()), f"still there: {describe(pid)}"

    def end(self) -> None:
        """End whatever is still there."""
        for leader in self._leaders:
            if leader.poll() is None:
                os.killpg(leader.pid, signal.SIGKILL)
                leader.communicate()
        self.kill_all()

    def kill_all(self) -> None:
        """Kill every process that there is, so that none can clean up after another."""
        for pid in self.processes():
            with suppress(ProcessLookupError):  # it ended meanwhile
                os.kill(pid, signal.SIGKILL)

    # What it left

    def effects(self) -> list[tuple[str, str]]:
        """Name and job id of every body that ran, in order."""
        try:
            lines = (self.folder / "effects").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [(line.split()[0], line.split()[1]) for line in lines]

    def blobs(self, prefix: str) -> list[str]:
        """The store's keys."""
        with FileJobStore(str(self.store), Config()) as store:
            return sorted(blob.key for blob in store.list(prefix))

    def path(self, key: str) -> Path:
        """The file of a blob."""
        with FileJobStore(str(self.store), Config()) as store:
            return store.path(key)

    @property
    def begun(self) -> bool:
        """Whether the store holds a workflow."""
        return any(self.path(key).exists() for key in (keys.leader(1), keys.commit(keys.ROOT, 0)))

    def settled(self) -> set[str]:
        """Ids of the jobs that ran and whose commits are in the store, or in its last checkpoint.

        A job is not among them when a body that must come before it has no commit that can be read: both run again.
        """
        found: set[str] = set()
        with FileJobStore(str(self.store), Config()) as store:
            for key in self.blobs(keys.COMMITS):
                with suppress(CorruptBlob):
                    commit, _ = commits.read(store, key)
                    found.update(entry.result.job for entry in commit.entries if entry.result.failure is None)
            graph = Graph(1, Policy(), Sizing())
            load(store, graph)
        names = {id: name for name, id in self.effects()}
        committed = found | {id for id in names if id not in graph.jobs or graph.jobs[id].ran}
        done = {name for id, name in names.items() if id in committed}
        before = workflow.before(self.step)
        return {id for id in committed if id not in names or before[names[id]] <= done}

    def check(self, since: int, settled: set[str]) -> None:
        """Fail unless the finished workflow's every job counted once and nothing is left.

        Args:
            since: How many bodies had run at the last restart.
            settled: Ids of the jobs whose commits were there then.
        """
        effects = self.effects()
        again = [f"{name} {id}" for name, id in effects[since:] if id in settled]
        assert not again, f"ran again although they had committed: {again}"
        assert {name for name, _ in effects} == set(workflow.names(self.step))
        self.await_no_process()
        assert os.listdir(self.tmp) == []
        assert os.listdir(self.store / "staging") == []
        files = Counter(key.rpartition("/")[2] for key in self.blobs(keys.FILES))
        kept = Counter(workflow.kept_files(self.step))
        assert files == kept, f"files that should not be there: {files - kept}; missing: {kept - files}"


def end_of(leader: subprocess.Popen[str], seconds: float = DEADLINE) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a leader that must end by itself."""
    out, said = leader.communicate(timeout=seconds)
    assert "Traceback" not in said, said
    return leader.returncode, out, said


def ends(pid: int, seconds: float) -> bool:
    """Whether the process ends in so many seconds."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([fd], [], [], max(0.0, seconds))[0])
    finally:
        os.close(fd)


def describe(pid: int) -> str:
    """A process as people see it."""
    try:
        return f"{pid} " + Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return f"{pid} (gone)"
