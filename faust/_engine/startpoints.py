"""Where a task goes on: what its commits say together, and a position for each of its readers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from faust._machines import commits
from faust._machines.commits import TaskEntry
from faust._values import TP
from faust.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from faust._core.threads import Bridge
    from faust._engine.replay import Replay
    from faust._engine.tasks import ActiveTask
    from faust._machines.copartition import TaskId
    from faust.transport.base import Transport
    from faust.transport.membership import Commit

__all__ = ["Restored", "StartPoints"]


@dataclass
class Restored:
    """Where a task goes on.

    Attributes:
        positions: Next offset of each source partition: the lowest of its readers.
        readers: Readers that are ahead of it: (reader, partition) -> next offset.
    """

    positions: dict[TP, int]
    readers: dict[tuple[str, TP], int]


class StartPoints:
    """Finds where the readers of a task go on.

    Arguments:
        readers_of: Topic -> names of the readers whose progress is committed.
        stable: Wait for open transactions with offsets of a task, as one must under exactly once.
        reset: ``earliest`` or ``latest``: where a group without a commit begins.
        tables_elsewhere: Returns the names of the tables that do not belong to a task.
    """

    def __init__(
        self,
        *,
        bridge: Bridge,
        transport: Transport,
        replay: Replay,
        group_id: str,
        stable: bool,
        reset: str,
        readers_of: Callable[[str], Sequence[str]],
        tables_elsewhere: Callable[[TaskId], Collection[str]],
    ) -> None:
        from faust.transport import base

        self._port = base
        self._bridge = bridge
        self._transport = transport
        self._replay = replay
        self._group_id = group_id
        self._stable = stable
        self._reset = reset
        self._readers_of = readers_of
        self._tables_elsewhere = tables_elsewhere

    async def find(self, task: ActiveTask) -> Restored:
        """Read what is committed of a task, note it there, and return where its readers go on.

        Raises:
            ImproperlyConfigured: a reader was renamed and nobody said who goes on.
        """
        found = await self._bridge.call_io(self._committed, list(task.sources))
        chosen = commits.choose({tp.topic: (c.offset, c.metadata) for tp, c in found.items()})
        entry = chosen.entry
        if entry is not None:
            entry = commits.without_tables(entry, self._tables_elsewhere(task.id))
            task.run.forwarded.update(entry.forwarded)
        task.entry = entry
        positions = await self._positions(task, chosen.positions)
        self._check_readers(task, entry)
        task.committed = {tp: c.offset for tp, c in found.items()}
        if not chosen.agrees or entry != chosen.entry or len(found) < len(task.sources):
            task.restless = True
        return self._resolve(entry, positions)

    async def _committed(self, tps: list[TP] | None) -> dict[TP, Commit]:
        # Of what there is at all, a commit under way of somebody else's says nothing.
        stable = self._stable and tps is not None
        found: dict[TP, Commit] = await self._replay.patiently(
            lambda: self._transport.committed(self._group_id, tps, stable=stable)
        )
        return found

    async def _positions(self, task: ActiveTask, chosen: Mapping[str, int]) -> dict[TP, int]:
        """Return a position for each source partition, resolving those without a commit."""
        positions = {tp: chosen[tp.topic] for tp in task.sources if tp.topic in chosen}
        missing = [tp for tp in task.sources if tp not in positions]
        if missing:
            positions.update(await self._bridge.call_io(self._first_positions, missing))
        return positions

    async def _first_positions(self, missing: list[TP]) -> dict[TP, int]:
        everything = await self._committed_anywhere({tp.topic for tp in missing})
        known = {tp.topic for tp in everything}
        late = self._reset == "latest"
        at_end = [tp for tp in missing if late and tp.topic not in known]
        at_start = [tp for tp in missing if tp not in at_end]
        port, transport = self._port, self._transport
        positions: dict[TP, int] = {}
        for tps, at in ((at_start, port.EARLIEST), (at_end, port.LATEST)):
            if tps:
                request = partial(transport.offsets, tps, at)
                positions.update(await self._replay.patiently(request))
        return {tp: positions.get(tp, 0) for tp in missing}

    async def _committed_anywhere(self, topics: set[str]) -> dict[TP, Commit]:
        """All the group's commits on these topics: a partition added to a known topic starts at
        its beginning, whatever ``consumer_auto_offset_reset`` says."""
        found = await self._committed(None)
        return {tp: commit for tp, commit in found.items() if tp.topic in topics}

    def _check_readers(self, task: ActiveTask, entry: TaskEntry | None) -> None:
        """A reader that is gone and one that is new on one topic: nobody can know who is who."""
        if entry is None:
            return
        for tp in task.sources:
            present = list(self._readers_of(tp.topic))
            absent = commits.absent_readers(entry, tp.topic, present)
            new = [r for r in present if tp.topic not in entry.readers.get(r, {})]
            if absent and new:
                raise ImproperlyConfigured(
                    f"agent {absent[0]!r} has read topic {tp.topic!r} up to offset "
                    f"{entry.readers[absent[0]][tp.topic]} and is gone, and agent {new[0]!r} is "
                    f"new there: is it the same under another name? Give it name={absent[0]!r} to "
                    f"let it go on from there, or raise the app's version to start afresh"
                )

    def _resolve(self, entry: TaskEntry | None, positions: Mapping[TP, int]) -> Restored:
        readers: dict[tuple[str, TP], int] = {}
        lowest: dict[TP, int] = {}
        for tp, position in positions.items():
            names = list(self._readers_of(tp.topic))
            own = {
                name: position
                if entry is None
                else commits.reader_positions(entry, position, tp.topic, name)
                for name in names
            }
            lowest[tp] = min(own.values(), default=position)
            readers.update({(name, tp): at for name, at in own.items() if at != lowest[tp]})
        return Restored(lowest, readers)
