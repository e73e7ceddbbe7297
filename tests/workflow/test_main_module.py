"""Modules of jobs that the main script does not import when it is imported itself."""

from __future__ import annotations

import json
from pathlib import Path

from tests.scripts import run_script

MODULE = """
from pathlib import Path
from toil_core import job

with Path("imports").open("a") as imports:
    print(__name__, file=imports)

@job(cores=0.1)
def leaf(number):
    return number

@job(cores=0.1)
def fan(job):
    return [job.add_child(leaf(number)) for number in range(12)]
"""
SCRIPT = """
from toil_core import main

if __name__ == "__main__":
    from jobs import fan
    main(fan)
"""


def test_a_worker_imports_them_once_and_not_for_each_job(tmp_path: Path) -> None:
    (tmp_path / "jobs.py").write_text(MODULE.replace('Path("imports")', f"Path({str(tmp_path / 'imports')!r})"))
    done = run_script(tmp_path, SCRIPT, "file:store")
    assert json.loads(done.stdout) == list(range(12))
    assert (tmp_path / "imports").read_text().split() == ["jobs", "jobs"]  # the leader, and its fork server


def test_one_that_fails_in_workers_stops_no_job_of_others(tmp_path: Path) -> None:
    (tmp_path / "jobs.py").write_text(MODULE.replace('Path("imports")', f"Path({str(tmp_path / 'imports')!r})"))
    (tmp_path / "odd.py").write_text(f"""
from pathlib import Path
from toil_core import job

once = Path({str(tmp_path / "once")!r})
if once.exists():
    raise SystemExit("only the leader may have this")
once.touch()

@job
def unused():
    pass
""")
    done = run_script(tmp_path, SCRIPT.replace("from jobs", "import odd\n    from jobs"), "file:store")
    assert json.loads(done.stdout) == list(range(12))
