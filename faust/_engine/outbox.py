"""Sends: open batches, the batches under way, and who waits for them.

A record is appended to the open batch of its partition in the calling thread; what crosses to the
I/O loop is a whole batch.  A batch is handed over when it is full, when the linger time has passed,
or at the loop's next turn where nothing of its partition is under way: under load, batches fill
while their predecessors travel, and a single record leaves at once.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from faust._core.partitioner import partition_for
from faust._values import TP, Headers, RecordMetadata
from faust.exceptions import BrokerError, NotReady, ProducerSendError

if TYPE_CHECKING:
    from faust._core.clock import Clock
    from faust._core.threads import Bridge
    from faust.transport.base import Placed, Producer
    from faust.transport.records import Builder

__all__ = ["Delivery", "FutureMessage", "Outbox", "OutboxTarget"]

#: Keys whose partition is remembered for each topic.
PLACED_KEYS = 50_000

_NONE: list[tuple[str, bytes]] = []

#: Bytes under way above which senders wait.
MAX_UNDER_WAY = 32 << 20


class OutboxTarget:
    """One topic that is sent to.

    Attributes:
        name: Its name.
        partitions: How many there are; 0 until the broker was asked.
        topic_id: The broker's id of it, "" until known.
    """

    __slots__ = (
        "name",
        "next_partition",
        "open",
        "partitions",
        "placed",
        "topic_id",
        "under_way",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.partitions = 0
        self.topic_id = ""
        #: Key -> partition, of keys seen lately.
        self.placed: dict[bytes, int] = {}
        self.open: dict[int, Delivery] = {}
        self.under_way: dict[int, int] = {}
        self.next_partition = 0


class Delivery:
    """One batch: being filled, under way, delivered or failed.

    Attributes:
        tp: Where to.
        claims: Of how many of its records has somebody asked what became of them?
    """

    __slots__ = (
        "_callbacks",
        "builder",
        "claims",
        "count",
        "error",
        "handed_at",
        "placed",
        "size",
        "tp",
    )

    def __init__(self, tp: TP, builder: Builder | None) -> None:
        self.tp = tp
        #: A `Builder` while it is open, then ``None``.
        self.builder: Any = builder
        self.count = 0
        self.size = 0
        #: When it was handed to the producer.
        self.handed_at = 0.0
        self.placed: Placed | None = None
        self.error: BaseException | None = None
        self.claims = 0
        self._callbacks: deque[Callable[[], object]] = deque()

    def done(self) -> bool:
        """Is it delivered, or has it failed?"""
        return self.placed is not None or self.error is not None

    def when_done(self, fun: Callable[[], object]) -> None:
        """Call ``fun`` then (at once, if it is done); from any thread."""
        self._callbacks.append(fun)
        if self.done():
            self._tell()

    def settle(self, placed: Placed | None, error: BaseException | None) -> None:
        """Say what became of it."""
        self.placed, self.error = placed, error
        self._tell()

    def _tell(self) -> None:
        """Call each once, whoever is first: this thread, or the one that has settled it."""
        callbacks = self._callbacks
        while callbacks:
            try:
                fun = callbacks.popleft()
            except IndexError:
                return
            fun()


class FutureMessage(msgspec.Struct, eq=False):
    """A record on its way.

    May be awaited in any event loop; a thread without one asks ``result(timeout)``.  (A struct
    of msgspec, because one is made for every record, and that costs a third of a Python class.)
    """

    _delivery: Delivery | None
    _number: int
    _stamp: int
    _claimed: bool = False

    def claim(self) -> None:
        """Somebody wants to know what becomes of it, and so will hear of a failure."""
        if not self._claimed and self._delivery is not None:
            self._claimed = True
            self._delivery.claims += 1

    def done(self) -> bool:
        """Is it delivered, or has it failed?"""
        return self._delivery is not None and self._delivery.done()

    def exception(self) -> BaseException | None:
        """Return why it failed, if it did."""
        if self._delivery is None or self._delivery.error is None:
            return None
        self.claim()
        return self._send_error(self._delivery.error)

    def peek_error(self) -> BaseException | None:
        """Return why it failed, if it did, without being the one who deals with it."""
        return None if self._delivery is None else self._delivery.error

    def peek_metadata(self) -> RecordMetadata:
        """Return where it was put; it must have been delivered."""
        return self._metadata(claim=False)

    @staticmethod
    def _send_error(error: BaseException) -> ProducerSendError:
        failure = ProducerSendError(f"the message was not delivered: {error}")
        failure.__cause__ = error
        return failure

    def _metadata(self, *, claim: bool = True) -> RecordMetadata:
        delivery = self._delivery
        assert delivery is not None
        if claim:
            self.claim()
        if delivery.error is not None:
            raise self._send_error(delivery.error)
        placed = delivery.placed
        assert placed is not None
        offset = -1 if placed.base_offset < 0 else placed.base_offset + self._number
        stamped = placed.append_time >= 0
        return RecordMetadata(
            delivery.tp.topic,
            delivery.tp.partition,
            delivery.tp,
            offset,
            (placed.append_time if stamped else self._stamp) / 1000.0,
            1 if stamped else 0,
        )

    def result(self, timeout: float | None = None) -> RecordMetadata:
        """Return where it was put, waiting up to ``timeout`` seconds (not on the event loop).

        Raises:
            ProducerSendError: it could not be delivered.
            TimeoutError: it is still under way.
        """
        if not self.done():
            event = threading.Event()
            self._when_done(event.set)
            if not event.wait(timeout):
                raise TimeoutError("the message is still under way")
        return self._metadata()

    def add_done_callback(self, fun: Callable[[Any], object]) -> None:
        """Call ``fun(self)`` when it is delivered or has failed."""

        def call() -> None:
            result = fun(self)
            if asyncio.iscoroutine(result):
                _keep(asyncio.ensure_future(result))

        self._when_done(call, claim=False)

    def _when_done(self, fun: Callable[[], object], *, claim: bool = True) -> None:
        delivery = self._delivery
        assert delivery is not None
        if claim:
            self.claim()
        delivery.when_done(fun)

    def __await__(self) -> Generator[Any, None, RecordMetadata]:
        if not self.done():
            waiter = asyncio.get_running_loop().create_future()
            self._when_done(partial(_wake, waiter))
            yield from waiter
        return self._metadata()

    def __repr__(self) -> str:
        failed = self._delivery is not None and self._delivery.error is not None
        state = "under way" if not self.done() else "failed" if failed else "delivered"
        return f"<FutureMessage {state}>"


def _wake(waiter: asyncio.Future[None]) -> None:
    """Let who waits go on, in the event loop that it waits in."""
    loop = waiter.get_loop()
    if loop is asyncio._get_running_loop():
        if not waiter.done():
            waiter.set_result(None)
    elif not loop.is_closed():
        loop.call_soon_threadsafe(_wake, waiter)


class LateMessage(FutureMessage, eq=False):
    """A record that has no place in a batch yet: sent from another thread, or before the start."""

    _lock: Any = msgspec.field(default_factory=threading.Lock)
    _waiting: list[tuple[Callable[[], object], bool]] = msgspec.field(default_factory=list)

    def bind(self, other: FutureMessage) -> None:
        """It has got its place."""
        with self._lock:
            self._number, self._stamp = other._number, other._stamp
            self._delivery = other._delivery
            waiting, self._waiting = self._waiting, []
        for fun, claim in waiting:
            FutureMessage._when_done(self, fun, claim=claim)

    def fail(self, error: BaseException) -> None:
        """It got no place in any batch."""
        delivery = Delivery(TP("", 0), None)
        delivery.error = error
        self.bind(FutureMessage(delivery, 0, 0))

    def _when_done(self, fun: Callable[[], object], *, claim: bool = True) -> None:
        with self._lock:
            if self._delivery is None:
                self._waiting.append((fun, claim))
                return
        FutureMessage._when_done(self, fun, claim=claim)


_Closed: TypeAlias = "tuple[OutboxTarget, Delivery, Builder]"
_Settled: TypeAlias = "tuple[OutboxTarget, Delivery, Placed | None, BaseException | None]"

_kept: set[Any] = set()


def _keep(task: Any) -> None:
    """Hold a callback's task until it is done; the event loop itself does not."""
    _kept.add(task)
    task.add_done_callback(_kept.discard)


