"""Bundles, and nodes whose package registry cannot be reached."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from packaging.markers import default_environment

from tests.cluster.conftest import Clusters
from toil_core.cluster import bundle, offline, on_node, wheels
from toil_core.cluster.offline import Wanted
from toil_core.cluster.wheel_needs import holding_there, unmet
from toil_core.errors import UsageError

NOWHERE = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0"}
TINY = "toil-test-tiny"


@pytest.fixture
def requirements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Requires something that is installed here, and something that only a folder which pip here knows has."""
    folder = tmp_path / "registry"
    folder.mkdir()
    files = {
        "toil_test_tiny.py": "import pluggy\nanswer = 42\n",
        "toil_test_tiny-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: toil-test-tiny\nVersion: 1.0\nRequires-Dist: pluggy\n",
        "toil_test_tiny-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "toil_test_tiny-1.0.data/purelib/toil_test_pure.py": "answer = 43\n",
        "toil_test_tiny-1.0.data/data/share/tiny": "data\n",
        "toil_test_tiny-1.0.data/scripts/tiny": "#!python\nimport toil_test_tiny\nprint(toil_test_tiny.answer)\n",
    }
    with zipfile.ZipFile(folder / "toil_test_tiny-1.0-py3-none-any.whl", "w") as wheel:
        for name, content in files.items():
            wheel.writestr(name, content)
        wheel.writestr("toil_test_tiny-1.0.dist-info/RECORD", "".join(f"{name},,\n" for name in files))
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}.items():
        monkeypatch.setenv(name, value)
    path = tmp_path / "requirements.txt"
    path.write_text(f"# what workflows need\n{TINY}\npluggy\n")
    return path


