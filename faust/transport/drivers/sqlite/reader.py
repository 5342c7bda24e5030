"""Reading whole batches, on the event loop: a read that has something to do takes microseconds."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from faust._values import TP
from faust.exceptions import (
    BrokerError,
    CorruptRecord,
    InvalidTopic,
    OffsetOutOfRange,
    UnknownTopic,
)
from faust.transport.drivers.sqlite import topics
from faust.transport.drivers.sqlite.log import Session
from faust.transport.drivers.sqlite.schema import batch_key
from faust.transport.reader import Fetched, Reader, ReaderOptions
from faust.transport.records import CONTROL_BIT, TRANSACTIONAL_BIT, Batch, split_batches

if TYPE_CHECKING:
    from faust.transport.drivers.sqlite.connection import Connection

__all__ = ["SQLiteReader"]

#: All that is asked about partitions, as one value (see `schema` on why).
_ENDS = """
SELECT json_group_array(json_array(id, start_offset, next_offset, stable_offset, bytes, batches,
                                   EXISTS (SELECT 1 FROM aborted a WHERE a.partition = p.id)))
  FROM partition p WHERE id IN (SELECT value FROM json_each(?))
"""

#: Batches of one partition from a key on, as one value: at most ?3 of them and about ?4 bytes.
_BATCHES = """
SELECT CAST(group_concat(CAST(data AS TEXT), '') AS BLOB) FROM (
    SELECT data FROM (SELECT bytes_before, data FROM batch WHERE id >= ?1 AND id < ?2
                       ORDER BY id LIMIT ?3)
     WHERE bytes_before < ?4 + (SELECT bytes_before FROM batch WHERE id >= ?1 AND id < ?2
                                 ORDER BY id LIMIT 1))
"""

#: Aborted stretches of one partition between two offsets, as one value.
_ABORTED = """
SELECT json_group_array(json_array(producer_id, first_offset, last_offset)) FROM aborted
 WHERE partition = ?1 AND last_offset >= ?2 AND first_offset < ?3
