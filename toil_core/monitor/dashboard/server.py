"""The dashboard's web server: this machine only, to be read only, and for those who know its address.

It listens on the loopback interface; the path holds a random token; a request that was meant for
another host name is refused, so that no page of another site can reach it through a name that it
lets point here; and it answers nothing but GET.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast
from urllib.parse import parse_qs, urlsplit

import msgspec

from toil_core.errors import BadOption, ToilError
from toil_core.job_store import JobStore
from toil_core.monitor.dashboard.feed import Feed, log_tail
from toil_core.monitor.report.page import asset, page, script
from toil_core.monitor.text import printable

HOST = "127.0.0.1"
SILENCE = 15.0
"""Seconds after which a sign of life is sent, which shows when a browser has gone."""
LOG_SHOWN = 256 << 10
"""Bytes of a log's end that are shown."""


class Dashboard:
    """Serves the page of one workflow until it is closed.

    Args:
        store: The job store.
        locator: What the user calls it.
        port: Where to listen; 0 for any free port.
        interval: Seconds between two looks at the store; None for what suits it.

    Attributes:
        url: The page's address, with the token.
        feed: What it shows.

    Raises:
        BadOption: The port is taken, or not for us.
    """

    def __init__(self, store: JobStore, locator: str, port: int = 0, interval: float | None = None) -> None:
        self.feed = Feed(store, locator, interval)
        self.store = store
        self.locator = locator
        self.token = secrets.token_urlsafe(24)
        self.closing = threading.Event()
        try:
            self._server = _Server((HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            raise BadOption(f"--port {port}: cannot listen there ({getattr(error, 'strerror', None) or error}); leave it out for any free port") from None
        self._server.dashboard = self
        self.port: int = self._server.server_address[1]
        self.url = f"http://{HOST}:{self.port}/{self.token}/"
        self.hosts = {f"{name}:{self.port}" for name in (HOST, "localhost")} | ({HOST, "localhost"} if self.port == 80 else set())

    def serve(self) -> None:
        """Answer until `close` is called."""
        self._server.serve_forever(poll_interval=0.5)

    def close(self) -> None:
        """Stop; what is being answered is cut short. To be called from another thread than `serve`, or after it."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()

    def html(self) -> bytes:
        """The page."""
        code = script(asset("dashboard.js"), "showDashboard();")
        return page(f"{self.locator}: dashboard", code, msgspec.json.encode({"locator": self.locator}), "'self'").encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    dashboard: Dashboard

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a browser that went away in the middle of an answer is no error."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "toil", ""
    timeout = 60

    @property
    def dashboard(self) -> Dashboard:
        return cast(_Server, self.server).dashboard

    def do_GET(self) -> None:
        if self.headers.get("Host", "").lower() not in self.dashboard.hosts:
            self._refuse(HTTPStatus.MISDIRECTED_REQUEST, "this is not that host")
            return
        where = urlsplit(self.path)
        token, _, name = where.path.removeprefix("/").partition("/")
        if not hmac.compare_digest(token.encode(), self.dashboard.token.encode()):
            self._refuse(HTTPStatus.FORBIDDEN, "the address lacks the token that `toil dashboard` printed")
        elif name == "":
            self._answer(self.dashboard.html(), "text/html; charset=utf-8")
        elif name == "events":
            self._events()
        elif name == "log":
            asked = parse_qs(where.query)
            self._log("".join(asked.get("job", [])[:1]), "".join(asked.get("execution", [])[:1]))
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "there is no such page")

    def _events(self) -> None:
        self.send_response(HTTPStatus.OK)
        self._headers("text/event-stream; charset=utf-8")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        with suppress(OSError), self.dashboard.feed.looking() as looker:  # whatever happens to the connection ends it
            while not self.dashboard.closing.is_set():
                news = looker.news(SILENCE)
                message = b"".join(b"event: %b\ndata: %b\n\n" % (event.encode(), data) for event, data in news)
                self.wfile.write(message or b": still here\n\n")
                self.wfile.flush()

    def _log(self, job: str, execution: str) -> None:
        try:
            tail, size = log_tail(self.dashboard.store, job, execution, LOG_SHOWN)
        except ToilError as error:
            self._refuse(HTTPStatus.NOT_FOUND, str(error))
            return
        head = f"… the last {len(tail):,} of {size:,} bytes\n" if size > len(tail) else ""
        self._answer((head + printable(tail.decode(errors="replace"))).encode(), "text/plain; charset=utf-8")

    def _answer(self, data: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(status)
        self._headers(kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        self._answer(f"{why}\n".encode(), "text/plain; charset=utf-8", status)

    def _headers(self, kind: str) -> None:
        self.send_header("Content-Type", kind)
        for name, value in (
            ("Cache-Control", "no-store"),
            ("Referrer-Policy", "no-referrer"),
            ("X-Content-Type-Options", "nosniff"),
            ("X-Frame-Options", "DENY"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Cross-Origin-Opener-Policy", "same-origin"),
        ):
            self.send_header(name, value)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the terminal quiet."""
