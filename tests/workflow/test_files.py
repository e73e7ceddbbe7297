"""Files: written, read, copied, streamed, deleted; on a store with paths, and on one without, with a cache and without."""

from __future__ import annotations

import errno
import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from toil_core.drivers.file import FileJobStore
from toil_core.drivers.memory import MemoryJobStore
from toil_core.errors import BadLocator, CorruptBlob, NoSuchKey, UsageError
from toil_core.job_store import HasPaths, JobStore
from toil_core.options import Config
from toil_core.worker.cache import Cache
from toil_core.worker.cache_ledger import Ledger
from toil_core.workflow.files import File, Files


@pytest.fixture(params=["file", "memory", "cached"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[JobStore]:
    opened: JobStore = FileJobStore(str(tmp_path / "store"), Config()) if request.param == "file" else MemoryJobStore("test-files", Config())
    opened.prepare()
    if request.param == "cached":
        for part in ("entries", "filling"):
            (tmp_path / "cache" / part).mkdir(parents=True)
        Ledger(str(tmp_path / "cache")).begin(1 << 40, replace=True)
    yield opened
    opened.destroy()
    opened.close()


@pytest.fixture
def files(store: JobStore, tmp_path: Path) -> Files:
    tmp = tmp_path / "tmp"
    tmp.mkdir()
    cache = tmp_path / "cache"
    return Files(store, "files/1-1/0.0/", tmp, Config(), Cache(str(cache)) if cache.exists() else None)


def test_text_bytes_and_paths(files: Files, tmp_path: Path) -> None:
    text = files.write("é\n", name="a.txt")
    assert (text.size, text.name) == (3, "a.txt")
    assert files.read(text).read_text(encoding="utf-8") == "é\n"
    source = tmp_path / "b.bin"
    source.write_bytes(b"\0" * 3_000_000)
    kept = files.write(source)
    assert (kept.name, kept.size) == ("b.bin", 3_000_000)
    assert files.read(kept).read_bytes() == source.read_bytes()
    assert files.write(b"").size == 0


def test_moving_in(files: Files, tmp_path: Path) -> None:
    source = tmp_path / "b.bin"
    source.write_bytes(b"x")
    moved = files.write(source, "c.bin", move=True)
    assert not source.exists()
    assert files.read(moved).read_bytes() == b"x"


def test_reading_gives_the_name_and_the_same_path(files: Files) -> None:
    one, other = files.write("1", "reads.fq"), files.write("2", "reads.fq")
    assert one != other
    path = files.read(one)
    assert path.name == files.read(other).name == "reads.fq"
    assert path != files.read(other)
    assert files.read(one) == path
    assert path.stat().st_mode & 0o222 == 0


def test_creating(files: Files) -> None:
    with files.create("calls.vcf") as out:
        out.write(b"head")
        assert out.path.name.endswith("calls.vcf")
        with pytest.raises(UsageError, match="after its `with` block"):
            _ = out.file
    assert files.read(out.file).read_bytes() == b"head"
    assert not out.path.exists()


def test_text(files: Files) -> None:
    with files.create("x.txt", encoding="latin-1") as out:
        out.write("é\n")
        print("x", file=out)
        assert out.path.name.endswith("x.txt")
        with pytest.raises(UsageError, match="after its `with` block"):
            _ = out.file
    assert out.file.size == 4
    with files.open(out.file, encoding="latin-1") as stream:
        assert list(stream) == ["é\n", "x\n"]
    with files.open(out.file, encoding="ascii", errors="replace") as stream:
        assert stream.read(1) == "\ufffd"


def test_text_that_cannot_be_said_or_that_an_error_cuts_short(files: Files, store: JobStore) -> None:
    with pytest.raises(UnicodeEncodeError), files.create("x", encoding="ascii") as out:
        out.write("é")
    with pytest.raises(ValueError, match="no"), files.create("x", encoding="ascii") as out:
        raise ValueError("no")
    assert not out.path.exists()
    assert not list(store.list("files/"))
    with files.create("x", encoding="ascii", errors="replace") as good:
        good.write("é")
    assert files.read(good.file).read_text() == "?"


def test_whether_it_can_be_executed_is_kept(files: Files, tmp_path: Path) -> None:
    script = tmp_path / "run.sh"
    script.write_text("#!/bin/sh\necho ran $0\n")
    plain = files.write(script)
    script.chmod(0o755)
    for file in (files.write(script), files.write(script, move=True)):
        assert file.executable
        for path in (files.read(file), files.read(file, symlink=False), files.copy(file, tmp_path / f"copy-{file.key[-8]}")):
            assert os.access(path, os.X_OK)
    assert not plain.executable
    for path in (files.read(plain), files.copy(plain)):
        assert path.stat().st_mode & 0o111 == 0


def test_reading_without_symbolic_links(files: Files, tmp_path: Path) -> None:
    file = files.write("abc", "x.txt")
    path = files.read(file, symlink=False)
    assert not path.is_symlink()
    assert path.stat().st_mode & 0o222 == 0
    assert path.read_text() == "abc"
    assert files.read(file, symlink=False) == path


def test_a_store_that_cannot_link(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    file = files.write("abc", "x.txt")

    def refuse(*_: object) -> None:
        raise OSError(errno.EMLINK, "too many links")

    monkeypatch.setattr(os, "link", refuse)
    path = files.read(file, symlink=False)
    assert (path.read_text(), path.stat().st_mode & 0o777, path.is_symlink()) == ("abc", 0o444, False)


def test_a_work_folder_without_links(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on FAT: jobs get copies."""
    file = files.write("abc", "x.txt")

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(os, "symlink", refuse)
    path = files.read(file)
    assert (path.read_text(), path.stat().st_mode & 0o777, path.is_symlink()) == ("abc", 0o444, False)


def test_a_link_that_is_made_and_refused(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    file = files.write("abc", "x.txt")
    real = os.link

    def link(source: str, target: str) -> None:
        real(source, target)
        if str(target).endswith("x.txt"):
            raise FileExistsError(errno.EEXIST, "said by a server that was asked twice")

    monkeypatch.setattr(os, "link", link)
    assert files.read(file, symlink=False).read_text() == "abc"


def test_a_symbolic_link_is_followed(files: Files, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("abc")
    (tmp_path / "link").symlink_to("there")
    file = files.write(tmp_path / "link")
    assert (file.name, file.size) == ("link", 3)
    assert files.write(tmp_path / "link", move=True).size == 3
    assert not os.path.lexists(tmp_path / "link")
    assert (tmp_path / "there").read_text() == "abc"


def test_what_is_to_go_by_itself(files: Files, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("abc")
    kept = files.write("abc")
    temporary = [files.write("abc", cleanup=True), files.write(tmp_path / "x", cleanup=True), files.import_url(str(tmp_path / "x"), cleanup=True)]
    with files.create("y", cleanup=True) as out, files.create("z", encoding="utf-8", cleanup=True) as text:
        pass
    temporary += [text.file, out.file]
    assert list(files.temporary) == [file.key for file in temporary]
    assert kept.key not in files.temporary
    assert all(files.exists(file) for file in temporary)


def test_a_tool_may_write_to_the_path(files: Files, tmp_path: Path) -> None:
    with files.create("x.bam") as out:
        other = tmp_path / "other"
        other.write_bytes(b"from a tool")
        out.path.write_bytes(other.read_bytes())
    assert out.file.size == 11
    with files.open(out.file) as stream:
        assert stream.read() == b"from a tool"


def test_an_error_drops_what_was_created(files: Files, store: JobStore) -> None:
    out = files.create("x")
    with pytest.raises(ValueError, match="no"), out:
        raise ValueError("no")
    assert not out.path.exists()
    assert not list(store.list("files/"))
    with pytest.raises(UsageError, match="without an error"):
        _ = out.file


def test_copies_can_be_changed(files: Files, tmp_path: Path) -> None:
    file = files.write("abc", "x.txt")
    path = files.copy(file)
    path.write_text("changed")
    assert files.read(file).read_text() == "abc"
    folder = tmp_path / "folder"
    folder.mkdir()
    assert files.copy(file, folder) == folder / "x.txt"
    with pytest.raises(FileExistsError, match="another target"):
        files.copy(file, folder)
    assert files.copy(file, tmp_path / "y").read_text() == "abc"


def test_who_kept_the_key_alone_finds_the_file(files: Files) -> None:
    with files.create("a.txt") as out:
        early = out.key
        out.write(b"abc")
    assert early == out.file.key
    found = files.find(early)
    assert (found.key, found.size, found.name) == (early, 3, "a.txt")
    assert files.read(found).read_bytes() == b"abc"
    with files.create("b.txt", encoding="utf-8") as text:
        assert text.key != early
    for wrong in ("jobs/0", "files/../run", "files/x/"):
        with pytest.raises(UsageError):
            files.find(wrong)
    with pytest.raises(NoSuchKey):
        files.find("files/1-1/0.0/99/a.txt")


def test_deleting_waits(files: Files) -> None:
    file = files.write("abc")
    files.delete(file)
    files.delete(file)
    assert list(files.deleted) == [file.key]
    assert files.read(file).read_text() == "abc"


def test_a_deleted_file_is_named(files: Files, store: JobStore, tmp_path: Path) -> None:
    file = files.write("abc", "x.txt")
    store.delete([file.key])
    assert not files.exists(file)
    shutil.rmtree(tmp_path / "cache" / "entries", ignore_errors=True)
    for use in (files.read, files.copy, files.open):
        with pytest.raises(NoSuchKey, match=r"file 'x.txt' is no longer in the job store"):
            use(file)


def test_another_size_is_noticed(files: Files) -> None:
    file = files.write("abc", "x.txt")
    wrong = File(file.key, 4, file.name)
    for use in (files.read, files.copy):
        with pytest.raises(CorruptBlob, match=r"'x.txt' should have 4 bytes and has 3"):
            use(wrong)


@pytest.mark.parametrize("name", ["a/b", "..", ".", "x\0y", "line\n", "n" * 201])
def test_names_that_are_none(files: Files, name: str) -> None:
    for use in (lambda: files.write("x", name), lambda: files.create(name)):
        with pytest.raises(UsageError, match="cannot be the name of a file"):
            use()
    with pytest.raises(UsageError, match="cannot be the name"):
        files.read(File("files/1/2/3", 1, name))


def test_keys_that_are_none(files: Files) -> None:
    for key in ("commits/0/000000", "files/../leader/1"):
        with pytest.raises(UsageError, match="not the key of a file"):
            files.delete(File(key, 1, "x"))


def test_sources_that_are_none(files: Files, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        files.write(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        files.write(tmp_path / "nothing")
    with pytest.raises(UsageError, match="takes text, bytes or a Path, not int"):
        files.write(5)  # type: ignore[arg-type]
    for use in (files.read, files.copy, files.open, files.delete):
        with pytest.raises(UsageError, match="'x.txt' is no File"):
            use("x.txt")  # type: ignore[arg-type, call-overload]


def test_urls_in_and_out(files: Files, tmp_path: Path) -> None:
    source = tmp_path / "a b.txt"
    source.write_text("abc")
    for url in (str(source), source.as_uri()):
        file = files.import_url(url)
        assert (file.name, file.size) == ("a b.txt", 3)
    for number, as_url in enumerate[Callable[[Path], str]]((str, Path.as_uri)):
        target = tmp_path / f"out{number}.txt"
        files.export_url(file, as_url(target))
        assert target.read_text() == "abc"
    assert files.import_url(str(source), "c.txt").name == "c.txt"


def test_urls_that_lead_nowhere(files: Files, tmp_path: Path) -> None:
    for url in (str(tmp_path / "nothing"), "gopher://x/y"):
        with pytest.raises(BadLocator):
            files.import_url(url)


def test_a_file_is_small_when_pickled(files: Files) -> None:
    file = files.write("abc", "x.txt")
    again = pickle.loads(pickle.dumps(file, 5))
    assert again == file
    assert hash(again) == hash(file)
    assert len(pickle.dumps(file, 5)) < 120


def test_nothing_is_left_in_the_staging_folder(files: Files, store: JobStore, tmp_path: Path) -> None:
    source = tmp_path / "x"
    source.write_text("x")
    files.write(source)
    with files.create("y") as out:
        out.write(b"y")
    if isinstance(store, HasPaths):
        assert not list(store.staging().iterdir())
