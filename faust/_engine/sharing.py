"""Which readers write one table, and the gates that let them into an event one at a time.

It is read from the agents' code before any event has come, and learned at the first write where the
code does not tell (`faust.tables.sharing`).  What was learned once holds for every later task.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from faust._machines.effects import Gate, TaskRun
from faust.agents.hints import tables_named_by

__all__ = ["Sharing"]


class Sharing:
    """Makes the gates of tasks.

    Arguments:
        agents: The agents by name.
        tables: The tables by name.
        streams: Returns all streams.
    """

    def __init__(
        self,
        agents: Mapping[str, Any],
        tables: Mapping[str, Any],
        streams: Callable[[], list[Any]],
    ) -> None:
        self._agents = agents
        self._tables = tables
        self._streams = streams
        self._learned: set[frozenset[str]] = set()

    def agents_naming(self, table: str) -> set[str]:
        """Return the agents whose code refers to a table."""
        return {
            name
            for name, agent in self._agents.items()
            if table in tables_named_by(agent.fun, self._tables)
        }

    def make_gate(self, run: TaskRun) -> None:
        """Give a task that begins its gate, if it needs one."""
        sharing = self._sharing_in(run)
        if sharing:
            gate = Gate()
            gate.readers = sharing
            run.gate = gate

    def _sharing_in(self, run: TaskRun) -> set[str]:
        readers = {cursor.reader for cursor in run.cursors}
        named = {
            reader: tables_named_by(agent.fun, self._tables)
            for reader in readers
            if (agent := self._agents.get(reader)) is not None
        }
        sharing = {
            reader
            for reader, tables in named.items()
            for other, theirs in named.items()
            if reader != other and tables & theirs
        }
        for group in self._learned:
            if len(group & readers) > 1:
                sharing |= group & readers
        return sharing

    def learn(
        self, run: TaskRun, writer: str, others: Iterable[str], active: Iterable[TaskRun]
    ) -> None:
        """These readers write one table: whoever is inside an event now finishes it first.

        Arguments:
            run: The task where it was noticed.
            writer: The reader whose event in progress there will be undone.
            others: Who else writes.
            active: All tasks.
        """
        self._learned.add(frozenset((writer, *others)))
        for each in {run, *active}:
            self._renew_gate(each)

    def _renew_gate(self, run: TaskRun) -> None:
        """Give a task that goes on a gate for all who share; who is inside stays until it is done.

        Several may be inside.  One of them may have written a table already; the others, which may
        have read it, are refused when they write (`faust.tables.sharing`).
        """
        gate = run.gate or Gate()
        new = self._sharing_in(run) - gate.readers
        if not new:
            return
        inside = [each for each in self._streams() if each.task is run and each.inside]
        gate.extend(new, {each.reader for each in inside} & new)
        run.gate = gate
        for each in inside:
            if each.reader in gate.readers and each.asking is not None:
                _free(each, gate)


def _free(asker: Any, gate: Gate) -> None:
    """Who is inside and waits for an answer of an agent that must now wait for it is told."""
    asked, promise = asker.asking
    if asked in gate.readers and asked != asker.reader and not promise.done():
        promise.set_exception(
            RuntimeError(
                f"agent {asker.reader!r} asks agent {asked!r}, and both write one table: the "
                f"answer waits for this event, and this event for the answer. Use cast() or "
                f"send(), or keep the table to one of them"
            )
        )
