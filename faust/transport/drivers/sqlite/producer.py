"""Appending batches: numbered for idempotence, in order for each partition, many at a time."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

from faust._values import TP
from faust.exceptions import BrokerUnavailable, FaustError, ImproperlyConfigured, UnknownTopic
from faust.transport.drivers.sqlite.log import Session
from faust.transport.drivers.sqlite.writer import Operation
from faust.transport.producer import Placed, Producer, ProducerOptions, Transaction
from faust.transport.records import TRANSACTIONAL_BIT, Builder

if TYPE_CHECKING:
    from faust.transport.drivers.sqlite.connection import Connection

__all__ = ["Append", "SQLiteProducer"]

#: Seconds that `SQLiteProducer.close` waits for what was handed over.
_CLOSE_TIMEOUT = 5.0


class _Lane:
    """Batches of one partition, handed over one after another.

    Attributes:
        error: Why one of them failed: those behind it fail, too.
        waiting: How many have no answer yet.
    """

    __slots__ = ("error", "waiting")

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.waiting = 0


class Append(Operation[Placed]):
    """One batch under way.

    It is built (and numbered) when it is first tried, on the writer's thread, and keeps its bytes
    from then on: tried again after an unknown outcome, it is recognised.
    """

    __slots__ = ("broke_lane", "builder", "data", "deadline", "lane", "producer", "tp")

    def __init__(
        self,
        producer: SQLiteProducer,
        tp: TP,
        builder: Builder,
        lane: _Lane,
        future: asyncio.Future[Placed],
        deadline: float,
    ) -> None:
        super().__init__(self.append, future, builder.size())
        self.producer = producer
        self.tp = tp
        self.builder = builder
        self.lane = lane
        self.deadline = deadline
        self.data: bytearray | None = None
        self.broke_lane = False

    def append(self, session: Session) -> Placed:
        if self.lane.error is not None:
            raise self.lane.error
        known = self.producer.known
        try:
            if self.tp.topic in known and session.find(self.tp) is None:
                # As on Kafka: a topic is made before the first record, not for every later one.
                raise UnknownTopic(f"there is no partition {self.tp} any more")
            if self.data is None:
                self.data = self.producer.build(session, self.tp, self.builder)
            placed = self.producer.append(session, self.tp, self.data)
            known.add(self.tp.topic)
            return placed
        except FaustError as error:
            self.lane.error, self.broke_lane = error, True
            raise

    def undo(self) -> None:
        if self.broke_lane:
            self.lane.error, self.broke_lane = None, False

    def fail(self, error: BaseException) -> None:
        super().fail(error)
        if self.lane.error is None:
            self.lane.error = error

    def deliver(self) -> None:
        super().deliver()
        self.producer.delivered(self)


class SQLiteProducer(Producer):
    """Appends record batches to the file."""

    def __init__(self, connection: Connection, options: ProducerOptions) -> None:
        self.options = options
        self._connection = connection
        self._producer_id = -1
        self.epoch = 0
        self._lanes: dict[TP, _Lane] = {}
        #: Topics that were there when we wrote to them (the writer's thread's).
        self.known: set[str] = set()
        self._waiting: dict[Append, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"<SQLiteProducer {self._producer_id}: {len(self._waiting)} batches under way>"

    @property
    def producer_id(self) -> int:
        return self._producer_id

    # -- producing -----------------------------------------------------------------------------

    def produce(self, tp: TP, builder: Builder) -> asyncio.Future[Placed]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Placed] = loop.create_future()
        if self._closed:
            future.set_exception(BrokerUnavailable("this producer is closed"))
            return future
        if self._producer_id < 0 and self.options.idempotent:
            # 62 random bits: unique without asking the file, which may be locked just now.
            self._producer_id = uuid.uuid4().int >> 66
        lane = self._lanes.get(tp)
        if lane is None:
            lane = self._lanes[tp] = _Lane()
        lane.waiting += 1
        deadline = loop.time() + self.options.delivery_timeout
        append = Append(self, tp, builder, lane, future, deadline)
        self._waiting[append] = None
        if self._timer is None:
            self._timer = loop.call_at(deadline, self._expire)
        self._connection.writer.submit(append)
        if self.options.acks:
            return future
        future.add_done_callback(_unheard)
        return _unanswered(loop)

    async def flush(self) -> None:
        waiting = [append.future for append in self._waiting]
        if waiting:
            await asyncio.wait(waiting)

    async def begin(self) -> Transaction:
        raise ImproperlyConfigured("a transaction needs a transactional_id")

    def delivered(self, append: Append) -> None:
        """The future of a batch has its answer."""
        if append not in self._waiting:
            return
        del self._waiting[append]
        lane = append.lane
        lane.waiting -= 1
        if (lane.error is not None or not lane.waiting) and self._lanes.get(append.tp) is lane:
            # What is handed over from now on is a new beginning.
            del self._lanes[append.tp]

    # -- on the writer's thread ------------------------------------------------------------------

    def build(self, session: Session, tp: TP, builder: Builder) -> bytearray:
        """Build a batch that carries the next sequence numbers of its partition."""
        if self.options.idempotent:
            sequence = session.next_sequence(tp, self._producer_id, self.epoch)
            builder.set_producer_state(self._producer_id, self.epoch, sequence)
        data = builder.build()
        if bool(data[22] & TRANSACTIONAL_BIT) != (self.options.transactional_id is not None):
            raise ImproperlyConfigured(
                f"{tp}: a builder for a transactional producer, and no other, is made with "
                "new_builder(transactional=True)"
            )
        return data

    def append(self, session: Session, tp: TP, data: bytearray) -> Placed:
        """Append what was built."""
        return session.append(tp, data)

    # -- the end -----------------------------------------------------------------------------

    def _expire(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        for append in list(self._waiting):
            if append.deadline > loop.time():
                self._timer = loop.call_at(append.deadline, self._expire)
                return
            self._give_up(append, self._connection.writer.locked(self.options.delivery_timeout))

    def _give_up(self, append: Append, error: FaustError) -> None:
        append.abandoned = True
        append.fail(error)
        append.deliver()

    async def close(self) -> None:
        self._closed = True
        waiting = [append.future for append in self._waiting]
        if waiting:
            await asyncio.wait(waiting, timeout=_CLOSE_TIMEOUT)
        self.abandon()

    def abandon(self) -> None:
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for append in list(self._waiting):
            self._give_up(append, BrokerUnavailable("this producer was stopped"))


def _unheard(future: asyncio.Future[Placed]) -> None:
    """Take note of a failure that nobody asks for."""
    if not future.cancelled():
        future.exception()


def _unanswered(loop: asyncio.AbstractEventLoop) -> asyncio.Future[Placed]:
    """Return the answer to somebody who wants none (``acks=0``)."""
    future: asyncio.Future[Placed] = loop.create_future()
    future.set_result(Placed(-1))
    return future
