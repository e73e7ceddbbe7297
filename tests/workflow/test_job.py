"""What users write: functions and classes as jobs, successors, promises."""

from __future__ import annotations

import functools
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.workflow.here import Here, JobFailed
from toil_core import File, Job, Promise, job
from toil_core.errors import BadOption, GraphError
from toil_core.workflow.job import JobFunction

trace: list[str] = []


@job
def note(text: str, *_: Any) -> str:
    trace.append(text)
    return text


@job(cores=0.5, memory="64 MiB", name="adder")
def add(job: Job[Any], *numbers: int) -> int:
    assert job.name == "adder"
    return sum(numbers)


@job
def pair(job: Job[Any], left: Any, right: Any = None) -> dict[str, Any]:
    return {"left": left, "right": [right, (left,)]}


@job
def fibonacci(job: Job[Any], n: int) -> Any:
    if n < 2:
        return n
    return job.add_follow_on(add(job.add_child(fibonacci(n - 1)).rv(), job.add_child(fibonacci(n - 2)).rv()))


class Sort(Job[list[str]]):
    def __init__(self, words: Any, reverse: bool = False) -> None:
        super().__init__(cores=2)
        self.words = words
        self.reverse = reverse

    def run(self) -> list[str]:
        assert self.requirements.cores == 2
        return sorted(self.words, reverse=self.reverse)


@dataclass
class Bare(Job[int]):
    number: int

    def run(self) -> int:
        return self.number


class Point(NamedTuple):
    x: int
    y: int


@job
def point() -> Point:
    return Point(3, 4)


@job
def identity(value: Any) -> Any:
    return value


def test_a_promise_gives_the_value(tmp_path: Path) -> None:
    root = add(1, 2)
    last = root.add_child(add(root.rv(), 4))
    root.add_follow_on(identity([last, {"of": last.rv()}]))
    here = Here(tmp_path)
    assert here.run(root) == 3
    assert here.order == ["adder", "adder", "identity"]


def test_promises_in_promises(tmp_path: Path) -> None:
    assert Here(tmp_path).run(fibonacci(8)) == 21


@pytest.mark.parametrize(
    ("path", "value"),
    [((), {"left": 7, "right": [8, (7,)]}), (("left",), 7), (("right", 0), 8), (("right", 1, -1), 7), (("right", slice(0, 1)), [8])],
)
def test_paths(tmp_path: Path, path: tuple[Any, ...], value: Any) -> None:
    root = Job[None]()
    first = root.add_child(pair(7, right=8))
    root.add_follow_on(check_equal(first.rv(*path), value))
    Here(tmp_path).run(root)


@job
def check_equal(left: Any, right: Any) -> None:
    assert left == right
    assert type(left) is type(right)


def test_a_path_goes_into_attributes(tmp_path: Path) -> None:
    root = Job[None]()
    first = root.add_child(point())
    root.add_follow_on(check_equal(first.rv("y"), 4))
    root.add_follow_on(check_equal(first.rv(0), 3))
    Here(tmp_path).run(root)


@pytest.mark.parametrize("path", [("middle",), ("right", 5), ("left", "real", "nothing"), (0,)])
def test_a_path_that_leads_nowhere_is_named(tmp_path: Path, path: tuple[Any, ...]) -> None:
    root = pair(7)
    root.add_child(identity(root.rv(*path)))
    with pytest.raises(JobFailed, match=r"job 'identity': the value of job 'pair'.* has no \[") as caught:
        Here(tmp_path).run(root)
    assert repr(path[-1]) in str(caught.value)
    assert not caught.value.failure.retry


def test_two_promises_of_one_job_are_one_object(tmp_path: Path) -> None:
    root = identity([1])
    root.add_child(same(root.rv(), [root]))
    Here(tmp_path).run(root)


@job
def same(one: Any, other: Any) -> None:
    assert one is other[0]


def test_children_before_follow_ons(tmp_path: Path) -> None:
    trace.clear()
    root = note("root")
    follow_on = root.add_follow_on(note("follow-on"))
    child = root.add_child(note("child"))
    child.add_follow_on(note("child's follow-on")).add_child(note("below it"))
    follow_on.add_follow_on(note("last"))
    Here(tmp_path).run(root)
    assert trace == ["root", "child", "child's follow-on", "below it", "follow-on", "last"]


