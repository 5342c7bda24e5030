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

_NONE: frozenset[TP] = frozenset()


class Difference(NamedTuple):
    """What an assignment changes.

    Attributes:
        kept: Tasks that stay.
        revoked: Tasks that are to be given up.
        added: Tasks that are new here.
        reduced: Tasks that stay without a source partition that we read in them: a topic has grown,
            and its partitions belong to other tasks.  They are given up and begun anew, so that
            whoever gets what they lose goes on behind our last commit.
    """

    kept: frozenset[TaskId]
    revoked: frozenset[TaskId]
    added: frozenset[TaskId]
    reduced: frozenset[TaskId] = frozenset()

    @property
    def given_up(self) -> frozenset[TaskId]:
        """What is to be given up before we may say that we have what the assignment says."""
        return self.revoked | self.reduced

    @property
    def begun(self) -> frozenset[TaskId]:
        """What is to be started then."""
        return self.added | self.reduced

    def asks_again(self, assignment: Assignment) -> str:
        """Return why we join again once we have done what the assignment says; "" if we do not."""
        if self.revoked:
            return f"gave up {len(self.revoked)} tasks that others get"
        if self.reduced and assignment.another_round:
            return "gave up partitions of topics that have grown"
        return ""

    def __str__(self) -> str:
        stay = self.kept - self.reduced
        words = [("stay", stay), ("went", self.revoked), ("came", self.added)]
        if self.reduced:
            words.append(("read less", self.reduced))
        return ", ".join(f"{len(tasks)} {word}{listed(tasks)}" for word, tasks in words)


class Holdings:
    """What is ours.

    Attributes:
        tasks: The tasks that are ours.
        partitions: Their source partitions that we read.
        sources: The same, by task.
        since: For each of them, since which generation it has been ours without a break.
        standbys: Tasks of which a copy is to be kept here.
        warming: Those of them that will be moved here.
        generation: The generation in which we got them; -1 outside of any.
    """

    def __init__(self) -> None:
        self.tasks: frozenset[TaskId] = frozenset()
        self.partitions: frozenset[TP] = frozenset()
        self.sources: Mapping[TaskId, frozenset[TP]] = {}
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
        kept = self.tasks & new
        reduced = {t for t in kept if self.sources.get(t, _NONE) - assignment.sources_of([t])}
        return Difference(kept, self.tasks - new, new - self.tasks, frozenset(reduced))

    def take(self, assignment: Assignment, generation: int, *, kept: bool) -> None:
        """Have what an assignment says; ``kept``: it had been given to us before we started."""
        began = 0 if kept else generation
        self.tasks, self.partitions = assignment.tasks, assignment.partitions
        self.sources = assignment.sources
        self.since = {task: self.since.get(task, began) for task in self.tasks}
        self.standbys, self.warming = assignment.standbys, assignment.warming
        self.generation = generation

    def lose(self) -> frozenset[TaskId]:
        """Have nothing any more but the copies; return the tasks that were ours."""
        lost, self.tasks, self.partitions = self.tasks, frozenset(), frozenset()
        self.sources, self.since, self.generation = {}, {}, -1
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
