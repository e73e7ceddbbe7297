"""Whole runs whose workers share nothing with the leader but the job store."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deployment.places import Places, build_wheel, install, make_environment, site_packages, write_files
from tests.fake_plugins import add_plugin
from toil_core.job_store import Blob
from toil_core.options import Config
from toil_core.plugins import open_job_store
from toil_core.testing.needs import need

SCRIPT = """
    from pathlib import Path
    from toil_core import job, main
    import helper
    from tools.deep import inner

    @job(cores=0.1, memory="64 MiB")
    def look():
        import late
        beside = Path(__file__).with_name("table.txt").read_text()
        return [helper.VERSION, inner.VERSION, late.VERSION, beside, __file__, helper.__file__]

    if __name__ == "__main__":
        main(look)
"""


def value(done: subprocess.CompletedProcess[str]) -> object:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def codes(store: Path) -> list[Blob]:
    with open_job_store(f"file:{store}", Config()) as opened:
        return list(opened.list("code/"))


def old(environment: Path, name: str, files: dict[str, str]) -> None:
    """Install version 1 of what the user has version 2 of."""
    encoded = {path: text.encode() for path, text in files.items()}
    install(site_packages(environment), build_wheel(environment, name, "1.0", encoded))


def test_a_script_with_its_modules_and_data(places: Places) -> None:
    write_files(
        places.project,
        {
            "look.py": SCRIPT,
            "helper.py": "VERSION = 2",
            "late.py": "VERSION = 2",
            "tools/deep/inner.py": "VERSION = 2",
            "table.txt": "a table",
        },
    )
    old(places.worker.parent.parent, "helper", {"helper.py": "VERSION = 1", "late.py": "VERSION = 1", "tools/deep/inner.py": "VERSION = 1"})
    found = value(places.run("look.py", f"file:{places.project.parent}/store"))
    assert isinstance(found, list)
    assert found[:4] == [2, 2, 2, "a table"]
    assert all(path.startswith(str(places.tmp)) for path in found[4:])
    assert list(places.there.iterdir()) == []


PACKAGE = {
    "genome/__init__.py": "VERSION = 2",
    "genome/data/table.txt": "a table",
    "genome/parts/__init__.py": "",
    "genome/parts/deep.py": "from .. import VERSION\nfrom importlib.resources import files\nTABLE = files('genome').joinpath('data/table.txt').read_text()",
    "genome/__main__.py": """
        from toil_core import job, main
        from . import VERSION
        from .parts.deep import TABLE

        @job(cores=0.1, memory="64 MiB")
        def look():
            from .parts import deep
            return [VERSION, deep.VERSION, TABLE, __name__]

        if __name__ == "__main__":
            main(look)
    """,
}


@pytest.mark.parametrize("module", ["genome", "genome.__main__"])
def test_a_package_that_is_started_with_m(places: Places, module: str) -> None:
    write_files(places.project, {**PACKAGE, "unrelated.py": "", "big.dat": "x" * 100})
    old(places.worker.parent.parent, "genome", {"genome/__init__.py": "VERSION = 1"})
    found = value(places.run("-m", module, f"file:{places.project.parent}/store"))
    assert found == [2, 2, "a table", "genome.__main__"]
    assert not list(places.tmp.rglob("unrelated.py"))


def test_a_script_inside_a_package(places: Places) -> None:
    script = """
        from toil_core import job, main
        import beside
        from study import whole

        @job(cores=0.1, memory="64 MiB")
        def look():
            return [beside.VERSION, whole.VERSION]

        if __name__ == "__main__":
            main(look)
    """
    files = {"study/__init__.py": "", "study/whole.py": "VERSION = 2", "study/run/__init__.py": "", "study/run/beside.py": "VERSION = 2"}
    write_files(places.project, {**files, "study/run/go.py": script})
    old(places.worker.parent.parent, "study", {"study/__init__.py": "", "study/whole.py": "VERSION = 1", "beside.py": "VERSION = 1"})
    assert value(places.run("study/run/go.py", f"file:{places.project.parent}/store", PYTHONPATH=str(places.project))) == [2, 2]


NAMESPACE = """
    from toil_core import job, main
    from lab.own import VERSION
    from lab import shared

    @job(cores=0.1, memory="64 MiB")
    def look():
        import lab.own
        return [VERSION, lab.own.VERSION, shared.NAME]

    if __name__ == "__main__":
        main(look)
