"""What the leader and its hosts on the nodes tell each other, as bytes in Dask's tasks and events."""

from __future__ import annotations

from typing import Any

import msgspec
from toil_core.batch_system import Requirement, Update


class Join(msgspec.Struct, frozen=True):
    """To a node: work for a leader from now on.

    Args:
        key: The key of the task that carries this; it ends with the leader's presence on the node.
        leader: The leader's Dask client, and the topic that it hears.
        work_dir: Folder for temporary files; empty for the node's own.
        config: The leader's options.
    """

    key: str
    leader: str
    work_dir: str
    config: dict[str, Any]


class Order(msgspec.Struct, frozen=True):
    """To a node: run a request.

    Args:
        key: The key of the task that carries this.
        leader: The leader's Dask client.
        node: The node that is meant; no other may run it.
        work: The request's work.
        requirement: What was set aside for it.
        environment: Variables to add.
        lasting: Whether it ends only once others have.
    """

    key: str
    leader: str
    node: str
    request: str
    work: bytes
    requirement: Requirement
    environment: dict[str, str]
    lasting: bool = False


class Wish(msgspec.Struct, frozen=True):
    """To a node: end requests in good order.

    Args:
        leader: The leader's Dask client.
        requests: Their ids.
        seconds: How long they may take.
    """

    leader: str
    requests: tuple[str, ...]
    seconds: float


class Hello(msgspec.Struct, frozen=True, tag=True):
    """To the leader: the node is ready for its requests.

    Args:
        presence: The key of the task that brought the leader's `Join`.
        node: Unique for this life of the node.
        address: The Dask worker's address.
        name: What people call the node.
        offer: What it has for jobs.
        guarded: Resources that Dask itself counts on this node.
        version: Of toil-core there.
        python: Of Python there, as `3.11`.
    """

    presence: str
    node: str
    address: str
    name: str
    offer: Requirement
    guarded: tuple[str, ...]
    version: str
    python: str


class News(msgspec.Struct, frozen=True, tag=True):
    """To the leader: what became of requests.

    Args:
        node: The node.
        updates: In order.
    """

    node: str
    updates: tuple[Update, ...]


class Notice(msgspec.Struct, frozen=True, tag=True):
    """To the leader: the node will soon be taken away.

    Args:
        node: The node.
    """

    node: str


class Others(msgspec.Struct, frozen=True, tag=True):
    """To the leader: what requests of other leaders hold of the node now.

    Args:
        node: The node.
        held: Cores, memory and disk of all of them together.
        lasting: The same of those that end only once others have.
    """

    node: str
    held: Requirement
    lasting: Requirement


encode = msgspec.msgpack.Encoder().encode
decode_join = msgspec.msgpack.Decoder(Join).decode
decode_order = msgspec.msgpack.Decoder(Order).decode
decode_wish = msgspec.msgpack.Decoder(Wish).decode
decode_news = msgspec.msgpack.Decoder(Hello | News | Notice | Others).decode
