"""The batch system contract as tests: subclass, give a `batch_system` fixture, get every case.

The requests are real work for `toil_core.worker` on a file job store in a folder that the
workers must be able to reach, with the runner of `toil_core.testing.runners`.
"""

from __future__ import annotations

import io
import signal
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import count, pairwise
from pathlib import Path
from time import monotonic
from typing import Any, ClassVar
from zlib import crc32

import pytest

from toil_core.batch_system import BatchSystem, HasCapacity, Reason, Request, State, Update
from toil_core.job_store import JobStore
from toil_core.options import Config
from toil_core.plugins import open_job_store
from toil_core.testing import runners
from toil_core.testing.abilities import check_abilities
from toil_core.testing.interrupts import InterruptCases
from toil_core.testing.runners import await_death, body, kind
from toil_core.testing.turns import TurnCases
from toil_core.wire import commits, keys, work
from toil_core.wire.commits import Commit
from toil_core.wire.jobs import Kind, Ref, Result
from toil_core.wire.work import Setup, Task, Work

MIB = 1 << 20


class Run:
    """A job store, a batch system, and what they told.

    Args:
        system: The batch system.
        folder: A folder that workers reach too.
        seconds: How long to wait for anything before the test fails.
    """

    def __init__(self, system: BatchSystem, folder: Path, seconds: float) -> None:
        self.system = system
        self.folder = folder
        self.seconds = seconds
        self.locator = f"file:{folder / 'store'}"
        self.store: JobStore = open_job_store(self.locator, Config())
        self.store.prepare()
        self.updates: dict[str, list[Update]] = {}
        self.ended: list[str] = []
        self._sequence = count(1)
        self._setups = count(1)
        self.setup = self.write_setup(Setup(runner=runners.NAME))

    def write_setup(self, setup: Setup) -> str:
        """Store a setup; its key."""
        key = keys.setup(next(self._setups))
        self.store.write(key, io.BytesIO(work.encode(setup)))
        return key

    def path(self, name: str) -> str:
        """A path that workers reach too."""
        return str(self.folder / name)

    def request(
        self,
        *bodies: bytes,
        of: Kind | None = None,
        chain: bool = False,
        tasks: Sequence[Task] = (),
        environment: dict[str, str] | None = None,
        setup: str = "",
        lasting: bool = False,
    ) -> Request:
        """A request for work that was not submitted yet.

        Args:
            bodies: A task with each of these bodies, as `toil_core.testing.runners.body` makes them.
            of: The kind of the jobs.
            chain: Whether a task may go on with what it adds, in the same request.
            tasks: The tasks themselves, instead of bodies.
            environment: Variables for the worker.
            setup: The key of what `write_setup` stored; empty for the usual one.
            lasting: Whether it ends only once others have, as a service does.
        """
        of = of or kind()
        id = keys.request(1, next(self._sequence))
        made = tasks or tuple(Task(f"0.{id[2:]}x{place}", 0, data) for place, data in enumerate(bodies))
        record = Work(id, self.locator, setup or self.setup, (of,), tuple(made), chain)
        return Request(id, of.name, of.requirement, work.encode(record), environment or {}, lasting)

    def hear(self) -> None:
        """Take in what the batch system tells next."""
        for update in self.system.updates(self.seconds):
            self.updates.setdefault(update.id, []).append(update)
            if update.state is State.ENDED:
                self.ended.append(update.id)

    def ends(self, requests: Iterable[Request]) -> list[Update]:
        """The last update of each request, once all have one."""
        requests = list(requests)
        deadline = monotonic() + self.seconds
        while not all(self._ended(request.id) for request in requests):
            assert monotonic() < deadline, f"still waiting; heard {self.updates}"
            self.hear()
        return [self.updates[request.id][-1] for request in requests]

    def run(self, *requests: Request) -> list[Update]:
        """Submit the requests and wait for all of them."""
        self.system.submit(requests)
        return self.ends(requests)

    def results(self, request: Request) -> list[tuple[Result, bytes, Commit]]:
        """Every result that the request committed, with its value."""
        found = []
        for number in range(self.updates[request.id][-1].commits or 0):
            key = keys.commit(request.id, number)
            with self.store.read(key) as stream:
                data = stream.read()
            commit, start = commits.decode(data, key)
            for entry in commit.entries:
                base = start + entry.base
                value = data[base + entry.result.value[0] : base + entry.result.value[1]]
                found.append((entry.result, value, commit))
        return found

    def values(self, *requests: Request) -> list[bytes]:
        """Submit the requests; the values of their jobs, in order."""
        self.run(*requests)
        found = [each for request in requests for each in self.results(request)]
        assert all(result.failure is None for result, _, _ in found), found
        return [value for _, value, _ in found]

    def failure(self, request: Request) -> Any:
        """Submit a request of one job that fails; its failure."""
        self.run(request)
        ((result, _, _),) = self.results(request)
        assert result.failure is not None
        return result.failure

    def await_file(self, path: str) -> str:
        """What is in the file, once it is there."""
        runners.await_file(path, self.seconds)
        return Path(path).read_text()

    def _ended(self, id: str) -> bool:
        return bool(self.updates.get(id)) and self.updates[id][-1].state is State.ENDED


