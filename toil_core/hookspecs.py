"""What any number of plugins may contribute to: the 1:N half of the plugin system.

A distribution names one light module under the entry-point group `toil`; functions in it
that carry `@toil_core.hookimpl` and one of these names are called. Contract types appear
here for type checkers only, so that importing this module stays cheap.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    from toil_core.batch_system import BatchSystem, Requirement
    from toil_core.checks import Check
    from toil_core.cluster_engine import ClusterEngine
    from toil_core.events import Event
    from toil_core.job_store import JobStore, Listed
    from toil_core.options import Command, Config, Group
    from toil_core.provisioner import Provisioner
    from toil_core.sync_transport import SyncTransport

hookspec = pluggy.HookspecMarker("toil")


@hookspec(firstresult=True)
def toil_job_store(name: str, locator: str, config: Config) -> JobStore | None:
    """Open a job store. Normally left to the driver of that name; wrap it to change every store."""


@hookspec(firstresult=True)
def toil_batch_system(name: str, config: Config) -> BatchSystem | None:
    """Start a batch system."""


@hookspec(firstresult=True)
def toil_provisioner(name: str, config: Config) -> Provisioner | None:
    """Connect to a cloud."""


@hookspec(firstresult=True)
def toil_sync_transport(name: str, config: Config) -> SyncTransport | None:
    """Choose a way into nodes."""


@hookspec(firstresult=True)
def toil_engine(name: str, config: Config) -> ClusterEngine | None:
    """Choose what makes nodes into a cluster."""


@hookspec
def toil_options() -> Iterable[Group]:  # type: ignore[empty-body]
    """Groups of options to offer on the command line, in the environment and in the config file."""


@hookspec
def toil_commands() -> Iterable[Command]:  # type: ignore[empty-body]
    """Subcommands to add to `toil`."""


@hookspec(firstresult=True)
def toil_open_url(url: str, mode: str, config: Config) -> BinaryIO | None:
    """Open a URL for reading (`rb`) or writing (`wb`); None when its scheme is not this plugin's.

    A stream opened for writing makes the content appear whole when it is closed, and not at
    all when it is closed by an exception of a `with` block.
    """


@hookspec(firstresult=True)
def toil_list_url(url: str, config: Config) -> Iterable[Listed | tuple[str, int]] | None:
    """What lies at or under a URL: path below it, and length, of each file; None when its scheme is not this plugin's, or has no folders.

    The path is empty for the file that the URL itself names; then nothing else is told.
    """


@hookspec
def toil_job_environment(config: Config) -> Mapping[str, str]:  # type: ignore[empty-body]
    """Environment variables for every job; never a secret."""


@hookspec
def toil_before_job(job: str, name: str, attempt: int, requirement: Requirement, tmp: Path, config: Config) -> None:
    """A job's function is about to be called; this is its process. What is raised here fails the attempt.

    Plugins with this hook or the next are imported by every worker before the first job; keep them light. Take only the
    arguments that are wanted: the job's id and name, which attempt this is (from 1), what the job needs, its folder.
    """


@hookspec
def toil_after_job(job: str, name: str, attempt: int, requirement: Requirement, tmp: Path, error: str, config: Config) -> None:
    """A job's function has returned, or raised (`error` is then what, in a line); not called when its process was killed.

    What is raised here goes to the job's log and changes nothing.
    """


@hookspec
def toil_checks(locators: Sequence[str], config: Config) -> Iterable[Check]:  # type: ignore[empty-body]
    """What `toil doctor` should look at: credentials, permissions, connections.

    A generator, so that each check is told as it ends. Nothing may be made or changed but what is removed again. Look at
    what the user has to do with: the job stores of `locators`, and what the options name.
    """


@hookspec
def toil_boot_files(cluster: str, role: str) -> Mapping[str, bytes]:  # type: ignore[empty-body]
    """Files that must be on a node of this role before it can work; never a secret."""


@hookspec
def toil_event(event: Event) -> None:
    """Something happened; see `toil_core.events` for what."""
