"""Why a job does not run: each cause on its own, and chains of them down to the root."""

from __future__ import annotations

import time
from io import BytesIO
from pathlib import Path

import msgspec
import pytest

from tests.monitor import stores
from tests.monitor.test_glance import Run
from toil_core.batch_system import Reason, Requirement, Usage
from toil_core.errors import NoSuchJobStore, UsageError
from toil_core.job_store import JobStore
from toil_core.leader import begin, page
from toil_core.leader.options import EngineOptions
from toil_core.monitor.causes import Cause
from toil_core.monitor.glance import glance
from toil_core.monitor.why import why_job, why_run
from toil_core.options import Config
from toil_core.wire import commits, keys, work
from toil_core.wire.jobs import Failure, Kind, NewJob, Result
from toil_core.wire.work import Setup


def workflow(folder: Path, *jobs: NewJob, kinds: tuple[Kind, ...] = (Kind("step", Requirement()),)) -> JobStore:
    """A store in which a workflow of these jobs was begun."""
    store = stores.opened(folder)
    store.prepare()
    initial = Result("0", kinds=kinds, jobs=jobs, children=(jobs[0].id,))
    begin(store, str(folder), commits.encode("0", 0, [(msgspec.msgpack.encode(initial), b"", Usage())]), Config(), "steps")
    return store


def job(id: str, needs: tuple[str, ...] = (), children: tuple[str, ...] = (), follow_ons: tuple[str, ...] = (), kind: int = 0) -> NewJob:
    return NewJob(id, kind, (0, 0), 0, needs, children, follow_ons)


def commit(store: JobStore, request: str, result: Result) -> None:
    store.create(keys.commit(request, 0), commits.encode(request, 0, [(msgspec.msgpack.encode(result), b"", Usage(wall=2.0))]))


def told(store: JobStore, **changes: object) -> None:
    """The leader, which is this process, told of itself."""
    stores.led(store)
    nothing = page.Page(1, 0, time.time(), "", False, False, [], [], 0, [], 0, [], 0, 0, Requirement(2.0, 4 << 30, 8 << 30), 2.0)
    store.write(keys.page(1), BytesIO(page.encode(msgspec.structs.replace(nothing, **changes))))


DAY = 24 * 3600


def steps(causes: list[Cause]) -> list[tuple[str, str]]:
    return [(cause.what, cause.job) for cause in causes]


def request(id: str, first: str, started: float = 0.0) -> page.RequestPage:
    return page.RequestPage(id, 0, "step", 1, first, "node-7" if started else "", started, 1.0, 1 << 30, 1 << 30)


def test_the_chain_goes_down_to_the_root(tmp_path: Path) -> None:
    store = workflow(tmp_path / "s", job("0.0", (), ("0.1",), ("0.2",)), job("0.1"), job("0.2", ("0.3",)), job("0.3"))
    assert steps(why_job(store, "s", "0.2")) == [("waits for job", "0.2"), ("waits for leader", "0.0"), ("leader", "")]
    told(store, requests=[request("1-1", "0.0", time.time() - 5.5 * DAY)])
    causes = why_job(store, "s", "0.2")
    assert steps(causes) == [("waits for job", "0.2"), ("running", "0.0")]
    assert "runs on node-7 for 5 d 12:" in causes[1].text and "toil logs s 0.0 --follow" in causes[1].advice
    commit(store, "1-1", Result("0.0"))
    assert steps(why_job(store, "s", "0.2"))[:2] == [("waits for job", "0.2"), ("waits for jobs below", "0.0")]
    assert why_job(store, "s", "0.2")[2].job == "0.1"


def test_a_value_that_is_missing_is_followed_to_its_maker(tmp_path: Path) -> None:
    below = (job("0.1", ("0.2",)), job("0.2"), job("0.3", ("0.2",)))
    store = workflow(tmp_path / "s", job("0.0", (), ("0.1", "0.2", "0.3")), *below)
    commit(store, "1-1", Result("0.0"))
    told(store, requests=[request("1-2", "0.2")])
    causes = why_job(store, "s", "0.3")
    assert steps(causes) == [("waits for value", "0.3"), ("waits for room", "0.2")]
    assert "needs 1 core, 1.0 GiB of memory, 1.0 GiB of disk; 0 of 2 cores taken" in causes[1].text


def test_a_value_that_promises_another(tmp_path: Path) -> None:
    store = workflow(tmp_path / "s", job("0.0", (), ("0.1", "0.2")), job("0.1"), job("0.2", ("0.1",)))
    commit(store, "1-1", Result("0.0"))
    maker = NewJob("1-2.0.0", 0, (0, 0), 0)
    commit(store, "1-2", Result("0.1", value_needs=("1-2.0.0",), kinds=(Kind("maker", Requirement()),), jobs=(maker,), children=("1-2.0.0",)))
    told(store, requests=[request("1-3", "1-2.0.0", time.time())])
    assert steps(why_job(store, "s", "0.2")) == [("waits for value", "0.2"), ("running", "1-2.0.0")]


