"""The variants example against computations that share nothing with it.

The program trims with cutadapt, aligns with mappy and calls with bcftools. Here the reads are trimmed by ten lines of
Python and placed by edlib's exhaustive search of the whole genome, and the calls are judged by which of two haplotypes
each read fits better. A second run, against a reference that we altered, must find exactly what we altered.
"""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from toil_core.testing.needs import library

edlib, pysam = library("edlib"), library("pysam")
for tool in ("mappy", "cutadapt"):
    library(tool)

EXAMPLE = Path(__file__).parents[2] / "examples" / "variants"
DATA = EXAMPLE / "data"
COMPLEMENT = str.maketrans("ACGTN", "TGCAN")
Key = tuple[str, int]
"""A read: its pair's name, and 1 or 2."""


def reverse(sequence: str) -> str:
    return sequence.translate(COMPLEMENT)[::-1]


def genome() -> str:
    return "".join(gzip.decompress((DATA / "lambda.fa.gz").read_bytes()).decode().split("\n")[1:])


def raw_reads() -> Iterator[tuple[Key, str, str]]:
    for mate in (1, 2):
        lines = gzip.decompress((DATA / f"reads_{mate}.fq.gz").read_bytes()).decode().split("\n")
        for i in range(0, len(lines) - 1, 4):
            yield (lines[i][1:], mate), lines[i + 1], lines[i + 3]


def cut(qualities: list[int], threshold: int) -> int:
    """How many bases stay when the end is cut where the sum of (threshold - quality), taken from the end, is largest."""
    best, total, stay = 0, 0, len(qualities)
    for i in range(len(qualities) - 1, -1, -1):
        total += threshold - qualities[i]
        if total < 0:
            break
        if total > best:
            best, stay = total, i
    return stay


def trimmed() -> dict[Key, tuple[str, str]]:
    """The pairs of which both mates keep 30 bases: ends below quality 5 and unknown bases at the ends are cut."""
    kept = {}
    for key, sequence, quality in raw_reads():
        scores = [ord(letter) - 33 for letter in quality]
        start, stop = len(scores) - cut(scores[::-1], 5), cut(scores, 5)
        sequence, quality = (sequence[start:stop], quality[start:stop]) if start < stop else ("", "")
        left = len(sequence) - len(sequence.lstrip("N"))
        sequence, quality = sequence[left:].rstrip("N"), quality[left : left + len(sequence[left:].rstrip("N"))]
        if len(sequence) >= 30:
            kept[key] = sequence, quality
    return {key: read for key, read in kept.items() if (key[0], 3 - key[1]) in kept}


@dataclass(frozen=True)
class Placed:
    """A read as it lies on the genome: bases and qualities in the genome's direction, and where it may end up."""

    key: Key
    sequence: str
    scores: list[int]
    backwards: bool
    spans: list[tuple[int, int]]


def place(reads: dict[Key, tuple[str, str]], reference: str, near: dict[Key, Placed] | None = None) -> dict[Key, Placed]:
    """Every read that fits somewhere with at most one error in four bases, by exhaustive search of both strands.

    Args:
        reads: The reads.
        reference: The genome.
        near: Where each was before the genome was changed; then it is looked for up to a thousand bases from there.
    """
    found = {}
    for key, (sequence, quality) in reads.items():
        most = len(sequence) // 4
        low = max(0, near[key].spans[0][0] - 1000) if near else 0
        part = reference[low : near[key].spans[0][1] + 1000] if near else reference
        for backwards in (False, True):
            turned, scores = (reverse(sequence), quality[::-1]) if backwards else (sequence, quality)
            fit = edlib.align(turned, part, mode="HW", task="locations", k=most)
            if fit["editDistance"] >= 0:
                most = fit["editDistance"] - 1
                spans = [(low + start, low + stop + 1) for start, stop in fit["locations"]]
                found[key] = Placed(key, turned, [ord(letter) - 33 for letter in scores], backwards, spans)
            if most < 0:
                break
    return found