"""


def test_a_namespace_package_of_which_a_part_is_installed(places: Places) -> None:
    write_files(places.project, {"lab/own/__init__.py": "VERSION = 2", "lab/go.py": NAMESPACE})
    for environment in (places.leader, places.worker):
        old(environment.parent.parent, "shared", {"lab/shared.py": "NAME = 'shared'"})
    old(places.worker.parent.parent, "own", {"lab/own/__init__.py": "VERSION = 1", "lab/go.py": "raise ValueError('an old version')"})
    assert value(places.run("-m", "lab.go", f"file:{places.project.parent}/store")) == [2, 2, "shared"]


def test_a_namespace_package_that_was_an_ordinary_one_in_its_old_version(places: Places) -> None:
    source = NAMESPACE.replace("from lab import shared", "class shared: NAME = 'shared'")
    write_files(places.project, {"lab/own/__init__.py": "VERSION = 2", "lab/go.py": source})
    old(places.worker.parent.parent, "lab", {"lab/__init__.py": "", "lab/own.py": "VERSION = 1"})
    assert value(places.run("-m", "lab.go", f"file:{places.project.parent}/store")) == [2, 2, "shared"]


def test_a_package_that_is_installed_in_place(places: Places, tmp_path: Path) -> None:
    script = """
        from importlib.metadata import version
        from toil_core import job, main
        import sequences

        @job(cores=0.1, memory="64 MiB")
        def look():
            from sequences import fast
            return [sequences.VERSION, fast.VERSION, version("sequences-of-mine")]

        if __name__ == "__main__":
            main(look)
    """
    write_files(places.project, {"look.py": script})
    source = write_files(tmp_path / "my sources", {"src/sequences/__init__.py": "VERSION = 2", "src/sequences/fast.py": "VERSION = 2", "big": "x"})
    packages = site_packages(places.leader.parent.parent)
    install(packages, build_wheel(tmp_path, "sequences-of-mine", "2.0", {"sequences.pth": f"{source}/src\n".encode()}))
    origin = {"url": source.as_uri(), "dir_info": {"editable": True}}
    (packages / "sequences_of_mine-2.0.dist-info" / "direct_url.json").write_text(json.dumps(origin))
    old(places.worker.parent.parent, "sequences-of-mine", {"sequences/__init__.py": "VERSION = 1", "sequences/fast.py": "VERSION = 1"})
    assert value(places.run("look.py", f"file:{tmp_path}/store")) == [2, 2, "2.0"]


def test_a_package_that_an_import_hook_finds_under_another_name(places: Places, tmp_path: Path) -> None:
    script = """
        from toil_core import job, main
        import sequences.fast

        @job(cores=0.1, memory="64 MiB")
        def look():
            import sequences.slow
            return [sequences.VERSION, sequences.fast.VERSION, sequences.slow.VERSION]

        if __name__ == "__main__":
            main(look)
    """
    hook = f"""
        import sys
        from importlib.util import spec_from_file_location

        class Finder:
            @staticmethod
            def find_spec(name, path=None, target=None):
                if name == "sequences":
                    return spec_from_file_location(name, "{tmp_path}/lib/__init__.py", submodule_search_locations=["{tmp_path}/lib"])

        sys.meta_path.append(Finder)
    """
    write_files(places.project, {"look.py": script})
    write_files(tmp_path / "lib", {"__init__.py": "VERSION = 2", "fast.py": "VERSION = 2", "slow.py": "VERSION = 2"})
    write_files(site_packages(places.leader.parent.parent), {"sequences_hook.py": hook, "sequences.pth": "import sequences_hook"})
    old(places.worker.parent.parent, "sequences-of-mine", {f"sequences/{name}.py": "VERSION = 1" for name in ("__init__", "fast", "slow")})
    assert value(places.run("look.py", f"file:{tmp_path}/store")) == [2, 2, 2]


NEEDS = """
    # /// script
    # requires-python = ">=3.11"
    # dependencies = [
    #     "toil-core",
    #     "tiny @ URL",
    # ]
    # ///
    from toil_core import job, main

    @job(cores=0.1, memory="64 MiB")
    def look():
        import tiny
        return [tiny.VERSION, tiny.__file__]

    if __name__ == "__main__":
        main(look)
