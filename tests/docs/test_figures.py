"""What the pages about reliability and the protocol count is counted again, so that they cannot go stale; figures of machines and of long searches are not."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields

import pytest

from tests.docs.blocks import ROOT
from tests.leader import test_graph_machine as machine
from tests.protocol.model import Rules
from tests.testing.sim import test_faults, test_in_process, test_invariants, test_sensitivity, test_swarm
from toil_core.testing import job_store_model
from toil_core.testing.sim.crashes import crashed
from toil_core.testing.sim.scenarios import SCENARIOS
from toil_core.testing.sim.shapes import SHAPES
from tools.mutants import every

PAGE = (ROOT / "docs" / "reliability.md").read_text()
PROTOCOL = (ROOT / "docs" / "protocol.md").read_text()
WORDS = {1: "one", 5: "five", 9: "nine", 12: "twelve", 14: "fourteen"}
PROMISES = {
    "no job is lost": ("and does not count for the next leader", "at the end there are"),
    "each job takes effect once": ("starts again in", "has taken effect twice", "over another blob"),
    "a job starts only when its predecessors' commits can be read": ("starts before the commits of", "is not given the value of"),
    "at most one leader's checkpoints count": ("after one of epoch",),
    "a restart is a fixpoint": ("comes to something else than the first", "has another outcome", "a restart after the end runs jobs"),
    "no file that is needed is removed, and none that is not is kept past the sweep": (
        "is gone", "which is needed", "which a restart needs", "is needed and was deleted", "was kept although it was deleted",
        "is of an attempt that does not count, and was kept",
    ),
    "what runs on a machine never has more than there is": ("of node", "set aside"),
    "a machine that is lost or taken away uses up no try, and neither does one that does not reach the job store": ("that were its own fault",),
    "bytes that were cut short or altered are never used": ("the outcome is another", "the outcome lacks the value of"),
    "when nothing goes wrong any more, everything ends in bounded time": ("after the beginning",),
    "no secret is in a log or a blob": ("writes a secret to", "a secret is logged"),
}  # fmt: skip
"""Of each promise, the invariants of the simulated world that check it."""


def rows(page: str, heading: str) -> list[list[str]]:
    """The cells of the first table after a heading, without its head."""
    lines = page.split(f"\n{heading}\n", 1)[1].splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("|"))
    table = [line for line in lines[first:] if line.startswith("|") or not line]
    table = table[: table.index("")] if "" in table else table
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table[2:]]


def said(count: int) -> str:
    """A number in words, as the pages write some."""
    return WORDS[count]


def searched(part: str) -> str:
    """What the table of searches says in the row of which this is part."""
    (found,) = [row for row in rows(PAGE, "## How it is searched") if part in " ".join(row)]
    return " | ".join(found)


def test_each_promise_is_checked_and_each_check_is_of_a_promise() -> None:
    assert [row[0] for row in rows(PAGE, "## The promises")] == list(PROMISES)
    told = [words for each in PROMISES.values() for words in each]
    assert len(told) == len(set(told))
    assert set(told) == {*test_invariants.FIRES, *test_invariants.TOLD_BEFORE}


@pytest.mark.parametrize(
    ("row", "figure"),
    [
        ("a mix of faults for each run", f"{test_swarm.RUNS:,} runs with each change"),
        ("in the tests' own process", f"{len(SHAPES) + test_in_process.EACH * len(SCENARIOS)} runs, and {len(test_in_process.DROPPED)} in which"),
        ("faults of one sort each", f"{test_swarm.ONE_SORT_RUNS} runs of each of {said(len(test_swarm.ONE_SORT))} scenarios"),
        ("a leader that dies, at every place", f"in {len(SHAPES)} small workflows"),
        ("two deaths", f"{test_swarm.TWO_CRASHES} placements of each workflow"),
        ("engines that are wrong on purpose", said(len(test_sensitivity.WRONG))),
        ("every fault happens", f"{len(test_faults.BITES)} kinds"),
        ("every invariant can fail", f"{len(test_invariants.FIRES)}, all but {said(len(test_invariants.TOLD_BEFORE))} that an earlier one always tells before"),
        ("the graph as a state machine", f"{said(len(machine.WRONG))} graphs that are wrong on purpose"),
        ("the graph as a state machine", f"{machine.SEQUENCES} sequences"),
        ("against a dictionary", f"{inspect.signature(job_store_model.search).parameters['examples'].default} sequences of each store"),
    ],
)  # fmt: skip
def test_what_is_searched_is_so_much(row: str, figure: str) -> None:
    assert figure in searched(row)


def test_so_many_places_for_a_death() -> None:
    places = sum(len(crashed(shape).crashes) for shape in SHAPES)
    assert f"about {round(places, -3):,} runs" in searched("a leader that dies, at every place")


@pytest.mark.parametrize(
    "figure",
    [
        f"more than {len(SHAPES) // 10 * 10}\nsmall workflows",
        f"happens in the first {test_faults.SWARM} seeds of the swarm",
        f"placements in the {len(SHAPES)} workflows",
    ],
)
def test_the_page_says_so_elsewhere_too(figure: str) -> None:
    assert figure in PAGE


@pytest.mark.parametrize("page", ["reliability.md", "protocol.md"])
def test_the_tests_and_files_that_a_page_names_are_there(page: str) -> None:
    text = (ROOT / "docs" / page).read_text()
    sources = [path.read_text() for folder in ("tests", "toil_core/testing") for path in (ROOT / folder).rglob("*.py")]
    tests = set(re.findall(r"`(test_\w+)(?:\[[^]`]*\])?`", text))
    assert tests and not {name for name in tests if not any(f"def {name}(" in source for source in sources)}
    files = set(re.findall(r"`((?:\w+/)*\w+\.(?:py|toml))`", text))
    folders = (ROOT, ROOT / "tests" / "testing" / "sim", ROOT / "toil_core" / "testing" / "sim")
    assert files and not {name for name in files if not any((folder / name).exists() for folder in folders)}


def samples() -> list[tuple[int, int]]:
    """Of each fresh sample of mutants that the page about the protocol tells of, in their order: how many, and how many were killed at first."""
    found = re.findall(r"sample (?:of \d+ )?\(`--sample (\d+) --seed \d+`\)[^.]*? (\d+) were\s+killed", PROTOCOL)
    return [(int(tried), int(killed)) for tried, killed in found]


def test_both_pages_tell_the_same_of_the_latest_samples_of_mutants() -> None:
    latest = samples()[-3:]
    (tried,) = {tried for tried, _ in latest}
    killed = [str(killed) for _, killed in latest]
    shares = [f"{100 * killed / tried:.0f}" for _, killed in latest]
    told = f"of the three latest samples of {tried} each, {', '.join(killed[:-1])} and {killed[-1]} killed at first](protocol.md#mutants), {', '.join(shares[:-1])} and {shares[-1]} %"
    assert told in searched("mutants of the graph's")
    total, dead = sum(tried for tried, _ in latest), sum(killed for _, killed in latest)
    assert f"of the last three together {dead} of {total}, {100 * dead / total:.1f} %" in PROTOCOL


def test_so_many_mutants_and_rules() -> None:
    assert f"some {round(len(every()), -2):,} mutants" in PROTOCOL
    assert f"**Each rule is needed.** {said(len(fields(Rules))).capitalize()} rules can be switched off" in PROTOCOL
