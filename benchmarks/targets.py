"""What this engine promises, and whether it was met."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.figures import Figures, Results

KIBI = 1024


@dataclass(frozen=True)
class Verdict:
    """A target beside what was measured.

    Args:
        target: What is promised.
        measured: What was measured; empty when it was not.
        met: Whether that keeps the promise; None when it was not measured.
    """

    target: str
    measured: str
    met: bool | None


class _Missing(Exception):
    """Something was not measured."""


def judge(results: Results, leader: Sequence[dict[str, Any]]) -> list[Verdict]:
    """Every target, and whether it was met.

    Args:
        results: The trials.
        leader: The leader's own rows; see `benchmarks.leader`.
    """

    def get(case: str, subject: str = "ours") -> Figures:
        found = results.figures(case, subject)
        if found is None:
            raise _Missing
        return found

    verdicts = []
    for target, check in _targets(get, leader):
        try:
            measured, met = check()
        except _Missing:
            verdicts.append(Verdict(target, "", None))
        else:
            verdicts.append(Verdict(target, measured, met))
    return verdicts


_Check = Callable[[], tuple[str, bool]]


def _targets(get: Callable[..., Figures], leader: Sequence[dict[str, Any]]) -> Iterator[tuple[str, _Check]]:
    def most(value: float, bound: float, unit: str, scale: float = 1.0) -> tuple[str, bool]:
        return f"{value * scale:.3g} {unit}".strip(), value <= bound

    def rate(case: str, subject: str = "ours") -> float:
        found = get(case, subject).rate
        if found is None:
            raise _Missing
        return found

    def least(value: float, bound: float) -> tuple[str, bool]:
        return f"{value:,.0f} jobs/s", value >= bound

    def faster(subject: str) -> tuple[str, bool]:
        ours, dask, parsl = (rate("fan2000", key) for key in (subject, "dask", "parsl"))
        return f"{ours:,.0f}; Dask {dask:,.0f}, Parsl {parsl:,.0f} jobs/s", ours > max(dask, parsl)

    def hop() -> tuple[str, bool]:
        return most(get("chain").trial.least("hop_p50"), 0.003, "ms", 1e3)

    def worst(name: str, bound: float, unit: str) -> tuple[str, bool]:
        if not leader:
            raise _Missing
        of = {shape: max(row[name] for row in leader if row["shape"] == shape) for shape in dict.fromkeys(row["shape"] for row in leader)}
        return ", ".join(f"{shape} {value:.0f}" for shape, value in of.items()) + f" {unit}", max(of.values()) <= bound

    def durable() -> tuple[str, bool]:
        process, power = get("fan2000").cpu, get("fan2000", "power").cpu
        return f"{process * 1e3:.3g} and {power * 1e3:.3g} CPU-ms a job, {rate('fan2000'):,.0f} and {rate('fan2000', 'power'):,.0f} jobs/s", True

    yield "A durable isolated job costs at most 1.5 CPU-ms (20,000 jobs)", lambda: most(get("fan20000").cpu, 0.0015, "CPU-ms", 1e3)
    yield "… and at most 3 times a bare fork and wait", lambda: most(get("fan20000").cpu / get("fan20000", "fork").cpu, 3.0, "times")
    yield "… at 700 jobs/s or more on two idle cores", lambda: least(rate("fan20000"), 700)
    yield "Jobs that share processes: 10,000 jobs/s or more (20,000 jobs)", lambda: least(rate("fan20000", "shared"), 10_000)
    yield "The leader spends at most 60 CPU-µs on a job", lambda: worst("microseconds", 60.0, "CPU-µs")
    yield "… and holds at most 1 KiB of memory for it", lambda: worst("bytes", KIBI, "bytes")
    yield "More jobs/s than Dask and Parsl (2,000 jobs), each of ours in a process of its own", lambda: faster("ours")
    yield "… and in shared processes, as theirs", lambda: faster("shared")
    yield "From one link of a chain to the next at most 3 ms (median)", hop
    yield "`toil --help` costs at most 150 CPU-ms", lambda: most(get("help").cpu, 0.15, "CPU-ms", 1e3)
    yield "A workflow of one job costs at most 0.4 CPU-s", lambda: most(get("one").cpu, 0.4, "CPU-s")
    yield "Durability `process` and `power` are both measured (2,000 jobs)", durable
