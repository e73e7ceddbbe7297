"""From the reads of phage lambda to a list of variants.

    python examples/variants/variants.py LOCATOR [--chunks 8] [--output FOLDER] [any option of the engine]

LOCATOR says where the job store is, for instance `file:variants-store`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import steps
import summary
from steps import Alignment, Trimming

from toil_core import File, Job, Toil, job
from toil_core.errors import BadOption, Interrupted, ToilError, UsageError
from toil_core.leader.options import EngineOptions

DATA = Path(__file__).resolve().parent / "data"

MIB = 1 << 20
SPARE = 64 * MIB
"""Disk for what does not grow with the reads."""


@dataclass(frozen=True, slots=True)
class Trimmed:
    """Trimmed mates, and what trimming did."""

    reads1: File
    reads2: File
    counts: Trimming


@dataclass(frozen=True, slots=True)
class Aligned:
    """A sorted BAM, and how many of its reads are aligned."""

    bam: File
    counts: Alignment


@dataclass(frozen=True, slots=True)
class Indexed:
    """A file and its index."""

    file: File
    index: File


@dataclass(frozen=True, slots=True)
class Results:
    """What the workflow makes: files to export, and what to tell the user."""

    bam: Indexed
    vcf: Indexed
    page: File
    text: str

    def files(self) -> Iterator[File]:
        """Every file to export."""
        yield from (self.bam.file, self.bam.index, self.vcf.file, self.vcf.index, self.page)


@job(cores=1, memory="128 MiB")
def trim(job: Job[Any], reads1: File, reads2: File) -> Trimmed:
    """Cut the bad ends off the reads."""
    out1, out2 = Path("trimmed_1.fq.gz"), Path("trimmed_2.fq.gz")
    counts = steps.trim(job.files.read(reads1), job.files.read(reads2), out1, out2)
    return Trimmed(job.files.write(out1, move=True), job.files.write(out2, move=True), counts)


@job(cores=1)
def deal(job: Job[Any], trimmed: Trimmed, reference: File, chunks: int) -> list[Aligned]:
    """Deal the pairs out into chunks and have each aligned by a job of its own."""
    parts = steps.split(job.files.read(trimmed.reads1), job.files.read(trimmed.reads2), Path(), chunks)
    aligned = []
    for part in parts:
        mates = [job.files.write(path, move=True) for path in part]
        needs = align.requiring(disk=4 * sum(mate.size for mate in mates) + SPARE)
        aligned.append(job.add_child(needs(reference, *mates)).rv())
    return aligned


@job(cores=1, memory="128 MiB")
def align(job: Job[Any], reference: File, reads1: File, reads2: File) -> Aligned:
    """Align one chunk of pairs and sort what comes out."""
    bam = Path("chunk.bam")
    counts = steps.align(job.files.read(reference), job.files.read(reads1), job.files.read(reads2), bam)
    job.files.delete(reads1)
    job.files.delete(reads2)
    return Aligned(job.files.write(bam, move=True), counts)


@job(cores=1, memory="128 MiB")
def merge(job: Job[Any], parts: list[Aligned]) -> Indexed:
    """Merge the chunks into one sorted BAM with an index."""
    bam = Path("aligned.bam")
    index = steps.merge([job.files.read(part.bam) for part in parts], bam)
    for part in parts:
        job.files.delete(part.bam)
    return Indexed(job.files.write(bam, move=True), job.files.write(index, move=True))


@job(cores=1, memory="256 MiB")
def call(job: Job[Any], reference: File, bam: File) -> Indexed:
    """Pile the reads up and call the variants."""
    vcf = Path("variants.vcf.gz")
    index = steps.call(job.files.copy(reference), job.files.read(bam), vcf)
    return Indexed(job.files.write(vcf, move=True), job.files.write(index, move=True))


@job(cores=1, memory="256 MiB", disk="64 MiB")
def summarise(job: Job[Any], trimming: Trimming, parts: list[Aligned], bam: Indexed, vcf: Indexed) -> Results:
    """Add the counts up and write the page that a person reads."""
    counts = [part.counts for part in parts]
    alignment = Alignment(sum(c.reads for c in counts), sum(c.aligned for c in counts), sum(c.proper for c in counts))
    depths = steps.depths(job.files.read(bam.file))
    figures = summary.Summary(trimming, alignment, depths, steps.variants(job.files.read(vcf.file)), len(parts))
    page = job.files.write(summary.page(figures, "Variants of phage lambda"), "summary.html")
    return Results(bam, vcf, page, summary.text(figures))


@job(cores=1, memory="128 MiB", disk="256 MiB")
def variants(job: Job[Any], reads1: File, reads2: File, reference: File, chunks: int = 4) -> Results:
    """The whole workflow; disk is asked for by the size of the reads."""
    size = reads1.size + reads2.size
    plain = job.files.write(steps.unpack(job.files.read(reference), Path("reference.fa")), move=True)
    trimmed = job.add_child(trim.requiring(disk=2 * size + SPARE)(reads1, reads2))
    dealt = trimmed.add_follow_on(deal.requiring(memory=16 * size + 128 * MIB, disk=8 * size + SPARE)(trimmed.rv(), plain, chunks))
    bam = dealt.add_follow_on(merge.requiring(disk=4 * size + SPARE)(dealt.rv()))
    vcf = bam.add_follow_on(call.requiring(disk=4 * size + SPARE + 4 * plain.size)(plain, bam.rv("file")))
    return vcf.add_follow_on(summarise(trimmed.rv("counts"), dealt.rv(), bam.rv(), vcf.rv())).rv()


def options() -> argparse.Namespace:
    """What the user gave on the command line."""
    parser = Toil.parser(description=variants.__doc__)
    parser.add_argument("--reads1", metavar="FILE", default=str(DATA / "reads_1.fq.gz"), help="First mates, FASTQ; a path or URL.")
    parser.add_argument("--reads2", metavar="FILE", default=str(DATA / "reads_2.fq.gz"), help="Second mates, likewise.")
    parser.add_argument("--reference", metavar="FILE", default=str(DATA / "lambda.fa.gz"), help="The genome, FASTA; a path or URL.")
    parser.add_argument("--chunks", metavar="NUMBER", type=int, default=4, help="Alignments side by side. [4]")
    parser.add_argument(
        "--output", metavar="FOLDER", type=Path, default=Path("variants-results"), help="For the results. [variants-results]"
    )
    found: argparse.Namespace = parser.parse_args()
    if found.chunks < 1:
        raise BadOption(f"--chunks {found.chunks}: at least 1 chunk is needed")
    return found


def main() -> None:
    """Run the workflow, export what it made, and print where that is."""
    found = options()
    with Toil(found) as toil:
        if toil.config[EngineOptions].restart:
            results: Results = toil.restart()
        else:
            reads1, reads2, reference = (toil.import_file(url) for url in (found.reads1, found.reads2, found.reference))
            results = toil.start(variants(reads1, reads2, reference, found.chunks))
        found.output.mkdir(parents=True, exist_ok=True)
        for file in results.files():
            toil.export_file(file, found.output / file.name)
    (found.output / "summary.txt").write_text(results.text + "\n")
    print(f"{results.text}\nresults in {found.output.resolve()}: summary.html, variants.vcf.gz, aligned.bam")


if __name__ == "__main__":
    try:
        main()
    except ToilError as error:
        print(f"variants.py: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, UsageError) else error.exit_code if isinstance(error, Interrupted) else 1)
