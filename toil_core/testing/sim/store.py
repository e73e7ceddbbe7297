"""The simulated job store: a dictionary that every leader and worker reaches through a door of its own, where things go wrong."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from toil_core.errors import KeyExists, NoSuchKey, StoreFull, Transient
from toil_core.job_store import Blob, JobStore, check_key
from toil_core.testing.sim.chance import Chance
from toil_core.testing.sim.clock import Clock

OUTCOMES = ("error before", "error after", "slow", "twice", "twice late", "lost part", "store full")
"""What can happen to an operation that changes something."""
LOOKS = ("error before", "slow")
"""What can happen to one that does not."""
DAMAGE = ("truncated", "flipped")
"""What can happen to bytes on their way to a reader."""
PART = 64
"""Blobs that are larger go up in parts of so many bytes."""
_IN_ROW = 2
"""So many readings of a blob in succession may come damaged; the engine reads once more than that."""
_UNTOLD = ("workflow", "setup/", "leader/", "pages/", "learned", "history/")
"""The content of these differs from one installation to another."""


@dataclass(frozen=True)
class StoreKind:
    """What a store is like.

    Args:
        writes: Operations a second under one prefix that it takes and that change something; 0 for any number.
        reads: The same of all others.
        lag: Seconds for which others may not see a change, or see it in one place and not in another; 0 for a store that
            keeps the contract. Creating is exclusive all the same.
    """

    writes: float = 0.0
    reads: float = 0.0
    lag: float = 0.0


OBJECT_STORE = StoreKind(3500.0, 5500.0)
"""As many requests a second as large object stores promise under each prefix; one a thousandth as quick meets small workflows with the same."""


class Owner(Protocol):
    """Who uses a door."""

    name: str

    def before(self, site: str) -> None:
        """Something is about to be done; stops the owner here when it is dead."""

    def after(self, site: str) -> None:
        """It was done."""

    def slow(self, site: str) -> None:
        """It takes long."""


class Watcher(Protocol):
    """Who sees everything that changes."""

    def created(self, who: str, key: str, data: bytes, *, late: bool = False) -> None:
        """A blob is there that was not; late when its writer had been told so before."""

    def written(self, who: str, key: str, data: bytes, former: bytes | None = None) -> None:
        """A blob is there, perhaps in place of another."""

    def deleting(self, who: str, keys: list[str]) -> None:
        """These blobs are about to go."""

    def trace(self, line: str) -> None:
        """A line for the record."""


class Blobs:
    """What is stored.

    Args:
        clock: The time.
        chance: The faults.
        watcher: Who sees what changes.
        kind: What the store is like.
    """

    def __init__(self, clock: Clock, chance: Chance, watcher: Watcher, kind: StoreKind | None = None) -> None:
        self.data: dict[str, bytes] = {}
        self.parts: dict[str, int] = {}
        """Parts of uploads that were never completed, by the blob's key."""
        self.clock = clock
        self.chance = chance
        self.watcher = watcher
        self._kind = kind or StoreKind()
        self._damaged: dict[str, int] = {}
        self._buckets: dict[str, tuple[float, float]] = {}
        self._lagging: dict[str, tuple[float, bytes | None, str]] = {}

    def door(self, owner: Owner) -> Door:
        """The store as its owner sees it."""
        return Door(self, owner)

    def full(self, key: str, *, changing: bool) -> bool:
        """Whether there are too many requests for the key's prefix just now."""
        rate = self._kind.writes if changing else self._kind.reads
        if not rate:
            return False
        prefix = f"{changing} {key.partition('/')[0]}"
        left, since = self._buckets.get(prefix, (2 * rate, self.clock.now))
        left = min(2 * rate, left + (self.clock.now - since) * rate)
        self._buckets[prefix] = (max(0.0, left - 1), self.clock.now)
        return left < 1

    def damage(self, key: str, bytes_damaged: bool) -> None:
        """Note whether a reading of the key was not what is stored."""
        self._damaged[key] = self._damaged.get(key, 0) + 1 if bytes_damaged else 0

    def may_damage(self, key: str) -> bool:
        """Whether the next reading of the key may be something else than what is stored."""
        return self._damaged.get(key, 0) < _IN_ROW

    def put(self, who: str, key: str, data: bytes | None) -> None:
        """Store the data, or remove what is there."""
        if self._kind.lag:
            until = self.clock.now + self.chance.between(self.chance.site(f"lag of {key}"), 0.0, self._kind.lag)
            self._lagging[key] = (until, self.data.get(key), who)
        if data is None:
            self.data.pop(key, None)
        else:
            self.data[key] = data

    def seen(self, who: str, key: str) -> bytes | None:
        """What somebody finds under the key."""
        if self._lagging:
            until, former, writer = self._lagging.get(key, (0.0, None, ""))
            if self.clock.now < until and writer != who:
                return former
        return self.data.get(key)

    def keys(self, who: str, prefix: str) -> list[tuple[str, int]]:
        """The keys with the prefix that somebody finds, and the sizes of their blobs."""
        if not self._lagging:
            return [(key, len(data)) for key, data in self.data.items() if key.startswith(prefix)]
        every = [key for key in dict.fromkeys([*self.data, *self._lagging]) if key.startswith(prefix)]
        return [(key, len(data)) for key in every if (data := self.seen(who, key)) is not None]


