"""The tasks of this worker, from being assigned to being given up."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any

from faust._engine.recovery import Recovery
from faust._engine.tasks import ActiveTask
from faust._machines.copartition import TaskId
from faust._machines.effects import TaskRun
from faust._machines.retry import backoff
from faust.exceptions import RestoreError, RetryableError

if TYPE_CHECKING:
    from faust._core.threads import Bridge
    from faust._engine.committer import Committer
    from faust._engine.fetcher import Fetcher
    from faust._engine.sharing import Sharing
    from faust._engine.state import State
    from faust.assignor.partition_assignor import Assignment

__all__ = ["TaskManager"]

logger = logging.getLogger(__name__)

#: How often a task is started again whose local state was found damaged.
RESTORE_ATTEMPTS = 3

#: How long the last commit of tasks is tried again (seconds): less than a revocation has for it,
#: and long enough for a round, as brokers take no commits while the leader makes its plan.
LAST_COMMIT_PATIENCE = 8.0


class TaskManager:
    """Starts tasks and gives them up (on the main loop, where nothing else is said).

    Arguments:
        host: The app: settings, clock, tables, conductor, streams.
        bridge: The way to the I/O loop.
        sharing: Which readers share a table.
        caught_up: Cleared when a task begins to be restored.
        on_started: Called when a task was started, or will not be.
        on_crash: Called with what ends the worker.

    Attributes:
        tasks: The tasks that are active here.
        starting: Tasks that are being restored.
        closed: Nothing is started any more.
    """

    _fetcher: Fetcher
    _committer: Committer
    _state: State

    def __init__(
        self,
        host: Any,
        bridge: Bridge,
        sharing: Sharing,
        *,
        caught_up: asyncio.Event,
        on_started: Callable[[], None],
        on_crash: Callable[[BaseException], Coroutine[Any, Any, None]],
    ) -> None:
        self.tasks: dict[TaskId, ActiveTask] = {}
        self.starting: dict[TaskId, asyncio.Task[None]] = {}
        self.closed = False
        self._host = host
        self._bridge = bridge
        self._sharing = sharing
        self._caught_up = caught_up
        self._on_started = on_started
        self._on_crash = on_crash
        self._recovery = Recovery(lambda table: self._state.copied(table))
        self._incarnations = 0
        #: What each task was started to read.
        self._reads: dict[TaskId, frozenset[tuple[str, str]]] = {}

    def equip(self, fetcher: Fetcher, committer: Committer, state: State) -> None:
        """Say what works for the tasks; before the first of them is assigned."""
        self._fetcher, self._committer, self._state = fetcher, committer, state

    async def take_on(
        self, added: Iterable[TaskId], assignment: Assignment, generation: int
    ) -> None:
        """Start what is new, and again what reads something else now; restoring goes on in the
        background."""
        await self._forget(added := frozenset(added), assignment)
        changed = {
            task_id
            for task_id in assignment.tasks & {*self.starting, *self.tasks}
            if self._reads.get(task_id) != self._readers_in(task_id, assignment)
        }
        if changed:
            await self.give_up(changed)
        if self.closed:
            return
        for task_id in sorted(changed.union(added)):
            self._recovery.expect(task_id, self._state.tables_of(task_id).values())
        for task_id in sorted(changed.union(added)):
            if task_id not in self.starting and task_id not in self.tasks:
                self._caught_up.clear()
                self._reads[task_id] = self._readers_in(task_id, assignment)
                self.starting[task_id] = asyncio.create_task(
                    self._start_until_done(task_id, assignment, generation),
                    name=f"faust-start-{task_id}",
                )

    async def _forget(self, added: frozenset[TaskId], assignment: Assignment) -> None:
        """What is new and still here was taken from us while the main loop was blocked: it is
        being given up late, and what it does does not count.

        So is what reads a partition of something new: a topic that has grown belongs to others.
        """
        await self.give_up(self.starting.keys() - (assignment.tasks - added))
        coming = assignment.sources_of(added)
        for task_id, task in sorted(self.tasks.items()):
            if task_id in added or not coming.isdisjoint(task.sources):
                self._close(task, keep=False)

    def _readers_in(self, task_id: TaskId, assignment: Assignment) -> frozenset[tuple[str, str]]:
        """Return who reads what in a task: (topic, reader).

        Where that changes while the task stays here (a pattern matches a new topic, an agent reads
        another one), the task is committed, closed and started again with what it has now.
        """
        return frozenset(
            (tp.topic, reader)
            for tp in assignment.sources_of([task_id])
            for reader in self._host.topics.readers_of(tp.topic)
        )

    # -- starting ----------------------------------------------------------------------------------

    async def _start_until_done(
        self, task_id: TaskId, assignment: Assignment, generation: int
    ) -> None:
        attempt = 0
        try:
            while True:
                try:
                    await self._start_task(task_id, assignment, generation)
                    return
                except (RetryableError, RestoreError) as exc:
                    attempt += 1
                    if isinstance(exc, RestoreError) and attempt > RESTORE_ATTEMPTS:
                        raise
                    logger.warning("Task %s is not started yet: %s", task_id, exc)
                    await self._host.clock.sleep(backoff(attempt, 0.1, 5.0))
        except asyncio.CancelledError:
            raise
        except Exception as exc:
            await self._on_crash(exc)
        finally:
            self.starting.pop(task_id, None)
            self._recovery.give_up(task_id)
            self._on_started()

    async def _start_task(self, task_id: TaskId, assignment: Assignment, generation: int) -> None:
        """Restore, give the readers their cursors, commit the start, begin to fetch."""
        self._incarnations += 1
        run = TaskRun(task_id, task_id.partition, self._incarnations, generation)
        tables = self._state.tables_of(task_id)
        task = ActiveTask(run, self._state.sources_of(task_id, assignment), dict(tables))
        began = time.perf_counter()
        try:
            restored = await self._state.restorer.restore(task)
            await self._state.followers.caught_up.wait()
            self._host.topics.start_task(run, restored.positions, restored.readers)
            for name, piece in task.slices.items():
                tables[name].add_slice(run, piece)
                if task.entry is not None and name in task.entry.watermarks:
                    tables[name].restore_watermark(run.partition, task.entry.watermarks[name])
            self._sharing.make_gate(run)
            self.tasks[task_id] = task
            await self._recovery.restored(task_id, tables.values())
            if task.restless and task.sources:
                await self._commit_start(task)
        except BaseException as exc:
            # A store that was found damaged is made anew when it is opened again.
            self._close(task, keep=not isinstance(exc, RestoreError))
            raise
        logger.info("Task %s started in %.2f s", task_id, time.perf_counter() - began)
        if restored.positions and run.alive:
            self._bridge.post_io(self._fetcher.start, restored.positions, run.incarnation)
        self._host.on_task_started(task)

    async def _commit_start(self, task: ActiveTask) -> None:
        """Before the first record is handed out its position is committed: ``latest`` cannot skip
        what was read and not committed, and every changelog has a commit to go with."""
        attempt = 0
        while task.run.alive and task.restless:
            if await self._committer.commit([task]):
                return
            attempt += 1
            await self._host.clock.sleep(backoff(attempt, 0.05, 1.0))

    # -- giving up -----------------------------------------------------------------------------

    async def give_up(self, ids: Iterable[TaskId]) -> None:
        """Stop these tasks: let events in progress end, commit, close.

        A task that is inside an event gets ``broker_rebalance_grace`` seconds; then the event is
        undone.
        """
        wanted = sorted(ids)
        starting = [self.starting[i] for i in wanted if i in self.starting]
        for each in starting:
            each.cancel()
        await asyncio.gather(*starting, return_exceptions=True)
        tasks = [self.tasks[i] for i in wanted if i in self.tasks]
        if not tasks:
            return
        for task in tasks:
            task.run.open = False
            self._bridge.post_io(self._fetcher.stop, list(task.sources))
        await self._wait_for_events(tasks, self._host.conf.broker_rebalance_grace)
        try:
            await self._commit_finally(tasks)
        finally:
            for task in tasks:
                # It may have been lost while its last commit was waited for, and have come again.
                if self.tasks.get(task.id) is task:
                    self._close(task, keep=True)

    async def _wait_for_events(self, tasks: Iterable[ActiveTask], grace: float) -> None:
        runs = {task.run for task in tasks}
        deadline = self._host.clock.monotonic() + grace
        for stream in self._host.streams():
            stream.wake()
        while busy := [
            s for s in self._host.streams() if s.inside and s.task in runs and not s.is_left
        ]:
            if self._host.clock.monotonic() >= deadline:
                for stream in busy:
                    logger.warning(
                        "%s has not finished its event at %s within %.0f s; the event is undone "
                        "and will be processed by another worker",
                        stream.reader, stream.cursor, grace,
                    )  # fmt: skip
                return
            await self._host.clock.sleep(0.005)

    async def _commit_finally(self, tasks: list[ActiveTask]) -> None:
        """Commit what is given up; without that, whoever has it next does all of it again."""
        clock = self._host.clock
        deadline = clock.monotonic() + LAST_COMMIT_PATIENCE
        attempt = 0
        while any(task.run.alive for task in tasks):
            attempt += 1
            try:
                if await self._committer.commit(tasks):
                    return
            except RetryableError as exc:
                if attempt == 1:
                    logger.warning("The last commit of %d tasks waits: %s", len(tasks), exc)
            left = deadline - clock.monotonic()
            if left <= 0:
                return
            await clock.sleep(min(left, backoff(attempt, 0.1, 1.0)))

    def _close(self, task: ActiveTask, *, keep: bool) -> None:
        """From now on nothing of it counts; its stores may be of use to whoever comes next."""
        run = task.run
        run.close()
        self._bridge.post_io(self._fetcher.stop, list(task.sources))
        for stream in self._host.streams():
            stream.drop_task(run)
        self._host.topics.stop_task(run)
        for name, piece in task.slices.items():
            table = task.tables[name]
            table.drop_slice(run)
            if keep or not self._state.stores.is_persistent(table):
                self._state.stores.keep(table, run.partition, piece.store)
            else:
                piece.store.close()
        if self.tasks.get(task.id) is task:
            del self.tasks[task.id]

    def close(self) -> None:
        """Start nothing any more, whatever is assigned: the worker stops."""
        self.closed = True

    async def drop_all(self) -> None:
        """Close all without a commit: whatever is not committed will be done by others."""
        for starting in list(self.starting.values()):
            starting.cancel()
        await asyncio.gather(*self.starting.values(), return_exceptions=True)
        self.starting.clear()
        for task in list(self.tasks.values()):
            self._close(task, keep=False)

    def disown(self, ids: frozenset[TaskId]) -> None:
        """On the I/O loop, while the main loop is blocked: nothing of these counts any more."""
        for task_id in ids:
            task = self.tasks.get(task_id)
            if task is not None:
                task.run.open = task.run.alive = False
