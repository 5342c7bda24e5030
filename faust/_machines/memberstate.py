"""What a member says of itself when it joins, and what follows from all of them together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from faust._machines.copartition import TaskGroup, TaskId
from faust._values import TP

__all__ = ["ACCEPTABLE_LAG", "MemberState", "owners_of", "readers_of", "who_knows_most"]

#: A copy that is at most so many records behind has caught up: its task may move there.  What is
#: left is applied while the task stands still, and so many records take less than a tenth of a
#: second; a smaller number would never be reached where a table is written all the time.
ACCEPTABLE_LAG = 10_000


@dataclass(frozen=True, kw_only=True)
class MemberState:
    """What a member says of itself when it joins.

    Attributes:
        topics: The source topics that it knows.
        owned: The tasks it has open now.
        partitions: The source partitions that it reads in them.  They are what these tasks meant
            when they were given to it: a topic that has grown since belongs to others by now.
        generation: The generation in which they were given to it; -1 if it owns none.
        since: For each owned task, the generation since which it has had it without a break.
        standbys: Tasks of which it has been told to keep a copy.
        lags: For each task of which it has local state (a copy that it keeps, or what was left
            behind in its data directory): how many changelog records, of all tables of the task,
            lie between that state and what is committed, as far as it knows.
    """

    topics: frozenset[str]
    owned: frozenset[TaskId] = frozenset()
    partitions: frozenset[TP] = frozenset()
    generation: int = -1
    since: Mapping[TaskId, int] = field(default_factory=dict)
    standbys: frozenset[TaskId] = frozenset()
    lags: Mapping[TaskId, int] = field(default_factory=dict)


def owners_of(members: Mapping[str, MemberState]) -> dict[TaskId, str]:
    """Who owns each task: whoever claims it by the latest generation; if two do, nobody."""
    claims = _claimants(
        (task, member.generation, name) for name, member in members.items() for task in member.owned
    )
    return {task: name for task, name in claims.items() if name}


def readers_of(members: Mapping[str, MemberState]) -> dict[TP, str]:
    """Who reads each source partition, told as `owners_of` does; "" for two that claim it alike."""
    return _claimants(
        (tp, member.generation, name)
        for name, member in members.items()
        for tp in member.partitions
    )


_Thing = TypeVar("_Thing", TaskId, TP)


def _claimants(claims: Iterable[tuple[_Thing, int, str]]) -> dict[_Thing, str]:
    claimed: dict[_Thing, list[tuple[int, str]]] = defaultdict(list)
    for thing, generation, name in claims:
        claimed[thing].append((generation, name))
    return {thing: _latest(found) for thing, found in claimed.items()}


def _latest(claims: list[tuple[int, str]]) -> str:
    latest, name = max(claims)
    return name if sum(generation == latest for generation, _ in claims) == 1 else ""


def who_knows_most(members: Mapping[str, MemberState], group: TaskGroup) -> list[str]:
    """Return the members that may have the tasks of a group, sorted: nobody knows more topics."""
    known = {name: len(m.topics.intersection(group.topics)) for name, m in members.items()}
    most = max(known.values(), default=0)
    return sorted(name for name, count in known.items() if count == most) if most else []
