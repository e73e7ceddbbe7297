"""Directories: what is kept of them, and what comes back."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.worker.without_paths import WithoutPaths
from toil_core.drivers.file import FileJobStore
from toil_core.errors import CorruptBlob, NoSuchKey, Unsupported, UsageError
from toil_core.job_store import JobStore
from toil_core.options import Config
from toil_core.worker.cache import Cache
from toil_core.worker.cache_ledger import Ledger
from toil_core.workflow.file_values import Directory, Entry, File, decode_entries, encode_entries
from toil_core.workflow.files import Files


@pytest.fixture(params=["file", "without paths", "cached"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[JobStore]:
    opened: JobStore = FileJobStore(str(tmp_path / "store"), Config()) if request.param == "file" else WithoutPaths(tmp_path)
    opened.prepare()
    if request.param == "cached":
        for part in ("entries", "filling"):
            (tmp_path / "cache" / part).mkdir(parents=True)
        Ledger(str(tmp_path / "cache")).begin(1 << 40, replace=True)
    with opened:
        yield opened


@pytest.fixture
def files(store: JobStore, tmp_path: Path) -> Files:
    tmp = tmp_path / "tmp"
    tmp.mkdir()
    cache = tmp_path / "cache"
    return Files(store, "files/1-1/0.0/", tmp, Config(), Cache(str(cache)) if cache.exists() else None)


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """A folder with a bit of everything."""
    top = tmp_path / "index"
    (top / "a" / "b").mkdir(parents=True)
    (top / "empty").mkdir(mode=0o750)
    (top / "genome.fa").write_text(">x\nACGT\n")
    (top / "a" / "same.fa").write_text(">x\nACGT\n")
    (top / "a" / "other.fa").write_text(">x\nACGA\n")
    (top / "a" / "b" / "nothing").touch()
    (top / "run").write_text("#!/bin/sh\n")
    (top / "run").chmod(0o750)
    (top / "é ü").write_text("unicode")
    return top


def tree(top: Path) -> dict[str, str]:
    """What is below a folder: the content of files, the targets of links that stay inside, and folders."""
    found: dict[str, str] = {}
    for folder, folders, names in os.walk(top):
        for name in (*folders, *names):
            path = Path(folder, name)
            inside = path.is_symlink() and not os.readlink(path).startswith("/")
            kind = f"-> {os.readlink(path)}" if inside else "folder" if path.is_dir() else path.read_text()
            found[str(path.relative_to(top))] = kind
    return found


def blobs(store: JobStore) -> list[str]:
    return [blob.key for blob in store.list("files/")]


def test_there_and_back(files: Files, index: Path, tmp_path: Path) -> None:
    directory = files.write_directory(index)
    assert (directory.name, directory.count, directory.size) == ("index", 6, 24 + 10 + 7)
    read = files.read(directory)
    assert read.name == "index"
    assert tree(read) == tree(index)
    assert files.read(directory) == read
    copy = files.copy(directory, tmp_path / "copy")
    assert tree(copy) == tree(index)
    assert files.copy(directory) == tmp_path / "tmp" / "index"
    named = files.write_directory(index, "other")
    assert files.read(named).name == "other"
    assert tree(files.read(named, symlink=False)) == tree(index)
    assert not any(path.is_symlink() for path in files.read(named, symlink=False).rglob("*"))


def test_permissions(files: Files, index: Path) -> None:
    directory = files.write_directory(index)
    read, copy = files.read(directory), files.copy(directory)
    assert os.access(read / "run", os.X_OK)
    assert (read / "genome.fa").stat().st_mode & 0o333 == 0
    assert [(copy / name).stat().st_mode & 0o777 for name in ("run", "empty")] == [0o750, 0o750]
    (copy / "genome.fa").write_text("changed")
    assert (read / "genome.fa").read_text() == ">x\nACGT\n"


def test_the_same_content_is_stored_once(files: Files, index: Path, store: JobStore) -> None:
    directory = files.write_directory(index)
    assert len(blobs(store)) == 5 + 1
    contents = files.contents(directory)
    assert contents["genome.fa"].key == contents["a/same.fa"].key
    assert contents["genome.fa"].key != contents["a/other.fa"].key
    assert {path: file.name for path, file in contents.items()} == {path: path.rpartition("/")[2] for path in contents}
    assert files.read(contents["a/same.fa"]).name == "same.fa"
    assert files.read(contents["genome.fa"]).name == "genome.fa"


def test_symbolic_links(files: Files, index: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "far").write_text("far")
    (index / "up").symlink_to("a/../genome.fa")
    (index / "a" / "down").symlink_to("b")
    (index / "a" / "absolute").symlink_to(index / "genome.fa")
    (index / "a" / "chain").symlink_to("../up")
    (index / "file").symlink_to(outside / "far")
    (index / "folder").symlink_to(outside)
    kept = tree(files.read(files.write_directory(index)))
    assert (kept["up"], kept["a/down"]) == ("-> genome.fa", "-> b")
    assert (kept["a/absolute"], kept["a/chain"]) == ("-> ../genome.fa", "-> ../genome.fa")
    assert (kept["file"], kept["folder"], kept["folder/far"]) == ("far", "folder", "far")
    followed = files.read(files.write_directory(index, follow_symlinks=True))
    assert not any(text.startswith("->") for text in tree(followed).values())
    assert (followed / "a" / "down" / "nothing").read_text() == ""


def test_links_that_lead_nowhere_or_in_a_circle(files: Files, index: Path) -> None:
    (index / "a" / "circle").symlink_to("..")
    assert tree(files.read(files.write_directory(index)))["a/circle"] == "-> .."
    with pytest.raises(UsageError, match="leads in a circle"):
        files.write_directory(index, follow_symlinks=True)
    (index / "dangling").symlink_to("nothing")
    with pytest.raises(UsageError, match="dangling is a symbolic link that leads nowhere"):
        files.write_directory(index)


def test_what_cannot_be_kept(files: Files, index: Path, store: JobStore) -> None:
    os.mkfifo(index / "pipe")
    with pytest.raises(UsageError, match="pipe is no file, folder or symbolic link"):
        files.write_directory(index)
    (index / "pipe").unlink()
    for name in (b"new\nline", b"\xff"):
        bad = os.fsencode(index) + b"/" + name
        os.close(os.open(bad, os.O_CREAT))
        with pytest.raises(UsageError, match="a name must be printable UTF-8"):
            files.write_directory(index)
        os.unlink(bad)
    with pytest.raises(UsageError, match="is no folder; files.write_directory takes a folder"):
        files.write_directory(index / "run")
    with pytest.raises(FileNotFoundError):
        files.write_directory(index / "nothing")
    with pytest.raises(UsageError, match=r"takes a Path, not str"):
        files.write_directory(str(index))  # type: ignore[arg-type]
    assert blobs(store) == []


def test_deleting(files: Files, index: Path, store: JobStore, tmp_path: Path) -> None:
    directory = files.write_directory(index)
    assert files.exists(directory)
    files.delete(directory)
    assert set(files.deleted) == set(blobs(store))
    store.delete(files.deleted)
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    assert not files.exists(directory)
    for use in (files.read, files.copy, files.contents, files.delete):
        with pytest.raises(NoSuchKey):
            use(directory)


def test_what_is_to_go_by_itself(files: Files, index: Path, store: JobStore) -> None:
    files.write_directory(index, cleanup=True)
    assert set(files.temporary) == set(blobs(store))


def test_exporting(files: Files, index: Path, tmp_path: Path) -> None:
    directory = files.write_directory(index)
    files.export_url(directory, str(tmp_path / "out"))
    assert tree(tmp_path / "out") == tree(index)
    with pytest.raises(FileExistsError, match="to a new path"):
        files.export_url(directory, (tmp_path / "out").as_uri())
    with pytest.raises(Unsupported, match="can only be read"):
        files.export_url(directory, "https://example.org/x")


def test_many_files(files: Files, tmp_path: Path) -> None:
    top = tmp_path / "many"
    top.mkdir()
    for number in range(200):
        (top / str(number)).write_text(str(number))
    directory = files.write_directory(top)
    assert len(pickle.dumps(directory, 5)) < 250
    assert tree(files.read(directory)) == tree(top)
    assert tree(files.copy(directory)) == tree(top)


def test_one_that_was_written_here_is_not_fetched(files: Files, index: Path, store: JobStore, tmp_path: Path) -> None:
    directory = files.write_directory(index)
    files.read(directory)
    files.copy(directory)
    if (tmp_path / "cache").exists():
        assert isinstance(store, WithoutPaths)
        assert store.reads == []


@pytest.mark.parametrize(
    "entries",
    [
        [Entry("../x", 0o644)],
        [Entry("/x", 0o644)],
        [Entry("a//b", 0o644)],
        [Entry("", 0o755)],
        [Entry("a", 0o777, link="/etc"), Entry("a/b", 0o644, File("files/1/2/3", 0, "b"))],
    ],
)
def test_paths_that_lead_out(entries: list[Entry]) -> None:
    with pytest.raises(CorruptBlob, match="which is no path inside a directory"):
        decode_entries(encode_entries(entries), File("files/1/2/3", 1, "manifest"))


def test_something_else_in_its_place(files: Files) -> None:
    text = files.write("abc")
    for manifest in (text, File(text.key, 2, "manifest"), File(text.key, 3, "manifest", crc=1)):
        with pytest.raises(CorruptBlob):
            files.contents(Directory(manifest, 1, "x", 1))
    with pytest.raises(UsageError, match="is no File"):
        files.read("x")  # type: ignore[arg-type]
