"""What is chosen of the user's files, and how it is packed."""

from __future__ import annotations

import json
import logging
import os
import sys
import zipfile
from io import BytesIO
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

import toil_core
from tests.fake_plugins import run_python
from toil_core.drivers.memory import MemoryJobStore
from toil_core.errors import CannotDeploy
from toil_core.options import Config
from toil_core.wire.work import Setup
from toil_core.workflow import deployment_files
from toil_core.workflow.deployment import deploy, pack, select
from toil_core.workflow.deployment_files import Found, Search
from toil_core.workflow.deployment_sources import Sources, Tree, find


def write(folder: Path, *names: str, text: str = "x") -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def chosen(folder: Path, names: tuple[str, ...] | None = None, skipped: frozenset[str] = frozenset()) -> list[str]:
    return [found.name for found in Search(skipped).files(str(folder), names)]


def module(name: str, file: Path | None = None, path: list[Path] | None = None) -> ModuleType:
    made = ModuleType(name)
    if file is not None:
        made.__file__ = str(file)
    if path is not None:
        made.__path__ = [str(folder) for folder in path]
    return made


# Files


def test_what_belongs_to_no_program_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, "run.py", "helper.py", "data/table.txt", "deep/er/module.py")
    write(tmp_path, ".git/config", ".env", "__pycache__/run.pyc", "old.pyc", "node_modules/x.js", "env/pyvenv.cfg", "env/lib/x.py")
    write(tmp_path, "conda/conda-meta/history", "conda/x.py", "cache/CACHEDIR.TAG", "store/toil-job-store.json", "store/commit", "out/log")
    assert chosen(tmp_path, skipped=frozenset([str(tmp_path / "out")])) == ["data/table.txt", "deep/er/module.py", "helper.py", "run.py"]


def test_the_keys_of_clusters_go_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "run.py", "state/clusters/demo/key", "state/clusters/demo/secrets/key.pem")
    monkeypatch.setenv("TOIL_STATE_DIR", str(tmp_path / "state"))
    assert chosen(tmp_path) == ["run.py"]


def test_ignore_files_hold_below_their_folders(tmp_path: Path) -> None:
    write(tmp_path, "a.dat", "keep.dat", "run.py", "sub/a.dat", "sub/b.txt", "sub/.hidden", "raw/x", "raw/keep.dat")
    (tmp_path / ".toilignore").write_text("# data\n*.dat\n!keep.dat\n/raw/\n")
    (tmp_path / "sub" / ".toilignore").write_text("!a.dat\nb.txt\n!.hidden\n")
    assert chosen(tmp_path) == ["keep.dat", "run.py", "sub/.hidden", "sub/a.dat"]
    assert chosen(tmp_path, ("sub",)) == ["sub/.hidden", "sub/a.dat"]


def test_large_data_is_left_out_unless_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployment_files, "DATA_LIMIT", 10)
    write(tmp_path, "large.txt", "large.py", "asked.txt", text="x" * 11)
    write(tmp_path, "small.txt", text="x" * 10)
    (tmp_path / ".toilignore").write_text("!asked.txt\n")
    search = Search()
    assert [found.name for found in search.files(str(tmp_path), None)] == ["asked.txt", "large.py", "small.txt"]
    assert [found.name for found in search.left_out] == ["large.txt"]


def test_links(tmp_path: Path) -> None:
    write(tmp_path, "elsewhere/modules/a.py", "elsewhere/data/big.txt", "elsewhere/one.txt")
    here = tmp_path / "here"
    write(here, "run.py", "sub/b.py")
    (here / "modules").symlink_to(tmp_path / "elsewhere/modules")
    (here / "data").symlink_to(tmp_path / "elsewhere/data")
    (here / "one.txt").symlink_to(tmp_path / "elsewhere/one.txt")
    (here / "nowhere").symlink_to(tmp_path / "nothing")
    (here / "sub/around").symlink_to(here)
    os.mkfifo(here / "pipe")
    assert chosen(here) == ["modules/a.py", "one.txt", "run.py", "sub/b.py"]