def install(archive: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """As a node does it that reaches no registry."""
    environment: Mapping[str, str] = {"PATH": os.environ["PATH"], "HOME": str(folder.parent), **NOWHERE}
    command = [sys.executable, on_node.__file__, "install", str(archive), str(folder)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=240)


def test_a_node_needs_no_registry_with_a_bundle_and_does_without(requirements: Path, tmp_path: Path) -> None:
    made = offline.make(Wanted("single_machine", (), requirements), tmp_path / "all.tar", lambda line: None)
    assert (TINY, "1.0") in made.distributions
    names = [name for name, _ in made.distributions]
    assert len(names) == len(set(names))
    assert offline.read(tmp_path / "all.tar") == made
    done = install(tmp_path / "all.tar", tmp_path / "node" / "image")
    assert done.returncode == 0, done.stderr
    python = tmp_path / "node" / "image" / "bin" / "python"
    shown = "import toil_core, toil_test_tiny, toil_test_pure; print(toil_test_tiny.answer, toil_test_pure.answer)"
    assert subprocess.run([python, "-c", shown], capture_output=True, text=True, check=True).stdout == "42 43\n"
    assert subprocess.run([python.with_name("tiny")], capture_output=True, text=True, check=True).stdout == "42\n"
    assert (tmp_path / "node" / "image" / "share" / "tiny").read_text() == "data\n"
    without = bundle.archive(bundle.image((), requirements), tmp_path / "cache")
    failed = install(without, tmp_path / "other" / "image")
    assert failed.returncode != 0
    assert "pip cannot install" in failed.stderr


def test_the_same_contents_have_the_same_name(tmp_path: Path) -> None:
    one, two = (offline.make(Wanted("single_machine", ()), tmp_path / name, lambda line: None) for name in ("a", "b"))
    assert one.name == two.name


def test_what_cannot_be_had_is_a_line(requirements: Path, tmp_path: Path) -> None:
    requirements.write_text("toil-test-nowhere==3\n")
    with pytest.raises(UsageError, match=r"pip cannot fetch what is required: Could not find a version that satisfies .*toil-test-nowhere==3"):
        offline.make(Wanted("single_machine", (), requirements), tmp_path / "all.tar", lambda line: None)
    with pytest.raises(UsageError, match="pip cannot fetch what is required: Could not find"):
        offline.make(Wanted("single_machine", (), python="3.99"), tmp_path / "all.tar", lambda line: None)
    assert not (tmp_path / "all.tar").exists()
    for options, said in (({"python": "2.7"}, "is no version of Python"), ({"platform": "win32"}, "is no platform")):
        with pytest.raises(UsageError, match=said):
            Wanted("single_machine", (), **options)  # type: ignore[arg-type]


def test_what_is_no_bundle_of_ours_is_told(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("nothing\n")
    with tarfile.open(tmp_path / "tar", "w") as tar:
        tar.add(tmp_path / "text", "text")
    for name in ("text", "tar"):
        with pytest.raises(UsageError, match="is no bundle"):
            offline.read(tmp_path / name)
    with pytest.raises(UsageError, match="cannot be read"):
        offline.read(tmp_path / "nothing")
    (tmp_path / "bundle.json").write_text('{"name":"x","engine":"e","python":"3.11","machine":"m","version":"0.0.1","distributions":[]}')
    with tarfile.open(tmp_path / "old", "w") as tar:
        tar.add(tmp_path / "bundle.json", "bundle.json")
    with pytest.raises(UsageError, match=r"has toil-core 0\.0\.1, and this is"):
        offline.read(tmp_path / "old")


def test_wheels_for_an_older_c_library_will_do() -> None:
    tags = offline._tags("manylinux_2_28_aarch64")
    assert tags[0] == "manylinux_2_28_aarch64"
    assert {"manylinux_2_17_aarch64", "manylinux2014_aarch64"} <= set(tags)
    assert "manylinux2014_x86_64" not in offline._tags("manylinux_2_16_x86_64")
    assert offline._tags("linux_x86_64") == ["linux_x86_64"]
    assert Wanted("e", (), platform="manylinux_2_28_aarch64").kind.machine == "aarch64"


@pytest.fixture
def registry(requirements: Path) -> Path:
    """The folder that pip here knows, with wheels of all that is installed here."""
    folder = requirements.parent / "registry"
    for distribution in wheels.closure(["toil-core", *wheels.made_for("toil-core")]):
        wheels.write_wheel(wheels.content(distribution), folder, compiled=False)
    return folder


def add_wheel(folder: Path, name: str, version: str, tag: str, *needs: str) -> None:
    """An empty wheel."""
    stem = f"{name}-{version}"
    with zipfile.ZipFile(folder / f"{stem}-{tag}.whl", "w") as wheel:
        wheel.writestr(f"{stem}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n" + "".join(f"Requires-Dist: {line}\n" for line in needs))
        wheel.writestr(f"{stem}.dist-info/WHEEL", f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\nTag: {tag}\n")
        wheel.writestr(f"{stem}.dist-info/RECORD", "")


def test_a_bundle_for_other_nodes_has_the_newest_wheels_that_work_there(registry: Path, requirements: Path, tmp_path: Path) -> None:
    """Nodes with Python 3.12 and glibc 2.28 on another processor; what is compiled here does not work there."""
    for path in registry.glob("*.whl"):
        if not path.name.endswith("-none-any.whl"):
            name, version, *_ = path.name.split("-")
            add_wheel(registry, name, version, "cp312-cp312-manylinux_2_17_aarch64.manylinux2014_aarch64")
    for version, tag in {
        "1": "cp312-cp312-manylinux_2_17_aarch64",
        "2": "cp312-cp312-manylinux_2_28_aarch64",
        "3": "cp312-cp312-manylinux_2_35_aarch64",
        "4": "cp312-cp312-manylinux_2_28_x86_64",
        "5": "cp311-cp311-manylinux_2_28_aarch64",
        "6": "cp312-cp312-musllinux_1_2_aarch64",
        "7": "cp312-cp312t-manylinux_2_28_aarch64",
    }.items():
        add_wheel(registry, "toil_test_native", version, tag)
    add_wheel(registry, "toil_test_stable", "1", "cp38-abi3-manylinux2014_aarch64")
    requirements.write_text("toil-test-native\ntoil-test-stable\n")
    made = offline.make(Wanted("single_machine", (), requirements, "3.12", "manylinux_2_28_aarch64"), tmp_path / "other.tar", lambda line: None)
    assert (made.python, made.machine) == ("3.12", "aarch64")
    with tarfile.open(tmp_path / "other.tar") as tar:
        names = [name for name in tar.getnames() if name.endswith(".whl")]
    assert {"toil_test_native-2-cp312-cp312-manylinux_2_28_aarch64.whl", "toil_test_stable-1-cp38-abi3-manylinux2014_aarch64.whl"} <= set(names)
    assert all("aarch64" in name or name.endswith("-none-any.whl") for name in names)
    assert not any("cp311" in name for name in names)


def test_what_is_needed_on_other_nodes_alone_is_in_their_bundle(registry: Path, requirements: Path, tmp_path: Path) -> None:
    """pip looks at markers with the eyes of the Python that it runs on."""
    for path in registry.glob("*.whl"):
        if not path.name.endswith("-none-any.whl"):
            add_wheel(registry, *path.name.split("-")[:2], "cp398-cp398-manylinux2014_ppc64le")
    add_wheel(registry, "toil_test_top", "1", "py3-none-any", 'toil-test-both>=2; python_version >= "3.90"', 'toil-test-both<2; python_version < "3.90"')
    for version in "12":
        add_wheel(registry, "toil_test_both", version, "py3-none-any")
    add_wheel(registry, "toil_test_line", "1", "py3-none-any")
    requirements.write_text('toil-test-top\ntoil-test-line; python_version >= "3.90"  # there\ntoil-test-never; python_version < "3.90"\n')
    made = offline.make(Wanted("single_machine", (), requirements, "3.98", "manylinux_2_28_ppc64le"), tmp_path / "other.tar", lambda line: None)
    found = [(name, version) for name, version in made.distributions if name.startswith("toil-test")]
    assert found == [("toil-test-both", "2"), ("toil-test-line", "1"), ("toil-test-top", "1")]


THERE = {**{name: str(value) for name, value in default_environment().items()}, "python_version": "3.98", "platform_machine": "ppc64le", "extra": ""}


def test_what_wheels_lack_on_other_nodes(tmp_path: Path) -> None:
    for name, *needs in (
        ("top", 'there>=1; python_version >= "3.90"', 'here; python_version < "3.90"', "more[plus]"),
        ("there", 'deep; platform_machine == "ppc64le"', "old>=2"),
        ("more", 'plus; extra == "plus" and python_version >= "3.90"', 'less; extra == "less"'),
        ("old",),
    ):  # fmt: skip
        add_wheel(tmp_path, name, "1", "py3-none-any", *needs)
    wheels_there = list(tmp_path.glob("*.whl"))
    assert sorted(unmet(wheels_there, ["top", "./a/path.whl"], THERE)) == ["deep", "old>=2", "plus"]
    assert sorted(unmet(wheels_there, ["more[less]", "never==1"], THERE)) == ["deep", "less", "never==1", "old>=2", "plus"]
    (tmp_path / "broken-1-py3-none-any.whl").write_bytes(b"no zip")
    with pytest.raises(UsageError, match="broken-1-py3-none-any.whl was fetched, and is no whole wheel"):
        unmet([tmp_path / "broken-1-py3-none-any.whl"], [], THERE)


def test_requirements_that_hold_on_other_nodes() -> None:
    lines = ['a>=1; python_version >= "3.90"', 'b; python_version < "3.90"', "c[x]", "--no-binary d", 'e; platform_machine == "ppc64le"']
    assert holding_there(lines, THERE) == ["a>=1", "c[x]", "--no-binary d", "e"]


def test_only_a_bundle_is_replaced_by_one(tmp_path: Path) -> None:
    script = tmp_path / "words.py"
    script.write_text("print('mine')\n")
    with pytest.raises(UsageError, match=r"words\.py is there and is no bundle, so it is not replaced"):
        offline.check_target(script)
    for path in (tmp_path, tmp_path / "nowhere" / "all.tar"):
        with pytest.raises(UsageError, match="cannot be written"):
            offline.check_target(path)
    offline.check_target(tmp_path / "all.tar")
    offline.make(Wanted("single_machine", ()), tmp_path / "all.tar", lambda line: None)
    offline.check_target(tmp_path / "all.tar")


def test_a_bundle_that_was_fetched_for_a_platform_works_there(registry: Path, requirements: Path, tmp_path: Path) -> None:
    """For one such as this machine, as for any other."""
    requirements.write_text(f"{TINY}\n")
    wanted = Wanted("single_machine", (), requirements, platform=f"manylinux_2_39_{bundle.this_kind().machine}")
    made = offline.make(wanted, tmp_path / "there.tar", lambda line: None)
    assert made.machine == bundle.this_kind().machine
    done = install(tmp_path / "there.tar", tmp_path / "node" / "image")
    assert done.returncode == 0, done.stderr
    bin = tmp_path / "node" / "image" / "bin"
    shown = "import msgspec, toil_core.cli, toil_test_tiny; print(msgspec.json.decode(b'[42]'), toil_test_tiny.__file__)"
    said = subprocess.run([bin / "python", "-c", shown], capture_output=True, text=True, check=True).stdout
    assert said.startswith(f"[42] {tmp_path}")
    assert subprocess.run([bin / "toil", "--version"], capture_output=True, text=True, check=True).stdout


def test_a_cluster_of_a_bundle_and_nodes_that_are_added_later(requirements: Path, clusters: Clusters, tmp_path: Path) -> None:
    packed = str(tmp_path / "all.tar")
    said = clusters.toil("bundle", packed, "--engine", "single_machine", "--python-requirements", str(requirements)).stdout
    assert said.startswith(f"{packed}: ")
    assert "--bundle has all that nodes get" in launch_refused(clusters, "--bundle", packed, "--python-requirements", str(requirements))
    assert "is for the engine single_machine" in launch_refused(clusters, "--bundle", packed, "--engine", "dask")
    clusters.launch("demo", "--bundle", packed)
    Path(packed).unlink()
    clusters.toil("scale-cluster", "demo", "-w", "1", "--nodeType", "local.small")
    for node in ("leader", "worker-1"):
        assert clusters.toil("ssh-cluster", "demo", "--node", node, "python", "-c", "import toil_test_tiny as t; print(t.answer)").stdout == "42\n"


def launch_refused(clusters: Clusters, *more: str) -> str:
    words = ("launch-cluster", "demo", "-p", "local", "--nodeType", "local.small", "--engine", "single_machine", *more)
    return clusters.toil(*words, code=2).stderr
