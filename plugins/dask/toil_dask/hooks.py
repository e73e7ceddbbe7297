"""What this plugin tells the core; imported at every start, so kept light."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from toil_core.plugins import hookimpl

if TYPE_CHECKING:
    from toil_core.options import Group


@hookimpl
def toil_options() -> Iterable[Group]:
    """Where the cluster is, and how it is spoken to."""
    from toil_core.options import Group

    from toil_dask.options import DaskOptions

    return [Group("dask", DaskOptions)]
