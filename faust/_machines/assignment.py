"""Who gets which task: sticky, balanced, cooperative; the same answer from the same facts.

Three things are wanted, in this order:

1. *Balance.*  In each group the members that know all its topics have counts within one of each
   other; and so have their totals, where all members know all topics.  (While an app is upgraded
   one worker after the other it may be that nobody knows all topics of a group; then those count
   that know the most, and a topic that its task's owner does not know waits.)
2. *Stickiness.*  Among all balanced plans, one that moves the fewest tasks from where they are.
3. *Warmth.*  What must move goes, where it can, to a member that has local state of it; and what
   came last goes first, so that a worker that comes back gets what it had.

`extras` says how many tasks each member gets, `matching` which.  That is where tasks are to be *in
the end* (`assign`).  `handover` says where they are meanwhile: a task with tables stays where it is
until its next owner's copy has caught up; and `standbys` where copies of them are kept.

*Cooperative* (KIP-429): a task that another member still owns, or of which it still reads a source
partition, is withheld from its new owner in this generation.  Its owner sees that it is not in its
part, revokes it and joins again; then it is given out.  Of several claims that of the latest
generation makes the owner (the others were fenced), but whoever makes one may still have the task
open, so all of them are waited for.

Tasks alone would not do: when a topic grows, its partitions belong to other tasks from then on, and
its old ones go on without it.  So a member says what it *reads*, and a partition is read by one
member at a time: what it reads until it joins again is what it has claimed and what it is given
here, and nobody is given what somebody else has claimed.

Rounds converge: a plan is made from who owns what and who has how much state of it, and when its
moves are made and its copies have caught up, the same plan comes out again.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from faust._machines.copartition import TaskGroup, TaskId
from faust._machines.extras import Place, quotas
from faust._machines.handover import hand_over
from faust._machines.matching import Giver, match
from faust._machines.memberstate import (
    ACCEPTABLE_LAG,
    MemberState,
    owners_of,
    readers_of,
    who_knows_most,
)
from faust._machines.standbys import place_standbys
from faust._values import TP

__all__ = ["ACCEPTABLE_LAG", "MemberState", "Plan", "assign", "plan", "realise", "withhold"]

_NONE: frozenset[TaskId] = frozenset()


@dataclass(frozen=True)
class Plan:
    """Who owns what.

    Attributes:
        now: Member -> what it may own in this generation; what it owns beyond that it must revoke.
        target: Member -> what it will own when this plan's moves have been made.
        withheld: Tasks that wait until another member has revoked them.
        unassigned: Tasks that no member can have: there is none, or none knows any of their topics.
        standbys: Member -> tasks of which it keeps a copy, those that it is to get included.
        warming: Member -> what will be moved to it once its copy, which is among its standbys, has
            caught up.  (There may be more to move than may be copied at once.)
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


def plan(
    members: Mapping[str, MemberState], groups: Sequence[TaskGroup], replicas: int = 0
) -> Plan:
    """Assign all tasks of ``groups``, and say where they are meanwhile, and where copies are."""
    return realise(members, assign(members, groups), groups, replicas)


def realise(
    members: Mapping[str, MemberState],
    ideal: Mapping[str, Collection[TaskId]],
    groups: Sequence[TaskGroup],
    replicas: int = 0,
) -> Plan:
    """Come as close to ``ideal`` as can be now.

    Arguments:
        members: The members.
        ideal: Who is to own what in the end, as by `assign`.
        groups: All tasks; those of a group that has changelogs are handed over warm.
        replicas: How many copies of each of these other members keep.

    Raises:
        ValueError: ``ideal`` gives a task to two members, or to a member that is not there.
    """
    _check(members, ideal)
    moves = hand_over(members, ideal, groups)
    copies = place_standbys(members, moves.target, groups, replicas)
    warming = moves.warm_up(members, copies)
    plan = withhold(members, moves.target, groups)
    # What waits until its owner has given it up needs its copy all the more.
    stateful = {group.name for group in groups if group.changelogs}
    waiting = {task for task in plan.withheld if task.group in stateful}
    standbys = {
        name: copies[name] | warming[name] | (moves.target[name] & waiting) for name in members
    }
    return replace(
        plan,
        standbys={name: frozenset(tasks) for name, tasks in standbys.items()},
        warming={name: frozenset(tasks) for name, tasks in warming.items()},
    )


# -- where they are to be in the end -------------------------------------------


