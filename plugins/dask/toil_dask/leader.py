"""The leader's side: keeps in touch with the cluster from an event loop in a thread of its own, places requests and hears of them."""

from __future__ import annotations

import asyncio
import logging
import platform
import queue
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import count
from typing import Any, TypeVar

import toil_core
from toil_core.batch_system import Reason, Request, Requirement, State, Update
from toil_core.errors import UsageError

from toil_dask import messages, tasks
from toil_dask.connection import UNREACHABLE, LosableClient, Target, cannot_reach, check, connect, plain
from toil_dask.members import Flight, Member
from toil_dask.messages import Hello, Join, News, Notice, Order, Others, Wish
from toil_dask.node import task_key
from toil_dask.placement import Placement
from toil_dask.refusal import Largest
from toil_dask.spent import Spent
from toil_dask.worker import needs

_log = logging.getLogger("toil.dask")
T = TypeVar("T")
CLOSE_SECONDS = 20.0
"""How long nodes may take to end everything when the leader is done."""
ANSWER_SECONDS = 2.0
"""How long the event loop may take to answer what can do without."""


class Leader:
    """What one leader knows of its cluster. Public methods may be called from any thread; all else happens in the event loop.

    Args:
        target: How the cluster is reached.
        join: What nodes are told of the leader: its folder for temporary files, and its options.
        deliver: Takes each update; must not block.
        failed: Told of an error of this class itself; nothing more comes after it.

    Raises:
        UsageError: The cluster cannot be used.
    """

    def __init__(
        self,
        target: Target,
        join: tuple[str, dict[str, Any]],
        deliver: Callable[[Update], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._target = target
        self._failed = failed
        self._join = join
        self._deliver = deliver
        self._placement = Placement()
        self._nodes: dict[str, Member] = {}
        self._flights: dict[str, Flight] = {}
        self._spent = Spent()
        self._drained: set[tuple[str, str]] = set()
        """Machines on which nothing more starts."""
        self._attending: dict[str, asyncio.Task[None]] = {}
        self._expected: set[str] = set()
        """Addresses of nodes that have not said hello yet."""
        self._unheard: set[str] = set()
        """Cancelled requests of which nothing was heard since; Dask says nothing when it does not know yet what it is to cancel."""
        self._cancelling = False
        self._largest = Largest()
        self._presences: set[str] = set()
        """Keys of the tasks that keep the leader present on nodes that are there."""
        self._greeted = count(1)
        self.cores = 0.0
        """How many cores all nodes have together."""
        self._doing: set[asyncio.Task[None]] = set()
        self._client: LosableClient | None = None
        self._placing = False
        self._failure: Exception | None = None
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._run, name="toil-dask", daemon=True)
        self._thread.start()
        self._up.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure

    def submit(self, requests: Sequence[Request]) -> None:
        """Take the requests."""
        self._call(self._submit, requests)

    def cancel(self, ids: Sequence[str]) -> None:
        """End the requests."""
        self._call(self._cancel, ids)

    def interrupt(self, ids: Sequence[str], seconds: float) -> None:
        """Ask the requests to end in good order."""
        self._call(self._interrupt, ids, seconds)

    def loads(self) -> dict[str, int]:
        """For each node's address, how many requests are placed there."""
        return self._ask(self._loads)

    def misfits(self) -> dict[str, str]:
        """For each request that fits none of the nodes that are there, why; nothing when the loop has ended."""
        told: queue.SimpleQueue[dict[str, str]] = queue.SimpleQueue()
        self._call(lambda: told.put(self._placement.misfits()))
        with suppress(queue.Empty):
            return told.get(timeout=ANSWER_SECONDS)
        return {}

    def drain(self, addresses: Sequence[str]) -> None:
        """Place nothing more on these nodes."""
        self._ask(lambda: self._drain(set(addresses)))

    def nodes(self, enough: Callable[[Mapping[str, Requirement]], bool] | None, seconds: float) -> dict[str, Requirement]:
        """What each node that is there has for jobs, by the node's name.

        Args:
            enough: Whether to wait no longer; None to wait until all that Dask knows have said hello.
            seconds: For how long at most.
        """

        async def waiting() -> dict[str, Requirement]:
            async def until_enough() -> None:
                while not (enough(self._offers()) if enough else not self._expected):
                    self._joined.clear()
                    await self._joined.wait()

            with suppress(TimeoutError):
                await asyncio.wait_for(until_enough(), seconds)
            return self._offers()

        return asyncio.run_coroutine_threadsafe(waiting(), self._loop).result()

    def close(self) -> None:
        """End everything that runs, wait for that, and let go."""
        self._call(self._closing.set)
        self._thread.join()

    # The connection

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except Exception as error:  # noqa: BLE001 - raised again where this is made, or where updates are awaited
            self._failure = error
            self._failed(error)
        finally:
            self._up.set()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._closing, self._joined = asyncio.Event(), asyncio.Event()
        check(self._target)
        try:
            client = await connect(self._target, self._target.timeout)
        except UNREACHABLE as error:
            raise UsageError(cannot_reach(self._target, error)) from error
        try:
            await self._stay(client)
        except BaseException:
            if self._client is not None:
                await self._client._close(fast=True)
            raise

    async def _stay(self, client: LosableClient | None) -> None:
        """Be there until this is to close."""
        while client is not None:
            self._client = client
            with suppress(OSError):  # it is lost again; the next line tells
                await self._listen(client)
            self._up.set()
            if not await self._until_lost(client):
                await self._leave(client)
                return
            _log.warning("the connection to the Dask scheduler at %s is lost; trying to find it again", self._target.scheduler)
            client = await self._again()
            if client is not None:
                _log.warning("the Dask scheduler at %s is found again", self._target.scheduler)

    async def _again(self) -> LosableClient | None:
        """A new connection, however long that takes; None when this is to close."""
        pause = 0.1
        while not self._closing.is_set():
            try:
                return await connect(self._target, 5.0)
            except UNREACHABLE:
                try:
                    await asyncio.wait_for(self._closing.wait(), pause)
                except TimeoutError:
                    pause = min(2 * pause, 10.0)
        return None

    async def _listen(self, client: LosableClient) -> None:
        """Hear of nodes and requests from now on, and greet the nodes that are there."""
        client.subscribe_topic(client.id, lambda event: self._hear(event[1]))
        client.subscribe_topic("all", lambda event: self._changed(event[1]))
        identity = await client.scheduler.identity(n_workers=-1)
        for address in identity["workers"]:
            self._attend(address)

    async def _until_lost(self, client: LosableClient) -> bool:
        """Wait until the connection is lost, and tell so of what ran; False when this is to close."""
        waiting = [asyncio.ensure_future(client.lost.wait()), asyncio.ensure_future(self._closing.wait())]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for each in waiting:
            each.cancel()
        if self._closing.is_set():
            return False
        for address in list(self._attending):
            self._absent(address)
        for node in list(self._nodes):
            self._lose(node, "the Dask scheduler is gone, and its workers end then")
        return True

    async def _leave(self, client: LosableClient) -> None:
        """Have all nodes end what is ours, then let go of the client."""
        addresses = [node.hello.address for node in self._nodes.values()]
        try:
            if addresses:
                leaving = client.run(tasks.leave, client.id, workers=addresses, on_error="ignore")
                await asyncio.wait_for(leaving, CLOSE_SECONDS)
        except (TimeoutError, OSError, RuntimeError) as error:
            _log.warning("not every node said in time that all is ended there (%s); Dask ends it when this leader is gone", error)
        for attending in self._attending.values():
            attending.cancel()
        await asyncio.gather(*self._attending.values(), return_exceptions=True)
        self._flights.clear()
        self._spent.let_go()
        try:
            await asyncio.wait_for(client.close(), CLOSE_SECONDS)
        except (TimeoutError, OSError) as error:
            _log.debug("the Dask client did not close: %s", error)

    # Nodes

    def _changed(self, event: Any) -> None:
        """Something happened in the cluster."""
        action = event.get("action") if isinstance(event, dict) else None
        if action == "add-worker":
            self._attend(event["worker"])
        elif action == "remove-worker":
            self._absent(event["worker"])

    def _attend(self, address: str) -> None:
        """Be present on a node from now on."""
        if address not in self._attending and not self._closing.is_set():
            self._attending[address] = self._loop.create_task(self._present(address))
            self._expected.add(address)

    def _absent(self, address: str) -> None:
        """A node is gone; another may come with its address."""
        attending = self._attending.pop(address, None)
        if attending is not None:
            attending.cancel()
            self._answered(address)  # the task may not have begun

    async def _present(self, address: str) -> None:
        """Be present on a node until it is gone."""
        client = self._client
        assert client is not None
        work_dir, config = self._join
        key = task_key(client.id, f"presence.{next(self._greeted)}")
        self._presences.add(key)
        payload = messages.encode(Join(key, client.id, work_dir, config))
        why = "it ended, or does not answer"
        presence = client.submit(tasks.attend, payload, key=key, workers=[address], pure=False)
        try:
            await presence
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a stranger's worker says
            if not self._closing.is_set():
                why = " ".join(str(error).split()) or type(error).__name__
                _log.warning("node %s cannot be used: %s", address, plain(why))
        finally:
            presence.release()
            self._presences.discard(key)
            self._answered(address)
            for node in [id for id, node in self._nodes.items() if node.hello.presence == key]:
                self._lose(node, why)

    def _lose(self, id: str, why: str) -> None:
        """A node is gone, with all that ran there."""
        node = self._nodes.pop(id)
        self._count()
        reason = Reason.PREEMPTED if node.preempted else Reason.NODE_LOST
        for request in self._placement.leave(id):
            self._flights.pop(request).future.release()
            self._deliver(Update(request, State.ENDED, reason, message=f"node {node.hello.name}: {why}", node=node.hello.name))
        self._place()

    def _count(self) -> None:
        self.cores = sum(node.hello.offer.cores for node in self._nodes.values())

    def _offers(self) -> dict[str, Requirement]:
        return {node.hello.name: node.hello.offer for node in self._nodes.values()}

    def _loads(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for id, load in self._placement.loads().items():
            host = self._nodes[id].host
            found[host] = found.get(host, 0) + load
        return found

    def _drain(self, addresses: set[str]) -> None:
        for id, node in self._nodes.items():
            if node.host in addresses:
                self._placement.close(id)
                self._drained.add(node.machine)

    # News

    def _hear(self, data: Any) -> None:
        if not isinstance(data, bytes):  # what the scheduler itself tells of its client
            if isinstance(data, dict) and data.get("action") == "update-graph" and self._unheard:
                self._cancel_again()
            return
        message = messages.decode_news(data)
        match message:
            case Hello():
                self._greet(message)
            case Notice(id) if id in self._nodes:
                self._nodes[id].preempted = True
                self._placement.close(id)
                _log.warning("node %s will be taken away; nothing more starts there", self._nodes[id].hello.name)
            case Others(id, held, lasting):
                self._placement.occupy(id, held, lasting)
            case News(_, updates):
                for update in updates:
                    self._update(update)
        self._place()

    def _answered(self, address: str) -> None:
        """A node has said hello, or never will."""
        self._expected.discard(address)
        self._joined.set()

    def _greet(self, hello: Hello) -> None:
        if hello.presence not in self._presences:  # of a node that hung, and is gone for Dask: nobody would tell of its end
            return
        self._answered(hello.address)
        ours = toil_core.__version__, ".".join(platform.python_version_tuple()[:2])
        if (hello.version, hello.python) != ours:
            _log.warning(
                "node %s has toil-core %s on Python %s, and this is %s on %s; it is not used: install the same there",
                hello.name, hello.version, hello.python, *ours,
            )  # fmt: skip
            return
        node = self._nodes[hello.node] = Member(hello)
        self._count()
        self._placement.join(hello.node, hello.offer)
        if node.machine in self._drained:  # it went on when the scheduler, or its own program, had died
            self._placement.close(hello.node)
        self._largest.join(hello.offer)

    def _update(self, update: Update) -> None:
        flight = self._flights.get(update.id)
        if flight is None:
            return
        if update.state is State.ENDED:
            self._unheard.discard(update.id)
            del self._flights[update.id]
            self._spent.add(flight.future)
            self._placement.end(update.id)
        elif update.state is State.RUNNING and not update.messages:
            flight.running = True
            if flight.unwanted:  # Dask had not yet heard of it when it was cancelled
                self._drop([flight])
        self._deliver(update)

    # Requests

    def _submit(self, requests: Iterable[Request]) -> None:
        for request in requests:
            refused = self._too_big(request)
            if refused:
                self._deliver(Update(request.id, State.ENDED, Reason.TOO_BIG, message=refused))
            else:
                self._placement.add(request)
        self._place()

    def _too_big(self, request: Request) -> str:
        """Why no node can ever have the request; empty when one can, or may yet join."""
        refused = self._largest.refusal(request.requirement)
        if refused and self._target.may_grow:
            if self._largest.is_news(request.requirement):
                _log.warning("%s %s; it waits until a larger node joins", request.name, refused)
            return ""
        return refused

    def _place(self) -> None:
        """Place what can be placed, once all that has come meanwhile is taken in."""
        if not self._placing:
            self._placing = True
            self._loop.call_soon(self._place_now)

    def _place_now(self) -> None:
        self._placing = False
        client = self._client
        if client is None or client.lost.is_set():
            return
        started = self._placement.start()
        for request, id in started:
            hello = self._nodes[id].hello
            key = task_key(client.id, request.id)
            order = Order(key, client.id, id, request.id, request.work, request.requirement, dict(request.environment), request.lasting)
            future = client.submit(
                tasks.perform,
                messages.encode(order),
                key=key,
                workers=[hello.address],
                resources=needs(request.requirement, hello.guarded) or None,
                retries=0,
                pure=False,
            )
            self._flights[request.id] = Flight(id, future)
        if started:
            self._spent.let_go()

    def _cancel(self, ids: Iterable[str]) -> None:
        flights = []
        for id in ids:
            if self._placement.remove(id):
                self._deliver(Update(id, State.ENDED, Reason.CANCELLED))
            elif (flight := self._flights.get(id)) is not None:
                flight.unwanted = True
                flights.append(flight)
                self._unheard.add(id)
        self._drop(flights)
        self._place()

    def _cancel_again(self) -> None:
        """Dask has taken something in: it may be what it was to cancel before. Once for all that comes at the same time."""

        def again() -> None:
            self._cancelling = False
            self._unheard &= self._flights.keys()
            self._drop([self._flights[id] for id in self._unheard])

        if not self._cancelling:
            self._cancelling = True
            self._loop.call_soon(again)

    def _drop(self, flights: Sequence[Flight]) -> None:
        """Have Dask drop what it has; the nodes then end it and say so."""
        if flights and self._client is not None:
            self._spawn(self._client.cancel([flight.future for flight in flights], force=True))

    def _interrupt(self, ids: Iterable[str], seconds: float) -> None:
        by_node: dict[str, list[str]] = {}
        waiting = []
        for id in ids:
            if (flight := self._flights.get(id)) is not None:
                by_node.setdefault(flight.node, []).append(id)
            else:
                waiting.append(id)
        self._cancel(waiting)
        for node, there in by_node.items():
            self._spawn(self._interrupt_on(node, there, seconds))

    async def _interrupt_on(self, node: str, ids: Sequence[str], seconds: float) -> None:
        assert self._client is not None
        address = self._nodes[node].hello.address
        payload = messages.encode(Wish(self._client.id, tuple(ids), seconds))
        answers = await self._client.run(tasks.interrupt, payload, workers=[address], on_error="return")
        answer = answers.get(address)
        self._cancel(answer if isinstance(answer, (tuple, list)) else ids)

    # Helpers

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Do it in the loop, and forgive it when the cluster is gone meanwhile."""

        async def doing() -> None:
            try:
                await work
            except (OSError, RuntimeError, KeyError) as error:
                _log.debug("%s", error)

        task = self._loop.create_task(doing())
        self._doing.add(task)
        task.add_done_callback(self._doing.discard)

    def _call(self, function: Callable[..., None], *arguments: Any) -> None:
        """Have the loop do it, unless it has ended, as `failed` was told."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *arguments)

    def _ask(self, question: Callable[[], T]) -> T:
        async def asked() -> T:
            return question()

        return asyncio.run_coroutine_threadsafe(asked(), self._loop).result()
