"""Where credentials come from, and what is said of those that cannot be used."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.proxy import Fault, Proxy, proxy_to
from tests.scripts import run_script
from tests.servers import Server
from toil_core.cli import main
from toil_core.errors import UsageError
from toil_core.options import Config
from toil_core.plugins import open_url

from toil_aws.job_store import S3JobStore
from toil_aws.options import AwsOptions

WORKFLOW = """
    from toil_core import job, main

    @job(memory="128 MiB", cores=0.5)
    def step(job, left: int = 6):
        job.files.write("x" * 100_000)
        if left > 1:
            job.add_child(step(left - 1))
        return left

    if __name__ == "__main__":
        main(step)
    """
CONFIG = """
[profile role]
role_arn = arn:aws:iam::123456789012:role/runner
source_profile = base
[profile base]
aws_access_key_id = AKIABASE
aws_secret_access_key = SECRETBASE
[profile sso]
sso_session = work
sso_account_id = 123456789012
sso_role_name = runner
[sso-session work]
sso_region = us-west-2
sso_start_url = https://example.awsapps.com/start
[profile absent-program]
credential_process = /no/such/program
[profile failing-program]
credential_process = sh -c 'echo no ticket >&2; exit 3'
"""
PROGRAM = """
if [ -e {folder}/ended ]; then echo no ticket left >&2; exit 3; fi
printf x >> {folder}/calls
printf '{{"Version": 1, "AccessKeyId": "{AWS_ACCESS_KEY_ID}", "SecretAccessKey": "{AWS_SECRET_ACCESS_KEY}", "Expiration": "%s"}}' \
    "$(date -u -d '+60 seconds' +%Y-%m-%dT%H:%M:%SZ)"
"""
"""Gives credentials for a minute, as long as there is no file `ended`."""

# The SDK renews credentials that live for less than ten minutes more at each request.


@contextmanager
def container(key: str, secret: str, seconds: float) -> Iterator[tuple[str, list[str]]]:
    """An endpoint like a container's, whose credentials expire soon; its URL, and what was asked so far."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            until = (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
            data = json.dumps({"AccessKeyId": key, "SecretAccessKey": secret, "Token": "", "Expiration": until}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing is printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/credentials", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """No credentials in the environment."""
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def profiles(nobody: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's file of profiles."""
    (tmp_path / "config").write_text(CONFIG)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))


def test_a_run_outlives_its_credentials(real: Server, nobody: None, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, secret = real.environment["AWS_ACCESS_KEY_ID"], real.environment["AWS_SECRET_ACCESS_KEY"]
    with container(key, secret, seconds=60.0) as (url, asked):
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)
        done = run_script(tmp_path, WORKFLOW, f"aws:us-west-2:{name}", "--disable-chaining")
        assert done.stdout.strip() == "6"
        assert len(asked) > 6, "each job's commit needed them anew"


