"""Where tasks are while they are on their way: one with tables moves only to a copy that is warm.

As in KIP-441: a task whose owner is alive goes on where it is while its next owner fills a copy,
and moves when that has caught up; so it stands still for the last few records only.  A task whose
owner is gone goes at once to whoever has the best copy, if its next owner has none that is nearly
as good, and moves on from there the same way.  A task without tables moves at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass

from faust._machines.copartition import TaskGroup, TaskId
from faust._machines.memberstate import ACCEPTABLE_LAG, MemberState, owners_of

__all__ = ["MAX_WARMUPS", "NEARLY_AS_GOOD", "Moves", "hand_over"]

#: So many copies does a member fill at once for tasks that are to be moved to it, besides those
#: that it keeps anyway: each reads a whole changelog, beside the work that the member has already.
MAX_WARMUPS = 4

#: A task that stands still anyway does not take the way over the best copy, which costs it another
#: halt later, if its next owner is not more than so many records worse (a third of a second).  Well
#: above `ACCEPTABLE_LAG`, so that a hand-over that has begun is not taken back by what was written
#: meanwhile.
NEARLY_AS_GOOD = 10 * ACCEPTABLE_LAG


@dataclass(frozen=True)
class Moves:
    """What can be done now, and what is left.

    Attributes:
        target: Member -> what it is to own now.
        pending: Task -> the member that it will be moved to when that has a warm copy.
    """

    target: Mapping[str, frozenset[TaskId]]
    pending: Mapping[TaskId, str]

    def warm_up(
        self, members: Mapping[str, MemberState], copies: Mapping[str, Set[TaskId]]
    ) -> dict[str, set[TaskId]]:
        """Return member -> of what it is to fill a copy; `MAX_WARMUPS` beside its ``copies``."""
        wanted: dict[str, list[TaskId]] = {name: [] for name in members}
        for task, name in self.pending.items():
            wanted[name].append(task)
        return {
            name: _first_few(members[name], tasks, copies.get(name, frozenset()))
            for name, tasks in wanted.items()
        }


def _first_few(member: MemberState, tasks: Sequence[TaskId], kept: Set[TaskId]) -> set[TaskId]:
    """What is kept anyway, and of the rest what will be done soonest or has begun already."""

    def effort(task: TaskId) -> tuple[bool, bool, int, TaskId]:
        lag = member.lags.get(task)
        return task not in member.standbys, lag is None, lag or 0, task

    others = sorted((task for task in tasks if task not in kept), key=effort)
    return {*(kept & set(tasks)), *others[:MAX_WARMUPS]}


def hand_over(
    members: Mapping[str, MemberState],
    ideal: Mapping[str, Collection[TaskId]],
    groups: Sequence[TaskGroup],
) -> Moves:
    """Say which tasks of ``ideal`` are where they are to be, or go there now, and which wait."""
    owners = owners_of(members)
    copies = _Copies(members)
    destinations = {task: name for name, tasks in ideal.items() for task in tasks}
    topics = {group.name: group.topics for group in groups if group.changelogs}
    target: dict[str, set[TaskId]] = {name: set() for name in members}
    pending: dict[TaskId, str] = {}
    homeless: list[TaskId] = []
    for task, name in destinations.items():
        owner = owners.get(task)
        if task.group not in topics or owner == name:
            target[name].add(task)
        elif owner is None or members[owner].topics.isdisjoint(topics[task.group]):
            homeless.append(task)
        elif members[name].lags.get(task, ACCEPTABLE_LAG + 1) <= ACCEPTABLE_LAG:
            target[name].add(task)
        else:
            target[owner].add(task)
            pending[task] = name
    load = Counter({name: len(tasks) for name, tasks in target.items()})
    for task in sorted(homeless):
        name = destinations[task]
        refuge = copies.refuge(task, name, topics[task.group], load)
        target[refuge].add(task)
        load[refuge] += 1
        if refuge != name:
            pending[task] = name
    return Moves({name: frozenset(tasks) for name, tasks in target.items()}, pending)


class _Copies:
    """Who has a copy of a task that nobody owns, and how good it is."""

    def __init__(self, members: Mapping[str, MemberState]) -> None:
        self._members = members
        self._holders: dict[TaskId, list[str]] = {}
        for name in sorted(members):
            for task in members[name].lags:
                self._holders.setdefault(task, []).append(name)

    def refuge(
        self, task: TaskId, destination: str, topics: Sequence[str], load: Mapping[str, int]
    ) -> str:
        """Return where the task goes now: to its destination, or to a much better copy."""
        members = self._members
        found = [
            (members[name].lags[task], load[name], name)
            for name in self._holders.get(task, ())
            if not members[name].topics.isdisjoint(topics)
        ]
        if not found:
            return destination
        best, _, holder = min(found)
        own = members[destination].lags.get(task)
        return destination if own is not None and own <= best + NEARLY_AS_GOOD else holder
