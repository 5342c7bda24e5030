"""Takes back what a worker has left in a changelog that died between producing and committing.

Undoing needs positive evidence: where the tail is older than half the compaction lag, compaction
may have removed the committed value first, and the tail is applied instead.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from faust._engine.changelogs import Changelogs
from faust._engine.replay import TIME_KEY, Copy, Replay
from faust._machines import restore
from faust._machines.restore import RestorePlan

if TYPE_CHECKING:
    from faust._core.clock import Clock
    from faust._values import TP
    from faust.transport.base import Transport
    from faust.transport.producer import Producer

__all__ = ["TakeBack", "Taken"]

logger = logging.getLogger(__name__)

#: ``min.compaction.lag.ms`` of our changelogs: so long a committed value outlives what follows it.
COMPACTION_LAG_MS = 24 * 3600 * 1000


class Taken(NamedTuple):
    """What became of a tail.

    Attributes:
        position: The changelog's end now.
        kept: Whether the tail is too old to be undone: all below ``position`` is to be applied.
        owed: What the first commit is to write again.
    """

    position: int
    kept: bool
    owed: Sequence[tuple[bytes, bytes | None]] = ()


class TakeBack:
    """Writes committed values again (on the I/O loop).

    Arguments:
        exact: Are commits transactions?  Then the first of them writes these values: who is
            suspended in the middle of this, and has lost its task since, is fenced like that.
    """

    def __init__(
        self,
        replay: Replay,
        transport: Transport,
        producer: Producer,
        clock: Clock,
        *,
        exact: bool = False,
    ) -> None:
        from faust.transport import records

        self._records = records
        self._replay = replay
        self._producer = producer
        self._clock = clock
        self._exact = exact
        self._changelogs = Changelogs(transport, producer, batch_size=1 << 20, now=clock.time)

    async def take_back(self, copy: Copy, plan: RestorePlan) -> Taken:
        """Write the committed values of the keys in [boundary, end) again."""
        tp, boundary, end = copy.changelog, plan.boundary, plan.end
        undo, first_stamp = await self._tail(tp, boundary, end)
        if first_stamp is None:
            return Taken(end, kept=False)
        now_ms, after = await self._broker_time(tp)
        if now_ms < 0 or restore.tail_is_old(first_stamp, now_ms, COMPACTION_LAG_MS):
            kept = plan.with_tail("uncommitted records are too old to be taken back with certainty")
            logger.warning("%s: %d records kept: %s", tp, end - boundary, kept.reason)
            return Taken(after, kept=True)
        records = undo.records(copy.store.get)
        logger.info("%s: taking back %d keys that were not committed", tp, len(records))
        if self._exact:
            return Taken(after, kept=False, owed=records)
        foreign = [(end, after - 1)] if after - 1 > end else []
        written, more = await self._changelogs.append(tp, records, after)
        position = await self._changelogs.repair(tp, written, foreign + more, copy.store.get)
        return Taken(position, kept=False)

    async def _tail(self, tp: TP, start: int, end: int) -> tuple[restore.Undo, int | None]:
        """Return the keys that the tail holds, and the time of its first record."""
        undo = restore.Undo()
        first_stamp: int | None = None
        async for batches, _ in self._replay.read(tp, start, end):
            for batch in batches:
                for record in batch.records():
                    if start <= record.offset < end:
                        undo.seen(record.key)
                        if first_stamp is None:
                            first_stamp = record.timestamp
        return undo, first_stamp

    async def _broker_time(self, tp: TP) -> tuple[int, int]:
        """Return the broker's time (milliseconds), and the changelog's end: by a record that
        deletes a key that nobody has."""

        def produce() -> Any:
            builder = self._records.new_builder(1 << 10)
            builder.append(0, int(self._clock.time() * 1000), TIME_KEY, None, [])
            return self._producer.produce(tp, builder)

        placed = await self._replay.patiently(produce)
        return placed.append_time, placed.base_offset + 1
