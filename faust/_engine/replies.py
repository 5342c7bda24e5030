"""Reads the reply topics of this process and gives waiting promises their answers."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from faust._machines.retry import backoff
from faust._values import TP
from faust.agents.models import ReqRepResponse
from faust.agents.replies import ReplyTable
from faust.exceptions import RetryableError

if TYPE_CHECKING:
    from faust._engine.connection import Connection

__all__ = ["ReplyReader"]

logger = logging.getLogger(__name__)


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
        await asyncio.shield(known)

    async def _begin(self, name: str) -> None:
        topic = self._app.topic(
            name,
            partitions=1,
            internal=True,
            deleting=True,
            compacting=False,
            retention=self._app.conf.reply_expires,
        )
        await topic.declare()
        await self._connection.bridge.call_io(self._add, name)

    async def _add(self, name: str) -> None:
        """On the I/O loop."""
        from faust.transport.base import LATEST, ReaderOptions

        transport = self._connection.transport
        tp = TP(name, 0)
        ends = await transport.offsets([tp], LATEST)
        if self._reader is None:
            self._reader = transport.reader(ReaderOptions())
        self._reader.assign({tp: ends.get(tp, 0)})
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="faust-replies")

    async def _run(self) -> None:
        attempt = 0
        while True:
            try:
                fetched = await self._reader.fetch(5.0)
                attempt = 0
            except RetryableError:
                attempt += 1
                await self._app.clock.sleep(backoff(attempt, 0.1, 5.0))
                continue
            values = [record.value for batch in fetched.batches for record in batch.records()]
            if values:
                self._connection.bridge.post_main(self._deliver, values)

    def _deliver(self, values: list[bytes | None]) -> None:
        for value in values:
            try:
                reply = self._app.serializers.loads_value(ReqRepResponse, value)
            except Exception as exc:
                logger.warning("A reply cannot be decoded: %s", exc)
                continue
            if reply is not None:
                self._table.fulfill(reply.correlation_id, reply.value, reply.error)

    async def stop(self) -> None:
        """Read no more."""
        await self._connection.bridge.call_io(self._stop)

    async def _stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if self._reader is not None:
            await self._reader.close()
            self._reader = None
