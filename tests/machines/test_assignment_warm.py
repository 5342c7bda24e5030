"""Tables move only to warm copies, copies are elsewhere, and rounds come to an end."""

from __future__ import annotations

from collections import Counter
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faust._machines.assignment import ACCEPTABLE_LAG, MemberState, assign, plan
from faust._machines.copartition import TaskGroup, TaskId
from faust._machines.handover import MAX_WARMUPS, NEARLY_AS_GOOD
from tests.support.rounds import Workers

Members = dict[str, MemberState]


def group(size: int, *, tables: bool = True) -> TaskGroup:
    changelogs = (f"changelog-{size}",) if tables else ()
    return TaskGroup(str(size), size, (f"topic-{size}",), changelogs)


def tasks_of(groups: list[TaskGroup]) -> list[TaskId]:
    return [task for g in groups for task in g.tasks()]


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Members, list[TaskGroup], int]:
    """Members that own some tasks and have state of some, all of which know all topics."""
    sizes = draw(st.lists(st.integers(1, 9), min_size=1, max_size=3, unique=True))
    groups = [group(size, tables=draw(st.booleans())) for size in sorted(sizes)]
    topics = frozenset(topic for g in groups for topic in g.topics)
    names = draw(st.lists(st.sampled_from("abcde"), min_size=1, max_size=5, unique=True))
    stateful = [task for g in groups if g.changelogs for task in g.tasks()]
    owners = {task: draw(st.sampled_from(["", *names])) for task in tasks_of(groups)}
    lags = st.sampled_from([0, 5, ACCEPTABLE_LAG, ACCEPTABLE_LAG + 1, 10**5, 10**7])
    members = {}
    for name in names:
        owned = {task for task, owner in owners.items() if owner == name}
        others = [task for task in stateful if task not in owned]
        known = draw(st.dictionaries(st.sampled_from(others), lags, max_size=6)) if others else {}
        kept = draw(st.lists(st.sampled_from(others), max_size=4)) if others else []
        members[name] = MemberState(
            topics=topics,
            owned=frozenset(owned),
            generation=7,
            since={task: draw(st.integers(1, 7)) for task in owned},
            standbys=frozenset(kept),
            lags=known,
        )
    return members, groups, draw(st.integers(0, 3))


World = tuple[Members, list[TaskGroup], int]


@settings(max_examples=40, deadline=None)
@given(worlds())
def test_a_task_with_tables_leaves_a_living_owner_for_a_copy_that_has_caught_up_only(
    world: World,
) -> None:
    members, groups, replicas = world
    result = plan(members, groups, replicas)
    stateful = {g.name for g in groups if g.changelogs}
    ideal = assign(members, groups)
    for name, state in members.items():
        for task in state.owned - result.target[name]:
            (to,) = (n for n in members if task in result.target[n])
            assert task in ideal[to]
            if task.group in stateful:
                assert members[to].lags.get(task, ACCEPTABLE_LAG + 1) <= ACCEPTABLE_LAG
    for task in tasks_of(groups):
        if task.group not in stateful:
            assert all((task in result.target[n]) == (task in ideal[n]) for n in members)


@settings(max_examples=40, deadline=None)
@given(worlds())
def test_a_task_whose_owner_is_gone_goes_to_no_copy_much_worse_than_the_best(
    world: World,
) -> None:
    members, groups, replicas = world
    result = plan(members, groups, replicas)
    stateful = {g.name for g in groups if g.changelogs}
    owned = {task for state in members.values() for task in state.owned}
    for name, tasks in result.target.items():
        for task in tasks - owned:
            lags = [state.lags[task] for state in members.values() if task in state.lags]
            if task.group in stateful and lags:
                assert members[name].lags[task] <= min(lags) + NEARLY_AS_GOOD


@settings(max_examples=40, deadline=None)
@given(worlds())
def test_each_task_with_tables_has_its_copies_on_other_members(world: World) -> None:
    members, groups, replicas = world
    result = plan(members, groups, replicas)
    wanted = min(replicas, len(members) - 1)
    for g in groups:
        for task in g.tasks():
            owner = {name for name in members if task in result.target[name]}
            copies = {name for name in members if task in result.standbys[name]}
            coming = {name for name in members if task in result.warming[name]}
            assert not owner & copies or task in result.withheld
            copies -= owner
            if g.changelogs:
                assert wanted <= len(copies) <= wanted + len(coming)
            else:
                assert not copies


