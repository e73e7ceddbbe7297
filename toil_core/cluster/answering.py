"""Which nodes of a cluster answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from toil_core.cluster.phases import MOST
from toil_core.errors import KeyRefused, ToilError
from toil_core.provisioner import Node
from toil_core.sync_transport import SyncTransport

TURNS = 3
"""How many times an answer's limit may pass until no further node is asked."""
UNREACHABLE, NOT_ASKED = "unreachable", "not asked"


@dataclass(frozen=True)
class Answer:
    """What came of asking a node.

    Args:
        state: `up` when it answered, `unreachable` when it did not, `not asked` when there was no time left for it.
        why: What is wrong with it; empty for nothing.
    """

    state: str = "up"
    why: str = ""


def answers(transport: SyncTransport, nodes: Iterable[Node], seconds: float, *, clock: Callable[[], float] = time.monotonic) -> dict[str, Answer]:
    """By name, what came of asking nodes: `MOST` at a time, so that those which say nothing are waited for together.

    Args:
        transport: The way into the nodes.
        nodes: The nodes.
        seconds: How long one may take to answer, once it is connected to. After `TURNS` times that, no more are asked.
        clock: Seconds of a clock that does not go back.
    """
    limit = clock() + TURNS * seconds

    def ask(node: Node) -> tuple[str, Answer]:
        if clock() > limit:
            return node.name, Answer(NOT_ASKED)
        try:
            transport.run(node, ["true"], timeout=seconds)
        except KeyRefused as error:  # whoever refuses a key is there
            return node.name, Answer(why=str(error))
        except ToilError as error:
            return node.name, Answer(UNREACHABLE, str(error))
        return node.name, Answer()

    with ThreadPoolExecutor(MOST) as pool:
        return dict(pool.map(ask, nodes))
