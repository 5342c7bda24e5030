"""Distributed sets and tables of sets, by hand and against Python's own sets."""

from __future__ import annotations

import asyncio
import operator
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tables_world import World

from faust.exceptions import ImproperlyConfigured
from faust.models import Record
from faust.tables import SetGlobalTable
from faust.tables.setmanager import SetManagerOperation, apply


class User(Record):
    name: str


@pytest.fixture
def world() -> World:
    return World()


# -- app.Set -------------------------------------------------------------------------------------


def test_a_set_tracks_membership_and_nothing_else(world: World) -> None:
    users = world.add(world.app.Set("users", key_type=str))
    with world.event():
        users.add("a")
        users.add("b")
        users.discard("missing")
        assert "a" in users
    assert sorted(users) == ["a", "b"]
    assert len(users) == 2
    assert users == {"a", "b"}
    assert world.commit(users) == [(b'"a"', b"true"), (b'"b"', b"true")]
    with world.event():
        users.add("a")
        users.remove("b")
        with pytest.raises(KeyError):
            users.remove("b")
    assert world.commit(users) == [(b'"b"', None)]
    world.crash(users)
    assert users == {"a"}


def test_a_set_has_the_operators_of_a_set_and_takes_any_iterable(world: World) -> None:
    numbers = world.add(world.app.Set("numbers", key_type=int))
    with world.event():
        numbers.update([1, 2], (n for n in (3, 4)))
        assert numbers & [1, 9] == {1}
        assert numbers | [9] == {1, 2, 3, 4, 9}
        assert numbers - [1] == {2, 3, 4}
        assert [1, 9] - numbers == {9}
        assert numbers ^ [1, 9] == {2, 3, 4, 9}
        assert numbers >= {1}
        assert numbers.issuperset([1])
        assert numbers.issubset(range(9))
        assert numbers.isdisjoint([9])
        copy = numbers
        copy |= [5]
        copy &= [1, 2, 5]
        copy -= [1]
        copy ^= [2, 7]
        assert copy is numbers
        assert numbers.copy() == {5, 7}
        assert numbers.pop() in {5, 7}
        numbers.clear()
        with pytest.raises(KeyError, match="pop from set 'numbers'"):
            numbers.pop()
    assert len(numbers) == 0


def test_a_set_outside_of_events_is_that_of_all_partitions_and_read_only(world: World) -> None:
    users = world.add(world.app.Set("users", key_type=str), 0, 1)
    with world.event(partition=0):
        users.add("a")
    with world.event(partition=1):
        users.add("b")
        assert "a" not in users
    assert users == {"a", "b"}
    for write in (users.add, users.discard):
        with pytest.raises(TypeError, match="cannot modify table 'users' outside"):
            write("a")


def test_a_set_forgets_what_a_failed_event_added(world: World) -> None:
    users = world.add(world.app.Set("users", key_type=str))
    world.fail(lambda: users.add("a"))
    assert users == set()
    assert world.commit(users) == []


def test_a_set_is_a_service_and_equal_to_itself_only_among_tables(world: World) -> None:
    first, second = world.app.Set("a"), world.app.Set("b")
    assert first != second
    assert len({first, second, first}) == 2
    with pytest.raises(ImproperlyConfigured, match="cannot have windows"):
        world.app.Set("c", window=world.app.Table("t").tumbling(1).window)


# -- app.SetTable ----------------------------------------------------------------------------------


def test_a_set_table_keeps_the_whole_set_sorted(world: World) -> None:
    table = world.add(world.app.SetTable("sets", key_type=str, value_type=str))
    with world.event():
        for name in ("c", "a", "b"):
            table["k"].add(name)
        assert "k" in table
        assert "other" not in table
        assert table["other"] == set()
    assert world.commit(table) == [(b'"k"', b'["a","b","c"]')]
    with world.event():
        table["k"].add("a")
        table["k"].discard("z")
    assert world.commit(table) == []


