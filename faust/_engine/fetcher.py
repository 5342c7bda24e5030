"""Asks the driver for batches and hands them to the main loop: one call for each answer.

It lives on the I/O loop.  Every position it starts carries the incarnation of its task, and every
answer goes out with the incarnations it was fetched under, so that what was still on its way when
a partition was taken away and given back never reaches the new run.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

from faust._core.background import in_background
from faust._machines.retry import backoff
from faust._values import TP
from faust.exceptions import BrokerError, OffsetOutOfRange, RetryableError

if TYPE_CHECKING:
    from faust._core.clock import Clock
    from faust._core.threads import Bridge
    from faust.transport.reader import Fetched, Reader

__all__ = ["Fetcher"]

logger = logging.getLogger(__name__)

#: An answer is waited for this long; shorter would only cost wake-ups (seconds).
MAX_WAIT = 0.5
#: Bytes on their way to the main loop above which nothing more is fetched: it may be blocked, and
#: then nobody would count them.
MAX_ON_THE_WAY = 8 << 20


class Fetcher:
    """Fetches for all tasks of a worker.

    Arguments:
        reader: The driver's reader.
        deliver: Called on the main loop with an answer and the incarnation of each partition.
        on_error: Called on the main loop with a partition that cannot go on as it is, and why.
        on_failure: Called on the main loop with what has ended fetching altogether.
    """

    def __init__(
        self,
        reader: Reader,
        bridge: Bridge,
        clock: Clock,
        deliver: Callable[[Fetched, dict[TP, int]], None],
        on_error: Callable[[TP, BrokerError], None],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self._reader = reader
        self._bridge = bridge
        self._clock = clock
        self._deliver = deliver
        self._on_error = on_error
        self._on_failure = on_failure
        self._incarnations: dict[TP, int] = {}
        self._changed = asyncio.Event()
        #: Bytes that were posted to the main loop; and that have arrived there (it counts them).
        self._posted = self._arrived = 0
        self._crowded = False
        self._room = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        #: When an answer last came, on the monotonic clock; read by the watchdog.
        self.last_answer = clock.monotonic()

    @property
    def idle(self) -> bool:
        """Is there nothing to fetch, or no room for it?"""
        return not self._incarnations or self._crowded

    def running(self) -> list[asyncio.Task[None]]:
        """Return the task that fetches, if it does."""
        return [] if self._task is None else [self._task]

    # -- all of this on the I/O loop --------------------------------------------------

    def begin(self) -> None:
        """Start to fetch."""

        def fail(error: BaseException) -> None:
            self._bridge.post_main(self._on_failure, error)

        self._task = in_background(self._run(), "faust-fetcher", fail)

    async def end(self) -> None:
        """Stop to fetch; nothing is delivered afterwards."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await self._reader.close()

    def start(self, positions: Mapping[TP, int], incarnation: int) -> None:
        """Read these partitions from these positions, for this run of their task."""
        if self.idle:  # nobody was asked meanwhile: that was no silence
            self.last_answer = self._clock.monotonic()
        for tp in positions:
            self._incarnations[tp] = incarnation
        self._reader.assign(positions)
        self._changed.set()

    def stop(self, tps: Collection[TP]) -> None:
        """Read these partitions no more."""
        for tp in tps:
            self._incarnations.pop(tp, None)
        self._reader.unassign(tps)

    def pause(self, tps: Collection[TP]) -> None:
        """Fetch no more of these until they are resumed."""
        self._reader.pause([tp for tp in tps if tp in self._incarnations])

    def resume(self, tps: Collection[TP]) -> None:
        """Go on with these."""
        self._reader.resume([tp for tp in tps if tp in self._incarnations])

    async def _run(self) -> None:
        attempt = 0
        while True:
            if not self._incarnations:
                self.last_answer = self._clock.monotonic()
                self._changed.clear()
                await self._changed.wait()
            await self._wait_for_room()
            try:
                fetched = await self._reader.fetch(MAX_WAIT)
            except RetryableError as exc:
                if attempt == 0:
                    logger.warning("Fetching waits for the broker: %s", exc)
                attempt += 1
                await self._clock.sleep(backoff(attempt, 0.1, 5.0))
                continue
            if attempt:
                logger.warning("Fetching goes on: the broker answers again")
                attempt = 0
            unheard = self._reader.unheard_since()
            self.last_answer = self._clock.monotonic() if unheard is None else unheard
            for tp, error in fetched.errors.items():
                await self._handle_error(tp, error)
            if fetched.batches or fetched.positions or fetched.ends:
                size = sum(len(batch.data) for batch in fetched.batches)
                self._posted += size
                self._bridge.post_main(self._arrive, fetched, dict(self._incarnations), size)

    async def _wait_for_room(self) -> None:
        """Wait while the main loop does not take what was fetched for it: it is blocked."""
        while self._posted - self._arrived > MAX_ON_THE_WAY:
            self._crowded = True
            self._room.clear()
            if self._posted - self._arrived > MAX_ON_THE_WAY:  # it may have taken it just now
                await self._room.wait()
            self._crowded = False
            self.last_answer = self._clock.monotonic()

    def _arrive(self, fetched: Fetched, incarnations: dict[TP, int], size: int) -> None:
        """On the main loop."""
        self._arrived += size
        if self._crowded:
            self._bridge.post_io(self._room.set)
        self._deliver(fetched, incarnations)

    async def _handle_error(self, tp: TP, error: BrokerError) -> None:
        incarnation = self._incarnations.get(tp)
        if incarnation is None:
            return
        if isinstance(error, OffsetOutOfRange):
            first = error.first if error.first is not None else error.position
            gone = first - error.position
            if gone > 0:
                logger.error(
                    "%s: %d records are gone: offset %d was to be read next, but the log now "
                    "begins at %d (retention or deletion was faster than this app). Going on there",
                    tp, gone, error.position, first,
                )  # fmt: skip
                self._reader.assign({tp: first})
                return
        self._bridge.post_main(self._on_error, tp, error)
