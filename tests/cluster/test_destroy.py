from __future__ import annotations

from pathlib import Path

import pytest

from toil_core.cluster.destroy import destroy
from toil_core.cluster.state import ClusterState
from toil_core.drivers.local import LocalProvisioner
from toil_core.drivers.local_options import LocalCloudOptions
from toil_core.errors import ToilError
from toil_core.options import Config
from toil_core.provisioner import NodeRequest


class Forgetful(LocalProvisioner):
    """A cloud that says that it has removed all, and has left a machine."""

    def destroy(self, cluster: str) -> None:
        self.terminate(cluster, ["leader"])

    def finish(self, cluster: str) -> None:
        super().destroy(cluster)


def test_what_is_still_there_is_told_and_the_keys_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOIL_STATE_DIR", str(tmp_path / "state"))
    state = ClusterState("demo")
    with Forgetful(Config([LocalCloudOptions(folder=str(tmp_path / "cloud"), sshd="off")])) as cloud:
        cloud.prepare("demo")
        cloud.launch("demo", [NodeRequest("leader", "local.small", "leader"), NodeRequest("worker-1", "local.small", "worker")])
        state.folder.mkdir(parents=True)
        state.key.write_text("key")
        with pytest.raises(ToilError, match=r"cluster demo is not gone: there is still node worker-1.*; try again"):
            destroy(state, cloud)
        assert state.key.read_text() == "key"
        cloud.finish("demo")
        destroy(state, cloud)
    assert not state.folder.exists()