"""


def tiny(folder: Path, version: int) -> Path:
    return build_wheel(folder, "tiny", f"{version}.0", {"tiny.py": f"VERSION = {version}".encode()})


@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_what_the_script_says_it_needs_is_installed(tmp_path: Path, wheel: Path, installer: str) -> None:
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    need("uv is not installed" if installer == "uv" and uv is None else "")
    worker = make_environment(tmp_path / "elsewhere", wheel, pip=installer == "pip")
    places = Places.make(tmp_path, make_environment(tmp_path / "here", wheel), worker)
    needed = tiny(tmp_path, 2)
    install(site_packages(tmp_path / "elsewhere"), tiny(tmp_path / "elsewhere", 1))
    write_files(places.project, {"look.py": NEEDS.replace("URL", needed.as_uri())})
    path = str(Path(uv).parent) if uv and installer == "uv" else ""
    found = value(places.run("look.py", f"file:{tmp_path}/store", path=path))
    assert isinstance(found, list)
    assert found[0] == 2
    assert found[1].startswith(str(places.tmp))
    assert not list(places.tmp.rglob("toil_core"))


REQUIRED = NEEDS.replace("# ///", "#")


def test_a_requirements_file_and_what_is_there_already(tmp_path: Path, wheel: Path) -> None:
    places = Places.make(tmp_path, make_environment(tmp_path / "here", wheel), make_environment(tmp_path / "elsewhere", wheel))
    install(site_packages(tmp_path / "elsewhere"), tiny(tmp_path, 2))
    write_files(places.project, {"look.py": REQUIRED, "needs.txt": "tiny >= 1.5, < 3  # pinned\nsurely-not-there; python_version < '3'\n"})
    found = value(places.run("look.py", f"file:{tmp_path}/store", "--python-requirements", "needs.txt"))
    assert found == [2, str(site_packages(tmp_path / "elsewhere") / "tiny.py")]
    assert not list(places.tmp.rglob("packages-*"))


def test_what_cannot_be_installed_is_told(places: Places) -> None:
    write_files(places.project, {"look.py": REQUIRED, "needs.txt": "tiny==3.0"})
    done = places.run("look.py", f"file:{places.project.parent}/store", "--python-requirements", "needs.txt", "--retry-count", "0")
    assert done.returncode == 1
    assert "the workflow needs tiny==3.0, and " in done.stderr
    assert "has neither uv nor pip" in done.stderr


def test_a_module_that_workers_lack_is_told(places: Places) -> None:
    write_files(places.project, {"look.py": SCRIPT.replace("from tools.deep import inner", "import tiny"), "helper.py": "VERSION = 2"})
    install(site_packages(places.leader.parent.parent), tiny(places.project.parent, 1))
    done = places.run("look.py", f"file:{places.project.parent}/store")
    assert done.returncode == 1
    assert "No module named 'tiny'; it was not sent with the workflow's code, and is not installed on this worker: name it with" in done.stderr


def test_it_can_be_switched_off(places: Places) -> None:
    write_files(places.project, {"look.py": SCRIPT.replace("from tools.deep import inner", "inner = helper"), "helper.py": "VERSION = 2"})
    write_files(places.project, {"late.py": "VERSION = 2", "table.txt": "a table"})
    found = value(places.run("look.py", f"file:{places.project.parent}/store", "--disableAutoDeployment"))
    assert isinstance(found, list)
    assert found[4] == str(places.project / "look.py")
    assert not list(places.tmp.iterdir())


def test_too_much_code_starts_nothing(places: Places) -> None:
    write_files(places.project, {"look.py": SCRIPT, "helper.py": "VERSION = 2", "tools/deep/inner.py": "VERSION = 2", "table.txt": "x" * 5000})
    done = places.run("look.py", f"file:{places.project.parent}/store", "--max-deployment", "4 kB")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"the largest: {places.project}/table.txt (4.9 KiB)" in done.stderr
    assert not (places.project.parent / "store").exists()


CHANGING = """
    from toil_core import job, main
    import helper

    @job(cores=0.1, memory="64 MiB")
    def look():
        if helper.VERSION == 1:
            raise ValueError("version 1 is wrong")
        return helper.VERSION

    @job(cores=0.1, memory="64 MiB")
    def before(job):
        return job.add_child(look())

    if __name__ == "__main__":
        main(before)
"""


def test_a_restart_brings_the_code_as_it_is_then(places: Places) -> None:
    store = places.project.parent / "store"
    write_files(places.project, {"look.py": CHANGING, "helper.py": "VERSION = 1"})
    for _ in range(2):
        done = places.run("look.py", f"file:{store}", "--retry-count", "0", *(["--restart"] if store.exists() else []))
        assert done.returncode == 1
        assert "version 1 is wrong" in done.stderr
        assert len(codes(store)) == 1
    write_files(places.project, {"helper.py": "VERSION = 2"})
    assert value(places.run("look.py", f"file:{store}", "--restart", "--clean", "never")) == 2
    assert len(codes(store)) == 2
    assert len(list(places.tmp.glob("toil-code-*/code-*.used"))) == 2


MEETING = """
    from pathlib import Path
    from toil_core import job, main
    import helper

    @job(cores=0.1, memory="64 MiB")
    def say(fifo: str):
        Path(fifo).write_text("here")
        return helper.VERSION

    @job(cores=0.1, memory="64 MiB")
    def hear(fifo: str):
        return Path(fifo).read_text()

    @job(cores=0.1, memory="64 MiB")
    def meet(job, fifo: str):
        return [job.add_child(say(fifo)), job.add_child(hear(fifo))]

    if __name__ == "__main__":
        main(meet)
