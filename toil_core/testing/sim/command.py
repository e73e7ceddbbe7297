"""`toil-sim`: runs of a simulated world, by seed."""

from __future__ import annotations

import argparse
import difflib
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import msgspec

from toil_core.cli import guarded
from toil_core.testing.sim import many
from toil_core.testing.sim.case import Case, case_of, jobs_of
from toil_core.testing.sim.chance import Fault
from toil_core.testing.sim.conditions import Report
from toil_core.testing.sim.scenarios import BEYOND, SCENARIOS, SHAPE, Scenario, named
from toil_core.testing.sim.shapes import SHAPES
from toil_core.testing.sim.shrink import shrink
from toil_core.testing.sim.smaller import smallest

_EPILOG = """\
One run prints its trace's hash, many runs print one of all their traces; both are the same on every machine and every supported Python. What
went wrong on purpose is printed too. When something that must hold does not, faults are taken away until only those are left that matter, and
then jobs. What is left of the workflow, what happened in it and a command that runs it again are printed.

Ctrl-C ends many runs at the next that can be waited for, tells what came of those before, and how to go on; a second one ends them at once.

exit codes: 0 when everything held, 1 when something did not, 2 when the command cannot be understood, 130 when it was stopped.
"""

_NOT_BESIDE = {
    "replay": ("list", "crashes", "runs", "scenario", "seed", "processes"),
    "list": ("crashes", "runs", "scenario", "seed", "processes", "trace"),
    "crashes": ("runs", "seed"),
}
"""Of each of these options, those that mean nothing beside it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The console script.

    Args:
        arguments: What the user typed; the process's arguments if not given.

    Returns:
        0, or 1 when an invariant does not hold or nothing can be printed, or 130 after Ctrl-C.
    """
    parser = _parser()
    given = parser.parse_args(arguments)
    _together(parser, given)
    if given.sample and not given.crashes:
        parser.error("--sample goes with --crashes")
    if given.trace and (given.crashes or given.runs > 1):
        parser.error("--trace goes with one run; of many, run again the one that went wrong")
    return guarded(lambda: _do(parser, given))


def _do(parser: argparse.ArgumentParser, given: argparse.Namespace) -> int:
    if given.list:
        _list()
        return 0
    if given.replay is not None:
        return _again(parser, given)
    if given.crashes:
        return _many(many.deaths(given.crashes, given.processes, given.sample, _shapes(parser, given.scenario)), given)
    if given.runs > 1:
        _scenario(parser, given.scenario)
        return _many(many.seeds(given.scenario, range(given.seed, given.seed + given.runs), given.processes), given)
    return _one(_scenario(parser, given.scenario), given)


def _together(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """Refuse options that would say nothing beside others."""
    for first, others in _NOT_BESIDE.items():
        if getattr(given, first) == parser.get_default(first):
            continue
        for other in others:
            if getattr(given, other) != parser.get_default(other):
                parser.error(f"--{first} and --{other} do not go together")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "toil-sim",
        description="Run workflows in a simulated world, where leaders, workers, machines and the job store fail by the numbers of a seed.",
        epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
    )  # fmt: skip
    parser.add_argument("--seed", type=_count(0), default=1, metavar="N", help="what everything random is derived from (default: 1)")
    parser.add_argument("--scenario", default="swarm", metavar="S", help="what is simulated; --list tells what there is (default: swarm)")
    parser.add_argument("--list", action="store_true", help="list the scenarios and leave")
    parser.add_argument("--trace", action="store_true", help="print everything that happened")
    parser.add_argument("--no-shrink", action="store_true", help="do not look for fewer faults and a smaller workflow with which it goes wrong too")
    parser.add_argument("--replay", metavar="RUN", help="run again what was told when something had gone wrong, in the place of --scenario and --seed")
    parser.add_argument("--runs", type=_count(1), default=1, metavar="N", help="run this many seeds, from --seed on")
    parser.add_argument(
        "--crashes", type=_count(1), metavar="N",
        help="let leaders of small workflows die this many times, in every possible way; of all of them, or of --scenario shape:NAME,NAME",
    )  # fmt: skip
    parser.add_argument("--sample", type=_count(1), metavar="N", help="with --crashes: only so many ways of each workflow")
    parser.add_argument("--processes", type=_count(1), default=1, metavar="N", help="use this many processes for many runs (default: 1)")
    return parser


def _count(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isascii() or not text.isdecimal() or len(text) > 18 or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text[:30]!r} is no whole number from {least} on, with 18 digits at most")
        return int(text)

    return parse


def _scenario(parser: argparse.ArgumentParser, name: str) -> Scenario:
    try:
        return named(name)
    except KeyError:
        every = [*SCENARIOS, *BEYOND, *(SHAPE + shape for shape in SHAPES)]
        close = difflib.get_close_matches(name.lower(), every, 1) or difflib.get_close_matches(SHAPE + name, every, 1)
        parser.error(f"there is no scenario {name!r}; {f'do you mean {close[0]!r}? ' if close else ''}`toil-sim --list` names all")


