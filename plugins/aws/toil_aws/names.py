"""Names: of job stores, and of the objects that hold their blobs."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator

from toil_core.errors import BadKey, BadLocator
from toil_core.job_store import check_key

MARKER = "~toil-job-store.json"
"""The object that tells a job store's bucket; no key is stored under such a name."""

SHARDS = 16
_NAME = re.compile(r"[a-z0-9][a-z0-9-]+[a-z0-9]")
_REGION = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_SHARDED = re.compile(r"([^/]+)/~([0-9a-f])/(([^/]+)/.+)", re.DOTALL)
_LONGEST = 1024
_ADDED = 3


def parse(locator: str) -> tuple[str, str]:
    """Region and bucket of a job store.

    Args:
        locator: What follows `aws:`.

    Raises:
        BadLocator: It names none.
    """
    region, colon, name = locator.partition(":")
    if not colon or not _REGION.fullmatch(region):
        raise BadLocator(f"aws:{locator} names no job store; write aws:REGION:NAME, aws:us-west-2:my-run for example")
    if not _NAME.fullmatch(name) or "--" in name or len(name) > 50:
        raise BadLocator(
            f"{name!r} cannot be the name of a job store on AWS: it must have 3 to 50 characters, only lower-case letters, digits and hyphens, "
            "begin and end with a letter or digit, and not contain `--`"
        )
    return region, name


def object_name(key: str) -> str:
    """The name of the object that holds the blob of a key.

    S3 gives each prefix that is much used a partition, so what there is much of is spread over 16 of
    them: `commits/1-42/000000` is `commits/~c/1-42/000000`, where `c` depends on `commits/1-42`.

    Raises:
        BadKey: No blob can have the key.
    """
    parts = check_key(key)
    if key.startswith("~"):
        return _fitting("~" + key, key)
    if len(parts) < 3:
        return key
    name = f"{parts[0]}/~{_shard(parts[0], parts[1])}/{'/'.join(parts[1:])}"
    if len(name) * 4 <= _LONGEST or len(name.encode()) <= _LONGEST:
        return name
    if _SHARDED.fullmatch(key):
        raise BadKey(f"key {key[:40]!r}... is too long for this job store; shorten it by {_ADDED} bytes")
    return key


def key_of(name: str) -> str | None:
    """The key whose blob an object holds; None for objects that hold none."""
    if name.startswith("~"):
        return name[1:] if name.startswith("~~") else None
    match = _SHARDED.fullmatch(name)
    if match and match[2] == _shard(match[1], match[4]):
        return f"{match[1]}/{match[3]}"
    return name


def prefixes(prefix: str) -> Iterator[str]:
    """What the names of objects begin with whose keys begin with the prefix; other objects may be among them."""
    *whole, last = prefix.split("/")
    if not prefix.isprintable() or {"", ".", ".."} & set(whole) or last in (".", "..") and not whole:
        return
    if prefix.startswith("~"):
        yield "~" + prefix
    elif not whole or len(whole) == 1 and not last:
        yield prefix
    else:
        yield prefix  # keys of two parts, and very long ones
        rest = "/".join([*whole[1:], last])
        for shard in [_shard(whole[0], whole[1])] if len(whole) > 1 else [f"{number:x}" for number in range(SHARDS)]:
            yield f"{whole[0]}/~{shard}/{rest}"


def _shard(first: str, second: str) -> str:
    return f"{zlib.crc32(f'{first}/{second}'.encode()) % SHARDS:x}"


def _fitting(name: str, key: str) -> str:
    if len(name.encode()) > _LONGEST:
        raise BadKey(f"key {key[:40]!r}... is too long for this job store; shorten it by a byte")
    return name
