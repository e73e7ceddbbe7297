"""URLs that the core opens itself, against real files and a real web server."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest

from toil_core.drivers.file import FileJobStore
from toil_core.drivers.memory import MemoryJobStore
from toil_core.drivers.url_http import shown
from toil_core.drivers.urls import export_blob, import_url, local_path
from toil_core.errors import BadLocator, NoSuchKey, StoreFull, ToilError, Transient, Unsupported
from toil_core.job_store import JobStore
from toil_core.options import Config
from toil_core.plugins import open_url
from toil_core.testing.needs import small_disk

BODY = bytes(range(256)) * 5000


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        name, _, rest = self.path[1:].partition("?")[0].partition("/")
        if name == "status":
            self.answer(int(rest), b"no")
        elif name == "to":
            self.answer(302, b"", {"Location": {"ok": "/data", "file": "file:///etc/hostname", "ftp": "ftp://localhost/x", "circle": "/to/circle"}[rest]})
        elif name == "cut":
            self.answer(200, BODY[:100_000], {"Content-Length": str(len(BODY))})
            self.close_connection = True
        elif name == "chunked":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for start in range(0, len(BODY), 100_000):
                part = BODY[start : start + 100_000]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.write(b"0\r\n\r\n" if rest != "cut" else b"fff\r\n")
            self.close_connection = True
        elif name == "echo":
            self.answer(200, self.path.encode())
        else:
            self.answer(200, BODY)

    def answer(self, code: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        for header, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
            self.send_header(header, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[JobStore]:
    kind = FileJobStore if request.param == "file" else MemoryJobStore
    with kind(str(tmp_path / "store"), Config()) as found:
        found.prepare()
        yield found
        found.destroy()


def _read(url: str) -> bytes:
    with open_url(url, "rb", Config()) as stream:
        return stream.read()


# Names


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("file:///data/a%20b%25.txt", "/data/a b%.txt"),
        ("file:/data/x", "/data/x"),
        ("FILE://localhost/data/x", "/data/x"),
        ("file:///%C3%9F", "/ß"),
        ("/data/100%20#?.txt", "/data/100%20#?.txt"),
        ("https://example.org/x", None),
        ("s3://bucket/key", None),
    ],
)
def test_local_paths(url: str, path: str | None) -> None:
    assert local_path(url) == path


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("file:x", "relative"),
        ("file:", "relative"),
        ("file://data/x", "host 'data'"),
        ("x.txt", "relative"),
        ("", "relative"),
        ("file:///a#b", "%23"),
        ("file:///a%00b", "NUL"),
        ("/a\0b", "NUL"),
    ],
)
def test_paths_that_name_no_local_file(url: str, why: str) -> None:
    with pytest.raises(BadLocator, match=why):
        local_path(url)


# Files


def test_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "sp ace%.txt").write_bytes(BODY)
    assert _read(f"file://{quote(str(tmp_path))}/sp%20ace%25.txt") == BODY


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(BadLocator, match=f"no file {tmp_path}/absent"):
        _read(f"file://{tmp_path}/absent")
    with pytest.raises(BadLocator, match="cannot be read: Is a directory"):
        _read(f"file://{tmp_path}")


def test_a_written_file_appears_when_closed(tmp_path: Path) -> None:
    target = tmp_path / "out.txt"
    target.write_bytes(b"old")
    with open_url(f"file://{target}", "wb", Config()) as stream:
        stream.write(b"ne")
        stream.write(b"w")
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["out.txt"]
    assert target.stat().st_mode & 0o600 == 0o600


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), open_url(f"file://{tmp_path}/out.txt", "wb", Config()) as stream:
        stream.write(b"half")
        raise KeyboardInterrupt
    forgotten = open_url(f"file://{tmp_path}/out.txt", "wb", Config())
    forgotten.write(b"half")
    del forgotten
    assert os.listdir(tmp_path) == []


def test_a_link_is_followed_when_written(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there/real")
    with open_url(f"file://{tmp_path}/link", "wb", Config()) as stream:
        stream.write(b"new")
    assert (tmp_path / "there" / "real").read_bytes() == b"new"
    assert (tmp_path / "link").is_symlink()


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(BadLocator, match="no folder .*/absent; make it first"):
        open_url(f"file://{tmp_path}/absent/out", "wb", Config())
    with pytest.raises(BadLocator, match="nothing can be made in /proc"):
        open_url("file:///proc/out", "wb", Config())
    for url in (f"file://{tmp_path}", f"file://{tmp_path}/out/", "file:///dev/null"):
        with pytest.raises(BadLocator, match="not a file"):
            open_url(url, "wb", Config())


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", "size=64k") as small:
        with pytest.raises(StoreFull), open_url(f"file://{small}/out", "wb", Config()) as stream:
            stream.write(BODY)
        assert os.listdir(small) == []


# Web servers


@pytest.mark.parametrize("path", ["/data", "/to/ok", "/chunked", "/chunked?x=1"])
def test_a_page_is_read(server: str, path: str) -> None:
    assert _read(server + path) == BODY


def test_odd_characters_are_sent_as_a_url_must_be(server: str) -> None:
    assert _read(server + "/echo/a b%20ß?q=1&r=%2F") == b"/echo/a%20b%20%C3%9F?q=1&r=%2F"


@pytest.mark.parametrize("code", [429, 500, 503])
def test_failures_that_may_pass(server: str, code: int) -> None:
    with pytest.raises(Transient, match=f"answers {code}"):
        _read(f"{server}/status/{code}")


@pytest.mark.parametrize(("code", "hint"), [(404, "check the spelling"), (403, "public"), (401, "password"), (410, "Gone"), (418, "418")])
def test_failures_for_good(server: str, code: int, hint: str) -> None:
    with pytest.raises(BadLocator, match=hint):
        _read(f"{server}/status/{code}")


@pytest.mark.parametrize("place", ["file", "ftp", "circle"])
def test_redirects_that_are_not_followed(server: str, place: str) -> None:
    with pytest.raises(BadLocator, match="leads in a circle, or to a URL of another kind"):
        _read(f"{server}/to/{place}")


@pytest.mark.parametrize("path", ["/cut", "/chunked/cut"])
def test_a_body_cut_short_is_no_body(server: str, path: str, store: JobStore) -> None:
    with pytest.raises(Transient):
        _read(server + path)
    with pytest.raises(Transient):
        import_url(store, "k", server + path, Config())
    assert list(store.list()) == []


def test_servers_that_are_not_there() -> None:
    with pytest.raises(Transient, match="refused"):
        _read("http://127.0.0.1:1/x")
    with pytest.raises(BadLocator, match="no such host"):
        _read("http://no-such-host.invalid/x")
    with pytest.raises(BadLocator, match="no URL"):
        _read("http://127.0.0.1:port/x")
    for url in ("http://", "https:///path"):
        with pytest.raises(BadLocator, match="names no host"):
            _read(url)


def test_web_pages_are_not_written(server: str) -> None:
    with pytest.raises(Unsupported, match="can only be read"):
        open_url(f"{server}/data", "wb", Config())


def test_errors_hide_secrets(server: str) -> None:
    signed = server + "/status/404?signature=secret"
    for url in (signed, signed.replace("http://", "http://user:secret@"), "http://user:secret@localhost/x"):
        assert "secret" not in shown(url)
        with pytest.raises(ToilError) as raised:
            _read(url)
        assert "secret" not in str(raised.value)


# In and out of a job store


def test_import_and_export(store: JobStore, server: str, tmp_path: Path) -> None:
    source, target = tmp_path / "in.txt", tmp_path / "out.txt"
    source.write_bytes(BODY)
    for key, url in (("files/1/a/in.txt", str(source)), ("files/1/b/in.txt", f"file://{source}"), ("files/1/c/data", f"{server}/data")):
        assert import_url(store, key, url, Config()) == len(BODY)
        export_blob(store, key, f"file://{target}", Config())
        assert target.read_bytes() == BODY
        target.unlink()
        export_blob(store, key, str(target), Config())
        assert target.read_bytes() == BODY
    assert source.stat().st_mode & 0o200, "the user's file is left as it was"
    source.write_bytes(b"changed")
    target.write_bytes(b"changed")
    with store.read("files/1/a/in.txt") as stream:
        assert stream.read() == BODY
    assert sorted(os.listdir(tmp_path)) == sorted({"in.txt", "out.txt", *(["store"] if isinstance(store, FileJobStore) else [])})


def test_import_of_nothing(store: JobStore, server: str, tmp_path: Path) -> None:
    for url in (str(tmp_path / "absent"), str(tmp_path), f"{server}/status/404", "nobody:knows"):
        with pytest.raises(BadLocator):
            import_url(store, "k", url, Config())
    with pytest.raises(NoSuchKey):
        export_blob(store, "k", str(tmp_path / "out"), Config())
    with pytest.raises(Unsupported):
        store.create("k", b"")
        export_blob(store, "k", f"{server}/data", Config())
    assert not (tmp_path / "out").exists()


def test_a_file_that_nobody_may_change_is_linked(tmp_path: Path) -> None:
    with FileJobStore(str(tmp_path / "store"), Config()) as store:
        store.prepare()
        source = tmp_path / "reference.fa"
        source.write_bytes(BODY)
        source.chmod(0o444)
        (tmp_path / "link").symlink_to(source)
        import_url(store, "files/1/a/reference.fa", str(tmp_path / "link"), Config())
        assert store.path("files/1/a/reference.fa").samefile(source)
        store.delete(["files/1/a/reference.fa"])
        assert source.read_bytes() == BODY
        assert list(store.staging().iterdir()) == []
