from __future__ import annotations

import stat
import subprocess
from pathlib import Path, PurePosixPath

import pytest
from toil_core.batch_system import Accelerator, Requirement
from toil_core.cluster_engine import ClusterEngine, EngineNode
from toil_core.options import Config
from toil_core.plugins import open_engine
from toil_core.testing.cluster_engine import ClusterEngineContract
from toil_core.testing.light import check_hooks_are_light

from toil_dask.engine import DaskEngine, address


class TestDaskEngine(ClusterEngineContract):
    @pytest.fixture
    def engine(self) -> ClusterEngine:
        return open_engine("dask", Config())


def test_the_command_says_what_the_node_has() -> None:
    node = EngineNode("w1", "10.0.0.2", Requirement(2.5, 1 << 30, 0, preemptible=True, accelerators=(Accelerator(2, model="a100"),)))
    command = DaskEngine(Config()).command("worker", node, "fd00::1", PurePosixPath("/c"))
    said = " ".join(command)
    assert "--scheduler tls://[fd00::1]:8786" in said and "--cores 2.5 --memory 1073741824 --accelerators" in said
    assert "--disk" not in said and command[-1] == "--preemptible"
    assert address("host", 1) == "tls://host:1"


def test_a_certificate_is_good_for_its_cluster_alone(tmp_path: Path) -> None:
    engine = DaskEngine(Config())
    one, two = engine.secrets("one"), engine.secrets("two")
    for cluster, secrets in (("one", one), ("two", two)):
        for name, data in secrets.items():
            (tmp_path / f"{cluster}-{name}").write_bytes(data)
    verify = ["openssl", "verify", "-x509_strict", "-CAfile"]
    good = subprocess.run([*verify, "one-ca.pem", "one-certificate.pem"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert good.returncode == 0, good.stderr
    assert subprocess.run([*verify, "two-ca.pem", "one-certificate.pem"], cwd=tmp_path, capture_output=True, check=False).returncode != 0
    assert b"PRIVATE" not in one["ca.pem"] + one["certificate.pem"] and b"PRIVATE" in one["key.pem"]
    assert not any(stat.S_IMODE(path.stat().st_mode) & 0o111 for path in tmp_path.iterdir())


def test_the_plugin_is_light_until_it_is_used() -> None:
    check_hooks_are_light("dask")
