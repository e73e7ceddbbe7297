"""The job store contract as a search: random operations by several clients, against a dictionary.

    def test_any_operations_in_any_order(tmp_path: Path) -> None:
        places = (str(tmp_path / str(number)) for number in itertools.count())

        def fresh() -> list[JobStore]:
            place = next(places)
            return [MyJobStore(place, Config()), MyJobStore(place, Config())]

        search(fresh)

What fails is shrunk to the shortest sequence of operations that fails, and printed.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from toil_core.errors import KeyExists, NoSuchKey
from toil_core.job_store import JobStore

KEYS = ["a", "a/b", "a/b/c", "a b", "ab", "a,b", "commits/1-2/000000", "files/1-2/0.1/0/ß.gz"]
"""Few, so that operations meet; some look alike, some lie below others."""
PREFIXES = sorted({key[:length] for key in KEYS for length in range(len(key) + 1)} | {"none", "a/b/c/d"})

_keys = st.sampled_from(KEYS)
_data = st.binary(max_size=8) | st.builds(lambda byte, size: bytes([byte]) * size, st.integers(0, 255), st.sampled_from([4096, 70_000]))
_bounds = st.integers(0, 10) | st.sampled_from([4095, 70_000, 99_999])
_clients = st.integers(0, 7)


class JobStoreModel(RuleBasedStateMachine):
    """One new store, used by all its clients in turn, and what it must hold.

    Args:
        fresh: Opens a store at a place that nothing has used, once for each client.
    """

    def __init__(self, fresh: Callable[[], Sequence[JobStore]]) -> None:
        super().__init__()
        self.clients = fresh()
        self.blobs: dict[str, bytes] = {}
        self.touched = KEYS[0]
        for store in self.clients:
            store.prepare()

    def client(self, number: int) -> JobStore:
        """The client of the number."""
        return self.clients[number % len(self.clients)]

    @rule(client=_clients, key=_keys, data=_data)
    def create(self, client: int, key: str, data: bytes) -> None:
        """The first creator wins."""
        self.touched = key
        if key in self.blobs:
            with pytest.raises(KeyExists) as raised:
                self.client(client).create(key, data)
            assert raised.value.key == key
        else:
            self.client(client).create(key, data)
            self.blobs[key] = data

    @rule(key=_keys, offers=st.lists(_data, min_size=2, max_size=4))
    def race(self, key: str, offers: list[bytes]) -> None:
        """Of several at once that create a key, one wins if there was none."""
        self.touched = key

        def attempt(number: int) -> bool:
            try:
                self.client(number).create(key, offers[number])
            except KeyExists:
                return False
            return True

        with ThreadPoolExecutor(len(offers)) as pool:
            won = [number for number, ok in enumerate(pool.map(attempt, range(len(offers)))) if ok]
        assert len(won) == (key not in self.blobs), f"creators {won} of {key!r} succeeded"
        for number in won:
            self.blobs[key] = offers[number]

    @rule(client=_clients, key=_keys, data=_data)
    def write(self, client: int, key: str, data: bytes) -> None:
        """The last writer wins."""
        self.touched = key
        self.client(client).write(key, io.BytesIO(data))
        self.blobs[key] = data

    @rule(client=_clients, key=_keys, data=_data)
    def write_in_vain(self, client: int, key: str, data: bytes) -> None:
        """A stream that breaks changes nothing."""
        self.touched = key
        with pytest.raises(Exception, match="pulled plug"):
            self.client(client).write(key, _Broken(data))

    @rule(client=_clients, key=_keys, start=_bounds, stop=st.none() | _bounds)
    def read(self, client: int, key: str, start: int, stop: int | None) -> None:
        """As many of the bytes as exist."""
        if key not in self.blobs:
            with pytest.raises(NoSuchKey):
                self.client(client).read(key, start, stop)
            return
        with self.client(client).read(key, start, stop) as stream:
            assert stream.read() == self.blobs[key][start:stop]

    @rule(client=_clients, keys=st.lists(_keys, max_size=4))
    def delete(self, client: int, keys: list[str]) -> None:
        """Missing keys, and keys given twice, are harmless."""
        self.client(client).delete(iter(keys))
        for key in keys:
            self.touched = key
            self.blobs.pop(key, None)

    @rule(client=_clients, prefix=st.sampled_from(PREFIXES))
    def list(self, client: int, prefix: str) -> None:
        """All with the prefix, each once."""
        found = sorted((blob.key, blob.size) for blob in self.client(client).list(prefix))
        assert found == sorted((key, len(data)) for key, data in self.blobs.items() if key.startswith(prefix))

    @invariant()
    def all_see_it(self) -> None:
        """Whoever looks sees what just happened, and that nothing else has."""
        for store in self.clients:
            if self.touched in self.blobs:
                with store.read(self.touched) as stream:
                    assert stream.read() == self.blobs[self.touched]
                assert store.stat(self.touched).size == len(self.blobs[self.touched])
            else:
                with pytest.raises(NoSuchKey):
                    store.stat(self.touched)
            assert sorted((blob.key, blob.size) for blob in store.list()) == sorted((key, len(data)) for key, data in self.blobs.items())

    def teardown(self) -> None:
        """The place is given back."""
        self.clients[0].destroy()
        for store in reversed(self.clients):
            store.close()


class _Broken(io.BytesIO):
    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        if data and size and size > 0:
            return data
        raise OSError("pulled plug")


def search(fresh: Callable[[], Sequence[JobStore]], *, examples: int = 30, steps: int = 40) -> None:
    """Try random sequences of operations; the same ones each time.

    Args:
        fresh: Opens a store at a place that nothing has used, once for each client; the first one
            is the owner, where that matters, and destroys it in the end.
        examples: How many sequences.
        steps: The most operations of one.

    Raises:
        AssertionError: The store does not do what the dictionary does; the sequence is printed.
    """
    health = list(HealthCheck)
    chosen = settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, derandomize=True, database=None, suppress_health_check=health,
        report_multiple_bugs=False,  # a group of them would be raised
    )  # fmt: skip

    class Model(JobStoreModel):
        def __init__(self) -> None:
            super().__init__(fresh)

    run_state_machine_as_test(Model, settings=chosen)
