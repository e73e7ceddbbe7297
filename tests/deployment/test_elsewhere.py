"""Whole runs whose workers share nothing with the leader but the job store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.deployment.places import Places, build_wheel, install, make_environment, site_packages, write_files

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


def value(done: object) -> object:
    assert done.returncode == 0, done.stderr  # type: ignore[attr-defined]
    return json.loads(done.stdout)  # type: ignore[attr-defined]


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