def test_all_methods_of_a_set_change_it(world: World) -> None:
    table = world.add(world.app.SetTable("sets", key_type=str, value_type=int))
    with world.event():
        table["k"].update([1, 2], {3})
        table["k"] |= [4]
        table["k"] &= [1, 2, 4, 9]
        table["k"] -= [1]
        table["k"] ^= [2, 7]
    assert table["k"] == {4, 7}
    with world.event():
        table["k"].intersection_update([4, 7, 8], [4])
        table["k"].symmetric_difference_update([5])
        table["k"].difference_update([4])
        assert table["k"].pop() == 5
        assert len(table["k"]) == 0
        with pytest.raises(KeyError):
            table["k"].remove(1)
    assert "k" in table
    assert world.commit(table) == [(b'"k"', b"[]")]


def test_sets_can_be_assigned_and_deleted(world: World) -> None:
    table = world.add(world.app.SetTable("sets", key_type=str, value_type=int))
    with world.event():
        table["a"] = [3, 1]
        table["b"] = table["a"]
        table["b"].add(2)
        assert table.get("a") == {1, 3}
        assert table.get("c") is None
        assert table.setdefault("c", [9]) == {9}
        assert dict(table.items()) == {"a": {1, 3}, "b": {1, 2, 3}, "c": {9}}
        del table["a"]
        assert table.pop("c") == {9}
    world.commit(table)
    world.crash(table)
    assert list(table) == ["b"]
    assert table["b"] == {1, 2, 3}
    assert repr(table["b"]) == "ChangeloggedSet({1, 2, 3})"


def test_a_failed_event_leaves_the_set_as_it_was(world: World) -> None:
    table = world.add(world.app.SetTable("sets", key_type=str, value_type=int))
    with world.event():
        table["k"].update([1, 2])
    world.fail(lambda: table["k"].update([3]))
    world.fail(lambda: table["k"].clear())
    assert table["k"] == {1, 2}


@pytest.mark.parametrize(
    ("value_type", "members"),
    [
        (None, {"a", 1, None}),
        (None, {("a", 1), ("b", 2)}),
        (bytes, {b"\x00", b"b"}),
        (User, {User("a"), User("b")}),
    ],
)
def test_members_of_any_type_come_back(world: World, value_type: Any, members: Any) -> None:
    table = world.add(world.app.SetTable("sets", key_type=str, value_type=value_type))
    for order in (sorted(members, key=repr), sorted(members, key=repr, reverse=True)):
        with world.event():
            table["k"] = order
        assert len({data for _, data in world.commit(table)}) == 1
    assert len({data for _, data in world.logs["sets", 0]}) == 1
    world.crash(table)
    assert table["k"] == members


def test_another_codec_keeps_sets_too(world: World) -> None:
    table = world.add(world.app.SetTable("sets", value_serializer="json|binary"))
    with world.event():
        table["k"].update([2, 1])
    world.commit(table)
    world.crash(table)
    assert table["k"] == {1, 2}


def test_a_windowed_set_table_changes_every_window(world: World) -> None:
    table = world.add(world.app.SetTable("sets", key_type=str, value_type=int).hopping(10, 5))
    with world.event(103.0):
        table["k"].add(1)
        table["k"] |= [2, 3]
        table["k"].discard(3)
        table["k"] -= [7]
        assert table["k"].value() == {1, 2}
        assert table["new"].value() == set()
    with world.event(106.0):
        table["k"].update([5], [6])
        assert table["k"].current() == {5, 6}
        assert table["k"].delta(5) == {1, 2, 5, 6}
        table["k"] &= [5]
        table["k"] ^= [5, 8]
    assert dict(table["k"]) == {
        (95.0, 105.0): {1, 2},
        (100.0, 110.0): {8},
        (105.0, 115.0): {8},
    }
    world.fail(lambda: table["k"].clear(), 106.0)
    world.commit(table)
    world.crash(table)
    assert table["k"][105.0, 115.0] == {8}


OPERATION = st.tuples(
    st.sampled_from(
        ["update", "difference_update", "intersection_update", "symmetric_difference_update",
         "add", "discard", "assign", "delete", "fail", "commit", "crash"]
    ),
    st.sampled_from("ab"),
    st.lists(st.integers(0, 5), min_size=1, max_size=4),
)  # fmt: skip


