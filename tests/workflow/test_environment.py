"""What of the environment reaches jobs, and that no secret is stored, logged or shown on the way."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fake_plugins import add_plugin

CANARY = f"canary-bird-{secrets.token_hex(8)}"
"""One of its own for each process that runs tests: another may show its own in a command line meanwhile."""

WORKFLOW = """
import os
from pathlib import Path
from toil_core import job, main

@job(cores=0.5, memory="64 MiB", disk="1 MiB", tries=1)
def below(names: list):
    seen = [f"{name}={os.environ.get(name)}" for name in names]
    mine = {path for path in Path("/proc").glob("[0-9]*") if os.access(path / "environ", os.R_OK)}
    shown = 0
    for path in mine:
        try:
            shown += os.environ["MY_API_TOKEN"].encode() in (path / "cmdline").read_bytes()
        except OSError:
            pass
    print("something for the log")
    return [*seen, f"shown {shown}", f"secret {len(os.environ['MY_API_TOKEN'])}"]

@job(cores=0.5, memory="64 MiB", disk="1 MiB")
def top(job, names: list[str]):
    job.log("a message")
    return job.add_child(below(names))

if __name__ == "__main__":
    main(top)
"""


def program(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, "MY_API_TOKEN": CANARY, "COLOUR": "green", **environment}
    command = [sys.executable, "flow.py", "./store", "--names", "COLOUR", "SHAPE", *arguments]
    (folder / "flow.py").write_text(WORKFLOW)
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=200, check=False)


def test_settings_reach_jobs_and_secrets_reach_nothing_else(tmp_path: Path) -> None:
    keeping = ["--clean", "never", "--write-logs-from-all-jobs", "--log-level", "DEBUG", "--log-file", "leader.log", "--save-profile", "profile"]
    done = program(tmp_path, "--set-env", "COLOUR", "--setEnv", "SHAPE=round = good", *keeping)
    assert done.returncode == 0, done.stderr
    assert '"COLOUR=green"' in done.stdout and '"SHAPE=round = good"' in done.stdout
    assert '"shown 0"' in done.stdout
    assert f'"secret {len(CANARY)}"' in done.stdout, "jobs on this machine inherit it"
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"leader.log", "profile", "workflow"} <= {path.name for path in kept}
    assert not [path for path in kept if CANARY.encode() in path.read_bytes()]
    assert CANARY not in done.stderr


@pytest.mark.parametrize("setting", ["MY_API_TOKEN", "MY_API_TOKEN={canary}", "DB_PASSWORD={canary}"])
def test_a_secret_is_refused_as_a_setting_and_not_repeated(tmp_path: Path, setting: str) -> None:
    done = program(tmp_path, "--set-env", setting.format(canary=CANARY))
    assert done.returncode == 2
    assert "is a secret, and what is set here is stored with the workflow" in done.stderr
    assert CANARY not in done.stdout + done.stderr
    assert not (tmp_path / "store").exists()


def test_a_secret_in_an_option_variable_is_refused_too(tmp_path: Path) -> None:
    done = program(tmp_path, TOIL_SET_ENV=f"DB_PASSWORD={CANARY}")
    assert done.returncode == 2
    assert CANARY not in done.stdout + done.stderr


def test_a_plugin_cannot_store_a_secret_either(tmp_path: Path) -> None:
    source = f"""
        from toil_core import hookimpl

        @hookimpl
        def toil_job_environment(config):
            return {{"CLOUD_SECRET": "{CANARY}"}}
    """
    add_plugin(tmp_path, "toil-careless", {"toil": {"careless": "careless_hooks"}}, {"careless_hooks": source})
    done = program(tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 2, done.stderr
    assert "the name of CLOUD_SECRET says that it is a secret" in done.stderr
    assert CANARY not in done.stdout + done.stderr
