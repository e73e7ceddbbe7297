from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import msgspec
import pytest

from tests.monitor import synthetic
from tests.monitor.browser import OVERLAPS, Browser, opened
from tests.monitor.stores import begun, committed, folded, led
from tests.monitor.terminal import piped
from toil_core.cli import main
from toil_core.leader.history import Attempt
from toil_core.monitor.report.model import build
from toil_core.monitor.report.page import report_page

LARGEST = 3_000_000


@cache
def run(size: str) -> list[Attempt]:
    found: list[Attempt] = getattr(synthetic, size)()
    return found


@cache
def page(size: str) -> str:
    return report_page(build(synthetic.status(run(size)), run(size)))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with opened(tmp_path_factory.mktemp("browser")) as found:
        yield found


@pytest.fixture
def shown(browser: Browser, tmp_path: Path) -> Iterator[Browser]:
    """The browser; at the end its console must be empty."""
    browser.complaints()
    yield browser
    assert browser.complaints() == []


def file(folder: Path, text: str) -> str:
    target = folder / "report.html"
    target.write_text(text)
    return target.as_uri()


def test_a_page_of_100_000_jobs_is_small() -> None:
    assert len(run("large")) > 100_000
    assert len(page("large").encode()) <= LARGEST


def test_a_page_needs_nothing_else() -> None:
    text = page("small")
    links = set(re.findall(r"(?:https?:)?//[a-z0-9.]+[a-z/0-9.]*", re.sub(r"//[^\n]*\n", "\n", text)))
    assert links <= {"//www.w3.org/2000/svg"}
    assert not re.search(r"\b(?:src|href)=\"(?!data:)", text)
    assert "default-src 'none'" in text
    assert "connect-src 'none'" in text


def test_names_cannot_break_out_of_the_page(shown: Browser, tmp_path: Path) -> None:
    evil = "</script><script>document.title='broken'</script><!--"
    attempts = [msgspec.structs.replace(each, name=evil, job=f"{evil}{each.job}", node=evil) for each in run("small")]
    status = msgspec.structs.replace(synthetic.status(attempts), name=evil, job_store=evil)
    shown.open(file(tmp_path, report_page(build(status, attempts))))
    assert shown.text("h1") == evil
    assert shown.ask("document.title").startswith(evil)
    assert shown.ask("document.querySelectorAll('script').length") == 2


@pytest.mark.parametrize("size", ["small", "middle", "large"])
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (400, True)])
def test_a_browser_shows_it_all_and_nothing_overlaps(shown: Browser, tmp_path: Path, size: str, width: int, dark: bool) -> None:
    attempts = run(size)
    jobs = len({attempt.job for attempt in attempts})
    shown.open(file(tmp_path, page(size)), width=width, dark=dark)
    assert shown.ask("[...document.querySelectorAll('section')].map((s) => s.id)") == [
        "head", *(["advice"] if shown.ask("document.getElementById('advice') !== null") else []), "timeline", "graph", "resources", "kinds",
        *(["failures"] if size != "small" else []), "slowest",
    ]  # fmt: skip
    facts = dict(zip(shown.ask("[...document.querySelectorAll('.facts dt')].map((e) => e.innerText)"), shown.ask("[...document.querySelectorAll('.facts dd')].map((e) => e.firstChild.textContent)"), strict=True))
    assert (facts["jobs done"], facts["attempts"]) == (f"{jobs:,}", f"{len(attempts):,}")
    kinds = {name for attempt in attempts if (name := attempt.name)}
    assert shown.ask("document.querySelectorAll('#graph .box').length") == len(kinds)
    rows = shown.ask("[...document.querySelectorAll('#kinds tbody tr')].map((r) => [r.cells[0].innerText.trim(), r.cells[1].innerText])")
    assert dict(rows) == {kind: f"{len({a.job for a in attempts if a.name == kind}):,}" for kind in kinds}
    assert shown.ask(OVERLAPS) == []
    colour = shown.ask("getComputedStyle(document.body).backgroundColor")
    assert (colour == "rgb(20, 23, 27)") == dark


def test_the_timeline_is_exact_and_can_be_looked_at_closer(shown: Browser, tmp_path: Path) -> None:
    attempts = run("small")
    first = min(attempts, key=lambda attempt: attempt.started)
    shown.open(file(tmp_path, page("small")))
    tip = shown.hover("#timeline canvas:last-of-type[aria-label^='What']", 112, 8)
    assert f"{first.name} {first.job}" in tip
    assert f"{first.wall:.1f} s on {first.node}" in tip
    before = shown.text("#timeline .soft")
    shown.drag("#timeline canvas", 300, 600, 60)
    assert shown.text("#timeline .soft") != before
    assert shown.ask("[...document.querySelectorAll('#timeline .tools button')].some((b) => !b.hidden)")
    shown.ask("[...document.querySelectorAll('#timeline .tools button')].forEach((b) => b.click())")
    assert shown.text("#timeline .soft") == before


