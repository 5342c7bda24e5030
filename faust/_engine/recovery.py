"""Tells tables that they are restored: once for all of a table's partitions that came together.

A task whose tables have somebody to tell waits, before its first event, until all tasks that are
being started with these tables are restored; then each table is told once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from faust._machines.copartition import TaskId
from faust._values import TP

__all__ = ["Recovery"]


class _Round:
    """One table, until it is told."""

    def __init__(self) -> None:
        self.partitions: set[TP] = set()
        self.told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.told.add_done_callback(lambda told: told.cancelled() or told.exception())
        self.telling: asyncio.Task[None] | None = None


class Recovery:
    """Tables that are being restored, and who is told when they are.

    Arguments:
        copied: Returns the changelogs' partitions of a table that are copied here for others.
    """

    def __init__(self, copied: Callable[[Any], set[TP]]) -> None:
        self._copied = copied
        self._expected: dict[TaskId, frozenset[Any]] = {}
        self._rounds: dict[Any, _Round] = {}

    def expect(self, task: TaskId, tables: Iterable[Any]) -> None:
        """A task is being started with these tables."""
        self._expected[task] = frozenset(table for table in tables if table.hears_recovery)

    async def restored(self, task: TaskId, tables: Iterable[Any]) -> None:
        """A task is restored: return when its tables have been told.

        Raises:
            Exception: what one of them raised.
        """
        rounds = []
        for table in tables:
            if table.hears_recovery:
                round = self._rounds.setdefault(table, _Round())
                round.partitions.add(TP(table.changelog_topic_name, task.partition))
                rounds.append(round)
        self.give_up(task)
        for round in rounds:
            await asyncio.shield(round.told)

    def give_up(self, task: TaskId) -> None:
        """A task is not waited for (any more)."""
        self._expected.pop(task, None)
        for table, round in list(self._rounds.items()):
            if not any(table in tables for tables in self._expected.values()):
                del self._rounds[table]
                round.telling = asyncio.create_task(
                    _tell(table, round, self._copied(table)), name=f"faust-recovered-{table.name}"
                )


async def _tell(table: Any, round: _Round, copied: set[TP]) -> None:
    try:
        await table.on_recovery_completed(round.partitions, copied)
    except Exception as exc:
        round.told.set_exception(exc)
    else:
        round.told.set_result(None)
