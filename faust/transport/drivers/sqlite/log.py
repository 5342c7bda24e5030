"""The log inside one write transaction: appending batches, and what is known of partitions.

A `Session` lives as long as the writer.  What it has read is true for as long as no other process
has written (``PRAGMA data_version``), so a process that writes alone reads nothing again; new rows
wait in memory until `Session.flush`, which writes all of one kind with one statement.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from faust._core.clock import Clock
from faust._machines.log import SEQUENCES, Partition, ProducerState
from faust._machines.topicrules import TopicPolicy
from faust._values import TP
from faust.exceptions import CorruptRecord, MessageTooLarge, UnknownTopic
from faust.transport.drivers.sqlite import topics
from faust.transport.drivers.sqlite.schema import OFFSET_BITS, batch_key
from faust.transport.producer import Placed
from faust.transport.records import (
    HEADER,
    HEADER_SIZE,
    TRANSACTIONAL_BIT,
    control_batch,
    with_append_time,
)

__all__ = ["STILL_OPEN", "Log", "Session"]

#: Where a stretch of a transaction ends that is open.
STILL_OPEN = 1 << 62

#: Most rows in one statement; sizes are powers of two, so that few statements are compiled.
_MOST_ROWS = 32


@dataclass
class Log:
    """One partition's log, as the writer knows it."""

    tp: TP
    id: int
    policy: TopicPolicy
    state: Partition
    bytes: int
    batches: int
    loaded: set[int] = field(default_factory=set)