def test_far_too_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployment_files, "MOST_FILES", 3)
    write(tmp_path, "a.py", "b.py", "sub/c.py")
    assert len(chosen(tmp_path)) == 3
    write(tmp_path, "sub/d.py")
    with pytest.raises(CannotDeploy, match=f"more than 3 files to send to workers, around {tmp_path}/sub;"):
        chosen(tmp_path)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / ".toilignore").write_bytes(b"\xff")
    with pytest.raises(CannotDeploy, match=r"cannot read .*\.toilignore"):
        chosen(tmp_path)
    with pytest.raises(CannotDeploy, match="cannot send .*: Is a directory"):
        pack([Found("0/x", str(tmp_path), 0, False)])
    archive = tmp_path / "app.pyz"
    archive.touch()
    with pytest.raises(CannotDeploy, match=f"lies in the archive {archive}.*unpack it"):
        list(Search().files(str(archive), None))
    odd = tmp_path / os.fsdecode(b"\xff.txt")
    odd.write_text("")
    with pytest.raises(CannotDeploy, match="its name is not UTF-8"):
        pack([Found("0/" + odd.name, str(odd), 0, False)])


# Sources


def test_a_script_s_folder(tmp_path: Path) -> None:
    write(tmp_path, "run.py", "helper.py")
    found = find(str(tmp_path / "run.py"), "", [str(tmp_path)], {"helper": module("helper", tmp_path / "helper.py")})
    assert found == Sources((Tree(str(tmp_path), None),), (0, "run.py"), ((0, ""),), ())


def test_a_script_that_is_a_link_belongs_to_where_it_leads(tmp_path: Path) -> None:
    write(tmp_path, "real/run.py", "bin/other")
    (tmp_path / "bin/run.py").symlink_to(tmp_path / "real/run.py")
    found = find(str(tmp_path / "bin/run.py"), "", [str(tmp_path / "real")], {})
    assert found == Sources((Tree(str(tmp_path / "real"), None),), (0, "run.py"), ((0, ""),), ())


def test_a_script_inside_a_package_takes_all_of_that(tmp_path: Path) -> None:
    write(tmp_path, "pkg/__init__.py", "pkg/sub/__init__.py", "pkg/sub/run.py")
    found = find(str(tmp_path / "pkg/sub/run.py"), "", [str(tmp_path / "pkg/sub")], {})
    assert found == Sources((Tree(str(tmp_path), ("pkg",)),), (0, "pkg/sub/run.py"), ((0, "pkg/sub"), (0, "")), ())


def test_an_installed_command_is_sent_alone(tmp_path: Path) -> None:
    write(tmp_path, "bin/mine", "bin/other", "bin/python3")
    found = find(str(tmp_path / "bin/mine"), "", [str(tmp_path / "bin")], {})
    assert found == Sources((Tree(str(tmp_path / "bin"), ("mine",)),), (0, "mine"), ((0, ""),), ())


def test_the_order_of_the_import_path_is_kept(tmp_path: Path) -> None:
    write(tmp_path, "b/one.py", "a/two/__init__.py", "hooked/three/__init__.py")
    modules = {
        "one": module("one", tmp_path / "b/one.py"),
        "two": module("two", tmp_path / "a/two/__init__.py", [tmp_path / "a/two"]),
        "two.below": module("two.below", tmp_path / "a/two/below.py"),
        "three": module("three", tmp_path / "hooked/three/__init__.py", [tmp_path / "hooked/three"]),
    }
    found = find("", "two.__main__", [str(tmp_path / "b"), str(tmp_path / "empty"), str(tmp_path / "a")], modules)
    assert [(tree.root, tree.names) for tree in found.trees] == [
        (str(tmp_path / "b"), ("one.py",)),
        (str(tmp_path / "a"), ("two",)),
        (str(tmp_path / "hooked"), ("three",)),
    ]
    assert found.path == ((0, ""), (1, ""), (2, ""))


