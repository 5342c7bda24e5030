"""Windowed tables, by hand and against a plain dict of panes."""

from __future__ import annotations

import operator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tables_world import START, World

from faust.exceptions import ImproperlyConfigured
from faust.models import Record
from faust.windows import HoppingWindow, SlidingWindow, TumblingWindow, WindowRange


class Order(Record):
    amount: int
    date: datetime
    at: float = 0.0
    text: str = ""


@pytest.fixture
def world() -> World:
    return World()


def counts(world: World, **options: Any) -> Any:
    return world.app.Table("counts", default=int, key_type=str, value_type=int, **options)


def test_an_event_counts_in_the_window_of_its_timestamp(world: World) -> None:
    table = world.add(counts(world).tumbling(10))
    for timestamp in (1000.0, 1009.999, 1010.0):
        with world.event(timestamp):
            table["k"] += 1
    with world.event(1005.0):
        assert table["k"].value() == table["k"].current() == 2
        assert table["k"].delta(-5) == 1
    with world.event(1010.0) as event:
        assert table["k"].value() == 1
        assert table["k"].delta(10) == 2
        assert table["k"].delta(timedelta(seconds=10), event) == 2
        assert table["k"].delta(20) == 0


def test_the_changelog_has_key_and_half_open_range_as_json(world: World) -> None:
    table = world.add(counts(world).tumbling(10))
    with world.event(1000.0):
        table["k"] += 1
    assert world.commit(table) == [(b'["k",[1000.0,1010.0]]', b"1")]


@pytest.mark.parametrize(
    ("key_type", "key"), [(str, "k,[1]]"), (int, 7), (None, ("a", 1)), (bytes, b"\x00,[1,2]]")]
)
def test_any_key_comes_back_with_its_range(world: World, key_type: Any, key: Any) -> None:
    plain = world.app.Table("any", default=int, key_type=key_type, value_type=int)
    table = world.add(plain.tumbling(0.1))
    with world.event(1000.05):
        table[key] += 1
    world.commit(table)
    world.crash(table)
    assert list(table) == [key]
    assert [w for k, w, v in table.windows()] == [TumblingWindow(0.1).current(1000.05)]
    with world.event(1000.05):
        assert table[key].value() == 1


def test_hopping_counts_in_every_window_that_holds_the_event(world: World) -> None:
    table = world.add(counts(world).hopping(10, 5))
    with world.event(103.0):
        table["k"] += 1
    assert dict(table["k"]) == {(95.0, 105.0): 1, (100.0, 110.0): 1}
    with world.event(106.0):
        table["k"] += 1
        assert table["k"].value() == 1
        assert table["k"].delta(5) == 2
        assert table["k"].delta(10) == 1


def test_sliding_is_a_method_and_works_by_using_window(world: World) -> None:
    table = world.add(counts(world).sliding(10, 5, expires=60))
    with world.event(103.0):
        table["k"] += 1
        assert list(table["k"]) == [WindowRange(93.0, 108.0)]
    other = world.app.Table("other", default=int).using_window(SlidingWindow(10, 5, 60))
    assert repr(other.window) == repr(table.window)


def test_now_is_the_window_of_the_clock_whatever_the_events_say(world: World) -> None:
    table = world.add(counts(world).tumbling(10).relative_to_now())
    with world.event(5.0):
        table["k"] += 1
        assert table["k"].now() == table["k"].value() == 1
        assert table["k"].current() == 0
    assert list(table["k"]) == [TumblingWindow(10).current(START)]
    assert table["k"].now() == table["k"].value() == table["k"].current() == 1
    world.clock.now += 10
    assert table["k"].now() == table["k"].value() == 0
    assert table["k"].delta(10) == 1


def test_a_field_tells_the_time_as_number_datetime_or_text(world: World) -> None:
    table = counts(world).tumbling(10)
    world.add(table)
    order = Order(1, datetime(1970, 1, 1, 0, 16, 45, tzinfo=UTC), 1005.0, "1970-01-01T00:16:45Z")
    for field in (Order.date, Order.at, Order.text):
        by_field = table.relative_to_field(field)
        with world.event(START, order):
            by_field["k"] += 1
            assert by_field["k"].current() == 0
    assert dict(table["k"]) == {(1000.0, 1010.0): 3}


