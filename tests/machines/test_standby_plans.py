"""Where copies of tasks are kept, where not everybody may have everything."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from faust._machines.copartition import TaskGroup, TaskId
from faust._machines.memberstate import MemberState, who_knows_most
from faust._machines.standbys import place_standbys

GROUPS = [
    TaskGroup("4", 4, ("topic-4",), ("changelog-4",)),
    TaskGroup("3", 3, ("topic-3",), ("changelog-3",)),
    TaskGroup("2", 2, ("topic-2",)),
]
NAMES = "abcd"


@st.composite
def members(draw: st.DrawFn) -> dict[str, MemberState]:
    """Some know some of the topics only, as while an app is rolled out that reads new ones."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
    topics = st.sets(st.sampled_from([group.topics[0] for group in GROUPS]))
    tasks = st.sets(st.sampled_from([task for group in GROUPS for task in group.tasks()]))
    return {
        name: MemberState(
            topics=frozenset(draw(topics)),
            standbys=frozenset(draw(tasks)),
            lags=dict.fromkeys(sorted(draw(tasks)), draw(st.sampled_from([0, 10**6]))),
        )
        for name in names
    }


@settings(max_examples=100, deadline=None)
@given(members(), st.integers(0, 3), st.data())
def test_each_task_has_as_many_copies_as_are_wanted_or_as_others_may_have(
    states: dict[str, MemberState], replicas: int, data: st.DataObject
) -> None:
    target: dict[str, set[TaskId]] = {name: set() for name in states}
    may_have = {group.name: who_knows_most(states, group) for group in GROUPS}
    for group in GROUPS:
        for task in group.tasks():
            if may_have[group.name]:
                target[data.draw(st.sampled_from(may_have[group.name]))].add(task)
    copies = place_standbys(states, target, GROUPS, replicas)
    for group in GROUPS:
        for task in group.tasks():
            holders = {name for name, tasks in copies.items() if task in tasks}
            owner = {name for name, tasks in target.items() if task in tasks}
            others = set(may_have[group.name]) - owner
            assert holders <= others
            wanted = min(replicas, len(others)) if group.changelogs else 0
            assert len(holders) == wanted


def test_who_does_not_know_the_topics_gets_no_copy_though_more_are_wanted() -> None:
    group = GROUPS[0]
    knows, other = frozenset(group.topics), frozenset({"other"})
    states = {
        "a": MemberState(topics=knows),
        "b": MemberState(topics=knows),
        "c": MemberState(topics=other),
    }
    tasks = set(group.tasks())
    copies = place_standbys(states, {"a": tasks, "b": set(), "c": set()}, [group], 2)
    assert copies == {"a": set(), "b": tasks, "c": set()}
