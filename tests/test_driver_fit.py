"""Drivers that do not fulfil their contract are told when they are chosen."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from tests.fake_plugins import add_plugin, run_python
from toil_core.driver_fit import checked
from toil_core.drivers.memory import MemoryJobStore
from toil_core.entry_points import KINDS
from toil_core.errors import NoSuchDriver
from toil_core.job_store import Blob, JobStore
from toil_core.options import Config
from toil_core.plugins import driver, driver_names


class Whole(JobStore):
    """What an author writes who makes no mistake."""

    def __init__(self, locator: str, config: Config) -> None:
        pass

    def prepare(self) -> None:
        pass

    def destroy(self) -> None:
        pass

    def create(self, key: str, data: bytes) -> None:
        pass

    def write(self, key: str, stream: BinaryIO) -> None:
        pass

    def read(self, key: str, start: int = 0, stop: int | None = None) -> BinaryIO:
        return io.BytesIO()

    def stat(self, key: str) -> Blob:
        return Blob(key, 0)

    def delete(self, keys: Iterable[str]) -> None:
        pass

    def list(self, prefix: str = "") -> Iterator[Blob]:
        return iter(())


def variant(**changed: Any) -> type:
    return type("Odd", (Whole,), changed)


def check(found: Any) -> Any:
    return checked("job_store", "job store", "odd", "odd:Odd", found)


def test_what_fulfils_its_contract_is_given_back() -> None:
    assert check(Whole) is Whole
    assert check(MemoryJobStore) is MemoryJobStore
    made = lambda locator, config: Whole(locator, config)
    assert check(made) is made


def test_an_ability_is_what_it_says() -> None:
    """What has one of an ability's names only, or the name for something else than a method, has not the ability."""
    for found in (variant(path=lambda self: "x"), variant(url="https://example.org")):
        assert check(found) is found


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"url": lambda self, key: key}, r"cannot be called as url\(key, seconds\); see toil_core.job_store.HasUrls"),
        ({"warm": classmethod(lambda kind, locator: None)}, r"cannot be called as warm\(locator, config\); see toil_core.job_store.CanWarm"),
        ({"copy_from": lambda self, key, url: None}, r"cannot be called as copy_from\(key, url, listed\); see toil_core.job_store.CanCopy"),
    ],
)
def test_a_method_of_an_ability_is_called_as_the_engine_calls_it(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(NoSuchDriver, match=rf"^job store 'odd' cannot be used: odd:Odd {says}$"):
        check(variant(**changed))


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (variant(stat=JobStore.stat, read=JobStore.read), "has no read and no stat"),
        (variant(__init__=lambda self, locator: None), r"cannot be made by Odd\(REST, CONFIG\)"),
        (variant(create=lambda self, key: None), r"cannot be called as create\(key, data\)"),
        (variant(read=lambda self, key: None), r"cannot be called as read\(key, start, stop\)"),
        (variant(list=lambda self, prefix: None), r"cannot be called as list\(\)"),
        ("text", "is no class"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(found: Any, says: str) -> None:
    with pytest.raises(NoSuchDriver, match=rf"^job store 'odd' cannot be used: odd:Odd {says}; see toil_core.job_store.JobStore$"):
        check(found)


@pytest.mark.parametrize("kind", KINDS)
def test_every_driver_that_is_installed_fits(kind: str) -> None:
    assert [driver(kind, name) for name in driver_names(kind)]


def test_an_author_sees_it_at_once_and_without_a_traceback(tmp_path: Path) -> None:
    module = """
        from toil_core.job_store import JobStore

        class Store(JobStore):
            def __init__(self, locator, config):
                pass
        """
    add_plugin(tmp_path, "toil-half", {"toil.job_store": {"half": "half_store:Store"}}, {"half_store": module})
    says = "job store 'half' cannot be used: half_store:Store has no create and no delete and no destroy"
    done = run_python(tmp_path, "status", "half:x")
    assert done.returncode == 2 and done.stderr.startswith(f"toil: error: {says}") and "Traceback" not in done.stderr, done.stderr
    done = run_python(tmp_path, "plugins", "--json")
    assert done.returncode == 1 and says in done.stdout
