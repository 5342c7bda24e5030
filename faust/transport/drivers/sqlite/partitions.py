"""Partitions as maintenance looks at them."""

from __future__ import annotations

import json
import sqlite3
from typing import NamedTuple

from faust._machines.log import Aborted, Extent
from faust._machines.topicrules import DEFAULTS, TopicPolicy
from faust._values import TP
from faust.transport.drivers.sqlite.log import Session
from faust.transport.drivers.sqlite.schema import OFFSET_BITS, batch_key

__all__ = ["PartitionLog", "aborted_below", "extents_of", "forget_aborted", "logs_of"]


class PartitionLog(NamedTuple):
    """One partition.

    Attributes:
        id: Of its row.
        tp: Its name.
        start: The first offset that is there.
        stable: The offset up to which every transaction has ended.
        bytes: Ever appended.
        cleaned: Compacted up to here.
        policy: Its topic's configuration.
        dirty_ratio: ``min.cleanable.dirty.ratio``.
    """

    id: int
    tp: TP
    start: int
    stable: int
    bytes: int
    cleaned: int
    policy: TopicPolicy
    dirty_ratio: float


def logs_of(db: sqlite3.Connection) -> list[PartitionLog]:
    """Return all partitions that ever held a record."""
    rows = db.execute(
        "SELECT p.id, t.name, p.number, p.start_offset, coalesce(p.stable_offset, p.next_offset),"
        " p.bytes, p.cleaned_offset, t.config FROM partition p JOIN topic t ON t.id = p.topic"
        " WHERE p.next_offset > 0"
    ).fetchall()
    found = []
    for row_id, topic, number, start, stable, size, cleaned, text in rows:
        config = {**DEFAULTS, **json.loads(text)}
        policy = TopicPolicy.parse(config)
        ratio = float(config["min.cleanable.dirty.ratio"])
        tp = TP(topic, number)
        found.append(PartitionLog(row_id, tp, start, stable, size, cleaned, policy, ratio))
    return found


def extents_of(
    db: sqlite3.Connection, log: PartitionLog, start: int, most: int
) -> tuple[list[Extent], int]:
    """Return the batches from there on (at most so many; -1: all), and the bytes behind them."""
    rows = db.execute(
        "SELECT base_offset, id, max_timestamp, length(data), bytes_before FROM batch"
        " WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
        (batch_key(log.id, start), (log.id + 1) << OFFSET_BITS, most),
    ).fetchall()
    mask = (1 << OFFSET_BITS) - 1
    extents = [Extent(base, (key & mask) + 1, stamp, size) for base, key, stamp, size, _ in rows]
    behind = log.bytes - rows[-1][4] - rows[-1][3] if rows else 0
    return extents, max(behind, 0)


def aborted_below(db: sqlite3.Connection, partition_id: int, offset: int) -> list[Aborted]:
    """Return the aborted stretches that begin below an offset."""
    rows = db.execute(
        "SELECT producer_id, first_offset, last_offset FROM aborted"
        " WHERE partition = ? AND first_offset < ?",
        (partition_id, offset),
    ).fetchall()
    return [Aborted(*row) for row in rows]


def forget_aborted(partition_id: int, below: int, session: Session) -> None:
    """Forget aborted stretches of which nothing is left below an offset."""
    session.db.execute(
        "DELETE FROM aborted WHERE partition = ? AND last_offset < ?", (partition_id, below)
    )
