"""What a member joins with and what it is given, as the other parts of the library see it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from faust._machines.assignment import MemberState
from faust._machines.causes import Joining
from faust._machines.copartition import TaskId
from faust._values import TP

__all__ = ["Assignment", "MemberInfo"]

_NONE: frozenset[TP] = frozenset()


@dataclass(frozen=True)
class MemberInfo:
    """A member as it joined.

    Attributes:
        state: What the plan is made from.
        url: Where its web server answers; "" without one.
        app_version: The app's own version.
        subscription: Digest of its topics and app version.
        changelogs: Changelogs of its tables, by number of partitions.
        process: Tells one process of a static member from the next.
        joining: What it is called, and why it joins.
    """

    state: MemberState
    url: str
    app_version: str
    subscription: str
    changelogs: Mapping[str, frozenset[str]]
    process: str
    joining: Joining


@dataclass(frozen=True)
class Assignment:
    """A member's part of the plan.

    Attributes:
        tasks: What it owns in this generation.
        partitions: The source partitions of these tasks that it reads.
        subscription: The digest that it was planned for; where it is not the member's own (a static
            member that came back as another version), the member must join again.
        process: The process that it was planned for; where it is not our own, an earlier one of
            this static member was given it, and nobody has planned since.
        another_round: Whether tasks wait until others have revoked them.
        owners: Task -> URL of the worker that owns it, or will when all moves are made.
        topics: Source topic -> name of its group.
        standbys: Tasks of which it keeps a copy: what ``table_standby_replicas`` asks for, and what
            is to be moved here.
        warming: Those of the standbys that will be moved here once they have caught up
            (`~faust._machines.assignment.ACCEPTABLE_LAG`); when one has, the member joins again
            with its ``lags`` to get it.
        causes: Why there is another generation, as far as the leader could tell.
        members: What all members are called (their URLs).
    """

    tasks: frozenset[TaskId] = frozenset()
    partitions: frozenset[TP] = frozenset()
    subscription: str = ""
    process: str = ""
    another_round: bool = False
    owners: Mapping[TaskId, str] = field(default_factory=dict)
    topics: Mapping[str, str] = field(default_factory=dict)
    standbys: frozenset[TaskId] = frozenset()
    warming: frozenset[TaskId] = frozenset()
    causes: tuple[str, ...] = ()
    members: tuple[str, ...] = ()

    @cached_property
    def sources(self) -> Mapping[TaskId, frozenset[TP]]:
        """Task -> its source partitions that this member reads, for each of `tasks` with any."""
        found: dict[TaskId, set[TP]] = {}
        for tp in self.partitions:
            found.setdefault(TaskId(self.topics[tp.topic], tp.partition), set()).add(tp)
        return {task: frozenset(tps) for task, tps in found.items()}

    def sources_of(self, tasks: Iterable[TaskId]) -> frozenset[TP]:
        """Return the source partitions of some tasks that this member reads."""
        return _NONE.union(*(self.sources.get(task, _NONE) for task in tasks))

    def owner_url(self, topic: str, partition: int) -> str | None:
        """Return the URL of the worker that owns a source partition; ``None`` if unknown."""
        group = self.topics.get(topic)
        return self.owners.get(TaskId(group, partition)) if group is not None else None
