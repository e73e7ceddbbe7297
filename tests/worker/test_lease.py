"""Workers that no batch system ends: they end when their leader is gone, and not before."""

from __future__ import annotations

import itertools
import os
import select
import subprocess
import sys
import threading
from io import BytesIO
from pathlib import Path

import pytest

from toil_core.drivers.file import FileJobStore
from toil_core.drivers.memory import MemoryJobStore
from toil_core.errors import NoSuchKey
from toil_core.job_store import JobStore
from toil_core.leader.watch_options import WatchOptions
from toil_core.options import Config
from toil_core.testing import runners
from toil_core.testing.runners import await_file, body, kind
from toil_core.wire import keys, work
from toil_core.wire.work import Setup, Task, Work
from toil_core.worker import lease
from toil_core.worker.lease import LeaderWatch

_names = (f"lease-{number}" for number in itertools.count())
OFTEN = Config([WatchOptions(kill_check_interval=0.05, leader_lease=0.0)])


@pytest.fixture
def store() -> JobStore:
    made = MemoryJobStore(next(_names), Config())
    made.prepare()
    return made


def beat(store: JobStore, number: int) -> None:
    store.write(keys.lease(3), BytesIO(str(number).encode()))


def test_a_leader_is_gone_when_it_was_silent_for_too_long(store: JobStore) -> None:
    watch = LeaderWatch(store, 3, keys.setup(3))
    beat(store, 1)
    assert watch.gone(10.0, 100.0) == "" == watch.gone(10.0, 109.0)
    beat(store, 2)
    assert watch.gone(10.0, 111.0) == "" == watch.gone(10.0, 120.0)
    assert watch.gone(0.0, 999.0) == "", "0 is for any time"
    assert watch.gone(10.0, 121.0) == "nothing was heard from the leader for 10 s"


def test_a_leader_that_shows_no_sign_at_all_is_not_judged(store: JobStore) -> None:
    store.create(keys.setup(3), b"{}")
    watch = LeaderWatch(store, 3, keys.setup(3))
    assert watch.gone(10.0, 100.0) == "" == watch.gone(10.0, 1e9)


def test_a_store_that_lost_what_it_had_is_no_silent_leader(store: JobStore) -> None:
    with pytest.raises(NoSuchKey):
        LeaderWatch(store, 3, keys.setup(3)).gone(10.0, 100.0)


def test_a_leader_is_gone_when_another_took_over_or_it_was_killed(store: JobStore) -> None:
    store.create(keys.leader(3), b"{}")
    store.create(keys.kill(2), b"{}")
    store.create(keys.setup(3), b"{}")
    watch = LeaderWatch(store, 3, keys.setup(3))
    assert watch.gone(10.0, 0.0) == ""
    store.create(keys.kill(3), b"{}")
    assert watch.gone(10.0, 0.0) == "the run was ended by `toil kill`"
    store.create(keys.leader(4), b"{}")
    assert watch.gone(10.0, 0.0) == "another leader has taken over"


def written(folder: Path, *, options: Config | None = None) -> tuple[JobStore, Work]:
    """A store in which the work of epoch 1 lies: a task that says it runs and then lasts for ever."""
    store = FileJobStore(str(folder / "s"), Config())
    store.prepare()
    setup = Setup(runner=runners.NAME, options=options.as_dict() if options else {})
    store.write(keys.setup(1), BytesIO(work.encode(setup)))
    task = Task("0.1", 0, body("wait", str(folder / "started"), str(folder / "never")))
    return store, Work("1-1", f"file:{folder}/s", keys.setup(1), (kind(),), (task,))


def test_waiting_goes_on_until_the_work_has_ended(tmp_path: Path) -> None:
    _, asked = written(tmp_path)
    ended = threading.Event()
    ended.set()
    lease.wait(ended, asked, OFTEN, lambda: pytest.fail("it was ended"))
    ended.clear()
    timer = threading.Timer(0.3, ended.set)
    timer.start()
    lease.wait(ended, asked, OFTEN, lambda: pytest.fail("it was ended"))
    timer.join()


def test_a_store_that_is_away_tells_nothing_and_one_that_is_back_does(tmp_path: Path) -> None:
    store, asked = written(tmp_path)
    store.create(keys.kill(1), b"{}")
    away = tmp_path / "away"
    (tmp_path / "s").rename(away)
    ended = threading.Event()
    timer = threading.Timer(0.3, lambda: away.rename(tmp_path / "s"))
    timer.start()
    lease.wait(ended, asked, OFTEN, ended.set)
    assert (tmp_path / "s").exists()
    timer.join()


def test_a_store_that_stays_away_ends_the_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = Config([WatchOptions(kill_check_interval=0.05, leader_lease=0.2)])
    store, asked = written(tmp_path, options=options)
    store.destroy()
    ended = threading.Event()
    late = threading.Timer(60, ended.set)
    late.start()
    lease.wait(ended, asked, options, ended.set)
    late.cancel()
    assert "s was not there for 0 s; this worker ends" in capsys.readouterr().err


def test_a_store_that_is_removed_while_it_is_watched_ends_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = Config([WatchOptions(kill_check_interval=0.05, leader_lease=0.2)])
    store, asked = written(tmp_path, options=options)
    looks = []

    class Watched(LeaderWatch):
        """Has the store removed after the first look."""

        def gone(self, lease: float, now: float) -> str:
            looks.append(super().gone(lease, now))
            store.destroy()
            return looks[-1]

    monkeypatch.setattr(lease, "LeaderWatch", Watched)
    ended = threading.Event()
    late = threading.Timer(60, ended.set)
    late.start()
    lease.wait(ended, asked, options, ended.set)
    late.cancel()
    assert looks == [""], "it was open before it was removed, and told nothing"
    assert "s was not there for 0 s; this worker ends" in capsys.readouterr().err


def test_a_worker_of_a_run_that_was_killed_ends_with_its_job(tmp_path: Path) -> None:
    store, asked = written(tmp_path, options=OFTEN)
    store.write("work", BytesIO(work.encode(asked)))
    variables = {**os.environ, "TMPDIR": str(tmp_path)}
    worker = subprocess.Popen([sys.executable, "-m", "toil_core.worker", asked.store, "work"], env=variables, stderr=subprocess.PIPE, text=True)
    await_file(tmp_path / "started")
    job = os.pidfd_open(int((tmp_path / "started").read_text()))
    store.create(keys.kill(1), b"{}")
    _, told = worker.communicate(timeout=60)
    assert select.select([job], [], [], 60)[0], "the job still runs"
    os.close(job)
    assert worker.returncode == 1
    assert "the run was ended by `toil kill`; this worker ends" in told and "request 1-1 ended: cancelled" in told
