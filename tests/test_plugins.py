from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fake_plugins import add_plugin, run_python
from toil_core import install_hints
from toil_core.errors import BadLocator, NoSuchDriver
from toil_core.options import Config
from toil_core.plugins import driver, driver_names, hookimpl, hooks, load, open_batch_system, open_job_store, open_url

GOOD = {
    "good_hooks": """
        from dataclasses import dataclass
        from toil_core import hookimpl
        from toil_core.options import Command, Group, option

        @dataclass(frozen=True)
        class GoodOptions:
            depth: int = option(3, "How deep.")

        @hookimpl
        def toil_options():
            return [Group("good", GoodOptions, prefix="good")]

        @hookimpl
        def toil_commands():
            return [Command("dig", "Dig.", "good_command")]

        @hookimpl
        def toil_job_environment(config):
            return {"DEPTH": str(config[GoodOptions].depth)}
        """,
    "good_command": """
        from toil_core.errors import UsageError
        from toil_core.option_parser import add_engine_options

        def configure(parser):
            parser.add_argument("place")
            add_engine_options(parser)

        def run(arguments, config):
            from good_hooks import GoodOptions
            if arguments.place == "rock":
                raise UsageError("rock is too hard; dig elsewhere")
            print("dug", config[GoodOptions].depth, "in", arguments.place)
            return 0
        """,
    "good_store": """
        class Store:
            def __init__(self, locator, config):
                self.locator = locator
        """,
}
ENTRIES = {"toil": {"good": "good_hooks"}, "toil.job_store": {"good": "good_store:Store"}}


@pytest.fixture
def good(tmp_path: Path) -> Path:
    add_plugin(tmp_path, "toil-good", ENTRIES, GOOD)
    return tmp_path


@pytest.fixture
def plugin() -> Iterator[Any]:
    registered: list[object] = []

    def register(it: object) -> None:
        hooks().register(it)
        registered.append(it)

    yield register
    for it in registered:
        hooks().unregister(it)


def test_a_plugin_brings_a_driver_options_a_command_and_hooks(good: Path) -> None:
    done = run_python(good, "dig", "sand", "--good-depth", "7")
    assert (done.stdout, done.stderr, done.returncode) == ("dug 7 in sand\n", "", 0)
    code = """
        from toil_core.option_parser import config_from
        from toil_core.plugins import hooks, open_job_store
        print(open_job_store("good:a:b", config_from()).locator, hooks().hook.toil_job_environment(config=config_from()))
        """
    done = run_python(good, code=code, TOIL_GOOD_DEPTH="9")
    assert done.stdout == "a:b [{'DEPTH': '9'}]\n"


def test_listing_names_imports_no_driver(tmp_path: Path) -> None:
    add_plugin(tmp_path, "toil-heavy", {"toil.job_store": {"heavy": "heavy:Store"}}, {"heavy": "raise SystemExit('imported')"})
    done = run_python(tmp_path, code="from toil_core.plugins import driver_names; print(driver_names('job_store'))")
    assert "'heavy'" in done.stdout
    assert done.returncode == 0


