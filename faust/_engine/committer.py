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

How 2 and 3 are done is the guarantee's own: `faust._engine.atleastonce` sends one after the other,
`faust._engine.exactlyonce` puts both, and the outputs of the cut, into one transaction.

A commit carries the generation of its cut and is never sent again under another: the broker fences
what is too old, and after a rejoin the tasks that are still ours are cut again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from faust._engine.atleastonce import AtLeastOnce
from faust._engine.changelogs import ChangelogReplaced, Watched
from faust._engine.tasks import ActiveTask, Cut, TableCut
from faust._machines import commits, outputs
from faust._machines.commits import TaskEntry
from faust._machines.restore import record_crc
from faust._machines.retry import backoff
from faust._values import TP
from faust.exceptions import (
    BrokerError,
    BrokerUnavailable,
    FencedMember,
    RejoinError,
    RetryableError,
    TransactionAborted,
    UnknownTopic,
)
from faust.stores.base import Checkpoint

if TYPE_CHECKING:
    from faust._core.clock import Clock
    from faust._core.threads import Bridge
    from faust._engine.outbox import Outbox
    from faust._engine.vigil import Vigil
    from faust.sensors.delegate import SensorDelegate
    from faust.transport.base import Transport
    from faust.transport.membership import Commit, Membership
    from faust.transport.producer import Producer

__all__ = ["Committer", "Guarantee"]

logger = logging.getLogger(__name__)

#: Keys dirty in all tasks after which a commit does not wait for its interval.
DIRTY_KEYS = 160_000
#: Keys dirty in one task after which a commit does not wait for its interval.
TASK_DIRTY_KEYS = 20_000
#: How often it is looked whether a commit is due early (seconds).
LOOK_INTERVAL = 0.05