@settings(max_examples=40, deadline=None)
@given(worlds())
def test_no_member_fills_more_copies_at_once_for_what_comes_than_it_may(world: World) -> None:
    members, groups, replicas = world
    result = plan(members, groups, replicas)
    kept = plan(members, groups, 0) if not replicas else None
    for name in members:
        assert result.warming[name] <= result.standbys[name]
        if kept is not None:
            assert len(kept.warming[name]) <= MAX_WARMUPS


@settings(max_examples=60, deadline=None)
@given(worlds())
def test_rounds_come_to_an_end_in_the_plan_that_was_wanted_from_the_beginning(
    world: World,
) -> None:
    members, groups, replicas = world
    workers = Workers(groups, members, replicas)
    for name, state in members.items():
        worker = workers.workers[name]
        worker.owned, worker.since = state.owned, dict(state.since)
        worker.standbys, worker.lags = state.standbys, dict(state.lags)
    workers.generation = 7
    workers.settle()
    assert workers.owned() == assign(workers.states(), groups)
    counts = [len(owned) for owned in workers.owned().values()]
    assert max(counts) - min(counts) <= 1
    result = workers.round()
    assert not any(result.warming.values())
    assert not result.another_round


@settings(max_examples=60, deadline=None)
@given(worlds())
def test_what_is_moved_to_where_it_has_state_is_as_much_as_can_be(world: World) -> None:
    members, groups, _ = world
    small = groups[:1]
    names = sorted(members)[:3]
    (g,) = small
    tasks = g.tasks()[:6]
    g = TaskGroup(g.name, len(tasks), g.topics, ("changelog",))
    honest = {name: only(members[name], tasks) for name in names}
    target = assign(honest, [g])

    def worth(where: dict[TaskId, str]) -> tuple[int, int]:
        stays = sum(task in honest[name].owned for task, name in where.items())
        warm = sum(
            honest[name].lags.get(task, ACCEPTABLE_LAG + 1) <= ACCEPTABLE_LAG
            for task, name in where.items()
            if task not in honest[name].owned
        )
        return stays, warm

    best = max(
        worth(dict(zip(tasks, way, strict=True)))
        for way in product(names, repeat=len(tasks))
        if spread(way, names) <= 1
    )
    found = worth({task: name for name, owned in target.items() for task in owned})
    assert found[0] == best[0]
    assert found[1] >= best[1] - 1


def only(state: MemberState, tasks: list[TaskId]) -> MemberState:
    return MemberState(
        topics=state.topics,
        owned=state.owned.intersection(tasks),
        generation=7,
        since={task: since for task, since in state.since.items() if task in tasks},
        lags={task: lag for task, lag in state.lags.items() if task in tasks},
    )


def spread(way: tuple[str, ...], names: list[str]) -> int:
    counts = Counter(way)
    return max(counts[name] for name in names) - min(counts[name] for name in names)


# -- scenes --------------------------------------------------------------------


def settled(groups: list[TaskGroup], names: str, replicas: int) -> Workers:
    workers = Workers(groups, names, replicas)
    workers.settle()
    workers.moves.clear()
    workers.cold_starts.clear()
    return workers


def test_who_dies_is_replaced_by_its_copies_and_nothing_moves_a_second_time() -> None:
    workers = settled([group(12)], "abcd", 1)
    gone = workers.workers["b"].owned
    workers.stop("b")
    workers.settle()
    assert {task for task, *_ in workers.moves} == gone
    assert len(workers.moves) == len(gone)
    assert workers.cold_starts == []


def test_a_worker_that_joins_gets_tables_when_it_has_read_them_and_not_before() -> None:
    workers = settled([group(12)], "abc", 0)
    before = workers.owned()
    workers.start("d")
    first = workers.round()
    assert workers.owned() == {**before, "d": frozenset()}
    assert first.warming["d"] == first.standbys["d"]
    assert len(first.warming["d"]) == 3
    workers.catch_up()
    workers.settle()
    assert len(workers.owned()["d"]) == 3
    assert workers.cold_starts == []


