"""Simulated machines and the batch system on them: nodes are lost and preempted, workers die or come to life again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from msgspec import structs

from toil_core.batch_system import BatchSystem, Reason, Request, Requirement, State, Update
from toil_core.testing.sim.broken import need
from toil_core.testing.sim.worker import Scene, Worker

FATES = ("worker killed", "node lost", "partitioned", "cut off", "preempted", "never heard of")
"""What can happen to a request as a whole."""
NOTICES = (120.0, 30.0, 0.0)
"""Seconds between the notice that a machine will be taken and its end."""
ROOM = 0.5
"""Cores of each machine beside those that are told: services are small, and fit beside jobs."""
DELIVERIES = ("delivered twice",)
"""What can happen when a request is handed over."""
NEWS = ("delayed", "told twice", "lost", "not carried", "prefix only", "altered", "count unknown")
"""What can happen to an update on its way."""


class _Place:
    """Where one request runs.

    Attributes:
        worker: What runs it.
        request: Its id.
        batch: Whose request it is.
        told: Whether its end was told.
        node: On which node.
        cores: How many cores of it are set aside.
    """

    def __init__(self, worker: Worker, request: str, batch: SimulatedBatch, node: int, cores: float) -> None:
        self.worker = worker
        self.request = request
        self.cores = cores
        self.batch = batch
        self.node = node
        self.told = False


class Cluster:
    """The machines.

    Args:
        scene: The world.
        nodes: How many machines.
        cores: Cores of each.
    """

    def __init__(self, scene: Scene, nodes: int, cores: int) -> None:
        self._scene = scene
        self.cores = cores
        self.nodes = nodes
        self._free = [cores + ROOM] * nodes
        self._waiting: deque[tuple[Request, SimulatedBatch, str]] = deque()
        self.places: dict[str, _Place] = {}
        """By the name of what runs there: a request's id, or that and `again`."""

    def submit(self, request: Request, batch: SimulatedBatch) -> None:
        """Queue a request."""
        self._queue(request, batch, request.id)
        if self._scene.chance.fault(f"delivery of {request.id}", DELIVERIES):
            seconds = self._scene.chance.between(f"again {request.id}", 0.0, 30.0)
            self._scene.clock.later(seconds, lambda: None if batch.closed else self._repeat(request, batch))

    def _queue(self, request: Request, batch: SimulatedBatch, name: str) -> None:
        self._waiting.append((request, batch, name))
        self._scene.clock.later(0.01, self._start)

    def _repeat(self, request: Request, batch: SimulatedBatch) -> None:
        """The request is delivered once more, as if it had got lost."""
        self._scene.twice(request.id)
        self._queue(request, batch, f"{request.id} again")

    def cancel(self, id: str) -> None:
        """End a request, wherever it is."""
        for item in [item for item in self._waiting if item[0].id == id]:
            self._waiting.remove(item)
            item[1].deliver(Update(id, State.ENDED, Reason.CANCELLED))
        for place in self._of(id):
            if not place.told:
                place.worker.cancel()

    def _of(self, id: str) -> list[_Place]:
        """Wherever the request runs."""
        return [self.places[name] for name in (id, f"{id} again") if name in self.places]

    def interrupt(self, id: str) -> None:
        """Ask a request to end in good order."""
        places = self._of(id)
        if not places:
            self.cancel(id)
        for place in places:
            if not place.told:
                place.worker.interrupt()

    def abandon(self, batch: SimulatedBatch) -> None:
        """The leader is gone: its requests end, some of them late."""
        self._waiting = deque(item for item in self._waiting if item[1] is not batch)
        for name, place in list(self.places.items()):
            if place.batch is batch:
                seconds = self._scene.chance.between(f"end of {name}", 0.0, 30.0)
                self._scene.clock.later(seconds, lambda name=name: self._kill(name))  # type: ignore[misc]

    def _start(self) -> None:
        while self._waiting:
            request, batch, name = self._waiting[0]
            node = next((number for number, free in enumerate(self._free) if free >= request.requirement.cores - 1e-9), None)
            if node is None:
                return
            self._waiting.popleft()
            self._reserve(node, request.requirement.cores)
            self._run(request, batch, name, node)

    def _run(self, request: Request, batch: SimulatedBatch, name: str, node: int) -> None:
        scene = self._scene

        def deliver(update: Update) -> None:
            if update.state is State.ENDED:
                self._leave(name)
            if not place.told:
                place.told = update.state is State.ENDED
                batch.deliver(update)

        def died() -> None:
            if not place.told:
                self._lose(name, place, Reason.NODE_LOST, lives=False)

        worker = Worker(scene, request, deliver, died, f"worker {name}")
        place = self.places[name] = _Place(worker, request.id, batch, node, request.requirement.cores)
        fate = scene.chance.fault(f"fate of {name}", FATES)
        if fate:
            seconds = scene.chance.between(f"time of {name}", 0.0, 3.0)
            scene.clock.later(seconds, lambda: self._befall(fate, name))
        if fate != "never heard of":
            place.worker.start()

    def _reserve(self, node: int, cores: float) -> None:
        self._free[node] -= cores
        need(-1e-6 < self._free[node] < self.cores + ROOM + 1e-6, f"{self.cores + ROOM - self._free[node]:g} cores of node {node} are set aside")

    def _leave(self, name: str) -> _Place | None:
        """Nothing of it runs any more."""
        place = self.places.pop(name, None)
        if place is not None:
            self._reserve(place.node, -place.cores)
            self._scene.clock.later(0.0, self._start)
        return place

    def _befall(self, fate: str, name: str) -> None:
        place = self.places.get(name)
        if place is None or place.told:
            return
        scene = self._scene
        scene.trace(f"{name}: {fate}")
        if fate == "cut off":
            place.worker.cut_until = scene.clock.now + scene.chance.between(f"cut {name}", 1.0, 120.0)
        elif fate == "preempted":
            notice = NOTICES[int(3 * scene.chance.draw(f"notice of preempting {name}"))]
            scene.clock.later(notice, lambda: self._take(name))
        elif fate == "node lost":
            for each, other in list(self.places.items()):
                if other.node == place.node:
                    self._lose(each, other, Reason.NODE_LOST, lives=self._scene.chance.draw(f"zombie {each}") < 0.3)
        else:
            self._lose(name, place, Reason.NODE_LOST, lives=fate == "partitioned")

    def _take(self, name: str) -> None:
        """The machine is taken away, unless what ran there has ended."""
        place = self.places.get(name)
        if place is not None and not place.told:
            self._lose(name, place, Reason.PREEMPTED, lives=False)

    def _lose(self, name: str, place: _Place, reason: Reason, *, lives: bool) -> None:
        """The batch system believes that the request is gone; perhaps it is not."""
        place.told = True
        if not lives:
            self._kill(name)
        else:
            self._scene.clock.later(self._scene.chance.between(f"end of {name}", 0.0, 120.0), lambda: self._kill(name))
        seconds = self._scene.chance.between(f"notice of {name}", 0.0, 20.0)
        self._scene.clock.later(seconds, lambda: place.batch.deliver(Update(place.request, State.ENDED, reason, message=reason.value)))

    def _kill(self, name: str) -> None:
        place = self._leave(name)
        if place is not None:
            place.worker.dead = True


