from __future__ import annotations

import http.client
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import pytest

from tests.monitor.browser import waiting
from tests.monitor.stores import begun, committed, dead_process, led
from toil_core.batch_system import Usage
from toil_core.cli import main
from toil_core.drivers.file import FileJobStore
from toil_core.errors import BadOption
from toil_core.job_store import Blob, JobStore
from toil_core.monitor.dashboard.feed import Feed, Looker
from toil_core.monitor.dashboard.server import LOG_SHOWN, Dashboard
from toil_core.wire import commits, keys
from toil_core.wire.jobs import Result


class Counting(JobStore):
    """A store that counts how often it is asked, and has no paths."""

    def __init__(self, inner: JobStore) -> None:
        self.inner = inner
        self.keys: list[str] = []

    @property
    def asked(self) -> int:
        return len(self.keys)

    def prepare(self) -> None:
        raise AssertionError("a dashboard writes nothing")

    def destroy(self) -> None:
        raise AssertionError("a dashboard writes nothing")

    def create(self, key: str, data: bytes) -> None:
        raise AssertionError("a dashboard writes nothing")

    def write(self, key: str, stream: BinaryIO) -> None:
        raise AssertionError("a dashboard writes nothing")

    def delete(self, keys: Any) -> None:
        raise AssertionError("a dashboard writes nothing")

    def read(self, key: str, start: int = 0, stop: int | None = None) -> BinaryIO:
        self.keys.append(key)
        return self.inner.read(key, start, stop)

    def stat(self, key: str) -> Blob:
        self.keys.append(key)
        return self.inner.stat(key)

    def list(self, prefix: str = "") -> Iterator[Blob]:
        self.keys.append(prefix)
        return self.inner.list(prefix)


@contextmanager
def served(store: JobStore, locator: str = "file:s") -> Iterator[Dashboard]:
    dashboard = Dashboard(store, locator, interval=0.05)
    thread = threading.Thread(target=dashboard.serve)
    thread.start()
    try:
        yield dashboard
    finally:
        dashboard.close()
        thread.join()


def ask(dashboard: Dashboard, path: str, method: str = "GET", **headers: str) -> tuple[int, str, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", dashboard.port, timeout=30)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), {name.lower(): value for name, value in answer.getheaders()}
    finally:
        connection.close()


def until(looker: Looker, event: str, check: Any) -> Any:
    """The first news of an event that is as wanted."""
    found: list[Any] = []

    def came() -> bool:
        found.extend(json.loads(data) for name, data in looker.news(1.0) if name == event)
        return any(map(check, found))

    waiting(came)
    return next(filter(check, found))


# What it shows


@pytest.mark.parametrize("paths", [True, False])
def test_a_looker_is_told_what_happens(tmp_path: Path, paths: bool) -> None:
    store = begun(tmp_path / "s")
    led(store)
    feed = Feed(store if paths else Counting(store), "file:s", 0.02)
    with feed.looking() as looker:
        status = until(looker, "status", lambda news: news["total"] == 1)
        assert (status["done"], status["outcome"], status["name"]) == (0, "running", "words")
        committed(store)  # one after another, and it may look in between
        until(looker, "status", lambda news: (news["total"], news["done"], news["failed"]) == (5, 2, 1))
        details = until(looker, "details", lambda news: news["facts"]["attempts"] == 4)
        assert {kind["name"] for kind in details["kinds"]} == {"top", "leaf"}


@pytest.mark.parametrize("same_tick", [False, True])
def test_a_commit_is_seen_that_no_page_tells_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, same_tick: bool) -> None:
    if not same_tick:
        monkeypatch.setattr("toil_core.monitor.dashboard.feed._SURE", 1e9)
    store = begun(tmp_path / "s")
    led(store)
    assert isinstance(store, FileJobStore)
    folder = store.path(keys.commit("1-1", 0)).parent
    with Feed(store, "file:s", 0.02).looking() as looker:
        until(looker, "status", lambda news: news["done"] == 0)
        before = folder.stat()
        store.create(keys.commit("1-1", 0), commits.encode("1-1", 0, [(msgspec.msgpack.encode(Result("0.0")), b"", Usage())]))
        if same_tick:
            os.utime(folder, ns=(before.st_atime_ns, before.st_mtime_ns))
        until(looker, "status", lambda news: news["done"] == 1)


def test_a_leader_that_dies_is_seen(tmp_path: Path) -> None:
    store = begun(tmp_path / "s")
    led(store)
    with Feed(store, "file:s", 0.02).looking() as looker:
        assert until(looker, "status", lambda news: True)["outcome"] == "running"
        led(store, epoch=2, pid=dead_process())
        assert until(looker, "status", lambda news: news["outcome"] == "died")["leader"]["epoch"] == 2


def test_what_is_made_seldom_is_made_at_once_when_the_run_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toil_core.monitor.dashboard.feed._DETAILS_SHARE", 1e9)  # never again, as far as this test is concerned
    store = begun(tmp_path / "s")
    led(store)
    with Feed(store, "file:s", 0.02).looking() as looker:
        assert until(looker, "details", lambda news: True)["facts"]["attempts"] == 0
        committed(store)
        led(store, epoch=2, pid=dead_process())
        until(looker, "details", lambda news: news["facts"]["attempts"] == 4)


def test_nothing_is_read_while_nobody_looks(tmp_path: Path) -> None:
    store = Counting(begun(tmp_path / "s"))
    feed = Feed(store, "file:s", 0.01)
    assert not feed.at_work
    assert store.asked == 0
    with feed.looking() as one, feed.looking() as two:
        until(one, "status", lambda news: True)
        until(two, "status", lambda news: True)
        assert feed.at_work
    waiting(lambda: not feed.at_work)
    waiting(lambda: not [thread for thread in threading.enumerate() if thread.name == "toil-dashboard"])
    with feed.looking() as again:  # and one who comes later is told all
        until(again, "status", lambda news: True)