def test_a_time_without_a_zone_is_utc(world: World) -> None:
    table = world.add(counts(world).tumbling(10).relative_to_field(Order.date))
    with world.event(START, Order(1, datetime(1970, 1, 1, 0, 16, 45))):
        table["k"] += 1
    assert list(table["k"]) == [(1000.0, 1010.0)]


def test_a_field_that_is_no_time_is_named(world: World) -> None:
    table = world.add(counts(world).tumbling(10).relative_to_field(Order.text))
    with (
        world.event(START, Order(1, datetime.now(UTC), text="soon")),
        pytest.raises(ValueError, match=r"table 'counts': field Order.text is no time"),
    ):
        table["k"] += 1
    with pytest.raises(TypeError, match="takes a model's field, not 'date'"):
        table.relative_to_field("date")


def test_it_can_be_relative_to_a_fixed_time_or_a_function(world: World) -> None:
    table = counts(world).tumbling(10)
    world.add(table)
    fixed = table.relative_to(datetime(1970, 1, 1, 0, 16, 45, tzinfo=UTC))
    with world.event(START):
        fixed["k"] += 1
    assert fixed["k"].value() == 1
    called = table.relative_to(lambda event: event.value)
    with world.event(START, 1001):
        called["k"] += 1
        assert called["k"].value() == 2
    with pytest.raises(TypeError, match="cannot be relative to"):
        table.relative_to(object())
    back = called.relative_to_stream()
    with world.event(1001.0, None):
        assert back["k"].value() == 2


def test_without_an_event_the_time_must_be_told(world: World) -> None:
    table = world.add(counts(world).tumbling(10))
    with world.event(START) as event:
        table["k"] += 1
    for read in (table["k"].value, table["k"].current, lambda: table["k"].delta(5)):
        with pytest.raises(RuntimeError, match="which window is meant is told by an event"):
            read()
    with pytest.raises(RuntimeError):
        assert "k" in table
    with pytest.raises(RuntimeError):
        list(table.items())
    assert table["k"].now() == table["k"].value(event) == table["k"].current(event) == 1
    assert table["k"][event].value() == 1
    assert list(table.items().now()) == list(table.items(event)) == [("k", 1)]
    assert list(table.items().current(event)) == list(table.items().delta(0, event)) == [("k", 1)]
    assert table.relative_to_now()["k"].value() == 1


def test_setting_and_deleting_mean_every_window_of_the_event(world: World) -> None:
    table = world.add(counts(world).hopping(10, 5))
    with world.event(103.0):
        table["k"] = 7
        assert "k" in table
    assert dict(table["k"].items()) == {(95.0, 105.0): 7, (100.0, 110.0): 7}
    with world.event(106.0):
        del table["k"]
        assert "k" not in table
        with pytest.raises(KeyError):
            del table["k"]
    assert dict(table["k"]) == {(95.0, 105.0): 7}


def test_an_event_or_a_range_can_be_named(world: World) -> None:
    table = world.add(counts(world).tumbling(10))
    with world.event(103.0) as first:
        table["k"] += 1
    with world.event(200.0):
        table["k"][first] += 4
        assert table["k"][first] == 5
        table["k"][first] = 6
        assert table["k"][100.0, 110.0] == 6
        table["k"][110.0, 120.0] = 3
        assert first in table["k"]
        assert (100.0, 110.0) in table["k"]
        assert list(table["k"]) == [(100.0, 110.0), (110.0, 120.0)]
        assert list(table["k"].keys()) == list(table["k"])
        assert list(table["k"].values()) == [6, 3]
        assert len(table["k"]) == 2
        del table["k"][first]
        del table["k"][110.0, 120.0]
        assert len(table["k"]) == 0


