"""What a member has of its group: tasks, copies, and what it says of them when it joins."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from faust._machines.causes import summary
from faust._machines.copartition import TaskId
from faust._values import TP

if TYPE_CHECKING:
    from faust.assignor.partition_assignor import Assignment

__all__ = ["Difference", "Holdings", "listed", "sentence"]

#: A list of tasks in a log line has at most so many characters.
_LISTED = 60


class Difference(NamedTuple):
    """What an assignment changes.

    Attributes:
        kept: Tasks that stay.
        revoked: Tasks that are to be given up.
        added: Tasks that are new here.
    """

    kept: frozenset[TaskId]
    revoked: frozenset[TaskId]
    added: frozenset[TaskId]

    def __str__(self) -> str:
        words = (("stay", self.kept), ("went", self.revoked), ("came", self.added))
        return ", ".join(f"{len(tasks)} {word}{listed(tasks)}" for word, tasks in words)


class Holdings:
    """What is ours.

    Attributes:
        tasks: The tasks that are ours.
        partitions: Their source partitions.
        since: For each of them, since which generation it has been ours without a break.
        standbys: Tasks of which a copy is to be kept here.
        warming: Those of them that will be moved here.
        generation: The generation in which we got them; -1 outside of any.
    """

    def __init__(self) -> None:
        self.tasks: frozenset[TaskId] = frozenset()
        self.partitions: frozenset[TP] = frozenset()
        self.since: dict[TaskId, int] = {}
        self.standbys: frozenset[TaskId] = frozenset()
        self.warming: frozenset[TaskId] = frozenset()
        self.generation = -1

    def told(self, lags: Mapping[TaskId, int]) -> dict[str, Any]:
        """Return what is said of it when the group is joined (see `PartitionAssignor`)."""
        return {
            "owned": self.tasks,
            "partitions": self.partitions,
            "generation": self.generation,
            "since": self.since,
            "standbys": self.standbys,
            "lags": {task: lag for task, lag in lags.items() if task not in self.tasks},
        }

    def difference(self, assignment: Assignment) -> Difference:
        """Return what an assignment changes."""
        new = assignment.tasks
        return Difference(self.tasks & new, self.tasks - new, new - self.tasks)

    def take(self, assignment: Assignment, generation: int, *, kept: bool) -> None:
        """Have what an assignment says; ``kept``: it had been given to us before we started."""
        began = 0 if kept else generation
        self.tasks, self.partitions = assignment.tasks, assignment.partitions
        self.since = {task: self.since.get(task, began) for task in self.tasks}
        self.standbys, self.warming = assignment.standbys, assignment.warming
        self.generation = generation

    def lose(self) -> frozenset[TaskId]:
        """Have nothing any more but the copies; return the tasks that were ours."""
        lost, self.tasks, self.partitions = self.tasks, frozenset(), frozenset()
        self.since, self.generation = {}, -1
        return lost


def sentence(difference: Difference, assignment: Assignment, *, kept: bool) -> str:
    """Return why there was a rebalance, and what it has changed here, for the log.

    Arguments:
        difference: What it has changed.
        assignment: What it has brought.
        kept: Whether that had been given to an earlier process of this static member.
    """
    why = "we are back, and nothing has moved" if kept else summary(assignment.causes)
    warming = assignment.warming
    tail = "; another round follows" if assignment.another_round else ""
    return f"{why}: {difference}, {len(warming)} warming up{listed(warming)}{tail}"


def listed(tasks: Collection[TaskId]) -> str:
    """Return tasks as ``" (0-3,7 of 32; 1 of 4)"``, shortened where they are many; "" for none."""
    groups = [
        f"{','.join(_runs([task.partition for task in found]))} of {group}"
        for group, found in groupby(sorted(tasks), key=lambda task: task.group)
    ]
    text = "; ".join(groups)
    if len(text) > _LISTED:
        text = text[: _LISTED - 1].rpartition(",")[0] + ",…"
    return f" ({text})" if text else ""


def _runs(numbers: list[int]) -> list[str]:
    """Return ascending numbers as runs: ``["0-3", "7"]``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    return ["-".join(map(str, run)) for run in runs]
