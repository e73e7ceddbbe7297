"""Clients of the SDK: what those of one process share, and what they do not."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.loaders import JSONFileLoader
from tests.proxy import proxy_to
from tests.servers import Server

from toil_aws import clients
from toil_aws.options import AwsOptions

FILES = """
[profile one]
aws_access_key_id = AKIAONE
aws_secret_access_key = SECRETONE
region = eu-west-1
[profile two]
aws_access_key_id = AKIATWO
aws_secret_access_key = SECRETTWO
region = us-east-2
"""


@pytest.fixture
def profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's file of profiles."""
    (tmp_path / "config").write_text(FILES)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))


def test_what_the_sdk_knows_of_aws_is_read_once(profiles: None, monkeypatch: pytest.MonkeyPatch) -> None:
    clients.s3(AwsOptions(profile="one"), "us-west-2").close()
    read: list[str] = []
    load = JSONFileLoader.load_file

    def counted(self: JSONFileLoader, path: str) -> Any:
        data = load(self, path)
        if data is not None:
            read.append(path)
        return data

    monkeypatch.setattr(JSONFileLoader, "load_file", counted)
    clients.s3(AwsOptions(profile="two"), "eu-central-1").close()
    assert read == []
    clients._loader.cache_clear()
    clients.s3(AwsOptions(profile="two"), "eu-central-1").close()
    assert any("s3" in path for path in read)


def test_each_session_has_credentials_and_a_region_of_its_own(profiles: None) -> None:
    one, two = (clients.session(AwsOptions(profile=profile)) for profile in ("one", "two"))
    assert (one.get_credentials().access_key, one.region_name, one.profile_name) == ("AKIAONE", "eu-west-1", "one")
    assert (two.get_credentials().access_key, two.region_name, two.profile_name) == ("AKIATWO", "us-east-2", "two")
    first, second = (clients.s3(AwsOptions(profile=profile)) for profile in ("one", "two"))
    assert (first.meta.region_name, second.meta.region_name) == ("eu-west-1", "us-east-2")
    first.close()
    second.close()


@pytest.mark.parametrize(
    "told", ["2026-03-01T12:30:15.000Z", "2026-03-01T12:30:15+00:00", "Sun, 01 Mar 2026 12:30:15 GMT", "20260301T123015Z", 1772368215, "1772368215"]
)
def test_moments_are_understood_in_every_format(told: Any) -> None:
    assert clients._moment(told) == datetime(2026, 3, 1, 12, 30, 15, tzinfo=UTC)


def test_what_is_no_moment_is_told_as_the_sdk_tells_it() -> None:
    with pytest.raises(ValueError, match="timestamp"):
        clients._moment("2026-never")


def test_sessions_do_not_add_up(profiles: None) -> None:
    clients.session(AwsOptions())
    places = list(clients._loader(None).search_paths)
    for _ in range(3):
        clients.session(AwsOptions(profile="one"))
    assert clients._loader(None).search_paths == places


def test_a_folder_of_data_of_the_users_own_is_for_those_who_name_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_DATA_PATH", str(tmp_path))
    clients.session(AwsOptions())
    assert str(tmp_path) in clients._loader(str(tmp_path)).search_paths
    monkeypatch.delenv("AWS_DATA_PATH")
    clients.session(AwsOptions())
    assert str(tmp_path) not in clients._loader(None).search_paths


SERVERS = """
[default]
endpoint_url = http://for-all:1
[profile of-s3]
services = mine
[services mine]
s3 =
  endpoint_url = http://for-s3:2
sts =
  endpoint_url = http://for-sts:3
[profile amazon]
region = us-west-2
"""


@pytest.mark.parametrize(
    ("profile", "variables", "server"),
    [
        (None, {}, "http://for-all:1"),
        ("of-s3", {}, "http://for-s3:2"),
        ("amazon", {}, None),
        ("of-s3", {"AWS_ENDPOINT_URL": "http://variable:4"}, "http://variable:4"),
        ("of-s3", {"AWS_ENDPOINT_URL_S3": "http://of-s3:5", "AWS_ENDPOINT_URL": "http://variable:4"}, "http://of-s3:5"),
        ("of-s3", {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true", "AWS_ENDPOINT_URL": "http://variable:4"}, None),
    ],
)
def test_the_server_that_the_sdk_takes_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, profile: str | None, variables: dict[str, str], server: str | None
) -> None:
    (tmp_path / "config").write_text(SERVERS)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    options = AwsOptions(profile=profile)
    assert clients.endpoint(options) == server
    client = clients.s3(options, "us-west-2")
    assert client.meta.endpoint_url == (server or "https://s3.us-west-2.amazonaws.com")
    assert vars(client.meta.config)["s3"] == {"addressing_style": "path" if server else "auto"}
    client.close()
    other = clients.s3(AwsOptions(profile=profile, endpoint_url="http://option:6"), "us-west-2")
    assert other.meta.endpoint_url == "http://option:6"
    other.close()


def test_a_server_that_nobody_has_reached_is_not_asked_for_long(fake: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda seconds: None)
    sent: list[Any] = []
    with proxy_to(fake.url) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        known, unknown = (clients.s3(AwsOptions(attempts=6), "us-west-2") for _ in range(2))
        known.list_buckets()
        vars(known)["_endpoint"].http_session.close()  # or its connection would be used again
    for client, tries in ((unknown, 3), (known, 6)):
        sent.clear()
        client.meta.events.register("before-send.s3", lambda request, **_: sent.append(request))
        with pytest.raises(EndpointConnectionError):
            client.list_buckets()
        assert len(sent) == tries
        client.close()