@pytest.mark.parametrize(
    ("name", "operand", "after"),
    [
        ("iadd", 5, 25), ("isub", 5, 15), ("imul", 5, 100), ("itruediv", 8, 2.5),
        ("ifloordiv", 6, 3), ("imod", 6, 2), ("ipow", 2, 400), ("ilshift", 1, 40),
        ("irshift", 1, 10), ("iand", 6, 4), ("ior", 3, 23), ("ixor", 5, 17),
    ],
)  # fmt: skip
def test_operators_change_every_window(world: World, name: str, operand: int, after: float) -> None:
    table = world.add(world.app.Table("t", default=lambda: 20).hopping(10, 5))
    with world.event(103.0):
        table["k"] = getattr(operator, name)(table["k"], operand)
    assert list(table["k"].values()) == [after, after]


def test_an_operator_on_a_key_without_a_value_or_default_changes_nothing(world: World) -> None:
    table = world.add(world.app.Table("t").hopping(10, 5))
    with world.event(98.0):
        table["k"] = 1
    with world.event(103.0), pytest.raises(KeyError):
        table["k"] += 1
    assert list(table["k"].values()) == [1, 1]
    with world.event(200.0), pytest.raises(KeyError):
        table["k"].value()


def test_an_event_that_fails_leaves_no_window(world: World) -> None:
    table = world.add(counts(world).hopping(10, 5, expires=60))
    with world.event(103.0):
        table["k"] += 1
    world.fail(lambda: operator.setitem(table, "k", 1), 106.0)
    assert dict(table["k"]) == {(95.0, 105.0): 1, (100.0, 110.0): 1}
    assert table.table.watermarks == {0: 103.0}


def test_writing_outside_of_an_event_is_refused(world: World) -> None:
    table = world.add(counts(world).tumbling(10).relative_to_now())
    with pytest.raises(TypeError, match="cannot modify table 'counts' outside"):
        table["k"] += 1
    with pytest.raises(TypeError, match="outside"):
        table["k"] = 1
    with pytest.raises(TypeError, match="concurrency"), world.event(may_write=False):
        table["k"] += 1


def test_iterating_needs_no_key_index(world: World) -> None:
    table = world.add(counts(world).tumbling(10, key_index=True), 0, 1)
    for timestamp, key, partition in ((103.0, "a", 0), (113.0, "a", 0), (113.0, "b", 1)):
        with world.event(timestamp, partition=partition):
            table[key] += 1
    assert sorted(table) == sorted(table.keys()) == ["a", "b"]
    assert len(table) == len(table.keys()) == 2
    assert "a" in table.keys()  # noqa: SIM118 - the view itself
    with world.event(113.0):
        assert list(table.items()) == [("a", 1)]
        assert list(table.values()) == [1]
        assert 1 in table.values()
        assert ("a", 1) in table.items()
        assert len(table.items()) == 1
        assert list(table.items().current()) == list(table.items().delta(10)) == [("a", 1)]
        assert list(table.keys().delta(10)) == ["a"]


def test_views_leave_out_keys_without_a_value_unless_there_is_a_default(world: World) -> None:
    bare = world.add(world.app.Table("bare").tumbling(10))
    table = world.add(counts(world).tumbling(10))
    for timestamp, key in ((103.0, "a"), (113.0, "b")):
        with world.event(timestamp):
            bare[key] = 5
            table[key] = 5
    with world.event(113.0):
        assert dict(bare.items()) == {"b": 5}
        assert dict(table.items()) == {"a": 0, "b": 5}


def test_a_window_set_compares_and_prints_as_its_value(world: World) -> None:
    table = world.add(counts(world).tumbling(10))
    with world.event(103.0):
        table["k"] += 3
        assert table["k"] == 3
        assert table["k"] != 4
        assert table["k"] > 2
        assert table["k"] >= 3
        assert table["k"] < 4
        assert table["k"] <= table["k"]
        assert table["k"]
        assert not table["other"]
        assert table["k"] == table["k"]
        assert table["k"] != table["other"]
        assert repr(table["k"]) == "<WindowSet: counts['k'] value=3>"
        with pytest.raises(TypeError, match="unhashable"):
            hash(table["k"])
    assert repr(table["k"]) == "<WindowSet: counts['k'] outside of any event>"


