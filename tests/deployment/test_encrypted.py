"""A job store that a plugin encrypts, with workers that share nothing else with the leader: nothing of the user's can be read in it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.deployment import vault
from tests.deployment.places import ROOT, Places, build_wheel, install, site_packages, write_files

SCRIPT = """
    import os, sys
    from pathlib import Path
    from toil_core import File, job, main, service
    from helper import PLAIN

    @service(cores=0.1, memory="64 MiB", disk="1 MiB")
    def database():
        yield f"password {PLAIN}"

    @job(cores=0.1, memory="64 MiB", disk="1 MiB")
    def copy(job, text: File, secret: str) -> File:
        return job.files.write(job.files.read(text).read_text() + secret, name="copy.txt")

    @job(cores=0.1, memory="64 MiB", disk="1 MiB")
    def both(job, first: File, secret: str, go: Path) -> list:
        job.log(f"says {PLAIN}")
        print("prints", PLAIN)
        if not go.exists():
            raise ValueError(f"raised {PLAIN}")
        stream = job.files.open(first, encoding="utf-8")
        return [stream.read(), secret, sys.path[0] != str(go.parent)]

    @job(cores=0.1, memory="64 MiB", disk="1 MiB")
    def top(job, text: File, secret: str, go: Path) -> list:
        address = job.add_service(database())
        return job.add_follow_on(both(job.add_child(copy(text, address)), secret, go))

    if __name__ == "__main__":
        main(top)
"""
PLAIN = "PLAIN-marker-of-the-user"


@pytest.fixture
def vaulted(places: Places) -> Places:
    """The places, with the plugin installed in both."""
    files = {"toil_vault.py": (ROOT / "tests" / "deployment" / "vault.py").read_bytes(), "toil_vault.key": os.urandom(32)}
    wheel = build_wheel(places.project.parent, "toil-vault", "1.0", files, entry_points="[toil]\nvault = toil_vault\n")
    for python in (places.leader, places.worker):
        install(site_packages(python.parent.parent), wheel)
    write_files(places.project, {"go.py": SCRIPT, "helper.py": f"PLAIN = '{PLAIN}'", "text.txt": f"text {PLAIN} "})
    return places


def run(places: Places, *more: str) -> subprocess.CompletedProcess[str]:
    root = places.project.parent
    given = ["--text", "text.txt", "--secret", PLAIN, "--go", str(root / "go"), "--retry-count", "0", "--write-logs-from-all-jobs"]
    return places.run("go.py", f"file:{root}/store", *given, *more)


def readable(places: Places) -> list[Path]:
    """What lies in the store and is not encrypted, or tells by its name what nobody is to know."""
    found = [path for path in (places.project.parent / "store" / "blobs").rglob("*") if path.is_file()]
    kinds = {path.relative_to(places.project.parent / "store" / "blobs").parts[0].rstrip(",") for path in found}
    assert {"code", "commits", "files", "logs", "setup", "work", "workflow"} <= kinds
    return [path for path in found if PLAIN in str(path) or not path.read_bytes().startswith(vault.MAGIC)]


def test_nothing_of_the_users_can_be_read_in_the_store(vaulted: Places) -> None:
    failed = run(vaulted)
    assert failed.returncode == 1, failed.stderr
    assert f"raised {PLAIN}" in failed.stderr and f"says {PLAIN}" in failed.stderr
    assert readable(vaulted) == []
    printed = vaulted.run("-c", "import sys; from toil_core.cli import main; sys.exit(main())", "logs", f"file:{vaulted.project.parent}/store", "both")
    assert f"prints {PLAIN}\n" in printed.stdout
    (vaulted.project.parent / "go").touch()
    done = run(vaulted, "--restart", "--clean", "never")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [f"text {PLAIN} password {PLAIN}", PLAIN, True]
    assert readable(vaulted) == []
