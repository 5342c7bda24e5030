"""The first write of a reader to a table: who else writes it?

Readers of one task that write one table must be inside an event one at a time, or one overwrites
what the other has just written.  Before any event has come `faust.agents.hints` looks at the code;
what it misses is learned here, at the first write: from then on there is a gate, and the event that
found out is undone and handed out again behind it, because it may have read what another was about
to change.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Protocol

from faust._machines.effects import Refusal
from faust.exceptions import ImproperlyConfigured, SharedTable

if TYPE_CHECKING:
    from faust._context import AppContext
    from faust._inprogress import InProgress
    from faust._machines.effects import Cursor, TaskRun

__all__ = ["admit_writer"]

logger = logging.getLogger(__name__)


class Shareable(Protocol):
    """A table, as it is seen here.

    Attributes:
        writable: What has been written in each task, by the cursors of those who did.
    """

    app: AppContext
    name: str
    writable: dict[Cursor, Any]


def admit_writer(table: Shareable, stream: InProgress) -> None:
    """Let the event in progress write a table, as the first of its reader in this task.

    Raises:
        SharedTable: another reader writes it, too; the event will be handed out again.
        ImproperlyConfigured: another reader writes it, too, and one of them acknowledges by hand.
    """
    cursor, run = stream.cursor, stream.task
    assert cursor is not None
    assert run is not None
    cursor.by_hand = not stream.enable_acks
    others = {c for c in run.cursors if c in table.writable and c.reader != cursor.reader}
    named = table.app.agents_naming(table.name) - {cursor.reader} if cursor.by_hand else set()
    if named:
        named &= {c.reader for c in run.cursors}
    by_hand = {c.reader for c in (cursor, *others) if c.by_hand}
    if by_hand and (others or named):
        raise ImproperlyConfigured(
            f"agent {min(by_hand)!r} acknowledges events by hand (noack) and writes table "
            f"{table.name!r}, which is also used by agent "
            f"{min(({c.reader for c in (cursor, *others)} | named) - {min(by_hand)})!r}: that one "
            f"would see, and build on, what is not acknowledged yet. Let the agent of the noack "
            f"stream have the table for itself, and send to it"
        )
    if in_the_way := _in_the_way(run, cursor.reader, {c.reader for c in others}):
        _refuse(table, cursor, run, in_the_way)


def _in_the_way(run: TaskRun, reader: str, others: set[str]) -> set[str]:
    return others if run.gate is None else run.gate.in_the_way(reader, others)


def _refuse(table: Shareable, cursor: Cursor, run: TaskRun, others: set[str]) -> None:
    known = set() if run.gate is None else run.gate.readers
    if not {cursor.reader, *others} <= known:
        logger.info(
            "Agents %s write table %r: from now on one of them at a time is inside an event of a "
            "partition", ", ".join(sorted({*others, cursor.reader})), table.name,
        )  # fmt: skip
        table.app.share_table(run, cursor.reader, others)
    error = SharedTable(
        f"table {table.name!r} is written by {sorted(others)}, too; the event is handed out "
        f"again when they are done with theirs"
    )
    cursor.note(Refusal(error))
    raise error
