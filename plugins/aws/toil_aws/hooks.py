"""What the AWS plugin adds to every run; imported at every start, by workers too, so kept light."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from toil_core import hookimpl

if TYPE_CHECKING:
    from typing import BinaryIO

    from toil_core.checks import Check
    from toil_core.job_store import Listed
    from toil_core.options import Config, Group


@hookimpl
def toil_options() -> Iterable[Group]:
    """How AWS is used."""
    from toil_aws.options import GROUP

    return [GROUP]


@hookimpl
def toil_open_url(url: str, mode: str, config: Config) -> BinaryIO | None:
    """`s3://BUCKET/KEY`."""
    if url[:3].lower() != "s3:":
        return None
    from toil_aws.urls import opened

    return opened(url, mode, config)


@hookimpl
def toil_list_url(url: str, config: Config) -> Iterable[Listed] | None:
    """`s3://BUCKET/KEY`, and all whose keys go on after it and a `/`."""
    if url[:3].lower() != "s3:":
        return None
    from toil_aws.urls import listed

    return listed(url, config)


@hookimpl
def toil_checks(locators: Sequence[str], config: Config) -> Iterable[Check]:
    """Who AWS takes us for, and what a job store there needs; only for those who have to do with AWS."""
    from toil_aws.options import AwsOptions

    regions = {locator.split(":")[1] for locator in locators if locator.startswith("aws:") and locator.count(":") == 2}
    if regions or config[AwsOptions] != AwsOptions():
        from toil_aws.doctor import checks

        yield from checks(sorted(regions), config)
