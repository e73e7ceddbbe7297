"""Which nodes a user asks for: from what was typed to requests, and which types there are; nothing here asks a cloud."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from toil_core.errors import BadOption
from toil_core.provisioner import NodeType
from toil_core.sizes import parse_size

_CLUSTER = re.compile(r"[a-z][a-z0-9-]{0,39}")
LEADER = "leader"
"""The name of a cluster's leader node."""
MOST_WORKERS = 10_000


@dataclass(frozen=True, slots=True)
class Offer:
    """A node type and how it is paid for, `TYPE[:BID]`.

    Args:
        type: The node type's name.
        preemptible: Whether it may be taken away.
        bid: The most to pay, in dollars an hour; None for the going price.
    """

    type: str
    preemptible: bool = False
    bid: float | None = None

    def __str__(self) -> str:
        return f"{self.type}:{'spot' if self.bid is None else f'{self.bid:g}'}" if self.preemptible else self.type


@dataclass(frozen=True, slots=True)
class Workers:
    """How many workers of a kind.

    Args:
        offer: The kind; None for what `--node-type` says.
        least: How many from the start.
        most: How many there may be; more than `least` leaves it to autoscaling.
    """

    offer: Offer | None
    least: int
    most: int


@dataclass(frozen=True, slots=True)
class Share:
    """How many workers must come up.

    Args:
        number: A number of them, or a percentage.
        percent: Which of both.
    """

    number: int
    percent: bool = False

    def of(self, count: int) -> int:
        """How many that are of so many, at the most all of them."""
        return min(count, -(-count * self.number // 100) if self.percent else self.number)


HALF, ALL = Share(50, percent=True), Share(100, percent=True)


def check_name(name: str) -> str:
    """The name of a cluster.

    Raises:
        BadOption: No cluster can have it.
    """
    if not _CLUSTER.fullmatch(name):
        close = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40]
        hint = f"; {close} would do" if _CLUSTER.fullmatch(close) else ""
        raise BadOption(f"a cluster cannot be named {name!r}: lower-case letters, digits and hyphens, first a letter, at the most 40{hint}")
    return name


def parse_offer(text: str) -> Offer:
    """`TYPE`, `TYPE:BID` with the most to pay in dollars an hour, or `TYPE:spot` for the going price.

    Raises:
        BadOption: It is something else.
    """
    type, colon, bid = text.partition(":")
    if not type.strip() or (colon and not bid):
        raise BadOption(f"{text!r} is no node type; write TYPE, TYPE:BID with a bid in dollars an hour, or TYPE:spot")
    if not colon:
        return Offer(type)
    if bid == "spot":
        return Offer(type, preemptible=True)
    try:
        price = float(bid)
    except ValueError:
        price = 0.0
    if not 0 < price < 1e6:
        raise BadOption(f"{bid!r} is no bid; write dollars an hour, {type}:0.05 for example, or {type}:spot for the going price")
    return Offer(type, preemptible=True, bid=price)


def parse_workers(text: str) -> tuple[Workers, ...]:
    """`N`, or `TYPE[:BID]=N` and `TYPE[:BID]=LEAST-MOST` with commas between.

    Raises:
        BadOption: It is something else.
    """
    found: list[Workers] = []
    for part in text.split(","):
        offer, equals, number = part.strip().rpartition("=")
        match = re.fullmatch(r"([0-9]{1,9})(?:-([0-9]{1,9}))?", number)
        if not match or (equals and not offer):
            raise BadOption(f"{part.strip()!r} is no number of workers; write N, TYPE=N or TYPE=LEAST-MOST, such as -w 3 or -w m5.large=2,m5.large:0.05=0-10")
        least, most = int(match[1]), int(match[2] or match[1])
        if most > MOST_WORKERS:
            raise BadOption(f"{part.strip()!r}: a cluster has at the most {MOST_WORKERS:,} workers")
        if most < least:
            raise BadOption(f"{part.strip()!r}: there cannot be at least {least} and at the most {most}")
        kind = parse_offer(offer) if equals else None
        if any(each.offer == kind for each in found):
            raise BadOption(f"{part.strip()!r}: how many {f'of {kind}' if kind else 'workers'} is said twice")
        found.append(Workers(kind, least, most))
    return tuple(found)


def parse_least(text: str) -> Share:
    """`N`, or `P%` of what is asked for.

    Raises:
        BadOption: It is something else.
    """
    match = re.fullmatch(r"([0-9]{1,6})(%?)", text.strip())
    if not match or (match[2] and int(match[1]) > 100):
        raise BadOption(f"{text!r} is no share of the workers; write a number of them, or a percentage such as 80%")
    return Share(int(match[1]), percent=bool(match[2]))


def parse_storage(text: str) -> int:
    """Bytes from a number of GiB, or from a size with its unit.

    Raises:
        BadOption: It is no size.
    """
    if re.fullmatch(r"[0-9]{1,6}", text):
        return int(text) << 30
    try:
        return parse_size(text)
    except BadOption:
        raise BadOption(f"{text!r} is no size of a disk; write 50 for 50 GiB, or a size with its unit such as 500G or 1.5 TiB") from None


@dataclass(frozen=True, slots=True)
class WantedNode:
    """A node that a cluster shall have.

    Args:
        name: Unique in the cluster.
        role: `leader` or `worker`.
        type: The node type's name.
        preemptible: Whether it may be taken away.
        bid: The most to pay, in dollars an hour; None for the going price.
        disk: Bytes of root disk; 0 for the type's own.
    """

    name: str
    role: str
    type: str
    preemptible: bool = False
    bid: float | None = None
    disk: int = 0


def wanted_nodes(
    leader: Offer | None, worker: Offer | None, workers: Sequence[Workers], *, leader_disk: int = 0, worker_disk: int = 0
) -> tuple[WantedNode, ...]:
    """The nodes of a new cluster, the leader first.

    Args:
        leader: The leader's kind; None for the type of `worker`, on demand.
        worker: The kind of workers of which no other is said.
        workers: How many.
        leader_disk: Bytes of the leader's root disk; 0 for the type's own.
        worker_disk: The same for workers.

    Raises:
        BadOption: A type is not said.
    """
    if leader is None and worker is not None:
        leader = Offer(worker.type)
    if leader is None:
        raise BadOption("of which type shall the nodes be? --node-type TYPE says it, --leader-node-type of the leader alone")
    kinds = [workers_of_kind.offer or worker for workers_of_kind in workers for _ in range(workers_of_kind.least)]
    if any(kind is None for kind in kinds) or any(each.offer is None and worker is None for each in workers if each.most):
        raise BadOption("of which type shall the workers be? --node-type TYPE, or -w TYPE=N, says it")
    return (
        WantedNode(LEADER, "leader", leader.type, leader.preemptible, leader.bid, leader_disk),
        *(_worker(number, kind, worker_disk) for number, kind in enumerate(kinds, 1) if kind is not None),
    )


def more_workers(names: Iterable[str], kind: Offer, count: int, disk: int = 0, first: int = 1) -> tuple[WantedNode, ...]:
    """Workers to add to a cluster; no number is used twice.

    Args:
        names: The nodes that it has.
        kind: Of which kind they shall be.
        count: How many.
        disk: Bytes of root disk; 0 for the type's own.
        first: The lowest number that may be free.
    """
    used = [int(match[1]) for name in names if (match := re.fullmatch(r"worker-([0-9]+)", name))]
    start = max([first - 1, *used]) + 1
    return tuple(_worker(number, kind, disk) for number in range(start, start + count))


def _worker(number: int, kind: Offer, disk: int) -> WantedNode:
    return WantedNode(f"worker-{number}", "worker", kind.type, kind.preemptible, kind.bid, disk)


def check_types(offers: Iterable[Offer], catalog: Sequence[NodeType]) -> None:
    """Make sure that what is asked for can be had.

    Raises:
        BadOption: A type is not in the catalog (the message names the closest), or cannot be had preemptible.
    """
    types = {type.name: type for type in catalog}
    for offer in offers:
        found = types.get(offer.type)
        if found is None:
            close = difflib.get_close_matches(offer.type, types, 3, 0.5)
            hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(sorted(types)[:12])}{' and more' if len(types) > 12 else ''}"
            raise BadOption(f"there is no node type {offer.type!r}; {hint}")
        if offer.preemptible and found.spot_price is None:
            raise BadOption(f"node type {offer.type} cannot be had preemptible: it has no spot price; leave the bid away")
        if offer.preemptible and offer.bid is not None and found.spot_price is not None and offer.bid < found.spot_price:
            raise BadOption(f"the bid of {offer} is below the present price of {found.spot_price:g} dollars an hour, so nothing would come")
