"""The worker host when things go wrong around it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from toil_core.batch_system import Reason
from toil_core.drivers.file import FileJobStore
from toil_core.drivers.single_machine import SingleMachine
from toil_core.errors import StoreFull, Transient
from toil_core.leader.local import LocalJobs
from toil_core.leader.options import EngineOptions
from toil_core.options import Config
from toil_core.testing import runners
from toil_core.testing.batch_system import Run
from toil_core.testing.runners import await_death, body, kind
from toil_core.wire import keys
from toil_core.wire.work import Setup
from toil_core.worker import procfs, stores
from toil_core.worker.folders import RunFolder

SECONDS = 60.0


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def run(root: Path, tmp_path: Path) -> Iterator[Run]:
    with SingleMachine(Config([EngineOptions(work_dir=str(root))])) as system:
        yield Run(system, tmp_path, SECONDS)
    assert not list(root.iterdir())


def setup_with(run: Run, **options: Any) -> str:
    return run.write_setup(Setup(runner=runners.NAME, options=Config([EngineOptions(**options)]).as_dict()))


def fork_servers(root: Path) -> list[int]:
    (folder,) = root.iterdir()
    found = set(procfs.belonging(str(folder)))
    return [pid for pid in procfs.children(os.getpid()) if pid in found and b"forkserver" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])


def test_when_the_fork_server_is_killed_its_requests_are_lost_and_the_next_ones_run(run: Run, root: Path) -> None:
    pids, never = run.path("pids"), run.path("never")
    requests = [run.request(body("background", pids, True, never)), run.request(body("wait", run.path("started"), never))]
    run.system.submit(requests)
    background, waiting = int(run.await_file(pids)), int(run.await_file(run.path("started")))
    (server,) = fork_servers(root)
    os.kill(server, signal.SIGKILL)
    assert {update.reason for update in run.ends(requests)} == {Reason.NODE_LOST}
    await_death(background, SECONDS)
    await_death(waiting, SECONDS)
    assert run.values(run.request(body("give", "again"))) == [b"again"]


def test_what_was_done_before_the_fork_server_was_killed_is_committed(run: Run, root: Path) -> None:
    started, never = run.path("started"), run.path("never")
    request = run.request(body("give", "kept"), body("wait", started, never))
    run.system.submit([request])
    run.await_file(started)
    (server,) = fork_servers(root)
    os.kill(server, signal.SIGKILL)
    (update,) = run.ends([request])
    assert update.reason is Reason.NODE_LOST
    assert [value for _, value, _ in run.results(request)] == [b"kept"]


def test_when_a_slot_is_killed_only_its_request_is_lost(run: Run, root: Path) -> None:
    started, go = [run.path("started0"), run.path("started1")], run.path("go")
    requests = [run.request(body("wait", path, go)) for path in started]
    run.system.submit(requests)
    first, second = (int(run.await_file(path)) for path in started)
    os.kill(parent(first), signal.SIGKILL)
    (update,) = run.ends(requests[:1])
    assert update.reason is Reason.NODE_LOST
    await_death(first, SECONDS)
    Path(go).touch()
    assert run.ends(requests[1:])[0].reason is None
    assert second
    assert run.values(run.request(body("give", "again"))) == [b"again"]


LEADER = """
import sys
from pathlib import Path
from toil_core.drivers.single_machine import SingleMachine
from toil_core.leader.options import EngineOptions
from toil_core.options import Config
from toil_core.testing.batch_system import Run
from toil_core.testing.runners import body, await_file
folder = Path(sys.argv[1])
run = Run(SingleMachine(Config([EngineOptions(work_dir=str(folder / "work"))])), folder, 60.0)
run.system.submit([run.request(body("background", run.path("pids"), True, run.path("never"))), run.request(body("ignore signals", run.path("started"), run.path("never")))])
run.hear()
await_file(run.path("never"))
"""


@pytest.fixture
def leader(root: Path, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", LEADER, str(tmp_path)]) as process:
        yield process
        process.kill()


def attempts_of(folder: Path) -> list[int]:
    for name in ("pids", "started"):
        runners.await_file(folder / name)
    return [int((folder / name).read_text()) for name in ("pids", "started")]


def test_when_the_leader_is_killed_nothing_is_left(root: Path, tmp_path: Path, leader: subprocess.Popen[bytes]) -> None:
    attempts = attempts_of(tmp_path)
    servers = procfs.children(leader.pid)
    leader.kill()
    leader.wait()
    for pid in (*attempts, *servers):
        await_death(pid, SECONDS)
    RunFolder(root).remove()
    assert not list(root.iterdir())


def test_what_outlives_leader_and_fork_server_is_ended_by_the_next_host(
    root: Path, tmp_path: Path, run: Run, leader: subprocess.Popen[bytes]
) -> None:
    attempts = attempts_of(tmp_path)
    for pid in (*procfs.children(leader.pid), leader.pid):
        os.kill(pid, signal.SIGKILL)
    leader.wait()
    assert run.values(run.request(body("nothing"))) == [b""]
    for pid in attempts:
        await_death(pid, SECONDS)
    assert len(list(root.iterdir())) == 1


@pytest.mark.parametrize("batch_system", [SingleMachine, LocalJobs])
def test_what_a_killed_leader_left_is_swept_also_when_nothing_is_left_to_run(root: Path, batch_system: type[SingleMachine | LocalJobs]) -> None:
    program = "import os, sys; from pathlib import Path; from toil_core.worker.folders import RunFolder; RunFolder(Path(sys.argv[1])); os._exit(9)"
    assert subprocess.run([sys.executable, "-c", program, str(root)], check=False).returncode == 9
    (left,) = root.iterdir()
    assert os.listdir(left) == ["lock"]
    batch_system(Config([EngineOptions(work_dir=str(root))])).close()
    assert not list(root.iterdir())


class Troubled(FileJobStore):
    """A file job store that fails for a while."""

    left = 0
    error: Exception = Transient("the network is down")
    quick = True

    def create(self, key: str, data: bytes) -> None:
        if key.startswith("commits/") and Troubled.left:
            Troubled.left -= 1
            raise Troubled.error
        super().create(key, data)


@pytest.fixture
def troubled(monkeypatch: pytest.MonkeyPatch) -> type[Troubled]:
    def opening(locator: str, config: Config) -> FileJobStore:
        return Troubled(locator.removeprefix("file:"), config)

    monkeypatch.setattr(stores, "open_job_store", opening)
    monkeypatch.setattr(Troubled, "error", Transient("the network is down"))
    monkeypatch.setattr(Troubled, "left", 0)
    return Troubled


@pytest.mark.parametrize("durability", ["process", "power"])
def test_a_store_that_fails_for_a_while_is_asked_again(run: Run, troubled: type[Troubled], durability: str) -> None:
    troubled.left = 3
    setup = setup_with(run, durability=durability)
    assert run.values(run.request(body("give", "kept"), setup=setup)) == [b"kept"]
    assert troubled.left == 0


def test_a_full_store_is_told_of(run: Run, troubled: type[Troubled]) -> None:
    troubled.left, troubled.error = 1, StoreFull("commits/1-1/000000", "no space left on device")
    (update,) = run.run(run.request(body("write file", "succeed")))
    assert update.reason is Reason.FAILED and "StoreFull" in update.message and "no space left" in update.message
    assert run.values(run.request(body("nothing"))) == [b""]


def test_power_syncs_before_it_tells(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = threading.Event()
    go = threading.Event()

    def sync(self: FileJobStore) -> None:
        synced.set()
        assert go.wait(SECONDS)

    monkeypatch.setattr(FileJobStore, "sync", sync)
    requests = [run.request(body("give", str(n)), setup=setup_with(run, durability="power")) for n in range(1)]
    run.system.submit(requests)
    assert synced.wait(SECONDS)
    assert run.store.stat(f"commits/{requests[0].id}/000000").size
    assert all(update.commit is None for update in run.system.updates(0))
    go.set()
    assert run.ends(requests)[0].commits == 1


def test_logs_of_all_jobs_are_kept_when_asked_for(run: Run) -> None:
    setup = setup_with(run, write_logs_from_all_jobs=True)
    for isolated in (True, False):
        request = run.request(body("print", "good words"), body("nothing"), of=kind(isolated=isolated), setup=setup)
        run.run(request)
        printed, silent = sorted((result for result, _, _ in run.results(request)), key=lambda result: result.job)
        with run.store.read(printed.log) as stream:
            assert stream.read() == b"good words\n"
        assert silent.log == ""


def test_a_long_log_keeps_its_head_and_its_tail(run: Run) -> None:
    text = "head " + "x" * 5000 + " tail"
    failure = run.failure(run.request(body("print and raise", text), setup=setup_with(run, max_log_file_size=1000)))
    with run.store.read(failure.log) as stream:
        log = stream.read().decode()
    assert log.startswith("head x") and log.rstrip().endswith("RuntimeError: after printing") and "left out" in log
    assert len(log) < 1200


def test_a_job_store_that_cannot_be_opened_fails_the_request(run: Run, tmp_path: Path) -> None:
    request = run.request(body("nothing"), setup="setup/missing")
    (update,) = run.run(request)
    assert update.reason is Reason.FAILED and "setup/missing" in update.message


def test_threads_are_as_many_as_cores_unless_the_user_says(run: Run) -> None:
    given = body("environment", "OMP_NUM_THREADS")
    assert run.values(run.request(given, of=kind(cores=0.1)), run.request(given, of=kind(cores=2))) == [b"1", b"2"]
    setup = run.write_setup(Setup(runner=runners.NAME, environment={"OMP_NUM_THREADS": "7"}))
    assert run.values(run.request(given, of=kind(cores=2), setup=setup)) == [b"7"]


@pytest.mark.parametrize("action", ["give", "raise"])
def test_the_worker_command(run: Run, action: str, tmp_path: Path, root: Path) -> None:
    request = run.request(body(action, "value"))
    run.store.create("work/one", request.work)
    command = [sys.executable, "-m", "toil_core.worker", run.locator, "work/one"]
    ended = subprocess.run(command, check=False, env={**os.environ, "TMPDIR": str(root)}, timeout=SECONDS)
    assert ended.returncode == 0
    assert run.store.stat(f"commits/{request.id}/000000").size
    assert subprocess.run(command[:-1], check=False, capture_output=True, timeout=SECONDS).returncode == 2


def test_the_worker_command_fails_when_the_leader_was_first(run: Run, root: Path) -> None:
    from toil_core.wire import commits

    request = run.request(body("nothing"))
    run.store.create("work/one", request.work)
    run.store.create(f"commits/{request.id}/000000", commits.encode(request.id, 0, void=Reason.NODE_LOST))
    command = [sys.executable, "-m", "toil_core.worker", run.locator, "work/one"]
    ended = subprocess.run(command, check=False, env={**os.environ, "TMPDIR": str(root)}, capture_output=True, text=True, timeout=SECONDS)
    assert ended.returncode == 1 and "given this request up" in ended.stderr


def test_a_request_that_is_delivered_twice_counts_once_and_keeps_its_files(run: Run, root: Path) -> None:
    request = run.request(body("write file", "succeed"))
    run.run(request)
    (file,) = (blob.key for blob in run.store.list("files/"))
    run.store.create("work/one", request.work)
    command = [sys.executable, "-m", "toil_core.worker", run.locator, "work/one"]
    ended = subprocess.run(command, check=False, env={**os.environ, "TMPDIR": str(root)}, capture_output=True, text=True, timeout=SECONDS)
    assert ended.returncode == 1 and "ran elsewhere too" in ended.stderr
    assert [blob.key for blob in run.store.list("files/")] == [file]


@pytest.mark.parametrize("isolated", [True, False])
def test_two_executions_of_one_request_keep_a_log_each(isolated: bool, run: Run, root: Path) -> None:
    request = run.request(body("print and raise", "words"), of=kind(isolated=isolated))
    counted = run.failure(request).log
    run.store.create("work/one", request.work)
    command = [sys.executable, "-m", "toil_core.worker", run.locator, "work/one"]
    ended = subprocess.run(command, check=False, env={**os.environ, "TMPDIR": str(root)}, capture_output=True, text=True, timeout=SECONDS)
    assert ended.returncode == 1 and "ran elsewhere too" in ended.stderr
    kept = [blob.key for blob in run.store.list("logs/")]
    assert counted in kept and len(kept) == 2
    assert {keys.log_parts(key)[:2] for key in kept} == {keys.log_parts(counted)[:2]}


def test_an_unusable_folder_is_a_clear_error(tmp_path: Path) -> None:
    from toil_core.errors import UsageError

    with pytest.raises(UsageError, match="--work-dir"):
        SingleMachine(Config([EngineOptions(work_dir=str(tmp_path / "missing"))]))


def test_waiting_requests_are_cancelled_too(run: Run) -> None:
    started, never = run.path("started"), run.path("never")
    system = run.system
    assert isinstance(system, SingleMachine)
    cores = system.capacity().cores
    first, second = run.request(body("wait", started, never), of=kind(cores=cores)), run.request(body("nothing"), of=kind(cores=cores))
    system.submit([first, second])
    run.await_file(started)
    system.cancel([second.id])
    assert run.ends([second])[0].reason is Reason.CANCELLED
    system.cancel([first.id])
    assert run.ends([first])[0].reason is Reason.CANCELLED
