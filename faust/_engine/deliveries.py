"""What becomes of what is sent: a batch, and a record in it.

Whoever asks for a record, by awaiting it or by its result, *claims* it: then the failure is theirs
to deal with.  What nobody has claimed and is lost ends the app (see `Outbox`).
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Generator
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from faust._values import TP, RecordMetadata
from faust.exceptions import ProducerSendError

if TYPE_CHECKING:
    from faust.transport.producer import Placed
    from faust.transport.records import Builder

__all__ = ["Delivery", "FutureMessage", "LateMessage", "keep", "wake"]

_kept: set[Any] = set()


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
                keep(asyncio.ensure_future(result))

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
            self._when_done(partial(wake, waiter))
            yield from waiter
        return self._metadata()

    def __repr__(self) -> str:
        failed = self._delivery is not None and self._delivery.error is not None
        state = "under way" if not self.done() else "failed" if failed else "delivered"
        return f"<FutureMessage {state}>"


def wake(waiter: asyncio.Future[None]) -> None:
    """Let who waits go on, in the event loop that it waits in."""
    loop = waiter.get_loop()
    if loop is asyncio._get_running_loop():
        if not waiter.done():
            waiter.set_result(None)
    elif not loop.is_closed():
        loop.call_soon_threadsafe(wake, waiter)


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

    def fail(self, error: BaseException) -> Delivery:
        """It got no place in any batch; return what stands for one, and who asks for it."""
        delivery = Delivery(TP("", 0), None)
        delivery.error = error
        self.bind(FutureMessage(delivery, 0, 0))
        return delivery

    def _when_done(self, fun: Callable[[], object], *, claim: bool = True) -> None:
        with self._lock:
            if self._delivery is None:
                self._waiting.append((fun, claim))
                return
        FutureMessage._when_done(self, fun, claim=claim)


def keep(task: Any) -> None:
    """Hold a callback's task until it is done; the event loop itself does not."""
    _kept.add(task)
    task.add_done_callback(_kept.discard)
