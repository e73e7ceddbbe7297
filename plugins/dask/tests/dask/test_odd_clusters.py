"""Clusters that cannot be used, or only in part, and errors of ours."""

from __future__ import annotations

import asyncio
import socket
import threading
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from toil_core.errors import UsageError
from toil_core.options import Config
from toil_core.testing.runners import body, kind

from toil_dask import messages
from toil_dask.batch_system import Dask, FixedDask, open_dask
from toil_dask.connection import Target
from toil_dask.options import DaskOptions
from toil_dask.testing import SECONDS, SHAPE, Here


def test_a_scheduler_that_is_not_there_is_told_in_a_line() -> None:
    with pytest.raises(UsageError, match="the Dask scheduler at tcp://127.0.0.1:9 cannot be used"):
        open_dask(Config([DaskOptions(dask_scheduler="tcp://127.0.0.1:9", dask_connect_timeout=1.0)]))


@pytest.mark.parametrize("address", ["nonsense://x:1", "127.0.0.1", "tcp://", "tls://127.0.0.1:8786"])
def test_an_address_that_cannot_be_used_is_told_in_a_line(address: str) -> None:
    with pytest.raises(UsageError, match="cannot be used"):
        open_dask(Config([DaskOptions(dask_scheduler=address, dask_connect_timeout=0.5)]))


def test_what_listens_and_is_no_scheduler_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toil_dask.connection.GRACE_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"tcp://127.0.0.1:{mute.getsockname()[1]}"
        with pytest.raises(UsageError, match=f"the Dask scheduler at {address} cannot be used: what listens there does not answer as"):
            open_dask(Config([DaskOptions(dask_scheduler=address, dask_connect_timeout=0.5)]))


@pytest.mark.parametrize(
    ("address", "certificates", "words"),
    [("tls://127.0.0.1:9", False, "tls:// needs certificates"), ("tcp://127.0.0.1:9", True, "are for tls:// addresses only")],
)
def test_certificates_and_address_belong_together(here: Here, address: str, certificates: bool, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Dask(Config(), Target(address, here.cluster.target.files if certificates else {}, 1.0))


def test_an_empty_address_starts_no_cluster_here() -> None:
    with pytest.raises(UsageError, match="the Dask scheduler at  cannot be used"):
        open_dask(Config([DaskOptions(dask_scheduler="")]))


@pytest.mark.parametrize("address", ["tls://127.0.0.1:9", "tcp://127.0.0.1:9"])
@pytest.mark.parametrize("end", ["tls_ca_file", "tls_cert_file", "tls_key_file"])
def test_a_missing_file_is_named_whatever_the_address(here: Here, tmp_path: Path, address: str, end: str) -> None:
    files = {**here.cluster.target.files, end: str(tmp_path / "gone.pem")}
    with pytest.raises(UsageError, match=f"--dask-{end.replace('_', '-')} .*gone.pem cannot be read: No such file"):
        Dask(Config(), Target(address, files, 1.0))


def test_files_that_are_no_certificates_or_do_not_go_together_are_told(here: Here, tmp_path: Path) -> None:
    other, text = tmp_path / "other.pem", tmp_path / "text.pem"
    other.write_bytes(next(data for name, data in here.cluster.engine.secrets("other").items() if "key.pem" in name))
    text.write_text("nothing of the kind")
    for end, path, words in (
        ("tls_key_file", other, "the key is not the certificate's"),
        ("tls_key_file", text, "one is no certificate, or no key"),
        ("tls_cert_file", text, "one is no certificate, or no key"),
        ("tls_ca_file", text, "one is no certificate, or no key"),
    ):
        with pytest.raises(UsageError, match=words):
            Dask(Config(), Target("tls://127.0.0.1:9", {**here.cluster.target.files, end: str(path)}, 1.0))


@pytest.mark.parametrize("place", ["toil_dask.leader.connect", "toil_dask.leader.Leader._listen"])
def test_an_error_of_ours_at_the_start_is_raised(here: Here, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise LookupError("nobody expected this")

    monkeypatch.setattr(place, broken)
    with pytest.raises(LookupError, match="nobody expected"):
        here.cluster.open()


def test_an_error_of_ours_is_raised_where_updates_are_awaited_whatever_is_asked_before(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    began = threading.Event()

    async def broken(*_: object) -> None:
        await asyncio.to_thread(began.wait)
        raise LookupError("nobody expected this")

    monkeypatch.setattr("toil_dask.leader.Leader._until_lost", broken)
    with here.cluster.open() as system:
        began.set()
        with pytest.raises(LookupError, match="nobody expected"):
            system.updates(SECONDS)
        system._leader._thread.join(SECONDS)
        system.submit([here.run.request(body("print", "hello"))])
        system.cancel(["1-1"])
        system.interrupt(["1-1"], 1.0)
        with pytest.raises(LookupError, match="nobody expected"):
            system.updates(SECONDS)


def test_what_waits_for_a_larger_node_is_known(with_one: Here) -> None:
    large, small = (with_one.run.request(body("nothing"), of=kind(cores=cores)) for cores in (3.0, 0.5))
    with_one.system.submit([large, small])
    assert with_one.system.misfits() == {large.id: "asks for 3 cores; the largest node has 2"}
    with_one.add("larger", 4)
    with_one.run.ends([large, small])
    assert with_one.system.misfits() == {}
    with_one.system.close()
    assert with_one.system.misfits() == {}


def test_a_fixed_cluster_without_nodes_is_told(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toil_dask.batch_system.NODE_SECONDS", 0.2)
    with pytest.raises(UsageError, match="no node of the Dask cluster"):
        FixedDask(Config(), here.cluster.target)


def test_a_folder_that_nodes_do_not_have_is_told(here: Here, caplog: pytest.LogCaptureFixture) -> None:
    from toil_core.leader.options import EngineOptions

    here.add("one")
    with Dask(Config([EngineOptions(work_dir="/no/such/folder")]), here.cluster.target) as system:
        while "/no/such/folder on node one is no folder that can be written to; choose one with --work-dir" not in caplog.text:
            system.updates(0.05)


def test_needs_are_what_single_jobs_get(with_one: Here) -> None:
    """A job that needs a whole node runs alone there."""
    here = with_one
    first = here.run.request(body("wait", here.run.path("a"), here.run.path("go")), of=kind(cores=2))
    second = here.run.request(body("once", here.run.path("ran")), of=kind(cores=0.5))
    here.system.submit([first, second])
    here.run.await_file(here.run.path("a"))
    while first.id not in here.run.updates:
        here.run.hear()
    assert second.id not in here.run.updates
    assert not Path(here.run.path("ran")).exists()
    Path(here.run.path("go")).touch()
    here.run.ends([second])


def test_a_late_hello_of_a_node_that_is_gone_brings_no_node(with_one: Here) -> None:
    """A node that hangs as it joins is gone for Dask; what it says when it wakes must draw no requests, which nobody would run or give up."""
    here, leader = with_one, with_one.system._leader
    (known,) = leader._nodes.values()
    late = msgspec.structs.replace(known.hello, node="late", presence="over", address="tls://127.0.0.1:1", name="late", offer=replace(SHAPE, cores=8))
    leader._ask(lambda: leader._hear(messages.encode(late)))
    request = here.run.request(body("nothing"))
    here.system.submit([request])
    assert here.run.ends([request])[0].node == "one"
    assert "late" not in leader._ask(leader._offers)
