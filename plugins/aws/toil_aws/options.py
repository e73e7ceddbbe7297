"""What the AWS plugin can be told."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from toil_core.errors import BadOption
from toil_core.options import Group, option
from toil_core.sizes import parse_size

LEAST_PART = 5 << 20
"""S3 takes no smaller parts of a large object."""


def parse_part(text: str) -> int:
    """The size of a part.

    Raises:
        BadOption: S3 takes no such parts.
    """
    size = parse_size(text)
    if not LEAST_PART <= size <= 5 << 30:
        raise BadOption(f"{text!r} is no size of a part: S3 takes 5 MiB to 5 GiB")
    return size


def parse_endpoint(text: str) -> str:
    """The URL of a server.

    Raises:
        BadOption: It is none.
    """
    example = "write https://minio.example.org:9000 for example"
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and not (parts.query or parts.fragment)
    except ValueError:
        usable = False
    if not usable or any(character.isspace() for character in text):
        raise BadOption(f"{text!r} is no URL of a server; {example}")
    if "@" in parts.netloc:
        raise BadOption(f"the URL of a server has no user and no password, which would be kept with the run; {example}, and see the SDK's credentials")
    return text


def parse_file(text: str) -> str:
    """A file, which jobs and later commands find from other folders too; `~` is for each machine to say."""
    return text if text.startswith("~") or not text else os.path.abspath(text)


def parse_several(text: str) -> int:
    """A number of things at a time.

    Raises:
        BadOption: It is none.
    """
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise BadOption(f"{text!r} is no number from 1 to 1000")
    return int(text)


def parse_tag(text: str) -> str:
    """A tag of AWS.

    Raises:
        BadOption: It is none.
    """
    key, equals, value = text.partition("=")
    if not equals or not 0 < len(key) <= 128 or len(value) > 256 or key.lower().startswith("aws:"):
        raise BadOption(f"{text!r} is no tag; write KEY=VALUE, where KEY does not begin with `aws:`")
    return text


@dataclass(frozen=True)
class AwsOptions:
    """How AWS, or what speaks its protocols, is used. Credentials are never options: the SDK finds them."""

    profile: str | None = option(None, "Use the credentials of this profile of the shared AWS files.")
    endpoint_url: str | None = option(
        None, "Use this S3 server instead of Amazon's: https://minio.example.org:9000 for example.", env="AWS_ENDPOINT_URL_S3",
        parse=parse_endpoint,
    )  # fmt: skip
    region: str | None = option(None, "The region of s3:// URLs whose bucket does not tell; the SDK's own default if not given.")
    encryption: Literal["AES256", "aws:kms", "none"] = option(
        "AES256", "How S3 encrypts new job stores: with its own keys, with KMS, or as the server does by itself."
    )
    kms_key: str | None = option(None, "The KMS key of new job stores: its id, ARN or alias; the account's own for S3 if not given.")
    sse_key: str | None = option(
        None, "A file with a key of 32 bytes of your own, with which S3 encrypts the job store's blobs and which it does not keep.",
        flags=("--sse-key", "--sseKey"), parse=parse_file,
    )  # fmt: skip
    request_payer: bool = option(False, "Pay for reading s3:// URLs in buckets whose readers pay.")
    tags: tuple[str, ...] = option(
        (), "Tag the job store's bucket: KEY=VALUE; may be repeated.", flags=("--aws-tag", "--awsTag"), parse=parse_tag
    )
    part_size: int = option(8 << 20, "Blobs larger than this move in parts, several at a time.", parse=parse_part)
    transfers: int = option(10, "How many parts of a blob move at a time.", parse=parse_several)
    attempts: int = option(6, "How often the SDK tries a request, with growing pauses, before the engine waits on its own.", parse=parse_several)


GROUP = Group("aws", AwsOptions, prefix="aws")
"""The options as the core takes them."""
