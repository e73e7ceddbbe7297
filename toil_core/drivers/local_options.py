"""Options of the provisioner that makes clusters of this machine."""

from __future__ import annotations

from dataclasses import dataclass

from toil_core.builtin import CLUSTER_COMMANDS
from toil_core.options import Group, option


@dataclass(frozen=True)
class LocalCloudOptions:
    """Where nodes on this machine lie, and what they pretend to be."""

    folder: str | None = option(None, "Folder for the nodes of clusters on this machine. [~/.local/state/toil/local-cloud]")
    catalog: str | None = option(None, "A TOML file of the node types that clusters on this machine can have, in place of the built-in ones.")
    sshd: str | None = option(None, "Path of the ssh server for nodes on this machine; `off` for none. [sshd, where it is installed]")


GROUP = Group("local_cloud", LocalCloudOptions, prefix="local_cloud", commands=(*CLUSTER_COMMANDS, "local-cloud", "doctor"))
