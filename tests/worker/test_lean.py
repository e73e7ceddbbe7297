"""What keeps a fork server small."""

from __future__ import annotations

import os
import subprocess
import sys


def said(code: str, **environment: str) -> str:
    done = subprocess.run([sys.executable, "-P", "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


def test_what_is_left_out_at_first_can_be_imported_later() -> None:
    code = """if True:
        import sys
        from toil_core.worker.lean import begin
        begin()
        print("msgspec" in sys.modules, "typing_extensions" in sys.modules)
        import typing_extensions
        print(typing_extensions.Required is sys.modules["msgspec._utils"].Required)
    """
    assert said(code).split() == ["True", "False", "True"]


MADE = """if True:
    import sys
    from random import Random
    from toil_core.worker.lean import fresh_pools
    old = [bytes(size - 33) for _ in range(2000) for size in range(48, 513, 16)]
    for number in Random(1).sample(range(len(old)), 3000):
        old[number] = None
    filling = fresh_pools() if {fresh} else []
    made = [[bytes(size - 33) for _ in range(8)] for size in range(48, 513, 16)]
    print(len({{id(each) >> 12 for some in made for each in some}}), sum(map(sys.getsizeof, filling)))
"""


def pages_and_filling(allocator: str, *, fresh: bool) -> tuple[int, int]:
    pages, filling = said(MADE.format(fresh=fresh), PYTHONMALLOC=allocator).split()
    return int(pages), int(filling)


def test_after_new_pools_were_begun_what_is_made_lies_on_few_pages() -> None:
    pages, _ = pages_and_filling("pymalloc", fresh=True)
    assert pages < 70  # of 30 sizes: most have a page for themselves
    assert pages < pages_and_filling("pymalloc", fresh=False)[0] / 1.5


def test_with_another_allocator_next_to_nothing_is_filled() -> None:
    assert pages_and_filling("malloc", fresh=True)[1] <= 600_000
