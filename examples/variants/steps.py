"""The steps of the variants pipeline as plain functions: files in, files and counts out.

Nothing here knows of jobs, so each step can be called, tested and timed by itself;
`variants.py` puts them into a workflow.
"""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import mappy  # type: ignore[import-not-found]  # a compiled module without stubs
import pysam
import pysam.bcftools
import pysam.samtools

SAMPLE = "lambda"


@dataclass(frozen=True, slots=True)
class Trimming:
    """What trimming did: pairs and bases before and after."""

    pairs_in: int
    pairs_out: int
    bases_in: int
    bases_out: int


@dataclass(frozen=True, slots=True)
class Alignment:
    """How many reads (two for a pair) went in, were placed, and were placed as proper pairs."""

    reads: int
    aligned: int
    proper: int


@dataclass(frozen=True, slots=True)
class Variant:
    """One line of the VCF.

    Args:
        position: One-based, on the reference.
        reference, alternative: The alleles as the VCF has them.
        quality: Phred-scaled; how sure the caller is that there is a variant.
        depth: Reads over the position.
        support: Reads that show the alternative, and those that show either allele, as (support, counted).
        passed: Whether it passed the filter.
    """

    position: int
    reference: str
    alternative: str
    quality: float
    depth: int
    support: tuple[int, int]
    passed: bool

    @property
    def kind(self) -> str:
        """`SNV`, `deletion`, `insertion` or `complex`."""
        before, after = len(self.reference), len(self.alternative)
        if before == after:
            return "SNV" if before == 1 else "complex"
        return "deletion" if after < before else "insertion"


def trim(reads1: Path, reads2: Path, out1: Path, out2: Path, *, quality: int = 5, shortest: int = 30, cores: int = 1) -> Trimming:
    """Cut low-quality ends and unknown bases off the reads; drop pairs with a mate that gets too short.

    Args:
        reads1, reads2: The mates, FASTQ, plain or gzip.
        out1, out2: Where the trimmed mates go, FASTQ, gzip by the name.
        quality: Ends below it are cut (Phred).
        shortest: Pairs with a mate of fewer bases are dropped.
        cores: Processes that cutadapt may use.

    Raises:
        RuntimeError: cutadapt refused the reads; with what it said.
    """
    report = out1.with_name("cutadapt.json")
    options = ["--quality-cutoff", f"{quality},{quality}", "--trim-n", "--minimum-length", str(shortest), "--cores", str(cores)]
    files = ["--json", report, "--output", out1, "--paired-output", out2, reads1, reads2]
    command = [sys.executable, "-m", "cutadapt", "--quiet", *options, *map(str, files)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"cutadapt could not trim {reads1.name} and {reads2.name}: {done.stderr.strip()}")
    counts: dict[str, Any] = json.loads(report.read_text())
    reads, bases = counts["read_counts"], counts["basepair_counts"]
    return Trimming(reads["input"], reads["output"], bases["input"], bases["output"])


def unpack(reference: Path, out: Path) -> Path:
    """A plain-text copy of a FASTA file that may be gzip; `out`."""
    with reference.open("rb") as raw, out.open("wb") as plain:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        if packed:
            with gzip.open(raw) as unpacked:
                shutil.copyfileobj(unpacked, plain)
        else:
            shutil.copyfileobj(raw, plain)
    return out


