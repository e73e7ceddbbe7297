"""What is made once on a machine for many workers, whoever is killed meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from toil_core.errors import UsageError
from toil_core.worker import shelf as shelves
from toil_core.worker.shelf import Shelf


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def filling(text: str, made: list[str] | None = None) -> Callable[[Path, int], None]:
    def fill(folder: Path, _lock: int) -> None:
        (folder / "content").write_text(text)
        if made is not None:
            made.append(text)

    return fill


def test_it_is_made_once(shelf: Shelf, tmp_path: Path) -> None:
    made: list[str] = []
    first = shelf.get("a", filling("one", made))
    assert Shelf(tmp_path).get("a", filling("two", made)) == first
    assert (first / "content").read_text() == "one"
    assert shelf.get("b", filling("other", made)) != first
    assert made == ["one", "other"]


def test_a_maker_that_fails_leaves_nothing(shelf: Shelf) -> None:
    def fail(folder: Path, _lock: int) -> None:
        (folder / "half").write_text("x")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        shelf.get("a", fail)
    assert sorted(path.suffix for path in shelf.folder.iterdir()) == [".making", ".used"]
    assert (shelf.get("a", filling("x")) / "content").read_text() == "x"


def test_many_at_once_make_it_once(tmp_path: Path) -> None:
    made: list[str] = []
    begun = threading.Barrier(8)
    found: list[Path] = []

    def work() -> None:
        begun.wait()
        found.append(Shelf(tmp_path).get("a", filling("x", made)))

    threads = [threading.Thread(target=work, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 8
    assert len(set(found)) == 1
    assert made == ["x"]


KILLED = """
import sys
from pathlib import Path
from toil_core.worker.shelf import Shelf

def fill(folder, lock):
    (folder / "half").write_text("x")
    print("begun", flush=True)
    sys.stdin.read()

Shelf(Path(sys.argv[1])).get("a", fill)
"""


def test_when_a_maker_is_killed_the_next_begins_anew(shelf: Shelf, tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", KILLED, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found: list[Path] = []
        waiting = threading.Thread(target=lambda: found.append(shelf.get("a", filling("x"))), daemon=True)
        waiting.start()
        assert not found
        process.send_signal(signal.SIGKILL)
        waiting.join(60)
    assert [path.name for path in found[0].iterdir()] == ["content"]
    assert not list(shelf.folder.glob("*.new"))


def test_a_helper_that_outlives_its_killed_maker_is_waited_for(shelf: Shelf, tmp_path: Path) -> None:
    code = KILLED.replace("    sys.stdin.read()", "    import subprocess\n    subprocess.run(['cat'], pass_fds=[lock])")
    with subprocess.Popen([sys.executable, "-c", code, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.wait()
        done = threading.Event()

        def wait() -> None:
            shelf.get("a", filling("x"))
            done.set()

        waiting = threading.Thread(target=wait, daemon=True)
        waiting.start()
        process.stdin.close()  # now `cat` ends
        assert done.wait(60)
        waiting.join()


def test_what_is_unused_for_long_is_removed(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used, other = shelf.get("used", filling("x")), Shelf(tmp_path)
    unused = other.get("unused", filling("x"))
    other.close()
    for lock in shelf.folder.glob("*.used"):
        os.utime(lock, (0, 0))
    monkeypatch.setattr(shelves, "KEPT_SECONDS", 60.0)
    fresh = Shelf(tmp_path).get("fresh", filling("x"))
    assert used.exists()
    assert fresh.exists()
    assert not unused.exists()
    assert (shelf.get("unused", filling("y")) / "content").read_text() == "y"


def test_without_locks_the_first_to_finish_wins(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelves, "_flock", lambda lock, how: False)

    def fill(folder: Path, _lock: int) -> None:
        (folder / "content").write_text("late")
        Shelf(tmp_path).get("a", filling("early"))

    assert (shelf.get("a", fill) / "content").read_text() == "early"
    assert not list(shelf.folder.glob("*.new"))


def test_a_folder_that_others_can_write_to_is_refused(tmp_path: Path) -> None:
    Shelf(tmp_path).folder.chmod(0o777)
    with pytest.raises(UsageError, match="can be written to by others"):
        Shelf(tmp_path)


def test_a_link_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / f"toil-code-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="can be written to by others"):
        Shelf(tmp_path / "root")
