"""Producing to the memory broker, in order and idempotently; transactions."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

from faust._machines.log import SEQUENCES
from faust._machines.transactions import Ended
from faust._values import TP
from faust.exceptions import (
    BrokerError,
    BrokerUnavailable,
    ImproperlyConfigured,
    MessageTooLarge,
    TransactionAborted,
)
from faust.transport.drivers.memory.connection import Connection
from faust.transport.drivers.memory.membership import MemoryMembership
from faust.transport.membership import Commit, Membership
from faust.transport.producer import Placed, Producer, ProducerOptions, Transaction
from faust.transport.records import TRANSACTIONAL_BIT, Builder
from faust.transport.transactions import OneTransaction

__all__ = ["MemoryProducer", "MemoryTransaction"]

#: Seconds that `Producer.close` sends for.
CLOSE_TIMEOUT = 5.0


class Waiting(NamedTuple):
    """A batch that was handed over and is not appended yet."""

    tp: TP
    data: bytearray
    future: asyncio.Future[Placed]
    transaction: MemoryTransaction | None


class MemoryProducer(Producer):
    """Appends at once while nothing is wrong; with faults about, batch by batch in a task."""

    def __init__(self, client: Connection, options: ProducerOptions) -> None:
        self._client = client
        self._broker = client.broker
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._producer_id = self._epoch = -1
        self._sequences: dict[TP, int] = {}
        self._known: set[str] = set()
        self._queue: deque[Waiting] = deque()
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False
        self._open: MemoryTransaction | None = None
        self._needs_epoch = False

    @property
    def producer_id(self) -> int:
        """The idempotent producer's id; -1 before the first batch."""
        return self._producer_id

    # -- appending ---------------------------------------------------------------------

    def produce(self, tp: TP, builder: Builder) -> asyncio.Future[Placed]:
        """Append the batch; the future tells where."""
        if self._options.transactional_id is not None:
            raise ImproperlyConfigured("a transactional producer produces inside a transaction")
        return self.hand_over(tp, builder, None)

    def hand_over(
        self, tp: TP, builder: Builder, transaction: MemoryTransaction | None
    ) -> asyncio.Future[Placed]:
        """Append or queue a batch, inside of a transaction or not."""
        future: asyncio.Future[Placed] = self._loop.create_future()
        waiting = Waiting(tp, self._sealed(tp, builder), future, transaction)
        if self._is_closed:
            future.set_exception(BrokerUnavailable("the producer is closed"))
            return future
        if self._queue or self._broker.faults.is_armed:
            self._enqueue(waiting)
            return future
        try:
            future.set_result(self._append(waiting))
        except BrokerError as error:
            self._fail(waiting, error)
        return future

    def _sealed(self, tp: TP, builder: Builder) -> bytearray:
        # The producer's id and the sequence number become part of the bytes and of their CRC.
        if self._options.idempotent or self._options.transactional_id is not None:
            if self._producer_id < 0:
                self._producer_id, self._epoch = self._broker.next_number(), 0
            sequence = self._sequences.get(tp, 0)
            builder.set_producer_state(self._producer_id, self._epoch, sequence)
            data = builder.build()
            if bool(data[22] & TRANSACTIONAL_BIT) != (self._options.transactional_id is not None):
                raise ImproperlyConfigured(
                    f"{tp}: a builder for a transactional producer, and no other, is made with "
                    "new_builder(transactional=True)"
                )
            self._sequences[tp] = (sequence + int.from_bytes(data[57:61], "big")) % SEQUENCES
            return data
        return builder.build()

    def _append(self, waiting: Waiting) -> Placed:
        tp, data = waiting.tp, waiting.data
        if len(data) > self._options.max_request_bytes:
            raise MessageTooLarge(
                f"{tp}: a batch of {len(data)} bytes; max_request_bytes is "
                f"{self._options.max_request_bytes}"
            )
        with self._broker.lock:
            # A topic that was there and is deleted is not made again for one more record.
            created = 0 if tp.topic in self._known else self._client.options.default_partitions
            log = self._broker.log(tp, created)
            self._known.add(tp.topic)
            if waiting.transaction is not None:
                waiting.transaction.add_partition(tp)
            producer = (
                int.from_bytes(data[43:51], "big", signed=True),
                int.from_bytes(data[51:53], "big", signed=True),
                int.from_bytes(data[53:57], "big", signed=True),
            )
            placed = self._broker.append(log, data, producer, waiting.transaction is not None)
        return Placed(-1) if self._options.acks == 0 else placed

    # -- with faults about ---------------------------------------------------------------

    def _enqueue(self, waiting: Waiting) -> None:
        self._queue.append(waiting)
        if self._task is None:
            self._task = self._loop.create_task(self._work_off(), name="memory-producer")

    async def _work_off(self) -> None:
        while self._queue:
            waiting = self._queue[0]
            try:
                placed = await self._client.call(
                    "produce",
                    waiting.tp,
                    lambda waiting=waiting: self._append(waiting),  # type: ignore[misc]
                    self._options.delivery_timeout,
                )
            except BrokerError as error:
                self._queue.popleft()
                self._fail(waiting, error)
            else:
                self._queue.popleft()
                if not waiting.future.done():
                    waiting.future.set_result(placed)
        self._task = None

    def _fail(self, waiting: Waiting, error: BrokerError) -> None:
        # Whatever else of the partition was handed over fails, too; a new id starts new sequences.
        later = [other for other in self._queue if other.tp == waiting.tp]
        for lost in (waiting, *later):
            if not lost.future.done():
                lost.future.set_exception(error)
            if lost.transaction is not None:
                lost.transaction.fail(error)
                lost.future.exception()  # the transaction itself will tell
        self._queue = deque(other for other in self._queue if other.tp != waiting.tp)
        if self._options.transactional_id is None:
            self._renew()

    def _renew(self) -> None:
        if not self._options.idempotent:
            return
        self._producer_id, self._epoch = self._broker.next_number(), 0
        self._sequences.clear()

    async def flush(self) -> None:
        """Wait until everything handed over so far is appended or has failed."""
        waiting = [item.future for item in self._queue]
        if waiting:
            await asyncio.wait(waiting)

    async def close(self) -> None:
        """Send what was handed over, for a few seconds at most, then stop."""
        waiting = [item.future for item in self._queue]
        if waiting:
            await asyncio.wait(waiting, timeout=CLOSE_TIMEOUT)
        self.abandon()

    def abandon(self) -> None:
        """Stop at once; waiting futures fail."""
        self._is_closed = True
        if self._task is not None:
            self._task.cancel()
            self._task = None
        for waiting in self._queue:
            if not waiting.future.done():
                waiting.future.set_exception(BrokerUnavailable("the producer was abandoned"))
                waiting.future.exception()  # nobody need look
        self._queue.clear()

    # -- transactions --------------------------------------------------------------------

    async def begin(self) -> Transaction:
        """Open a transaction."""
        name = self._options.transactional_id
        if name is None:
            raise ImproperlyConfigured("a transaction needs a transactional_id")
        if self._open is not None:
            raise ImproperlyConfigured(f"a transaction of {name!r} is open already")
        await self._client.call("begin", name, lambda: self._initialize(name))
        self._open = MemoryTransaction(self, self._client, name, self._epoch)
        return self._open

    def _initialize(self, name: str) -> None:
        transactions = self._broker.transactions
        if self._producer_id < 0:
            found = transactions.initialize(name, self._options.transaction_timeout)
            self._producer_id, self._epoch = found.producer_id, found.epoch
            return
        epoch = transactions.find(name).resume(self._epoch)
        if self._needs_epoch:
            epoch = transactions.renew(name, epoch)
            self._needs_epoch = False
        if epoch != self._epoch:
            self._epoch = epoch
            self._sequences.clear()

    def on_ended(self, *, is_clean: bool) -> None:
        """The open transaction is over; if not cleanly, `begin` makes sure, with a new epoch."""
        self._open = None
        self._needs_epoch = self._needs_epoch or not is_clean

    def drop(self) -> bool:
        """Forget what was handed over and not appended; return whether there was anything."""
        dropped, self._queue = list(self._queue), deque()
        if self._task is not None:
            self._task.cancel()
            self._task = None
        for waiting in dropped:
            if not waiting.future.done():
                waiting.future.set_exception(TransactionAborted("the transaction was aborted"))
                waiting.future.exception()  # who aborts need not ask
        return bool(dropped)