def test_a_table_that_nobody_has_goes_where_it_is_to_be_at_once() -> None:
    workers = Workers([group(7)], "abc", 2)
    workers.round()
    assert sorted(len(owned) for owned in workers.owned().values()) == [2, 2, 3]


def test_copies_of_one_owner_are_spread_over_the_others() -> None:
    workers = settled([group(12), group(24)], "abcd", 1)
    for name, worker in workers.workers.items():
        others = [w.standbys & worker.owned for n, w in workers.workers.items() if n != name]
        assert [len(each) for each in others] == [3, 3, 3]


def test_a_copy_that_lags_a_little_is_no_reason_for_a_detour() -> None:
    groups = [group(2)]
    (one, two) = groups[0].tasks()
    topics = frozenset(groups[0].topics)
    members = {
        "a": MemberState(topics=topics, owned=frozenset({one}), generation=1, lags={two: 0}),
        "b": MemberState(topics=topics, lags={two: NEARLY_AS_GOOD}),
    }
    assert two in plan(members, groups).target["b"]
    members["b"] = MemberState(topics=topics, lags={two: NEARLY_AS_GOOD + 1})
    away = plan(members, groups)
    assert two in away.target["a"]
    assert away.warming["b"] == {two}


def test_where_nobody_owns_anything_the_only_task_goes_to_stay_with_the_only_copy() -> None:
    """It went there as a refuge, and another member filled a copy that nobody needed."""
    groups = [group(1)]
    workers = Workers(groups, "abc")
    workers.workers["b"].lags[TaskId("1", 0)] = 3
    result = workers.round()
    assert result.target["b"] == {TaskId("1", 0)}
    assert not any(result.warming.values())


def test_an_owner_that_knows_none_of_the_topics_any_more_keeps_nothing_of_them() -> None:
    groups = [group(1)]
    task = TaskId("1", 0)
    members = {
        "old": MemberState(topics=frozenset({"other"}), owned=frozenset({task}), generation=1),
        "new": MemberState(topics=frozenset(groups[0].topics)),
    }
    result = plan(members, groups, 1)
    assert result.target["new"] == {task}
    assert result.standbys["old"] == frozenset()


# -- rolling restarts ----------------------------------------------------------


@pytest.mark.parametrize("replicas", [0, 1])
@pytest.mark.parametrize("names", ["abc", "abcde"])
@settings(deadline=None, max_examples=12)
@given(data=st.data())
def test_in_a_rolling_restart_only_what_the_worker_had_moves_away_and_back_when_it_is_warm(
    names: str, replicas: int, data: st.DataObject
) -> None:
    groups = [group(data.draw(st.integers(1, 24)), tables=data.draw(st.booleans()))]
    workers = settled(groups, names, replicas)
    for name in data.draw(st.permutations(names)):
        had = workers.workers[name].owned
        restart(workers, name, data)
        assert workers.cold_starts == [], "what came back was not warm"
        moved = Counter(task for task, *_ in workers.moves)
        assert set(moved) <= had, "what another worker had was moved, too"
        # Without standbys it may come by way of a worker that has an older copy.
        assert max(moved.values(), default=0) <= 2 + (not replicas)
        handed_over = Counter(task for task, _, to in workers.moves if to == name)
        assert max(handed_over.values(), default=0) <= 1


@settings(deadline=None, max_examples=12)
@given(data=st.data())
def test_with_tasks_of_several_groups_a_restart_moves_few_more_than_the_worker_had(
    data: st.DataObject,
) -> None:
    sizes = data.draw(st.lists(st.integers(1, 24), min_size=2, max_size=3, unique=True))
    groups = [group(size, tables=data.draw(st.booleans())) for size in sizes]
    workers = settled(groups, "abcd", 1)
    for name in data.draw(st.permutations("abcd")):
        had = workers.workers[name].owned
        restart(workers, name, data)
        assert len(workers.moves) <= 2 * len(had) + len(groups)


def restart(workers: Workers, name: str, data: st.DataObject) -> None:
    """Stop one worker in good order, let the others go on without it for a while, start it."""
    workers.moves.clear()
    left = workers.stop(name)
    for _ in range(data.draw(st.integers(1, 3))):
        workers.round()
        workers.catch_up()
    workers.start(name, left, lag=data.draw(st.sampled_from([0, 20_000, 10**6])))
    workers.cold_starts.clear()
    workers.settle()
