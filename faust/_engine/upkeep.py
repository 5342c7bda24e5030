"""What is cleaned up while a worker runs: expired windows, and what repartition topics keep."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from faust.exceptions import BrokerError

if TYPE_CHECKING:
    from faust._core.threads import Bridge
    from faust._engine.tasks import ActiveTask
    from faust._machines.copartition import TaskId
    from faust.transport.base import Transport

__all__ = ["Upkeep"]

logger = logging.getLogger(__name__)


class Upkeep:
    """Cleans up every ``table_cleanup_interval``.

    Arguments:
        host: The app: settings, clock, conductor.
        bridge: The way to the I/O loop.
        transport: The broker.
        tasks: The tasks that are active here, as they come and go.
        on_crash: Called with what ends the worker.
    """

    def __init__(
        self,
        host: Any,
        bridge: Bridge,
        transport: Transport,
        tasks: Mapping[TaskId, ActiveTask],
        on_crash: Callable[[BaseException], Awaitable[None]],
    ) -> None:
        self._host = host
        self._bridge = bridge
        self._transport = transport
        self._tasks = tasks
        self._on_crash = on_crash

    async def run(self) -> None:
        """Expire windows, and purge our repartition topics behind what is committed."""
        try:
            while True:
                await self._host.clock.sleep(self._host.conf.table_cleanup_interval)
                await self._expire()
                try:
                    await self._purge()
                except BrokerError as exc:
                    logger.debug("Purging waits: %s", exc)
        except asyncio.CancelledError:
            raise
        except Exception as exc:
            await self._on_crash(exc)

    async def _expire(self) -> None:
        """Delete what has expired: these are writes of the tasks, committed like any other."""
        for task in list(self._tasks.values()):
            for name, piece in task.slices.items():
                if task.run.open:
                    await task.tables[name].expire(piece, self._host.clock.time())

    async def _purge(self) -> None:
        """Repartition topics that we made keep everything that is not committed, and no more."""
        ours = {
            name
            for topic in self._host.topics.topic_objects()
            if topic.repartition
            for name in topic.topics
        }
        before = {
            tp: offset
            for task in self._tasks.values()
            for tp, offset in task.committed.items()
            if tp.topic in ours and offset > 0
        }
        if before:
            await self._bridge.call_io(self._transport.delete_records, before)
