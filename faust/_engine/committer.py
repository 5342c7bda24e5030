"""The commit protocol: cut, produce, commit, apply.

Read `Committer.commit` from top to bottom: it is the one place where anything becomes true.  A
failure at any step leaves the previous commit as the truth; what had been cut is dirty again,
unless the outcome is unknown, and then it is looked up before anything else happens.

1. *Cut*: every reader at its last boundary between events, and the table entries that finished
   events have left.  Synchronous: nothing moves between the first and the last task.
2. *Produce* the last value of each dirty key to the changelogs; wait until these and all outputs of
   the events are acknowledged.
3. *Commit* the positions of all source partitions of these tasks in one request; each carries the
   same string: writer, sequence number, positions, changelog positions.
4. *Apply* the entries to the local stores, each in one atomic batch with its changelog position.

A commit carries the generation of its cut and is never sent again under another: the broker fences
what is too old, and after a rejoin the tasks that are still ours are cut again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from faust._engine.changelogs import Changelogs
from faust._engine.tasks import ActiveTask, Cut, TableCut
from faust._machines import commits
from faust._machines.commits import TaskEntry
from faust._machines.retry import backoff
from faust._values import TP
from faust.exceptions import (
    BrokerError,
    BrokerUnavailable,
    FencedMember,
    IllegalGeneration,
    RebalanceInProgress,
    RejoinError,
    RetryableError,
)
from faust.stores.base import Checkpoint

if TYPE_CHECKING:
    from faust._core.clock import Clock
    from faust._core.threads import Bridge
    from faust._engine.outbox import Outbox
    from faust.sensors.delegate import SensorDelegate
    from faust.transport.base import Commit, Membership, Producer, Transport

__all__ = ["Committer"]

logger = logging.getLogger(__name__)

#: Keys dirty in all tasks after which a commit does not wait for its interval.
DIRTY_KEYS = 160_000
#: Keys dirty in one task after which a commit does not wait for its interval.
TASK_DIRTY_KEYS = 20_000
#: How often it is looked whether a commit is due early (seconds).
LOOK_INTERVAL = 0.05


class Committer:
    """Commits the tasks of one worker.

    Arguments:
        writer: Unique id of this process; stands in every commit.
        every: Finished events after which a commit does not wait for its interval; 0 for none.
        tasks: Returns the tasks that are active.
        generation: Returns the generation we are in, -1 if none.
        sensors: Are told of every commit.
        consumer: On whose behalf, as sensors know it.
        on_committed: Called with the offsets of every commit that has succeeded.
    """

    def __init__(
        self,
        *,
        bridge: Bridge,
        clock: Clock,
        transport: Transport,
        producer: Producer,
        membership: Membership,
        outbox: Outbox,
        group_id: str,
        cluster_id: str,
        writer: str,
        interval: float,
        every: int = 0,
        batch_size: int,
        tasks: Callable[[], Collection[ActiveTask]],
        generation: Callable[[], int],
        sensors: SensorDelegate,
        consumer: Any,
        on_committed: Callable[[dict[TP, int]], None],
    ) -> None:
        from faust.transport.base import Commit

        self._changelogs = Changelogs(transport, producer, batch_size=batch_size, now=clock.time)
        self._make_commit = Commit
        self._bridge = bridge
        self._clock = clock
        self._transport = transport
        self._membership = membership
        self._outbox = outbox
        self._group_id = group_id
        self._cluster_id = cluster_id
        self._writer = writer
        self._interval = interval
        self._every = every
        self._tasks = tasks
        self._generation = generation
        self._on_committed = on_committed
        self._sensors = sensors
        self._consumer = consumer
        self._sequence = 0
        self._lock = asyncio.Lock()
        #: When something was last committed, or there was nothing to commit (monotonic).
        self.last_progress = clock.monotonic()
        #: Has a commit been begun since, with the group's leave?  Then it is waited for.
        self.trying = False
        #: Why the last commit failed, "" if it did not.
        self.trouble = ""

    # -- when --------------------------------------------------------------------------

    async def run(self) -> None:
        """Commit at intervals, and earlier where much is dirty, for ever."""
        failures = 0
        while True:
            await self._wait_until_due(failures)
            try:
                done = await self.commit(list(self._tasks()))
            except RetryableError as exc:
                done = False
                self._note(f"the broker does not answer: {exc}")
            failures = 0 if done else failures + 1

    async def _wait_until_due(self, failures: int) -> None:
        wait = self._interval if not failures else backoff(failures, 0.1, 2.0)
        deadline = self._clock.monotonic() + wait
        while (left := deadline - self._clock.monotonic()) > 0:
            if not failures and (self._much_is_dirty() or self._much_is_finished()):
                return
            await self._clock.sleep(min(left, LOOK_INTERVAL))

    def _much_is_dirty(self) -> bool:
        total = 0
        for task in self._tasks():
            dirty = task.dirty
            if dirty >= TASK_DIRTY_KEYS:
                return True
            total += dirty
        return total >= DIRTY_KEYS

    def _much_is_finished(self) -> bool:
        if not self._every:
            return False
        finished = sum(
            position - task.committed.get(tp, position)
            for task in self._tasks()
            for tp, position in task.positions().items()
        )
        return finished >= self._every

    # -- how ---------------------------------------------------------------------------

    async def commit(self, tasks: Sequence[ActiveTask]) -> bool:
        """Commit these tasks; ``False`` if any of them was not committed (nothing is lost by that).

        Raises:
            RetryableError: the broker does not answer; nothing is committed.
            ProducerSendError: a message that an event had sent cannot be delivered.
            FencedMember: another process has our static member id.
            OSError: a local store cannot be written; all is committed, and it is behind.
        """
        async with self._lock:
            if self._generation() < 0:
                self.trying = False
                return False  # whatever we have is not ours: a broker might not even fence it
            cuts = [cut for task in tasks if (cut := self._cut(task)) is not None]
            self.trying = bool(cuts)
            if not cuts:
                self.last_progress = self._clock.monotonic()
                self.trouble = ""
                return True
            states = self._sensors.on_commit_initiated(self._consumer)
            try:
                await self._produce(cuts)
                committed = await self._commit(cuts)
            except RejoinError as exc:
                self._note(f"refused, the group has moved on: {exc}")
                self._undo(cuts)
                return False
            except BaseException:
                self._undo(cuts)
                raise
            broken: OSError | None = None
            for cut in cuts:
                if cut in committed:
                    broken = self._apply(cut, committed[cut]) or broken
                else:
                    cut.undo()
            if committed:
                self.last_progress = self._clock.monotonic()
                self.trying = False
                offsets = {tp: at for cut in committed for tp, at in cut.positions.items()}
                self._sensors.on_commit_completed(self._consumer, states, offsets)
                self._on_committed(offsets)
            if broken is not None:
                raise broken
            return len(committed) == len(cuts)

    @staticmethod
    def _undo(cuts: Sequence[Cut]) -> None:
        for cut in cuts:
            if cut.task.run.alive:
                cut.undo()

    # 1 -------------------------------------------------------------------------------

    def _cut(self, task: ActiveTask) -> Cut | None:
        """Take what finished events have left; ``None`` where nothing has changed."""
        positions = task.positions()
        readers = task.readers()
        moved = any(task.committed.get(tp) != at for tp, at in positions.items())
        if not moved and task.entry is not None:
            moved = {k: dict(v) for k, v in task.entry.readers.items() if k in readers} != readers
        if not (moved or task.dirty or task.restless) or not task.run.alive:
            return None
        self._sequence = (
            max(self._sequence, task.entry.sequence if task.entry is not None else 0) + 1
        )
        return Cut(
            task,
            self._generation(),
            self._sequence,
            positions,
            readers,
            dict(task.run.forwarded),
            {
                name: table.watermarks[task.run.partition]
                for name, table in task.tables.items()
                if task.run.partition in table.watermarks
            },
            [
                TableCut(
                    name,
                    task.slices[name],
                    TP(table.changelog_topic_name, task.run.partition),
                    task.slices[name].cut(),
                    position=task.slices[name].position,
                )
                for name, table in task.tables.items()
            ],
        )

    # 2 -------------------------------------------------------------------------------

    async def _produce(self, cuts: Sequence[Cut]) -> None:
        tables = [table for cut in cuts for table in cut.tables if table.taken]
        for table in tables:
            table.entries = table.piece.encode_cut(table.taken)
            table.deleted = table.piece.deletions
        barrier = asyncio.ensure_future(self._outbox.barrier())
        try:
            if tables:
                await self._bridge.call_io(self._append_all, tables)
                for table in tables:
                    await self._take_charge(table)
            await barrier
        finally:
            if not barrier.done():
                barrier.cancel()
            await asyncio.gather(barrier, return_exceptions=True)

    async def _append_all(self, tables: Sequence[TableCut]) -> None:
        """On the I/O loop: append to all changelogs at once."""
        append = self._changelogs.append
        ends = await asyncio.gather(
            *(append(table.changelog, table.entries, table.piece.expected) for table in tables)
        )
        for table, (end, foreign) in zip(tables, ends, strict=True):
            table.position, table.foreign = end, foreign

    async def _take_charge(self, table: TableCut) -> None:
        """Where somebody else has written to the changelog, write our own values again."""
        if table.foreign:
            await self._bridge.call_io(self._make_sure)
            ours = dict(table.entries)

            def own_value(key: bytes) -> bytes | None:
                if not table.piece.task.alive:
                    raise IllegalGeneration(f"{table.changelog} is not ours any more")
                return ours[key] if key in ours else table.piece.committed_bytes(key)

            table.position = await self._bridge.call_io(
                self._changelogs.repair,
                table.changelog, table.position, table.foreign, own_value,
            )  # fmt: skip
        table.piece.expected = table.position

    async def _make_sure(self) -> None:
        """Somebody else writes: it may well be we who must not.

        Raises:
            RejoinError: it is.
        """
        with suppress(RebalanceInProgress):
            await self._membership.heartbeat()

    # 3 -------------------------------------------------------------------------------

    async def _commit(self, cuts: Sequence[Cut]) -> dict[Cut, TaskEntry]:
        """Send the offsets; return the cuts that are committed."""
        generations = {cut.generation for cut in cuts}
        generation = generations.pop()
        if generations or generation != self._generation():
            self._note("a rebalance came in between; the tasks that stay are cut again")
            return {}
        entries = {cut: self._entry(cut) for cut in cuts}
        offsets: dict[TP, Commit] = {}
        for cut, entry in entries.items():
            text = commits.encode(entry)
            for tp, position in cut.positions.items():
                offsets[tp] = self._make_commit(position, text)
        try:
            refused = await self._bridge.call_io(self._send_commit, offsets, generation)
        except FencedMember:
            raise
        except RejoinError as exc:
            self._note(f"refused, the group has moved on: {exc}")
            return {}
        except BrokerUnavailable as exc:
            return await self._look_up(entries, exc)
        for tp, error in refused.items():
            self._note(f"{tp} was refused: {error}")
        return {
            cut: entry
            for cut, entry in entries.items()
            if not any(tp in refused for tp in cut.positions)
        }

    async def _send_commit(
        self, offsets: dict[TP, Commit], generation: int
    ) -> dict[TP, BrokerError]:
        return await self._membership.commit(offsets, generation=generation)

    def _entry(self, cut: Cut) -> TaskEntry:
        old = cut.task.entry
        return TaskEntry(
            writer=self._writer,
            sequence=cut.sequence,
            positions={tp.topic: at for tp, at in cut.positions.items()},
            readers=_merged(old.readers if old else {}, cut.readers),
            tables=cut.marks(old.tables if old else {}),
            forwarded=cut.forwarded,
            watermarks={**(old.watermarks if old else {}), **cut.watermarks},
            closed=old.closed if old else {},
            cluster_id=self._cluster_id,
            extra=old.extra if old else {},
        )

    async def _look_up(
        self, entries: dict[Cut, TaskEntry], cause: BrokerUnavailable
    ) -> dict[Cut, TaskEntry]:
        """The outcome is unknown: ask what is committed, by writer and sequence number."""
        self._note(f"the outcome is unknown and is looked up: {cause}")
        tps = [tp for cut in entries for tp in cut.positions]
        found = await self._bridge.call_io(self._committed, tps)
        ours: dict[Cut, TaskEntry] = {}
        for cut, entry in entries.items():
            seen = [commits.decode(found[tp].metadata) for tp in cut.positions if tp in found]
            if len(seen) == len(cut.positions) and all(
                e is not None and (e.writer, e.sequence) == (entry.writer, entry.sequence)
                for e in seen
            ):
                ours[cut] = entry
        return ours

    async def _committed(self, tps: list[TP]) -> dict[TP, Commit]:
        return await self._transport.committed(self._group_id, tps)

    # 4 -------------------------------------------------------------------------------

    def _apply(self, cut: Cut, entry: TaskEntry) -> OSError | None:
        task = cut.task
        task.entry = entry
        task.committed.update(cut.positions)
        task.restless = False
        self.trouble = ""
        if not task.run.alive:
            return None
        broken: OSError | None = None
        now = self._clock.time()
        for table in cut.tables:
            if table.taken:
                task.tables[table.name].count_committed(table.taken, table.deleted)
            checkpoint = Checkpoint(table.position, table.piece.topic_id, 0, now, cut.sequence)
            if table.taken or table.position != table.piece.position:
                try:
                    table.piece.apply(table.taken, table.entries, checkpoint)
                except OSError as exc:
                    broken = exc
        return broken

    def _note(self, trouble: str) -> None:
        if trouble != self.trouble:
            logger.warning("Commit: %s", trouble)
        self.trouble = trouble

    def __repr__(self) -> str:
        return f"<Committer {self._writer} sequence={self._sequence} {self.trouble or 'well'}>"


def _merged(
    old: Mapping[str, Mapping[str, int]], new: Mapping[str, Mapping[str, int]]
) -> dict[str, dict[str, int]]:
    """Readers and topics that are absent now keep their entries, until a command drops them."""
    return {name: {**old.get(name, {}), **new.get(name, {})} for name in {**old, **new}}