"""


def test_workers_of_one_machine_use_the_code_at_the_same_time(places: Places, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    write_files(places.project, {"meet.py": MEETING, "helper.py": "VERSION = 2"})
    assert value(places.run("meet.py", f"file:{tmp_path}/store", "--fifo", str(tmp_path / "fifo"))) == [2, "here"]
    assert len(list(places.tmp.glob("toil-code-*/code-*.used"))) == 1


def test_where_jobs_run_on_the_leader_s_machine_nothing_is_sent(tmp_path: Path) -> None:
    write_files(tmp_path, {"look.py": SCRIPT.replace("from tools.deep import inner", "inner = helper"), "helper.py": "VERSION = 2"})
    write_files(tmp_path, {"late.py": "VERSION = 2", "table.txt": "a table"})
    done = subprocess.run(
        [sys.executable, "look.py", "file:store", "--clean", "never"], cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False
    )
    found = value(done)
    assert isinstance(found, list)
    assert found[4:] == [str(tmp_path / "look.py"), str(tmp_path / "helper.py")]
    assert codes(tmp_path / "store") == []


ENCRYPTING = """
    from io import BytesIO
    from toil_core import hookimpl
    from toil_core.job_store import JobStore
    from toil_core.plugins import driver

    def hidden(data):
        return bytes(byte ^ 0x5A for byte in data)

    class Encrypting(JobStore):
        def __init__(self, inner):
            self.inner = inner
            self.prepare, self.destroy, self.close = inner.prepare, inner.destroy, inner.close
        def create(self, key, data):
            self.inner.create(key, hidden(data))
        def write(self, key, stream):
            self.inner.write(key, BytesIO(hidden(stream.read())))
        def read(self, key, start=0, stop=None):
            with self.inner.read(key, start, stop) as stream:
                return BytesIO(hidden(stream.read()))
        def stat(self, key):
            return self.inner.stat(key)
        def delete(self, keys):
            self.inner.delete(keys)
        def list(self, prefix=""):
            return self.inner.list(prefix)
        def prepare(self): ...
        def destroy(self): ...

    @hookimpl
    def toil_job_store(name, locator, config):
        return Encrypting(driver("job_store", name, config.plugins)(locator, config))
"""


def test_where_the_store_encrypts_the_code_is_encrypted(places: Places) -> None:
    for environment in (places.leader, places.worker):
        packages = site_packages(environment.parent.parent)
        add_plugin(packages, "toil-encrypting", {"toil": {"encrypting": "toil_encrypting"}}, {"toil_encrypting": ENCRYPTING})
    store = places.project.parent / "store"
    write_files(places.project, {"look.py": CHANGING, "helper.py": "VERSION = 2"})
    assert value(places.run("look.py", f"file:{store}", "--clean", "never")) == 2
    stored = [path.read_bytes() for path in store.rglob("*") if path.is_file()]
    archive = b"PK\x03\x04"
    assert not any(archive in data for data in stored)
    assert any(bytes(byte ^ 0x5A for byte in archive) in data for data in stored)


def test_a_module_with_a_mistake_is_told_in_a_line(places: Places) -> None:
    write_files(places.project, {"look.py": SCRIPT.replace("from tools.deep import inner", "inner = helper"), "helper.py": "VERSION = 2"})
    write_files(places.project, {"late.py": "VERSION = = 2", "table.txt": "a table"})
    done = places.run("look.py", f"file:{places.project.parent}/store", "--retry-count", "0")
    assert done.returncode == 1
    assert "SyntaxError: invalid syntax (late.py, line 1)" in done.stderr


LASTING = """
    import os
    import signal
    import subprocess
    import sys
    from toil_core import job, main

    @job(cores=0.1, memory="64 MiB")
    def last(fifo: str):
        below = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
        with open(fifo, "w") as told:
            told.write(f"{os.getppid()} {os.getpid()} {below.pid}")
        signal.pause()

    if __name__ == "__main__":
        main(last)
"""


@pytest.mark.parametrize("store_goes_too", [False, True])
def test_workers_whose_leader_was_killed_end_with_all_that_they_run(places: Places, tmp_path: Path, store_goes_too: bool) -> None:
    os.mkfifo(tmp_path / "fifo")
    write_files(places.project, {"last.py": LASTING})
    with places.start("last.py", f"file:{tmp_path}/store", "--fifo", str(tmp_path / "fifo"), "--leader-lease", "8s", "--kill-check-interval", "1s") as leader:
        watched = [os.pidfd_open(int(pid)) for pid in (tmp_path / "fifo").read_text().split()]
        leader.kill()
    if store_goes_too:
        (tmp_path / "store").rename(tmp_path / "away")
    for process in watched:
        assert select.select([process], [], [], 90)[0], "it lives on"
        os.close(process)
    assert len(watched) == 3
