"""The whole of a launch: taking a name, going on where a launch was interrupted, taking everything back when it fails."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict

import msgspec

from toil_core import __version__
from toil_core.cluster import offline
from toil_core.cluster.access import reaching
from toil_core.cluster.bundle import requirement_lines
from toil_core.cluster.destroy import destroy
from toil_core.cluster.good_order import ended_in_good_order, taken_back
from toil_core.cluster.launch import BUNDLE, NOTHING_MORE, REQUIREMENTS, Launch, Place, Software, kept_software
from toil_core.cluster.machines import take_away
from toil_core.cluster.runner import PhaseFailed
from toil_core.cluster.state import ClusterFile, ClusterState, write_private
from toil_core.cluster.wanted import ALL, HALF, LEADER, Offer, Share, WantedNode, check_types
from toil_core.errors import Interrupted, ToilError, UsageError
from toil_core.options import Config
from toil_core.plugins import open_engine, open_provisioner, open_sync_transport
from toil_core.provisioner import Provisioner
from toil_core.provisioner_options import ClusterOptions
from toil_core.sync_transport import TransportOptions

_COMPARED = ("provisioner", "engine", "nodes", "workers", "version")


def launch_cluster(
    name: str,
    wanted: Sequence[WantedNode],
    config: Config,
    *,
    engine: str,
    workers: str = "",
    software: Software = NOTHING_MORE,
    worker_disk: int = 0,
    keep: bool = False,
    least: Share = HALF,
    tell: Callable[[str], None],
) -> ClusterFile:
    """Launch a cluster, or go on with a launch of it that was interrupted.

    Args:
        name: Its name.
        wanted: Its nodes, the leader first.
        config: The options.
        engine: What runs on it.
        workers: The kinds of workers, as the user wrote them.
        software: What its nodes get.
        worker_disk: Bytes of root disk of a worker that is added later.
        keep: Whether to leave what there is when anything fails; then all workers must come up.
        least: How many of the workers must come up; the others are removed again if they do not.
        tell: Shows a line to the user.

    Returns:
        How it was launched, with the nodes that came up.

    Raises:
        UsageError: The name is taken, something is asked for that cannot be had, a node will not do.
        ToilError: It failed.
        Interrupted: The user, or the system, asked for an end.
    """
    provisioner_name = config[ClusterOptions].provisioner
    if not provisioner_name:
        raise UsageError("where shall the cluster be? --provisioner NAME says it, `local` for this machine; `toil plugins` lists the names")
    state = ClusterState(name)
    with _own_folder(state), open_provisioner(provisioner_name, config) as provisioner:
        runs = open_engine(engine, config)
        file = ClusterFile(
            name, provisioner_name, engine, config[TransportOptions].transport or "", config.as_dict()["options"], tuple(asdict(node) for node in wanted),
            workers, worker_disk=worker_disk, created=time.time(), version=__version__,
        )  # fmt: skip
        _check(software, engine)
        _take_name(state, file, provisioner, tell)
        check_types([Offer(node.type, node.preemptible, node.bid) for node in wanted], provisioner.catalog())
        reached = reaching(name, state, provisioner, config, new=True)
        with open_sync_transport(reached[TransportOptions].transport or "ssh", reached):
            pass  # one that cannot be had is told before anything is made
        file = msgspec.structs.replace(file, created=state.read().created if state.exists() else file.created)
        state.write(file)
        kept = _keep(state, software)
        launch: Launch | None = None
        try:
            with open_sync_transport(reached[TransportOptions].transport or "ssh", reached) as transport, ended_in_good_order("the launch"):
                place = Place(state, provisioner, transport, runs, config)
                launch = Launch(place, wanted, LEADER, kept, (ALL if keep else least).of(len(wanted) - 1), tell)
                launch.run()
                if launch.left_out:
                    take_away(provisioner, name, launch.left_out)
        except BaseException as error:  # noqa: BLE001  raised again once all is taken back
            raise _after(error, state, provisioner, launch, keep=keep, tell=tell) from (error.cause if isinstance(error, PhaseFailed) else error)
        nodes = tuple(asdict(node) for node in wanted if node.name not in launch.left_out)
        file = msgspec.structs.replace(
            file, ready=True, nodes=nodes, image=launch.image.name, packages=launch.image.packages, transport=reached[TransportOptions].transport or "ssh"
        )
        state.write(file)
        return file


@contextmanager
def _own_folder(state: ClusterState) -> Iterator[None]:
    """Be the only one who works on it; what was refused leaves no folder."""
    with state.locked():
        try:
            yield
        finally:
            if state.folder.exists() and not state.exists():
                state.forget()


def _take_name(state: ClusterState, file: ClusterFile, provisioner: Provisioner, tell: Callable[[str], None]) -> None:
    if not state.exists():
        if list(provisioner.nodes(state.name)):
            raise UsageError(f"there is a cluster {state.name} already, launched from elsewhere; take another name, or `toil destroy-cluster {state.name} -p {file.provisioner}`")
        return
    before = state.read()
    if before.ready:
        raise UsageError(f"there is a cluster {state.name} already; take another name, add nodes with `toil scale-cluster {state.name}`, or destroy it first")
    changed = [field for field in _COMPARED if getattr(before, field) != getattr(file, field)]
    if changed:
        raise UsageError(
            f"a launch of {state.name} was interrupted, and it had other {' and '.join(changed)}; "
            f"launch with the same options to go on, or `toil destroy-cluster {state.name}` first"
        )
    tell(f"goes on with the launch of {state.name} that was interrupted")


def _check(software: Software, engine: str) -> None:
    if software.requirements is not None:
        list(requirement_lines(software.requirements))
    if software.bundle is None:
        return
    if software.requirements is not None:
        raise UsageError("--bundle has all that nodes get; say --python-requirements where it is made: `toil bundle`")
    found = offline.read(software.bundle)
    if found.engine != engine:
        raise UsageError(f"--bundle: {software.bundle} is for the engine {found.engine}, and the cluster's is {engine}")


def _keep(state: ClusterState, software: Software) -> Software:
    """Keep what nodes get, for those that are added later."""
    try:
        if software.requirements is not None:
            write_private(state.folder / REQUIREMENTS, software.requirements.read_bytes())
        if software.bundle is not None:
            new = state.folder / f".{BUNDLE}"
            shutil.copyfile(software.bundle, new)
            new.rename(state.folder / BUNDLE)
    except OSError as error:
        state.forget()
        raise UsageError(f"{error.filename} cannot be kept with the cluster's keys: {error.strerror}") from None
    except UsageError:
        state.forget()
        raise
    return kept_software(state)


def _after(
    error: BaseException, state: ClusterState, provisioner: Provisioner, launch: Launch | None, *, keep: bool, tell: Callable[[str], None]
) -> BaseException:
    """What to raise for a launch that failed; what was made is removed unless the user wants to keep it."""
    if keep:
        left = f"what there is was left: launch {state.name} with the same options to go on, or `toil destroy-cluster {state.name}`"
    else:
        tell("removes what was made")
        again = f"`toil destroy-cluster {state.name}` removes the rest"
        left = taken_back(lambda: _take_back(state, provisioner, launch), "what was made", again)
    if isinstance(error, PhaseFailed):
        if not isinstance(error.cause, ToilError | OSError):
            return error.cause
        return error.verdict(f"the launch of {state.name} failed at {error}; {left}")
    if isinstance(error, KeyboardInterrupt):
        return Interrupted(f"the launch of {state.name} was interrupted; {left}")
    if isinstance(error, Interrupted):
        return Interrupted(f"{error}; {left}", error.exit_code)
    return error


def _take_back(state: ClusterState, provisioner: Provisioner, launch: Launch | None) -> None:
    """Remove what was made; a command that was on its way to a node may start something behind our back, so it may take two rounds."""
    if launch is not None:
        launch.settle(2.0)
    try:
        destroy(state, provisioner)
    except ToilError:
        if launch is None:
            raise
        launch.settle(30.0)
        destroy(state, provisioner)