def _shapes(parser: argparse.ArgumentParser, names: str) -> list[str]:
    """The small workflows that are named, between commas; all when none is."""
    if names == "swarm":
        return list(SHAPES)
    shapes = names.removeprefix(SHAPE).split(",")
    for shape in shapes:
        _scenario(parser, SHAPE + shape)
    return shapes


def _list() -> None:
    width = max(map(len, (*SCENARIOS, *BEYOND)))
    for scenario in (*SCENARIOS.values(), *BEYOND.values()):
        print(f"{scenario.name:{width}}  {scenario.about}")
    print(f"\n{SHAPE}NAME, a small workflow in the swarm's world, where NAME is one of")
    line = " "
    for name in SHAPES:
        if len(line) + len(name) > 100:
            print(line)
            line = " "
        line += f" {name}"
    print(line)


def _one(scenario: Scenario, given: argparse.Namespace) -> int:
    world = scenario.world(given.seed)
    report = world.run()
    _tell_run(report, given)
    if not report.broken:
        return 0
    if not given.no_shrink:
        report = shrink(report.faults, lambda faults: scenario.world(given.seed, faults).run())
        print(f"\nThe same goes wrong with {len(report.faults)} of these faults:")
        _tell_faults(report.faults)
        _tell_smallest(Case(given.seed, jobs_of(world.program), tuple(report.faults), scenario.name))
    return 1


def _again(parser: argparse.ArgumentParser, given: argparse.Namespace) -> int:
    """Run what was told in full."""
    try:
        case = case_of(given.replay)
    except ValueError as error:
        parser.error(f"--replay: {error}")
    report = case.world().run()
    _tell_run(report, given)
    if report.broken and not given.no_shrink:
        _tell_smallest(case)
    return 1 if report.broken else 0


def _tell_smallest(case: Case) -> None:
    """Look for a smaller workflow in which the same goes wrong, and tell it."""
    print("looking for the smallest workflow", file=sys.stderr, flush=True)
    small, report = smallest(case)
    print(f"\nThe same goes wrong with {len(small.jobs)} of {len(case.jobs)} jobs and {len(small.faults)} faults:")
    for job in small.jobs:
        print(f"  {msgspec.json.encode(job).decode()}")
    _tell_faults(small.faults)
    print(*report.trace, report.broken, f"run it again with: {small.command}", sep="\n")


def _tell_run(report: Report, given: argparse.Namespace) -> None:
    _tell(report)
    if given.trace:
        print("\n".join(report.trace))


def _tell(report: Report) -> None:
    print(f"trace {report.digest}: {len(report.trace)} lines, {report.seconds:.0f} s, {report.leaders} leaders, {len(report.faults)} faults")
    _tell_faults(report.faults)
    print(report.broken and f"BROKEN: {report.broken}" or "everything held")


def _tell_faults(faults: Sequence[Fault]) -> None:
    for fault in faults:
        print(f"  {fault.kind}: {fault.site}")


def _many(parts: Iterator[many.Sum], given: argparse.Namespace) -> int:
    with _stops() as stopped:
        return _add_up(parts, given, stopped)


def _add_up(parts: Iterator[many.Sum], given: argparse.Namespace, stopped: Sequence[int]) -> int:
    every = many.Sum()
    live = sys.stderr.isatty()
    for part in parts:
        every.add(part)
        if stopped and not given.crashes and every.runs < given.runs:
            print(f"stopped; go on with: toil-sim --scenario {given.scenario} --seed {given.seed + every.runs} --runs {given.runs - every.runs}")
        for name, broken in part.broken:
            print(f"{'' if not live else chr(13)}BROKEN {name}: {broken}", flush=True)
        if part.of:
            print(f"{'' if not live else chr(13)}{part.of}: {part.runs:,} ways, {part.cost:.1f} s of processor time", flush=True)
        if live:
            print(f"\r{every.runs:,} runs", end="", file=sys.stderr, flush=True)
        if stopped:
            break
    if live:
        print(file=sys.stderr)
    print(f"{every.runs:,} runs, {every.faults.total():,} faults, {every.leaders:,} leaders, {every.seconds / 86400:,.1f} days of simulated time")
    print(f"traces {every.traces:016x}")
    for kind, count in sorted(every.faults.items(), key=lambda item: -item[1]):
        print(f"  {kind}: {count:,}")
    print(f"{len(every.broken):,} went wrong" if every.broken else "everything held")
    return 1 if every.broken else 130 if stopped else 0


@contextmanager
def _stops() -> Iterator[list[int]]:
    """Gives what has something in it once Ctrl-C was pressed; the next time that ends everything."""
    signals: list[int] = []

    def asked(number: int, frame: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signals.append(number)

    former = signal.signal(signal.SIGINT, asked)
    try:
        yield signals
    finally:
        signal.signal(signal.SIGINT, former)
