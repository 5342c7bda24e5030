"""Properties of the assignment, and the copartition groups that it works on."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faust._machines.assignment import MemberState, Plan, assign, plan, withhold
from faust._machines.copartition import TaskGroup, TaskId, Together, copartition
from faust.exceptions import PartitionsMismatch
from tests.support.rounds import Workers

Members = dict[str, MemberState]
TOPICS = ["t1", "t2", "t3", "t4"]


def group(size: int, *topics: str, name: str | None = None) -> TaskGroup:
    return TaskGroup(name or str(size), size, topics or (f"topic-{size}",))


def member(groups: Iterable[TaskGroup], *owned: TaskId, generation: int = 1) -> MemberState:
    topics = frozenset(topic for g in groups for topic in g.topics)
    return MemberState(topics=topics, owned=frozenset(owned), generation=generation)


def tasks_of(groups: Iterable[TaskGroup]) -> set[TaskId]:
    return {task for g in groups for task in g.tasks()}


def after(members: Members, result: Plan, generation: int) -> Members:
    """The members as they join the next round, having done what the plan says."""
    return {
        name: MemberState(
            topics=state.topics, owned=result.now[name], generation=generation, lags=state.lags
        )
        for name, state in members.items()
    }


def settle(members: Members, groups: list[TaskGroup]) -> Members:
    """Play rounds until nothing is withheld any more."""
    for generation in range(2, 5):
        result = plan(members, groups)
        members = after(members, result, generation)
        if not result.another_round:
            return members
    raise AssertionError("not settled after three rounds")


# -- any group of workers ------------------------------------------------------


@st.composite
def worlds(draw: st.DrawFn, *, uniform: bool = False) -> tuple[Members, list[TaskGroup]]:
    """Members that claim anything at all, in any generation, and know some of the topics or all."""
    sizes = draw(st.lists(st.integers(1, 9), min_size=1, max_size=3, unique=True))
    groups = [group(size, TOPICS[n], TOPICS[n] + "b") for n, size in enumerate(sorted(sizes))]
    topics = sorted(topic for g in groups for topic in g.topics)
    everything = sorted(tasks_of(groups))
    members: Members = {}
    for name in draw(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=6, unique=True)):
        known = topics if uniform else draw(st.lists(st.sampled_from(topics), unique=True))
        members[name] = MemberState(
            topics=frozenset(known),
            owned=frozenset(draw(st.lists(st.sampled_from(everything), max_size=8))),
            generation=draw(st.integers(1, 3)),
            lags=draw(
                st.dictionaries(st.sampled_from(everything), st.integers(0, 30_000), max_size=4)
            ),
        )
    return members, groups


def eligible(members: Members, g: TaskGroup) -> list[str]:
    known = {name: len(state.topics & set(g.topics)) for name, state in members.items()}
    most = max(known.values())
    return [name for name, count in known.items() if count == most] if most else []


@given(worlds())
def test_no_task_goes_to_two_members_or_to_one_that_knows_less_of_it_than_another(
    world: tuple[Members, list[TaskGroup]],
) -> None:
    members, groups = world
    result = plan(members, groups)
    given_out = Counter(task for tasks in result.target.values() for task in tasks)
    assert set(given_out.values()) <= {1}
    assert set(given_out) | result.unassigned == tasks_of(groups)
    for g in groups:
        holders = {name for name, tasks in result.target.items() if tasks & set(g.tasks())}
        assert holders <= set(eligible(members, g))
        assert (result.unassigned >= set(g.tasks())) == (not eligible(members, g))


@given(worlds())
def test_in_each_group_counts_are_within_one(world: tuple[Members, list[TaskGroup]]) -> None:
    members, groups = world
    target = assign(members, groups)
    for g in groups:
        counts = [len(target[name] & set(g.tasks())) for name in eligible(members, g)]
        assert not counts or max(counts) - min(counts) <= 1


@given(worlds(uniform=True))
def test_totals_are_within_one_where_all_know_all_topics(
    world: tuple[Members, list[TaskGroup]],
) -> None:
    counts = [len(tasks) for tasks in assign(*world).values()]
    assert max(counts) - min(counts) <= 1


@given(worlds())
def test_what_somebody_else_still_owns_is_withheld(
    world: tuple[Members, list[TaskGroup]],
) -> None:
    members, groups = world
    result = plan(members, groups)
    for name, tasks in result.now.items():
        assert tasks <= result.target[name]
        for task in tasks - members[name].owned:
            assert not any(task in state.owned for state in members.values())
    assert result.withheld == frozenset().union(
        *(result.target[name] - result.now[name] for name in members)
    )


@given(worlds())
def test_after_two_rounds_every_task_is_owned_and_nothing_moves_any_more(
    world: tuple[Members, list[TaskGroup]],
) -> None:
    members, groups = world
    first = plan(members, groups)
    second = plan(after(members, first, 4), groups)
    assert not second.another_round
    owned = [task for tasks in second.now.values() for task in tasks]
    assert set(owned) | second.unassigned == tasks_of(groups)
    assert plan(after(members, second, 5), groups).now == second.now


@given(worlds())
def test_the_second_round_takes_nothing_back_that_the_first_has_left(
    world: tuple[Members, list[TaskGroup]],
) -> None:
    members, groups = world
    first = plan(members, groups)
    second = plan(after(members, first, 4), groups)
    assert all(second.now[name] >= first.now[name] for name in members)


@given(worlds(), st.randoms())
def test_the_same_facts_give_the_same_plan(
    world: tuple[Members, list[TaskGroup]], random: object
) -> None:
    members, groups = world
    shuffled = dict(sorted(members.items(), reverse=True))
    assert plan(shuffled, groups) == plan(members, groups)


# -- as few moves as possible --------------------------------------------------


def balanced_counts(names: list[str], groups: list[TaskGroup]) -> Iterator[list[dict[str, int]]]:
    """All ways to give out the extras such that the totals are as even as they can be."""
    choices = [
        [frozenset(extra) for extra in combinations(names, g.partitions % len(names))]
        for g in groups
    ]
    quotas = [
        [
            {name: g.partitions // len(names) + (name in extra) for name in names}
            for g, extra in zip(groups, way, strict=True)
        ]
        for way in product(*choices)
    ]
    for quota in quotas:
        totals = [sum(counts[name] for counts in quota) for name in names]
        if max(totals) - min(totals) <= 1:
            yield quota


@settings(max_examples=150, deadline=None)
@given(worlds(uniform=True))
def test_no_balanced_plan_moves_fewer_tasks(world: tuple[Members, list[TaskGroup]]) -> None:
    members, groups = world
    names = sorted(members)[:4]
    taken: set[TaskId] = set()
    honest: Members = {}
    for name in names:
        honest[name] = member(groups, *(members[name].owned - taken))
        taken |= members[name].owned
    target = assign(honest, groups)
    kept = sum(len(target[name] & honest[name].owned) for name in names)
    best = max(
        sum(
            min(counts[name], len(honest[name].owned & set(g.tasks())))
            for g, counts in zip(groups, quota, strict=True)
            for name in names
        )
        for quota in balanced_counts(names, groups)
    )
    assert kept == best


def test_a_task_moved_although_another_with_as_many_could_have_kept_it() -> None:
    """An extra went where it cost nothing; a path would have freed another one of its costs."""
    groups = [group(n) for n in (1, 3, 5)]
    owned = {"c": [TaskId("1", 0), TaskId("3", 0)], "d": [TaskId("5", 0), TaskId("5", 1)]}
    target = assign({name: member(groups, *owned.get(name, ())) for name in "abcd"}, groups)
    assert all(target[name] >= set(tasks) for name, tasks in owned.items())


def test_a_plan_that_was_carried_out_was_followed_by_another_one() -> None:
    """The same, where one that had been displaced would have gone home."""
    groups = [group(n) for n in (1, 3, 5)]
    members = {name: member(groups) for name in "ab"}
    first = plan(members, groups)
    assert plan(after(members, first, 4), groups).now == first.now


def test_a_balanced_group_of_workers_is_left_alone() -> None:
    groups = [group(n) for n in (1, 2, 3, 5)]
    names = ["a", "b", "c"]
    owned: Mapping[str, list[TaskId]] = {
        "a": [TaskId("1", 0), TaskId("3", 0), TaskId("5", 4), TaskId("5", 3)],
        "b": [TaskId("2", 0), TaskId("3", 1), TaskId("5", 0), TaskId("5", 1)],
        "c": [TaskId("2", 1), TaskId("3", 2), TaskId("5", 2)],
    }
    members = {name: member(groups, *owned[name]) for name in names}
    result = plan(members, groups)
    assert result.now == {name: frozenset(owned[name]) for name in names}
    assert not result.another_round


def test_a_worker_that_joins_gets_its_share_and_the_others_keep_the_rest() -> None:
    groups = [group(32)]
    members = settle({name: member(groups) for name in "abc"}, groups)
    grown = {**members, "d": member(groups)}
    result = plan(grown, groups)
    assert len(result.target["d"]) == 8
    assert result.now["d"] == frozenset()
    assert result.withheld == result.target["d"]
    for name in "abc":
        assert result.now[name] < members[name].owned
    assert settle(grown, groups)["d"].owned == result.target["d"]


def test_what_a_dead_worker_had_is_shared_out_at_once() -> None:
    groups = [group(9)]
    members = settle({name: member(groups) for name in "abc"}, groups)
    del members["b"]
    result = plan(members, groups)
    assert not result.another_round
    assert sorted(len(tasks) for tasks in result.now.values()) == [4, 5]
    assert all(result.now[name] >= members[name].owned for name in members)


def test_what_must_move_goes_to_whoever_has_state_of_it() -> None:
    groups = [group(8)]
    members = settle({name: member(groups) for name in "abcd"}, groups)
    gone = members.pop("c").owned
    members["b"] = MemberState(
        topics=members["b"].topics,
        owned=members["b"].owned,
        generation=4,
        lags=dict.fromkeys(gone, 0),
    )
    members["e"] = member(groups)
    assert plan(members, groups).now["e"] == gone, "b has its share already"
    members["e"] = MemberState(topics=members["b"].topics)
    members["f"] = MemberState(topics=members["b"].topics, lags=dict.fromkeys(gone, 0))
    del members["d"]
    assert gone == plan(members, groups).now["f"]


# -- claims --------------------------------------------------------------------


def test_of_two_claims_the_later_generation_counts_and_the_other_must_revoke() -> None:
    groups = [group(1)]
    task = TaskId("1", 0)
    members = {
        "a": member(groups, task, generation=3),
        "b": member(groups, task, generation=2),
    }
    result = plan(members, groups)
    assert result.now == {"a": {task}, "b": frozenset()}
    assert not result.another_round


def test_two_claims_of_one_generation_are_both_revoked_first() -> None:
    groups = [group(1)]
    task = TaskId("1", 0)
    result = plan({name: member(groups, task) for name in "ab"}, groups)
    assert result.now == {"a": frozenset(), "b": frozenset()}
    assert result.withheld == {task}


def test_while_an_app_is_upgraded_a_task_goes_to_those_who_know_all_its_topics() -> None:
    groups = [group(4, "old", "new"), group(2, "other")]
    members = {
        "a": MemberState(topics=frozenset({"old", "other"})),
        "b": MemberState(topics=frozenset({"old", "new", "other"})),
    }
    target = assign(members, groups)
    assert {task for task in target["b"] if task.group == "4"} == set(groups[0].tasks())
    assert len(target["a"]) == 1


def test_where_nobody_knows_all_topics_those_who_know_the_most_go_on() -> None:
    groups = [group(4, "both", "dropped", "added")]
    members = {
        "a": MemberState(topics=frozenset({"both", "dropped"})),
        "b": MemberState(topics=frozenset({"both", "added"})),
        "c": MemberState(topics=frozenset({"both"})),
    }
    assert [len(tasks) for tasks in assign(members, groups).values()] == [2, 2, 0]


def test_without_members_nothing_is_assigned() -> None:
    groups = [group(2)]
    result = plan({}, groups)
    assert result.now == {}
    assert result.unassigned == {TaskId("2", 0), TaskId("2", 1)}


def test_a_target_that_gives_a_task_twice_or_to_a_stranger_is_refused() -> None:
    groups = [group(1)]
    task = TaskId("1", 0)
    members = {"a": member(groups), "b": member(groups)}
    with pytest.raises(ValueError, match="two members: 0/1"):
        withhold(members, {"a": {task}, "b": {task}}, groups)
    with pytest.raises(ValueError, match=r"\['z'\], who are no members"):
        withhold(members, {"z": {task}}, groups)


def test_a_thousand_partitions_for_fifty_workers(capsys: pytest.CaptureFixture[str]) -> None:
    sizes = (1, 19, 80, 300, 600)
    groups = [TaskGroup(str(n), n, (f"topic-{n}",), (f"changelog-{n}",)) for n in sizes]
    workers = Workers(groups, (f"worker-{n:02}" for n in range(50)), replicas=1)
    spent = {}

    def look(what: str) -> None:
        states = workers.states()
        began = time.process_time()
        plan(states, groups, 1)
        spent[what] = f"{(time.process_time() - began) * 1000:.0f} ms"
        workers.settle()
        totals = [len(tasks) for tasks in workers.owned().values()]
        assert sum(totals) == 1000
        assert max(totals) - min(totals) <= 1

    look("from nothing")
    look("nothing changed")
    for n in range(5):
        workers.stop(f"worker-{n:02}")
    look("five are gone")
    workers.moves.clear()
    for n in range(10):
        workers.start(f"new-{n}")
    look("ten join")
    assert len(workers.moves) == 10 * (1000 // 55), "more was moved than they have"
    with capsys.disabled():
        print(f"\n1,000 partitions in 5 groups with a copy of each, 50 workers: {spent}")


# -- copartition ---------------------------------------------------------------


def test_topics_and_changelogs_of_equal_size_form_a_group() -> None:
    groups = copartition({"b": 4, "a": 4, "one": 1}, {"t-changelog": 4, "global": 1})
    assert groups == (
        TaskGroup("1", 1, ("one",), ("global",)),
        TaskGroup("4", 4, ("a", "b"), ("t-changelog",)),
    )
    assert groups[1].tasks()[3] == TaskId("4", 3)


def test_what_belongs_together_and_differs_is_refused_with_the_reason() -> None:
    counts = {"orders": 8}, {"app-totals-changelog": 4}
    because = "agent 'count' reads the first and writes table 'totals', kept in the second"
    with pytest.raises(PartitionsMismatch) as caught:
        copartition(*counts, together=[Together(("orders", "app-totals-changelog"), because)])
    assert str(caught.value).startswith(
        "'orders' (8 partitions) and 'app-totals-changelog' (4 partitions) must have the same "
        "number of partitions, because agent 'count' reads the first and writes table 'totals'"
    )


def test_a_topic_that_is_not_there_yet_contradicts_nothing() -> None:
    (only,) = copartition({"orders": 8}, together=[Together(("orders", "missing"), "why not")])
    assert only.name == "8"