class MemoryTransaction(OneTransaction):
    """One open transaction."""

    def __init__(self, producer: MemoryProducer, client: Connection, name: str, epoch: int) -> None:
        super().__init__(name)
        self._producer = producer
        self._client = client
        self._broker = client.broker
        self._epoch = epoch

    def hand_over(self, tp: TP, builder: Builder) -> asyncio.Future[Placed]:
        """Append the batch inside of the transaction."""
        return self._producer.hand_over(tp, builder, self)

    def add_partition(self, tp: TP) -> None:
        """Take a partition into the transaction, before the first batch for it."""
        now = self._broker.now()
        self._broker.transactions.find(self.name).add_partitions(self._epoch, [tp], now)
        self._broker.hurry()

    async def add_offsets(
        self, membership: Membership, offsets: Mapping[TP, Commit], generation: int | None
    ) -> None:
        """Let these offsets be committed with the transaction."""
        if not isinstance(membership, MemoryMembership):
            raise ImproperlyConfigured("the membership is of another transport")

        def effect() -> None:
            found = self._broker.transactions.find(self.name)
            found.check(self._epoch)
            group_id = membership.check_transactional(generation)
            refused = self._broker.groups.refused(offsets)
            if refused:
                raise next(iter(refused.values()))
            found.add_offsets(self._epoch, group_id, offsets, self._broker.now())
            self._broker.hurry()

        await self._client.call("txn_offsets", self.name, effect)

    async def flush(self) -> None:
        """Wait until everything handed over is appended or has failed."""
        await self._producer.flush()

    async def discard(self) -> None:
        """Give up what is not appended."""
        if self._producer.drop():
            self.fail(TransactionAborted("batches were dropped"))

    async def end(self, *, commit: bool) -> None:
        """Let the broker end it."""

        def effect() -> None:
            transactions = self._broker.transactions
            ended: Ended = transactions.find(self.name).end(self._epoch)
            transactions.finish(ended, commit=commit)

        await self._client.call("txn_commit" if commit else "txn_abort", self.name, effect)

    def on_over(self) -> None:
        """It is over: cleanly, if nothing in it has failed."""
        self._producer.drop()
        self._producer.on_ended(is_clean=self.failure is None)
