"""Which topics and tables travel together: groups of equal partition count, and their tasks.

A *task* is partition *n* of all topics and tables of the app that have the same number of
partitions.  It is assigned, cut, committed, restored and handed over as one, so that an agent
always finds the part of a table that belongs to the event in its hands.  What must share a task but
cannot, because its partition counts differ, is refused here, before anything is assigned.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from faust.exceptions import PartitionsMismatch

__all__ = ["TaskGroup", "TaskId", "Together", "copartition"]


class TaskId(NamedTuple):
    """Partition ``partition`` of all topics of a group.

    Attributes:
        group: The group's name: its number of partitions, as text.
        partition: From 0.
    """

    group: str
    partition: int

    def __str__(self) -> str:
        return f"{self.partition}/{self.group}"


@dataclass(frozen=True)
class TaskGroup:
    """Topics and changelogs that have the same number of partitions.

    Attributes:
        name: What its tasks carry as ``group``.
        partitions: How many tasks there are.
        topics: Source topics, sorted.
        changelogs: Changelog topics of tables, sorted.
    """

    name: str
    partitions: int
    topics: tuple[str, ...]
    changelogs: tuple[str, ...] = ()

    def tasks(self) -> list[TaskId]:
        """Return the group's tasks in order."""
        return [TaskId(self.name, n) for n in range(self.partitions)]


class Together(NamedTuple):
    """Topics that must have the same number of partitions, and why.

    Attributes:
        topics: Names of source topics and changelogs.
        reason: A clause that follows "because", such as ``agent 'count' reads the first and
            writes table 'totals', whose changelog is the second``.
    """

    topics: tuple[str, ...]
    reason: str


def copartition(
    sources: Mapping[str, int],
    changelogs: Mapping[str, int] | None = None,
    *,
    together: Iterable[Together] = (),
) -> tuple[TaskGroup, ...]:
    """Return the groups of an app, ordered by their number of partitions.

    Arguments:
        sources: Topic -> number of partitions, for the topics that agents read.
        changelogs: The same for the changelogs of tables.
        together: What the app declares to belong together; topics that are in neither mapping are
            not there yet and pass.

    Raises:
        PartitionsMismatch: what belongs together differs; the message says what and why.
    """
    changelogs = changelogs or {}
    counts = {**changelogs, **sources}
    for relation in together:
        _check(relation, counts)
    return tuple(
        TaskGroup(
            str(size),
            size,
            tuple(sorted(topic for topic, n in sources.items() if n == size)),
            tuple(sorted(topic for topic, n in changelogs.items() if n == size)),
        )
        for size in sorted(set(counts.values()))
    )


def _check(relation: Together, counts: Mapping[str, int]) -> None:
    found = {topic: counts[topic] for topic in relation.topics if topic in counts}
    if len(set(found.values())) <= 1:
        return
    listed = " and ".join(
        f"{topic!r} ({size} partition{'s' * (size != 1)})" for topic, size in found.items()
    )
    raise PartitionsMismatch(
        f"{listed} must have the same number of partitions, because {relation.reason}: "
        "create one of them anew with the other's number, or read the source through "
        "group_by(..., partitions=) into a topic that has it"
    )
