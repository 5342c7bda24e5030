"""Transactional ids in the file: who has which, what it has open, and how that ends.

Theory.  Batches of a transaction are written at once, as on Kafka: their offsets must be known
before the transaction ends (what is committed with it names them), and other producers go on in
the same logs meanwhile.  So an open transaction is a *stretch* of each log it has written to, a row
of ``aborted`` whose end lies at infinity; readers of the committed stop at the first one
(``partition.stable_offset``).  It ends in one write transaction, which holds everything that makes
it count: a marker in each log, the stretches gone (or kept as aborted ones), the offsets of groups
committed, the id's own state.  There is no in-between that a reader or a crash could see.

The state of an id is one row of plain data, as that of a group is (see `groups`): each event reads
it, lets the machine decide, and writes it back.  Three end what a producer has left open: its
successor at once; whoever holds the maintenance lease when the process is certainly dead; and that
one again when the time-out is over, of which only time counts in which it could have written
itself.
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Collection, Mapping
from typing import NamedTuple

from faust._machines.transactions import Ended, TransactionalId
from faust._values import TP
from faust.exceptions import TransactionAborted
from faust.transport.drivers.sqlite import groups
from faust.transport.drivers.sqlite.log import Session
from faust.transport.membership import Commit

__all__ = [
    "add_offsets",
    "add_partition",
    "check",
    "end",
    "end_dead",
    "forget_unused",
    "initialize",
    "is_unstable",
    "renew",
    "tick_all",
]

#: Kafka's ``transactional.id.expiration.ms``: ids that nobody uses for so long are forgotten.
EXPIRY_MS = 7 * 86_400_000

_OPEN = "SELECT transactional_id FROM transaction_state WHERE json_extract(state, '$.since') >= 0"


class _Known(NamedTuple):
    """An id as the session knows it."""

    id: TransactionalId
    process: str


# -- one id ------------------------------------------------------------------------------------


def initialize(session: Session, name: str, timeout: float, process: str) -> tuple[int, int]:
    """Give an id to a new producer; what its predecessor left open is aborted.

    Returns its producer id and epoch.
    """
    known = _find(session, name)
    if known is None:
        # 62 random bits, as those of producers without transactions.
        found = TransactionalId(name=name, producer_id=uuid.uuid4().int >> 66)
    else:
        found = known.id
    left_open = found.initialize(timeout)
    if left_open is not None:
        _finish(session, left_open, commit=False)
    _save(session, _Known(found, process))
    return found.producer_id, found.epoch


def renew(session: Session, name: str, epoch: int) -> int:
    """Give the producer of this epoch the next one; what it has open is aborted.

    Raises:
        ProducerFenced: a later producer has the id.
        TransactionAborted: nothing is known of the id any more.
    """
    known = _know(session, name)
    left_open = known.id.renew(epoch)
    if left_open is not None:
        _finish(session, left_open, commit=False)
    _save(session, known)
    return known.id.epoch


def check(session: Session, name: str, epoch: int) -> None:
    """Return if a producer of this epoch may go on.

    Raises:
        TransactionAborted: its transaction was ended; ProducerFenced: a later one has the id.
    """
    _know(session, name).id.check(epoch)


def add_partition(session: Session, name: str, epoch: int, tp: TP) -> None:
    """Take a partition into the transaction; its first begins it.  Raises as `check`."""
    known = _know(session, name)
    known.id.check(epoch)
    if tp not in known.id.partitions:
        known.id.add_partitions(epoch, [tp], session.clock.monotonic())
        _save(session, known)


def add_offsets(
    session: Session, name: str, epoch: int, group_id: str, offsets: Mapping[TP, Commit]
) -> None:
    """Let offsets be committed with the transaction.

    Raises:
        UnknownTopic, MessageTooLarge: one cannot be; none is.
        TransactionAborted, ProducerFenced: as by `check`.
    """
    known = _know(session, name)
    known.id.check(epoch)
    for error in groups.refused(session, offsets).values():
        raise error
    known.id.add_offsets(epoch, group_id, offsets, session.clock.monotonic())
    _save(session, known)


def end(session: Session, name: str, epoch: int, *, commit: bool) -> None:
    """Commit or abort what is open.  Raises as `check`."""
    known = _know(session, name)
    _finish(session, known.id.end(epoch), commit=commit)
    _save(session, known)


# -- what nobody asks for ------------------------------------------------------------------------


def tick_all(session: Session) -> None:
    """Abort transactions that have been open for too long."""
    now = session.clock.monotonic()
    for (name,) in session.db.execute(_OPEN).fetchall():
        known = _know(session, name)
        ended = known.id.tick(now, writable_since=session.writable_since)
        if ended is not None:
            _finish(session, ended, commit=False)
            _save(session, known)


def end_dead(session: Session, dead: Collection[str]) -> None:
    """Abort what dead processes have left open."""
    for (name,) in session.db.execute(_OPEN).fetchall():
        known = _know(session, name)
        if known.process in dead:
            _finish(session, known.id.take_away(), commit=False)
            _save(session, known)


def forget_unused(session: Session) -> None:
    """Forget ids that nobody has used for a week."""
    horizon = int(session.clock.time() * 1000) - EXPIRY_MS
    cursor = session.db.execute(
        "DELETE FROM transaction_state WHERE json_extract(state, '$.since') IS NULL"
        " AND json_extract(state, '$.used_ms') < ?",
        (horizon,),
    )
    if cursor.rowcount:
        session.transactional_ids.clear()


def is_unstable(db: sqlite3.Connection, group_id: str, tps: Collection[TP] | None) -> bool:
    """Does an open transaction hold offsets of these partitions of the group?"""
    rows = db.execute(
        "SELECT state FROM transaction_state WHERE json_extract(state, '$.since') >= 0"
    ).fetchall()
    for (text,) in rows:
        held = TransactionalId.decode(_plain(text)[0]).offsets.get(group_id, {})
        if held and (tps is None or any(tp in held for tp in tps)):
            return True
    return False


# -- inside ------------------------------------------------------------------------------------


def _finish(session: Session, ended: Ended, *, commit: bool) -> None:
    for tp in ended.partitions:
        log = session.find(tp)
        if log is not None:
            session.mark(log, ended.producer_id, ended.epoch, commit=commit)
    if commit:
        for group_id, offsets in ended.offsets.items():
            groups.commit(session, group_id, {tp: Commit(*entry) for tp, entry in offsets.items()})
    session.touched = True


def _know(session: Session, name: str) -> _Known:
    known = _find(session, name)
    if known is None:
        raise TransactionAborted(f"nothing is known of the transactional id {name!r} any more")
    return known


def _find(session: Session, name: str) -> _Known | None:
    known: _Known | None = session.transactional_ids.get(name)
    if known is None:
        row = session.db.execute(
            "SELECT state FROM transaction_state WHERE transactional_id = ?", (name,)
        ).fetchone()
        if row is None:
            return None
        plain, process = _plain(row[0])
        found = TransactionalId.decode(plain)
        if found.since is not None:
            # A time from before the machine was started anew lies in the future.
            found.since = min(found.since, session.clock.monotonic())
        known = session.transactional_ids[name] = _Known(found, process)
    return known


def _save(session: Session, known: _Known) -> None:
    name = known.id.name
    session.transactional_ids[name] = known
    used_ms = int(session.clock.time() * 1000)
    plain = known.id.encode() | {"process": known.process, "used_ms": used_ms}
    session.db.execute(
        "INSERT INTO transaction_state (transactional_id, producer_id, state) VALUES (?, ?, ?)"
        " ON CONFLICT (transactional_id) DO UPDATE SET producer_id = excluded.producer_id,"
        " state = excluded.state",
        (name, known.id.producer_id, json.dumps(plain, separators=(",", ":"))),
    )


def _plain(text: str) -> tuple[dict[str, object], str]:
    plain = json.loads(text)
    process = plain.pop("process")
    plain.pop("used_ms")
    return plain, process
