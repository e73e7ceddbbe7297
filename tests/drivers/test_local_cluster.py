from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from toil_core.drivers.local import LocalProvisioner
from toil_core.drivers.local_options import LocalCloudOptions
from toil_core.options import Config
from toil_core.provisioner import Provisioner
from toil_core.testing.provisioner import ProvisionerContract


class TestWithSsh(ProvisionerContract):
    @pytest.fixture
    def open_provisioner(self, tmp_path: Path) -> Callable[[], Provisioner]:
        return lambda: LocalProvisioner(Config([LocalCloudOptions(folder=str(tmp_path / "cloud"))]))

    def test_nothing_runs_of_what_was_terminated_or_destroyed(self, provisioner: Provisioner, cluster: str, tmp_path: Path) -> None:
        folder = str(tmp_path / "cloud" / cluster)
        self.launch(provisioner, cluster, "leader", "worker-1")
        assert len(running(folder)) == 2
        provisioner.terminate(cluster, ["worker-1"])
        assert [line for line in running(folder) if "/worker-1/" in line] == []
        assert len(running(folder)) == 1
        provisioner.destroy(cluster)
        assert running(folder) == []


class TestWithoutSsh(ProvisionerContract):
    @pytest.fixture
    def open_provisioner(self, tmp_path: Path) -> Callable[[], Provisioner]:
        return lambda: LocalProvisioner(Config([LocalCloudOptions(folder=str(tmp_path / "cloud"), sshd="off")]))


def running(folder: str) -> list[str]:
    """The command lines that mention a folder, without what greets those who connect."""
    found = subprocess.run(["ps", "-eo", "args", "ww"], capture_output=True, text=True, check=True).stdout.splitlines()
    return [line for line in found if folder in line and not line.endswith(" -R")]
