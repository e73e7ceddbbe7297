from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.monitor.browser import OVERLAPS, Browser, opened, waiting
from tests.monitor.terminal import TOIL, WORKFLOW, environment
from toil_core.drivers.file import FileJobStore
from toil_core.options import Config
from toil_core.wire import keys


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with opened(tmp_path_factory.mktemp("browser")) as found:
        yield found


@contextmanager
def program(*command: str, cwd: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(command, cwd=cwd, env=environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


SLOW_FETCH = """(() => {
  const fetched = window.fetch;
  window.fetch = (...what) => new Promise((done) => { window.answered = () => done(fetched(...what)); });
})()"""
"""JavaScript after which what is fetched comes only once `answered` is called."""


def test_a_run_is_followed_to_its_end(browser: Browser, tmp_path: Path) -> None:
    """One job waits while others are done and one fails; it is let go, and the page tells without being asked."""
    gate = tmp_path / "gate"
    arguments = ["s", "--jobs", "6", "--fail", "--gate", str(gate), "--retry-count", "0", "--status-interval", "0.1"]
    with program(sys.executable, str(WORKFLOW), *arguments, cwd=tmp_path) as run:
        waiting(Path(f"{gate}.open").exists)
        with program(*TOIL, "dashboard", "s", "--no-browser", "--json", cwd=tmp_path) as dashboard:
            assert dashboard.stdout is not None
            url = json.loads(dashboard.stdout.readline())["url"]
            browser.complaints()
            browser.open(url)
            browser.wait("document.body.dataset.done === '5'")
            browser.wait("document.querySelector('#running') !== null")
            assert browser.text("#head .badge") == "running"
            assert "1-1.0.0" in browser.text("#running")
            browser.wait("document.querySelectorAll('#graph .box').length === 2")
            assert browser.text("#age").startswith("What follows is as it was ")
            browser.wait("document.querySelector('#timeline') !== null")
            assert "what still runs is not drawn yet" in browser.text("#timeline")
            browser.wait("document.querySelector('#failures') !== null")  # it may end after those that end well
            assert "ValueError: one is bad" in browser.text("#failures")
            browser.ask(SLOW_FETCH)
            browser.ask("document.querySelector('#failures summary').click()")
            browser.wait("window.answered !== undefined")
            browser.ask("document.querySelector('#failures').dataset.old = 'yes'")
            os.utime(FileJobStore(str(tmp_path / "s"), Config()).path(keys.page(1)))  # as if the leader had told more
            browser.wait("document.querySelector('#failures').dataset.old === undefined")
            assert browser.ask("document.querySelector('#failures details').open"), "what is drawn anew while a log is fetched stays open"
            browser.ask("window.answered()")
            browser.wait("document.querySelector('#failures pre').innerText.includes('leaf says 1')")
            gate.touch()
            browser.wait("document.body.dataset.done === '6'")
            browser.wait("document.querySelector('#head .badge').innerText === 'failed'")
            assert browser.ask("document.querySelector('#running')") is None
            assert "leaf says 1" in browser.text("#failures pre"), "a log that is open stays open"
            browser.wait("document.body.dataset.details === '7'")
            assert browser.ask("document.querySelector('#age')") is None, "of a run that ended nothing is old"
            browser.wait("!document.querySelector('#timeline').innerText.includes('still runs')")
            assert browser.ask(OVERLAPS) == []
            assert browser.complaints() == []
            dashboard.send_signal(signal.SIGINT)
            assert dashboard.wait(30) == 0
            browser.wait("!document.querySelector('[role=alert]').hidden")
            browser.complaints()  # that the connection is gone
        assert run.wait(60) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_in_good_order_and_opens_a_browser_by_a_file_of_its_user(tmp_path: Path, number: int) -> None:
    from tests.monitor.stores import begun

    begun(tmp_path / "s")
    note = tmp_path / "opened"
    opener = tmp_path / "browser"
    opener.write_text(f'#!/bin/sh\nf="${{1#file://}}"\nstat -c %a "$f" >{note}.tmp\nls "$f" >>{note}.tmp\ncat "$f" >>{note}.tmp\nmv {note}.tmp {note}\n')
    opener.chmod(0o755)
    command = [*TOIL, "dashboard", "s"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment(BROWSER=str(opener)), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            waiting(note.exists)
            mode, path, page = note.read_text().splitlines()
            assert mode == "600"
            assert url in page
            assert os.path.exists(path)
            process.send_signal(number)
            assert process.wait(30) == 0
            assert not os.path.exists(path)
        finally:
            process.kill()
