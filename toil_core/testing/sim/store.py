"""The simulated job store: a dictionary that every leader and worker reaches through a door of its own, where things go wrong."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, Protocol

from toil_core.errors import KeyExists, NoSuchKey, Transient
from toil_core.job_store import Blob, JobStore, check_key
from toil_core.testing.sim.chance import Chance
from toil_core.testing.sim.clock import Clock

OUTCOMES = ("error before", "error after", "twice", "twice late")
"""What can happen to an operation that changes something."""
DAMAGE = ("truncated", "flipped")
"""What can happen to bytes on their way to a reader."""
_UNTOLD = ("workflow", "setup/", "leader/", "pages/", "learned", "history/")
"""The content of these differs from one installation to another."""


class Owner(Protocol):
    """Who uses a door."""

    name: str

    def before(self, site: str) -> None:
        """Something is about to be done; stops the owner here when it is dead."""

    def after(self, site: str) -> None:
        """It was done."""


class Watcher(Protocol):
    """Who sees everything that changes."""

    def created(self, who: str, key: str, data: bytes, *, late: bool = False) -> None:
        """A blob is there that was not; late when its writer had been told so before."""

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
        rate: Operations a second under one prefix that the store takes; 0 for any number.
    """

    def __init__(self, clock: Clock, chance: Chance, watcher: Watcher, rate: float = 0.0) -> None:
        self.data: dict[str, bytes] = {}
        self.clock = clock
        self.chance = chance
        self.watcher = watcher
        self._rate = rate
        self._damaged: dict[str, int] = {}
        self._buckets: dict[str, tuple[float, float]] = {}

    def door(self, owner: Owner) -> Door:
        """The store as its owner sees it."""
        return Door(self, owner)

    def damaged(self, key: str) -> int:
        """How many readings of the key in succession were not what is stored."""
        return self._damaged.get(key, 0)

    def note(self, key: str, damaged: int) -> None:
        """So many readings of the key in succession were not what is stored."""
        self._damaged[key] = damaged

    def full(self, key: str) -> bool:
        """Whether there are too many requests for the key's prefix just now."""
        if not self._rate:
            return False
        prefix = key.partition("/")[0]
        left, since = self._buckets.get(prefix, (2 * self._rate, self.clock.now))
        left = min(2 * self._rate, left + (self.clock.now - since) * self._rate)
        self._buckets[prefix] = (max(0.0, left - 1), self.clock.now)
        return left < 1


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

    def create(self, key: str, data: bytes) -> None:
        told = False

        def effect() -> None:
            nonlocal told
            if key in self._blobs.data:
                raise KeyExists(key)
            self._blobs.data[key] = data
            self._blobs.watcher.created(self._owner.name, key, data, late=told)
            told = True

        self._change("create", key, effect, _content(key, data))

    def write(self, key: str, stream: BinaryIO) -> None:
        data = stream.read()

        def effect() -> None:
            self._blobs.data[key] = data

        self._change("write", key, effect, _content(key, data))

    def read(self, key: str, start: int = 0, stop: int | None = None) -> BinaryIO:
        last = self._blobs.damaged(key)
        fault, site = self._ask("read", key, ("error before", *DAMAGE) if last < 2 else ("error before",))
        self._blobs.note(key, last + 1 if fault in DAMAGE else 0)
        try:
            data = self._blobs.data[key][start:stop]
        except KeyError:
            self._blobs.watcher.trace(f"{site}: not there")
            raise NoSuchKey(key) from None
        if data and fault == "truncated":
            data = data[: int(len(data) * self._blobs.chance.draw(f"cut {site}"))]
        elif data and fault == "flipped":
            place = int(len(data) * self._blobs.chance.draw(f"flip {site}"))
            data = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        self._owner.after(site)
        return io.BytesIO(data)

    def stat(self, key: str) -> Blob:
        _, site = self._ask("stat", key, ("error before",))
        self._owner.after(site)
        if key not in self._blobs.data:
            raise NoSuchKey(key)
        return Blob(key, len(self._blobs.data[key]))

    def delete(self, keys: Iterable[str]) -> None:
        every = list(keys)

        def effect() -> None:
            there = [key for key in every if key in self._blobs.data]
            self._blobs.watcher.deleting(self._owner.name, there)
            for key in there:
                del self._blobs.data[key]

        self._change("delete", every[0] if every else "", effect, " ".join(every[1:]))

    def list(self, prefix: str = "") -> Iterator[Blob]:
        _, site = self._ask("list", prefix, ("error before",))
        self._owner.after(site)
        return iter([Blob(key, len(data)) for key, data in self._blobs.data.items() if key.startswith(prefix)])

    def _ask(self, what: str, key: str, kinds: Iterable[str]) -> tuple[str, str]:
        if key and what != "list":
            check_key(key)
        site = self._blobs.chance.site(f"{self._owner.name} {what} {key}")
        self._owner.before(site)
        if self._blobs.full(key):
            self._blobs.watcher.trace(f"{site}: too many requests")
            raise Transient(f"too many requests: {key}")
        fault = self._blobs.chance.fault(site, kinds)
        if fault == "error before":
            self._blobs.watcher.trace(f"{site}: {fault}")
            raise Transient(f"no answer: {key}")
        return fault, site

    def _change(self, what: str, key: str, effect: Callable[[], None], content: str) -> None:
        fault, site = self._ask(what, key, OUTCOMES)
        try:
            effect()
        except KeyExists:
            self._blobs.watcher.trace(f"{site}: exists")
            raise
        self._blobs.watcher.trace(f"{site} {content}{': ' + fault if fault else ''}")
        self._owner.after(site)
        if fault == "error after":
            raise Transient(f"no answer: {key}")
        if fault == "twice" and what != "delete":
            effect()  # the driver tries again, although it was heard: a create meets its own blob
        elif fault == "twice late" and what == "create":
            self._blobs.clock.later(self._blobs.chance.between(f"late {site}", 0.1, 60.0), lambda: _again(effect))


def _again(effect: Callable[[], None]) -> None:
    try:
        effect()
    except KeyExists:
        return


def _content(key: str, data: bytes) -> str:
    return "" if key.startswith(_UNTOLD) else f"({len(data)} bytes, {zlib.crc32(data):08x})"