def run(folder: Path, *options: str) -> str:
    """Run the program in a new process; what it printed."""
    command = [sys.executable, str(EXAMPLE / "variants.py"), f"file:{folder / 'store'}", "--output", str(folder / "results"), *options]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return done.stdout


def calls(folder: Path) -> list[tuple[int, str, str]]:
    """The calls that passed: zero-based start, reference and alternative."""
    with pysam.VariantFile(str(folder / "results" / "variants.vcf.gz")) as vcf:
        return [(record.start, record.ref, record.alts[0]) for record in vcf if "PASS" in record.filter]


def apply(reference: str, variants: list[tuple[int, str, str]]) -> str:
    """The genome that the variants, none of which overlap, make of the reference."""
    for start, before, after in sorted(variants, reverse=True):
        assert reference[start : start + len(before)] == before
        reference = reference[:start] + after + reference[start + len(before) :]
    return reference


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("variants")
    (made / "stdout").write_text(run(made))
    return made


@pytest.fixture(scope="module")
def placed() -> dict[Key, Placed]:
    return place(trimmed(), genome())


def records(folder: Path) -> dict[Key, Any]:
    with pysam.AlignmentFile(str(folder / "results" / "aligned.bam")) as bam:
        return {(record.query_name, 2 if record.is_read2 else 1): record for record in bam}


def test_exactly_the_reads_that_survive_trimming_are_in_the_bam(folder: Path) -> None:
    kept, found = trimmed(), records(folder)
    assert {key: sequence for key, (sequence, _) in kept.items()} == {key: record.get_forward_sequence() for key, record in found.items()}
    with pysam.AlignmentFile(str(folder / "results" / "aligned.bam")) as bam:
        assert sum(1 for _ in bam) == len(found)


def test_reads_lie_where_an_exhaustive_search_puts_them(folder: Path, placed: dict[Key, Placed]) -> None:
    aligned = {key: record for key, record in records(folder).items() if not record.is_unmapped}
    assert len(aligned) >= 0.98 * len(placed)
    both = aligned.keys() & placed.keys()
    assert len(both) >= 0.99 * len(aligned)

    def agrees(key: Key) -> bool:
        record, other = aligned[key], placed[key]
        overlaps = any(start < record.reference_end and record.reference_start < stop for start, stop in other.spans)
        return bool(record.is_reverse == other.backwards and overlaps)

    assert sum(map(agrees, both)) >= 0.998 * len(both)


def test_the_bam_is_sorted_and_its_index_finds_reads(folder: Path) -> None:
    everything = [record for record in records(folder).values() if record.reference_start >= 0]
    with pysam.AlignmentFile(str(folder / "results" / "aligned.bam")) as bam:
        starts = [record.reference_start for record in bam.fetch()]
        assert starts == sorted(starts) and len(starts) == len(everything)
        overlapping = sum(1 for record in bam.fetch(bam.references[0], 20_000, 21_000) if not record.is_unmapped)
    assert overlapping == sum(
        not record.is_unmapped and record.reference_start < 21_000 and record.reference_end > 20_000 for record in everything
    )


def test_reads_over_each_variant_fit_the_genome_with_it_better_than_without(folder: Path, placed: dict[Key, Placed]) -> None:
    reference, found = genome(), calls(folder)
    assert len(found) >= 80
    for variant in found:
        start, before, _ = variant
        low, high = max(0, start - 400), min(len(reference), start + 400)
        near = [(at - low, old, new) for at, old, new in found if low <= at and at + len(old) <= high]
        with_it = apply(reference[low:high], near)
        without = apply(reference[low:high], [other for other in near if other[0] != start - low])
        votes: Counter[int] = Counter()
        for read in placed.values():
            first, last = read.spans[0]
            if low <= first and last <= high and first < start + len(before) and start < last:
                distances = [edlib.align(read.sequence, haplotype, mode="HW")["editDistance"] for haplotype in (with_it, without)]
                votes[(distances[0] < distances[1]) - (distances[0] > distances[1])] += 1
        assert votes[1] >= 3 and votes[1] > 3 * votes[-1], (variant, votes)