@pytest.fixture
def program(real: Server, nobody: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The profile `program`, whose credentials a program gives."""
    (tmp_path / "program.sh").write_text(PROGRAM.format(folder=tmp_path, **real.environment))
    (tmp_path / "config").write_text(f"[profile program]\ncredential_process = sh {tmp_path / 'program.sh'}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))


def test_a_run_whose_credentials_end_says_so_in_a_line_and_goes_on_with_new_ones(program: None, name: str, tmp_path: Path) -> None:
    ended, once = tmp_path / "ended", tmp_path / "once"
    script = f"""
        from pathlib import Path
        from toil_core import job, main

        @job(memory="128 MiB", cores=0.5)
        def step(job, left: int = 4):
            if left == 2 and not Path({str(once)!r}).exists():
                Path({str(once)!r}).touch()
                Path({str(ended)!r}).touch()
            if left > 1:
                job.add_child(step(left - 1))
            return left

        if __name__ == "__main__":
            main(step)
        """
    options = (f"aws:us-west-2:{name}", "--aws-profile", "program")
    done = run_script(tmp_path, script, *options, "--disable-chaining", code=2)
    told = [line for line in done.stderr.splitlines() if "no ticket left" in line]
    assert len(told) == 1 and "there are no usable AWS credentials" in told[0] and "Traceback" not in done.stderr
    ended.unlink()
    assert run_script(tmp_path, "", *options, "--restart").stdout.strip() == "4"


def test_what_gives_credentials_that_have_expired(
    fake: Server, nobody: None, name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with container("AKIAOLD", "SECRETOLD", seconds=-60.0) as (url, _):
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)
        assert main(["status", f"aws:us-west-2:{name}"]) == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1 and "expired too; check what gives them" in lines[0]
        assert main(["doctor", "--aws-region", "us-west-2"]) == 1
        assert "expired too" in capsys.readouterr().out


def test_a_program_gives_credentials_again_and_again(program: None, name: str, tmp_path: Path) -> None:
    with S3JobStore(f"us-west-2:{name}", Config([AwsOptions(profile="program")])) as store:
        store.prepare()
        before = len((tmp_path / "calls").read_text())
        store.create("a", b"1")
        store.create("b", b"2")
        assert len((tmp_path / "calls").read_text()) >= before + 2
        store.destroy()


def test_a_role_that_is_assumed(fake: Server, profiles: None, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with S3JobStore(f"us-west-2:{name}", Config([AwsOptions(profile="role")])) as store:
        store.prepare()
        store.create("k", b"1")
        assert main(["doctor", "--aws-profile", "role", f"aws:us-west-2:{name}"]) == 0
        said = capsys.readouterr().out
        assert "found in an assumed role" in said and "assumed-role/runner" in said
        store.destroy()


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        ("sso", "run `aws sso login --profile sso`"),
        ("absent-program", "/no/such/program"),
        ("failing-program", "no ticket"),
        ("failing-program", "the SDK then tries nothing else"),
        ("absent", "there is no profile absent in ~/.aws/config and ~/.aws/credentials; check --aws-profile and AWS_PROFILE: there is "),
        ("bas", "AWS_PROFILE: there is base"),
    ],
)
def test_what_cannot_be_used_is_told_in_a_line(fake: Server, profiles: None, name: str, capsys: pytest.CaptureFixture[str], profile: str, said: str) -> None:
    assert main(["status", f"aws:us-west-2:{name}", "--aws-profile", profile]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and said in lines[0]
    assert main(["doctor", "--aws-profile", profile]) == 1
    assert "aws credentials" in capsys.readouterr().out


@pytest.mark.parametrize(("session", "key"), [("sso_session = work", "work"), ("sso_region = us-west-2\nsso_start_url = https://old", "https://old")], ids=["session", "old"])
def test_a_login_that_has_expired_is_told_with_the_profile(nobody: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, session: str, key: str) -> None:
    cache = tmp_path / ".aws" / "sso" / "cache"
    cache.mkdir(parents=True)
    expired = {"startUrl": "https://old", "region": "us-west-2", "accessToken": "TOKEN", "expiresAt": "2020-01-01T00:00:00Z"}
    (cache / f"{hashlib.sha1(key.encode()).hexdigest()}.json").write_text(json.dumps(expired))
    (tmp_path / ".aws" / "config").write_text(
        f"[profile lab]\n{session}\nsso_account_id = 123456789012\nsso_role_name = runner\n"
        "[sso-session work]\nsso_region = us-west-2\nsso_start_url = https://old\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    command = [str(Path(sys.executable).parent / "toil"), "status", "aws:us-west-2:my-run", "--aws-profile", "lab"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert len(lines) == 1 and lines[0].endswith("run `aws sso login --profile lab`") and "expired" in lines[0]


@pytest.mark.parametrize("program", ["echo no JSON", "/no/such/program"])
def test_a_program_of_credentials_that_is_wrong_is_told_of_a_url(nobody: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    (tmp_path / "config").write_text(f"[profile wrong]\ncredential_process = {program}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    with pytest.raises(UsageError, match="s3://bucket/k: AWS: .*credential_process"):
        open_url("s3://bucket/k", "rb", Config([AwsOptions(profile="wrong")]))


@pytest.fixture
def proxy(fake: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    with proxy_to(fake.url) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        yield proxy


def test_credentials_that_have_expired(proxy: Proxy, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    proxy.fault = lambda asked: Fault.EXPIRED
    assert main(["status", f"aws:us-west-2:{name}"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "the credentials have expired (ExpiredToken); tried in turn: the variables AWS_ACCESS_KEY_ID" in lines[0] and "aws sso login" in lines[0]
