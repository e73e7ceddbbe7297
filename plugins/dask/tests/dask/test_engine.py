from __future__ import annotations

import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from toil_core.batch_system import Accelerator, Requirement
from toil_core.cluster_engine import ClusterEngine, EngineNode
from toil_core.options import Config
from toil_core.plugins import open_engine
from toil_core.testing.cluster_engine import ClusterEngineContract
from toil_core.testing.light import check_hooks_are_light

from toil_dask import ready
from toil_dask.engine import DaskEngine, address
from toil_dask.testing import Cluster


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


def test_a_certificate_is_good_for_its_cluster_alone() -> None:
    engine = DaskEngine(Config())
    one, two = engine.secrets("same"), engine.secrets("same")
    shown, ours, others = (x509.load_pem_x509_certificate(data) for data in (one["certificate.pem"], one["ca.pem"], two["ca.pem"]))
    shown.verify_directly_issued_by(ours)
    with pytest.raises(InvalidSignature):
        x509.load_pem_x509_certificate(two["certificate.pem"]).verify_directly_issued_by(ours)
    assert ours.public_key() != others.public_key()
    assert b"PRIVATE" not in one["ca.pem"] + one["certificate.pem"] and b"PRIVATE" in one["key.pem"]
    key = load_pem_private_key(one["key.pem"], None)
    assert key.public_key() == shown.public_key() != ours.public_key()  # the authority's own key is nowhere


def test_the_plugin_is_light_until_it_is_used() -> None:
    check_hooks_are_light("dask")


def test_a_cluster_has_no_use_for_bokeh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the scheduler nor a worker imports it, also where it is installed."""
    (tmp_path / "packages" / "bokeh").mkdir(parents=True)
    (tmp_path / "packages" / "bokeh" / "__init__.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w').close()\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "packages"))
    (tmp_path / "cluster").mkdir()
    with Cluster(tmp_path / "cluster") as cluster:
        cluster.add("one")
        cluster.await_worker("one")
        assert not (tmp_path / "imported").exists()
    subprocess.run([sys.executable, "-c", "import bokeh"], check=True, timeout=60)
    assert (tmp_path / "imported").exists()


def test_ready_waits_for_a_program_that_lives(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "toil_dask.ready", "--folder", str(tmp_path), "--scheduler", "tls://here:1", "--worker", "w1"]
    with ready.announced(tmp_path, "w1"):
        subprocess.run(command, check=True, timeout=60)
    assert (tmp_path / "dask" / "worker-w1").exists()  # of a program that is gone
    waiting = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert waiting.stderr is not None
    assert "waiting for the worker w1" in waiting.stderr.readline()
    with ready.announced(tmp_path), ready.announced(tmp_path, "w2"):
        assert waiting.poll() is None
        with ready.announced(tmp_path, "w1"):
            assert waiting.wait(60) == 0
    waiting.stderr.close()
