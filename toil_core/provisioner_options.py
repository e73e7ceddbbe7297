"""What a user says of clusters for every provisioner; apart from the contract, as `toil --help` reads no more than this."""

from __future__ import annotations

from dataclasses import dataclass

from toil_core.errors import BadOption
from toil_core.options import option


def parse_tag(text: str) -> str:
    """`NAME=VALUE`.

    Raises:
        BadOption: The name is missing.
    """
    name, equals, _ = text.partition("=")
    if not equals or not name.strip():
        raise BadOption(f"{text!r} is no tag; write NAME=VALUE, project=genomes for example")
    return text


@dataclass(frozen=True)
class ClusterOptions:
    """Which cloud a cluster is in, and what its machines are marked with; `config[ClusterOptions]` has them for provisioners."""

    provisioner: str | None = option(None, "Where the machines come from; `toil plugins` lists the names.", flags=("-p",))
    zone: str | None = option(
        None, "The part of the cloud to be in; its plugin says what names mean and what is taken if none is given.", flags=("-z",)
    )
    key_pair_name: str | None = option(
        None, "A key pair that the cloud knows and that the machines shall let in too; each cluster has one of its own anyway."
    )
    tag: tuple[str, ...] = option((), "Mark everything that is made with NAME=VALUE.", flags=("-t",), parse=parse_tag)
    owner: str | None = option(None, "Who pays; becomes the tag Owner.", env="TOIL_OWNER_TAG")
