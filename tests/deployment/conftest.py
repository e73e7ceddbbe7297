from __future__ import annotations

from pathlib import Path

import pytest

from tests.deployment.places import Places, make_environment, wheel_of_this_tree


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of toil-core from this tree."""
    return wheel_of_this_tree(tmp_path_factory.mktemp("wheel"))


@pytest.fixture
def places(tmp_path: Path, wheel: Path) -> Places:
    """A leader and workers with environments of their own."""
    return Places.make(tmp_path, make_environment(tmp_path / "here", wheel), make_environment(tmp_path / "elsewhere", wheel))
