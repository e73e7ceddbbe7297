"""Alters the graph's and the commits' code, one small change at a time, and sees whether the tests notice.

    python -m tools.mutants [--sample 300] [--seed 1] [--workers 2] [--list]

The tests are collected once. Each mutant is tried in a forked process, in which the altered code takes the place of
the real one, by the tests which are to notice, the quickest first, until one fails. Those that no test notices are held against
`tools/survivors.toml`, which says why they do no harm; one that it does not explain is an error.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import inspect
import itertools
import os
import random
import resource
import signal
import sys
import time
import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

import pytest
from hypothesis import Phase, settings

from tools.mutations import Mutation, mutations

ROOT = Path(__file__).resolve().parent.parent
SURVIVORS = ROOT / "tools" / "survivors.toml"
CPU_SECONDS = 90
"""No set of tests takes so much processor time, unless a mutant goes round in circles."""
WALL_SECONDS = 900
MEMORY = 4 << 30
_PASSED, _FAILED, _STRANGE = 0, 1, 70
"""How a mutant's process ends: no test failed, one did, or they were not tried; any other end is a kill."""
_LEADER = "tests/leader"
_SLOW = ("chain_is_no_recursion", "fan_out_and_in_is_forgotten")
"""What large graphs cost is measured elsewhere; these tests know nothing else."""
_GRAPH = (
    "test_graph.py", "test_redo.py", "test_services.py", "test_retries.py", "test_temporary.py", "test_history.py", "test_issue.py", "test_checkpoints.py", "test_loop.py",
    "tests/testing/sim/test_in_process.py", "test_local.py::test_local_jobs_do_not_go_to_the_batch_system", "test_graph_random.py",
)  # fmt: skip


@dataclass(frozen=True)
class Subject:
    """A module, and which tests are to notice changes in it.

    Args:
        module: Its name.
        first: Files of tests that know most about it, in tests/leader unless they say otherwise.
        functions: Only these functions are altered; all if empty.
    """

    module: str
    first: tuple[str, ...] = ()
    functions: frozenset[str] = field(default=frozenset())

    @property
    def path(self) -> Path:
        """Where its source is."""
        return ROOT / (self.module.replace(".", "/") + ".py")

    @property
    def tests(self) -> list[str]:
        """The files of tests, in order."""
        names = dict.fromkeys([*self.first, *_GRAPH])
        return [name if "/" in name else f"{_LEADER}/{name}" for name in names]


SUBJECTS = (
    Subject("toil_core.leader.graph"),
    Subject("toil_core.leader.growth"),
    Subject("toil_core.leader.state"),
    Subject("toil_core.leader.redo", ("test_redo.py",)),
    Subject("toil_core.leader.retries", ("test_retries.py",)),
    Subject("toil_core.leader.issue", ("test_issue.py", "test_graph.py")),
    Subject("toil_core.leader.restart"),
    Subject("toil_core.leader.services", ("test_services.py",)),
    Subject("toil_core.leader.snapshot", ("test_checkpoints.py",)),
    Subject("toil_core.leader.checkpoints", ("test_checkpoints.py", "test_loop.py")),
    Subject("toil_core.leader.epoch", ("test_epoch.py",), frozenset({"last_epoch", "claim", "_refuse_if_alive"})),
    Subject("toil_core.leader.loop", ("test_loop.py",), frozenset({"_ended", "_void", "_sweep", "_read_commit", "_carried", "_commit", "_started"})),
    Subject("toil_core.wire.commits", ("tests/wire/test_commits.py", "test_loop.py")),
)


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
    return [Mutant(subject, found) for subject in SUBJECTS for found in mutations(subject.path.read_text(), subject.functions)]