class Session:
    """The writer's view of the log.

    Attributes:
        db: The connection, inside a write transaction.
        clock: Where times come from.
        default_partitions: Partitions of a topic that is created on first use; 0: none is.
        touched: Has this transaction written anything?
    """

    def __init__(self, db: sqlite3.Connection, clock: Clock, default_partitions: int) -> None:
        self.db = db
        self.clock = clock
        self.default_partitions = default_partitions
        self.touched = False
        self.writable_since = clock.monotonic()
        self._version = -1
        self._logs: dict[TP, Log] = {}
        self._batches: list[Any] = []
        self._dirty: dict[int, Log] = {}
        self._dirty_producers: dict[tuple[int, int], ProducerState] = {}
        #: What `transactions` has read of transactional ids; forgotten with the rest.
        self.transactional_ids: dict[str, Any] = {}

    # -- the frame of a transaction --------------------------------------------------------

    def begin(self) -> None:
        """A transaction has begun."""
        self.touched = False
        (version,) = self.db.execute("PRAGMA data_version").fetchone()
        if version != self._version:
            self._version = version
            self.forget()

    def forget(self) -> None:
        """What we know may no longer be true (rolled back, or written behind our back)."""
        self._logs.clear()
        self._batches.clear()
        self._dirty.clear()
        self._dirty_producers.clear()
        self.transactional_ids.clear()

    def flush(self) -> None:
        """Write what waits."""
        if not self._batches:
            return
        self._insert(
            "INSERT INTO batch (id, base_offset, bytes_before, max_timestamp, data)",
            5,
            self._batches,
        )
        logs = [
            value
            for log in self._dirty.values()
            for value in (
                log.id,
                0,
                0,
                log.state.end,
                log.state.stable if log.state.open else None,
                log.bytes,
                log.batches,
            )
        ]
        self._insert(
            "INSERT INTO partition (id, topic, number, next_offset, stable_offset, bytes, batches)",
            7,
            logs,
            " ON CONFLICT (id) DO UPDATE SET next_offset = excluded.next_offset,"
            " stable_offset = excluded.stable_offset, bytes = excluded.bytes,"
            " batches = excluded.batches",
        )
        if self._dirty_producers:
            producers = [
                value
                for (partition, producer_id), state in self._dirty_producers.items()
                for value in (
                    partition,
                    producer_id,
                    json.dumps([state.epoch, state.recent]),
                    state.used_ms,
                )
            ]
            self._insert(
                "INSERT INTO producer (partition, producer_id, state, last_timestamp)",
                4,
                producers,
                " ON CONFLICT (partition, producer_id) DO UPDATE SET"
                " state = excluded.state, last_timestamp = excluded.last_timestamp",
            )
        self._batches.clear()
        self._dirty.clear()
        self._dirty_producers.clear()

    def _insert(self, into: str, width: int, values: Sequence[Any], after: str = "") -> None:
        row = "(" + ",".join("?" * width) + ")"
        at, left = 0, len(values) // width
        while left:
            rows = min(_MOST_ROWS, 1 << (left.bit_length() - 1))
            # `WHERE true` is how SQLite tells ON CONFLICT from a join; VALUES needs no help.
            statement = f"{into} VALUES {','.join([row] * rows)}{after}"
            self.db.execute(statement, values[at : at + rows * width])
            at += rows * width
            left -= rows

    # -- partitions ------------------------------------------------------------------------

    def find(self, tp: TP) -> Log | None:
        """Return a partition's log, or ``None``."""
        log = self._logs.get(tp)
        if log is None:
            log = self._load(tp)
            if log is not None:
                self._logs[tp] = log
        return log

    def find_or_create(self, tp: TP) -> Log:
        """Return a partition's log; a missing topic is created where that is allowed.

        Raises:
            UnknownTopic: there is no such topic or partition; InvalidTopic: there cannot be.
        """
        log = self.find(tp)
        if log is None and self.default_partitions and not topics.exists(self.db, tp.topic):
            topics.create(self.db, tp.topic, self.default_partitions, {})
            self.touched = True
            log = self.find(tp)
        if log is None:
            raise UnknownTopic(f"there is no partition {tp}")
        return log

    def _load(self, tp: TP) -> Log | None:
        row = self.db.execute(
            "SELECT p.id, t.config, p.start_offset, p.next_offset, p.bytes, p.batches,"
            " p.stable_offset FROM topic t JOIN partition p ON p.topic = t.id"
            " WHERE t.name = ? AND p.number = ?",
            tp,
        ).fetchone()
        if row is None:
            return None
        policy = TopicPolicy.parse(json.loads(row[1]))
        state = Partition(row[2], row[3])
        if row[6] is not None:
            state.open = dict(
                self.db.execute(
                    "SELECT producer_id, first_offset FROM aborted"
                    " WHERE partition = ? AND last_offset = ?",
                    (row[0], STILL_OPEN),
                )
            )
        return Log(tp, row[0], policy, state, row[4], row[5])

    # -- appending -------------------------------------------------------------------------

    def append(self, tp: TP, data: bytearray) -> Placed:
        """Append a batch; ``data`` belongs to the log from now on.

        A batch of an idempotent producer that is there already is not appended again.

        Raises:
            MessageTooLarge, UnknownTopic, ProducerFenced, StopError: nothing has changed.
        """
        log = self.find_or_create(tp)
        if len(data) > log.policy.max_message_bytes:
            raise MessageTooLarge(
                f"a batch of {len(data)} bytes for {tp}: max.message.bytes of the topic is "
                f"{log.policy.max_message_bytes}"
            )
        if len(data) < HEADER_SIZE or data[16] != 2:
            raise CorruptRecord(f"what was to be appended to {tp} is no batch of format v2")
        header = HEADER.unpack_from(data)
        max_timestamp, producer_id, epoch, sequence = header[8:12]
        now_ms = int(self.clock.time() * 1000)
        if producer_id >= 0 and producer_id not in log.loaded:
            self._load_producer(log, producer_id)
        transactional = bool(data[22] & TRANSACTIONAL_BIT)
        opens = transactional and producer_id not in log.state.open
        place = log.state.place(
            header[6] + 1,
            now_ms,
            producer_id=producer_id,
            epoch=epoch,
            sequence=sequence,
            transactional=transactional,
        )
        if place.duplicate:
            return Placed(place.base_offset, -1, log.state.start)
        if opens:
            self._note_stretch(log, place.base_offset, STILL_OPEN, producer_id)
        stamp = -1
        if log.policy.log_append_time:
            stamp = max_timestamp = now_ms
            data = bytearray(with_append_time(bytes(data), now_ms))
        data[0:8] = place.base_offset.to_bytes(8, "big")
        self._write(log, place.base_offset, max_timestamp, data)
        if producer_id >= 0:
            self._dirty_producers[log.id, producer_id] = log.state.producers[producer_id]
        return Placed(place.base_offset, stamp, log.state.start)

    def mark(self, log: Log, producer_id: int, epoch: int, *, commit: bool) -> None:
        """End the transaction that a producer has open in this log, with a marker."""
        if producer_id not in log.state.open:
            return  # nothing of it has got here (or this is another topic of the same name)
        if producer_id not in log.loaded:
            self._load_producer(log, producer_id)
        first, now_ms = log.state.open[producer_id], int(self.clock.time() * 1000)
        offset = log.state.mark(producer_id, epoch, now_ms, commit=commit)
        log.state.aborted.clear()  # they are kept in the file
        self.db.execute(
            "DELETE FROM aborted WHERE partition = ? AND last_offset = ? AND producer_id = ?",
            (log.id, STILL_OPEN, producer_id),
        )
        if not commit:
            self._note_stretch(log, first, offset, producer_id)
        marker = bytearray(control_batch(producer_id, epoch, now_ms, commit=commit))
        marker[0:8] = offset.to_bytes(8, "big")
        self._write(log, offset, now_ms, marker)
        self._dirty_producers[log.id, producer_id] = log.state.producers[producer_id]

    def _note_stretch(self, log: Log, first: int, last: int, producer_id: int) -> None:
        self.db.execute(
            "INSERT INTO aborted (partition, last_offset, first_offset, producer_id)"
            " VALUES (?, ?, ?, ?)",
            (log.id, last, first, producer_id),
        )

    def next_sequence(self, tp: TP, producer_id: int, epoch: int = 0) -> int:
        """Return the sequence number of an idempotent producer's next record.

        Raises:
            UnknownTopic, InvalidTopic: as by `find_or_create`.
        """
        log = self.find_or_create(tp)
        if producer_id not in log.loaded:
            self._load_producer(log, producer_id)
        state = log.state.producers.get(producer_id)
        known = state is not None and state.epoch == epoch and state.recent
        return (state.recent[-1][1] + 1) % SEQUENCES if state and known else 0

    def _write(self, log: Log, base_offset: int, max_timestamp: int, data: bytearray) -> None:
        key = batch_key(log.id, log.state.end - 1)
        self._batches += (key, base_offset, log.bytes, max_timestamp, data)
        log.bytes += len(data)
        log.batches += 1
        self._dirty[log.id] = log
        self.touched = True

    def _load_producer(self, log: Log, producer_id: int) -> None:
        row = self.db.execute(
            "SELECT state, last_timestamp FROM producer WHERE partition = ? AND producer_id = ?",
            (log.id, producer_id),
        ).fetchone()
        if row is not None:
            epoch, recent = json.loads(row[0])
            batches = [(first, last, base) for first, last, base in recent]
            log.state.producers[producer_id] = ProducerState(epoch, row[1], batches)
        log.loaded.add(producer_id)

    # -- the front of the log ------------------------------------------------------------------

    def start_at(self, log: Log, offset: int) -> None:
        """Let a log begin there; its batches below are cleared away by and by."""
        log.state.start_at(offset)
        self.db.execute(
            "UPDATE partition SET start_offset = ? WHERE id = ?", (log.state.start, log.id)
        )
        self.touched = True

    def clear(self, partition_id: int, below: int, most: int) -> int:
        """Remove at most ``most`` batches that end below an offset; return how many went."""
        cursor = self.db.execute(
            "DELETE FROM batch WHERE id IN"
            " (SELECT id FROM batch WHERE id >= ? AND id < ? ORDER BY id LIMIT ?)",
            (partition_id << OFFSET_BITS, batch_key(partition_id, below), most),
        )
        self.touched = self.touched or cursor.rowcount > 0
        return cursor.rowcount
