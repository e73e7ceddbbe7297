"""The user's code, fetched and checked; what it needs, looked for and installed."""

from __future__ import annotations

import hashlib
import os
import select
import stat
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from tests.deployment.places import build_wheel, install
from toil_core.batch_system import Requirement, Update
from toil_core.drivers.memory import MemoryJobStore
from toil_core.errors import BadOption, CannotInstall, CorruptBlob
from toil_core.options import Config
from toil_core.plugins import open_job_store
from toil_core.wire import keys
from toil_core.wire.jobs import Kind
from toil_core.wire.work import Code, Setup, Task, Work, encode
from toil_core.worker import deployment
from toil_core.worker.host import WorkerHost
from toil_core.worker.modules import explain
from toil_core.worker.python_requirements import missing, pip_install
from toil_core.worker.settle import words
from toil_core.worker.shelf import Shelf


@pytest.fixture
def store() -> Iterator[MemoryJobStore]:
    with MemoryJobStore("code", Config()) as made:
        made.prepare()
        yield made
        made.destroy()


def put(store: MemoryJobStore, files: dict[str, str]) -> Code:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o100755 << 16
            archive.writestr(info, text)
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    store.create(keys.code(digest), buffer.getvalue())
    return Code(digest, "0/run.py", ("0", "1/sub"))


def test_code_is_unpacked_once(store: MemoryJobStore, tmp_path: Path) -> None:
    setup = Setup(script="/leader/run.py", path=("/leader",), code=put(store, {"0/run.py": "x = 1", "0/deep/er.py": ""}))
    shelf = Shelf(tmp_path)
    found = deployment.install(store, setup, shelf, "")
    assert Path(found.script).read_text() == "x = 1"
    assert not stat.S_IMODE(os.stat(found.script).st_mode) & 0o222
    assert stat.S_IMODE(os.stat(found.script).st_mode) & 0o100
    assert found.path == (str(Path(found.script).parent), str(Path(found.script).parent.parent / "1/sub"))
    assert Path(found.path[1]).is_dir()
    store.delete([keys.code(setup.code.digest)])  # type: ignore[union-attr]
    assert deployment.install(store, setup, Shelf(tmp_path), "") == found


def test_other_bytes_than_were_stored_are_refused(store: MemoryJobStore, tmp_path: Path) -> None:
    code = put(store, {"0/run.py": "x = 1"})
    store.write(keys.code(code.digest), BytesIO(b"x"))
    with pytest.raises(CorruptBlob, match="not what was stored"):
        deployment.install(store, Setup(code=code), Shelf(tmp_path), "")