def patch(mutant: Mutant) -> None:
    """Put the mutant's code into the functions of the module, which everybody has imported already."""
    path = mutant.subject.path
    module = importlib.import_module(mutant.subject.module)
    changed = _codes(compile(mutant.mutation.apply(path.read_text()), str(path), "exec"))
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
        self.sound = False

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Try the tests as they are, and then every mutant, in processes of their own."""
        gc.freeze()
        every = start(session, None, list(dict.fromkeys(test for mutant in self.mutants for test in mutant.subject.tests)))
        self.sound = bool(session.items) and os.waitstatus_to_exitcode(os.waitpid(every, 0)[1]) == _PASSED
        if self.sound:
            for mutant, killed in run(session, self.mutants, self.workers):
                self.each(mutant, killed)
        return True


def attempt(session: pytest.Session, mutant: Mutant | None, tests: Sequence[str]) -> int:
    """Run the tests in this process, with the mutant in place, until one fails; the exit code."""
    if mutant is not None:
        patch(mutant)
    items = [item for test in tests for item in session.items if item.nodeid.startswith(test)]
    for item, after in itertools.zip_longest(items, items[1:]):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
        if session.testsfailed:
            return _FAILED
    return _PASSED if items else _STRANGE


def start(session: pytest.Session, mutant: Mutant | None, tests: Sequence[str]) -> int:
    """Begin in a process of its own; its id."""
    pid = os.fork()
    if pid:
        return pid
    code = _STRANGE
    try:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        code = attempt(session, mutant, tests)
    finally:
        os._exit(code)


def run(session: pytest.Session, mutants: Iterable[Mutant], workers: int) -> Iterator[tuple[Mutant, bool]]:
    """Try all of them, some at a time; each with whether it was killed.

    Raises:
        RuntimeError: One could not be tried, or its tests did not come to a result.
    """
    left = iter(mutants)
    busy: dict[int, tuple[Mutant, float]] = {}
    while True:
        while len(busy) < workers and (mutant := next(left, None)) is not None:
            busy[start(session, mutant, mutant.subject.tests)] = mutant, time.monotonic() + WALL_SECONDS
        if not busy:
            return
        pid, status = _wait(busy)
        mutant, _ = busy.pop(pid)
        code = os.waitstatus_to_exitcode(status)
        if code == _STRANGE:
            raise RuntimeError(f"{mutant} could not be tried")
        yield mutant, code != _PASSED


def _wait(busy: dict[int, tuple[Mutant, float]]) -> tuple[int, int]:
    """The next one that ends, or whose time is over."""
    signal.setitimer(signal.ITIMER_REAL, max(0.1, min(until for _, until in busy.values()) - time.monotonic()))
    try:
        pid, status = os.waitpid(-1, 0)
    except TimeoutError:
        pid = min(busy, key=lambda each: busy[each][1])
        os.killpg(pid, signal.SIGKILL)
        return os.waitpid(pid, 0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return pid, status


def _late(number: int, frame: object) -> None:
    raise TimeoutError


def explained() -> dict[str, str]:
    """Why each known survivor does no harm, by its name."""
    return {item["mutant"]: item["why"] for item in tomllib.loads(SURVIVORS.read_text()).get("survivor", [])}


def main(arguments: Sequence[str] | None = None) -> int:
    """Try a sample, and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=0, help="How many mutants, drawn by the seed; 0 for all of them.")
    parser.add_argument("--seed", type=int, default=1, help="Which sample.")
    parser.add_argument("--only", default="", help="Only mutants in whose name this text is.")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="How many at a time.")
    parser.add_argument("--list", action="store_true", help="Say which, and do not try them.")
    parser.add_argument("--verbose", action="store_true", help="Tell of those that are killed too.")
    options = parser.parse_args(arguments)
    mutants = [mutant for mutant in every() if options.only in str(mutant)]
    if 0 < options.sample < len(mutants):
        mutants = random.Random(options.seed).sample(mutants, options.sample)
    if options.list:
        print(*mutants, sep="\n")
        return 0
    signal.signal(signal.SIGALRM, _late)
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
    collect(tries)
    if not tries.sound:
        print("the tests fail without any mutant", file=sys.stderr)
        return 2
    strange, total = survivors.count(""), killed + len(survivors)
    print(f"{killed} of {total} mutants killed ({100 * killed / max(total, 1):.1f} %), {len(survivors)} survived, {strange} of them not explained")
    return 1 if strange else 0


def collect(tries: Tries) -> None:
    """Have pytest collect what is needed, and go on with that."""
    os.chdir(ROOT)
    settings.register_profile("mutants", derandomize=True, database=None, phases=(Phase.explicit, Phase.generate), report_multiple_bugs=False)
    settings.load_profile("mutants")
    quick = f"not {' and not '.join(_SLOW)}"
    loaded = "ignore::pytest.PytestAssertRewriteWarning"  # hypothesis is
    files = list(dict.fromkeys(test for mutant in tries.mutants for test in mutant.subject.tests))
    plain = ["-x", "-q", "-s", "-p", "no:cacheprovider", "-p", "no:xdist", "-W", loaded, "-o", "timeout=60", "-k", quick]
    pytest.main([*files, *plain], plugins=[tries])


if __name__ == "__main__":
    sys.exit(main())
