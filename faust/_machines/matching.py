"""Where tasks go that somebody gives away: to members with room, first to those with state of them.

A flow from givers through tasks to members, one path at a time: a task may displace another, which
then goes elsewhere, or stays where it was while its giver gives another one.  So as many tasks as
possible come to the members in their best class of choices, and of what is left as many as possible
in the next class; a class never takes from one before it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from faust._machines.copartition import TaskId

__all__ = ["Giver", "match"]

#: For each task the members it would best go to: (class, member), best first.
Choices = Mapping[TaskId, Sequence[tuple[int, str]]]


class Giver(NamedTuple):
    """Somebody who gives tasks away.

    Attributes:
        gives: How many of them.
        tasks: Which, those first that it gives rather.
    """

    gives: int
    tasks: Sequence[TaskId]


def match(
    givers: Sequence[Giver], choices: Choices, room: dict[str, int], classes: int
) -> dict[TaskId, str]:
    """Return task -> member for what found a place among its choices; ``room`` is used up."""
    matching = _Matching(givers, choices, room)
    for kind in range(classes):
        matching.fill(kind)
    return {task: name for task, (name, _) in matching.placed.items()}


class _Step(NamedTuple):
    """A task that looks for a place, the worst class that it may use, and who sent it looking."""

    task: TaskId
    limit: int
    before: _Step | None
    through: str


@dataclass
class _Matching:
    givers: Sequence[Giver]
    choices: Choices
    room: dict[str, int]
    placed: dict[TaskId, tuple[str, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._at: dict[str, dict[TaskId, None]] = {name: {} for name in self.room}
        self._left = [giver.gives for giver in self.givers]
        self._giver_of = {t: n for n, giver in enumerate(self.givers) for t in giver.tasks}

    def fill(self, kind: int) -> None:
        """Place what can be placed with choices up to this class."""
        for number, giver in enumerate(self.givers):
            for task in giver.tasks:
                if not self._left[number]:
                    break
                if task not in self.placed:
                    self._place_directly(number, task, kind)
        for number in range(len(self.givers)):
            while self._left[number] and self._augment(number, kind):
                pass

    def _place_directly(self, number: int, task: TaskId, kind: int) -> None:
        for level, name in self.choices.get(task, ()):
            if level <= kind and self.room.get(name):
                self._put(task, name, level)
                self.room[name] -= 1
                self._left[number] -= 1
                return

    def _put(self, task: TaskId, name: str, level: int) -> None:
        self.placed[task] = (name, level)
        self._at[name][task] = None

    def _augment(self, number: int, kind: int) -> bool:
        """Find a shortest chain of displacements that ends where there is room, and do it."""
        seen_tasks: set[TaskId] = set()
        seen_members: set[str] = set()
        seen_givers = {number}
        queue = deque(self._offers(number, kind, None, "", seen_tasks))
        while queue:
            step = queue.popleft()
            for level, name in self.choices.get(step.task, ()):
                if level > step.limit or name in seen_members or name not in self.room:
                    continue
                if self.room[name]:
                    self._follow(step, name, number)
                    return True
                seen_members.add(name)
                for other in self._at[name]:
                    limit = self.placed[other][1]
                    queue.append(_Step(other, limit, step, name))
                    giver = self._giver_of[other]
                    if giver not in seen_givers:
                        seen_givers.add(giver)
                        queue.extend(self._offers(giver, limit, step, name, seen_tasks, other))
        return False

    def _offers(
        self,
        number: int,
        limit: int,
        before: _Step | None,
        through: str,
        seen: set[TaskId],
        instead_of: TaskId | None = None,
    ) -> list[_Step]:
        """What a giver could give now; ``instead_of`` a task that it then keeps."""
        if instead_of is not None:
            before = _Step(instead_of, -1, before, through)
        offers = []
        for task in self.givers[number].tasks:
            if task not in self.placed and task not in seen and task in self.choices:
                seen.add(task)
                offers.append(_Step(task, limit, before, ""))
        return offers

    def _follow(self, step: _Step, name: str, number: int) -> None:
        self.room[name] -= 1
        self._left[number] -= 1
        at: _Step | None = step
        while at is not None:
            self._take_away(at.task)
            if at.limit >= 0:  # otherwise its giver keeps it, having given another
                level = next(level for level, member in self.choices[at.task] if member == name)
                self._put(at.task, name, level)
            name = at.through or name
            at = at.before

    def _take_away(self, task: TaskId) -> None:
        if task in self.placed:
            del self._at[self.placed[task][0]][task]
            del self.placed[task]