class BatchSystemContract(InterruptCases, TurnCases):
    """What every batch system must do. Workers must see this machine's files and processes."""

    seconds = 60.0
    """How long anything may take."""
    abilities: ClassVar[Collection[type]] = ()
    """The optional abilities that the driver is meant to have, `CanInterrupt` for example; cases of others are skipped where it has not these."""

    @pytest.fixture
    def batch_system(self) -> Iterator[BatchSystem]:
        """The batch system under test; closed by the suite."""
        raise NotImplementedError("override the batch_system fixture")

    @pytest.fixture
    def run(self, batch_system: BatchSystem, tmp_path: Path) -> Iterator[Run]:
        """The batch system and a job store."""
        with batch_system:
            yield Run(batch_system, tmp_path, self.seconds)

    def test_it_has_the_abilities_that_it_claims(self, run: Run) -> None:
        check_abilities(run.system, self.abilities)

    # Commits

    def test_the_commit_arrives_and_is_readable(self, run: Run) -> None:
        request = run.request(body("give", "value"))
        (update,) = run.run(request)
        assert (update.state, update.reason, update.commits) == (State.ENDED, None, 1)
        ((result, value, commit),) = run.results(request)
        assert (value, commit.final, commit.request) == (b"value", True, request.id)
        assert result.failure is None
        if update.commit is not None:
            assert commits.decode(update.commit, keys.commit(request.id, 0))[0] == commit

    def test_it_is_running_once_before_it_ends(self, run: Run) -> None:
        request = run.request(body("nothing"))
        run.run(request)
        states = [update.state for update in run.updates[request.id]]
        assert states.count(State.RUNNING) <= 1 and states.count(State.ENDED) == 1 and states[-1] is State.ENDED

    def test_values_are_given_to_the_task(self, run: Run) -> None:
        task = Task("0.1", 0, body("joined"), (("0.5", b"five"), ("0.4", b"four")))
        assert run.values(run.request(tasks=[task])) == [b"four,five"]

    def test_bytes_in_the_store_are_fetched(self, run: Run) -> None:
        run.store.create("commits/blob", b"..fourfive" + body("joined"))
        end = 10 + len(body("joined"))
        task = Task(
            "0.1",
            0,
            Ref("commits/blob", 10, end, crc32(body("joined"))),
            (("0.4", Ref("commits/blob", 2, 6, crc32(b"four"))), ("0.5", Ref("commits/blob", 6, 10, crc32(b"five")))),
        )
        assert run.values(run.request(tasks=[task])) == [b"four,five"]

    def test_a_corrupt_blob_fails_only_its_task_and_is_named(self, run: Run) -> None:
        run.store.create("commits/blob", b"damaged")
        tasks = [Task("0.1", 0, Ref("commits/blob", 0, 7, 1)), Task("0.2", 0, Ref("commits/gone", 0, 7, 1)), Task("0.3", 0, body("give", "good"))]
        request = run.request(tasks=tasks)
        run.run(request)
        found = {result.job: (result.failure, value) for result, value, _ in run.results(request)}
        for job, key in (("0.1", "commits/blob"), ("0.2", "commits/gone")):
            failure = found[job][0]
            assert failure is not None and key in failure.message and not failure.retry
        assert found["0.3"] == (None, b"good")

    @pytest.mark.parametrize("isolated", [True, False])
    def test_large_values_and_bodies(self, run: Run, isolated: bool) -> None:
        text = "\N{SNOWMAN}" * 200_000
        of = kind(isolated=isolated)
        given, large = run.request(body("give", text), of=of), run.request(body("large", 3 * MIB), of=of)
        one, two = run.values(given, large)
        assert one.decode() == text
        assert len(two) == 3 * MIB // 251 * 251 and two[:251] == two[-251:]

    def test_the_leaders_word_comes_first(self, run: Run) -> None:
        """Who finds its commit voided has lost: what it wrote is swept away."""
        started, go = run.path("started"), run.path("go")
        request = run.request(body("wait", started, go), body("write file", "succeed"))
        run.system.submit([request])
        run.await_file(started)
        run.store.create(keys.commit(request.id, 0), commits.encode(request.id, 0, void=Reason.NODE_LOST))
        Path(go).touch()
        (update,) = run.ends([request])
        assert (update.reason, update.commits or 0) == (Reason.CANCELLED, 0)
        run.system.close()
        assert not list(run.store.list("files/"))

    def test_files_of_a_failed_attempt_are_swept_away(self, run: Run) -> None:
        requests = [run.request(body("write file", then)) for then in ("raise", "die", "succeed")]
        run.run(*requests)
        kept = {blob.key.split("/")[1] for blob in run.store.list("files/")}
        assert kept == {requests[2].id}

    # Failures

    def test_failures_are_told_apart(self, run: Run) -> None:
        never = run.path("never")
        cases = {
            Reason.FAILED: [run.request(body("raise", "no")), run.request(body("exit", 3)), run.request(body("quit", 4))],
            Reason.KILLED: [run.request(body("die", int(signal.SIGKILL))), run.request(body("die", int(signal.SIGSEGV)))],
            Reason.OVER_TIME: [run.request(body("wait", run.path("started"), never), of=kind(wall_time=0.2))],
            Reason.OUT_OF_MEMORY: [run.request(body("allocate", 200 * MIB, never), of=kind(memory=50 * MIB))],
            Reason.OUT_OF_DISK: [run.request(body("full disk"))],
        }
        run.run(*(request for requests in cases.values() for request in requests))
        for reason, requests in cases.items():
            for request in requests:
                ((result, _, _),) = run.results(request)
                assert result.failure is not None and result.failure.reason is reason, result

    @pytest.mark.parametrize(("action", "code"), [("exit", 3), ("quit", 4)])
    def test_the_exit_code_is_told(self, run: Run, action: str, code: int) -> None:
        failure = run.failure(run.request(body(action, code)))
        assert failure.exit_code == code and str(code) in failure.message

    def test_the_signal_is_named(self, run: Run) -> None:
        failure = run.failure(run.request(body("die", int(signal.SIGUSR1))))
        assert "SIGUSR1" in failure.message and failure.exit_code == -signal.SIGUSR1

    def test_the_error_is_named(self, run: Run) -> None:
        assert run.failure(run.request(body("raise", "the \N{SNOWMAN} melted"))).message == "RuntimeError: the \N{SNOWMAN} melted"

    @pytest.mark.parametrize("action", ["print and raise", "print and die"])
    def test_the_log_of_a_failed_attempt_is_kept(self, run: Run, action: str) -> None:
        failure = run.failure(run.request(body(action, "last \N{SNOWMAN} words")))
        assert "last \N{SNOWMAN} words" in failure.tail
        with run.store.read(failure.log) as stream:
            assert "last \N{SNOWMAN} words" in stream.read().decode()

    def test_the_log_of_a_good_attempt_is_not_kept(self, run: Run) -> None:
        run.values(run.request(body("print", "hello")))
        assert not list(run.store.list("logs/"))

    def test_a_request_that_can_never_fit_is_refused(self, run: Run, batch_system: BatchSystem) -> None:
        if not isinstance(batch_system, HasCapacity):
            pytest.skip("does not know its machines")
        most = batch_system.capacity()
        too_big = {
            "cores": kind(cores=most.cores * 2 + 1),
            "memory": kind(memory=most.memory * 2 + 1),
            "disk": kind(disk=most.disk * 2 + 1),
        }
        for name, of in too_big.items():
            (update,) = run.run(run.request(body("nothing"), of=of))
            assert update.reason is Reason.TOO_BIG and name in update.message

    # Surroundings

    def test_the_environment_arrives_unharmed(self, run: Run) -> None:
        nasty = "a b'c\"d$e`f\\g*\n\N{SNOWMAN}"
        assert run.values(run.request(body("environment", "NASTY"), environment={"NASTY": nasty})) == [nasty.encode()]

    def test_the_setups_environment_arrives_too(self, run: Run) -> None:
        setup = run.write_setup(Setup(runner=runners.NAME, environment={"OF_ALL": "x y"}))
        assert run.values(run.request(body("environment", "OF_ALL"), setup=setup)) == [b"x y"]

    def test_each_attempt_has_a_folder_that_is_empty_and_removed(self, run: Run) -> None:
        values = run.values(run.request(*[body("place")] * 3), run.request(body("place")))
        for value in values:
            here, temporary, place, found, _ = value.decode().split("\n")
            assert (here, temporary, found) == (place, place, "")
        run.system.close()
        assert not any(Path(value.decode().split("\n")[0]).exists() for value in values)

    def test_each_isolated_attempt_has_its_own_process(self, run: Run) -> None:
        values = run.values(run.request(*[body("place")] * 3))
        assert len({value.decode().split("\n")[4] for value in values}) == 3

    def test_nothing_can_be_read_from_standard_input(self, run: Run) -> None:
        assert run.values(run.request(body("stdin")))[0] in (b"", b"nothing to read")

    def test_functions_of_the_main_script_are_found(self, run: Run) -> None:
        script = run.folder / "user script"
        script.write_text("def told():\n    return __name__\nif __name__ == '__main__':\n    raise SystemExit('not again')\n")
        setup = run.write_setup(Setup(runner=runners.NAME, script=str(script)))
        assert run.values(run.request(body("main", "told"), setup=setup)) == [b"__mp_main__"]

    def test_a_script_that_cannot_be_loaded_fails_the_jobs_for_good(self, run: Run) -> None:
        script = run.folder / "script.py"
        script.write_text("import no_such_module_at_all\n")
        setup = run.write_setup(Setup(runner=runners.NAME, script=str(script)))
        for _ in range(2):
            failure = run.failure(run.request(body("nothing"), setup=setup))
            assert "no_such_module_at_all" in failure.message and not failure.retry

    def test_usage_is_measured(self, run: Run) -> None:
        go = run.path("go")
        Path(go).touch()
        requests = [run.request(body("compute", 2_000_000)), run.request(body("allocate", 60 * MIB, go))]
        run.run(*requests)
        busy, hungry = (run.results(request)[0][2].entries[0].usage for request in requests)
        assert busy.wall > 0 and busy.cpu > 0.01 and busy.started > 1e9
        assert hungry.memory > 40 * MIB > busy.memory

    # Ending

    @pytest.mark.parametrize("action", ["wait", "ignore signals"])
    def test_cancel_ends_and_forgives(self, run: Run, action: str) -> None:
        started = run.path("started")
        request = run.request(body(action, started, run.path("never")), body("once", run.path("ran")))
        run.system.submit([request])
        pid = int(run.await_file(started))
        run.system.cancel([request.id])
        run.system.cancel([request.id, "1-999999"])
        (update,) = run.ends([request])
        assert update.reason is Reason.CANCELLED
        told = any(each.state is State.RUNNING for each in run.updates[request.id])
        assert told or update.node or update.commits is not None, "it ran, and nothing says so"
        await_death(pid, self.seconds)
        run.system.cancel([request.id])
        assert not Path(run.path("ran")).exists()
        run.values(run.request(body("nothing")))
        assert len([u for u in run.updates[request.id] if u.state is State.ENDED]) == 1

    @pytest.mark.parametrize("session", [False, True])
    def test_cancel_ends_what_the_job_started(self, run: Run, session: bool) -> None:
        pids = run.path("pids")
        request = run.request(body("background", pids, session, run.path("never")))
        run.system.submit([request])
        pid = int(run.await_file(pids))
        run.system.cancel([request.id])
        run.ends([request])
        await_death(pid, self.seconds)

    @pytest.mark.parametrize("session", [False, True])
    def test_nothing_outlives_its_attempt(self, run: Run, session: bool) -> None:
        pids = run.path("pids")
        run.values(run.request(body("background", pids, session, "")))
        await_death(int(Path(pids).read_text()), self.seconds)

    def test_not_even_a_daemon(self, run: Run) -> None:
        pids = run.path("pids")
        run.values(run.request(body("daemon", pids)))
        await_death(int(Path(pids).read_text()), self.seconds)

    @pytest.mark.parametrize("first", ["ignore signals", "background"])
    def test_close_leaves_no_process(self, run: Run, first: str) -> None:
        """Of what runs; the second request may do so or wait for its turn."""
        started, never = run.path("started"), run.path("never")
        work = {"ignore signals": body("ignore signals", started, never), "background": body("background", started, True, never)}
        run.system.submit([run.request(work[first]), run.request(body("wait", run.path("another"), never))])
        pid = int(run.await_file(started))
        run.system.close()
        run.system.close()
        await_death(pid, self.seconds)
        run.system.updates(None)

    # Many

    def test_an_id_counts_once(self, run: Run) -> None:
        request = run.request(body("once", run.path("ran")))
        run.system.submit([request, request])
        run.system.submit([request])
        run.ends([request])
        run.values(run.request(body("nothing")))
        assert Path(run.path("ran")).read_text() == "x"
        assert len([u for u in run.updates[request.id] if u.state is State.ENDED]) == 1

    def test_many_at_once(self, run: Run) -> None:
        requests = [run.request(body("give", str(number))) for number in range(60)]
        assert run.values(*requests) == [str(number).encode() for number in range(60)]

    def test_updates_returns_when_the_time_is_over(self, run: Run) -> None:
        assert run.system.updates(0) == []
        assert run.system.updates(0.01) == []

    @pytest.mark.parametrize("isolated", [True, False])
    def test_a_batch_of_tasks(self, run: Run, isolated: bool) -> None:
        request = run.request(*(body("give", f"\N{SNOWMAN}{number}") for number in range(40)), of=kind(isolated=isolated))
        assert sorted(run.values(request)) == sorted(f"\N{SNOWMAN}{number}".encode() for number in range(40))

    @pytest.mark.parametrize("isolated", [True, False])
    @pytest.mark.parametrize("bad", [["raise", "no"], ["exit", 5], ["quit", 5], ["die", 9]])
    def test_one_bad_task_does_not_spoil_the_rest(self, run: Run, isolated: bool, bad: list[Any]) -> None:
        bodies = [body("give", "a"), body("give", "b"), body(*bad), body("give", "c"), body("print", "d")]
        request = run.request(*bodies, of=kind(isolated=isolated))
        run.run(request)
        found = {result.job[-1]: (result.failure is None, value) for result, value, _ in run.results(request)}
        assert found == {"0": (True, b"a"), "1": (True, b"b"), "2": (False, b""), "3": (True, b"c"), "4": (True, b"")}

    @pytest.mark.parametrize("isolated", [True, False])
    def test_a_task_gets_the_value_of_the_one_before_it(self, run: Run, isolated: bool) -> None:
        tasks = [Task("0.1", 0, body("give", "first")), Task("0.2", 0, body("joined"), (("0.0", b"zeroth"),), after=0)]
        request = run.request(tasks=tasks, of=kind(isolated=isolated))
        assert run.values(request) == [b"first", b"zeroth,first"]

    @pytest.mark.parametrize("isolated", [True, False])
    def test_a_task_is_left_out_when_the_one_before_it_fails(self, run: Run, isolated: bool) -> None:
        tasks = [Task("0.1", 0, body("raise", "no")), Task("0.2", 0, body("once", run.path("ran")), after=0)]
        request = run.request(tasks=tasks, of=kind(isolated=isolated))
        (update,) = run.run(request)
        assert [result.job for result, _, _ in run.results(request)] == ["0.1"]
        assert update.reason is None and not Path(run.path("ran")).exists()

    @pytest.mark.parametrize("isolated", [True, False])
    def test_a_chain_goes_on_in_the_same_request(self, run: Run, isolated: bool) -> None:
        request = run.request(body("chain", 30), of=kind(isolated=isolated), chain=True)
        run.run(request)
        found = run.results(request)
        assert [len(value) for _, value, _ in found] == list(range(1, 32))
        for (result, _, commit), (following, _, later) in pairwise(found):
            assert result.children == (following.job,)
            assert commit is later or commit.number == later.number or commit.chained == following.job
        assert found[-1][2].final

    def test_a_chain_only_when_it_was_allowed(self, run: Run) -> None:
        request = run.request(body("chain", 3))
        run.run(request)
        assert len(run.results(request)) == 1