def test_several_predecessors(tmp_path: Path) -> None:
    trace.clear()
    root = Job[None]()
    left, right = root.add_child(note("left")), root.add_child(note("right"))
    both = left.add_child(note("both"))
    assert right.add_child(both) is both
    right.add_child(both)
    Here(tmp_path).run(root)
    assert trace == ["left", "right", "both"]


def test_classes(tmp_path: Path) -> None:
    root = identity(["b", "a"])
    ordered = root.add_child(Sort(root.rv(), reverse=True))
    root.add_follow_on(check_equal(ordered, ["b", "a"]))
    here = Here(tmp_path)
    here.run(root)
    assert here.order == ["identity", "Sort", "check_equal"]
    assert here.jobs["0.1"].kind.requirement.cores == 2


def test_a_class_need_not_call_init(tmp_path: Path) -> None:
    assert Here(tmp_path).run(Bare(5)) == 5


def test_a_class_without_run(tmp_path: Path) -> None:
    class Lazy(Job[None]):
        pass

    with pytest.raises(JobFailed, match="Lazy defines no run"):
        Here(tmp_path).run(Lazy())


def test_equal_jobs_are_not_the_same(tmp_path: Path) -> None:
    root = Job[None]()
    one, other = root.add_child(Bare(5)), root.add_child(Bare(5))
    assert one == other
    here = Here(tmp_path)
    here.run(root)
    assert here.order == ["Job", "Bare", "Bare"]


def test_wrapping_functions_made_elsewhere(tmp_path: Path) -> None:
    assert Here(tmp_path / "1").run(job(len)([1, 2])) == 2
    assert Here(tmp_path / "2").run(job(sorted)("ba")) == ["a", "b"]
    assert Here(tmp_path / "3").run(job(functools.partial(pow, 2))(5)) == 32
    number = 5
    assert Here(tmp_path / "4").run(job(lambda job, x: x + number + len(job.name))(1)) == 12
    here = Here(tmp_path / "5")
    assert here.run(job(plain, cores=3)("x")) == "x!"
    assert here.jobs["0.0"].kind.requirement.cores == 3
    assert b"here" not in here.jobs["0.0"].body


def plain(text: str) -> str:
    return text + "!"


def test_a_closure_may_hold_a_promise(tmp_path: Path) -> None:
    root = identity([4])
    root.add_child(job(lambda: check_four(root))())
    Here(tmp_path).run(root)


def check_four(value: Any) -> None:
    assert value == [4]


def test_a_closure_may_call_itself(tmp_path: Path) -> None:
    @job
    def down(job: Job[Any], n: int) -> Any:
        return job.add_child(down(n - 1)) if n else "end"

    assert Here(tmp_path).run(down(4)) == "end"


def test_requiring() -> None:
    more = add.requiring(memory="1 GiB")
    assert isinstance(more, JobFunction)
    assert (more.needs.memory, more.needs.cores, more.name) == (1 << 30, 0.5, "adder")
    assert add.needs.memory == 64 << 20
    assert job(add, cores=4).needs.cores == 4


def test_a_job_is_told_by_its_name_and_can_log(tmp_path: Path) -> None:
    @job
    def talk(job: Job[Any]) -> tuple[str, bool]:
        job.log("hello")
        job.log("look out", "warning")
        job.log("oh", 40)
        return job.id, job.tmp == Path.cwd()

    here = Here(tmp_path)
    assert here.run(talk()) == ("0.0", True)
    assert here.results[0].messages == ((20, "hello"), (30, "look out"), (40, "oh"))


def test_what_only_a_running_job_has() -> None:
    node = add(1)
    for what in ("id", "tmp", "files", "requirements"):
        with pytest.raises(AttributeError, match="is not running"):
            getattr(node, what)
    with pytest.raises(AttributeError, match="is not running"):
        node.log("x")