class Door(JobStore):
    """The store as one leader or worker sees it.

    Args:
        blobs: What is stored.
        owner: Who uses the door.
    """

    def __init__(self, blobs: Blobs, owner: Owner) -> None:
        self._blobs = blobs
        self._owner = owner

    def prepare(self) -> None:
        """Nothing has to be made."""

    def destroy(self) -> None:
        self._blobs.data.clear()
        self._blobs.parts.clear()

    def create(self, key: str, data: bytes) -> None:
        blobs, who, told = self._blobs, self._owner.name, False

        def effect() -> None:
            nonlocal told
            if key in blobs.data:
                raise KeyExists(key)
            blobs.put(who, key, data)
            blobs.watcher.created(who, key, data, late=told)
            told = True

        self._change("create", key, effect, _content(key, data), len(data))

    def write(self, key: str, stream: BinaryIO) -> None:
        data, who = stream.read(), self._owner.name

        def effect() -> None:
            blobs, former = self._blobs, self._blobs.data.get(key)
            blobs.put(who, key, data)
            if former is None:
                blobs.watcher.created(who, key, data)
            else:
                blobs.watcher.written(who, key, data, former)

        self._change("write", key, effect, _content(key, data), len(data))

    def read(self, key: str, start: int = 0, stop: int | None = None) -> BinaryIO:
        blobs = self._blobs
        fault, site = self._ask("read", key, (*LOOKS, *DAMAGE) if blobs.may_damage(key) else LOOKS)
        found = blobs.seen(self._owner.name, key)
        if found is None:
            blobs.watcher.trace(f"{site}: not there")
            raise NoSuchKey(key)
        data = found[start:stop]
        blobs.damage(key, fault in DAMAGE)
        if data and fault == "truncated":
            data = data[: int(len(data) * blobs.chance.draw(f"cut {site}"))]
        elif data and fault == "flipped":
            place = int(len(data) * blobs.chance.draw(f"flip {site}"))
            data = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        self._owner.after(site)
        return io.BytesIO(data)

    def stat(self, key: str) -> Blob:
        _, site = self._ask("stat", key, LOOKS)
        self._owner.after(site)
        found = self._blobs.seen(self._owner.name, key)
        if found is None:
            raise NoSuchKey(key)
        return Blob(key, len(found))

    def delete(self, keys: Iterable[str]) -> None:
        every, blobs, who = list(keys), self._blobs, self._owner.name
        if not every:
            return

        def effect() -> None:
            there = [key for key in every if key in blobs.data]
            blobs.watcher.deleting(who, there)
            for key in there:
                blobs.put(who, key, None)

        self._change("delete", every[0], effect, " ".join(every[1:]), 0)

    def list(self, prefix: str = "") -> Iterator[Blob]:
        _, site = self._ask("list", prefix, LOOKS)
        self._owner.after(site)
        return iter([Blob(key, size) for key, size in self._blobs.keys(self._owner.name, prefix)])

    def _ask(self, what: str, key: str, kinds: Iterable[str], *, changing: bool = False) -> tuple[str, str]:
        if what != "list":
            check_key(key)
        blobs = self._blobs
        site = blobs.chance.site(f"{self._owner.name} {what} {key}")
        self._owner.before(site)
        if blobs.full(key, changing=changing):
            blobs.watcher.trace(f"{site}: too many requests")
            raise Transient(f"too many requests: {key}")
        fault = blobs.chance.fault(site, kinds)
        if fault == "error before":
            blobs.watcher.trace(f"{site}: {fault}")
            raise Transient(f"no answer: {key}")
        if fault == "slow":
            self._owner.slow(site)
        return fault, site

    def _change(self, what: str, key: str, effect: Callable[[], None], content: str, size: int) -> None:
        blobs = self._blobs
        fault, site = self._ask(what, key, OUTCOMES, changing=True)
        if what != "delete" and fault == "store full":
            blobs.watcher.trace(f"{site}: {fault}")
            raise StoreFull(key, "no space is left")
        if fault == "lost part" and size > PART:
            blobs.watcher.trace(f"{site}: {fault}")
            blobs.parts[key] = blobs.parts.get(key, 0) + size // PART
            raise Transient(f"a part of the upload was lost: {key}")
        try:
            effect()
        except KeyExists:
            blobs.watcher.trace(f"{site}: exists")
            raise
        blobs.watcher.trace(f"{site} {content}{': ' + fault if fault else ''}")
        self._owner.after(site)
        if fault == "error after":
            raise Transient(f"no answer: {key}")
        if fault == "twice" and what != "delete":
            effect()  # the driver tries again, although it was heard: a create meets its own blob
        elif fault == "twice late" and what != "delete":
            blobs.clock.later(blobs.chance.between(f"late {site}", 0.1, 60.0), lambda: _again(effect))


def _again(effect: Callable[[], None]) -> None:
    try:
        effect()
    except KeyExists:
        return


def _content(key: str, data: bytes) -> str:
    return "" if key.startswith(_UNTOLD) else f"({len(data)} bytes, {zlib.crc32(data):08x})"