class Outbox:
    """Everything this app sends.

    Arguments:
        clock: For timestamps.
        linger: Seconds that a record waits at most for others to share its batch.
        batch_size: Bytes of a batch.
        compression: Codec, or ``None``.
        describe: Coroutine function: topic name -> (partitions, topic id), asking the broker.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        linger: float,
        batch_size: int,
        compression: str | None,
        describe: Callable[[str], Any],
        partitioner: Callable[..., int] | None = None,
    ) -> None:
        self._clock = clock
        self._time_ns = clock.time_ns
        self._linger = linger
        self._batch_size = batch_size
        self._compression = compression
        self._describe = describe
        self._partitioner = partitioner
        self._targets: dict[str, OutboxTarget] = {}
        self._bridge: Bridge | None = None
        self._producer: Producer | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        #: Whose loop it is: who else appends goes through `append_soon`.
        self.thread = 0
        self._waiting: dict[Delivery, None] = {}
        self._bytes = 0
        #: Is so much under way that senders should wait?
        self.crowded = False
        #: May records be appended?
        self.open = False
        self._room: list[asyncio.Future[None]] = []
        self._flush_soon: list[tuple[OutboxTarget, int]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._failed: BaseException | None = None
        #: The same, on the I/O loop, where it is known first.
        self._broken: BaseException | None = None
        self._settled: list[_Settled] = []
        self._early: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        #: Called with (partition, records, bytes, seconds, error) for each batch.
        self.on_delivered: Callable[[TP, int, int, float, BaseException | None], None] = _ignore
        #: Called with how many batches were handed over at once.
        self.on_handed_over: Callable[[int], None] = _ignore_number
        from faust.transport.records import new_builder

        self._new_builder = new_builder

    def start(self, bridge: Bridge, producer: Producer) -> None:
        """Begin to send; what was given to `append_soon` before goes out now."""
        self._bridge, self._producer = bridge, producer
        self._loop = asyncio.get_running_loop()
        self.thread = threading.get_ident()
        self.open = True
        with self._lock:
            early, self._early = self._early, []
        for send in early:
            send()

    @property
    def started(self) -> bool:
        """Can records be appended?"""
        return self._producer is not None

    def target(self, topic: str) -> OutboxTarget:
        """Return the target of that name, made on first use."""
        target = self._targets.get(topic)
        if target is None:
            target = self._targets.setdefault(topic, OutboxTarget(topic))
        return target

    async def prepare(self, target: OutboxTarget) -> None:
        """Ask the broker for the target's partitions."""
        self.learn(target.name, *await self._describe(target.name))

    def forget(self, topic: str) -> None:
        """Nothing more is sent to this topic, as far as is known."""
        target = self._targets.get(topic)
        if target is not None and not target.open and not any(target.under_way.values()):
            del self._targets[topic]

    def learn(self, topic: str, partitions: int, topic_id: str) -> None:
        """Note what is known of a topic."""
        target = self.target(topic)
        if partitions != target.partitions:
            target.placed.clear()
        target.partitions, target.topic_id = partitions, topic_id

    # -- appending (hot for agents that send) -----------------------------------------------

    def append(
        self,
        target: OutboxTarget,
        partition: int | None,
        key: bytes | None,
        value: bytes | None,
        timestamp: float | None,
        headers: Headers | None,
    ) -> FutureMessage:
        """Put a record into the open batch of its partition (on the app's loop only)."""
        if partition is None:
            if key is None:
                partition = self._sticky(target)
            elif self._partitioner is None:
                partition = target.placed.get(key)
                if partition is None:
                    partition = self._place(target, key)
            else:
                everyone = list(range(target.partitions))
                partition = self._partitioner(key, everyone, everyone)
        elif not 0 <= partition < target.partitions:
            raise ValueError(
                f"topic {target.name!r} has no partition {partition} (it has {target.partitions})"
            )
        stamp = self._time_ns() // 1_000_000 if timestamp is None else int(timestamp * 1000)
        delivery = target.open.get(partition)
        if delivery is None:
            delivery = self._open(target, partition)
        number = delivery.count
        if delivery.builder.append(number, stamp, key, value, headers or _NONE) is None:
            self._close(target, partition)
            delivery = self._open(target, partition)
            number = 0
            delivery.builder.append(0, stamp, key, value, headers or _NONE)
        delivery.count = number + 1
        return FutureMessage(delivery, number, stamp)

    def watch(self, hooks: Any, producer: Any) -> None:
        """Tell these hooks of every record; ``None``: of none (and nothing is paid for it)."""
        self.__dict__.pop("append", None)
        if hooks is None:
            return
        append = self.append

        def watched(
            target: OutboxTarget,
            partition: int | None,
            key: bytes | None,
            value: bytes | None,
            timestamp: float | None,
            headers: Headers | None,
        ) -> FutureMessage:
            sent = append(target, partition, key, value, timestamp, headers)
            hooks.sent(producer, target.name, sent, key, value)
            return sent

        self.__dict__["append"] = watched

    def choose(self, target: OutboxTarget, key: bytes | None) -> int:
        """Return the partition that a record with this key goes to, as things stand.

        Raises:
            NotReady: nobody has asked the broker yet how many there are.
        """
        if not target.partitions:
            raise NotReady(
                f"it is not known yet how many partitions topic {target.name!r} has: send to it "
                f"once with `await topic.send(...)`, or `await topic.declare()`, before"
            )
        if key is None:
            return self._sticky(target)
        if self._partitioner is None:
            return partition_for(key, target.partitions)
        everyone = list(range(target.partitions))
        return self._partitioner(key, everyone, everyone)

    @staticmethod
    def _place(target: OutboxTarget, key: bytes) -> int:
        """Return the partition of a key, and remember it: hashing costs more than all the rest."""
        partition = partition_for(key, target.partitions)
        if len(target.placed) >= PLACED_KEYS:
            target.placed.clear()
        target.placed[key] = partition
        return partition

    def _sticky(self, target: OutboxTarget) -> int:
        """Records without a key: one batch to one partition, the next to the next (KIP-480)."""
        partition = target.next_partition % target.partitions
        if partition not in target.open:
            target.next_partition = partition = (partition + 1) % target.partitions
        return partition

    def _open(self, target: OutboxTarget, partition: int) -> Delivery:
        builder = self._new_builder(self._batch_size, self._compression)
        delivery = Delivery(TP(target.name, partition), builder)
        target.open[partition] = delivery
        self._waiting[delivery] = None
        loop = self._loop
        assert loop is not None
        if not target.under_way.get(partition):
            if not self._flush_soon:
                loop.call_soon(self._flush_idle)
            self._flush_soon.append((target, partition))
        if self._timer is None:
            self._timer = loop.call_later(self._linger, self._flush_lingering)
        return delivery

    def _flush_idle(self) -> None:
        waiting, self._flush_soon = self._flush_soon, []
        self._close_all(
            (target, partition)
            for target, partition in waiting
            if partition in target.open and not target.under_way.get(partition)
        )

    def _flush_lingering(self) -> None:
        self._timer = None
        self.flush_open()

    def flush_open(self) -> None:
        """Hand over every open batch now."""
        self._close_all(
            (target, partition)
            for target in self._targets.values()
            for partition in list(target.open)
        )

    def _close_all(self, places: Iterable[tuple[OutboxTarget, int]]) -> None:
        """Hand over the open batches of these partitions, with one wake-up of the other loop."""
        batches = [self._take(target, partition) for target, partition in places]
        if batches:
            assert self._bridge is not None
            self._bridge.post_io(self._hand_over, batches)
            self.on_handed_over(len(batches))

    def _close(self, target: OutboxTarget, partition: int) -> None:
        self._close_all(((target, partition),))

    def _take(self, target: OutboxTarget, partition: int) -> _Closed:
        delivery = target.open.pop(partition)
        builder, delivery.builder = delivery.builder, None
        assert builder is not None
        delivery.size = builder.size()
        delivery.handed_at = perf_counter()
        self._bytes += delivery.size
        self.crowded = self._bytes >= MAX_UNDER_WAY
        target.under_way[partition] = target.under_way.get(partition, 0) + 1
        return target, delivery, builder

    # -- on the I/O loop -----------------------------------------------------------------

    def _hand_over(self, batches: list[_Closed]) -> None:
        for target, delivery, builder in batches:
            if self._producer is None:
                self._done(target, delivery, None, ProducerSendError("the app is stopping"))
                continue
            if self._broken is not None:
                self._done(target, delivery, None, self._broken)
                continue
            future = self._producer.produce(delivery.tp, builder)
            future.add_done_callback(partial(self._produced, target, delivery))

    def _produced(
        self, target: OutboxTarget, delivery: Delivery, future: asyncio.Future[Placed]
    ) -> None:
        if future.cancelled():
            self._done(target, delivery, None, ProducerSendError("the app was stopped"))
        elif (error := future.exception()) is not None:
            self._done(target, delivery, None, error)
        else:
            self._done(target, delivery, future.result(), None)

    def _done(
        self,
        target: OutboxTarget,
        delivery: Delivery,
        placed: Placed | None,
        error: BaseException | None,
    ) -> None:
        if error is not None and delivery.claims < delivery.count:
            # Nothing may overtake what is missing: whoever reads what was forwarded takes the
            # highest source offset for the last one.
            self._broken = self._broken or error
        self._collect(target, delivery, placed, error)

    def _collect(
        self,
        target: OutboxTarget,
        delivery: Delivery,
        placed: Placed | None,
        error: BaseException | None,
    ) -> None:
        """Collect what this turn of the I/O loop settles: one wake-up of the main loop for all."""
        if not self._settled:
            asyncio.get_running_loop().call_soon(self._post_settled)
        self._settled.append((target, delivery, placed, error))

    def _post_settled(self) -> None:
        settled, self._settled = self._settled, []
        assert self._bridge is not None
        self._bridge.post_main(self._settle_all, settled)

    # -- back on the main loop -------------------------------------------------------------

    def _settle_all(self, settled: list[_Settled]) -> None:
        self._close_all([place for each in settled if (place := self._settle(*each)) is not None])
        if self._bytes < MAX_UNDER_WAY // 2:
            self.crowded = False
            waiters, self._room = self._room, []
            for waiter in waiters:
                _wake(waiter)

    def _settle(
        self,
        target: OutboxTarget,
        delivery: Delivery,
        placed: Placed | None,
        error: BaseException | None,
    ) -> tuple[OutboxTarget, int] | None:
        """Note what became of a batch; return its partition if the next one may go now."""
        self._waiting.pop(delivery, None)
        self._bytes -= delivery.size
        partition = delivery.tp.partition
        target.under_way[partition] -= 1
        delivery.settle(placed, error)
        if error is not None and delivery.claims < delivery.count:
            self._failed = self._failed or error
        seconds = perf_counter() - delivery.handed_at
        self.on_delivered(delivery.tp, delivery.count, delivery.size, seconds, error)
        if partition in target.open and not target.under_way[partition]:
            return target, partition
        return None

    # -- waiting ---------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Is nothing open or under way?"""
        return not self._waiting

    async def room(self) -> None:
        """Wait until there is less under way."""
        while self.crowded:
            waiter = asyncio.get_running_loop().create_future()
            self._room.append(waiter)
            if self.crowded:  # another thread may have made room since
                await waiter

    async def barrier(self) -> None:
        """Wait until everything appended before this call is durable.

        Raises:
            ProducerSendError: some of it could not be delivered, and nobody has asked for it.
        """
        self.flush_open()
        waiting = [d for d in self._waiting if not d.done()]
        if waiting:
            loop = asyncio.get_running_loop()
            left = len(waiting)
            ready = loop.create_future()

            def one_done() -> None:
                nonlocal left
                left -= 1
                if not left and not ready.done():
                    ready.set_result(None)

            for delivery in waiting:
                delivery.when_done(one_done)
            await ready
        if self._failed is not None:
            # It stays so: what the events had sent is missing for good, and no later commit may say
            # that they are handled.
            error = self._failed
            retry = " (the broker may be away)" if isinstance(error, BrokerError) else ""
            raise ProducerSendError(f"messages could not be delivered{retry}: {error}") from error

    # -- from other threads ------------------------------------------------------------------

    def append_soon(
        self,
        target: OutboxTarget,
        partition: int | None,
        key: bytes | None,
        value: bytes | None,
        timestamp: float | None,
        headers: Headers | None,
    ) -> FutureMessage:
        """As `append`, from any thread, and also before the outbox is started."""
        if target.partitions and self._loop is not None and threading.get_ident() == self.thread:
            return self.append(target, partition, key, value, timestamp, headers)
        when = self._clock.time() if timestamp is None else timestamp
        sent = LateMessage(None, 0, 0)

        def on_loop() -> None:
            _keep(
                asyncio.ensure_future(
                    self._append_later(sent, target, partition, key, value, when, headers)
                )
            )

        with self._lock:
            if self._loop is None:
                self._early.append(on_loop)
                return sent
        self._loop.call_soon_threadsafe(on_loop)
        return sent

    async def _append_later(
        self,
        sent: LateMessage,
        target: OutboxTarget,
        partition: int | None,
        key: bytes | None,
        value: bytes | None,
        when: float,
        headers: Headers | None,
    ) -> None:
        try:
            if not target.partitions:
                await self.prepare(target)
            sent.bind(self.append(target, partition, key, value, when, headers))
        except Exception as exc:
            sent.fail(exc)

    # -- the end -------------------------------------------------------------------------------

    async def stop(self) -> None:
        """Send what is open, wait for what is under way (its failures are in its futures)."""
        if self._producer is not None:
            try:
                await self.barrier()
            finally:
                self.open = False
                self._producer = None
                if self._timer is not None:
                    self._timer.cancel()
                    self._timer = None
                self._loop = None

    def __repr__(self) -> str:
        return f"<Outbox {len(self._waiting)} batches, {self._bytes} bytes under way>"


def _ignore(tp: TP, records: int, size: int, seconds: float, error: BaseException | None) -> None:
    """Nobody counts."""


def _ignore_number(number: int) -> None:
    """Nobody counts."""
