"""The least that a client of S3 can do: signed requests by plain sockets, from a file and into a file. It tries nothing again.

    python -S plugins/aws/benchmarks/bare.py up|down BUCKET NAME FILE
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import socket
import sys
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import local
from urllib.parse import quote, urlsplit

PART, PIECE, THREADS = 8 << 20, 1 << 18, 6
SERVER = urlsplit(os.environ["AWS_ENDPOINT_URL"])
_own = local()


def signed(method: str, path: str, query: dict[str, str], headers: dict[str, str], digest: str = "UNSIGNED-PAYLOAD") -> bytes:
    """The head of a request."""
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{moment[:8]}/{os.environ['AWS_DEFAULT_REGION']}/s3/aws4_request"
    all_headers = {**headers, "host": SERVER.netloc, "x-amz-content-sha256": digest, "x-amz-date": moment}
    names = ";".join(sorted(all_headers))
    asked = "&".join(f"{name}={quote(value, safe='')}" for name, value in sorted(query.items()))
    lines = "".join(f"{name}:{all_headers[name]}\n" for name in sorted(all_headers))
    canonical = "\n".join([method, quote(path), asked, lines, names, digest])
    key = f"AWS4{os.environ['AWS_SECRET_ACCESS_KEY']}".encode()
    for word in scope.split("/"):
        key = hmac.digest(key, word.encode(), "sha256")
    told = "\n".join(["AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    proof = hmac.digest(key, told.encode(), "sha256").hex()
    all_headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={os.environ['AWS_ACCESS_KEY_ID']}/{scope}, SignedHeaders={names}, Signature={proof}"
    head = "".join(f"{name}: {value}\r\n" for name, value in all_headers.items())
    return f"{method} {quote(path)}?{asked} HTTP/1.1\r\n{head}\r\n".encode()


def connection() -> socket.socket:
    """This thread's connection."""
    if not hasattr(_own, "socket"):
        _own.socket = socket.create_connection((SERVER.hostname or "", SERVER.port or 80))
        _own.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _own.buffer = memoryview(bytearray(PIECE))
    made: socket.socket = _own.socket
    return made


def answer() -> tuple[dict[str, str], bytes]:
    """The headers of an answer, and what came of its body with them."""
    data = b""
    while b"\r\n\r\n" not in data:
        some = connection().recv(1 << 16)
        assert some, f"the server ended the connection after {data!r}"
        data += some
    head, rest = data.split(b"\r\n\r\n", 1)
    status, *lines = head.decode().split("\r\n")
    assert status.split()[1] in ("200", "206"), f"{status} {rest!r}"
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}, rest


def asked(method: str, path: str, query: dict[str, str], body: bytes = b"") -> str:
    """The body of the answer to a small request."""
    connection().sendall(signed(method, path, query, {"content-length": str(len(body))}) + body)
    headers, rest = answer()
    while not rest.endswith(b"0\r\n\r\n") if "content-length" not in headers else len(rest) < int(headers["content-length"]):
        rest += connection().recv(1 << 16)
    return rest.decode()


def each(parts: int, move: Callable[[int], None]) -> None:
    """Move all parts, several at a time."""
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(move, range(parts)):
            pass


def up(path: str, file: int) -> None:
    """Send a file in parts, with the checksums that the SDK sends where there is no TLS."""
    size = os.fstat(file).st_size
    found = re.search("<UploadId>(.*?)</UploadId>", asked("POST", path, {"uploads": ""}))
    assert found is not None
    upload, tags = found[1], {}

    def move(number: int) -> None:
        connection()
        start, stop = number * PART, min((number + 1) * PART, size)
        crc, digest, at = 0, hashlib.sha256(), start
        while at < stop:
            count = os.preadv(file, [_own.buffer[: stop - at]], at)
            crc, at = zlib.crc32(_own.buffer[:count], crc), at + count
            digest.update(_own.buffer[:count])
        headers = {"content-length": str(stop - start), "x-amz-checksum-crc32": base64.b64encode(crc.to_bytes(4, "big")).decode()}
        connection().sendall(signed("PUT", path, {"partNumber": str(number + 1), "uploadId": upload}, headers, digest.hexdigest()))
        at = start
        while at < stop:
            at += os.sendfile(connection().fileno(), file, at, stop - at)
        tags[number + 1] = answer()[0]["etag"]

    each(-(-size // PART), move)
    parts = "".join(f"<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>" for number, tag in sorted(tags.items()))
    asked("POST", path, {"uploadId": upload}, f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode())


def down(path: str, file: int) -> None:
    """Fetch an object in parts, each into its place."""
    connection().sendall(signed("HEAD", path, {}, {}))
    size = int(answer()[0]["content-length"])

    def move(number: int) -> None:
        start, stop = number * PART, min((number + 1) * PART, size)
        connection().sendall(signed("GET", path, {}, {"range": f"bytes={start}-{stop - 1}"}))
        at = start + os.pwrite(file, answer()[1], start)
        while at < stop:
            count = connection().recv_into(_own.buffer[: stop - at])
            assert count, "the answer was cut short"
            at += os.pwrite(file, _own.buffer[:count], at)

    each(-(-size // PART), move)


if __name__ == "__main__":
    direction, bucket, name, local_path = sys.argv[1:]
    opened = os.open(local_path, os.O_RDONLY if direction == "up" else os.O_RDWR | os.O_CREAT, 0o644)
    (up if direction == "up" else down)(f"/{bucket}/{name}", opened)
