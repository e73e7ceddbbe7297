"""What a worker host keeps for all requests of one setup: its store, its options and its fork server."""

from __future__ import annotations

from pathlib import Path

from toil_core.job_store import CanSync, HasPace, HasPaths, JobStore
from toil_core.leader.options import EngineOptions
from toil_core.options import Config
from toil_core.wire.jobs import Failure
from toil_core.wire.work import Setup
from toil_core.worker.cache_folder import CacheFolder
from toil_core.worker.io_threads import Syncer
from toil_core.worker.running import Running
from toil_core.worker.server_process import ServerProcess
from toil_core.worker.settle import Keeping
from toil_core.worker.shelf import Shelf

GROUP_SECONDS = 0.05
"""How long a result may wait for others to share its commit, where requests cost next to nothing."""


class Epoch:
    """The requests of one setup in one job store.

    Args:
        locator: The job store, as the work names it.
        key: The setup's key.
        keep_cache: Whether the node's cache of files is to wait for the run's next worker.
    """

    def __init__(self, locator: str, key: str, keep_cache: bool) -> None:
        self.locator = locator
        self.key = key
        self.waiting: list[Running] = []
        """Requests that came before the store was open."""
        self.running: dict[int, Running] = {}
        """Requests that the fork server has."""
        self.server: ServerProcess | None = None
        self.loaded = False
        self.broken: Failure | None = None
        """Why nothing of this setup can run: its modules cannot be loaded."""
        self.slots: list[int] = []
        self.made_slots = 0
        self.syncer: Syncer | None = None
        self.keeping = Keeping(0, False)
        self.group = GROUP_SECONDS
        """How long a result may wait for others to share its commit."""
        self.inline = False
        """Whether the store is quick enough to be used from the host's loop."""
        self._keep_cache = keep_cache
        self._cache: CacheFolder | None = None
        self._opened: tuple[JobStore, Setup] | None = None
        self._shelf: Shelf | None = None
        self._tolerance = 0.0

    @property
    def open(self) -> bool:
        """Whether the store is open."""
        return self._opened is not None

    @property
    def store(self) -> JobStore:
        """The job store, once it is open."""
        assert self._opened is not None
        return self._opened[0]

    def start(self, store: JobStore, setup: Setup, config: Config, shelf: Shelf | None = None) -> None:
        """Take in the open store, what lies in it, and what keeps the user's code in place."""
        self._opened, self._shelf = (store, setup), shelf
        options = (Config.from_dict(setup.options) if setup.options else config)[EngineOptions]
        self.keeping = Keeping(options.max_log_file_size, options.write_logs_from_all_jobs)
        self._tolerance = options.memory_tolerance
        synced = options.durability == "power" and isinstance(store, CanSync)
        self.inline = isinstance(store, HasPaths) and not synced
        self.group = store.pace() if isinstance(store, HasPace) else GROUP_SECONDS
        if synced and isinstance(store, CanSync):
            self.syncer = Syncer(store.sync)

    def serve(self, run: Path, number: int, *, live: bool = False) -> ServerProcess:
        """Start a fork server; see `WorkerHost` for `live`."""
        assert self._opened is not None
        self.loaded = False
        self.made_slots, self.slots = 0, []
        store, setup = self._opened
        self._cache = self._cache or CacheFolder.open(run.parent, store, setup, keep=self._keep_cache)
        cache = str(self._cache.path) if self._cache else ""
        self.server = ServerProcess(run, number, self.locator, setup, self._tolerance, self.keeping.all, cache, live)
        return self.server

    def take_slot(self) -> int:
        """A slot that nobody uses."""
        if self.slots:
            return self.slots.pop()
        self.made_slots += 1
        return self.made_slots - 1

    def close(self, seconds: float) -> None:
        """Let go of store and threads."""
        if self.syncer is not None:
            self.syncer.close(seconds)
        if self._cache is not None:
            self._cache.release()
        if self._shelf is not None:
            self._shelf.close()
        if self._opened is not None:
            self._opened[0].close()
