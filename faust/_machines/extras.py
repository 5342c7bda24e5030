"""How many tasks each member gets of each group: equal shares, and who has one more.

With *n* tasks for *m* members, each gets ``n // m``, and ``n % m`` of them one more.  The only
choice is who has the *extra* in each group.  It is a flow (groups send extras to members) with
convex costs.  In this order it counts:

1. the sum of the squares of the totals (balance);
2. an extra for a member that does not hold that many already (a task must move);
3. an extra for a member that has no warm copy to take for it (a table must be read);
4. for one that holds that many, how lately it got the last of them: what has just come, because
   somebody was away, goes first, so that who comes back finds the others as they were.

`_Extras` sends one extra after the other along a cheapest path, displacing earlier ones where that
is cheaper; so the result is optimal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from faust._machines.copartition import TaskGroup, TaskId

__all__ = ["Place", "quotas"]


@dataclass(frozen=True)
class Place:
    """One group, the members that may have its tasks, and what they have.

    Attributes:
        group: The group.
        eligible: The members, sorted.
        held: Member -> the tasks that it owns, those it has had for longest first.
        since: Owned task -> the generation since which its owner has it.
        warm: Member -> of how many tasks that nobody owns it has a copy that has caught up.
    """

    group: TaskGroup
    eligible: list[str]
    held: Mapping[str, list[TaskId]]
    since: Mapping[TaskId, int]
    warm: Mapping[str, int]

    @property
    def share(self) -> int:
        """What every member gets at least."""
        return self.group.partitions // len(self.eligible)

    @property
    def extras(self) -> int:
        """How many members get one more."""
        return self.group.partitions % len(self.eligible)

    def ages(self) -> dict[str, int]:
        """Members that would have to give a task up without an extra: since when they have it."""
        share = self.share
        return {
            name: self.since[tasks[share]]
            for name, tasks in self.held.items()
            if len(tasks) > share
        }

    def is_warm(self, name: str) -> bool:
        """Whether an extra would be a task of which this member has a copy."""
        return len(self.held[name]) + self.warm.get(name, 0) > self.share


def quotas(places: Sequence[Place], names: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return group -> member -> how many tasks."""
    extras = _Extras(places, names)
    for index, place in enumerate(places):
        for _ in range(place.extras):
            extras.send(index)
    return {
        place.group.name: {
            name: place.share + (name in extras.taken[index]) for name in place.eligible
        }
        for index, place in enumerate(places)
    }


class _Extras:
    """Extras of groups flowing to members, one cheapest path at a time."""

    def __init__(self, places: Sequence[Place], names: Sequence[str]) -> None:
        self._places = places
        ages = [place.ages() for place in places]
        rank = {age: n for n, age in enumerate(sorted({a for each in ages for a in each.values()}))}
        cold = len(rank) + 1
        #: What is before counts for more than all that comes after it together.
        many = sum(place.extras for place in places) + 1
        moved = 2 * many * (cold + 1)
        self._weight = 2 * many * (moved + cold + 1)
        #: For each group, what an extra costs with each member.
        self._costs = [
            {
                name: rank[each[name]]
                if name in each
                else moved + (0 if place.is_warm(name) else cold)
                for name in place.eligible
            }
            for place, each in zip(places, ages, strict=True)
        ]
        #: For each group, the members that have its extra.
        self.taken: list[set[str]] = [set() for _ in places]
        #: Groups that a path may make a gain with.
        self._would_gain: set[int] = set()
        self._load: Counter[str] = Counter(dict.fromkeys(names, 0))
        for place in places:
            self._load.update(dict.fromkeys(place.eligible, place.share))

    def send(self, source: int) -> None:
        """Give one more extra of group ``source`` to some member."""
        direct = self._cheapest_direct(source)
        if direct is not None:
            self._give(source, direct, new=True)
        else:
            self._follow(source)

    def _cheapest_direct(self, source: int) -> str | None:
        """A member that no path can beat: the least load there is, and it costs nothing.

        (A path costs less than nothing where it frees a group of an extra that it would rather have
        elsewhere, and has where it is because of the balance.)
        """
        if self._would_gain:
            return None
        least = min(self._load.values())
        for name, cost in self._costs[source].items():
            if cost == 0 and self._load[name] == least and name not in self.taken[source]:
                return name
        return None

    def _give(self, group: int, name: str, *, new: bool) -> None:
        self.taken[group].add(name)
        if new:
            self._load[name] += 1
        self._look(group)

    def _look(self, group: int) -> None:
        """Note whether a group would have an extra elsewhere, if it were for its own costs."""
        costs, taken = self._costs[group], self.taken[group]
        cheapest = min((cost for name, cost in costs.items() if name not in taken), default=None)
        if cheapest is not None and any(costs[name] > cheapest for name in taken):
            self._would_gain.add(group)
        else:
            self._would_gain.discard(group)

    def _follow(self, source: int) -> None:
        """Bellman-Ford over the groups: each hop takes an extra that another group had placed."""
        costs: dict[int, int] = {source: 0}
        hops: dict[int, tuple[int, str]] = {}
        for _ in self._places:
            if not self._relax(costs, hops):
                break
        best = min(
            (costs[group] + self._costs[group][name] + self._weight * (2 * load + 1), name, group)
            for group in costs
            for name, load in self._free(group)
        )
        _, name, group = best
        self._give(group, name, new=True)
        while group != source:
            group_before, through = hops[group]
            self.taken[group].remove(through)
            self._look(group)
            self._give(group_before, through, new=False)
            group = group_before

    def _relax(self, costs: dict[int, int], hops: dict[int, tuple[int, str]]) -> bool:
        changed = False
        for group, cost in list(costs.items()):
            for name, _ in self._free(group):
                step = cost + self._costs[group][name]
                for other, taken in enumerate(self.taken):
                    if name not in taken:
                        continue
                    total = step - self._costs[other][name]
                    if other not in costs or total < costs[other]:
                        costs[other], hops[other] = total, (group, name)
                        changed = True
        return changed

    def _free(self, group: int) -> Iterable[tuple[str, int]]:
        taken = self.taken[group]
        return [(n, self._load[n]) for n in self._places[group].eligible if n not in taken]