@pytest.mark.parametrize(
    ("successor", "words"),
    [(add, r"call it, adder\(…\)"), (plain, r"wrap it, job\(plain\)"), (5, "5 is no job"), (add(1).rv(), "promise of job 'adder'> is no job")],
)
def test_only_jobs_can_be_added(successor: Any, words: str) -> None:
    with pytest.raises(GraphError, match=words):
        add(1).add_child(successor)
    with pytest.raises(GraphError, match=words):
        add(1).add_follow_on(successor)


def test_functions_that_cannot_be_jobs() -> None:
    async def later() -> None: ...

    def many() -> Any:
        yield 1

    for function in (later, many):
        with pytest.raises(GraphError, match="must return its value"):
            job(function)
    with pytest.raises(GraphError, match="takes a function"):
        job(5)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("needs", "words"),
    [
        ({"memory": "2 bananas"}, "memory: '2 bananas'"),
        ({"cores": 0}, "cores: 0"),
        ({"cores": True}, "cores=True"),
        ({"disk": [1]}, r"disk=\[1\]"),
        ({"wall_time": "2 moons"}, "wall_time"),
        ({"preemptible": 3}, "preemptible=3"),
        ({"isolated": "no"}, "isolated='no'"),
        ({"tries": 0}, "tries=0"),
        ({"name": 3}, "name=3"),
        ({"accelerators": "gpu:many"}, "accelerators: 'gpu:many'"),
    ],
)
def test_bad_needs_are_named(needs: dict[str, Any], words: str) -> None:
    with pytest.raises(BadOption, match=words):
        job(**needs)
    with pytest.raises(BadOption, match=words):
        Job(**needs)


def test_a_promise_has_no_truth() -> None:
    promise: Any = add(1).rv("x")
    assert isinstance(promise, Promise)
    assert repr(promise) == "<promise of job 'adder'['x']>"
    with pytest.raises(TypeError, match="not known before"):
        bool(promise)


@job
def count(job: Job[Any], part: File) -> Counter[str]:
    return Counter(job.files.read(part).read_text().split())


@job
def merge(counts: list[Counter[str]]) -> Counter[str]:
    return sum(counts, Counter())


@job
def words(job: Job[Any], text: str, parts: int) -> Any:
    lines = text.splitlines(keepends=True)
    files = [job.files.write("".join(lines[i::parts])) for i in range(parts)]
    counts = [job.add_child(count(file)).rv() for file in files]
    return job.add_follow_on(merge(counts))


def test_words(tmp_path: Path) -> None:
    text = "a b\nc a\nb b\n"
    assert Here(tmp_path).run(words(text, 2)) == Counter(text.split())


def wrapping(function: Any) -> Any:
    @functools.wraps(function)
    def given_more(*args: Any, **kwargs: Any) -> Any:
        return function(*args, "more", **kwargs)

    return given_more


def keywords(left: int, *, right: int) -> int:
    return left + right


untyped: Any = {"pair": pair, "note": note, "keywords": job(keywords), "lambda": job(lambda x: x)}
"""What a type checker would refuse to call wrongly."""


@pytest.mark.parametrize(
    ("name", "args", "given", "why"),
    [
        ("pair", (), {}, "missing a required argument: 'left'"),
        ("pair", (1, 2, 3), {}, "too many positional arguments"),
        ("pair", (1,), {"rigth": 2}, "got an unexpected keyword argument 'rigth'"),
        ("note", (), {}, "missing a required argument: 'text'"),
        ("keywords", (1,), {}, "missing a required"),
        ("lambda", (), {}, "missing a required argument: 'x'"),
    ],
)
def test_wrong_arguments_are_found_where_they_are_given(name: str, args: Any, given: Any, why: str) -> None:
    with pytest.raises(TypeError, match=f"job '{name}': {why}"):
        untyped[name](*args, **given)


def test_arguments_that_only_the_call_can_judge_are_taken() -> None:
    assert note("a", 1, 2).name == "note"
    assert job(keywords)(1, right=2).name == "keywords"
    assert job(wrapping(pair.function))(1).name == "pair"
    assert job(max)(1, 2, key=None).name == "max"
    assert pair(1, right=note("x")).name == "pair"
