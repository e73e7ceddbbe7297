from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from toil_core.cluster import bundle, on_node, wheels
from toil_core.errors import UsageError


def names(distributions: list[importlib.metadata.Distribution]) -> set[str]:
    return {distribution.name.lower() for distribution in distributions}


def test_all_that_is_needed_and_nothing_else() -> None:
    found = names(wheels.closure(["toil-core"]))
    assert {"toil-core", "msgspec", "pluggy", "rich", "pygments"} <= found
    assert {"pytest", "mypy", "mkdocs"} & found == set()


def test_extras_count() -> None:
    assert "pysam" in names(wheels.closure(["toil-core[demo]"]))


def test_what_is_not_installed_here_is_told() -> None:
    with pytest.raises(UsageError, match="no-such-thing is not installed here"):
        wheels.closure(["no-such-thing"])
    with pytest.raises(UsageError, match="msgspec .* is installed here, but the cluster needs"):
        wheels.closure(["msgspec>=9999"])


def test_requirements_that_are_met_here() -> None:
    here, left = wheels.met_here(["pysam>=0.20  # reads", "", "# nothing", "no-such-thing==1", "-r other.txt", "msgspec>9999"])
    assert here == ["pysam>=0.20"]
    assert left == ["no-such-thing==1", "-r other.txt", "msgspec>9999"]


def test_this_very_code_is_in_the_wheel_although_it_is_installed_in_place(tmp_path: Path) -> None:
    content = wheels.content(importlib.metadata.distribution("toil-core"))
    with zipfile.ZipFile(wheels.write_wheel(content, tmp_path)) as wheel:
        assert wheel.read("toil_core/cluster/wheels.py") == Path(wheels.__file__).read_bytes()
        assert "toil_core/testing/provisioner.py" in wheel.namelist()
        assert not [name for name in wheel.namelist() if name.startswith(("tests/", "tools/", "benchmarks/"))]
        assert any(name.endswith("entry_points.txt") for name in wheel.namelist())


def test_the_same_content_gives_the_same_wheel_and_image(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    content = wheels.content(importlib.metadata.distribution("pluggy"))
    assert wheels.write_wheel(content, tmp_path / "a").read_bytes() == wheels.write_wheel(content, tmp_path / "b").read_bytes()
    assert bundle.image([], None).name == bundle.image([], None).name
    assert bundle.image(["pysam"], None).name != bundle.image([], None).name


def test_an_image_works_where_it_is_installed_and_what_was_cut_off_is_made_anew(tmp_path: Path) -> None:
    image = bundle.image([], None)
    archive = bundle.archive(image, tmp_path / "cache")
    assert bundle.archive(image, tmp_path / "cache") == archive
    (tmp_path / "env" / "lib").mkdir(parents=True)
    (tmp_path / "env" / "lib" / "half").write_text("")
    for _ in range(2):  # twice is once
        on_node.install(str(archive), str(tmp_path / "env"))
    assert not (tmp_path / "env" / "lib" / "half").exists()
    python = tmp_path / "env" / "bin" / "python"
    code = "import toil_core, msgspec, sys; print(toil_core.__file__); print(msgspec.__file__); print(sys.prefix)"
    printed = subprocess.run([python, "-P", "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path).stdout.split()
    assert all(line.startswith(str(tmp_path / "env")) for line in printed), printed
    assert subprocess.run([tmp_path / "env" / "bin" / "toil", "--version"], capture_output=True, text=True, check=True, cwd=tmp_path).stdout.startswith("toil")


def test_modules_come_compiled(tmp_path: Path) -> None:
    content = wheels.content(importlib.metadata.distribution("pluggy"))
    with zipfile.ZipFile(wheels.write_wheel(content, tmp_path)) as wheel:
        name = f"pluggy/__pycache__/_manager.{sys.implementation.cache_tag}.pyc"
        wheel.extract(name, tmp_path)
        wheel.extract("pluggy/_manager.py", tmp_path)
    before = (tmp_path / name).read_bytes()
    subprocess.run([sys.executable, "-S", "-P", "-c", f"import sys; sys.path[:0] = [{str(tmp_path)!r}]; import pluggy._manager"], check=False)
    assert (tmp_path / name).read_bytes() == before