def test_what_did_not_change_is_not_read_anew(tmp_path: Path) -> None:
    plain = begun(tmp_path / "s")
    led(plain)
    committed(plain)
    store = Counting(plain)
    with Feed(store, "file:s", 0.01).looking() as looker:
        until(looker, "details", lambda news: True)
        for _ in range(2):  # at the first time it tells what is left to tell of its first look
            looker.news(0.0)
            store.keys.clear()
            waiting(lambda: len(store.keys) > 60)
        assert not looker.news(0.0)
        assert set(store.keys) <= {keys.LEADERS, keys.leader(1), keys.page(1), keys.COMMITS}


def test_trouble_is_told_and_gets_over(tmp_path: Path) -> None:
    store = begun(tmp_path / "s")
    led(store)
    with Feed(store, "file:s", 0.02).looking() as looker:
        until(looker, "details", lambda news: True)
        store.write(keys.WORKFLOW, BytesIO(b"not a workflow"))
        assert "unreadable record" in until(looker, "trouble", bool)
        store.destroy()
        assert "no job store" in until(looker, "trouble", lambda news: "no job store" in news)
        led(begun(tmp_path / "s"))
        until(looker, "trouble", lambda news: news == "")


# Who may see it


def test_the_page_and_its_events(tmp_path: Path) -> None:
    store = begun(tmp_path / "s")
    led(store)
    with served(store) as dashboard:
        status, text, headers = ask(dashboard, f"/{dashboard.token}/")
        assert status == 200
        assert "showDashboard();" in text
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "no-referrer"
        assert "script-src 'sha256-" in text and "connect-src 'self'" in text
        connection = http.client.HTTPConnection("127.0.0.1", dashboard.port, timeout=30)
        connection.request("GET", f"/{dashboard.token}/events")
        answer = connection.getresponse()
        assert answer.getheader("Content-Type") == "text/event-stream; charset=utf-8"
        assert answer.readline() == b"event: status\n"
        assert json.loads(answer.readline().removeprefix(b"data: "))["name"] == "words"
        connection.close()
        answer.close()


def test_it_listens_on_this_machine_only(tmp_path: Path) -> None:
    with served(begun(tmp_path / "s")) as dashboard:
        assert dashboard._server.server_address[0] == "127.0.0.1"
        assert dashboard.url.startswith(f"http://127.0.0.1:{dashboard.port}/")


@pytest.mark.parametrize("path", ["/", "/events", "/wrong/", "/wrong/events", "/wrong/log?job=a&execution=b", "//", "/%2e%2e/"])
def test_nothing_is_told_without_the_token(tmp_path: Path, path: str) -> None:
    with served(begun(tmp_path / "s")) as dashboard:
        status, text, _ = ask(dashboard, path)
        assert status == 403
        assert "words" not in text
        assert not dashboard.feed.at_work


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example:{port}", "localhost:1", ""])
def test_other_host_names_are_refused(tmp_path: Path, host: str) -> None:
    with served(begun(tmp_path / "s")) as dashboard:
        path = f"/{dashboard.token}/"
        assert ask(dashboard, path, Host=host.format(port=dashboard.port))[0] == 421
        assert ask(dashboard, path, Host=f"localhost:{dashboard.port}")[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_can_be_changed(tmp_path: Path, method: str) -> None:
    with served(begun(tmp_path / "s")) as dashboard:
        assert ask(dashboard, f"/{dashboard.token}/", method)[0] == 501


def test_tokens_differ_and_are_long(tmp_path: Path) -> None:
    store = begun(tmp_path / "s")
    with served(store) as one, served(store) as other:
        assert one.token != other.token
        assert len(one.token) >= 32


def test_logs_are_shown_by_their_end(tmp_path: Path) -> None:
    store = begun(tmp_path / "s")
    store.write(keys.log("1-1.0.2", "1-4"), BytesIO(b"\x1b[31mred\x1b[0m <b>line</b>\n"))
    store.write(keys.log("1-1.0.2", "1-5"), BytesIO(b"x" * LOG_SHOWN + b"the end"))
    with served(store) as dashboard:
        status, text, headers = ask(dashboard, f"/{dashboard.token}/log?job=1-1.0.2&execution=1-4")
        assert (status, text, headers["content-type"]) == (200, "red <b>line</b>\n", "text/plain; charset=utf-8")
        assert headers["x-content-type-options"] == "nosniff"
        text = ask(dashboard, f"/{dashboard.token}/log?job=1-1.0.2&execution=1-5")[1]
        assert text.startswith(f"… the last {LOG_SHOWN:,} of {LOG_SHOWN + 7:,} bytes\n")
        assert text.endswith("the end")


@pytest.mark.parametrize("query", ["", "job=a", "job=..&execution=../workflow", "job=..%2F..&execution=workflow", "job=1-1.0.9&execution=1-9"])
def test_only_logs_can_be_asked_for(tmp_path: Path, query: str) -> None:
    with served(begun(tmp_path / "s")) as dashboard:
        assert ask(dashboard, f"/{dashboard.token}/log?{query}")[0] == 404


# The command


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    store = begun(tmp_path / "s")
    with served(store) as dashboard, pytest.raises(BadOption, match=rf"--port {dashboard.port}: cannot listen there \(Address already in use\)"):
        Dashboard(store, "file:s", dashboard.port)


def test_a_store_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dashboard", str(tmp_path / "nowhere"), "--no-browser"]) == 2
    assert "there is no job store" in capsys.readouterr().err
