"""What is done now and then: windows expire, logs are purged, and stores are kept young."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from faust.exceptions import BrokerError

if TYPE_CHECKING:
    from faust._core.threads import Bridge
    from faust._engine.committer import Committer
    from faust._engine.tasks import ActiveTask
    from faust._machines.copartition import TaskId
    from faust.transport.base import Transport

__all__ = ["Upkeep"]

logger = logging.getLogger(__name__)

#: How old the checkpoint of a store may become although nothing changes (seconds).
REFRESH_INTERVAL = 3600.0
#: How often it is looked whether changelogs have changed without us (seconds): well within the half
#: of their compaction lag for which what somebody else has written can be undone.
VIGIL_INTERVAL = 600.0


class Upkeep:
    """Cleans up every ``table_cleanup_interval``.

    Arguments:
        host: The app: settings, clock, conductor.
        bridge: The way to the I/O loop.
        transport: The broker.
        tasks: The tasks that are active here, as they come and go.
        committer: Commits them.
    """

    def __init__(
        self,
        host: Any,
        bridge: Bridge,
        transport: Transport,
        tasks: Mapping[TaskId, ActiveTask],
        committer: Committer,
    ) -> None:
        self._host = host
        self._bridge = bridge
        self._transport = transport
        self._tasks = tasks
        self._committer = committer
        self._looked = host.clock.monotonic()

    async def run(self) -> None:
        """Expire windows, and purge our repartition topics behind what is committed, for ever.

        Raises:
            Exception: the worker cannot go on: a callback for closed windows has failed, say.
        """
        while True:
            await self._host.clock.sleep(self._host.conf.table_cleanup_interval)
            await self._expire()
            self._refresh()
            try:
                await self._look_after_changelogs()
                await self._purge()
            except BrokerError as exc:
                logger.debug("Upkeep waits: %s", exc)

    async def _look_after_changelogs(self) -> None:
        now = self._host.clock.monotonic()
        if now - self._looked >= VIGIL_INTERVAL:
            self._looked = now
            await self._committer.look_after_changelogs(list(self._tasks.values()))

    async def _expire(self) -> None:
        """Delete what has expired: these are writes of the tasks, committed like any other."""
        for task in list(self._tasks.values()):
            for name, piece in task.slices.items():
                if task.run.open:
                    await task.tables[name].expire(piece, self._host.clock.time())

    def _refresh(self) -> None:
        """Say in stores where nothing has changed for long that they are not old.

        A store that stands where the commit does has missed nothing so far; by the time of its
        checkpoint alone it would be taken for one that has.
        """
        now = self._host.clock.time()
        for task in list(self._tasks.values()):
            for piece in task.slices.values():
                known = piece.store.checkpoint
                if known is None or known.position != piece.position or not task.run.alive:
                    continue
                if now - known.wall_time > REFRESH_INTERVAL:
                    try:
                        piece.store.apply((), known._replace(wall_time=now))
                    except OSError as exc:
                        logger.debug("A store's age cannot be written: %s", exc)

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