def apply_all(changes: list[tuple[Any, str]], operand: list[int]) -> None:
    for target, method in changes:
        getattr(target, method)(operand)


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(OPERATION, max_size=25))
def test_set_tables_are_as_python_sets_say(steps: list[Any]) -> None:
    world = World()
    table = world.add(world.app.SetTable("sets", key_type=str, value_type=int))
    flat = world.add(world.app.Set("flat", key_type=int))
    model: dict[str, set[int]] = {}
    saved: dict[str, set[int]] = {}
    union: set[int] = set()
    saved_union: set[int] = set()
    for what, key, operand in steps:
        if what == "commit":
            world.commit(table)
            world.commit(flat)
            saved, saved_union = {k: set(v) for k, v in model.items()}, set(union)
        elif what == "crash":
            world.crash(table, flat)
            model, union = {k: set(v) for k, v in saved.items()}, set(saved_union)
        elif what == "fail":
            changes = [(table[key], "update"), (flat, "difference_update")]
            world.fail(partial(apply_all, changes, operand))
        elif what in ("assign", "delete"):
            with world.event():
                if what == "assign":
                    table[key] = operand
                    model[key] = set(operand)
                elif key in model:
                    del table[key]
                    del model[key]
        else:
            argument: Any = operand[0] if what in ("add", "discard") else operand
            expected = set(model.get(key, ()))
            getattr(expected, what)(argument)
            getattr(union, what)(argument)
            with world.event():
                getattr(table[key], what)(argument)
                getattr(flat, what)(argument)
                assert table[key] == expected
            if expected or key in model:
                model[key] = expected
            else:
                # symmetric difference with nothing, and such, do not make the key
                assert operator.not_(table[key])
                model.pop(key, None)
        assert {k: v for k, v in table.items() if v or k in model} == model
        assert flat == union


# -- manager ---------------------------------------------------------------------------------------


def test_managers_have_topics_and_agents_of_their_own(world: World) -> None:
    first = world.app.SetTable("first", key_type=str, start_manager=True)
    second = world.app.SetTable("second", key_type=str, start_manager=True)
    named = world.app.SetTable(
        "third", key_type=str, start_manager=True, manager_topic_name="changes"
    )
    assert first.manager.topic.get_topic_name() == "tables-world-first-setmanager"
    assert second.manager.topic.get_topic_name() == "tables-world-second-setmanager"
    assert named.manager.topic.get_topic_name() == "changes"
    assert first.manager.topic.internal
    assert set(world.app.agents) == {
        "first-setmanager",
        "second-setmanager",
        "third-setmanager",
    }


def test_without_a_manager_nothing_can_be_sent(world: World) -> None:
    table = world.app.SetTable("sets")
    with pytest.raises(RuntimeError, match="start_manager=True"):
        asyncio.run(table.manager.add("k", 1))
    with pytest.raises(ImproperlyConfigured, match="windows and a manager"):
        world.app.SetTable("w", start_manager=True).tumbling(10)


def test_a_manager_applies_what_was_sent(world: World) -> None:
    table = world.add(world.app.SetTable("sets", key_type=str, value_type=User))
    steps = [
        ("update", [{"name": "a"}, {"name": "b"}, {"name": "c"}]),
        ("difference_update", [{"name": "a"}]),
        ("symmetric_difference_update", [{"name": "d"}]),
        ("intersection_update", [{"name": "b"}, {"name": "d"}]),
    ]
    with world.event():
        for action, members in steps:
            apply(table["k"], SetManagerOperation(action, "k", members), table)
        assert table["k"] == {User("b"), User("d")}
        apply(table["k"], SetManagerOperation("clear", "k", []), table)
        with pytest.raises(ValueError, match="unknown action '__class__'"):
            apply(table["k"], SetManagerOperation("__class__", "k", []), table)
    assert table["k"] == set()


# -- global ----------------------------------------------------------------------------------------


def test_a_global_set_table_is_global(world: World) -> None:
    table = world.add(SetGlobalTable(world.app, name="everywhere", key_type=str), 0, 1)
    assert table.is_global
    with world.event(partition=0):
        table["k"].add(1)
    with world.event(partition=1):
        assert table["k"] == {1}
