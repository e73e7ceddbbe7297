"""`toil launch-cluster`: make a cluster, ready for workflows."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from toil_core.cli.as_json import add_json, print_json
from toil_core.cluster.arguments import add_name, converter, tell
from toil_core.cluster.wanted import ALL, HALF, WantedNode, check_name, parse_least, parse_offer, parse_storage, parse_workers, wanted_nodes
from toil_core.errors import BadOption
from toil_core.install_hints import DEFAULTS
from toil_core.options import Config, OptionParser
from toil_core.telling import Trouble

if TYPE_CHECKING:
    from toil_core.cluster.state import ClusterFile
    from toil_core.cluster.told import Launched


def configure(parser: OptionParser) -> None:
    """Add the command's arguments."""
    add_name(parser)
    offer, workers, storage = converter(parse_offer), converter(parse_workers), converter(parse_storage)
    parser.add_argument(
        "--node-type", "--nodeType", metavar="TYPE[:BID]", type=offer,
        help="The type of nodes; with a bid in dollars an hour, or `:spot`, workers are preemptible.",
    )  # fmt: skip
    parser.add_argument("--leader-node-type", "--leaderNodeType", metavar="TYPE[:BID]", type=offer, help="The type of the leader. [--node-type, on demand]")
    parser.add_argument(
        "--workers", "-w", metavar="N|TYPE=N,…", type=workers, default=(),
        help="How many workers: N, or N of each type, TYPE[:BID]=N; of TYPE=LEAST-MOST the least number is launched, and nothing adds more by itself yet. [0]",
    )  # fmt: skip
    parser.add_argument("--leader-storage", "--leaderStorage", metavar="GB", type=storage, default=0, help="Root disk of the leader. [the type's own]")
    parser.add_argument("--node-storage", "--nodeStorage", metavar="GB", type=storage, default=0, help="Root disk of each worker. [the type's own]")
    engine = DEFAULTS["engine"]
    parser.add_argument("--engine", metavar="NAME", default=engine, help=f"What runs the jobs on the nodes; `toil plugins` lists the names. [{engine}]")
    parser.add_argument(
        "--python-requirements", "--pythonRequirements", metavar="FILE",
        help="A pip requirements file of what nodes shall have: from here what is installed here and meets it, the rest by pip on the node.",
    )  # fmt: skip
    parser.add_argument("--bundle", metavar="FILE", help="What nodes shall have, as `toil bundle` made it; no package registry is asked by anyone.")
    share = parser.add_mutually_exclusive_group()
    share.add_argument(
        "--least-workers", metavar="N|P%", type=converter(parse_least), default=HALF,
        help="How many workers must come up, or which share of them; those that fail are removed, and the launch goes on without them. [50%%]",
    )  # fmt: skip
    share.add_argument("--strict", dest="least_workers", action="store_const", const=ALL, help="All workers must come up.")
    parser.add_argument("--keep", action="store_true", help="If anything fails, leave what there is; the same command goes on with it.")
    add_json(parser)


def run(arguments: argparse.Namespace, config: Config) -> int:
    """Launch the cluster.

    Raises:
        UsageError: Something has to be changed before it can work.
        ToilError: It failed; unless `--keep` was given nothing is left of it.
    """
    from toil_core.cluster.launch import Software
    from toil_core.cluster.launching import launch_cluster
    from toil_core.sizes import count

    check_name(arguments.name)
    wanted = wanted_nodes(
        arguments.leader_node_type, arguments.node_type, arguments.workers,
        leader_disk=arguments.leader_storage, worker_disk=arguments.node_storage,
    )  # fmt: skip
    least, most = arguments.least_workers, len(wanted) - 1
    if not least.percent and least.number > most:
        raise BadOption(f"--least-workers {least.number}: only {most} {'is' if most == 1 else 'are'} asked for; say how many by --workers")
    workers = ",".join(f"{each.offer or arguments.node_type}={each.least}-{each.most}" for each in arguments.workers)
    requirements, packed = (Path(each).expanduser() if each else None for each in (arguments.python_requirements, arguments.bundle))
    software = Software(requirements, packed)
    file = launch_cluster(
        arguments.name, wanted, config, engine=arguments.engine, workers=workers, software=software,
        worker_disk=arguments.node_storage, keep=arguments.keep, least=least, tell=tell,
    )  # fmt: skip
    if arguments.json:
        print_json(_told(file))
        return 0
    workers_wanted, there = len(wanted) - 1, len(file.nodes) - 1
    print(f"cluster {arguments.name} is ready: a leader and {'' if there == workers_wanted else f'{there} of '}{count(workers_wanted, 'worker')}")
    if failed := workers_wanted - there:
        what = f"{count(failed, 'worker')} failed and {'was' if failed == 1 else 'were'} removed"
        tell(Trouble(f"{what}; `toil scale-cluster {arguments.name} -w {workers_wanted}` tries again"))
    for each in arguments.workers:
        if each.most > each.least:
            tell(f"{each.offer or arguments.node_type}={each.least}-{each.most}: {each.least} {'was' if each.least == 1 else 'were'} launched; nothing adds more by itself yet, `toil scale-cluster {arguments.name}` does")
    return 0


def _told(made: ClusterFile) -> Launched:
    from toil_core.cluster.told import Launched

    nodes = tuple(WantedNode(**node) for node in made.nodes)
    return Launched(made.name, made.provisioner, made.engine, made.transport, nodes, made.version, made.created)
