"""A proxy between a client and an HTTP server: it counts requests, and does what networks and servers do at times."""

from __future__ import annotations

import http.client
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

_LISTING = {"list-type", "versions", "uploads"}
_HOP = ("connection", "transfer-encoding", "content-length", "keep-alive")


class Fault(Enum):
    """What can happen to a request."""

    INTERNAL_ERROR = "it is answered 500, and not passed on"
    SLOW_DOWN = "it is answered 503, and not passed on"
    DENIED = "it is answered 403, and not passed on"
    KEY_DENIED = "it is answered that the key of the encryption may not be used, and not passed on"
    EXPIRED = "it is answered that the credentials have expired, and not passed on"
    SKEWED = "it is answered by a server whose clock is an hour behind, and not passed on"
    RESET = "its connection is reset, and it is not passed on"
    LOST_ANSWER = "it is passed on, and its connection is reset instead of an answer"
    TRUNCATED = "the second half of the answer's body is missing"
    CONFLICT = "it is passed on, and answered 409: somebody is just writing that"
    SILENCE = "it is passed on, and not answered until the client gives up"
    STALLED = "the second half of the answer's body does not come until the client gives up"


_REFUSALS = {Fault.INTERNAL_ERROR: (500, "InternalError"), Fault.SLOW_DOWN: (503, "SlowDown"), Fault.DENIED: (403, "AccessDenied"),
             Fault.KEY_DENIED: (403, "AccessDenied"),
             Fault.EXPIRED: (400, "ExpiredToken"), Fault.SKEWED: (403, "RequestTimeTooSkewed")}  # fmt: skip
_PATIENCE = 60.0
PASSING = (Fault.INTERNAL_ERROR, Fault.SLOW_DOWN, Fault.RESET, Fault.LOST_ANSWER, Fault.TRUNCATED)
"""What does not stay."""


@dataclass(frozen=True)
class Asked:
    """A request that came.

    Args:
        method: Its method.
        path: Its path, unquoted.
        query: Its query; names without values have the value ``.
        range: The part of an object that it asks for.
        copies: Whether what it writes is copied inside the server.
        pays: Whether who asks offers to pay.
        operation: The same for each try of one operation, as AWS's SDK marks them; empty where nothing is marked.
        fault: What was done to it.
    """

    method: str
    path: str
    query: dict[str, str]
    range: str = ""
    copies: bool = False
    pays: bool = False
    operation: str = ""
    fault: Fault | None = None

    @property
    def kind(self) -> str:
        """As what S3 charges it: a `write`, a `read`, a `listing`, or a `deletion`, which is free."""
        if self.method == "DELETE" or self.method == "POST" and "delete" in self.query:
            return "deletion"
        if self.method in ("PUT", "POST"):
            return "write"
        return "listing" if _LISTING & set(self.query) else "read"


@dataclass
class Proxy:
    """A running proxy.

    Attributes:
        url: Where it is.
        asked: Every request so far.
        fault: Decides what happens to a request; set it at any time.
    """

    url: str
    asked: list[Asked] = field(default_factory=list)
    fault: Callable[[Asked], Fault | None] = lambda asked: None

    def once(self, fault: Fault, wanted: Callable[[Asked], bool], times: int = 1) -> None:
        """Let the fault happen to the first requests that are wanted."""
        left = [fault] * times
        self.fault = lambda asked: left.pop() if left and wanted(asked) else None

    def operations(self) -> list[Asked]:
        """What was asked, each once however often it was tried: a server under load may make the SDK try anything again."""
        first: dict[str, Asked] = {}
        for number, asked in enumerate(self.asked):
            first.setdefault(asked.operation or str(number), asked)
        return list(first.values())

    def count(self, method: str = "", containing: str = "") -> int:
        """How many operations of a method have a text in their path."""
        return sum(containing in asked.path and method in ("", asked.method) for asked in self.operations())


@contextmanager
def proxy_to(url: str) -> Iterator[Proxy]:
    """Run a proxy to the server at a URL until the block is left."""
    target = url.partition("://")[2]
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.daemon_threads = True
    proxy = Proxy(f"http://127.0.0.1:{server.server_address[1]}")
    server.RequestHandlerClass = _handler(proxy, target)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(proxy: Proxy, target: str) -> type[BaseHTTPRequestHandler]:
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1
        disable_nagle_algorithm = True

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing is printed."""

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:
                self.close_connection = True

        def _pass(self) -> None:
            body = self._body()
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
            headers = self.headers
            asked = Asked(
                self.command, unquote(parts.path), query, headers.get("Range", ""), "x-amz-copy-source" in headers, "x-amz-request-payer" in headers,
                headers.get("amz-sdk-invocation-id", ""),
            )  # fmt: skip
            with lock:
                fault = proxy.fault(asked)
                proxy.asked.append(replace(asked, fault=fault))
            if fault in _REFUSALS:
                self._refuse(*_REFUSALS[fault], "may not do kms:GenerateDataKey" if fault is Fault.KEY_DENIED else "injected")
            elif fault is Fault.RESET:
                self._reset()
            else:
                self._ask(body, fault)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass

        def handle_expect_100(self) -> bool:
            goes_on = super().handle_expect_100()
            self.wfile.flush()  # or the client waits a second before it sends the body
            return goes_on

        def _body(self) -> bytes:
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def _ask(self, body: bytes, fault: Fault | None) -> None:
            upstream = http.client.HTTPConnection(target, timeout=60)
            try:
                upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    if name.lower() not in ("connection", "expect"):
                        upstream.putheader(name, value)
                upstream.endheaders(body)
                answer = upstream.getresponse()
                data = answer.read()
            finally:
                upstream.close()
            if fault is Fault.LOST_ANSWER:
                self._reset()
                return
            if fault is Fault.CONFLICT:
                self._refuse(409, "ConditionalRequestConflict")
                return
            if fault is Fault.SILENCE:
                self._wait()
                return
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in _HOP:
                    self.send_header(name, value)
            length = answer.getheader("Content-Length") if self.command == "HEAD" else None
            self.send_header("Content-Length", length or str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data[: len(data) // 2] if fault in (Fault.TRUNCATED, Fault.STALLED) else data)
            if fault is Fault.TRUNCATED:
                self.close_connection = True
            if fault is Fault.STALLED:
                self.wfile.flush()
                self._wait()

        def _refuse(self, status: int, code: str, message: str = "injected") -> None:
            data = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
            self.send_response_only(status)
            self.send_header("Date", self.date_time_string(time.time() - (3600 if code == "RequestTimeTooSkewed" else 0)))
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def _wait(self) -> None:
            """Until the client closes the connection."""
            self.close_connection = True
            self.connection.settimeout(_PATIENCE)
            self.connection.recv(1)

        def _reset(self) -> None:
            self.close_connection = True
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    return Handler
