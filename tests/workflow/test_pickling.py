"""What travels by name, what travels whole, what cannot travel and how that is told."""

from __future__ import annotations

import pickle
import sys
import threading
import types
from pathlib import Path
from typing import Any

import pytest

from tests.workflow.here import Here
from toil_core import Job, job
from toil_core.batch_system import Requirement
from toil_core.errors import NotPicklable
from toil_core.workflow.flatten import flatten_root
from toil_core.workflow.job import JobFunction
from toil_core.workflow.pickling import Writer, find_reference, load
from toil_core.workflow.policy import Policy

POLICY = Policy(Requirement())


class Holder:
    def __init__(self, **content: Any) -> None:
        self.__dict__.update(content)


class Slotted:
    __slots__ = ("lock",)


class Stubborn:
    def __reduce__(self) -> Any:
        raise ValueError("I stay here\nand there")


@job
def take(job: Job[Any], x: Any, /, y: Any = None, *rest: Any, **named: Any) -> Any:
    return x


class Task(Job[None]):
    def __init__(self, thing: Any) -> None:
        super().__init__()
        self.thing = thing

    def run(self) -> None: ...


def refused(node: Job[Any]) -> str:
    with pytest.raises(NotPicklable) as caught:
        flatten_root(node, "0", POLICY)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_what_cannot_be_pickled_is_named() -> None:
    lock = threading.Lock()
    slotted = Slotted()
    slotted.lock = lock  # type: ignore[attr-defined]
    why = "cannot pickle '_thread.lock' object"
    assert refused(take(lock)) == f"argument 'x' of job 'take': {why}"
    assert refused(take(1, Holder(lock=lock))) == f"argument 'y' of job 'take': .lock: {why}"
    assert refused(take(1, {"a": [0, (lock,)]})) == f"argument 'y' of job 'take': ['a'][1][0]: {why}"
    assert refused(take(1, [slotted])) == f"argument 'y' of job 'take': [0].lock: {why}"
    assert refused(take(1, z=lock)) == f"argument 'z' of job 'take': {why}"
    assert refused(take(1, 2, 3, lock)) == f"argument 4 of job 'take': {why}"
    assert refused(take(1, Stubborn())) == "argument 'y' of job 'take': I stay here"
    assert refused(Task(Holder(inner={"key": lock}))) == f"attribute 'thing' of job 'Task': .inner['key']: {why}"
    assert refused(job(lambda: lock)()) == f"the function of job 'lambda': variable 'lock': {why}"


def test_too_deep() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert "nested too deeply" in refused(take(deep))


def test_functions_of_modules_travel_by_name() -> None:
    flat, payload = flatten_root(take(1), "0", POLICY)
    body = pickle.loads(payload[slice(*flat.jobs[0].body)])
    assert body == (f"{__name__}:take", (1,), {})


@pytest.fixture
def main_module(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    module = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", module)
    return module


SCRIPT = "from toil_core import job\nclass Thing:\n    pass\n@job\ndef double(x):\n    return 2 * x, Thing\n"


def define(module: types.ModuleType, file: str) -> None:
    """What running the script, or typing it in, does."""
    exec(compile(SCRIPT, file, "exec"), module.__dict__)  # noqa: S102


def test_functions_of_a_script_travel_by_name(main_module: types.ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "script.py"
    file.write_text(SCRIPT)
    main_module.__file__ = str(file)
    define(main_module, str(file))
    assert find_reference(main_module.double) == "__main__:double"
    flat, payload = flatten_root(main_module.double(main_module.Thing()), "0", POLICY)
    assert pickle.loads(payload[slice(*flat.jobs[0].body)])[0] == "__main__:double"
    assert len(payload) < 150


def test_functions_of_a_notebook_travel_whole(main_module: types.ModuleType, tmp_path: Path) -> None:
    define(main_module, "<stdin>")
    assert find_reference(main_module.double) is None
    node, kind = main_module.double(main_module.Thing), main_module.Thing
    flat, payload = flatten_root(node, "0", POLICY)
    main_module.__dict__.clear()
    function, args, _ = pickle.loads(payload)
    assert function(3)[0] == 6
    assert args == (kind,)  # in the process it came from, the class is the same again
    assert len(flat.jobs) == 1


def test_a_prompt_after_a_script(main_module: types.ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "script.py"
    file.write_text("")
    main_module.__file__ = str(file)
    define(main_module, "<stdin>")
    assert find_reference(main_module.double) is None
    flatten_root(main_module.double(3), "0", POLICY)


def test_a_decorated_function_is_a_value_too(tmp_path: Path) -> None:
    back = Here(tmp_path).run(take(take))
    assert back is take
    local = job(lambda x: x)
    other = Here(tmp_path / "2").run(take(local))
    assert isinstance(other, JobFunction)
    assert other.function(5) == 5


def test_values_hold_values_without_end() -> None:
    """A chain of promises far deeper than Python's own limit."""
    size = 5000
    nodes = [take(None) for _ in range(size)]
    ids = {id(node): f"0.{number}" for number, node in enumerate(nodes)}
    values = {}
    for number in range(size):
        writer = Writer(ids)
        held: Any = [nodes[number + 1], number] if number + 1 < size else "end"
        _, _, needs = writer.add(held, list)
        values[f"0.{number}"] = writer.payload()
        assert needs == ((f"0.{number + 1}",) if number + 1 < size else ())
    value = load(values["0.0"], values)
    for number in range(size - 1):
        value, found = value
        assert found == number
    assert value == "end"


def test_a_value_that_was_not_given() -> None:
    node = take(None)
    writer = Writer({id(node): "0.7"})
    writer.add([node], list)
    with pytest.raises(LookupError, match=r"job 'take' \(0.7\) was not given"):
        load(writer.payload(), {})
    with pytest.raises(LookupError, match=r"job 0.7 was not given"):
        load(writer.payload(), {"0.1": b""})
