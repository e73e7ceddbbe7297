"""The batch system `dask`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from toil_core.batch_system import BatchSystem, Request, Requirement, Update
from toil_core.errors import UsageError
from toil_core.options import Config
from toil_core.update_queue import UpdateQueue
from toil_core.worker_host import work_dir

from toil_dask.connection import Target
from toil_dask.leader import Leader
from toil_dask.local import LocalCluster
from toil_dask.options import DaskOptions

HELLO_SECONDS = 10.0
"""How long the nodes that are there at the start may take to say hello, so that their size is known."""
NODE_SECONDS = 60.0
"""How long a cluster that does not grow may take to show a node."""


class Dask(BatchSystem):
    """Requests run on the nodes of a Dask cluster that may grow and shrink.

    Args:
        config: The options.
        target: How the cluster is reached.

    Raises:
        UsageError: The cluster cannot be used.
    """

    backlog = 1000

    def __init__(self, config: Config, target: Target) -> None:
        self._news = UpdateQueue()
        self._leader = Leader(target, (work_dir(config), config.as_dict()), self._news.tell, self._news.fail)
        self._leader.nodes(None, HELLO_SECONDS)

    def submit(self, requests: Sequence[Request]) -> None:
        if new := self._news.new(requests):
            self._leader.submit(new)

    def updates(self, seconds: float | None = None) -> list[Update]:
        return self._news.take(seconds)

    def cancel(self, ids: Iterable[str]) -> None:
        if not self._news.closed:
            self._leader.cancel(list(ids))

    def interrupt(self, ids: Iterable[str], seconds: float) -> None:
        """Ask requests to end in good order; see `CanInterrupt`."""
        if not self._news.closed:
            self._leader.interrupt(list(ids), seconds)

    def loads(self) -> Mapping[str, int]:
        """For each node's address, how many requests are there; see `HasNodes`."""
        return {} if self._news.closed else self._leader.loads()

    def drain(self, addresses: Iterable[str]) -> None:
        """Start nothing more on these nodes; see `HasNodes`."""
        if not self._news.closed:
            self._leader.drain(list(addresses))

    def misfits(self) -> Mapping[str, str]:
        """For each request that fits none of the present nodes, why; see `HasMisfits`."""
        return {} if self._news.closed else self._leader.misfits()

    def nodes(self, enough: Callable[[Mapping[str, Requirement]], bool], seconds: float) -> Mapping[str, Requirement]:
        """What each node has for jobs, by its name, once these are enough, or after so many seconds."""
        return self._leader.nodes(enough, seconds)

    def slots(self) -> float:
        """How many cores there are now; see `HasSlots`."""
        return self._leader.cores

    def close(self) -> None:
        self._news.close()
        self._leader.close()


class FixedDask(Dask):
    """The same on a cluster that does not grow: what fits none of its nodes is refused.

    Raises:
        UsageError: No node of it can be used.
    """

    def __init__(self, config: Config, target: Target) -> None:
        super().__init__(config, replace(target, may_grow=False))
        self._offers = list(self.nodes(bool, NODE_SECONDS).values())
        if not self._offers:
            self.close()
            raise UsageError(f"no node of the Dask cluster at {target.scheduler} can be used; start workers, with toil-dask installed")

    def capacity(self) -> Requirement:
        """The largest node; see `HasCapacity`."""
        return max(self._offers, key=lambda offer: (offer.cores, offer.memory))


class OwnDask(FixedDask):
    """The same on a cluster that is started here, for trying out, and ended with the batch system."""

    def __init__(self, config: Config) -> None:
        self._cluster = LocalCluster(Requirement(cores=0))
        try:
            super().__init__(config, Target(self._cluster.scheduler, self._cluster.files, config[DaskOptions].dask_connect_timeout))
        except BaseException:
            self._cluster.close()
            raise

    def close(self) -> None:
        try:
            super().close()
        finally:
            self._cluster.close()


def open_dask(config: Config) -> Dask:
    """The batch system that the options describe.

    Raises:
        UsageError: The cluster cannot be used.
    """
    options = config[DaskOptions]
    if options.dask_scheduler is None:
        return OwnDask(config)
    given = {name: getattr(options, f"dask_{name}") for name in ("tls_ca_file", "tls_cert_file", "tls_key_file")}
    files = {name: path for name, path in given.items() if path}
    target = Target(options.dask_scheduler, files, options.dask_connect_timeout, options.dask_may_grow)
    return Dask(config, target) if options.dask_may_grow else FixedDask(config, target)
