"""What every transport must do when it copies: the larger part of the transport contract's cases."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import pytest

from toil_core.errors import CannotCopy, NodeFull
from toil_core.provisioner import Node
from toil_core.sync_transport import SyncTransport

NAMES = ["a b", "'", '"', "$HOME", "*", "[ab]", "\\", "new\nline", "-rf", "--delete", "ü", "日本語", ".hidden", "a:b", "host:path", "~", "#x#", "%41", "!", "x" * 200, "~tilde", "e\u0301"]
"""Names of files that some way of copying has changed."""


class CopyCases:
    """Cases for `push` and `pull`; the fixtures are those of `SyncTransportContract`."""

    def test_a_folder_goes_and_comes_back_as_it_is(self, transport: SyncTransport, node: Node, source: Path, place: PurePosixPath, tmp_path: Path) -> None:
        transport.push(node, source, place / "deep" / "er")
        transport.pull(node, place / "deep" / "er", tmp_path / "new" / "back")
        assert snapshot(tmp_path / "new" / "back") == snapshot(source)

    def test_doing_it_twice_changes_nothing(self, transport: SyncTransport, node: Node, source: Path, place: PurePosixPath, tmp_path: Path) -> None:
        for _ in range(2):
            transport.push(node, source, place)
            transport.pull(node, place, tmp_path / "back")
        assert snapshot(tmp_path / "back") == snapshot(source)

    @pytest.mark.parametrize("name", NAMES, ids=ascii)
    def test_a_file_of_any_name(self, transport: SyncTransport, node: Node, place: PurePosixPath, tmp_path: Path, name: str) -> None:
        (tmp_path / name).write_bytes(b"content")
        transport.push(node, tmp_path / name, place / "in" / name)
        assert transport.run(node, ["ls", "-A", str(place / "in")]).stdout != b""
        transport.pull(node, place / "in" / name, tmp_path / "back" / name)
        assert (tmp_path / "back" / name).read_bytes() == b"content"
        assert os.listdir(tmp_path / "back") == [name]

    @pytest.mark.parametrize("name", NAMES, ids=ascii)
    def test_a_folder_of_any_name(self, transport: SyncTransport, node: Node, place: PurePosixPath, tmp_path: Path, name: str) -> None:
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").write_bytes(b"content")
        transport.push(node, tmp_path / name, place / name)
        transport.pull(node, place / name, tmp_path / "back" / name)
        assert (tmp_path / "back" / name / "f").read_bytes() == b"content"
        assert transport.run(node, ["ls", "-A", "--", str(place / name)]).stdout == b"f\n"

    def test_paths_from_the_root(self, transport: SyncTransport, node: Node, place: PurePosixPath, tmp_path: Path) -> None:
        home = PurePosixPath(transport.run(node, ["pwd", "-P"]).stdout.decode().rstrip("\n"))
        (tmp_path / "f").write_bytes(b"content")
        transport.push(node, tmp_path / "f", home / place / "f")
        assert transport.run(node, ["cat", f"{place}/f"]).stdout == b"content"
        transport.pull(node, home / place / "f", tmp_path / "g")
        assert (tmp_path / "g").read_bytes() == b"content"

    @pytest.mark.parametrize("size", [0, 1, 32768, 8 << 20])
    def test_a_file_of_any_size(self, transport: SyncTransport, node: Node, place: PurePosixPath, tmp_path: Path, size: int) -> None:
        data = os.urandom(size)
        (tmp_path / "f").write_bytes(data)
        transport.push(node, tmp_path / "f", place)
        transport.pull(node, place, tmp_path / "g")
        assert (tmp_path / "g").read_bytes() == data

    def test_many_files(self, transport: SyncTransport, node: Node, place: PurePosixPath, tmp_path: Path) -> None:
        for number in range(400):
            (tmp_path / "many" / str(number % 20)).mkdir(parents=True, exist_ok=True)
            (tmp_path / "many" / str(number % 20) / str(number)).write_text(str(number))
        transport.push(node, tmp_path / "many", place)
        transport.pull(node, place, tmp_path / "back")
        assert snapshot(tmp_path / "back") == snapshot(tmp_path / "many")

    def test_what_the_target_has_more_stays(self, transport: SyncTransport, node: Node, source: Path, place: PurePosixPath, tmp_path: Path) -> None:
        more(transport, node, place, tmp_path / "back")
        transport.push(node, source, place)
        transport.pull(node, place, tmp_path / "back")
        assert transport.run(node, ["cat", f"{place}/more/f"]).stdout == b"more"
        assert (tmp_path / "back" / "local" / "f").read_text() == "more"

    def test_what_the_target_has_more_goes_when_told(self, transport: SyncTransport, node: Node, source: Path, place: PurePosixPath, tmp_path: Path) -> None:
        more(transport, node, place, tmp_path / "back")
        transport.push(node, source, place, delete=True)
        transport.pull(node, place, tmp_path / "back", delete=True)
        assert snapshot(tmp_path / "back") == snapshot(source)

    def test_only_what_differs_is_sent(self, transport: SyncTransport, node: Node, place: PurePosixPath, tmp_path: Path) -> None:
        for name in ("same", "other"):
            (tmp_path / "d").mkdir(exist_ok=True)
            (tmp_path / "d" / name).write_text("content")
        transport.push(node, tmp_path / "d", place)
        transport.pull(node, place, tmp_path / "back")
        before = inodes(transport, node, place), {path.name: str(path.stat().st_ino) for path in (tmp_path / "back").iterdir()}
        (tmp_path / "d" / "other").write_text("changed")
        transport.push(node, tmp_path / "d", place)
        transport.pull(node, place, tmp_path / "back")
        after = inodes(transport, node, place), {path.name: str(path.stat().st_ino) for path in (tmp_path / "back").iterdir()}
        for one, two in zip(before, after, strict=True):
            assert one["same"] == two["same"] and one["other"] != two["other"]

    def test_a_change_within_the_second_is_seen(self, transport: SyncTransport, node: Node, place: PurePosixPath, tmp_path: Path) -> None:
        folder = tmp_path / "d"
        folder.mkdir()
        for content, fraction in (("one", 100_000_000), ("two", 900_000_000)):
            (folder / "f").write_text(content)
            os.utime(folder / "f", ns=(10**18 + fraction,) * 2)
            transport.push(node, folder, place)
            assert transport.run(node, ["cat", f"{place}/f"]).stdout == content.encode()
            transport.pull(node, place, tmp_path / "back")
            assert (tmp_path / "back" / "f").read_text() == content

    def test_an_older_file_takes_the_place_of_a_newer_one(self, transport: SyncTransport, node: Node, place: PurePosixPath, tmp_path: Path) -> None:
        transport.run(node, ["sh", "-c", f"mkdir {place}; echo newer >{place}/f"])
        (tmp_path / "f").write_text("older")
        os.utime(tmp_path / "f", (10**9, 10**9))
        transport.push(node, tmp_path / "f", place / "f")
        assert transport.run(node, ["stat", "-c", "%s %Y", f"{place}/f"]).stdout == b"5 1000000000\n"

    def test_modes_and_times_alone_are_carried(self, transport: SyncTransport, node: Node, place: PurePosixPath, tmp_path: Path) -> None:
        folder = tmp_path / "d"
        folder.mkdir()
        (folder / "f").write_text("content")
        transport.push(node, folder, place)
        (folder / "f").chmod(0o741)
        os.utime(folder / "f", (10**9, 10**9))
        folder.chmod(0o711)
        transport.push(node, folder, place)
        assert transport.run(node, ["stat", "-c", "%a %Y", f"{place}/f"]).stdout == b"741 1000000000\n"
        assert transport.run(node, ["stat", "-c", "%a", str(place)]).stdout == b"711\n"

    def test_a_file_is_not_put_inside_of_a_folder(self, transport: SyncTransport, node: Node, place: PurePosixPath, tmp_path: Path) -> None:
        (tmp_path / "f").write_text("content")
        transport.run(node, ["mkdir", "-p", f"{place}/empty", f"{place}/full/x"])
        transport.push(node, tmp_path / "f", place / "empty")
        assert transport.run(node, ["cat", f"{place}/empty"]).stdout == b"content"
        with pytest.raises(CannotCopy, match="full"):
            transport.push(node, tmp_path / "f", place / "full")
        assert transport.run(node, ["ls", "-A", f"{place}/full"]).stdout == b"x\n"
        transport.push(node, tmp_path / "f", place / "full", delete=True)
        assert transport.run(node, ["cat", f"{place}/full"]).stdout == b"content"

    def test_a_file_is_not_pulled_into_a_folder(self, transport: SyncTransport, node: Node, place: PurePosixPath, tmp_path: Path) -> None:
        transport.run(node, ["sh", "-c", f"printf content >{place}"])
        (tmp_path / "empty").mkdir()
        (tmp_path / "full" / "x").mkdir(parents=True)
        transport.pull(node, place, tmp_path / "empty")
        assert (tmp_path / "empty").read_text() == "content"
        with pytest.raises(CannotCopy, match="full"):
            transport.pull(node, place, tmp_path / "full")
        assert os.listdir(tmp_path / "full") == ["x"]
        transport.pull(node, place, tmp_path / "full", delete=True)
        assert (tmp_path / "full").read_text() == "content"

    def test_kinds_are_exchanged_inside_of_a_folder(self, transport: SyncTransport, node: Node, place: PurePosixPath, tmp_path: Path) -> None:
        transport.run(node, ["sh", "-c", f"mkdir -p {place}/tofile {place}/tolink {place}-2; echo x >{place}/tofolder; ln -s ../{place}-2 {place}/linkto"])
        folder = tmp_path / "d"
        for name in ("tofolder", "linkto"):
            (folder / name).mkdir(parents=True)
            (folder / name / "f").write_text("inside")
        (folder / "tofile").write_text("content")
        (folder / "tolink").symlink_to("tofile")
        transport.push(node, folder, place)
        transport.pull(node, place, tmp_path / "back")
        assert snapshot(tmp_path / "back") == snapshot(folder)
        assert transport.run(node, ["ls", "-A", f"{place}-2"]).stdout == b""

    def test_a_link_as_source_stands_for_its_target(self, transport: SyncTransport, node: Node, place: PurePosixPath, tmp_path: Path) -> None:
        (tmp_path / "d").mkdir()
        (tmp_path / "d" / "f").write_text("content")
        (tmp_path / "to-folder").symlink_to("d")
        (tmp_path / "to-file").symlink_to("d/f")
        for name in ("to-folder", "to-file"):
            transport.push(node, tmp_path / name, place / name)
        assert transport.run(node, ["find", str(place), "-type", "l"]).stdout == b""
        transport.run(node, ["sh", "-c", f"cd {place}; ln -s to-folder l1; ln -s to-file l2"])
        for name in ("l1", "l2"):
            transport.pull(node, place / name, tmp_path / "back" / name)
        assert (tmp_path / "back" / "l1" / "f").read_text() == (tmp_path / "back" / "l2").read_text() == "content"
        assert not (tmp_path / "back" / "l1").is_symlink() and not (tmp_path / "back" / "l2").is_symlink()

    def test_who_has_the_old_file_keeps_it(self, transport: SyncTransport, node: Node, place: PurePosixPath, tmp_path: Path) -> None:
        (tmp_path / "f").write_text("old")
        transport.push(node, tmp_path / "f", place / "f")
        transport.run(node, ["ln", f"{place}/f", f"{place}/held"])
        (tmp_path / "f").write_text("newer")
        transport.push(node, tmp_path / "f", place / "f")
        assert transport.run(node, ["cat", f"{place}/held", f"{place}/f"]).stdout == b"oldnewer"
        assert transport.run(node, ["ls", "-A", str(place)]).stdout == b"f\nheld\n"

    def test_pipes_and_sockets_are_left_out(self, transport: SyncTransport, node: Node, place: PurePosixPath, tmp_path: Path) -> None:
        (tmp_path / "d").mkdir()
        (tmp_path / "d" / "f").write_text("content")
        os.mkfifo(tmp_path / "d" / "pipe")
        transport.push(node, tmp_path / "d", place)
        assert transport.run(node, ["ls", "-A", str(place)]).stdout == b"f\n"
        transport.run(node, ["mkfifo", f"{place}/pipe"])
        transport.pull(node, place, tmp_path / "back")
        assert os.listdir(tmp_path / "back") == ["f"]

    def test_a_source_that_is_not_there_is_named(self, transport: SyncTransport, node: Node, place: PurePosixPath, tmp_path: Path) -> None:
        with pytest.raises(CannotCopy, match="nowhere"):
            transport.push(node, tmp_path / "nowhere", place)
        with pytest.raises(CannotCopy, match="nowhere"):
            transport.pull(node, place / "nowhere", tmp_path / "back")
        assert not (tmp_path / "back").exists()
        assert transport.run(node, ["ls", "-d", str(place)]).returncode != 0

    def test_a_target_that_cannot_be_is_named(self, transport: SyncTransport, node: Node, place: PurePosixPath, source: Path, tmp_path: Path) -> None:
        (tmp_path / "f").write_text("content")
        for wanted in (tmp_path / "f", source):
            with pytest.raises(CannotCopy, match="/proc/toil-test"):
                transport.push(node, wanted, PurePosixPath("/proc/toil-test/x"))
        transport.push(node, tmp_path / "f", place)
        with pytest.raises(CannotCopy, match="/proc/toil-test"):
            transport.pull(node, place, Path("/proc/toil-test/x"))
        with pytest.raises(CannotCopy, match=str(place)):
            transport.push(node, tmp_path / "f", place / "x")

    def test_a_full_disk_is_told(self, transport: SyncTransport, node: Node, small: PurePosixPath, tmp_path: Path) -> None:
        (tmp_path / "d").mkdir()
        (tmp_path / "d" / "large").write_bytes(os.urandom(4 << 20))
        for source in (tmp_path / "d", tmp_path / "d" / "large"):
            with pytest.raises(NodeFull, match=f"(?s){node.name}.*no space|no space.*{node.name}"):
                transport.push(node, source, small / "target")
        assert b"large" not in transport.run(node, ["find", str(small), "-type", "f"]).stdout

    def test_copies_at_once(self, transport: SyncTransport, node: Node, place: PurePosixPath, source: Path, tmp_path: Path) -> None:
        with ThreadPoolExecutor(12) as pool:
            list(pool.map(lambda number: transport.push(node, source, place / str(number)), range(12)))
            list(pool.map(lambda number: transport.pull(node, place / str(number), tmp_path / "back" / str(number)), range(12)))
        assert all(snapshot(tmp_path / "back" / str(number)) == snapshot(source) for number in range(12))


def tree(top: Path) -> Path:
    """A folder with a bit of everything; its path."""
    for name in ("empty", "deep/er/still", "locked", "a b"):
        (top / name).mkdir(parents=True)
    for number, name in enumerate(("f", "deep/er/f", "deep/er/still/.hidden", "a b/c d", "locked/inside", "zero", "run.sh", "secret", "deep/ü\nx")):
        (top / name).write_bytes(bytes(range(256)) * number if name != "zero" else b"")
        os.utime(top / name, (1_500_000_000 + number, 1_500_000_000 + number))
    (top / "run.sh").chmod(0o755)
    (top / "secret").chmod(0o600)
    (top / "read-only").write_text("x")
    (top / "read-only").chmod(0o444)
    for link, target in (("to-file", "f"), ("to-folder", "deep"), ("dangling", "nowhere"), ("absolute", "/etc/hostname"), ("deep/up", "../f")):
        (top / link).symlink_to(target)
    (top / "locked").chmod(0o555)
    for folder in (top / "deep", top / "empty", top / "locked", top):
        os.utime(folder, (1_400_000_000, 1_400_000_000))
    return top


def snapshot(top: Path) -> dict[str, tuple[object, ...]]:
    """Everything that a copy must have, by path: kinds, contents, permissions, times in seconds."""
    found: dict[str, tuple[object, ...]] = {}
    for path in [top, *sorted(top.rglob("*"))]:
        status = path.lstat()
        name = str(path.relative_to(top))
        if stat.S_ISLNK(status.st_mode):
            found[name] = ("link", os.readlink(path))
        elif stat.S_ISDIR(status.st_mode):
            found[name] = ("folder", oct(status.st_mode), int(status.st_mtime))
        else:
            found[name] = ("file", oct(status.st_mode), int(status.st_mtime), path.read_bytes())
    return found


def more(transport: SyncTransport, node: Node, place: PurePosixPath, back: Path) -> None:
    """Have things at both ends that the source does not have."""
    transport.run(node, ["sh", "-c", f"mkdir -p {place}/more {place}/deep/more; printf more >{place}/more/f; echo x >{place}/deep/g"])
    (back / "local").mkdir(parents=True)
    (back / "local" / "f").write_text("more")


def inodes(transport: SyncTransport, node: Node, place: PurePosixPath) -> dict[str, str]:
    """The inode of each file in a folder on the node."""
    listed = transport.run(node, ["find", str(place), "-type", "f", "-printf", "%f %i\\n"]).stdout.decode()
    return dict(line.split() for line in listed.splitlines())
