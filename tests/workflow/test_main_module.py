"""Modules of jobs that the main script does not import when it is imported itself."""

from __future__ import annotations

import json
from pathlib import Path

from tests.scripts import run_script

MODULE = """
from pathlib import Path
from toil_core import job

HERE = Path("HERE")
with (HERE / "imports").open("a") as imports:
    print(__name__, file=imports)

@job(cores=0.1)
def leaf(number):
    return number

@job(cores=0.1)
def fan(job):
    return [job.add_child(leaf(number)) for number in range(12)]

@job(cores=0.1)
def stumble(job):
    if (HERE / "stone").exists():
        raise RuntimeError("a stone")
    return [job.add_child(leaf(number)) for number in range(12)]
"""
SCRIPT = """
from toil_core import main

if __name__ == "__main__":
    from jobs import fan
    main(fan)
"""


def module(folder: Path) -> str:
    """The module, which notes its imports in the folder."""
    return MODULE.replace('"HERE"', repr(str(folder)))


def test_a_worker_imports_them_once_and_not_for_each_job(tmp_path: Path) -> None:
    (tmp_path / "jobs.py").write_text(module(tmp_path))
    done = run_script(tmp_path, SCRIPT, "file:store")
    assert json.loads(done.stdout) == list(range(12))
    assert (tmp_path / "imports").read_text().split() == ["jobs", "jobs"]  # the leader, and its fork server


def test_one_that_fails_in_workers_fails_its_own_jobs_alone(tmp_path: Path) -> None:
    (tmp_path / "jobs.py").write_text(module(tmp_path))
    (tmp_path / "odd.py").write_text(f"""
from pathlib import Path
from toil_core import job

once = Path({str(tmp_path / "once")!r})
if once.exists():
    raise SystemExit("only the leader may have this")
once.touch()

@job(cores=0.1)
def strange():
    pass
""")
    script = """
from toil_core import Toil

if __name__ == "__main__":
    from jobs import fan
    from odd import strange

    root = fan()
    root.add_child(strange())
    with Toil(Toil.parser().parse_args()) as toil:
        toil.start(root)
"""
    failed = run_script(tmp_path, script, "file:store", "--retry-count", "0", code=1)
    assert "13 of 14 jobs done" in failed.stderr
    assert "only the leader may have this" in failed.stderr


def test_a_module_whose_jobs_are_not_used_is_not_imported(tmp_path: Path) -> None:
    (tmp_path / "jobs.py").write_text(module(tmp_path))
    (tmp_path / "more.py").write_text(module(tmp_path))
    run_script(tmp_path, SCRIPT.replace("from jobs", "import more\n    from jobs"), "file:store")
    assert (tmp_path / "imports").read_text().split() == ["more", "jobs", "jobs"]


def test_a_restart_knows_them_too(tmp_path: Path) -> None:
    (tmp_path / "jobs.py").write_text(module(tmp_path))
    script = SCRIPT.replace("import fan", "import stumble").replace("main(fan)", "main(stumble)")
    (tmp_path / "stone").touch()
    run_script(tmp_path, script, "file:store", "--retry-count", "0", code=1)
    (tmp_path / "stone").unlink()
    (tmp_path / "imports").unlink()
    done = run_script(tmp_path, "", "file:store", "--restart")
    assert json.loads(done.stdout) == list(range(12))
    assert (tmp_path / "imports").read_text().split() == ["jobs", "jobs"]
