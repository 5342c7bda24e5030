"""Who gets which task: sticky, balanced, cooperative; the same answer from the same facts.

Three things are wanted, in this order:

1. *Balance.*  In each group the members that know all its topics have counts within one of each
   other; and so have their totals, where all members know all topics.  (While an app is upgraded
   one worker after the other it may be that nobody knows all topics of a group; then those count
   that know the most, and a topic that its task's owner does not know waits.)
2. *Stickiness.*  Among all balanced plans, one that moves the fewest tasks from where they are.
3. *Warmth.*  What must move goes, where it can, to a member that has local state of it.

With *n* tasks for *m* members, each gets ``n // m``, and ``n % m`` of them one more.  The only
choice is who has the *extra* in each group.  It is a flow (groups send extras to members) with
convex costs: first the sum of the squares of the totals, then one for each extra that goes to a
member which does not hold that many already.  `_Extras` sends one extra after the other along a
cheapest path, displacing earlier ones where that is cheaper; so the result is optimal, and a second
round, with the moves half done, comes to the same plan.

*Cooperative* (KIP-429): a task that another member still owns is withheld from its new owner in
this generation.  Its owner sees that it is not in its part, revokes it and joins again; then it
is given out.  Of several claims that of the latest generation makes the owner (the others were
fenced), but whoever makes one may still have the task open, so all of them are waited for.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from faust._machines.copartition import TaskGroup, TaskId

__all__ = ["ACCEPTABLE_LAG", "MemberState", "Plan", "assign", "plan", "withhold"]

#: A copy that is at most so many records behind has caught up: its task may move there.  What is
#: left is applied while the task stands still, and so many records take less than a tenth of a
#: second; a smaller number would never be reached where a table is written all the time.
ACCEPTABLE_LAG = 10_000

_NONE: frozenset[TaskId] = frozenset()


@dataclass(frozen=True, kw_only=True)
class MemberState:
    """What a member says of itself when it joins.

    Attributes:
        topics: The source topics that it knows.
        owned: The tasks it has open now.
        generation: The generation in which they were given to it; -1 if it owns none.
        since: For each owned task, the generation since which it has had it without a break.
        standbys: Tasks of which it has been told to keep a copy.
        lags: For each task of which it has local state (a copy that it keeps, or what was left
            behind in its data directory): how many changelog records, of all tables of the task,
            lie between that state and what is committed, as far as it knows.
    """

    topics: frozenset[str]
    owned: frozenset[TaskId] = _NONE
    generation: int = -1
    since: Mapping[TaskId, int] = field(default_factory=dict)
    standbys: frozenset[TaskId] = _NONE
    lags: Mapping[TaskId, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """Who owns what.

    Attributes:
        now: Member -> what it may own in this generation; what it owns beyond that it must revoke.
        target: Member -> what it will own when every move has been made.
        withheld: Tasks that wait until another member has revoked them.
        unassigned: Tasks that no member can have: there is none, or none knows any of their topics.
        standbys: Member -> tasks of which it keeps a copy, those that it is to get included.
        warming: Member -> those of its standbys that will be moved to it once they have caught up.
    """

    now: Mapping[str, frozenset[TaskId]]
    target: Mapping[str, frozenset[TaskId]]
    withheld: frozenset[TaskId]
    unassigned: frozenset[TaskId]
    standbys: Mapping[str, frozenset[TaskId]] = field(default_factory=dict)
    warming: Mapping[str, frozenset[TaskId]] = field(default_factory=dict)

    @property
    def another_round(self) -> bool:
        """Whether members must join again, once they have revoked what was taken from them."""
        return bool(self.withheld)


def plan(members: Mapping[str, MemberState], groups: Sequence[TaskGroup]) -> Plan:
    """Assign all tasks of ``groups`` and withhold what is still owned elsewhere."""
    return withhold(members, assign(members, groups), groups)


# -- the target ----------------------------------------------------------------


def assign(
    members: Mapping[str, MemberState], groups: Sequence[TaskGroup]
) -> dict[str, frozenset[TaskId]]:
    """Return for each member the tasks it is to own in the end."""
    owners = _owners(members)
    places = [place for group in groups if (place := _Place.of(group, members, owners))]
    quotas = _quotas(places, sorted(members))
    target: dict[str, set[TaskId]] = {member: set() for member in members}
    for place in places:
        _distribute(place, quotas[place.group.name], members, target)
    return {member: frozenset(tasks) for member, tasks in target.items()}


def _owners(members: Mapping[str, MemberState]) -> dict[TaskId, str]:
    """Who owns each task: whoever claims it by the latest generation; if two do, nobody."""
    claims: dict[TaskId, list[tuple[int, str]]] = defaultdict(list)
    for name, member in members.items():
        for task in member.owned:
            claims[task].append((member.generation, name))
    owners = {}
    for task, claimed in claims.items():
        latest = max(claimed)
        if sum(generation == latest[0] for generation, _ in claimed) == 1:
            owners[task] = latest[1]
    return owners


@dataclass(frozen=True)
class _Place:
    """One group, the members that may have its tasks, and what they have."""

    group: TaskGroup
    eligible: list[str]
    held: dict[str, list[TaskId]]

    @classmethod
    def of(
        cls,
        group: TaskGroup,
        members: Mapping[str, MemberState],
        owners: Mapping[TaskId, str],
    ) -> _Place | None:
        """Look at ``group``; ``None`` where nobody may have it."""
        known = {name: len(m.topics.intersection(group.topics)) for name, m in members.items()}
        most = max(known.values(), default=0)
        if most == 0:
            return None
        eligible = sorted(name for name, count in known.items() if count == most)
        held: dict[str, list[TaskId]] = {name: [] for name in eligible}
        for task in group.tasks():
            if (owner := owners.get(task)) in held:
                held[owner].append(task)
        return cls(group, eligible, held)

    @property
    def share(self) -> int:
        """What every member gets at least."""
        return self.group.partitions // len(self.eligible)

    @property
    def extras(self) -> int:
        """How many members get one more."""
        return self.group.partitions % len(self.eligible)

    def settled(self) -> set[str]:
        """The members that would have to give up a task if they did not get an extra."""
        return {name for name, tasks in self.held.items() if len(tasks) > self.share}


def _quotas(places: Sequence[_Place], names: Sequence[str]) -> dict[str, dict[str, int]]:
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

    def __init__(self, places: Sequence[_Place], names: Sequence[str]) -> None:
        self._places = places
        self._settled = [place.settled() for place in places]
        #: For each group, the members that have its extra.
        self.taken: list[set[str]] = [set() for _ in places]
        self._load: Counter[str] = Counter(dict.fromkeys(names, 0))
        for place in places:
            self._load.update(dict.fromkeys(place.eligible, place.share))
        #: One unit of balance is worth more than all stickiness together.
        self._weight = 2 * sum(place.extras for place in places) + 1

    def send(self, source: int) -> None:
        """Give one more extra of group ``source`` to some member."""
        direct = self._cheapest_direct(source)
        if direct is not None:
            self._give(source, direct, new=True)
        else:
            self._follow(source)

    def _cheapest_direct(self, source: int) -> str | None:
        """A member that no path can beat: the least load there is, and it keeps what it has."""
        least = min(self._load.values())
        for name in self._places[source].eligible:
            if (
                self._load[name] == least
                and name in self._settled[source]
                and name not in self.taken[source]
            ):
                return name
        return None

    def _give(self, group: int, name: str, *, new: bool) -> None:
        self.taken[group].add(name)
        if new:
            self._load[name] += 1

    def _follow(self, source: int) -> None:
        """Bellman-Ford over the groups: each hop takes an extra that another group had placed."""
        costs: dict[int, int] = {source: 0}
        hops: dict[int, tuple[int, str]] = {}
        for _ in self._places:
            if not self._relax(costs, hops):
                break
        best = min(
            (costs[group] + self._cost(group, name) + self._weight * (2 * load + 1), name, group)
            for group in costs
            for name, load in self._free(group)
        )
        _, name, group = best
        self._give(group, name, new=True)
        while group != source:
            group_before, through = hops[group]
            self.taken[group].remove(through)
            self._give(group_before, through, new=False)
            group = group_before

    def _relax(self, costs: dict[int, int], hops: dict[int, tuple[int, str]]) -> bool:
        changed = False
        for group, cost in list(costs.items()):
            for name, _ in self._free(group):
                step = cost + self._cost(group, name)
                for other, taken in enumerate(self.taken):
                    if name not in taken:
                        continue
                    total = step - self._cost(other, name)
                    if other not in costs or total < costs[other]:
                        costs[other], hops[other] = total, (group, name)
                        changed = True
        return changed

    def _free(self, group: int) -> Iterable[tuple[str, int]]:
        taken = self.taken[group]
        return [(n, self._load[n]) for n in self._places[group].eligible if n not in taken]

    def _cost(self, group: int, name: str) -> int:
        return 0 if name in self._settled[group] else 1


def _distribute(
    place: _Place,
    quotas: Mapping[str, int],
    members: Mapping[str, MemberState],
    target: dict[str, set[TaskId]],
) -> None:
    """Let members keep what fits their quota; give the rest first to who has state of it."""
    kept = {name: place.held[name][: quotas[name]] for name in place.eligible}
    room = {name: quotas[name] - len(tasks) for name, tasks in kept.items()}
    for name, tasks in kept.items():
        target[name].update(tasks)
    at_home = {task for tasks in kept.values() for task in tasks}
    moving = [task for task in place.group.tasks() if task not in at_home]
    for task in _give_to_the_warm(moving, place, members, room, target):
        name = max(place.eligible, key=room.__getitem__)
        target[name].add(task)
        room[name] -= 1


def _give_to_the_warm(
    moving: Sequence[TaskId],
    place: _Place,
    members: Mapping[str, MemberState],
    room: dict[str, int],
    target: dict[str, set[TaskId]],
) -> list[TaskId]:
    """Place the tasks of which somebody with room has state; return the others."""
    cold = []
    for task in moving:
        warm = [name for name in place.eligible if room[name] and task in members[name].lags]
        if warm:
            name = max(warm, key=room.__getitem__)
            target[name].add(task)
            room[name] -= 1
        else:
            cold.append(task)
    return cold


# -- what may be owned now -----------------------------------------------------


def withhold(
    members: Mapping[str, MemberState],
    target: Mapping[str, Collection[TaskId]],
    groups: Sequence[TaskGroup],
) -> Plan:
    """Take from ``target`` what is still open elsewhere.

    Raises:
        ValueError: the target gives a task to two members, or to a member that is not there.
    """
    _check(members, target)
    owners = _owners(members)
    open_at: dict[TaskId, set[str]] = defaultdict(set)
    for name, member in members.items():
        for task in member.owned:
            open_at[task].add(name)
    now: dict[str, frozenset[TaskId]] = dict.fromkeys(members, _NONE)
    withheld: set[TaskId] = set()
    for name, tasks in target.items():
        waiting = {task for task in tasks if owners.get(task) != name and task in open_at}
        withheld |= waiting
        now[name] = frozenset(tasks) - waiting
    given = {task for tasks in target.values() for task in tasks}
    unassigned = {task for group in groups for task in group.tasks()} - given
    whole = {name: frozenset(target.get(name, ())) for name in members}
    return Plan(now, whole, frozenset(withheld), frozenset(unassigned))


def _check(members: Mapping[str, MemberState], target: Mapping[str, Collection[TaskId]]) -> None:
    if strangers := sorted(target.keys() - members.keys()):
        raise ValueError(f"tasks were given to {strangers}, who are no members of this round")
    given = Counter(task for tasks in target.values() for task in set(tasks))
    if twice := sorted(task for task, times in given.items() if times > 1):
        raise ValueError(f"tasks were given to two members: {', '.join(map(str, twice))}")
