"""Alters the graph's and the commits' code, one small change at a time, and sees whether the tests notice.

    python -m tools.mutants [--sample 300] [--seed 1] [--after 0] [--workers 2] [--list]

The tests are collected once, and run once to see which lines each of them runs. Each mutant is then tried in a forked process,
in which the altered code takes the place of the real one, by the tests that run what was altered, the quickest first, until one
fails. Those that no test notices are held against `tools/survivors.toml`, which says why they do no harm; one that it does not
explain is an error.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import inspect
import os
import random
import resource
import sys
import time
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryFile
from types import CodeType, FunctionType, ModuleType

import msgspec
import pytest
from hypothesis import Phase, settings

from tools.mutations import Mutation, mutations
from tools.reached import Reached, watching

ROOT = Path(__file__).resolve().parent.parent
SURVIVORS = ROOT / "tools" / "survivors.toml"
SPARE = 5
"""Seconds of processor time that a mutant may add to a test; what takes more goes round in circles."""
PATIENCE = 60
"""Seconds that a mutant may let a test wait, and thirty times what it takes: a busy machine kills no mutant."""
MEMORY = 4 << 30
_PASSED, _FAILED, _STRANGE = 0, 1, 70
"""How a mutant's process ends: no test failed, one did, or they were not tried; any other end is a kill."""
_SLOW = ("chain_is_no_recursion", "fan_out_and_in_is_forgotten")
"""What large graphs cost is measured elsewhere; these tests know nothing else."""
TESTS = (
    *(f"tests/leader/test_{name}.py" for name in (
        "graph", "redo", "services", "retries", "temporary", "history", "issue", "checkpoints", "loop", "epoch", "graph_random",
    )),
    "tests/testing/sim/test_in_process.py", "tests/wire/test_commits.py", "tests/wire/test_reread.py",
)  # fmt: skip
"""Those that may notice; which of them are tried is told by what they run."""


@dataclass(frozen=True)
class Subject:
    """A module.

    Args:
        module: Its name.
        functions: Only these functions are altered; all if empty.
    """

    module: str
    functions: frozenset[str] = field(default=frozenset())

    @property
    def path(self) -> Path:
        """Where its source is."""
        return ROOT / (self.module.replace(".", "/") + ".py")

    @property
    def source(self) -> str:
        """Its source as it was when it was first asked for: a mutant is no other when a file changes meanwhile."""
        return _source(self.path)


@cache
def _source(path: Path) -> str:
    return path.read_text()


SUBJECTS = (
    *(Subject(f"toil_core.leader.{name}") for name in (
        "graph", "growth", "state", "redo", "retries", "issue", "restart", "services", "snapshot", "checkpoints",
    )),
    Subject("toil_core.leader.epoch", frozenset({"last_epoch", "claim", "_refuse_if_alive"})),
    Subject("toil_core.leader.loop", frozenset({"_ended", "_settle", "_void", "_sweep", "_read_commit", "_carried", "_commit", "_started"})),
    Subject("toil_core.wire.commits"),
)  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One change to one module."""

    subject: Subject
    mutation: Mutation

    def __str__(self) -> str:
        return f"{self.subject.module}:{self.mutation.line} {self.mutation.function}: {self.mutation.what}"

    @property
    def name(self) -> str:
        """What it is called in the list of survivors, however lines move."""
        return f"{self.subject.module} {self.mutation.function}: {self.mutation.what}"


def every() -> list[Mutant]:
    """All mutants of all subjects."""
    return [Mutant(subject, found) for subject in SUBJECTS for found in mutations(subject.source, subject.functions)]


def patch(mutant: Mutant) -> None:
    """Put the mutant's code into the functions of the module, which everybody has imported already."""
    path = mutant.subject.path
    module = importlib.import_module(mutant.subject.module)
    changed = _codes(compile(mutant.mutation.apply(mutant.subject.source), str(path), "exec"))
    found = [function for function in _defined(module) if changed[function.__qualname__] != function.__code__]
    for function in found:
        function.__code__ = changed[function.__qualname__]
    if len(found) != 1:
        raise LookupError(f"{mutant} changes {len(found)} functions")