def test_a_window_set_is_no_value(world: World) -> None:
    table = world.add(counts(world).tumbling(10))
    with world.event(103.0):
        with pytest.raises(TypeError, match=r"counts\['b'\] stands for all windows of a key"):
            table["a"] = table["b"]
        with pytest.raises(TypeError, match=r"counts\['b'\] stands for all windows of a key"):
            table["a"][1.0, 2.0] = table["b"]


def test_one_table_has_one_kind_of_windows(world: World) -> None:
    table = counts(world)
    table.tumbling(10)
    table.tumbling(10)
    with pytest.raises(ImproperlyConfigured, match="has windows already"):
        table.hopping(10, 5)


def test_a_windowed_table_copied_is_windowed(world: World) -> None:
    table = counts(world, on_window_close=print, options={"a": 1}).tumbling(10).table
    clone = table.clone(name="copy")
    assert (clone.name, clone.window, clone.options) == ("copy", table.window, {"a": 1})
    assert clone.on_window_close_callback is print


def test_the_table_under_the_windows_can_be_used_by_key_and_range(world: World) -> None:
    table = world.add(counts(world).tumbling(10))
    with world.event(103.0):
        table["k"] += 1
        assert table.table["k", (100.0, 110.0)] == 1
    with world.event(103.0), pytest.raises(TypeError, match=r"are \(key, \(start, end\)\)"):
        table.table["a", "b", "c"] = 1


def test_it_shows_itself_in_a_box(world: World) -> None:
    table = world.add(counts(world).tumbling(10))
    with world.event(103.0):
        for key in "ba":
            table[key] += 1
        shown = table.as_ansitable(sort=True, key="Name")
    assert shown.splitlines() == [
        "┌counts┬───────┐",
        "│ Name │ Value │",
        "├──────┼───────┤",
        "│ a    │ 1     │",
        "│ b    │ 1     │",
        "└──────┴───────┘",
    ]
    assert "(100" not in shown
    plain = world.add(world.app.Table("plain"))
    with world.event():
        plain["x"] = 1
    assert plain.as_ansitable(title="{table.name}!").startswith("┌plain!")


# -- against a model ---------------------------------------------------------------------------

WINDOWS = st.sampled_from(
    [
        TumblingWindow(10),
        TumblingWindow(0.1),
        HoppingWindow(10, 5),
        HoppingWindow(10, 3),
        HoppingWindow(0.5, 0.2),
        SlidingWindow(3, 2, None),
    ]
)
STEP = st.tuples(
    st.sampled_from(["add", "set", "delete", "fail", "commit", "crash"]),
    st.sampled_from("ab"),
    st.floats(100, 130).map(lambda t: round(t, 2)),
    st.integers(-3, 9),
)


@settings(max_examples=60, deadline=None)
@given(window=WINDOWS, steps=st.lists(STEP, max_size=25))
def test_windows_are_as_a_dict_of_panes_says(window: Any, steps: list[Any]) -> None:
    world = World()
    table = world.add(world.app.Table("t", default=int).using_window(window))
    panes: dict[tuple[str, WindowRange], int] = {}
    committed = dict(panes)
    for what, key, timestamp, value in steps:
        ranges = window.ranges(timestamp)
        if what == "commit":
            world.commit(table)
            committed = dict(panes)
        elif what == "crash":
            world.crash(table)
            panes = dict(committed)
        elif what == "fail":
            world.fail(partial(operator.setitem, table, key, value), timestamp)
        else:
            with world.event(timestamp):
                if what == "add":
                    table[key] += value
                    panes.update({(key, r): panes.get((key, r), 0) + value for r in ranges})
                elif what == "set":
                    table[key] = value
                    panes.update({(key, r): value for r in ranges})
                elif any((key, r) in panes for r in ranges):
                    del table[key]
                    panes = {k: v for k, v in panes.items() if k[0] != key or k[1] not in ranges}
                assert table[key].value() == panes.get((key, window.current(timestamp)), 0)
                assert (key in table) == ((key, window.current(timestamp)) in panes)
        assert {(k, w): v for k, w, v in table.windows()} == panes
        assert set(table) == {k for k, _ in panes}
