"""Everything random of a simulated world, derived from one seed; and the faults that happen in it.

A draw depends on the seed and on the name of the place that it is for, and on nothing else: taking one
fault away changes no other draw, so a list of faults can be made shorter until only those are left that matter.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

T = TypeVar("T")


class Fault(NamedTuple):
    """Something that goes wrong.

    Args:
        site: Where and when: who did what for the how-manieth time.
        kind: What happens.
    """

    site: str
    kind: str


class Stream:
    """A stream of random numbers that is the same on every supported Python.

    Args:
        seed: The root seed.
        name: What the stream is for.
    """

    def __init__(self, seed: int, name: str) -> None:
        self._random = random.Random(f"{seed}:{name}")

    def below(self, stop: int) -> int:
        """A number from 0 to stop - 1."""
        return int(self._random.random() * stop)

    def between(self, low: float, high: float) -> float:
        """A number in that range."""
        return low + (high - low) * self._random.random()

    def often(self, share: float) -> bool:
        """True in that share of all cases."""
        return self._random.random() < share

    def one(self, items: Sequence[T]) -> T:
        """One of the items."""
        return items[self.below(len(items))]


class Chance:
    """Draws, and faults.

    Args:
        seed: The root seed.
        mix: How likely each kind of fault is where it can happen.
        given: The faults that happen, instead of any by the mix.
        most: How many faults happen at most by the mix.
    """

    def __init__(self, seed: int, mix: Mapping[str, float], given: Iterable[Fault] | None = None, most: int = 40) -> None:
        self._seed = seed
        self._mix = mix
        self._given = None if given is None else dict(given)
        self._most = most
        self._counts: dict[str, int] = {}
        self._calm = False
        self.happened: list[Fault] = []
        """The faults so far."""

    def draw(self, site: str) -> float:
        """A number from 0 to 1 that depends on the seed and the site alone."""
        digest = hashlib.blake2b(f"{self._seed}:{site}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") / 2**64

    def between(self, site: str, low: float, high: float) -> float:
        """A number in that range, by the site."""
        return low + (high - low) * self.draw(site)

    def bytes(self, site: str, count: int) -> bytes:
        """That many bytes, by the site."""
        return hashlib.blake2b(f"{self._seed}:{site}".encode(), digest_size=count).digest()

    def site(self, name: str) -> str:
        """A name for this time that something is done."""
        count = self._counts[name] = self._counts.get(name, 0) + 1
        return f"{name} #{count}"

    def calm(self) -> None:
        """Nothing goes wrong any more."""
        self._calm = True

    def fault(self, site: str, kinds: Iterable[str]) -> str:
        """What goes wrong there: one of the kinds, or nothing."""
        kind = self._chosen(site, kinds)
        if kind:
            self.happened.append(Fault(site, kind))
        return kind

    def _chosen(self, site: str, kinds: Iterable[str]) -> str:
        if self._calm:
            return ""
        if self._given is not None:
            kind = self._given.get(site, "")
            return kind if kind in kinds else ""
        if len(self.happened) >= self._most:
            return ""
        left = self.draw(f"fault {site}")
        for kind in kinds:
            left -= self._mix.get(kind, 0.0)
            if left < 0:
                return kind
        return ""