def test_a_namespace_package_has_many_folders(tmp_path: Path) -> None:
    installed = tmp_path / "site-packages" / "ns"
    write(tmp_path, "a/ns/x.py", "b/ns/y.py", "site-packages/ns/z.py")
    found = find("", "", [], {"ns": module("ns", None, [tmp_path / "a/ns", installed, tmp_path / "b/ns"])})
    assert [(tree.root, tree.names) for tree in found.trees] == [(str(tmp_path / "a"), ("ns",)), (str(tmp_path / "b"), ("ns",))]
    assert found.namespaces == ("ns",)


def test_packages_whose_folders_are_called_otherwise_or_lie_elsewhere(tmp_path: Path) -> None:
    write(tmp_path, "odd/place/__init__.py", "odd/place/own/__init__.py", "odd/place/more/deep/__init__.py", "far/below/__init__.py")
    write(tmp_path, "odd/tool/__init__.py", text="not the tool")
    modules = {
        "tool": module("tool", tmp_path / "odd/place/__init__.py", [tmp_path / "odd/place"]),
        "tool.own": module("tool.own", tmp_path / "odd/place/own/__init__.py", [tmp_path / "odd/place/own"]),
        "tool.more": module("tool.more", None, [tmp_path / "odd/place/more"]),
        "tool.more.deep": module("tool.more.deep", tmp_path / "odd/place/more/deep/__init__.py", [tmp_path / "odd/place/more/deep"]),
        "tool.moved": module("tool.moved", tmp_path / "far/below/__init__.py", [tmp_path / "far/below"]),
    }
    elsewhere = (("tool", str(tmp_path / "odd/place")), ("tool/moved", str(tmp_path / "far/below")))
    alone = find("", "", [], modules)
    assert alone == Sources((Tree(str(tmp_path / "odd"), (), (), elsewhere),), None, ((0, ""),), ())
    names = ["0/tool/__init__.py", "0/tool/more/deep/__init__.py", "0/tool/moved/__init__.py", "0/tool/own/__init__.py"]
    assert sorted(file.name for file in select(alone, 1000)) == names
    beside = select(Sources((Tree(str(tmp_path / "odd"), None, (), elsewhere),), None, (), ()), 1000)
    assert [file.path for file in beside if file.name == "0/tool/__init__.py"] == [str(tmp_path / "odd/place/__init__.py")]


def test_what_is_installed_or_python_s_or_ours_stays_here() -> None:
    import pytest as installed

    loaded = {"pytest": installed, "json": json, "zipfile": zipfile, "toil_core": toil_core, "sys": sys, "__main__": sys.modules["__main__"]}
    assert find("", "pytest.__main__", sys.path, loaded).trees == ()


def test_strange_modules_do_no_harm(tmp_path: Path) -> None:
    class Strange(ModuleType):
        def __getattribute__(self, name: str) -> object:
            if name == "__path__":
                raise RuntimeError("not now")
            return super().__getattribute__(name)

    other = module("other", tmp_path / "called_otherwise.py")
    assert find("", "", [], {"strange": Strange("strange"), "other": other, "nothing": module("nothing")}).trees == ()


def test_metadata_of_what_is_installed_in_place(tmp_path: Path) -> None:
    packages, project = tmp_path / "site-packages", tmp_path / "my project"
    write(project, "src/mine/__init__.py")
    for name, editable in (("mine-2.0", True), ("other-1.0", False), ("toil_core-1.0", True)):
        write(packages, f"{name}.dist-info/METADATA", f"{name}.dist-info/RECORD")
        origin = {"url": project.as_uri(), "dir_info": {"editable": editable}}
        (packages / f"{name}.dist-info" / "direct_url.json").write_text(json.dumps(origin))
    write(packages, "broken-1.0.dist-info/direct_url.json", text="{")
    modules = {"mine": module("mine", project / "src/mine/__init__.py", [project / "src/mine"])}
    found = find("", "", [str(packages)], modules)
    assert found.trees[0].metadata == (str(packages / "mine-2.0.dist-info"),)
    assert [file.name for file in select(found, 1000)] == ["0/mine/__init__.py", "0/mine-2.0.dist-info/METADATA"]