class SimulatedBatch(BatchSystem):
    """The batch system as one leader sees it.

    Args:
        cluster: The machines.
        scene: The world.
        backlog: How many requests it likes to hold.
    """

    here = True

    def __init__(self, cluster: Cluster, scene: Scene, backlog: int) -> None:
        self.backlog = backlog  # type: ignore[misc]
        self._cluster = cluster
        self._scene = scene
        self._seen: set[str] = set()
        self.inbox: Callable[[Update], None] = lambda update: None
        self.closed = False

    def submit(self, requests: Sequence[Request]) -> None:
        for request in requests:
            if request.id not in self._seen and not self.closed:
                self._seen.add(request.id)
                self._cluster.submit(request, self)

    def updates(self, seconds: float | None = None) -> list[Update]:
        """Nothing: news come to the leader's inbox."""
        return []

    def cancel(self, ids: Iterable[str]) -> None:
        for id in ids:
            self._cluster.cancel(id)

    def interrupt(self, ids: Iterable[str], seconds: float) -> None:
        """See `CanInterrupt`."""
        for id in ids:
            self._cluster.interrupt(id)

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._cluster.abandon(self)

    def capacity(self) -> Requirement:
        """See `HasCapacity`."""
        return Requirement(self._cluster.cores + ROOM, 1 << 40, 1 << 40)

    def slots(self) -> float:
        """See `HasCapacity`."""
        return (self._cluster.cores + ROOM) * self._cluster.nodes

    def deliver(self, update: Update) -> None:
        """Send an update on its way to the leader."""
        chance = self._scene.chance
        site = chance.site(f"news of {update.id} {update.state.value}")
        seconds = chance.between(f"way {site}", 0.001, 0.02)
        match chance.fault(site, NEWS):
            case "delayed":
                seconds = chance.between(f"delay {site}", 0.0, 60.0)
            case "told twice":
                self._scene.clock.later(chance.between(f"again {site}", 0.0, 60.0), lambda: self.inbox(update))
            case "lost" if update.state is not State.ENDED:
                return
            case "not carried" if update.commit is not None:
                update = structs.replace(update, commit=None)
            case "prefix only" if update.commit is not None:
                update = structs.replace(update, commit=update.commit[: 14 + int.from_bytes(update.commit[6:10], "little")])
            case "altered" if update.commit is not None:
                place = int(len(update.commit) * chance.draw(f"place {site}"))
                update = structs.replace(update, commit=update.commit[:place] + bytes([update.commit[place] ^ 1]) + update.commit[place + 1 :])
            case "count unknown":
                update = structs.replace(update, commit=None, commits=None)
            case _:
                pass
        told = update
        self._scene.clock.later(seconds, lambda: self.inbox(told))
