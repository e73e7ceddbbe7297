"""The proxy of the tests."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.proxy import proxy_to


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was sent."""

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing is printed."""


@pytest.fixture
def server() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_who_asks_whether_to_go_on_is_answered_before_the_body(server: str) -> None:
    with proxy_to(server) as proxy, socket.create_connection(("127.0.0.1", int(proxy.url.rpartition(":")[2])), 60) as client, client.makefile("rb") as answer:
        client.sendall(b"PUT /k HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
        assert answer.readline() == b"HTTP/1.1 100 Continue\r\n"
        client.sendall(b"body")
        assert answer.read().endswith(b"\r\n\r\nbody")
