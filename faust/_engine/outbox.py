"""Sends: open batches, the batches under way, and who waits for them.

A record is appended to the open batch of its partition in the calling thread; what crosses to the
I/O loop is a whole batch.  A batch is handed over when it is full, when the linger time has passed,
or at the loop's next turn where nothing of its partition is under way: under load, batches fill
while their predecessors travel, and a single record leaves at once.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import TYPE_CHECKING, Any

from faust._engine.courier import Closed, Courier, Settled
from faust._engine.deliveries import Delivery, FutureMessage, LateMessage, wake
from faust._engine.losses import Losses
from faust._engine.targets import OutboxTarget, Partitioner
from faust._values import TP, Headers
from faust.exceptions import ProducerSendError

if TYPE_CHECKING:
    from faust._core.clock import Clock
    from faust._core.threads import Bridge
    from faust.transport.producer import Placed, Producer

__all__ = ["Outbox"]

logger = logging.getLogger(__name__)

_NONE: list[tuple[str, bytes]] = []

#: Bytes under way above which senders wait.
MAX_UNDER_WAY = 32 << 20
#: How long a message that was sent before its topic was known is waited for at the end (seconds).
LATE_PATIENCE = 10.0


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
        partitioner: Partitioner | None = None,
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
        self._courier: Courier | None = None
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
        #: What could not be delivered, and nobody has asked for.
        self.losses = Losses()
        #: What was given to us before the start: message, topic, and what gives it its place.
        self._early: list[tuple[LateMessage, str, Callable[[], None]]] = []
        #: Was its app stopped?  Then what waits for another start is said, once for each topic.
        self.after_the_end = False
        self._told: set[str] = set()
        self._ended = False
        #: What waits until it is known how many partitions its topic has.
        self._late: set[asyncio.Future[None]] = set()
        self._lock = threading.Lock()
        #: Called with (partition, records, bytes, seconds, error) for each batch.
        self.on_delivered: Callable[[TP, int, int, float, BaseException | None], None] = _ignore
        #: Called with how many batches were handed over at once.
        self.on_handed_over: Callable[[int], None] = _ignore_number
        from faust.transport.records import new_builder

        self._new_builder = new_builder

    def start(self, bridge: Bridge, producer: Producer) -> None:
        """Begin to send; what was given to `append_soon` before goes out now."""
        self._bridge = bridge
        self._courier = Courier(bridge, producer, self._settle_all, self.losses)
        self._loop = asyncio.get_running_loop()
        self.thread = threading.get_ident()
        self.open = True
        with self._lock:
            early, self._early = self._early, []
        for _, _, send in early:
            send()

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
        if target is not None and target.idle:
            del self._targets[topic]

    def learn(self, topic: str, partitions: int, topic_id: str) -> None:
        """Note what is known of a topic."""
        target = self.target(topic)
        target.learn(partitions, topic_id)

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
                partition = target.sticky()
            elif self._partitioner is None:
                partition = target.placed.get(key)
                if partition is None:
                    partition = target.place(key)
            else:
                partition = target.ask(self._partitioner, key)
        elif not 0 <= partition < target.partitions:
            raise target.no_such(partition)
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
        return target.choose(key, self._partitioner)

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
            assert self._courier is not None
            self._bridge.post_io(self._courier.hand_over, batches)
            self.on_handed_over(len(batches))

    def _close(self, target: OutboxTarget, partition: int) -> None:
        self._close_all(((target, partition),))

    def _take(self, target: OutboxTarget, partition: int) -> Closed:
        delivery = target.open.pop(partition)
        builder, delivery.builder = delivery.builder, None
        assert builder is not None
        delivery.size = builder.size()
        delivery.handed_at = perf_counter()
        self._bytes += delivery.size
        self.crowded = self._bytes >= MAX_UNDER_WAY
        target.under_way[partition] = target.under_way.get(partition, 0) + 1
        return target, delivery, builder

    # -- back on the main loop -------------------------------------------------------------

    def _settle_all(self, settled: list[Settled]) -> None:
        self._close_all([place for each in settled if (place := self._settle(*each)) is not None])
        if self._bytes < MAX_UNDER_WAY // 2:
            self._make_room()

    def _make_room(self) -> None:
        self.crowded = False
        waiters, self._room = self._room, []
        for waiter in waiters:
            wake(waiter)

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
            self.losses.add(target.name, delivery.count - delivery.claims, error)
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
        if self._late:
            await asyncio.wait(set(self._late))
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
        self.losses.check()

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
        """As `append`, from any thread, and also before the outbox is started.

        What comes when it has ended fails, and is an error in the log.
        """
        if target.partitions and self._loop is not None and threading.get_ident() == self.thread:
            return self.append(target, partition, key, value, timestamp, headers)
        when = self._clock.time() if timestamp is None else timestamp
        sent = LateMessage(None, 0, 0)

        def on_loop() -> None:
            if not self.open:
                self._refuse(sent, target.name, "the app has stopped sending")
                return
            late = asyncio.ensure_future(
                self._append_later(sent, target, partition, key, value, when, headers)
            )
            self._late.add(late)
            late.add_done_callback(self._late.discard)

        with self._lock:  # it does not end meanwhile
            loop, waits = self._loop, not self._ended
            if loop is not None and threading.get_ident() != self.thread:
                loop.call_soon_threadsafe(on_loop)
                return sent
            if loop is None and waits:
                self._early.append((sent, target.name, on_loop))
        if loop is None and waits:
            self._tell_that_it_waits(target.name)
        else:
            on_loop()  # at once: the next barrier is to know of it
        return sent

    def _tell_that_it_waits(self, topic: str) -> None:
        if self.after_the_end and topic not in self._told:
            self._told.add(topic)
            logger.warning(
                "send_soon() was called after the app had stopped: messages to topic %s wait in "
                "memory until it is started again, and are lost if it is not", topic,
            )  # fmt: skip

    @staticmethod
    def _refuse(sent: LateMessage, topic: str, why: str) -> None:
        sent.fail(ProducerSendError(why))
        logger.error("A message that send_soon() was given for topic %s is lost: %s", topic, why)

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
        except asyncio.CancelledError:
            why = ProducerSendError("the app was stopped before a broker told of the topic")
            self.losses.may_be(target.name, sent.fail(why))
            raise
        except Exception as exc:
            self.losses.may_be(target.name, sent.fail(exc))

    # -- the end -------------------------------------------------------------------------------

    async def stop(self) -> None:
        """Send what is open, wait for what is under way (its failures are in its futures).

        Raises:
            ProducerSendError: some of it cannot be delivered, and that ends the app.
        """
        if self._courier is None:
            self.drop_early()
        elif self.open:
            try:
                await self._end_late()
                await self.barrier()
            finally:
                self.open = False
                self._courier.stopped = True
                if self._timer is not None:
                    self._timer.cancel()
                    self._timer = None
                with self._lock:
                    self._loop, self._ended = None, True
                await self._drop_late()
                self.losses.close()

    def drop_early(self) -> None:
        """It was never started, and will not be: what was to be sent then is lost."""
        with self._lock:
            early, self._early = self._early, []
            self._ended = True
        for sent, topic, _ in early:
            self._refuse(sent, topic, "the app was stopped before it had a connection")

    async def _end_late(self) -> None:
        """What waits for its topic gets it soon, or never."""
        if self._late:
            await asyncio.wait(set(self._late), timeout=LATE_PATIENCE)
        await self._drop_late()

    async def _drop_late(self) -> None:
        for each in self._late:
            each.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)

    def __repr__(self) -> str:
        return f"<Outbox {len(self._waiting)} batches, {self._bytes} bytes under way>"


def _ignore(tp: TP, records: int, size: int, seconds: float, error: BaseException | None) -> None:
    """Nobody counts."""


def _ignore_number(number: int) -> None:
    """Nobody counts."""