BROKEN = {
    "cannot be imported": ("import no_such_thing", "ModuleNotFoundError: No module named 'no_such_thing'"),
    "leaves": ("raise SystemExit(3)", "SystemExit: 3"),
    "misspells a hook": ("@hookimpl\ndef toil_option(): pass", "toil_option"),
    "misspells an argument": ("@hookimpl\ndef toil_event(evnt): pass", "evnt"),
    "fails when asked": ("@hookimpl\ndef toil_options(): return 1 // 0", "ZeroDivisionError"),
    "takes a command": ("@hookimpl\ndef toil_commands(): return [Command('config', '', 'x')]", "another plugin has the command config"),
    "takes a flag": ("class Bad:\n    retry_count: int = option(1, '')", "another plugin has the flag --retry-count"),
    "has an odd option": ("class Bad:\n    odd: dict = option(None, '')", "option bad.odd: its type must be"),
}
BEFORE = """
from dataclasses import dataclass
from toil_core import hookimpl
from toil_core.options import Command, Group, option
"""
AFTER = """
@hookimpl
def toil_options():
    return [Group("bad", dataclass(frozen=True)(Bad))]
"""


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_plugin_is_reported_and_breaks_nothing(kind: str, good: Path) -> None:
    source, says = BROKEN[kind]
    add_plugin(good, "toil-bad", {"toil": {"bad": "bad_hooks"}}, {"bad_hooks": BEFORE + source + (AFTER if "class Bad" in source else "")})
    done = run_python(good, "dig", "sand")
    assert (done.stdout, done.returncode) == ("dug 3 in sand\n", 0)
    assert done.stderr.startswith("toil: warning: plugin 'bad' is ignored: ")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    listed = run_python(good, "plugins", "--json")
    assert listed.returncode == 1
    (bad,) = [one for one in json.loads(listed.stdout) if one["distribution"] == "toil-bad"]
    assert says in bad["offers"][0]["error"]


@pytest.mark.parametrize("name", ["good", "toil-good", "toil_good", "other, Good"])
def test_a_plugin_can_be_disabled(name: str, good: Path) -> None:
    done = run_python(good, "dig", "sand", TOIL_DISABLE_PLUGINS=name)
    assert done.returncode == 2
    assert "there is no command 'dig'" in done.stderr
    done = run_python(good, code="from toil_core.plugins import driver_names; print(driver_names('job_store'))", TOIL_DISABLE_PLUGINS=name)
    assert "good" not in done.stdout
    listed = json.loads(run_python(good, "plugins", "--json", TOIL_DISABLE_PLUGINS=name).stdout)
    assert [one["disabled"] for one in listed if one["distribution"] == "toil-good"] == [True]


def test_what_a_disabled_plugin_has_is_said_to_be_disabled(good: Path) -> None:
    code = "from toil_core.plugins import driver; from toil_core.errors import ToilError\ntry: driver('job_store', 'good')\nexcept ToilError as error: print(error)"
    done = run_python(good, code=code, TOIL_DISABLE_PLUGINS="good")
    assert "there is no job store named 'good' (toil-good has it, and is disabled by TOIL_DISABLE_PLUGINS)" in done.stdout, done.stderr


def test_names_that_no_plugin_has_are_told(good: Path) -> None:
    done = run_python(good, "dig", "sand", TOIL_DISABLE_PLUGINS="1")
    assert done.stdout == "dug 3 in sand\n"
    assert done.stderr.startswith("toil: warning: TOIL_DISABLE_PLUGINS names no plugin: 1 (installed: ")
    assert "good" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_core_cannot_be_disabled(tmp_path: Path) -> None:
    assert run_python(tmp_path, "config", TOIL_DISABLE_PLUGINS="core,toil-core").returncode == 0


def test_two_plugins_of_one_name(good: Path) -> None:
    add_plugin(good, "toil-twin", {"toil": {"good": "twin"}, "toil.job_store": {"good": "twin:Store"}}, {"twin": "class Store: pass"})
    done = run_python(good, code="from toil_core.plugins import driver; driver('job_store', 'good')")
    assert "job store 'good' is offered by" in done.stderr
    assert "plugin 'good' is ignored: two plugins have this name" in run_python(good, "--help").stderr


def test_a_worker_searches_nothing(good: Path) -> None:
    saved = run_python(good, code="import json; from toil_core.option_parser import config_from; print(json.dumps(config_from().as_dict()))")
    code = f"""
        import sys
        from toil_core.options import Config
        from toil_core.plugins import hooks, open_job_store
        config = Config.from_dict({json.loads(saved.stdout)!r})
        print(open_job_store("good:x", config).locator, hooks(config).hook.toil_job_environment(config=config))
        print([name for name in ("importlib.metadata", "stevedore", "argparse", "email", "rich") if name in sys.modules])
        """
    assert run_python(good, code=code).stdout == "x [{'DEPTH': '3'}]\n[]\n"


