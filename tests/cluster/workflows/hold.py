"""Jobs that say where they run, and go on when that node is let."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

from toil_core import job, main

SHARED = Path("/srv/shared")


@job(cores=1, memory="100 MiB", disk="10 MiB")
def hold(job: Any, number: int) -> int:
    """Say that it has begun, and wait until its node is let go on."""
    host = socket.gethostname()
    said = os.open(SHARED / "began", os.O_WRONLY)
    os.write(said, f"{number} {host}\n".encode())
    os.close(said)
    with (SHARED / f"go-{host}").open("rb", buffering=0) as pipe:
        pipe.read(1)
    return number


@job(cores=0.1, memory="50 MiB", disk="10 MiB")
def total(job: Any, numbers: list[int]) -> int:
    """Their sum."""
    return sum(numbers)


@job(cores=0.1, memory="50 MiB", disk="10 MiB")
def several(job: Any, count: int = 4) -> Any:
    """So many jobs at once, and their sum."""
    return job.add_follow_on(total([job.add_child(hold(number)) for number in range(count)]))


if __name__ == "__main__":
    main(several)
