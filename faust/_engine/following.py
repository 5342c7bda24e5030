"""One partition of a table whose task is another worker's, followed into a local store.

It is followed up to what a commit vouches for and no further; what lies beyond is read again when a
later commit does.  So the store is what it would be if the task had been committed here, and taking
over is restoring from its checkpoint on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from faust._engine.replay import Copy
from faust._engine.restorer import decide
from faust._machines import restore
from faust._values import TP
from faust.stores.base import StoreLocked

if TYPE_CHECKING:
    from faust._core.clock import Clock
    from faust._core.threads import Bridge
    from faust._engine.local_stores import LocalStores
    from faust._engine.replay import Replay
    from faust._machines.commits import TableMark, TaskEntry
    from faust.stores.base import PartitionStore
    from faust.tables.base import Collection

__all__ = ["Following"]

logger = logging.getLogger(__name__)

#: How long a copy that cannot be kept is left alone (seconds).
PAUSE_AFTER_FAILURE = 30.0
#: How long a store is left to whoever has asked for it, before it is looked again (seconds).
PAUSE_AFTER_LETTING_GO = 10.0
#: How old a checkpoint may become although nothing changes: it vouches for its position (seconds).
REFRESH_INTERVAL = 3600.0


class Following:
    """One copy (on the I/O loop).

    Attributes:
        changelog: What is followed.
        elsewhere: Another process on this machine has the store open; it will be as good as ours.
        settled: It has come to what was committed when it was last looked, as far as can be.
    """

    def __init__(
        self,
        table: Collection,
        partition: int,
        *,
        bridge: Bridge,
        clock: Clock,
        replay: Replay,
        stores: LocalStores,
        cluster_id: str,
    ) -> None:
        self.table = table
        self.partition = partition
        self.changelog = TP(table.changelog_topic_name, partition)
        self.elsewhere = False
        self.settled = False
        self.position = self.boundary = 0
        self._bridge = bridge
        self._clock = clock
        self._replay = replay
        self._stores = stores
        self._cluster_id = cluster_id
        self._copy: Copy | None = None
        self._mark: TableMark | None = None
        #: The mark that was planned for; marks that lead on from it need no new plan.
        self._planned: TableMark | None = None
        self._waits = False
        #: Commits say nothing of this table (its owner does not have it): there is nothing to copy.
        self._unmarked = False
        self._not_before = 0.0
        self._trouble = ""
        self._stopped = False
        self._lock = asyncio.Lock()

    @property
    def behind(self) -> bool:
        """Is there something committed that is not here?"""
        return self._copy is not None and not self._stopped and self.position < self.boundary

    @property
    def lag(self) -> int | None:
        """Offsets that it is behind what is committed; ``None`` where nothing is here."""
        if self.elsewhere or self._unmarked:
            return 0
        if self._copy is None or self._mark is None:
            return None
        return restore.lag(self._mark, (self.position, self._copy.topic_id))

    # -- what is committed ------------------------------------------------------------------------

    async def aim(self, entry: TaskEntry | None) -> None:
        """This is committed now: open the store if need be, and see how far to follow.

        Raises:
            OSError, BrokerError: it cannot be kept just now.
        """
        mark = None if entry is None else entry.tables.get(self.table.name)
        self._unmarked = mark is None and entry is not None
        if mark is None or entry is None:
            self.settled = True  # nothing vouches for anything yet
            return
        async with self._lock:
            if self._stopped or self._clock.monotonic() < self._not_before:
                return
            self._mark = mark
            if self._copy is None and not await self._open():
                self.settled = True
                return
            if not self._leads_to(mark):
                await self._plan(mark, entry)
            elif not self._waits:
                self.boundary = mark.position
            self._note()

    async def _open(self) -> bool:
        try:
            store = await self._bridge.call_main(self._open_on_main)
        except StoreLocked as exc:
            if not self.elsewhere:
                logger.info(
                    "Table %r partition %d: no copy of our own is kept: %s",
                    self.table.name, self.partition, exc,
                )  # fmt: skip
            self.elsewhere = True
            return False
        self.elsewhere = False
        self._copy = Copy(self.table, self.changelog, store)
        self._planned = None
        return True

    async def _open_on_main(self) -> PartitionStore:
        return self._stores.open_now(self.table, self.partition)

    def _leads_to(self, mark: TableMark) -> bool:
        """Does what is here lead to this mark without another look at the log?"""
        planned = self._planned
        if planned is None or planned.topic_id != mark.topic_id:
            return False
        if self._waits:
            return planned == mark
        return self.position <= mark.position

    async def _plan(self, mark: TableMark, entry: TaskEntry) -> None:
        copy = self._copy
        assert copy is not None
        found = await decide(self._replay, copy, mark, entry, self._cluster_id, self._clock.time())
        plan = found.for_standby()
        if plan.wipe or found.loss:
            logger.warning("Following %s: %s", self.changelog, plan.reason)
        if plan.wipe:
            await self._replay.offload(copy, copy.store.wipe)
        self.position, self.boundary = plan.start, plan.boundary
        self._planned, self._waits = mark, found.whole

    def _note(self) -> None:
        self._trouble = ""
        self.settled = not self.behind
        assert self._copy is not None

    # -- what is read -----------------------------------------------------------------------------

    async def take(self, batches: Sequence[Any], position: int) -> None:
        """What was read from our position on, up to ``position``: keep what is committed of it.

        Raises:
            OSError, RestoreError: it cannot be written.
        """
        async with self._lock:
            end = min(position, self.boundary)
            copy = self._copy
            if self._stopped or copy is None or end <= self.position:
                return
            if batches:
                await self._replay.write(copy, batches, self.position, end)
            self.position = end
            self.settled = not self.behind

    def lost_its_place(self) -> None:
        """The log does not have what comes next: look at it again."""
        self._planned = None
        self.boundary = self.position

    async def refresh(self) -> None:
        """Say in the store that its position is still that of the commit: it does not age."""
        async with self._lock:
            copy = self._copy
            if self._stopped or copy is None or self.position != self.boundary or self._waits:
                return
            known, now = copy.store.checkpoint, self._clock.time()
            if known is not None and now - known.wall_time > REFRESH_INTERVAL:
                crc = known.crc if known.position == self.position else 0
                fresh = known._replace(position=self.position, crc=crc, wall_time=now)
                await self._replay.offload(copy, copy.store.apply, (), fresh)

    async def let_go(self) -> None:
        """If the owner of the task is on this machine and waits for the store, let it have it."""
        copy = self._copy
        if copy is None or not copy.store.is_asked_for:
            return
        logger.info(
            "Table %r partition %d: the store is another process's from now on",
            self.table.name, self.partition,
        )  # fmt: skip
        self.elsewhere = True
        self._not_before = self._clock.monotonic() + PAUSE_AFTER_LETTING_GO
        await self._close()

    async def _close(self) -> None:
        self.settled = True
        if self._stopped:
            return  # who has stopped it waits for the store, and has it next
        store = await self._detach()
        if store is not None:
            await self._bridge.offload(store.close)

    async def fail(self, exc: Exception) -> None:
        """It cannot be kept: close the store, and try again some time later."""
        if str(exc) != self._trouble:
            self._trouble = str(exc)
            logger.error(
                "No copy of table %r partition %d is kept for now: %s",
                self.table.name, self.partition, exc,
            )  # fmt: skip
        self._not_before = self._clock.monotonic() + PAUSE_AFTER_FAILURE
        await self._close()

    # -- the end ----------------------------------------------------------------------------------

    async def stop(self) -> PartitionStore | None:
        """Follow no more; return the store, which nobody writes to any more, if there is one."""
        self._stopped = True
        return await self._detach()

    async def _detach(self) -> PartitionStore | None:
        async with self._lock:
            copy, self._copy = self._copy, None
            self._planned = None
            if copy is None:
                return None
            await self._replay.until_idle(copy)
            return copy.store

    def __repr__(self) -> str:
        return f"<Following {self.changelog} {self.position} of {self.boundary}>"
