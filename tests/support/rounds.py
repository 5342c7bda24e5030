"""A group of workers that plays rounds of assignment: who owns what, and how good copies are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from faust._machines.assignment import MemberState, Plan, plan
from faust._machines.copartition import TaskGroup, TaskId

__all__ = ["Worker", "Workers"]


@dataclass
class Worker:
    """What one worker has: the tasks that are open, and the state that it keeps."""

    owned: frozenset[TaskId] = frozenset()
    since: dict[TaskId, int] = field(default_factory=dict)
    standbys: frozenset[TaskId] = frozenset()
    lags: dict[TaskId, int] = field(default_factory=dict)


class Workers:
    """Members of a group, and what happens to them."""

    def __init__(
        self, groups: Sequence[TaskGroup], names: Iterable[str] = (), replicas: int = 0
    ) -> None:
        self.groups = groups
        self.replicas = replicas
        self.workers: dict[str, Worker] = {name: Worker() for name in names}
        self.generation = 1
        #: (task, from, to), as tasks were opened; "" where nobody had it.
        self.moves: list[tuple[TaskId, str, str]] = []
        self.cold_starts: list[TaskId] = []
        self._last_owner: dict[TaskId, str] = {}
        self._topics = frozenset(topic for group in groups for topic in group.topics)
        self._stateful = {group.name for group in groups if group.changelogs}

    def states(self) -> dict[str, MemberState]:
        """What the members say when they join."""
        return {
            name: MemberState(
                topics=self._topics,
                owned=worker.owned,
                generation=self.generation if worker.owned else -1,
                since=dict(worker.since),
                standbys=worker.standbys,
                lags={t: lag for t, lag in worker.lags.items() if t not in worker.owned},
            )
            for name, worker in self.workers.items()
        }

    def round(self) -> Plan:
        """One round, and what each member does after it."""
        result = plan(self.states(), self.groups, self.replicas)
        self.generation += 1
        for name, worker in self.workers.items():
            now = result.now[name]
            for task in worker.owned - now:
                self._close(worker, task)
            for task in sorted(now - worker.owned):
                self._open(name, worker, task)
            worker.owned = now
            worker.since = {task: worker.since.get(task, self.generation) for task in now}
            worker.standbys = result.standbys[name]
        return result

    def _close(self, worker: Worker, task: TaskId) -> None:
        if task.group in self._stateful:
            worker.lags[task] = 0

    def _open(self, name: str, worker: Worker, task: TaskId) -> None:
        before = self._last_owner.get(task, "")
        if before != name:
            self.moves.append((task, before, name))
        self._last_owner[task] = name
        if task.group in self._stateful and task not in worker.lags:
            self.cold_starts.append(task)
        worker.lags.pop(task, None)

    def catch_up(self, names: Iterable[str] | None = None) -> None:
        """Copies that are kept follow; what lies about besides falls behind."""
        for name in names if names is not None else list(self.workers):
            worker = self.workers[name]
            worker.lags |= dict.fromkeys(worker.standbys, 0)

    def settle(self, limit: int = 200) -> int:
        """Play rounds, copies catching up in between, until nothing changes; return how many."""
        last: Plan | None = None
        for number in range(limit):
            result = self.round()
            self.catch_up()
            if result == last:
                return number
            last = result
        raise AssertionError(f"not settled after {limit} rounds")

    def stop(self, name: str) -> Worker:
        """A worker leaves in good order; what it left in its data directory is returned."""
        worker = self.workers.pop(name)
        for task in worker.owned:
            self._close(worker, task)
        return Worker(lags=dict(worker.lags))

    def start(self, name: str, left: Worker | None = None, lag: int = 0) -> None:
        """A worker comes, with what it left behind, which is ``lag`` records behind by now."""
        known: Mapping[TaskId, int] = left.lags if left is not None else {}
        self.workers[name] = Worker(lags={task: n + lag for task, n in known.items()})

    def owned(self) -> dict[str, frozenset[TaskId]]:
        """Who owns what."""
        return {name: worker.owned for name, worker in self.workers.items()}