def test_a_module_started_with_m_has_its_siblings(tmp_path: Path) -> None:
    write(tmp_path, "alone.py", "sibling.py")
    code = """
        import runpy, sys
        sys.argv[1:] = []
        runpy.run_module("alone", run_name="__main__", alter_sys=True)
    """
    (tmp_path / "alone.py").write_text(
        "import sys\nfrom toil_core.workflow.deployment_sources import find\n"
        "print([tree.names for tree in find('', 'alone', sys.path, sys.modules).trees])\n"
    )
    assert run_python(tmp_path, code=code).stdout == "[None]\n"


# Packing


def test_too_much_names_what_is_largest(tmp_path: Path) -> None:
    write(tmp_path, "run.py", "data/a", "data/b", "other/c", text="x" * 1000)
    sources = Sources((Tree(str(tmp_path), None),), (0, "run.py"), ((0, ""),), ())
    assert len(select(sources, 4000)) == 4
    with pytest.raises(CannotDeploy) as raised:
        select(sources, 3999)
    assert f"the largest: {tmp_path}/data (2.0 KiB), {tmp_path}/other (1000 B), {tmp_path}/run.py (1000 B);" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_left_out_data_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(deployment_files, "DATA_LIMIT", 10)
    for number in range(5):
        write(tmp_path, f"{number}.dat", text="x" * (20 + number))
    with caplog.at_level(logging.WARNING, "toil.deployment"):
        select(Sources((Tree(str(tmp_path), None),), None, (), ()), 1000)
    assert f"{tmp_path}/4.dat (24 B), {tmp_path}/3.dat (23 B), {tmp_path}/2.dat (22 B) and 2 more" in caplog.text


@given(contents=st.dictionaries(st.text("abc/ü", min_size=1, max_size=6).filter(lambda name: name.strip("/") == name), st.binary(max_size=50)))
def test_equal_files_make_equal_bytes(contents: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("files")
    found = []
    for number, (name, data) in enumerate(contents.items()):
        path = folder / str(number)
        path.write_bytes(data)
        os.utime(path, (number * 1e6, number * 1e6))
        found.append(Found(name, str(path), len(data), executable=number % 2 == 0))
    packed = pack(found)
    assert pack(found[::-1]) == packed
    with zipfile.ZipFile(BytesIO(packed)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == contents


def test_the_same_code_is_stored_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "run.py")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.setattr(sys, "modules", {})
    setup = Setup(script=str(tmp_path / "run.py"), path=(str(tmp_path),))
    with MemoryJobStore("deployed-once", Config()) as store:
        store.prepare()
        first = deploy(store, setup, 1000)
        os.utime(tmp_path / "run.py", (0, 0))
        assert deploy(store, setup, 1000) == first
        assert first.code is not None
        assert (first.code.script, first.code.path) == ("0/run.py", ("0",))
        assert first.script == setup.script
        write(tmp_path, "run.py", text="y")
        assert deploy(store, setup, 1000) != first
        assert len(list(store.list("code/"))) == 2
        store.destroy()


def test_a_script_that_is_ignored_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "run.py", "helper.py")
    write(tmp_path, ".toilignore", text="r*.py")
    monkeypatch.setattr(sys, "modules", {**sys.modules, "helper": module("helper", tmp_path / "helper.py")})
    with MemoryJobStore("ignored", Config()) as store, pytest.raises(CannotDeploy, match="keeps the script .*run.py itself from workers"):
        deploy(store, Setup(script=str(tmp_path / "run.py")), 100 << 20)


def test_without_code_of_ones_own_nothing_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "modules", {"json": json})
    with MemoryJobStore("nothing-deployed", Config()) as store:
        store.prepare()
        assert deploy(store, Setup(), 1000) == Setup()
        assert list(store.list("")) == []
        store.destroy()
