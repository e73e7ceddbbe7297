"""The servers of these tests, one of each for all of them."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import boto3
import pytest
from tests.servers import Server

from tests import servers
from toil_aws import urls

_numbers = itertools.count()


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real S3 server."""
    with servers.seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as server:
        yield server


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Fakes of AWS."""
    with servers.moto(tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture(autouse=True)
def _no_aws_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def real(seaweedfs: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The real S3 server, as the one that the SDK talks to."""
    return _used(seaweedfs, monkeypatch)


@pytest.fixture
def fake(moto: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The fakes, as what the SDK talks to."""
    return _used(moto, monkeypatch)


@pytest.fixture
def name() -> str:
    """The name of a bucket that nobody else uses."""
    return f"toil-test-{os.getpid()}-{next(_numbers)}"


def _used(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    for variable, value in server.environment.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it would keep the credentials of the server before
    urls.forget()
    return server