def differences(reads: dict[Key, Placed], reference: str) -> set[int]:
    """Where at least four fragments are known and seven in ten differ from the reference: a naive pile-up."""
    columns: dict[int, dict[str, str]] = defaultdict(dict)
    for read in reads.values():
        if len(read.spans) > 1:
            continue
        position, i = read.spans[0][0], 0
        path = edlib.align(read.sequence, reference[position : read.spans[0][1]], mode="NW", task="path")
        if path["editDistance"] > 0.1 * len(read.sequence):
            continue
        for count, operation in re.findall(r"(\d+)([=XID])", path["cigar"]):
            for _ in range(int(count)):
                if operation == "D" or (operation in "=X" and read.scores[i] >= 10):
                    columns[position][read.key[0]] = "-" if operation == "D" else read.sequence[i]
                position += operation != "I"
                i += operation != "D"
    return {
        position
        for position, bases in columns.items()
        if len(bases) >= 4 and sum(base != reference[position] for base in bases.values()) >= 0.7 * len(bases)
    }


def test_hardly_a_difference_is_left_when_the_calls_are_applied(folder: Path, placed: dict[Key, Placed]) -> None:
    reads = trimmed()
    before = differences(placed, genome())
    corrected = apply(genome(), calls(folder))
    after = differences(place({key: reads[key] for key, read in placed.items() if len(read.spans) == 1}, corrected, placed), corrected)
    assert len(before) >= 80
    assert len(after) <= 2, sorted(after)


def spike(reference: str, placed: dict[Key, Placed], avoid: list[int]) -> list[tuple[int, str, str]]:
    """Single-base changes, each where eight good reads agree with the reference and far from variants and each other."""
    good: Counter[int] = Counter()
    for read in placed.values():
        if len(read.spans) == 1 and read.spans[0][1] - read.spans[0][0] == len(read.sequence):
            start = read.spans[0][0]
            good.update(
                start + i
                for i, (base, score) in enumerate(zip(read.sequence, read.scores, strict=True))
                if score >= 20 and base == reference[start + i]
            )
    chosen: list[tuple[int, str, str]] = []
    taken = list(avoid)
    for position in range(200, len(reference) - 200, 37):
        if good[position] >= 8 and all(abs(position - other) > 200 for other in taken):
            chosen.append((position, reference[position], "ACGT"["CGTA".index(reference[position])]))
            taken.append(position)
    return chosen


def test_exactly_the_changes_that_we_made_to_the_reference_are_found(folder: Path, placed: dict[Key, Placed], tmp_path: Path) -> None:
    reference, natural = genome(), calls(folder)
    changes = spike(reference, placed, [start for start, _, _ in natural])
    assert len(changes) >= 40
    altered = tmp_path / "altered.fa"
    altered.write_text(f">altered\n{apply(reference, changes)}\n")
    run(tmp_path, "--reference", str(altered), "--chunks", "3")
    found = set(calls(tmp_path))
    truth = {(position, new, old) for position, old, new in changes}
    assert truth <= found
    assert found - truth == set(natural)


def test_it_prints_where_the_results_are_and_the_counts(folder: Path) -> None:
    printed = (folder / "stdout").read_text()
    aligned = sum(not record.is_unmapped for record in records(folder).values())
    assert str(folder / "results") in printed
    assert f"{aligned:,} of {len(trimmed()):,}" in printed
    assert re.search(rf"variants found:\s+{len(calls(folder))}\b", printed)
    assert (folder / "results" / "summary.txt").read_text() in printed
    page = (folder / "results" / "summary.html").read_text()
    assert f"{aligned:,}" in page and "<svg" in page
    with pysam.VariantFile(str(folder / "results" / "variants.vcf.gz")) as vcf:
        assert page.count("<tr") == 1 + sum(1 for _ in vcf)