"""

#: Attributes of batches that need a closer look.
_NOT_PLAIN = CONTROL_BIT | TRANSACTIONAL_BIT
#: The row of a partition that is not there.
_NOWHERE = -1
#: Most batches of one partition in one answer, however small they are.
_MOST_BATCHES = 4096


class _Ends(NamedTuple):
    start: int
    next: int
    stable: int | None
    average_size: int
    has_aborted: int


class SQLiteReader(Reader):
    """Fetches record batches from the file."""

    def __init__(self, connection: Connection, options: ReaderOptions) -> None:
        self.options = options
        self._connection = connection
        self._positions: dict[TP, int] = {}
        self._paused: set[TP] = set()
        self._failed: set[TP] = set()
        self._ids: dict[TP, int] = {}
        self._turn = 0
        self._closed = False

    def __repr__(self) -> str:
        return f"<SQLiteReader: {len(self._positions)} partitions, {len(self._paused)} paused>"

    # -- what to read ------------------------------------------------------------------------

    def assign(self, positions: Mapping[TP, int]) -> None:
        self._positions.update(positions)
        for tp in positions:
            self._failed.discard(tp)
            self._ids.pop(tp, None)
        self._changed()

    def unassign(self, tps: Collection[TP]) -> None:
        for tp in tps:
            self._positions.pop(tp, None)
            self._ids.pop(tp, None)
            self._paused.discard(tp)
            self._failed.discard(tp)
        self._changed()

    def pause(self, tps: Collection[TP]) -> None:
        self._paused.update(tp for tp in tps if tp in self._positions)
        self._changed()

    def resume(self, tps: Collection[TP]) -> None:
        self._paused.difference_update(tps)
        self._changed()

    def positions(self) -> dict[TP, int]:
        return dict(self._positions)

    async def close(self) -> None:
        self._closed = True
        self._changed()

    def _changed(self) -> None:
        self._connection.bell.notify()

    # -- reading -----------------------------------------------------------------------------

    async def fetch(self, max_wait: float) -> Fetched:
        clock, bell = self._connection.options.clock, self._connection.bell
        deadline = clock.monotonic() + max_wait
        while True:
            # 1. What there is, is the answer; even so, others have their turn before it.
            await asyncio.sleep(0)
            await self._create_missing()
            fetched = await self._connection.read(self._poll)
            left = deadline - clock.monotonic()
            if fetched.batches or fetched.positions or fetched.errors or left <= 0 or self._closed:
                return fetched
            # 2. Whatever comes from now on rings; what came since we looked has rung.
            ticket = bell.ticket()
            if bell.drain():
                bell.drop(ticket)
                continue
            # 3. Wait; a change of what is to be read also rings.
            await bell.wait(ticket, left)

    async def _create_missing(self) -> None:
        # Only what was never there: a topic that is deleted while it is read stays deleted.
        new = [tp for tp in self._positions if tp not in self._ids and tp not in self._failed]
        if not new:
            return
        found = await self._connection.read(lambda db: topics.partition_ids(db, new))
        missing = [tp for tp in new if tp not in found]
        if missing and self.options.auto_create and self._connection.location.auto_create:
            await self._connection.writer.call(partial(_create, missing))
            found = await self._connection.read(lambda db: topics.partition_ids(db, new))
        self._ids.update((tp, found.get(tp, _NOWHERE)) for tp in new if tp in self._positions)

    def _poll(self, db: sqlite3.Connection) -> Fetched:
        fetched = Fetched([], {}, {}, {}, {})
        if self._closed:
            return fetched
        wanted = [tp for tp in self._positions if tp not in self._paused and tp not in self._failed]
        ends = self._look_up(db, wanted, fetched.errors)
        budget = self.options.max_bytes
        for tp in self._in_turn(list(ends)):
            there = ends[tp]
            end = there.next
            if self.options.read_committed and there.stable is not None:
                end = there.stable
            fetched.ends[tp], fetched.starts[tp] = end, there.start
            position = self._positions[tp]
            if not there.start <= position <= there.next:
                fetched.errors[tp] = OffsetOutOfRange(
                    tp, position, first=there.start, end=there.next
                )
            elif position < end and budget > 0:
                budget -= self._read(db, tp, there, end, budget, fetched)
        self._failed.update(fetched.errors)
        return fetched

    def _in_turn(self, tps: list[TP]) -> list[TP]:
        # Where the budget ends before the partitions do, the next answer begins elsewhere.
        self._turn += 1
        at = self._turn % len(tps) if tps else 0
        return tps[at:] + tps[:at]

    def _look_up(
        self, db: sqlite3.Connection, tps: list[TP], errors: dict[TP, BrokerError]
    ) -> dict[TP, _Ends]:
        if not tps:
            return {}
        ids = [self._ids.get(tp, _NOWHERE) for tp in tps]
        (text,) = db.execute(_ENDS, (json.dumps(ids),)).fetchone()
        rows = {
            row_id: _Ends(start, end, stable, size // (count or 1), aborted)
            for row_id, start, end, stable, size, count, aborted in json.loads(text)
        }
        found: dict[TP, _Ends] = {}
        for tp in tps:
            row_id = self._ids.get(tp, _NOWHERE)
            if row_id in rows:
                found[tp] = rows[row_id]
            else:
                errors[tp] = UnknownTopic(f"there is no partition {tp} (any more)")
        return found

    def _read(
        self, db: sqlite3.Connection, tp: TP, ends: _Ends, end: int, budget: int, fetched: Fetched
    ) -> int:
        position, row_id = self._positions[tp], self._ids[tp]
        limit = min(self.options.max_partition_bytes, budget)
        most = min(2 + limit // max(ends.average_size, 64), _MOST_BATCHES)
        keys = batch_key(row_id, position), batch_key(row_id, end)
        # Before the batches: an aborted stretch is forgotten when its batches are gone, not before.
        aborted: list[list[int]] = []
        if ends.has_aborted and self.options.read_committed:
            (text,) = db.execute(_ABORTED, (row_id, position, end)).fetchone()
            aborted = json.loads(text)
        (data,) = db.execute(_BATCHES, (*keys, most, limit)).fetchone()
        try:
            batches = split_batches(tp, data or b"")
        except CorruptRecord as error:
            fetched.errors[tp] = error
            return 0
        gap = not batches or batches[0].base_offset > position
        if gap and self._lost(db, tp, fetched):
            return 0
        if self.options.check_crcs:
            self._check(batches, fetched)
        if batches:
            end = batches[-1].next_offset
        elif data:
            return 0
        fetched.batches.extend(
            batch
            for batch in batches
            if not batch.attributes & _NOT_PLAIN or _is_shown(batch, aborted)
        )
        fetched.positions[tp] = self._positions[tp] = end
        return len(data or b"")

    def _lost(self, db: sqlite3.Connection, tp: TP, fetched: Fetched) -> bool:
        # A gap is compaction's, unless the front of the log has gone between our two looks.
        there = self._look_up(db, [tp], fetched.errors).get(tp)
        position = self._positions[tp]
        if there is not None and there.start <= position:
            return False
        if there is not None:
            fetched.errors[tp] = OffsetOutOfRange(tp, position, first=there.start, end=there.next)
        return True

    def _check(self, batches: list[Batch], fetched: Fetched) -> None:
        for number, batch in enumerate(batches):
            if not batch.validate_crc():
                fetched.errors[batch.tp] = CorruptRecord(
                    f"{batch.tp}: the batch at offset {batch.base_offset} is damaged"
                )
                del batches[number:]
                return


def _is_shown(batch: Batch, aborted: list[list[int]]) -> bool:
    """Is it data, and of no aborted transaction?"""
    if batch.is_control:
        return False
    return not any(
        producer_id == batch.producer_id and first <= batch.base_offset <= last
        for producer_id, first, last in aborted
    )


def _create(missing: Collection[TP], session: Session) -> None:
    for tp in missing:
        with contextlib.suppress(UnknownTopic, InvalidTopic):
            session.find_or_create(tp)
