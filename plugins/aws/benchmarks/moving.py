"""Moves one file into a job store or out of it, as a job would; a program of its own, so that it imports nothing else.

    python plugins/aws/benchmarks/moving.py up|down LOCATOR KEY FILE
"""

from __future__ import annotations

import sys
from pathlib import Path

from toil_core.options import Config
from toil_core.plugins import open_job_store
from toil_core.workflow.file_copy import copy_stream

from toil_aws.options import AwsOptions


def move(direction: str, locator: str, key: str, path: Path) -> None:
    """Move the file."""
    with open_job_store(locator, Config([AwsOptions(encryption="none")])) as store:
        if direction == "up":
            with path.open("rb") as stream:
                store.write(key, stream)
            return
        with store.read(key) as stream, path.open("wb") as out:
            copy_stream(stream, out)


if __name__ == "__main__":
    move(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4]))
