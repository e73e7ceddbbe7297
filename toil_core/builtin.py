"""What the core itself brings, through the same door as any plugin; imported at every start, by workers too, so kept light."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from toil_core.plugins import hookimpl

if TYPE_CHECKING:
    from typing import BinaryIO

    from toil_core.checks import Check
    from toil_core.options import Command, Config, Group

CLUSTER_COMMANDS = (
    "launch-cluster", "list-clusters", "cluster-status", "ssh-cluster", "rsync-cluster", "rysnc-cluster", "scale-cluster", "submit", "attach",
    "destroy-cluster",
)  # fmt: skip
"""The subcommands about clusters; `rysnc-cluster` is how an old documentation has it."""
_TELLING = (
    *CLUSTER_COMMANDS, "local-cloud", "bundle", "status", "why", "logs", "stats", "kill", "report", "dashboard", "debug-job", "clean", "doctor",
)  # fmt: skip
"""The subcommands that say what they do; a run has options of its own for that."""


@hookimpl
def toil_options() -> Iterable[Group]:
    """The options of every run, and those of the built-in drivers."""
    from toil_core.drivers.local_options import GROUP as LOCAL
    from toil_core.drivers.single_machine_options import GROUP as SINGLE_MACHINE
    from toil_core.leader.options import EngineOptions
    from toil_core.leader.watch_options import WatchOptions
    from toil_core.options import Group
    from toil_core.provisioner_options import ClusterOptions
    from toil_core.sync_transport import TransportOptions
    from toil_core.telling_options import TellingOptions

    telling = Group("telling", TellingOptions, commands=_TELLING)
    clusters = Group("cluster", ClusterOptions, commands=CLUSTER_COMMANDS)
    transport = Group("transport", TransportOptions, commands=CLUSTER_COMMANDS)
    return [Group("engine", EngineOptions), Group("watching", WatchOptions), SINGLE_MACHINE, telling, clusters, transport, LOCAL]


@hookimpl
def toil_commands() -> Iterable[Command]:
    """The subcommands that need no plugin."""
    from toil_core.options import Command

    return [
        Command("run", "Run a workflow.", "toil_core.cli.run"),
        Command("status", "Tell how far a workflow is.", "toil_core.cli.status"),
        Command("why", "Tell why nothing, or a job, is running, and what to do.", "toil_core.cli.why"),
        Command("logs", "Show what a job printed.", "toil_core.cli.logs"),
        Command("stats", "Tell what jobs used, and what of their requests they wasted.", "toil_core.cli.stats"),
        Command("kill", "End a run, with all its workers.", "toil_core.cli.kill"),
        Command("report", "Write a page that shows what a run did, used and could do better.", "toil_core.cli.report"),
        Command("dashboard", "Show a workflow in a browser, live.", "toil_core.cli.dashboard"),
        Command("debug-job", "Run one job here, where it can be looked at.", "toil_core.cli.debug_job"),
        Command("clean", "Remove a job store.", "toil_core.cli.clean"),
        Command("launch-cluster", "Make a cluster, ready for workflows.", "toil_core.cli.launch_cluster"),
        Command("bundle", "Pack what nodes of clusters need into one file, for places without a package registry.", "toil_core.cli.bundle"),
        Command("list-clusters", "List clusters, and what they cost.", "toil_core.cli.list_clusters"),
        Command("cluster-status", "Show a cluster's nodes, how far a launch is, and what was submitted.", "toil_core.cli.cluster_status"),
        Command("ssh-cluster", "Open a shell on a cluster's leader, or run one command there.", "toil_core.cli.ssh_cluster"),
        Command("rsync-cluster", "Copy to a cluster's leader, or from it, by rsync.", "toil_core.cli.rsync_cluster"),
        Command("rysnc-cluster", "The same; an old documentation spelt it so.", "toil_core.cli.rsync_cluster"),
        Command("submit", "Run a workflow on a cluster, in a terminal of its own.", "toil_core.cli.submit"),
        Command("attach", "See a run that was submitted to a cluster.", "toil_core.cli.attach"),
        Command("scale-cluster", "Add workers to a running cluster, or take some away.", "toil_core.cli.scale_cluster"),
        Command("destroy-cluster", "Remove all that was made for a cluster.", "toil_core.cli.destroy_cluster"),
        Command("local-cloud", "Kill or preempt nodes of a cluster on this machine.", "toil_core.cli.local_cloud"),
        Command("doctor", "Look at what runs need: this machine, credentials, permissions, a job store.", "toil_core.cli.doctor"),
        Command("plugins", "List what is installed, what it offers and whether it loads.", "toil_core.cli.plugins"),
        Command("config", "Write a commented config file of all options.", "toil_core.cli.config"),
        Command("completion", "Print what makes a shell complete commands and options.", "toil_core.cli.completion"),
    ]


@hookimpl(trylast=True)
def toil_open_url(url: str, mode: str, config: Config) -> BinaryIO | None:
    """Files of this machine, and what web servers give to anyone; a plugin may know better."""
    from toil_core.drivers.urls import opened

    return opened(url, mode)


@hookimpl(trylast=True)
def toil_list_url(url: str, config: Config) -> Iterable[tuple[str, int]] | None:
    """Files and folders of this machine."""
    from toil_core.drivers.urls import listed

    return listed(url)


@hookimpl(tryfirst=True)
def toil_checks(locators: Sequence[str], config: Config) -> Iterable[Check]:
    """This machine, and the job stores."""
    from toil_core.drivers.checks import of_machine, of_stores

    yield from of_machine(config)
    yield from of_stores(locators, config)
