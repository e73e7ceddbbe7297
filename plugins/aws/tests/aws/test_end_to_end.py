"""Workflows in an S3 bucket: killed and restarted, and what they ask of S3."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.leader.world import Plan, World
from tests.proxy import Proxy, proxy_to
from tests.scripts import CHAIN, run_script, tiny
from tests.servers import Server
from toil_core.leader.watch import Watch
from toil_core.leader.watch_options import WatchOptions
from toil_core.options import Config

from toil_aws.job_store import S3JobStore

VARIANTS = Path(__file__).parents[4] / "examples" / "variants" / "variants.py"


@pytest.fixture
def proxy(real: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """Counts what is asked of the real server."""
    with proxy_to(real.url) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        yield proxy


def run_variants(store: str, results: Path, *options: str) -> None:
    command = [sys.executable, str(VARIANTS), store, "--output", str(results), *options]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr


@pytest.mark.timeout(240)
def test_the_variants_example_with_its_leader_killed_and_restarted(real: Server, name: str, tmp_path: Path) -> None:
    store = f"aws:us-west-2:{name}"
    events = tmp_path / "events"
    os.mkfifo(events)
    command = [sys.executable, str(VARIANTS), store, "--output", str(tmp_path / "s3"), "--chunks", "4", "--write-messages", str(events)]
    leader = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    ended = 0
    with events.open() as lines:
        for line in lines:
            ended += json.loads(line)["event"] == "JobDone"
            if ended == 4:
                break
    os.killpg(leader.pid, signal.SIGKILL)
    assert leader.wait() == -signal.SIGKILL
    assert ended == 4
    events.unlink()
    run_variants(store, tmp_path / "s3", "--restart")
    run_variants(f"file:{tmp_path / 'store'}", tmp_path / "file", "--chunks", "4")
    for name_ in ("summary.txt", "variants.vcf.gz"):
        assert content(tmp_path / "s3" / name_) == content(tmp_path / "file" / name_)
    with S3JobStore(f"us-west-2:{name}", Config()) as gone:
        assert not gone._bucket._there()


def content(path: Path) -> list[bytes]:
    data = path.read_bytes()
    data = gzip.decompress(data) if path.suffix == ".gz" else data
    return [line for line in data.splitlines() if not line.startswith(b"##")]


def test_a_customers_key_is_named_from_where_the_user_is(real: Server, name: str, tmp_path: Path) -> None:
    (tmp_path / "sse.key").write_bytes(bytes(range(32)))
    store = f"aws:us-west-2:{name}"
    run_script(tmp_path, CHAIN, store, "--left", "2", "--files", "--sse-key", "sse.key", "--clean", "never")
    without = run_script(tmp_path, "", store, "--restart", code=2)
    assert "name its file by --sse-key" in without.stderr and without.stderr.count("\n") == 1
    assert run_script(tmp_path, "", store, "--restart", "--sse-key", "sse.key").stdout.strip() == "2"


def requests_of(proxy: Proxy, bucket: str) -> Counter[str]:
    """Writes, reads and listings of what jobs and their commits are; not of the start, the end and the passing of time."""
    per_job = ("commits/", "files/", "logs/")
    tries = Counter(asked.operation for asked in proxy.asked)
    again = {asked.path for asked in proxy.asked if tries[asked.operation] > 1}  # whose a commit is, is asked only where an answer was lost
    asked = [asked for asked in proxy.operations() if asked.method != "HEAD" or asked.path not in again]
    return Counter(asked.kind for asked in asked if asked.path.removeprefix(f"/{bucket}/").startswith(per_job))


@pytest.mark.parametrize(("options", "writes", "reads"), [([], 1, 0), (["--files"], 2, 1)], ids=["alone", "with a file"])
def test_a_lone_job_costs_a_write_and_its_file_another(
    proxy: Proxy, name: str, tmp_path: Path, options: list[str], writes: int, reads: int
) -> None:
    asked = {}
    for count in (5, 15):
        proxy.asked.clear()
        run_script(tmp_path, CHAIN, f"aws:us-west-2:{name}-{count}", "--left", str(count), "--disable-chaining", *options)
        asked[count] = requests_of(proxy, f"{name}-{count}")
    more = {kind: (asked[15][kind] - asked[5][kind]) / 10 for kind in ("write", "read", "listing")}
    assert more["write"] <= writes and more["read"] <= reads and not more["listing"], more


def test_tiny_jobs_share_writes(proxy: Proxy, name: str, tmp_path: Path) -> None:
    run_script(tmp_path, tiny(isolated=False), f"aws:us-west-2:{name}", "--count", "2000")
    asked = requests_of(proxy, name)
    assert asked["write"] <= 200
    assert asked["read"] <= 20
    assert asked["listing"] == 0
    every = Counter(each.kind for each in proxy.operations())
    dollars = (every["write"] + every["listing"]) * 5e-6 + every["read"] * 0.4e-6
    assert dollars / 2000 * 1e6 <= 1, f"a million such jobs would cost more than a dollar at list prices: {every}"


def test_nothing_is_listed_while_jobs_run(proxy: Proxy, name: str, tmp_path: Path) -> None:
    run_script(tmp_path, tiny(isolated=True), f"aws:us-west-2:{name}", "--count", "30", "--disable-chaining")
    first = next(number for number, asked in enumerate(proxy.asked) if f"{name}/commits/" in asked.path and "/1-1/" in asked.path)
    last = max(number for number, asked in enumerate(proxy.asked) if f"{name}/commits/" in asked.path and asked.method == "PUT")
    assert [asked for asked in proxy.asked[first:last] if "list-type" in asked.query] == []


def test_an_idle_leader_asks_next_to_nothing(proxy: Proxy, name: str) -> None:
    """Three hours of a clock that is set: what is asked is whether the leader should end, less and less often."""
    graph = World(Plan("root")).graph
    with S3JobStore(f"us-west-2:{name}", Config()) as store:
        store.prepare()
        proxy.asked.clear()
        watch, now = Watch(store, 1, WatchOptions(), now=lambda: 0.0), 0.0
        while now < 3 * 3600:
            watch.turn(graph, now)
            assert watch.at is not None
            now = watch.at
        assert {asked.kind for asked in proxy.asked} == {"read"}
        assert 2 * 18 <= len(proxy.operations()) <= 2 * 24
        assert Watch(store, 1, WatchOptions(kill_check_interval=0.0)).at is None
        store.destroy()


def test_a_restart_reads_a_checkpoint_and_what_came_after_it(proxy: Proxy, name: str, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    failing = f"if number == 0 and not __import__('os').path.exists({str(marker)!r}): raise RuntimeError\n    return number"
    (tmp_path / "script.py").write_text(tiny(isolated=False).replace("return number", failing))
    run_script(tmp_path, "", f"aws:us-west-2:{name}", "--count", "500", "--retry-count", "0", "--clean", "never", code=1)
    marker.touch()
    proxy.asked.clear()
    run_script(tmp_path, "", f"aws:us-west-2:{name}", "--restart", "--clean", "never")
    assert sum("list-type" in asked.query for asked in proxy.operations()) <= 40
    assert proxy.count("GET") <= 80
    proxy.asked.clear()
    command = [str(Path(sys.executable).parent / "toil"), "clean", f"aws:us-west-2:{name}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert f"removed aws:us-west-2:{name}" in done.stdout
    assert len(proxy.operations()) <= 30
