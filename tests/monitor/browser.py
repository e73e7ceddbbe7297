"""A real browser without a window."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

from tests.servers import free_ports
from toil_core.testing.needs import need

_FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars",
)  # fmt: skip
PATIENCE = 120.0


class Browser:
    """A browser with one page.

    Args:
        driver: What drives it.
    """

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, url: str, *, width: int = 1280, dark: bool = False) -> None:
        """Go to a page that says by itself when it is ready."""
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]})
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.get(url)
        self.wait("document.body.dataset.ready === 'true'")

    def ask(self, expression: str) -> Any:
        """The value of some JavaScript."""
        return self.driver.execute_script(f"return {expression}")

    def wait(self, expression: str) -> None:
        """Return when that JavaScript is true."""
        WebDriverWait(self.driver, PATIENCE).until(lambda _: self.ask(expression), f"never true: {expression}")

    def text(self, selector: str) -> str:
        """What an element shows."""
        return str(self.ask(f"document.querySelector({selector!r}).innerText"))

    def complaints(self) -> list[str]:
        """What the browser's console holds since the last call, errors and refused requests among it."""
        return [str(entry["message"]) for entry in self.driver.get_log("browser")]  # type: ignore[no-untyped-call]

    def hover(self, selector: str, right: float, down: float) -> str:
        """Move the pointer over an element, by pixels from its corner, and give what the tooltip says."""
        place = self.ask(f"(() => {{ const e = document.querySelector({selector!r}); e.scrollIntoView(); const b = e.getBoundingClientRect(); return [b.left, b.top]; }})()")
        at = {"type": "mouseMoved", "x": place[0] + right, "y": place[1] + down}
        self.driver.execute_cdp_cmd("Input.dispatchMouseEvent", at)
        self.wait("!document.getElementById('tip').hidden")
        return self.text("#tip")

    def drag(self, selector: str, left: float, right: float, down: float) -> None:
        """Press over an element, move to the right, and let go."""
        x, y = self.ask(f"(() => {{ const e = document.querySelector({selector!r}); e.scrollIntoView(); const b = e.getBoundingClientRect(); return [b.left, b.top]; }})()")
        for kind, along in (("mouseMoved", left), ("mousePressed", left), ("mouseMoved", right), ("mouseReleased", right)):
            event = {"type": kind, "x": x + along, "y": y + down, "button": "left" if kind != "mouseMoved" or along == right else "none", "clickCount": 1}
            self.driver.execute_cdp_cmd("Input.dispatchMouseEvent", event)


@contextmanager
def opened(profile: Path) -> Iterator[Browser]:
    """A browser for the time of the block; without one, tests are skipped, but in continuous integration they fail.

    Args:
        profile: A folder of its own.
    """
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    need("" if program and driver else "install a browser and its driver: apt-get install chromium chromium-driver")
    assert program
    options = webdriver.ChromeOptions()
    for flag in (*_FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.binary_location = program
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    made = webdriver.Chrome(options=options, service=Service(driver, port=free_ports(1)[0]))  # by itself it takes one that others may get first
    try:
        yield Browser(made)
    finally:
        made.quit()


OVERLAPS = """(() => {
  const boxes = [...document.querySelectorAll('svg text')].map((t) => [t.textContent, t.getBoundingClientRect(), t.closest('svg')]).filter(([, b]) => b.width);
  const found = [];
  boxes.forEach(([a, p, s], i) => boxes.slice(i + 1).forEach(([b, q, t]) => {
    if (s === t && p.left < q.right - 1 && q.left < p.right - 1 && p.top < q.bottom - 3 && q.top < p.bottom - 3) found.push(`${a} / ${b}`);
  }));
  const page = document.documentElement;
  if (page.scrollWidth > page.clientWidth) found.push(`the page is ${page.scrollWidth} wide in a window of ${page.clientWidth}`);
  return found;
})()"""
"""JavaScript for the pairs of texts in drawings that lie over each other; and whether the page is wider than its window."""


def waiting(check: Callable[[], bool]) -> None:
    """Return when the check is true, which is asked again and again."""
    import threading
    import time

    deadline = time.monotonic() + PATIENCE
    pause = threading.Event()
    while not check():
        assert time.monotonic() < deadline, "it never came true"
        pause.wait(0.05)
