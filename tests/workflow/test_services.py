"""Services with real processes: what their users see, what becomes of them, what is left of them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from toil_core import Job, Service, job, run, service
from toil_core.batch_system import BatchSystem
from toil_core.errors import GraphError, WorkflowFailed
from toil_core.testing.runners import await_death, await_file

SMALL = {"default_memory": "64 MiB", "default_disk": "1 MiB", "default_cores": 0.1, "retry_backoff_seconds": 0}


def note(folder: Path, text: str) -> None:
    with (folder / "notes").open("a") as file:
        file.write(f"{text}\n")


def notes(folder: Path) -> list[str]:
    return (folder / "notes").read_text().split()


class Shouting(Service[tuple[str, int]]):
    """Answers what it is sent in capitals."""

    def __init__(self, folder: Path) -> None:
        super().__init__(cores=0.1)
        self.folder = folder

    def start(self, job: Job[object]) -> tuple[str, int]:
        assert job.tmp == Path.cwd()
        note(self.folder, "start")
        self.server = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.answer, daemon=True).start()
        address: tuple[str, int] = self.server.getsockname()
        return address

    def answer(self) -> None:
        while True:
            client, _ = self.server.accept()
            with client:
                client.sendall(client.recv(100).upper())

    def stop(self) -> None:
        self.server.close()
        note(self.folder, "stop")


@job
def ask(address: tuple[str, int], text: str) -> str:
    with socket.create_connection(address) as client:
        client.sendall(text.encode())
        return client.recv(100).decode()


@job
def talk(job: Job[object], folder: Path) -> list[str]:
    address = job.add_service(Shouting(folder))
    answers = [job.add_child(ask(address, text)) for text in "abc"]
    return answers + [job.add_follow_on(ask(address, "d"))]  # type: ignore[return-value]


def store(folder: Path) -> str:
    return f"file:{folder / 'store'}"


def test_users_talk_to_a_service(tmp_path: Path) -> None:
    assert run(talk(tmp_path), job_store=store(tmp_path), **SMALL) == ["A", "B", "C", "D"]
    assert notes(tmp_path) == ["start", "stop"]


@service(cores=0.1)
def layer(job: Job[object], folder: Path, name: str, below: str = "") -> Iterator[str]:
    note(folder, f"{name}-up")
    try:
        yield f"{below}{name}"
    finally:
        note(folder, f"{name}-down")


@job
def see(folder: Path, *given: str) -> str:
    note(folder, "user")
    return " ".join(given)


def test_functions_as_services_and_services_of_services(tmp_path: Path) -> None:
    root = Job[None](name="root")
    one = layer(tmp_path, "one")
    first = root.add_service(one)
    second = root.add_service(layer(tmp_path, "two", first), parent=one)
    third = root.add_service(layer(tmp_path, "three", second), parent=second)
    root.add_child(see(tmp_path, first, second, third))
    assert run(root, job_store=store(tmp_path), **SMALL) is None
    assert notes(tmp_path) == ["one-up", "two-up", "three-up", "user", "three-down", "two-down", "one-down"]


class Frail(Service[int]):
    """Stops serving when a file is there, the first time."""

    def __init__(self, folder: Path) -> None:
        super().__init__(cores=0.1)
        self.folder = folder

    def start(self, job: Job[object]) -> int:
        starts = self.folder / "starts"
        starts.write_text(starts.read_text() + "x" if starts.exists() else "x")
        if len(starts.read_text()) > 1:
            (self.folder / "again").touch()
        return len(starts.read_text())

    def check(self) -> bool:
        return (self.folder / "starts").read_text() != "x" or not (self.folder / "break").exists()


@job
def break_it(folder: Path, number: int) -> int:
    (folder / "break").touch()
    await_file(folder / "again")
    return number


@job
def use(number: int) -> int:
    return number


@job
def frail(job: Job[object], folder: Path) -> list[int]:
    number = job.add_service(Frail(folder))
    first = job.add_child(break_it(folder, number))
    return [first, first.add_follow_on(use(number))]  # type: ignore[list-item]


def test_a_service_that_fails_its_check_is_started_anew(tmp_path: Path) -> None:
    assert run(frail(tmp_path), job_store=store(tmp_path), service_check_interval=0.01, **SMALL) == [1, 2]


@service(cores=0.1)
def broken() -> Iterator[int]:
    raise OSError("no such port")
    yield 1


@service(cores=0.1)
def silent() -> Iterator[int]:
    yield from ()


@service(cores=0.1)
def crashing() -> Iterator[int]:
    yield 1
    raise ValueError("nobody cleans up")


@job
def using(job: Job[object], which: str) -> int:
    made = {"broken": broken, "silent": silent, "crashing": crashing}[which]()
    return job.add_child(use(job.add_service(made)))  # type: ignore[return-value]


@pytest.mark.parametrize(("which", "why"), [("broken", "no such port"), ("silent", "ended without a yield")])
def test_a_service_that_cannot_start_fails_the_workflow(tmp_path: Path, which: str, why: str) -> None:
    with pytest.raises(WorkflowFailed, match=why):
        run(using(which), job_store=store(tmp_path), retry_count=1, **SMALL)


def test_what_goes_wrong_while_it_stops_does_not(tmp_path: Path) -> None:
    assert run(using("crashing"), job_store=store(tmp_path), **SMALL) == 1


@service(cores=0.1)
def deaf(folder: Path) -> Iterator[int]:
    try:
        yield os.getpid()
    finally:
        await_file(folder / "never")


@job
def with_deaf(job: Job[object], folder: Path) -> int:
    return job.add_child(use(job.add_service(deaf(folder))))  # type: ignore[return-value]


def test_a_service_that_does_not_stop_is_killed_and_that_is_told(tmp_path: Path) -> None:
    events = tmp_path / "events"
    pid = run(with_deaf(tmp_path), job_store=store(tmp_path), service_grace=0.1, events=str(events), **SMALL)
    await_death(pid, 60)
    assert "the service did not stop in good order: did not end in the 0.1 s that it was given for that" in events.read_text()


@service(cores=1)
def greedy() -> Iterator[int]:
    yield 1


@job(cores=1)
def with_greedy(job: Job[object]) -> int:
    return job.add_child(use.requiring(cores=0.5)(job.add_service(greedy())))  # type: ignore[return-value]


def test_a_deadlock_is_found_and_explained(tmp_path: Path) -> None:
    with pytest.raises(WorkflowFailed) as raised:
        run(with_greedy(), job_store=store(tmp_path), local_cores=1, deadlock_wait=0.05, **SMALL)
    text = str(raised.value)
    for part in ("only services run", "greedy 1-1.0", "a service of with_greedy 0.0, has 1 core", "use 1-1.0", "0.5 cores; there are 0", "--restart"):
        assert part in text
    assert run(None, job_store=store(tmp_path), restart=True, local_cores=2) == 1  # type: ignore[arg-type]


@job(memory="32 MiB", cores=2)
def whole_machine(number: int) -> int:
    return number


@job(cores=1)
def with_users(job: Job[object]) -> int:
    number = job.add_service(greedy())
    users = [job.add_child(use.requiring(cores=0.5)(number)) for _ in range(3)]
    return users[-1]  # type: ignore[return-value]


@job
def among_large_ones(job: Job[object], count: int) -> int:
    """Large jobs of as many kinds, none of which has room beside the service."""
    users = job.add_child(with_users())
    for number in range(count):
        job.add_child(whole_machine.requiring(memory=(32 << 20) + number)(number))
    return users  # type: ignore[return-value]


def test_large_jobs_however_many_do_not_keep_users_of_a_service_from_their_turn(tmp_path: Path) -> None:
    assert run(among_large_ones(3 * BatchSystem.backlog), job_store=store(tmp_path), local_cores=2, **SMALL) == 1


def test_too_many_services_are_refused(tmp_path: Path) -> None:
    root = Job[None](name="root")
    for name in "ab":
        root.add_service(layer(tmp_path, name))
    root.add_child(see(tmp_path))
    with pytest.raises(WorkflowFailed, match="job 'root' has 2 services that run at the same time; --max-service-jobs allows 1"):
        run(root, job_store=store(tmp_path), max_service_jobs=1, **SMALL)


PROGRAM = """
import sys
from pathlib import Path
from tests.workflow.test_services import endless, store, SMALL
from toil_core import run
folder = Path(sys.argv[1])
print(run(endless(folder), job_store=store(folder), clean="never", restart=len(sys.argv) > 2, **SMALL))
"""


@service(cores=0.1)
def lasting(folder: Path) -> Iterator[int]:
    try:
        yield os.getpid()
    finally:
        note(folder, "stopped")


@job
def wait_for(folder: Path, pid: int) -> int:
    scratch = folder / "scratch"
    scratch.write_text(f"{pid} {os.getpid()}")
    scratch.rename(folder / "running")
    await_file(folder / "go")
    return pid


@job
def endless(job: Job[object], folder: Path) -> int:
    return job.add_child(wait_for(folder, job.add_service(lasting(folder))))  # type: ignore[return-value]


def program(folder: Path, *more: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "TOIL_DISABLE_PROGRESS": "true"}
    return subprocess.Popen([sys.executable, "-c", PROGRAM, str(folder), *more], env=environment, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_workflow_stops_its_services_in_good_order(tmp_path: Path, number: int) -> None:
    leader = program(tmp_path)
    await_file(tmp_path / "running")
    leader.send_signal(number)
    leader.communicate(timeout=200)
    assert leader.returncode not in (0, -number)
    assert notes(tmp_path) == ["stopped"]
    check_restart(tmp_path)


def test_a_killed_leader_leaves_no_service(tmp_path: Path) -> None:
    leader = program(tmp_path)
    await_file(tmp_path / "running")
    leader.kill()
    leader.communicate(timeout=200)
    for pid in (tmp_path / "running").read_text().split():  # a user that lived on could end well with what it was given
        await_death(int(pid), 60)
    assert not (tmp_path / "notes").exists()
    check_restart(tmp_path)


def check_restart(folder: Path) -> None:
    """The service starts anew, and the user that had not ended is given what it is now."""
    former = (folder / "running").read_text().split()[0]
    (folder / "go").touch()
    text, _ = program(folder, "restart").communicate(timeout=200)
    assert int(text) != int(former)
    assert notes(folder)[-1] == "stopped"


# What is refused


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    root, made = Job[None](name="root"), layer(tmp_path, "one")
    with pytest.raises(GraphError, match="is no service"):
        root.add_service(see(tmp_path))  # type: ignore[arg-type]
    with pytest.raises(GraphError, match="'layer' is a service; add it with add_service"):
        root.add_child(made)
    with pytest.raises(GraphError, match="is no service of <job 'root'>"):
        root.add_service(made, parent=layer(tmp_path, "other"))
    with pytest.raises(GraphError, match="nothing can be added to it"):
        made.add_child(see(tmp_path))
    with pytest.raises(GraphError, match="no generator function"):
        service(lambda: 1)  # type: ignore[arg-type, return-value]
    root.add_service(made)
    with pytest.raises(GraphError, match="was added already"):
        root.add_service(made)
    with pytest.raises(GraphError, match="a workflow starts with a job"):
        run(layer(tmp_path, "top"), job_store=store(tmp_path))
    with pytest.raises(GraphError, match="cannot be promised"):
        service(layer.function, cores=see(tmp_path))  # type: ignore[call-overload]


def test_only_those_beside_it_are_given_what_a_service_gives(tmp_path: Path) -> None:
    root, owner = Job[None](name="root"), Job[None](name="owner")
    root.add_child(owner)
    given = owner.add_service(layer(tmp_path, "one"))
    root.add_child(see(tmp_path, given))
    with pytest.raises(GraphError, match="'see' is given what the service 'layer' of job 'owner' returns, but does not run beside it"):
        run(root, job_store=store(tmp_path))
    root = Job[None](name="root")
    given = root.add_service(layer(tmp_path, "one"))
    root.add_service(layer(tmp_path, "two", given))
    with pytest.raises(GraphError, match="add it with parent='layer'"):
        run(root, job_store=store(tmp_path))


def test_a_circle_through_a_service(tmp_path: Path) -> None:
    root, user = Job[None](name="root"), see(tmp_path)
    root.add_service(layer(tmp_path, "one", user.rv()))
    root.add_child(user)
    with pytest.raises(GraphError, match="wait for one another"):
        run(root, job_store=store(tmp_path))
