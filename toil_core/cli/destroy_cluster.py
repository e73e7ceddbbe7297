"""`toil destroy-cluster`: remove everything that was made for a cluster, and nothing else."""

from __future__ import annotations

import argparse

from toil_core.cli.as_json import add_json, print_json
from toil_core.cluster.arguments import add_name, tell
from toil_core.errors import UsageError
from toil_core.options import Config, OptionParser
from toil_core.telling import Trouble


def configure(parser: OptionParser) -> None:
    """Add the command's arguments."""
    add_name(parser)
    parser.add_argument("--dry-run", action="store_true", help="Say what would be removed, and which runs would end, and remove nothing.")
    add_json(parser)


def run(arguments: argparse.Namespace, config: Config) -> int:
    """Destroy the cluster, and make sure that it is gone.

    Raises:
        UsageError: There is no such cluster.
        ToilError: Something of it is still there.
    """
    from toil_core.cluster.access import open_cloud
    from toil_core.cluster.destroy import destroy, going_on, inventory
    from toil_core.cluster.state import ClusterState
    from toil_core.cluster.told import Destroyed

    state = ClusterState(arguments.name)
    with open_cloud(arguments.name, arguments, config) as provisioner:
        found = inventory(state, provisioner)
        if not found:
            raise UsageError(f"there is nothing of a cluster {arguments.name}; `toil list-clusters` lists the clusters")
        runs, trouble = going_on(state, arguments, config)
        if trouble and not arguments.json:
            tell(Trouble(trouble))
        for run in () if arguments.json else runs:
            print(f"{'would end' if arguments.dry_run else 'ends'} run {run.id}: {run.command}", flush=True)
        if not arguments.dry_run:
            known = state.exists()
            with state.locked():
                destroy(state, provisioner)
            if not known:
                state.forget()
        if arguments.json:
            print_json(Destroyed(arguments.name, not arguments.dry_run, found, runs, trouble))
            return 0
        for each in found:
            print(f"{'would remove' if arguments.dry_run else 'removed'} {each.kind} {each.name}")
    return 0
