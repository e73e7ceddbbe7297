"""Count the words of a text, many parts of it at the same time.

    python examples/words/words.py LOCATOR --text examples/words/voyage.txt --parts 8

LOCATOR says where the job store is, for instance `file:words-store`.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from toil_core import File, Job, job, main


@job(cores=0.5, memory="64 MiB")
def count(job: Job[Any], part: File) -> Counter[str]:
    """How often each word is in one part."""
    return Counter(job.files.read(part).read_text().split())


@job
def merge(job: Job[Any], counts: list[Counter[str]]) -> Counter[str]:
    """The sum of the parts' counts."""
    return sum(counts, Counter())


@job(disk="1 GiB")
def words(job: Job[Any], text: File, parts: int = 4) -> Counter[str]:
    """Deal the lines out into parts, count each part in a job of its own, and merge the counts."""
    lines = job.files.read(text).read_text().splitlines(keepends=True)
    files = [job.files.write("".join(lines[i::parts])) for i in range(parts)]
    counts = [job.add_child(count(file)).rv() for file in files]
    return job.add_follow_on(merge(counts)).rv()


if __name__ == "__main__":
    main(words)
