"""Reads the reply topics of this process and gives waiting promises their answers.

A reply topic may be deleted under us (by an operator, by a tool that finds it idle).  It is made
again and read from its start; the answers that were in it are gone, and who waits for one of them
hears so from its time-out.  A topic whose name was drawn for this process ends with it.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from faust._core.background import in_background
from faust._machines.retry import backoff
from faust._values import TP
from faust.agents.models import ReqRepResponse
from faust.agents.replies import ReplyTable
from faust.exceptions import (
    BrokerError,
    FaustError,
    OffsetOutOfRange,
    RetryableError,
    UnknownTopic,
)
from faust.settings.agents import drawn_reply_to

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faust._engine.connection import Connection

__all__ = ["ReplyReader"]

logger = logging.getLogger(__name__)

#: Seconds that deleting a topic may take when stopping.
DELETE_PATIENCE = 5.0


class ReplyReader:
    """One reader for all reply topics of a process; belongs to no group, commits nothing."""

    def __init__(self, app: Any, connection: Connection, table: ReplyTable) -> None:
        self._app = app
        self._connection = connection
        self._table = table
        self._topics: dict[str, asyncio.Future[None]] = {}
        self._reader: Any = None
        self._task: asyncio.Task[None] | None = None

    async def read(self, name: str) -> None:
        """Read this topic from its end on; create it first if it is not there.

        Returns when every later reply will be seen.
        """
        known = self._topics.get(name)
        if known is None:
            known = self._topics[name] = asyncio.ensure_future(self._begin(name))
        try:
            await asyncio.shield(known)
        except BaseException:
            if known.done() and (known.cancelled() or known.exception() is not None):
                self._topics.pop(name, None)  # the next who asks tries again
            raise

    async def _begin(self, name: str) -> None:
        await self._declare(name)
        await self._connection.bridge.call_io(self._add, name)

    async def _declare(self, name: str) -> None:
        topic = self._app.topic(
            name,
            partitions=1,
            internal=True,
            deleting=True,
            compacting=False,
            retention=self._app.conf.reply_expires,
        )
        await topic.declare()

    # -- on the I/O loop ---------------------------------------------------------------------

    async def _add(self, name: str) -> None:
        from faust.transport.base import LATEST
        from faust.transport.reader import ReaderOptions

        transport = self._connection.transport
        tp = TP(name, 0)
        ends = await transport.offsets([tp], LATEST)
        if self._reader is None:
            self._reader = transport.reader(ReaderOptions())
        self._reader.assign({tp: ends.get(tp, 0)})
        if self._task is None:
            fail = partial(self._connection.bridge.post_main, self._app.on_crash)
            self._task = in_background(self._run(), "faust-replies", fail)

    async def _run(self) -> None:
        attempt = 0
        while True:
            try:
                fetched = await self._reader.fetch(5.0)
                if fetched.errors:
                    await self._mend(fetched.errors)
                attempt = 0
            except RetryableError:
                attempt += 1
                await self._app.clock.sleep(backoff(attempt, 0.1, 5.0))
                continue
            values = [record.value for batch in fetched.batches for record in batch.records()]
            if values:
                self._connection.bridge.post_main(self._deliver, values)

    async def _mend(self, errors: Mapping[TP, BrokerError]) -> None:
        """Go on with topics that cannot be read as they are, or tell who waits that it cannot."""
        for tp, error in errors.items():
            try:
                await self._go_on(tp, error)
            except BrokerError as exc:
                if isinstance(exc, RetryableError):
                    await self._app.clock.sleep(1.0)
                    await self._mend({tp: error})
                    continue
                logger.error("Replies cannot be read from topic %r: %s", tp.topic, exc)
                self._reader.unassign([tp])
                self._connection.bridge.post_main(self._lost, tp.topic, exc)

    async def _go_on(self, tp: TP, error: BrokerError) -> None:
        if isinstance(error, UnknownTopic):
            logger.warning(
                "The reply topic %r was deleted: it is made again. Answers that were in it are "
                "lost, and asks that wait for them end with their time-out", tp.topic,
            )  # fmt: skip
            await self._connection.bridge.call_main(self._declare, tp.topic)
            self._reader.assign({tp: 0})
        elif isinstance(error, OffsetOutOfRange):
            from faust.transport.base import EARLIEST

            starts = await self._connection.transport.offsets([tp], EARLIEST)
            self._reader.assign({tp: starts.get(tp, 0)})
        else:
            raise error

    # -- on the main loop --------------------------------------------------------------------

    def _lost(self, topic: str, error: BrokerError) -> None:
        self._topics.pop(topic, None)
        self._table.fail(topic, error)

    def _deliver(self, values: list[bytes | None]) -> None:
        for value in values:
            try:
                reply = self._app.serializers.loads_value(ReqRepResponse, value)
            except Exception as exc:
                logger.warning("A reply cannot be decoded: %s", exc)
                continue
            if reply is not None:
                self._table.fulfill(reply.correlation_id, reply.value, reply.error)

    # -- the end -------------------------------------------------------------------------------

    async def stop(self) -> None:
        """Read no more; nobody else reads the topic whose name was drawn, so it is deleted."""
        for beginning in self._topics.values():
            beginning.cancel()
        await self._connection.bridge.call_io(self._stop)
        for name in self._topics:
            self._table.fail(name, FaustError("the app was stopped before the answer came"))

    async def _stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if self._reader is not None:
            await self._reader.close()
            self._reader = None
        drawn = drawn_reply_to(self._app.conf)
        if drawn is not None and drawn in self._topics:
            await self._delete(drawn)

    async def _delete(self, topic: str) -> None:
        try:
            async with asyncio.timeout(DELETE_PATIENCE):
                await self._connection.transport.delete_topic(topic)
        except UnknownTopic:
            pass
        except (BrokerError, TimeoutError) as exc:
            logger.info("The reply topic %r could not be deleted: %s", topic, exc or "no answer")