def _codes(code: CodeType) -> dict[str, CodeType]:
    """The code of each function of a module that is no part of another function, by its qualified name."""
    found: dict[str, CodeType] = {}
    for each in code.co_consts:
        if isinstance(each, CodeType):
            found |= {each.co_qualname: each} if each.co_flags & inspect.CO_OPTIMIZED else _codes(each)
    return found


def _defined(within: object) -> Iterator[FunctionType]:
    """The functions that a module defines, and the methods of its classes."""
    module = within.__name__ if isinstance(within, ModuleType) else getattr(within, "__module__", "")
    for each in vars(within).values():
        if isinstance(each, type) and each.__module__ == module and each is not within:
            yield from _defined(each)
            continue
        function = each.fget if isinstance(each, property) else getattr(each, "__func__", each)
        function = inspect.unwrap(function) if callable(function) else function
        if isinstance(function, FunctionType) and function.__module__ == module and function.__code__.co_filename == inspect.getsourcefile(sys.modules[module]):
            yield function


class Tries:
    """A pytest plugin that does with the tests, once they are collected, what it is told, in the place of running them.

    Args:
        mutants: What is to be tried.
        workers: How many at a time.
        each: Told of each mutant whether it was killed.
    """

    def __init__(self, mutants: Sequence[Mutant], workers: int, each: Callable[[Mutant, bool], None]) -> None:
        self.mutants, self.workers, self.each = mutants, workers, each
        self.failed: list[str] = []

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Try the tests as they are, and then every mutant, in processes of their own."""
        gc.freeze()
        reached = survey(session)
        self.failed = [name for name, one in reached.items() if one is None]
        if not self.failed:
            if os.waitstatus_to_exitcode(os.waitpid(start(partial(attempt, session, None, reached)), 0)[1]) != _PASSED:
                raise RuntimeError("a test fails without any mutant where mutants are tried")  # all would count as killed
            for mutant, killed in run(session, self.mutants, reached, self.workers):
                self.each(mutant, killed)
        return True


def survey(session: pytest.Session) -> dict[str, Reached | None]:
    """What each of the tests runs, by its id, the quickest first; nothing of one that fails."""
    files = [str(subject.path) for subject in SUBJECTS]

    def look() -> int:
        notes.write(msgspec.msgpack.encode({item.nodeid: _watched(item, files) for item in session.items}))
        notes.flush()
        return _PASSED

    with TemporaryFile() as notes:
        _, status = os.waitpid(start(look), 0)
        if os.waitstatus_to_exitcode(status) != _PASSED:
            raise RuntimeError("the tests did not come to a result")
        notes.seek(0)
        found = msgspec.msgpack.decode(notes.read(), type=dict[str, Reached | None])
    return dict(sorted(found.items(), key=lambda each: each[1].seconds if each[1] else 0.0))


def _watched(item: pytest.Item, files: Sequence[str]) -> Reached | None:
    before = item.session.testsfailed
    with watching(files) as reached:
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
    return reached if item.session.testsfailed == before else None


def attempt(session: pytest.Session, mutant: Mutant | None, reached: Mapping[str, Reached | None]) -> int:
    """Run the tests that may notice in this process, with the mutant in place, until one fails; all tests without one. The exit code."""
    if mutant is not None:
        patch(mutant)
    items = {item.nodeid: item for item in session.items}
    for name, one in reached.items():
        if one is not None and (mutant is None or one.any(str(mutant.subject.path), mutant.mutation.line, mutant.mutation.last)):
            limit = int(time.process_time() + 2 * one.seconds) + SPARE
            resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
            items[name].add_marker(pytest.mark.timeout(PATIENCE + 30 * one.seconds), append=False)
            items[name].config.hook.pytest_runtest_protocol(item=items[name], nextitem=None)
            if session.testsfailed:
                return _FAILED
    return _PASSED


def start(work: Callable[[], int]) -> int:
    """Begin in a process of its own, which ends with the code that the work gives; its id."""
    pid = os.fork()
    if pid:
        return pid
    code = _STRANGE
    try:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        code = work()
    finally:
        os._exit(code)


def run(session: pytest.Session, mutants: Iterable[Mutant], reached: Mapping[str, Reached | None], workers: int) -> Iterator[tuple[Mutant, bool]]:
    """Try all of them, some at a time; each with whether it was killed.

    Raises:
        RuntimeError: One could not be tried, or its tests did not come to a result.
    """
    left = iter(mutants)
    busy: dict[int, Mutant] = {}
    while True:
        while len(busy) < workers and (mutant := next(left, None)) is not None:
            busy[start(partial(attempt, session, mutant, reached))] = mutant
        if not busy:
            return
        pid, status = os.waitpid(-1, 0)
        mutant, code = busy.pop(pid), os.waitstatus_to_exitcode(status)
        if code == _STRANGE:
            raise RuntimeError(f"{mutant} could not be tried")
        yield mutant, code != _PASSED


def explained() -> dict[str, str]:
    """Why each known survivor does no harm, by its name."""
    return {item["mutant"]: item["why"] for item in tomllib.loads(SURVIVORS.read_text()).get("survivor", [])}


def main(arguments: Sequence[str] | None = None) -> int:
    """Try a sample, and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=0, help="How many mutants, drawn by the seed; 0 for all of them.")
    parser.add_argument("--seed", type=int, default=1, help="Which sample.")
    parser.add_argument("--after", type=int, default=0, help="Leave out so many from the sample's beginning, to go on with one that was stopped.")
    parser.add_argument("--only", default="", help="Only mutants in whose name this text is.")
    parser.add_argument("--tests", nargs="+", default=TESTS, help="Only by these tests.")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="How many at a time.")
    parser.add_argument("--list", action="store_true", help="Say which, and do not try them.")
    parser.add_argument("--verbose", action="store_true", help="Tell of those that are killed too.")
    options = parser.parse_args(arguments)
    mutants = [mutant for mutant in every() if options.only in str(mutant)]
    if 0 < options.sample < len(mutants):
        mutants = random.Random(options.seed).sample(mutants, options.sample)
    mutants = mutants[options.after :]
    if options.list:
        print(*mutants, sep="\n")
        return 0
    known, killed, survivors = explained(), 0, list[str]()

    def tell(mutant: Mutant, dead: bool) -> None:
        nonlocal killed
        killed += dead
        why = known.get(mutant.name, "")
        if not dead:
            survivors.append(why)
            print(f"survived: {mutant}" + (f"  ({why})" if why else "  NOT EXPLAINED"), flush=True)
        elif options.verbose:
            print(f"killed: {mutant}", flush=True)

    tries = Tries(mutants, options.workers, tell)
    collect(tries, options.tests)
    if tries.failed:
        print("these tests fail without any mutant:", *tries.failed, sep="\n", file=sys.stderr)
        return 2
    strange, total = survivors.count(""), killed + len(survivors)
    print(f"{killed} of {total} mutants killed ({100 * killed / max(total, 1):.1f} %), {len(survivors)} survived, {strange} of them not explained")
    return 1 if strange else 0


def collect(tries: Tries, tests: Sequence[str]) -> None:
    """Have pytest collect the tests, and go on with them."""
    os.chdir(ROOT)
    settings.register_profile("mutants", derandomize=True, database=None, phases=(Phase.explicit, Phase.generate), report_multiple_bugs=False)
    settings.load_profile("mutants")
    quick = f"not {' and not '.join(_SLOW)}"
    loaded = "ignore::pytest.PytestAssertRewriteWarning"  # hypothesis is
    plain = ["-x", "-q", "-s", "-p", "no:cacheprovider", "-p", "no:xdist", "-W", loaded, "-k", quick]
    pytest.main([*tests, *plain], plugins=[tries])


if __name__ == "__main__":
    sys.exit(main())