class Guarantee(Protocol):
    """How a cut is sent: produced and committed."""

    @property
    def forgiving(self) -> bool:
        """May a cut be undone whose outcome is not known?"""

    @property
    def pressing(self) -> bool:
        """Should a commit not wait for its interval?"""

    def check(self) -> None:
        """Look whether anything that was sent is lost, where nothing is produced.

        Raises:
            ProducerSendError: it is, and nobody has asked for it.
        """

    async def produce(self, cuts: Sequence[Cut]) -> None:
        """Append to the changelogs; with that, what the events have sent is durable."""

    async def commit(self, offsets: dict[TP, Commit], generation: int) -> dict[TP, BrokerError]:
        """Commit the offsets; return what was refused."""

    async def committed(self, tps: list[TP]) -> dict[TP, Commit]:
        """Return what is committed, when nothing is in doubt any more."""

    def succeeded(self) -> None:
        """What was produced and committed last counts."""

    async def abandon(self) -> None:
        """What was produced last does not count."""

    def end(self) -> None:
        """The worker stops: what is abandoned from now on is not worth a word to the broker."""


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
        vigil: Looks after the changelogs.
        guarantee: How cuts are sent (default: at least once).
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
        vigil: Vigil,
        guarantee: Guarantee | None = None,
    ) -> None:
        from faust.transport.membership import Commit

        self._guarantee: Guarantee = guarantee or AtLeastOnce(
            bridge=bridge,
            transport=transport,
            producer=producer,
            membership=membership,
            outbox=outbox,
            group_id=group_id,
            batch_size=batch_size,
            now=clock.time,
        )
        self._make_commit = Commit
        self._clock = clock
        self._cluster_id = cluster_id
        self._writer = writer
        self._interval = interval
        self._every = every
        self._tasks = tasks
        self._generation = generation
        self._vigil = vigil
        self._on_committed = on_committed
        self._sensors = sensors
        self._consumer = consumer
        self._sequence = 0
        self._lock = asyncio.Lock()
        #: What goes on behind a shield, until `end`.
        self._under_way: set[asyncio.Task[bool]] = set()
        self._ended = False
        #: What was sent last, as long as nobody knows whether it is committed.
        self._doubt: dict[Cut, TaskEntry] = {}
        #: What sensors know of the commit under way.
        self._begun: Any = None
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
            if not failures and (
                self._guarantee.pressing or self._much_is_dirty() or self._much_is_finished()
            ):
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
        if self._guarantee.forgiving:
            return await self._commit_all(tasks)
        # Who is cancelled in the middle of a transaction must not leave anybody in doubt of it.
        work = asyncio.create_task(self._commit_all(tasks), name="faust-commit")
        self._under_way.add(work)
        work.add_done_callback(self._over)
        return await asyncio.shield(work)

    def _over(self, work: asyncio.Task[bool]) -> None:
        self._under_way.discard(work)
        if not work.cancelled():
            work.exception()  # who was cancelled does not ask any more how it has ended

    async def idle(self) -> None:
        """Wait until no commit is under way, also none whose task was cancelled meanwhile."""
        async with self._lock:
            return

    async def end(self) -> None:
        """Stopping has had its time: what is under way is cancelled, and nothing begins any more.

        What it was for does not count here.  Whoever has the tasks next finds out what became of
        it, and this worker has nothing left that goes on, or asks anything of the broker.
        """
        self._ended = True
        self._guarantee.end()
        for work in self._under_way:
            work.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def look_after_changelogs(self, tasks: Sequence[ActiveTask]) -> None:
        """See that the changelogs are what we take them for; not while a commit is under way.

        Raises:
            BrokerError: that is not known, or we are not in the group any more.
        """
        async with self._lock:
            if self._generation() >= 0 and not self._doubt and not self._ended:
                await self._vigil.look(tasks)

    async def _commit_all(self, tasks: Sequence[ActiveTask]) -> bool:
        async with self._lock:
            if self._ended:
                return False
            if self._generation() < 0:
                self.trying = False
                return False  # whatever we have is not ours: a broker might not even fence it
            if self._doubt:
                self.trying = True
                await self._settle_doubt()
            cuts = [cut for task in tasks if (cut := self._cut(task)) is not None]
            self.trying = bool(cuts)
            if not cuts:
                self._guarantee.check()
                self.last_progress = self._clock.monotonic()
                self.trouble = ""
                return True
            self._begun = self._sensors.on_commit_initiated(self._consumer)
            try:
                await self._produce(cuts)
                committed = await self._commit(cuts)
            except (RejoinError, TransactionAborted) as exc:
                self._note(
                    f"refused, the group has moved on: {exc}"
                    if isinstance(exc, RejoinError)
                    else f"the transaction was aborted, and all of it is sent again: {exc}"
                )
                await self._undo(cuts)
                return False
            except (ChangelogReplaced, UnknownTopic) as exc:
                await self._undo(cuts)
                return await self._write_anew(exc)
            except BaseException:
                if not self._doubt:
                    await self._undo(cuts)
                raise
            await self._finish(cuts, committed)
            return len(committed) == len(cuts)

    async def _finish(self, cuts: Sequence[Cut], committed: dict[Cut, TaskEntry]) -> None:
        """What is committed counts; the rest is dirty again."""
        if not committed:
            await self._undo(cuts)
            return
        self._guarantee.succeeded()
        broken: OSError | None = None
        for cut in cuts:
            if cut in committed:
                broken = self._apply(cut, committed[cut]) or broken
            else:
                cut.undo()
        self.last_progress = self._clock.monotonic()
        self.trying = False
        offsets = {tp: at for cut in committed for tp, at in cut.positions.items()}
        self._sensors.on_commit_completed(self._consumer, self._begun, offsets)
        self._on_committed(offsets)
        if broken is not None:
            raise broken

    async def _write_anew(self, why: ChangelogReplaced | UnknownTopic) -> bool:
        """A changelog is another one, or gone; nothing is committed before that is put right."""
        self._note(f"a changelog was deleted: {why}")
        try:
            if isinstance(why, ChangelogReplaced):
                await self._vigil.write_anew(why.replaced)
            else:
                await self._vigil.make_topics()
        except RejoinError as exc:
            self._note(f"refused, the group has moved on: {exc}")
        return False

    async def _undo(self, cuts: Sequence[Cut]) -> None:
        try:
            await self._guarantee.abandon()
        finally:
            for cut in cuts:
                cut.undo()

    # 1 -------------------------------------------------------------------------------

    def _cut(self, task: ActiveTask) -> Cut | None:
        """Take what finished events have left; ``None`` where nothing has changed."""
        positions = task.positions()
        readers = task.readers()
        moved = any(task.committed.get(tp) != at for tp, at in positions.items())
        if not moved and task.entry is not None:
            moved = {k: dict(v) for k, v in task.entry.readers.items() if k in readers} != readers
        waiting = task.dirty or task.restless or task.run.outputs
        if not (moved or waiting) or not task.run.alive:
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
            outputs.take(task.run),
        )

    # 2 -------------------------------------------------------------------------------

    async def _produce(self, cuts: Sequence[Cut]) -> None:
        replaced = [
            Watched(t.changelog, t.piece) for c in cuts for t in c.tables if t.piece.replaced
        ]
        if replaced:
            raise ChangelogReplaced(replaced)
        tables = [t for c in cuts for t in c.tables if t.taken or t.piece.owed]
        for table in tables:
            table.entries = [*table.piece.owed, *table.piece.encode_cut(table.taken)]
            table.deleted = table.piece.deletions
        await self._guarantee.produce(cuts)

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
            refused = await self._guarantee.commit(offsets, generation)
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
        if not self._guarantee.forgiving:
            self._doubt = entries
        ours = await self._find(entries)
        self._doubt = {}
        return ours

    async def _settle_doubt(self) -> None:
        """Before anything else is committed: what became of what was sent last?

        Raises:
            RetryableError: the broker does not answer, and so nobody knows.
        """
        entries = self._doubt
        ours = await self._find(entries)
        self._doubt = {}
        await self._finish(list(entries), ours)

    async def _find(self, entries: dict[Cut, TaskEntry]) -> dict[Cut, TaskEntry]:
        """Return what of this is committed."""
        tps = [tp for cut in entries for tp in cut.positions]
        found = await self._guarantee.committed(tps)
        ours: dict[Cut, TaskEntry] = {}
        for cut, entry in entries.items():
            seen = [commits.decode(found[tp].metadata) for tp in cut.positions if tp in found]
            if len(seen) == len(cut.positions) and all(
                e is not None and (e.writer, e.sequence) == (entry.writer, entry.sequence)
                for e in seen
            ):
                ours[cut] = entry
        return ours

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
            table.piece.owed = ()
            if table.taken:
                task.tables[table.name].count_committed(table.taken, table.deleted)
            crc = record_crc(*table.entries[-1]) if table.entries and not table.foreign else 0
            checkpoint = Checkpoint(table.position, table.piece.topic_id, crc, now, cut.sequence)
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
