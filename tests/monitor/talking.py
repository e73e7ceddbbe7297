"""A workflow for tests that listen: its job prints a line, makes the file `GATE.open`, waits for `GATE`, and prints another line."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from toil_core import Job, job, main


@job(memory="64 MiB", cores=0.1)
def talk(job: Job, gate: str) -> str:
    print("before the gate", flush=True)
    Path(gate + ".open").touch()
    while not Path(gate).exists():
        time.sleep(0.05)
    print("behind the gate", file=sys.stderr, flush=True)
    raise SystemExit(3)


if __name__ == "__main__":
    main(talk)