def assign(
    members: Mapping[str, MemberState], groups: Sequence[TaskGroup]
) -> dict[str, frozenset[TaskId]]:
    """Return for each member the tasks it is to own in the end."""
    owners = owners_of(members)
    states = _who_has_state(members)
    places = [place for group in groups if (place := _place(group, members, owners, states))]
    counts = quotas(places, sorted(members))
    target: dict[str, set[TaskId]] = {member: set() for member in members}
    for place in places:
        _distribute(place, counts[place.group.name], states, target)
    return {member: frozenset(tasks) for member, tasks in target.items()}


#: How warm a member is to a task, best first: its copy has caught up, it has one, it will have one.
_CAUGHT_UP, _BEHIND, _CLASSES = 0, 1, 2

#: Task -> (class, lag, member), best first.
_States = Mapping[TaskId, list[tuple[int, int, str]]]


def _who_has_state(members: Mapping[str, MemberState]) -> _States:
    found: dict[TaskId, list[tuple[int, int, str]]] = defaultdict(list)
    for name, member in members.items():
        for task, lag in member.lags.items():
            found[task].append((_CAUGHT_UP if lag <= ACCEPTABLE_LAG else _BEHIND, lag, name))
        for task in member.standbys - member.lags.keys():
            found[task].append((_BEHIND, _UNKNOWN, name))
    for each in found.values():
        each.sort()
    return found


_UNKNOWN = 1 << 62


def _place(
    group: TaskGroup,
    members: Mapping[str, MemberState],
    owners: Mapping[TaskId, str],
    states: _States,
) -> Place | None:
    """Look at ``group``; ``None`` where nobody may have it."""
    eligible = who_knows_most(members, group)
    if not eligible:
        return None
    held: dict[str, list[TaskId]] = {name: [] for name in eligible}
    since: dict[TaskId, int] = {}
    warm: Counter[str] = Counter()
    for task in group.tasks():
        owner = owners.get(task)
        if owner in held:
            held[owner].append(task)
            since[task] = members[owner].since.get(task, 0)
        else:
            warm.update(name for kind, _, name in states.get(task, ()) if kind == _CAUGHT_UP)
    for tasks in held.values():
        tasks.sort(key=lambda task: (since[task], task))
    return Place(group, eligible, held, since, warm)


def _distribute(
    place: Place, counts: Mapping[str, int], states: _States, target: dict[str, set[TaskId]]
) -> None:
    """Let members keep what fits; give the rest first to who has state of it."""
    eligible = set(place.eligible)
    room = {name: counts[name] - len(tasks) for name, tasks in place.held.items()}
    at_home = {task for tasks in place.held.values() for task in tasks}
    orphans = [task for task in place.group.tasks() if task not in at_home]
    givers = [Giver(len(orphans), orphans)]
    for name, free in room.items():
        if free < 0:
            givers.append(Giver(-free, place.held[name][::-1]))
            room[name] = 0
    moving = {task for giver in givers for task in giver.tasks}
    choices = {
        task: [(kind, name) for kind, _, name in found if name in eligible]
        for task in moving
        if (found := states.get(task))
    }
    moved = match(givers, choices, room, _CLASSES)
    for giver in givers:
        left = giver.gives - sum(task in moved for task in giver.tasks)
        for task in [task for task in giver.tasks if task not in moved][:left]:
            name = max(place.eligible, key=room.__getitem__)
            moved[task] = name
            room[name] -= 1
    for name, tasks in place.held.items():
        target[name].update(task for task in tasks if task not in moved)
    for task, name in moved.items():
        target[name].add(task)


# -- what may be owned now -----------------------------------------------------


def withhold(
    members: Mapping[str, MemberState],
    target: Mapping[str, Collection[TaskId]],
    groups: Sequence[TaskGroup],
) -> Plan:
    """Take from ``target`` what is still open, or read, elsewhere.

    A task that stays where it is waits as well if somebody else reads what it gains: its owner
    gives it up, and gets it with all of it in the next generation.

    Raises:
        ValueError: the target gives a task to two members, or to a member that is not there.
    """
    _check(members, target)
    owners, readers = owners_of(members), readers_of(members)
    open_now = frozenset().union(*(member.owned for member in members.values()))
    topics = {group.name: group.topics for group in groups}
    now: dict[str, frozenset[TaskId]] = dict.fromkeys(members, _NONE)
    withheld: set[TaskId] = set()
    for name, tasks in target.items():
        waiting = {
            task
            for task in tasks
            if (owners.get(task) != name and task in open_now)
            or any(
                readers.get(TP(topic, task.partition), name) != name
                for topic in topics.get(task.group, ())
            )
        }
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