def test_pixels_of_the_timeline_are_what_ran(shown: Browser, tmp_path: Path) -> None:
    """The concurrency of the plot, added up over its pixels, is the time that all attempts took."""
    attempts = run("middle")
    shown.open(file(tmp_path, page("middle")))
    total = shown.driver.execute_async_script("""
        const done = arguments[0], report = JSON.parse(document.getElementById('data').textContent);
        unpack(report.timeline.packed).then((data) => {
          const view = new Timeline(data, report.timeline, report.facts.started, report.facts.ended - report.facts.started);
          document.body.append(view.node); view.width = 900; view.draw();
          done([...view.totals].reduce((a, b) => a + b, 0) * view.perPixel);
        });""")
    assert total == pytest.approx(sum(attempt.wall for attempt in attempts), rel=1e-4)


def test_tables_are_sorted_by_the_column_that_is_pressed(shown: Browser, tmp_path: Path) -> None:
    shown.open(file(tmp_path, page("middle")))
    shown.ask("document.querySelectorAll('#kinds th button')[1].click()")
    jobs = [int(text.replace(",", "")) for text in shown.ask("[...document.querySelectorAll('#kinds tbody tr')].map((r) => r.cells[1].innerText)")]
    assert jobs == sorted(jobs, reverse=True)
    assert shown.ask("document.querySelectorAll('#kinds th')[1].getAttribute('aria-sort')") == "descending"


# The command


def test_the_command_writes_a_page_that_a_browser_shows(shown: Browser, tmp_path: Path) -> None:
    store = begun(tmp_path / "s")
    led(store)
    committed(store)
    folded(store, ended=True)
    assert main(["report", str(tmp_path / "s"), "-o", str(tmp_path / "r.html")]) == 0
    shown.open((tmp_path / "r.html").as_uri())
    assert shown.text("h1") == "words"
    assert shown.text("#head .badge") == "failed"
    assert f"toil logs {tmp_path / 's'} 1-1.0.2" in shown.text("#failures")
    assert "of 5, 1 failed for good, 2 not done" in shown.text("#head")


def test_the_command_writes_json(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    store = begun(tmp_path / "s")
    led(store)
    committed(store)
    assert main(["report", str(tmp_path / "s"), "--json"]) == 0
    told = json.loads(capsysbinary.readouterr().out)
    assert (told["facts"]["jobs"], told["facts"]["done"], told["facts"]["attempts"]) == (5, 2, 4)
    assert told["edges"] == [{"source": "top", "target": "leaf", "how": "child", "count": 4}]
    assert {kind["name"] for kind in told["kinds"]} == {"top", "leaf"}
    assert {failure["fate"] for failure in told["failures"]} == {"failed", "open"}


def test_a_store_whose_workflow_never_began_has_a_report(tmp_path: Path) -> None:
    begun(tmp_path / "s")
    done = piped("report", tmp_path / "s", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, f"{tmp_path / 'report.html'}: open it in a browser\n")
    assert not list(tmp_path.glob(".report*"))


def test_a_device_or_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    begun(tmp_path / "s")
    os.mkfifo(tmp_path / "pipe")
    reading = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    assert main(["report", str(tmp_path / "s"), "--json", "-o", str(tmp_path / "pipe")]) == 0
    assert stat.S_ISFIFO(os.stat(tmp_path / "pipe").st_mode)
    assert b'"outcome"' in os.read(reading, 1 << 16)
    os.close(reading)


def test_a_link_is_followed(tmp_path: Path) -> None:
    begun(tmp_path / "s")
    (tmp_path / "link.html").symlink_to(tmp_path / "page.html")
    assert main(["report", str(tmp_path / "s"), "-o", str(tmp_path / "link.html")]) == 0
    assert (tmp_path / "link.html").is_symlink() and (tmp_path / "page.html").is_file()


@pytest.mark.parametrize(("arguments", "message"), [(["nowhere"], "there is no job store"), (["s", "-o", "no/such/folder.html"], "cannot be written: No such file")])
def test_mistakes_are_told_in_a_line(tmp_path: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    begun(tmp_path / "s")
    monkeypatch.chdir(tmp_path)
    assert main(["report", *arguments]) in (1, 2)
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