def split(reads1: Path, reads2: Path, folder: Path, chunks: int) -> list[tuple[Path, Path]]:
    """Deal the pairs out into `chunks` pairs of plain FASTQ files of about equal size; mates stay together.

    There are never more chunks than pairs, so that no file is empty, and always at least one.
    """
    first, second = list(_records(reads1)), list(_records(reads2))
    if len(first) != len(second):
        raise ValueError(f"{reads1.name} has {len(first)} reads and {reads2.name} has {len(second)}: they are not mates")
    chunks = max(1, min(chunks, len(first)))
    bounds = accumulate([0] + [len(first) // chunks + (i < len(first) % chunks) for i in range(chunks)])
    made = []
    for number, (start, stop) in enumerate(pairwise(bounds)):
        paths = folder / f"chunk{number}_1.fastq", folder / f"chunk{number}_2.fastq"
        for path, records in zip(paths, (first, second), strict=True):
            path.write_text("".join(records[start:stop]))
        made.append(paths)
    return made


def _records(reads: Path) -> Iterator[str]:
    for name, sequence, quality in mappy.fastx_read(str(reads)):
        yield f"@{name}\n{sequence}\n+\n{quality}\n"


def align(reference: Path, reads1: Path, reads2: Path, bam: Path) -> Alignment:
    """Align pairs to the reference and write a sorted BAM with every read, placed or not."""
    # Short words, because many reads are short and full of errors.
    aligner = mappy.Aligner(str(reference), preset="sr", k=13, w=5)
    if not aligner:
        raise ValueError(f"{reference.name} is not a FASTA file with a sequence")
    header = _header({name: len(aligner.seq(name)) for name in aligner.seq_names})
    reads = aligned = proper = 0
    unsorted = bam.with_suffix(".unsorted.bam")
    with pysam.AlignmentFile(str(unsorted), "wb", header=header) as out:
        for mates in zip(mappy.fastx_read(str(reads1)), mappy.fastx_read(str(reads2)), strict=True):
            for segment in _place(aligner, header, mates):
                reads += 1
                aligned += not segment.is_unmapped
                proper += segment.is_proper_pair
                out.write(segment)
    pysam.samtools.sort("-o", str(bam), str(unsorted), catch_stdout=False)
    unsorted.unlink()
    return Alignment(reads, aligned, proper)


def _header(lengths: dict[str, int]) -> pysam.AlignmentHeader:
    return pysam.AlignmentHeader.from_dict(
        {
            "HD": {"VN": "1.6", "SO": "unsorted"},
            "SQ": [{"SN": name, "LN": length} for name, length in lengths.items()],
            "RG": [{"ID": SAMPLE, "SM": SAMPLE}],
        }
    )


def _place(
    aligner: mappy.Aligner, header: pysam.AlignmentHeader, mates: Sequence[tuple[str, str, str]]
) -> tuple[pysam.AlignedSegment, pysam.AlignedSegment]:
    """The two mates as records that know of each other."""
    hits: dict[int, Any] = {}
    for hit in aligner.map(mates[0][1], mates[1][1]):
        if hit.is_primary:
            hits.setdefault(hit.read_num, hit)
    first = _segment(header, mates[0], hits.get(1))
    second = _segment(header, mates[1], hits.get(2))
    first.is_read1 = second.is_read2 = True
    _introduce(first, second)
    return first, second


def _segment(header: pysam.AlignmentHeader, read: tuple[str, str, str], hit: Any) -> pysam.AlignedSegment:
    name, sequence, quality = read
    segment = pysam.AlignedSegment(header)
    segment.query_name = name
    segment.is_paired = True
    segment.set_tag("RG", SAMPLE)
    if hit is None:
        segment.is_unmapped = True
        segment.query_sequence = sequence
        segment.query_qualities = pysam.qualitystring_to_array(quality)
        return segment
    before, after = hit.q_st, len(sequence) - hit.q_en
    if hit.strand < 0:
        sequence, quality, before, after = mappy.revcomp(sequence), quality[::-1], after, before
        segment.is_reverse = True
    segment.query_sequence = sequence
    segment.query_qualities = pysam.qualitystring_to_array(quality)
    segment.reference_name = hit.ctg
    segment.reference_start = hit.r_st
    segment.mapping_quality = hit.mapq
    segment.cigarstring = (f"{before}S" if before else "") + hit.cigar_str + (f"{after}S" if after else "")
    segment.set_tag("NM", hit.NM)
    return segment


FARTHEST = 1000
"""Mates whose outer ends are farther apart, in bases, are not a proper pair."""


def _introduce(first: pysam.AlignedSegment, second: pysam.AlignedSegment) -> None:
    """Fill in what each mate's record says of the other."""
    for one, other in ((first, second), (second, first)):
        one.mate_is_unmapped = other.is_unmapped
        one.mate_is_reverse = other.is_reverse
        # A read that was not placed sorts beside its mate.
        anchor = one if other.is_unmapped else other
        if not anchor.is_unmapped:
            one.next_reference_id, one.next_reference_start = anchor.reference_id, anchor.reference_start
            if one.is_unmapped:
                one.reference_id, one.reference_start = anchor.reference_id, anchor.reference_start
    if first.is_unmapped or second.is_unmapped or first.reference_id != second.reference_id:
        return
    left, right = sorted((first, second), key=lambda segment: (segment.reference_start, segment.is_reverse))
    length = max(_end(left), _end(right)) - left.reference_start
    left.template_length, right.template_length = length, -length
    inward = not left.is_reverse and right.is_reverse
    first.is_proper_pair = second.is_proper_pair = inward and length <= FARTHEST


def _end(segment: pysam.AlignedSegment) -> int:
    return segment.reference_end or segment.reference_start


def merge(bams: Iterable[Path], bam: Path) -> Path:
    """Merge sorted BAM files into one and index it; the path of the index."""
    pysam.samtools.merge("-f", "-c", "-p", "-o", str(bam), *map(str, bams), catch_stdout=False)
    index = bam.with_name(f"{bam.name}.bai")
    pysam.samtools.index("-o", str(index), str(bam), catch_stdout=False)
    return index


def call(reference: Path, bam: Path, vcf: Path, *, quality: int = 20, support: int = 3) -> Path:
    """Pile the reads up, call the variants of a haploid genome and mark the weak ones; the path of the VCF's index.

    Args:
        reference: FASTA, plain text.
        bam: Sorted and indexed.
        vcf: Where the calls go, bgzip.
        quality: Calls below it are marked `LOWQUAL`.
        support: So are calls that fewer reads show.
    """
    pile, calls, normal = (vcf.with_name(name) for name in ("pile.bcf", "calls.bcf", "normal.bcf"))
    bcftools = pysam.bcftools
    _quietly(bcftools.mpileup, "-Ou", "-a", "FORMAT/AD,FORMAT/DP", "-f", reference, "-o", pile, bam)
    _quietly(bcftools.call, "-m", "-v", "--ploidy", "1", "-Ou", "-o", calls, pile)
    _quietly(bcftools.norm, "-f", reference, "-Ou", "-o", normal, calls)
    weak = f"QUAL<{quality} || FORMAT/AD[0:1]<{support}"
    _quietly(bcftools.filter, "-s", "LOWQUAL", "-e", weak, "-Oz", "-o", vcf, normal)
    index = vcf.with_name(f"{vcf.name}.tbi")
    _quietly(bcftools.index, "-f", "-t", "-o", index, vcf)
    for path in (pile, calls, normal):
        path.unlink()
    return index


def _quietly(command: Callable[..., object], *arguments: object) -> None:
    command(*map(str, arguments), catch_stdout=False)


def depths(bam: Path) -> list[int]:
    """How many reads cover each base of the first reference sequence."""
    with pysam.AlignmentFile(str(bam)) as opened:
        length = opened.lengths[0]
        steps = [0] * (length + 1)
        for segment in opened:
            if segment.is_unmapped or segment.reference_id != 0:
                continue
            for start, stop in segment.get_blocks():
                steps[start] += 1
                steps[stop] -= 1
    return list(accumulate(steps))[:length]


def variants(vcf: Path) -> list[Variant]:
    """The calls of a VCF in the order of the reference, the filtered ones too."""
    found = []
    with pysam.VariantFile(str(vcf)) as opened:
        for record in opened:
            counts = record.samples[0]["AD"]
            for alternative, support in zip(record.alts or (), counts[1:], strict=True):
                passed = "PASS" in record.filter
                evidence = (support, sum(counts))
                found.append(Variant(record.pos, record.ref or "", alternative, record.qual or 0.0, record.info["DP"], evidence, passed))
    return found
