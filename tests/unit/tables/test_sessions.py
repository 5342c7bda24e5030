"""Session windows, by hand and against a list of times."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tables_world import START, World

from faust.exceptions import ImproperlyConfigured
from faust.windows import SessionWindow, WindowRange


@pytest.fixture
def world() -> World:
    return World()


def counts(world: World, gap: float = 10, **options: Any) -> Any:
    plain = world.app.Table("counts", default=int, key_type=str, value_type=int)
    return world.add(plain.session(gap, **options))


def count(world: World, table: Any, *timestamps: float, key: str = "k") -> None:
    for timestamp in timestamps:
        with world.event(timestamp):
            table[key] += 1


def test_events_that_are_less_than_the_gap_apart_are_one_session(world: World) -> None:
    table = counts(world)
    count(world, table, 100.0, 109.0, 119.0)
    assert dict(table["k"]) == {(100.0, 119.0): 2, (119.0, 129.0): 1}


def test_an_event_between_two_sessions_makes_them_one(world: World) -> None:
    table = counts(world)
    count(world, table, 100.0, 118.0)
    assert len(table["k"]) == 2
    count(world, table, 109.0)
    assert dict(table["k"]) == {(100.0, 128.0): 3}


def test_an_event_out_of_order_moves_the_start(world: World) -> None:
    table = counts(world)
    count(world, table, 100.0, 95.0)
    assert dict(table["k"]) == {(95.0, 110.0): 2}


def test_sessions_of_other_keys_are_left_alone(world: World) -> None:
    table = counts(world)
    count(world, table, 100.0)
    count(world, table, 105.0, key="k,[")
    assert dict(table["k"]) == {(100.0, 110.0): 1}
    assert dict(table["k,["]) == {(105.0, 115.0): 1}


def test_values_that_have_no_sum_are_merged_by_a_function(world: World) -> None:
    plain = world.app.Table("sets", default=list, key_type=str, value_type=list)
    table = world.add(plain.session(10, merge=lambda one, other: sorted([*one, *other])))
    for timestamp in (118.0, 100.0, 109.0):
        with world.event(timestamp):
            table["k"] = [*table["k"].value(), timestamp]
    assert list(table["k"]) == [WindowRange(100.0, 128.0)]


def test_a_failed_event_leaves_the_sessions_as_they_were(world: World) -> None:
    table = counts(world)
    count(world, table, 100.0, 118.0)

    def join() -> None:
        table["k"] += 1
        assert dict(table["k"]) == {(100.0, 128.0): 3}

    world.fail(join, 109.0)
    assert dict(table["k"]) == {(100.0, 110.0): 1, (118.0, 128.0): 1}
    count(world, table, 109.0)
    assert dict(table["k"]) == {(100.0, 128.0): 3}


def test_what_joined_sessions_were_leaves_the_changelog(world: World) -> None:
    table = counts(world)
    count(world, table, 100.0)
    world.commit(table)
    count(world, table, 105.0)
    assert sorted(world.commit(table)) == [
        (b'["k",[100.0,110.0]]', None),
        (b'["k",[100.0,115.0]]', b"2"),
    ]


def test_sessions_are_found_again_after_a_crash(world: World) -> None:
    table = counts(world)
    count(world, table, 100.0, 118.0)
    world.commit(table)
    count(world, table, 109.0)
    world.crash(table)
    count(world, table, 109.0)
    assert dict(table["k"]) == {(100.0, 128.0): 3}


def test_a_time_is_read_from_the_session_that_holds_it(world: World) -> None:
    table = counts(world)
    count(world, table, 100.0, 104.0, 150.0)
    with world.event(113.9):
        assert table["k"].current() == table["k"].value() == 2
        assert table["k"].delta(10) == 2
        assert list(table.items()) == [("k", 2)]
        assert "k" in table
    with world.event(114.0):
        assert table["k"].value() == 0
        assert "k" not in table
        assert list(table.items()) == [("k", 0)]


def test_the_session_of_an_event_can_be_set_and_deleted(world: World) -> None:
    table = counts(world)
    count(world, table, 100.0, 150.0)
    with world.event(105.0):
        table["k"] = 7
    assert dict(table["k"]) == {(100.0, 115.0): 7, (150.0, 160.0): 1}
    with world.event(105.0):
        del table["k"]
        with pytest.raises(KeyError):
            del table["k"]
    assert dict(table["k"]) == {(150.0, 160.0): 1}


def test_a_session_that_was_written_by_its_range_is_joined(world: World) -> None:
    table = counts(world)
    with world.event(100.0):
        table["k"][(100.0, 120.0)] = 5
    count(world, table, 119.0)
    assert dict(table["k"]) == {(100.0, 129.0): 6}


def test_a_closed_session_is_not_joined_although_nobody_has_swept(world: World) -> None:
    table = counts(world, expires=5)
    count(world, table, 100.0, 200.0, 105.0)
    assert dict(table["k"]) == {(100.0, 110.0): 1, (200.0, 210.0): 1}
    assert table.table.expiry.late == 1


def test_an_early_event_of_a_session_that_is_open_is_not_late(world: World) -> None:
    table = counts(world, expires=0)
    count(world, table, 100.0, 109.0, 118.0, 101.0)
    assert dict(table["k"]) == {(100.0, 128.0): 4}
    assert table.table.expiry.late == 0


def test_a_session_closes_once_with_its_last_value(world: World) -> None:
    closed: list[Any] = []
    plain = world.app.Table(
        "counts",
        default=int,
        key_type=str,
        value_type=int,
        on_window_close=lambda key, value: closed.append((key, value)),
    )
    table = world.add(plain.session(10, expires=0))
    count(world, table, 100.0, 105.0, 130.0)
    piece = world.piece(table)
    for _ in range(2):
        asyncio.run(table.table.expire(piece, START))
    assert closed == [(("k", (100.0, 115.0)), 2)]
    assert dict(table["k"]) == {(130.0, 140.0): 1}


def test_using_window_takes_sessions_too(world: World) -> None:
    plain = world.app.Table("other", default=int, key_type=str)
    table = world.add(plain.using_window(SessionWindow(10)))
    count(world, table, 100.0, 105.0)
    assert dict(table["k"]) == {(100.0, 115.0): 2}
    assert dict(table.relative_to_stream()["k"]) == {(100.0, 115.0): 2}


@pytest.mark.parametrize("gap", [0, -1, "soon"])
def test_a_gap_that_cannot_be_is_refused(gap: Any) -> None:
    with pytest.raises(ImproperlyConfigured, match="gap"):
        SessionWindow(gap)


@settings(max_examples=150, deadline=None)
@given(
    times=st.lists(st.integers(0, 120), max_size=25),
    gap=st.integers(1, 15),
    seed=st.integers(0, 1000),
)
def test_sessions_do_not_depend_on_the_order_of_their_events(
    times: list[int], gap: int, seed: int
) -> None:
    world = World()
    table = counts(world, gap)
    random = Random(seed)
    for time in times:
        if random.random() < 0.2:
            world.fail(lambda: table.__setitem__("k", 99), float(random.randrange(120)))
        count(world, table, float(time))
        if random.random() < 0.2:
            world.commit(table)
            if random.random() < 0.5:
                world.crash(table)
    expected: dict[tuple[float, float], int] = {}
    for time in sorted(times):
        last = next(reversed(expected), None)
        if last is not None and time < last[1]:
            expected[last[0], float(time + gap)] = expected.pop(last) + 1
        else:
            expected[float(time), float(time + gap)] = 1
    assert dict(table["k"]) == expected


def test_what_comes_too_late_is_shown_to_who_asks(world: World) -> None:
    table = counts(world, expires=5)
    seen: list[Any] = []
    table.on_late(lambda key, window: seen.append((key, window)))
    count(world, table, 100.0, 200.0, 105.0)
    assert seen == [("k", (105.0, 115.0))]


async def _later(key: Any, window: Any) -> None: ...


@pytest.mark.parametrize("fun", [5, _later])
def test_who_is_told_of_late_writes_is_a_plain_function(world: World, fun: Any) -> None:
    """A coroutine function was called, and never awaited."""
    with pytest.raises(TypeError, match="on_late takes a plain function"):
        counts(world).on_late(fun)


def test_what_merges_sessions_is_a_function(world: World) -> None:
    """It was found out at the first merge."""
    merge: Any = 3
    with pytest.raises(TypeError, match="merge takes a function, not 3"):
        world.app.Table("merged", key_type=str, value_type=int).session(10, merge=merge)
