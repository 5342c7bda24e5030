"""Global tables: what other workers write of them, followed up to what is known to be committed.

Every commit of a task says how far its tables' changelogs go with it.  Once in a commit interval
one request asks for all these commits; what lies below their marks is read and applied, what lies
beyond may yet be taken back and is left for the next time.  A partition that is written here is no
business of ours: when it goes, the table keeps a copy of what was committed, and following goes on
from there.

Replicas are kept in memory, whatever the table's store: their partitions may become active here,
and then the store is the restorer's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from faust._machines import commits
from faust._machines.commits import TableMark
from faust._machines.copartition import TaskId
from faust._machines.retry import backoff
from faust._values import TP
from faust.exceptions import OffsetOutOfRange, RetryableError, UnknownTopic
from faust.tables.globaltable import GlobalTable, Replica

if TYPE_CHECKING:
    from faust._core.clock import Clock
    from faust._core.threads import Bridge
    from faust.transport.base import Transport
    from faust.transport.membership import Commit
    from faust.transport.reader import Reader

__all__ = ["Followers"]

logger = logging.getLogger(__name__)

#: After so many answers (of half a second) without what is committed, the commit is asked for anew.
LOOKS = 4


class _Target(NamedTuple):
    table: GlobalTable[Any, Any]
    partition: int

    @property
    def changelog(self) -> TP:
        return TP(self.table.changelog_topic_name, self.partition)


class Followers:
    """Follows the partitions of global tables that are not written by this worker.

    Arguments:
        tables: All tables by name; those that are no `GlobalTable` are left alone.
        sources: Returns the topics with so many partitions, whose commits speak of a table.
        owned: Returns the tasks that are active here, or are being started.
        interval: Seconds between two looks: the commit interval.
        on_caught_up: Called when everything that was committed at the start is here.

    Attributes:
        caught_up: Is set once everything that was committed at the start is here.
    """

    def __init__(
        self,
        *,
        bridge: Bridge,
        clock: Clock,
        transport: Transport,
        group_id: str,
        interval: float,
        tables: Mapping[str, Any],
        sources: Callable[[int], Collection[str]],
        owned: Callable[[], Collection[TaskId]],
        on_caught_up: Callable[[], None],
    ) -> None:
        from faust.transport.reader import ReaderOptions

        self._options = ReaderOptions(auto_create=False)
        self._bridge = bridge
        self._clock = clock
        self._transport = transport
        self._group_id = group_id
        self._interval = interval
        self._tables = [t for t in tables.values() if isinstance(t, GlobalTable)]
        self._sources = sources
        self._owned = owned
        self._on_caught_up = on_caught_up
        self._reader: Reader | None = None
        self.caught_up = asyncio.Event()
        if not self._tables:
            self.caught_up.set()

    async def run(self) -> None:
        """Follow, for ever; returns at once where there is no global table."""
        failures = 0
        try:
            while self._tables:
                try:
                    await self.follow()
                    failures = 0
                except RetryableError as exc:
                    failures += 1
                    if failures == 1:
                        logger.warning("Following global tables waits: %s", exc)
                wait = backoff(failures, 0.1, 5.0) if failures else self._interval
                await self._clock.sleep(wait)
        finally:
            if self._reader is not None:
                await self._bridge.call_io(self._reader.close)

    async def follow(self) -> None:
        """Bring every replica to what is committed now.

        Raises:
            RetryableError: the broker does not answer, or a changelog is not, or no more, what the
                commit knew (its owner makes it anew); replicas are where they had come to.
        """
        targets, missing = self._targets(), None
        if targets:
            tps = sorted({tp for target in targets for tp in self._sources_of(target)})
            found = await self._bridge.call_io(self._transport.committed, self._group_id, tps)
            for target in targets:
                mark = self._mark(target, found)
                if mark is not None and not await self._bring(target, mark):
                    missing = missing or target.changelog
        if missing is not None:
            raise RetryableError(f"{missing} is gone, or has less than what is committed")
        if not self.caught_up.is_set():
            self.caught_up.set()
            self._on_caught_up()

    def _targets(self) -> list[_Target]:
        owned = set(self._owned())
        return [
            _Target(table, partition)
            for table in self._tables
            for partition in range(table.partitions or 0)
            if TaskId(str(table.partitions), partition) not in owned
        ]

    def _sources_of(self, target: _Target) -> list[TP]:
        topics = self._sources(target.table.partitions or 0)
        return [TP(topic, target.partition) for topic in topics]

    def _mark(self, target: _Target, found: Mapping[TP, Commit]) -> TableMark | None:
        chosen = commits.choose(
            {
                tp.topic: (found[tp].offset, found[tp].metadata)
                for tp in self._sources_of(target)
                if tp in found
            }
        )
        return None if chosen.entry is None else chosen.entry.tables.get(target.table.name)

    async def _bring(self, target: _Target, mark: TableMark) -> bool:
        """Apply what a replica lacks of what is committed; return whether that was there."""
        table, partition = target
        if TaskId(str(table.partitions), partition) in self._owned():
            return True  # it came to us while the commits were asked for
        replica = table.followed.get(partition)
        if replica is None or not replica.leads_to(mark.position, mark.topic_id):
            replica = table.followed[partition] = Replica(table.codec, topic_id=mark.topic_id)
        vain = 0
        while replica.position < mark.position:
            try:
                entries, position = await self._bridge.call_io(
                    self._read, target.changelog, replica.position, mark.position
                )
            except UnknownTopic:
                return False
            if table.followed.get(partition) is not replica:
                return True  # it is written here now
            vain = 0 if position > replica.position else vain + 1
            if vain == LOOKS:
                return False
            replica.apply(entries, position)
        return True

    async def _read(
        self, tp: TP, start: int, end: int
    ) -> tuple[list[tuple[bytes, bytes | None]], int]:
        """On the I/O loop: return some of what lies in [start, end), and where to go on."""
        reader = self._reader
        if reader is None:
            reader = self._reader = self._transport.reader(self._options)
        reader.assign({tp: start})
        try:
            fetched = await reader.fetch(0.5)
        finally:
            reader.unassign([tp])
        error = fetched.errors.get(tp)
        if isinstance(error, OffsetOutOfRange):
            return [], min(end, max(start, error.first if error.first is not None else end))
        if error is not None:
            raise error
        entries = [
            (record.key or b"", record.value)
            for batch in fetched.batches
            for record in batch.records()
            if start <= record.offset < end
        ]
        return entries, min(end, fetched.positions.get(tp, start))

    def __repr__(self) -> str:
        state = "caught up" if self.caught_up.is_set() else "behind"
        return f"<Followers {len(self._tables)} tables, {state}>"