@pytest.mark.parametrize("by_name", [False, True])
def test_a_job_that_is_done_says_since_when(tmp_path: Path, by_name: bool) -> None:
    kinds = (Kind("step", Requirement()), Kind("first", Requirement()))
    store = workflow(tmp_path / "s", job("0.0", (), ("0.1",)), job("0.1", (), ("0.2",), kind=1), job("0.2"), kinds=kinds)
    commit(store, "1-1", Result("0.0"))
    commit(store, "1-2", Result("0.1"))
    assert steps(why_job(store, "s", "0.1"))[0] == ("waits for jobs below", "0.1")
    commit(store, "1-3", Result("0.2"))
    (cause,) = why_job(store, "s", "first" if by_name else "0.1")
    assert (cause.what, cause.job) == ("done", "0.1") and "it took 2.00 s" in cause.text


@pytest.mark.parametrize("folded", [False, True])
def test_a_failure_for_good_says_why_and_where_its_log_is(tmp_path: Path, folded: bool) -> None:
    store = workflow(tmp_path / "s", job("0.0", (), ("0.1",)), job("0.1"))
    log = keys.log("0.0", "1-1")
    commit(store, "1-1", Result("0.0", failure=Failure(Reason.OVER_TIME, "ran for 9 s", log=log, retry=False)))
    stores.led(store, pid=stores.dead_process())
    if folded:
        stores.folded(store, ended=True)
    causes = why_job(store, "s", "0.1")
    assert steps(causes) == [("waits for job", "0.1"), ("failed", "0.0")]
    assert "over time: ran for 9 s" in causes[1].text and "`toil logs s 0.0`" in causes[1].advice


def test_what_only_the_leader_knows(tmp_path: Path) -> None:
    below = tuple(job(f"0.{number}", kind=int(number == 3)) for number in (1, 2, 3, 4))
    kinds = (Kind("step", Requirement()), Kind("huge", Requirement(64.0)))
    store = workflow(tmp_path / "s", job("0.0", (), tuple(each.id for each in below)), *below, kinds=kinds)
    commit(store, "1-1", Result("0.0"))
    never = ("0.4", "step", True, Failure(Reason.TOO_BIG, "asks for much"))
    told(store, delayed=[("0.1", "step", time.time() + 5.5 * DAY)], delays=1, requests=[request("1-9", "x", 5.0)], failures=[never], failed=1)
    causes = {id: why_job(store, "s", id) for id in ("0.1", "0.2", "0.3", "0.4")}
    assert [causes[id][0].what for id in causes] == ["delayed", "waits for room", "too big", "failed"]
    assert "is tried again in 5 d 1" in causes["0.1"][0].text
    assert "1 of 2 cores taken" in causes["0.2"][0].text
    assert "needs 64 cores, and the largest machine has 2" in causes["0.3"][0].text
    assert "can never fit: asks for much" in causes["0.4"][0].text


def test_what_runs_is_told_without_reading_the_graph(tmp_path: Path) -> None:
    store = workflow(tmp_path / "s", job("0.0", (), ("0.1",)), job("0.1"))
    told(store, requests=[request("1-1", "0.0", time.time() - 5), request("1-2", "0.1")])
    (tmp_path / "s" / "blobs" / "commits,").rename(tmp_path / "away")
    (running,) = why_job(store, "s", "0.0")
    assert (running.what, running.job) == ("running", "0.0")
    assert running.text.startswith("step 0.0 runs on node-7 for ")
    assert steps(why_job(store, "s", "0.1")) == [("waits for room", "0.1")]
    (tmp_path / "away").rename(tmp_path / "s" / "blobs" / "commits,")
    commit(store, "1-1", Result("0.0"))
    assert steps(why_job(store, "s", "0.0"))[0] != ("running", "0.0"), "it has ended since the leader told"


def test_what_fits_no_present_machine_is_too_big_for_now(tmp_path: Path) -> None:
    store = workflow(tmp_path / "s", job("0.0", (), ("0.1",)), job("0.1"))
    misfit = msgspec.structs.replace(request("1-1", "0.0"), misfit="asks for 99 cores; the largest node has 2")
    told(store, requests=[request("1-2", "x"), misfit], capacity=None)
    for cause in (*why_job(store, "s", "0.0"), *why_run(store, "s")):
        assert (cause.what, cause.job) == ("too big", "0.0") and "toil scale-cluster" in cause.advice
        assert cause.text == "step 0.0 is too big for any machine that there is now: it asks for 99 cores; the largest node has 2"


def test_names_that_are_not_clear(tmp_path: Path) -> None:
    store = workflow(tmp_path / "s", job("0.0", (), ("0.1",)), job("0.1"))
    with pytest.raises(UsageError, match="2 jobs that are not done are named 'step'.*0.0, 0.1"):
        why_job(store, "s", "step")
    with pytest.raises(UsageError, match="no job 'stepp'.*did you mean step"):
        why_job(store, "s", "stepp")


# The run as a whole


