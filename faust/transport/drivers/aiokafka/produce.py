"""The producer: batches of many partitions, as few requests as possible, each partition in order.

One synchronous function, `_schedule`, takes the next batch of every partition that may send, groups
them by leader and starts requests, up to five under way at a node.  Order and sequence
numbers are decided in `lines`; what to give up when a node hangs, in `under_way`.  The producer has
its connections for itself, so that `abandon` can throw away even what was written to a socket's
buffer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from itertools import count
from typing import Any

from faust._values import TP
from faust.exceptions import (
    BrokerError,
    BrokerUnavailable,
    ImproperlyConfigured,
    MessageTooLarge,
)
from faust.transport.drivers.aiokafka.cluster import Cluster
from faust.transport.drivers.aiokafka.errors import (
    DUPLICATE_SEQUENCE_NUMBER,
    FOREIGN,
    NO_ERROR,
    OUT_OF_SEQUENCE,
    STALE_METADATA,
    TOPIC_GONE,
    error_for,
    may_be_retried,
    translated,
)
from faust.transport.drivers.aiokafka.lines import MOST_IN_FLIGHT, Line, Pending
from faust.transport.drivers.aiokafka.patience import Backoff
from faust.transport.drivers.aiokafka.producer_id import new_producer_id
from faust.transport.drivers.aiokafka.under_way import Request, UnderWay
from faust.transport.drivers.aiokafka.wire import ProduceRequest
from faust.transport.producer import Placed, Producer, ProducerOptions, Transaction
from faust.transport.records import TRANSACTIONAL_BIT, Builder

__all__ = ["KafkaProducer"]

#: What `close` waits for deliveries.
_CLOSE_SECONDS = 5.0
#: Answers to the request whose outcome the broker itself does not know: it may be in the log.
_APPENDED_PERHAPS = frozenset({7, 20})
_numbers = count(1)


class KafkaProducer(Producer):
    """See `faust.transport.producer.Producer`."""

    def __init__(self, cluster: Cluster, options: ProducerOptions) -> None:
        if options.idempotent and options.acks != -1:
            raise ImproperlyConfigured(
                "an idempotent producer needs acks=-1 (all in-sync replicas)"
            )
        self._cluster = cluster
        self._clock = cluster.options.clock
        self._options = options
        self._lane = f"produce-{next(_numbers)}"
        self._lines: dict[TP, Line] = {}
        self._busy: dict[TP, Line] = {}  # those with batches
        self._backoffs: dict[TP, Backoff] = {}
        self._under_way: UnderWay[Pending] = UnderWay()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._name = options.transactional_id
        self._identity: tuple[int, int] | None = None
        self._asking_identity = False
        self._scheduled = False
        self._closed = False
        self._tick: asyncio.TimerHandle | None = None
        cluster.watch(self)

    def __repr__(self) -> str:
        under_way = len(self._under_way)
        return f"<KafkaProducer [{len(self._busy)} partitions busy | {under_way} requests]>"

    # -- the port --------------------------------------------------------------

    def produce(self, tp: TP, builder: Builder) -> asyncio.Future[Placed]:
        future: asyncio.Future[Placed] = asyncio.get_running_loop().create_future()
        if self._closed:
            future.set_exception(BrokerUnavailable(f"{tp}: the producer is closed"))
            return future
        line = self._lines.get(tp)
        if line is None:
            line = self._lines[tp] = Line(tp, idempotent=self._options.idempotent)
        deadline = self._clock.monotonic() + self._options.delivery_timeout
        line.append(Pending(line, builder, future, deadline))
        self._busy[tp] = line
        self._schedule_soon()
        return future

    async def flush(self) -> None:
        futures = self._futures()
        if futures:
            await asyncio.wait(futures)

    async def begin(self) -> Transaction:
        raise ImproperlyConfigured("a transaction needs a transactional_id")

    @property
    def producer_id(self) -> int:
        return -1 if self._identity is None else self._identity[0]

    async def close(self) -> None:
        futures = self._futures()
        if futures and not self._closed:
            await asyncio.wait(futures, timeout=_CLOSE_SECONDS)
        self.abandon()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def abandon(self) -> None:
        self._closed = True
        self._cluster.unwatch(self)
        if self._tick is not None:
            self._tick.cancel()
        for task in self._tasks:
            task.cancel()
        self._cluster.connections.drop_lane(self._lane, abort=True)
        for line in self._busy.values():
            for pending in line.unacknowledged():
                if not pending.future.done():
                    gone = (
                        f"{line.tp}: the producer was stopped; whether it was appended is unknown"
                    )
                    pending.future.set_exception(BrokerUnavailable(gone))
                    pending.future.exception()  # whoever abandons a producer need not ask
        self._busy.clear()

    def _futures(self) -> list[asyncio.Future[Placed]]:
        return [p.future for line in self._busy.values() for p in line.unacknowledged()]

    # -- for the cluster -------------------------------------------------------

    def watched_topics(self) -> Iterable[str]:
        """Return the topics that we have written to."""
        return {tp.topic for tp in self._lines}

    def metadata_changed(self) -> None:
        """Give up partitions that do not exist, go on with those that have a leader."""
        self._leave_former_leaders()
        for tp, line in list(self._busy.items()):
            oldest = line.oldest
            if oldest is not None and self._cluster.is_gone(tp):
                self._fail(oldest, self._cluster.why_gone(tp))
        self._schedule_soon()

    def _leave_former_leaders(self) -> None:
        """Send again, elsewhere, what is under way at nodes that do not lead its partition."""
        lost, empty = self._under_way.give_up(self._leader_of)
        for pending in lost:
            self._again(pending, in_doubt=True)
        for node in {request.node for request in empty}:
            if not self._under_way.at(node):  # the connection may be as dead as it is silent
                self._cluster.connections.drop(node, self._lane)

    def _leader_of(self, pending: Pending) -> int | None:
        leader = self._cluster.leader(pending.line.tp)
        return None if leader is None else leader.node

    # -- sending ---------------------------------------------------------------

    def _schedule_soon(self) -> None:
        if not self._scheduled and not self._closed:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._schedule)

    def _schedule(self) -> None:
        self._scheduled = False
        if self._closed or not self._busy:
            return
        if self._tick is None:
            pause = min(1.0, self._options.delivery_timeout / 4)
            self._tick = asyncio.get_running_loop().call_later(pause, self._expire)
        if self._options.idempotent and self._identity is None:
            self._ask_identity()
            return
        for node, lines in self._sendable().items():
            while lines and self._under_way.at(node) < MOST_IN_FLIGHT:
                batches = self._fill_request(lines)
                if batches:
                    self._send(node, batches)
                lines = [line for line in lines if line.can_send]

    def _sendable(self) -> dict[int, list[Line]]:
        nodes: dict[int, list[Line]] = {}
        for tp, line in self._ready():
            if not line.can_send:
                continue
            leader = self._cluster.leader(tp)
            if leader is None:
                self._cluster.refresh_soon()
            elif self._under_way.at(leader.node) < MOST_IN_FLIGHT:
                nodes.setdefault(leader.node, []).append(line)
        return nodes

    def _ready(self) -> Iterable[tuple[TP, Line]]:
        """Return the partitions with batches that may be appended to now."""
        return self._busy.items()

    def _fill_request(self, lines: list[Line]) -> list[Pending]:
        """Take the next batch of each line, as far as they fit into one request."""
        batches: list[Pending] = []
        room = self._options.max_request_bytes
        for line in lines:
            if line.idempotent and line.producer_id < 0:
                assert self._identity is not None
                line.adopt(*self._identity)
            data = line.number_next()
            size = len(data)
            if bool(data[22] & TRANSACTIONAL_BIT) != (self._name is not None):
                self._fail(line.next_waiting, _wrong_builder(line.tp))
            elif size > self._options.max_request_bytes:
                self._refuse_too_large(line, size)
            elif size <= room:
                batches.append(line.take_next())
                room -= size
        # Those that came first wait longest next time.
        for pending in batches:
            self._busy[pending.line.tp] = self._busy.pop(pending.line.tp)
        return batches

    def _refuse_too_large(self, line: Line, size: int) -> None:
        self._fail(
            line.next_waiting,
            MessageTooLarge(
                f"a batch of {size} bytes for {line.tp} exceeds the largest request of "
                f"{self._options.max_request_bytes} bytes (producer_max_request_size)"
            ),
        )

    def _send(self, node: int, batches: list[Pending]) -> None:
        request = Request(node, self._lane, self._clock.monotonic(), batches)
        self._under_way.add(request)
        self._spawn(self._request(request), f"kafka {self._lane} {node}")

    def _spawn(self, work: Any, name: str) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.result()

    async def _request(self, request: Request[Pending]) -> None:
        try:
            answered = await self._ask(request.node, list(request.parts))
        except (*FOREIGN, NotImplementedError) as exc:
            self._cluster.refresh_soon()
            for pending in request.parts:
                if may_be_retried(exc):
                    self._again(pending, in_doubt=True)
                else:
                    self._fail(pending, translated(exc, f"producing to {pending.line.tp}"))
        else:
            for pending in request.parts:  # without those that were given up meanwhile
                self._answered(pending, *answered[pending.line.tp])
        finally:
            self._under_way.remove(request)
            self._schedule_soon()

    async def _ask(
        self, node: int, batches: list[Pending]
    ) -> dict[TP, tuple[int, Placed, str | None]]:
        topics: dict[str, list[tuple[int, Any]]] = {}
        for pending in batches:
            tp = pending.line.tp
            topics.setdefault(tp.topic, []).append((tp.partition, pending.data))
        acks, timeout = self._options.acks, self._cluster.options.request_timeout
        request = ProduceRequest(acks, int(timeout * 1000), list(topics.items()), self._name)
        connections = self._cluster.connections
        if acks == 0:
            await connections.send_unanswered(node, request, lane=self._lane)
            return {pending.line.tp: (NO_ERROR, Placed(-1), None) for pending in batches}
        # A request that outlives its batches would only keep the connection from the next ones.
        left = max(0.5, min(pending.deadline for pending in batches) - self._clock.monotonic())
        answer = await connections.send(node, request, lane=self._lane, timeout=min(timeout, left))
        return {
            TP(topic, p[0]): (p[1], Placed(p[2], p[3], p[4]), p[6])
            for topic, partitions in answer.topics
            for p in partitions
        }

    # -- outcomes --------------------------------------------------------------

    def _answered(self, pending: Pending, code: int, placed: Placed, message: str | None) -> None:
        """Act on the answer for one batch.

        1. Appended, now or by an earlier attempt.
        2. Out of sequence: see `lines`.
        3. It passes by itself, or the leader has moved: again.
        4. Anything else: it failed.
        """
        line = pending.line
        if code in (NO_ERROR, DUPLICATE_SEQUENCE_NUMBER):
            self._appended(pending, placed)
        elif code in OUT_OF_SEQUENCE:
            self._out_of_sequence(pending, code)
        elif code in TOPIC_GONE or may_be_retried(code):
            if code in TOPIC_GONE or code in STALE_METADATA:
                self._cluster.refresh_soon()
            self._again(pending, in_doubt=code in _APPENDED_PERHAPS)
        else:
            self._fail(pending, error_for(code, f"producing to {line.tp}", message))

    def _out_of_sequence(self, pending: Pending, code: int) -> None:
        line = pending.line
        first = line.is_first(pending)
        if first and pending.in_doubt:
            reason = f"{line.tp}: the broker lost track of us; whether it was appended is unknown"
            self._fail(pending, BrokerUnavailable(reason))
        else:
            self._again(pending, in_doubt=False, renumber=first)

    def _appended(self, pending: Pending, placed: Placed) -> None:
        if not pending.line.acknowledge(pending):
            return
        self._backoffs.pop(pending.line.tp, None)
        self._tidy(pending.line)
        if not pending.future.done():
            pending.future.set_result(placed)

    def _again(self, pending: Pending, *, in_doubt: bool, renumber: bool = False) -> None:
        line = pending.line
        if line.give_back(pending, in_doubt=in_doubt, renumber=renumber) and not line.resting:
            line.resting = True
            pause = self._backoffs.setdefault(line.tp, Backoff()).next_seconds()
            asyncio.get_running_loop().call_later(pause, self._rested, line)

    def _rested(self, line: Line) -> None:
        line.resting = False
        self._schedule_soon()

    def _fail(self, pending: Pending, error: Exception) -> None:
        for failed in pending.line.fail(pending):
            if not failed.future.done():
                failed.future.set_exception(error)
        self._tidy(pending.line)

    def _tidy(self, line: Line) -> None:
        if line.is_empty:
            self._busy.pop(line.tp, None)

    def _expire(self) -> None:
        """Give up batches that are too old, with all behind them; look after silent nodes."""
        self._tick = None
        now = self._clock.monotonic()
        if self._under_way.unanswered(now):
            self._cluster.refresh_soon()
        for line in list(self._busy.values()):
            oldest = line.oldest
            if oldest is not None and oldest.deadline <= now:
                late = f"{line.tp}: not acknowledged within {self._options.delivery_timeout:g} s"
                self._fail(oldest, BrokerUnavailable(f"{late}; whether it was appended is unknown"))
        self._schedule_soon()

    # -- who we are ------------------------------------------------------------

    def _ask_identity(self) -> None:
        if not self._asking_identity:
            self._asking_identity = True
            self._spawn(self._get_identity(), f"kafka {self._lane} id")

    async def _get_identity(self) -> None:
        try:
            self._identity = await new_producer_id(self._cluster, lambda: bool(self._busy))
        except BrokerError as exc:
            for line in list(self._busy.values()):
                if line.oldest is not None:
                    self._fail(line.oldest, exc)
        finally:
            self._asking_identity = False
            self._schedule_soon()


def _wrong_builder(tp: TP) -> ImproperlyConfigured:
    return ImproperlyConfigured(
        f"{tp}: a builder for a transactional producer, and no other, is made with "
        "new_builder(transactional=True)"
    )
