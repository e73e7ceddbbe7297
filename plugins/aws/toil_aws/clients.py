"""Clients of the SDK: made once for the same options, tuned for many requests at a time."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore import UNSIGNED
from botocore.config import Config as Tuning
from botocore.exceptions import EndpointConnectionError
from botocore.loaders import Loader, create_loader
from botocore.session import Session
from botocore.utils import parse_timestamp
from toil_core.errors import UsageError

import toil_aws
from toil_aws import bodies
from toil_aws.errors import no_region, one_line, translated
from toil_aws.options import AwsOptions

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_FIRST_TRIES = 3
_ANSWER_SECONDS = 60.0
"""A server that is silent for so long is asked again."""

_lock = threading.Lock()
_ready: dict[tuple[str | None, AwsOptions], S3Client] = {}


def session(options: AwsOptions) -> Any:
    """A session of the SDK with the user's credentials; the SDK renews those that expire.

    Raises:
        UsageError: There is no such profile.
    """
    with translated("AWS"):
        inner = Session(profile=options.profile)
        loader = _loader(inner.get_config_variable("data_path"))
        inner.register_component("data_loader", loader)
        inner.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_moment)
        made = boto3.session.Session(botocore_session=inner)
        loader.search_paths[:] = dict.fromkeys(loader.search_paths)  # each session adds the same folder
        return made


@cache
def _loader(data_path: str | None) -> Loader:
    """What the SDK knows of AWS's services, read once for all sessions: most of what a client takes, in time and in memory."""
    return create_loader(data_path)


def _moment(value: Any) -> Any:
    """A moment that an answer tells: the SDK's own parser guesses the format, which takes a tenth of a request and most of a listing."""
    if isinstance(value, str) and value[4:5] == "-":
        with suppress(ValueError):
            return datetime.fromisoformat(value)
    if isinstance(value, str) and value[3:5] == ", ":
        with suppress(ValueError):
            return parsedate_to_datetime(value)
    return parse_timestamp(value)


def has_credentials(options: AwsOptions) -> bool:
    """Whether the SDK finds any.

    Raises:
        UsageError: What gives them cannot be used.
    """
    with translated("AWS", profile=options.profile), readable():
        return session(options).get_credentials() is not None


@contextmanager
def readable() -> Iterator[None]:
    """Say what is wrong with the files of credentials, or with the program that they name, where the SDK just falls over it.

    Raises:
        UsageError: They cannot be used.
    """
    try:
        yield
    except (OSError, ValueError, KeyError) as error:
        what = f"{type(error).__name__}: {one_line(error)}"
        raise UsageError(
            f"AWS: the SDK cannot be set up from its variables and files ({what}); look at ~/.aws/config, ~/.aws/credentials, "
            "the program that credential_process names, and AWS_ENDPOINT_URL"
        ) from error


def endpoint(options: AwsOptions) -> str | None:
    """The S3 server in place of Amazon's; None for Amazon's own."""
    if options.endpoint_url:
        return options.endpoint_url
    with translated("AWS", profile=options.profile), readable():
        inner = Session(profile=options.profile)
        if inner.get_config_variable("ignore_configured_endpoint_urls"):
            return None
        profile = inner.get_scoped_config()
        services = inner.full_config.get("services", {}).get(profile.get("services"), {})
        found = services.get("s3", {}).get("endpoint_url") or profile.get("endpoint_url")
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or found or None


def s3(options: AwsOptions, region: str | None = None, *, anonymous: bool = False) -> S3Client:
    """A client of S3; its methods may be called from several threads.

    Args:
        options: The plugin's options.
        region: The region of the buckets; None for the SDK's own default.
        anonymous: Whether to ask as nobody, for what is public.

    Raises:
        UsageError: There is no such profile, no such endpoint, or AWS has no such region.
    """
    if not anonymous:
        with _lock:
            ready = _ready.pop((region, options), None)
        if ready is not None:
            return ready
    return _made(options, region, anonymous)


def warm(options: AwsOptions, region: str) -> None:
    """Make a client now, which has no connection yet, for processes that are forked later."""
    client = _made(options, region, False)
    with _lock:
        _ready[region, options] = client


def _made(options: AwsOptions, region: str | None, anonymous: bool) -> S3Client:
    server = endpoint(options)
    tuning = Tuning(
        retries={"mode": "standard", "total_max_attempts": options.attempts},
        max_pool_connections=max(32, 2 * options.transfers),
        connect_timeout=10,
        read_timeout=_ANSWER_SECONDS,
        tcp_keepalive=True,
        user_agent_extra=f"toil-aws/{toil_aws.__version__}",
        s3={"addressing_style": "path" if server else "auto"},
        signature_version=UNSIGNED if anonymous else "s3v4",
    )
    maker = session(options)
    with translated(server or "S3", profile=options.profile), readable():
        if region and server is None and (wrong := no_region(region, maker)):
            raise UsageError(wrong)
        client: S3Client = maker.client("s3", region_name=region, endpoint_url=server, config=tuning)
    for operation in ("GetObject", "HeadObject", "PutObject"):
        client.meta.events.register(f"after-call.s3.{operation}", _check_answer)
    for operation in ("PutObject", "UploadPart"):
        client.meta.events.register(f"before-send.s3.{operation}", bodies.enlarge)
    client.meta.events.register("needs-retry.s3", _Contact().check)
    return client


class _Contact:
    """Whether a server has ever answered: one that nobody reaches is not asked for long, as the address may well be wrong."""

    def __init__(self) -> None:
        self._made = False

    def check(self, response: Any, attempts: int, caught_exception: Exception | None, **_: Any) -> None:
        """Raise what has happened where the SDK would try again and again."""
        self._made = self._made or response is not None
        if isinstance(caught_exception, EndpointConnectionError) and not self._made and attempts >= _FIRST_TRIES:
            raise caught_exception


def _check_answer(http_response: Any, parsed: dict[str, Any], **_: Any) -> None:
    """Refuse what answers and is no server of S3: a web server, or what stands between this machine and all others."""
    if http_response.status_code < 300 and "ETag" not in parsed:
        url = urlsplit(http_response.url)
        raise UsageError(f"what answers at {url.scheme}://{url.netloc} is no server of S3; check --aws-endpoint-url and AWS_ENDPOINT_URL, and what is between")
