"""Sends under exactly once: what an event sends waits for the commit that contains the event.

`ExactOutbox` is the outbox of an app with ``processing_guarantee="exactly_once"``.  What is sent
from inside of an event becomes an `Output`, kept with the event's other effects
(`faust._machines.outputs`), and what is sent when a window has closed with its deletion; the
committer takes those of finished events, lets `pack` put them into
batches, and sends these in its transaction.  Everything else (timers, pages, commands, other
threads, what an agent asks) goes the way of the plain outbox, at once.

Under at least once none of this is there: the outbox is the plain one.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator, Iterable
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from faust._core.at_once import at_once, is_at_once
from faust._core.gathering import gathering
from faust._engine.deliveries import Delivery, FutureMessage, LateMessage, wake
from faust._engine.outbox import MAX_UNDER_WAY, Outbox
from faust._inprogress import InProgress, current_stream
from faust._machines.effects import Effectful
from faust._machines.outputs import EventOutputs
from faust._values import TP, Headers, RecordMetadata
from faust.exceptions import ProducerSendError, UnknownTopic

if TYPE_CHECKING:
    from faust._engine.targets import OutboxTarget
    from faust.transport.producer import Placed

__all__ = ["ExactOutbox", "Output", "Packed"]

_NONE: list[tuple[str, bytes]] = []

#: Bytes, and records, that wait for a commit after which it does not wait for its interval.
PRESSING_BYTES = 4 << 20
PRESSING_RECORDS = 20_000
#: What a record takes besides its key and value, about (bytes).
OVERHEAD = 24

_lock = threading.Lock()


class Output(FutureMessage, eq=False):
    """A message that is sent with the commit of its event.

    Attributes:
        event: What its event has sent.
        size: Its bytes, about.
    """

    event: Any = None
    target: Any = None
    partition: int | None = None
    key: bytes | None = None
    value: bytes | None = None
    headers: Any = None
    size: int = 0
    _waiting: Any = None

    def claim(self) -> None:
        """Somebody wants to know what becomes of it, and so will hear of a failure."""
        self._claimed = True

    @property
    def claimed(self) -> bool:
        """Does somebody deal with its failure?"""
        return self._claimed

    def drop(self) -> None:
        """It is not sent: its event was undone, or its task is over."""
        self.fail(ProducerSendError("its event was taken back, and so it was not sent"))

    def fail(self, error: BaseException) -> None:
        """It will not be delivered."""
        if self.done():
            return
        self.event.forget(self)
        delivery = Delivery(TP(self.target.name, self.partition or 0), None)
        delivery.error = error
        with _lock:
            self._delivery = delivery
        self.tell()

    def unpack(self) -> None:
        """Its transaction was aborted: it has no place any more."""
        if not self.done():
            self._delivery = None

    def tell(self) -> None:
        """Wake who waits; it was delivered, or has failed."""
        with _lock:
            waiting, self._waiting = self._waiting, None
        for fun in waiting or ():
            fun()

    @property
    def awaited(self) -> bool:
        """Does anybody wait for it?"""
        return self._waiting is not None

    def _when_done(self, fun: Callable[[], object], *, claim: bool = True) -> None:
        if claim:
            self.claim()
        with _lock:
            if not self.done():
                self._waiting = [*(self._waiting or ()), fun]
                return
        fun()

    def _refuse_to_wait(self) -> None:
        if not self.event.in_progress or self.done():
            return
        stream = current_stream()
        gathered = gathering()
        inside = stream is not None and stream.inside and stream.task is self.event.run
        if inside or (gathered is not None and gathered.run is self.event.run):
            raise RuntimeError(
                f"a message to {self.target.name!r} is awaited inside of the event that sent it: "
                f"with processing_guarantee='exactly_once' it is sent when the event is finished "
                f"and committed, and so the event would wait for itself. Do not await what send() "
                f"returns; use callback=..., or send from outside of the event"
            )

    def result(self, timeout: float | None = None) -> RecordMetadata:
        """Return where it was put, waiting up to ``timeout`` seconds (not on the event loop).

        Raises:
            RuntimeError: from inside of the event that sent it, which would wait for itself.
            ProducerSendError: it could not be delivered.
            TimeoutError: it is not committed yet.
        """
        self._refuse_to_wait()
        return FutureMessage.result(self, timeout)

    def __await__(self) -> Generator[Any, None, RecordMetadata]:
        self._refuse_to_wait()
        if not self.done():
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._when_done(partial(wake, waiter))
            yield from waiter
        return self._metadata()


class Packed:
    """Outputs in the batches of one transaction.

    Attributes:
        outputs: They, in order.
        deliveries: The batches, in order for each partition.
    """

    def __init__(self, outputs: list[Output]) -> None:
        self.outputs = outputs
        self.deliveries: list[Delivery] = []
        self.since = perf_counter()

    def unpack(self) -> None:
        """The transaction was aborted."""
        for output in self.outputs:
            output.unpack()

    def failed(self, errors: dict[Delivery, BaseException]) -> dict[Output, BaseException]:
        """Return the outputs of the batches that failed."""
        if not errors:
            return {}
        return {o: errors[o._delivery] for o in self.outputs if o._delivery in errors}


class ExactOutbox(Outbox):
    """The outbox of an app whose outputs count exactly once."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._kept = 0
        self._kept_bytes = 0

    # -- what waits for a commit -------------------------------------------------------------

    def keep(self, records: int, size: int) -> None:
        """So much more waits for a commit (less, if negative)."""
        self._kept += records
        self._kept_bytes += size
        self._bytes += size
        if size > 0:
            self.crowded = self._bytes >= MAX_UNDER_WAY
        elif self._bytes < MAX_UNDER_WAY // 2:
            self._make_room()

    @property
    def pressing(self) -> bool:
        """Should a commit not wait for its interval?"""
        return self._kept >= PRESSING_RECORDS or self._kept_bytes >= PRESSING_BYTES

    @property
    def kept(self) -> int:
        """How many messages of finished events wait for a commit."""
        return self._kept

    # -- appending ---------------------------------------------------------------------------

    def append(
        self,
        target: OutboxTarget,
        partition: int | None,
        key: bytes | None,
        value: bytes | None,
        timestamp: float | None,
        headers: Headers | None,
    ) -> FutureMessage:
        """Keep a record with the event in progress; outside of any, send it."""
        stream = current_stream()
        if stream is None or not stream.inside or stream.cursor is None or is_at_once():
            gathered = gathering()
            if gathered is None or is_at_once():
                return Outbox.append(self, target, partition, key, value, timestamp, headers)
            task, noted = gathered.run, gathered.effects.noted
        else:
            task = stream.task
            if task is None or not task.alive:
                stream.check_alive()
            noted = (stream.own_effects if stream.shared else stream.cursor).noted
        if target.partitions:
            found = target.placed.get(key) if partition is None and key is not None else None
            if found is None or self._partitioner is not None:
                partition = self._place(target, partition, key)
            else:
                partition = found
        stamp = self._time_ns() // 1_000_000 if timestamp is None else int(timestamp * 1000)
        event = self._event_in(noted, task) if noted else None
        if event is None:
            event = EventOutputs(task, self)
            noted.append(event)
        size = OVERHEAD + (len(key) if key else 0) + (len(value) if value else 0)
        output = Output(
            None, 0, stamp, False, event, target, partition, key, value, headers, size
        )  # fmt: skip
        event.items.append(output)
        event.size += size
        return output

    def _place(self, target: OutboxTarget, partition: int | None, key: bytes | None) -> int:
        if partition is None:
            if key is None:
                return target.sticky()
            if self._partitioner is not None:
                return target.ask(self._partitioner, key)
            found = target.placed.get(key)
            return target.place(key) if found is None else found
        if not 0 <= partition < target.partitions:
            raise target.no_such(partition)
        return partition

    @staticmethod
    def _event_in(noted: list[Effectful], task: Any) -> EventOutputs | None:
        for each in noted:
            if type(each) is EventOutputs and each.run is task:
                return each
        return None

    def append_soon(
        self,
        target: OutboxTarget,
        partition: int | None,
        key: bytes | None,
        value: bytes | None,
        timestamp: float | None,
        headers: Headers | None,
    ) -> FutureMessage:
        """As `append`, from any thread; what comes from another one goes out at once."""
        waits = _event_stream() is not None or (gathering() is not None and not is_at_once())
        if waits and threading.get_ident() == self.thread:
            return self.append(target, partition, key, value, timestamp, headers)
        return Outbox.append_soon(self, target, partition, key, value, timestamp, headers)

    async def _append_later(self, sent: LateMessage, *args: Any) -> None:
        with at_once():
            await super()._append_later(sent, *args)

    # -- for the committer -------------------------------------------------------------------

    async def find_topics(self, outputs: list[Output]) -> dict[Output, BaseException]:
        """Learn of topics that are not known yet; return the outputs whose topic is not there."""
        missing: dict[Any, BaseException] = {}
        for target in {o.target for o in outputs if o.partition is None}:
            if not target.partitions:
                try:
                    await self.prepare(target)
                except UnknownTopic as exc:
                    missing[target] = exc
        return {o: missing[o.target] for o in outputs if o.target in missing} if missing else {}

    def pack(self, outputs: list[Output]) -> Packed:
        """Put outputs into the batches of a transaction."""
        packed = Packed(outputs)
        deliveries = packed.deliveries
        opened: dict[Any, dict[int, Delivery]] = {}
        for output in outputs:
            target = output.target
            batches = opened.get(target)
            if batches is None:
                batches = opened[target] = {}
            partition = output.partition
            if partition is None:
                partition = output.partition = self._place(target, None, output.key)
            delivery = batches.get(partition)
            if delivery is None:
                delivery = batches[partition] = self._new_delivery(target, partition, deliveries)
            number = delivery.count
            headers = output.headers or _NONE
            builder = delivery.builder
            if builder.append(number, output._stamp, output.key, output.value, headers) is None:
                delivery = batches[partition] = self._new_delivery(target, partition, deliveries)
                number = 0
                delivery.builder.append(0, output._stamp, output.key, output.value, headers)
            delivery.count = number + 1
            output._delivery, output._number = delivery, number
        for delivery in deliveries:
            delivery.size = delivery.builder.size()
        return packed

    def _new_delivery(
        self, target: OutboxTarget, partition: int, deliveries: list[Delivery]
    ) -> Delivery:
        builder = self._new_builder(self._batch_size, self._compression, transactional=True)
        delivery = Delivery(TP(target.name, partition), builder)
        deliveries.append(delivery)
        return delivery

    def delivered(self, packed: Packed, placed: Iterable[Placed]) -> None:
        """The transaction is committed: tell who waits."""
        outputs = packed.outputs
        if not outputs:
            return
        seconds = perf_counter() - packed.since
        with _lock:
            for delivery, place in zip(packed.deliveries, placed, strict=True):
                delivery.settle(place, None)
            awaited = [output for output in outputs if output.awaited]
        self.keep(-len(outputs), -sum(output.size for output in outputs))
        for output in awaited:
            output.tell()
        for delivery in packed.deliveries:
            self.on_delivered(delivery.tp, delivery.count, delivery.size, seconds, None)


def _event_stream() -> InProgress | None:
    """Return the stream of the event that what is sent here and now belongs to, if any."""
    stream = current_stream()
    if stream is None or not stream.inside or stream.cursor is None or is_at_once():
        return None
    return stream
