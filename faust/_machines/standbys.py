"""Where copies of tasks are kept: elsewhere, evenly, and where they are already.

What is evenly?  A copy is there for the day its owner dies.  So the copies of what *one* member
owns are spread over the others such that each of them would then have as much as the others: first
to those with the least of the group.  Then every task can go to its copy, and none must be moved
again to restore the balance.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence

from faust._machines.copartition import TaskGroup, TaskId
from faust._machines.matching import Giver, match
from faust._machines.memberstate import ACCEPTABLE_LAG, MemberState, who_knows_most

__all__ = ["place_standbys"]

_KEPT, _LEFT_BEHIND, _BEHIND, _CLASSES = 0, 1, 2, 3


def place_standbys(
    members: Mapping[str, MemberState],
    target: Mapping[str, Collection[TaskId]],
    groups: Sequence[TaskGroup],
    replicas: int,
) -> dict[str, set[TaskId]]:
    """Return member -> tasks of which it keeps a copy.

    Each task of a group with changelogs has ``replicas`` copies, or as many as there are other
    members that may have it.

    Arguments:
        members: The members.
        target: Who owns what.
        groups: All tasks.
        replicas: Copies wanted of each task.
    """
    placing = _Placing(members, target)
    stateful = [group for group in groups if group.changelogs]
    for number in range(min(replicas, len(members) - 1)):
        for group in stateful:
            eligible = who_knows_most(members, group)
            for owner in sorted(members):
                placing.spread(owner, group, eligible, number)
    return placing.copies


class _Placing:
    """Copies placed so far."""

    def __init__(
        self, members: Mapping[str, MemberState], target: Mapping[str, Collection[TaskId]]
    ) -> None:
        self._members = members
        self.copies: dict[str, set[TaskId]] = {name: set() for name in members}
        self._owned: dict[str, dict[str, list[TaskId]]] = {
            name: defaultdict(list) for name in members
        }
        for name, tasks in target.items():
            for task in sorted(tasks):
                self._owned[name][task.group].append(task)
        self._holders: dict[TaskId, list[str]] = defaultdict(list)
        for name in sorted(members):
            for task in members[name].standbys.union(members[name].lags):
                self._holders[task].append(name)
        #: (owner, who would take over from it) -> how many tasks.
        self._heirs: Counter[tuple[str, str]] = Counter()

    def spread(self, owner: str, group: TaskGroup, eligible: Sequence[str], number: int) -> None:
        """Give each of an owner's tasks of one group another copy."""
        tasks = self._owned[owner].get(group.name, [])
        others = [name for name in eligible if name != owner]
        if not tasks or not others:
            return
        choices = {task: self._choices(task, others) for task in tasks}
        room = self._room(owner, group.name, others, tasks, choices)
        placed = match([Giver(len(tasks), tasks)], choices, room, _CLASSES)
        for task in tasks:
            name = placed.get(task) or self._anybody(task, others, room)
            if name is not None:
                self.copies[name].add(task)
                self._heirs[owner, name] += number == 0

    def _choices(self, task: TaskId, others: Sequence[str]) -> list[tuple[int, str]]:
        found = []
        for name in self._holders.get(task, ()):
            if name in others and task not in self.copies[name]:
                member = self._members[name]
                lag = member.lags.get(task, ACCEPTABLE_LAG + 1)
                kept = _KEPT if task in member.standbys else _LEFT_BEHIND
                found.append((kept if lag <= ACCEPTABLE_LAG else _BEHIND, lag, name))
        return [(kind, name) for kind, _, name in sorted(found)]

    def _room(
        self,
        owner: str,
        group: str,
        others: Sequence[str],
        tasks: Sequence[TaskId],
        choices: Mapping[TaskId, Sequence[tuple[int, str]]],
    ) -> dict[str, int]:
        """Fill the others up evenly, and who has copies already before the others."""
        has = Counter(name for found in choices.values() for _, name in found)
        count = {name: len(self._owned[name].get(group, ())) for name in others}
        room = dict.fromkeys(others, 0)

        def rank(name: str) -> tuple[bool, int, int, str]:
            heir = sum(map(len, self._owned[name].values())) + self._heirs[owner, name]
            return has[name] <= room[name], heir, len(self.copies[name]), name

        left = len(tasks)
        while left:
            level = min(count[name] + room[name] for name in others)
            lowest = [name for name in others if count[name] + room[name] == level]
            for name in sorted(lowest, key=rank)[:left]:
                room[name] += 1
            left -= min(left, len(lowest))
        return room

    def _anybody(self, task: TaskId, others: Sequence[str], room: dict[str, int]) -> str | None:
        """Somebody with room, or without, who has no copy of this task yet."""
        free = [name for name in others if task not in self.copies[name]]
        if not free:
            return None
        name = min(free, key=lambda name: (-room[name], len(self.copies[name]), name))
        room[name] -= 1
        return name