def test_leaders_that_do_not_work(tmp_path: Path) -> None:
    with pytest.raises(NoSuchJobStore):
        why_run(stores.opened(tmp_path / "none"), "none")
    half = stores.opened(tmp_path / "half")
    half.prepare()
    half.create(keys.commit(keys.ROOT, 0), b"x")
    assert [cause.what for cause in why_run(half, "half")] == ["half made"]
    assert [cause.what for cause in why_job(half, "half", "0.0")] == ["half made"]
    told_of_alone = stores.begun(tmp_path / "told of alone")
    told_of_alone.delete([keys.commit(keys.ROOT, 0)])  # its beginning was killed between the two
    assert [cause.what for cause in why_run(told_of_alone, "told of alone")] == ["half made"]
    for name, changes, words in (
        ("dead", {"pid": stores.dead_process()}, "died"),
        ("far", {"host": "far-away"}, "cannot be seen from this machine"),
    ):
        store = stores.begun(tmp_path / name)
        assert "no leader has taken this workflow up yet" in why_run(store, name)[0].text
        stores.led(store, **changes)
        cause = why_run(store, name)[0]
        assert words in cause.text and "--restart" in cause.advice


def test_a_run_at_work_says_what_runs_and_what_waits(tmp_path: Path) -> None:
    run = Run(tmp_path / "s", 20)
    stores.led(run.store)
    assert why_run(run.store, "s")[0].text == "the leader has only begun"
    run.commit()
    run.page()
    (room,) = why_run(run.store, "s")
    assert room.what == "waits for room" and "none" not in room.text
    first = run.todo[0]
    run.graph.requests[first.request].node, run.graph.requests[first.request].started = "here", time.time() - 3
    run.page()
    running, room = why_run(run.store, "s")
    assert (running.what, running.job, room.what) == ("running", first.tasks[0].job, "waits for room")
    run.graph.stopping = True
    run.page()
    assert why_run(run.store, "s")[0].what == "stopping"


def test_a_run_in_which_all_wait_for_another_attempt(tmp_path: Path) -> None:
    store = workflow(tmp_path / "s", job("0.0"))
    told(store, delayed=[("0.0", "step", time.time() + 30)], delays=1)
    (cause,) = why_run(store, "s")
    assert cause.what == "delayed" and cause.job == "0.0"


def served(folder: Path) -> JobStore:
    """A store in which the first job of the root ran: it has the services 0.2 and 0.4, another after 0.2, and a child."""
    kinds = (Kind("step", Requirement()), Kind("serve", Requirement(), service=True))
    jobs = (
        NewJob("0.0", 0, (0, 0), 0, (), ("0.1",), (), services=("0.2", "0.4")),
        job("0.1"), NewJob("0.2", 1, (0, 0), 0, (), (), (), services=("0.3",)), job("0.3", kind=1), job("0.4", kind=1),
    )  # fmt: skip
    return workflow(folder, *jobs, kinds=kinds)


def test_services_that_are_not_up_and_those_that_may_not_start(tmp_path: Path) -> None:
    store = served(tmp_path / "s")
    commit(store, "1-1", Result("0.0"))
    told(store, sequence=3, held=1, requests=[request("1-2", "0.2", time.time()), request("1-3", "0.x", time.time())])
    assert steps(why_job(store, "s", "0.1")) == [("waits for service", "0.1"), ("running", "0.2")]
    assert steps(why_job(store, "s", "0.3")) == [("waits for service", "0.3"), ("running", "0.2")]
    assert steps(why_job(store, "s", "0.4")) == [("waits for room", "0.4")]
    assert [cause.text for cause in why_run(store, "s") if cause.what == "waits for services"] == [
        "1 service waits for others to end, as there may be only so many at a time"
    ]


def test_as_many_services_as_there_may_be(tmp_path: Path) -> None:
    store = served(tmp_path / "s")
    commit(store, "1-1", Result("0.0"))
    told(store, sequence=4, requests=[request(f"1-{2 + n}", id, time.time()) for n, id in enumerate(("0.2", "0.2", "0.2"))])
    options = Config([EngineOptions(max_service_jobs=3)]).as_dict()
    store.write(keys.setup(1), BytesIO(work.encode(Setup(options=options))))
    assert why_run(store, "s")[0].text.startswith("3 jobs run")
    (cause,) = why_job(store, "s", "0.4")
    assert cause.what == "waits for services" and "3 services run, and --max-service-jobs allows no more" in cause.text
    assert "greater --max-service-jobs" in cause.advice


def test_a_service_of_a_job_that_has_not_run(tmp_path: Path) -> None:
    store = served(tmp_path / "s")
    told(store, requests=[request("1-1", "0.0", time.time())])
    assert steps(why_job(store, "s", "0.4")) == [("waits for job", "0.4"), ("running", "0.0")]


def test_a_service_that_is_up_runs_still(tmp_path: Path) -> None:
    store = served(tmp_path / "s")
    commit(store, "1-1", Result("0.0"))
    commit(store, "1-2", Result("0.2"))
    told(store, sequence=2, requests=[msgspec.structs.replace(request("1-2", "0.2", time.time()), name="serve", next=1)])
    status = glance(store, "s")
    assert [job.job for job in status.running_jobs] == ["0.2"]
    assert [(kind.running, kind.waiting) for kind in status.kinds if kind.name == "serve"] == [(1, 2)]