@pytest.mark.parametrize("name", ["../outside.py", "/tmp/outside.py", "0/../../outside.py"])
def test_nothing_is_written_outside(store: MemoryJobStore, tmp_path: Path, name: str) -> None:
    with pytest.raises(CorruptBlob, match="path"):
        deployment.install(store, Setup(code=put(store, {name: ""})), Shelf(tmp_path), "")
    assert not list(tmp_path.rglob("outside.py"))


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages: `tiny` 2.0 with an extra, and `helper` 1.0."""
    packages = tmp_path / "packages"
    packages.mkdir()
    needs = "Provides-Extra: fast\nRequires-Dist: helper>=1; extra == 'fast'\nProvides-Extra: slow\nRequires-Dist: surely-not-there; extra == 'slow'\n"
    install(packages, build_wheel(tmp_path, "tiny", "2.0", {}, needs))
    install(packages, build_wheel(tmp_path, "helper", "1.0", {}))
    (packages / "helper-1.0.dist-info" / "direct_url.json").write_text('{"url": "https://example.org/helper.whl"}')
    monkeypatch.syspath_prepend(str(packages))
    return packages


@pytest.mark.parametrize(
    ("line", "met"),
    [
        ("tiny", True),
        ("tiny==2.0", True),
        ("Tiny>=1,<3 --hash=sha256:abc", True),
        ("tiny<2", False),
        ("tiny[fast]", True),
        ("tiny[slow]", False),
        ("tiny[fast,slow]", False),
        ("surely-not-there", False),
        ("surely-not-there; python_version < '3'", True),
        ("helper @ https://example.org/helper.whl", True),
        ("helper @ https://example.org/other.whl", False),
        ("tiny @ https://example.org/tiny.whl", False),
        ("--no-index", True),
    ],
)
def test_what_is_missing(installed: Path, line: str, met: bool) -> None:
    assert missing([line]) == ([] if met else [line])


def program(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    ("says", "told"),
    [
        ("echo downloading; echo ERROR: no such version 1>&2; echo bye", "ERROR: no such version bye"),
        ("printf '  × No solution found:\\n  ╰─▶ Because tiny\\n      is not there\\n'", "No solution found: Because tiny is not there"),
        ("true", "it said nothing"),
    ],
)
def test_an_installer_that_fails_has_the_last_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, told: str) -> None:
    program(tmp_path / "bin", "uv", f"{says}\nexit 3")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    target = tmp_path / "target"
    target.mkdir()
    with open(os.devnull) as lock, pytest.raises(CannotInstall) as raised:
        pip_install(["tiny==2.0", "--no-index"], target, lock.fileno(), "")
    assert str(raised.value) == f"cannot install what the workflow needs (tiny==2.0): {told}"


def test_no_engine_comes_with_what_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "bin", "uv", "mkdir toil_core toil_core-9.dist-info tiny")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    target = tmp_path / "target"
    target.mkdir()
    with open(os.devnull) as lock:
        pip_install(["tiny"], target, lock.fileno(), "")
    assert [path.name for path in target.iterdir()] == ["tiny"]


def test_without_an_installer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(CannotInstall, match="the workflow needs a, b, c, d, e and 1 more, and .* has neither uv nor pip"):
        pip_install([*"abcdef"], tmp_path, 0, "")


def test_why_modules_cannot_be_loaded() -> None:
    lacking = ModuleNotFoundError("No module named 'tiny'")
    assert explain(lacking, Setup()) == "ModuleNotFoundError: No module named 'tiny'; this worker cannot import it, and no code was sent"
    assert explain(lacking, Setup(code=Code("x"))).endswith("name it with --python-requirements, or look whether a .toilignore file lists it")
    gone = FileNotFoundError(2, "No such file or directory", "/leader/run.py")
    assert explain(gone, Setup(script="/leader/run.py")).endswith("this worker has not the leader's files, and no code was sent")
    assert "\n" not in explain(SyntaxError("two\nlines"), Setup())
    early = '; the script reads a command line, or ends, when it is imported; do that below `if __name__ == "__main__":`'
    assert explain(SystemExit(2), Setup()) == f"SystemExit: 2{early}"
    assert explain(BadOption("LOCATOR is missing"), Setup()) == f"LOCATOR is missing{early}"


def test_that_nothing_can_be_installed_is_not_put_on_the_store() -> None:
    assert words(CannotInstall("cannot install what the workflow needs (tiny==3)")) == "cannot install what the workflow needs (tiny==3)"


def test_an_installer_ends_with_its_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "begun")
    os.mkfifo(tmp_path / "never")
    program(tmp_path / "bin", "uv", f"echo $$ > {tmp_path}/begun\nexec cat {tmp_path}/never")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    locator = f"file:{tmp_path / 'store'}"
    updates: list[Update] = []
    with open_job_store(locator, Config()) as store:
        store.prepare()
        store.create(keys.setup(1), encode(Setup(python_requirements=("surely-not-there==1",))))
    host = WorkerHost(tmp_path / "work", updates.append, Config())
    try:
        work = Work("1-1", locator, keys.setup(1), (Kind("some", Requirement()),), (Task("0.0", 0, b""),))
        host.start(work, Requirement())
        pid = int((tmp_path / "begun").read_text())
        end = os.pidfd_open(pid)
    finally:
        host.close()
    ended, _, _ = select.select([end], [], [], 30)
    os.close(end)
    assert ended
    assert [path.suffix for path in (tmp_path / "work").glob("toil-code-*/packages-*") if path.is_dir()] == []