def test_a_hook_can_wrap_every_store(plugin: Any) -> None:
    class Wrapping:
        @hookimpl(wrapper=True)
        def toil_job_store(self) -> Any:
            return ("wrapped", (yield))

    class Opening:
        @hookimpl
        def toil_job_store(self, name: str, locator: str) -> Any:
            return locator if name == "mine" else None

    plugin(Wrapping())
    plugin(Opening())
    assert open_job_store("mine:x", Config()) == ("wrapped", "x")  # type: ignore[comparison-overlap]


@pytest.mark.parametrize(
    ("locator", "says"),
    [
        ("nimbus:north:mine", r"there is no job store named 'nimbus' \(pip install toil-nimbus\)"),
        ("fil:x", r"there is no job store named 'fil' \(did you mean file\?\)"),
        ("zzz:x", r"there is no job store named 'zzz' \(installed: .*file"),
        ("S3://bucket", r"there is no job store named 's3' \(that is the URL of files; a job store there is named aws:REGION:NAME"),
        ("gs://bucket/folder", r"there is no job store named 'gs' \(.*gce:REST, with toil-gce"),
        ("https://host/store", r"there is no job store named 'https' \(.*a job store is a folder's path, or NAME:REST\)"),
    ],
)
def test_an_unknown_driver_says_what_to_do(locator: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(install_hints.DRIVERS, "nimbus", "toil-nimbus")  # any real name may be installed
    with pytest.raises(NoSuchDriver, match=says):
        open_job_store(locator, Config())


def test_a_distribution_that_is_there_already_and_lacks_the_driver_is_not_to_be_installed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(install_hints.DRIVERS, "nimbus", "pluggy")
    with pytest.raises(NoSuchDriver, match=r"no provisioner named 'nimbus' \(pluggy [0-9.]+, which is installed, has none"):
        driver("provisioner", "nimbus")


def test_drivers_are_found_by_classic_spellings_too() -> None:
    assert "single_machine" in driver_names("batch_system")
    with pytest.raises(NoSuchDriver, match="there is no batch system named 'grid_engine' \\(pip install"):
        open_batch_system("gridEngine", Config())


@pytest.mark.parametrize("target", ["no_such_module:Store", "toil_core.errors:NoSuchName"])
def test_a_driver_that_cannot_be_loaded_is_named(target: str, tmp_path: Path) -> None:
    with pytest.raises(NoSuchDriver, match=f"job store 'gone' cannot be loaded from {target}"):
        driver("job_store", "gone", {"toil.job_store": {"gone": target}})
    add_plugin(tmp_path, "toil-gone", {"toil.job_store": {"gone": target}}, {})
    done = run_python(tmp_path, code="from toil_core.plugins import driver; driver('job_store', 'gone')")
    assert f"NoSuchDriver: job store 'gone' cannot be loaded from {target}" in done.stderr


def test_a_url_is_opened_by_the_plugin_that_knows_its_scheme(plugin: Any) -> None:
    class Urls:
        @hookimpl
        def toil_open_url(self, url: str, mode: str) -> Any:
            return (url, mode) if url.startswith("hole:") else None

    plugin(Urls())
    assert open_url("hole:deep", "rb", Config()) == ("hole:deep", "rb")  # type: ignore[comparison-overlap]


@pytest.mark.parametrize(
    ("url", "says"),
    [("nb://bucket/key", "pip install toil-nimbus"), ("zzz:x", "nothing installed opens zzz: URLs"), ("plain/path", "is no URL"), (":x", "is no URL")],
)
def test_an_unknown_scheme_says_what_to_do(url: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(install_hints.SCHEMES, "nb", "toil-nimbus")
    with pytest.raises(BadLocator, match=says):
        open_url(url, "rb", Config())


def test_one_broken_module_does_not_keep_the_rest_out() -> None:
    loaded = load([("no", "no.such.module"), ("core", "toil_core.builtin")])
    assert list(loaded.errors) == ["no"]
    assert loaded.groups[0].name == "engine"
