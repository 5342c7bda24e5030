"""Windows that close: once, by the time of their partition, from store and changelog."""

from __future__ import annotations

import asyncio
import logging
import operator
from collections.abc import Awaitable
from datetime import UTC, datetime
from functools import partial
from math import inf
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tables_world import START, Failed, World

from faust.models import Record
from faust.stores.base import Checkpoint
from faust.stores.overlay import Slice
from faust.stores.rocksdb import RocksDBStore
from faust.tables import Table
from faust.windows import HoppingWindow, SlidingWindow, TumblingWindow


@pytest.fixture
def world() -> World:
    return World()


def run(awaitable: Awaitable[Any]) -> Any:
    async def main() -> Any:
        return await awaitable

    return asyncio.run(main())


def counting(world: World, closed: list[Any] | None = None, **options: Any) -> Any:
    if closed is not None:
        options["on_window_close"] = lambda key, value: closed.append((key, value))
    return world.app.Table("counts", default=int, **options)


def test_a_window_leaves_store_and_changelog_when_its_time_has_come(world: World) -> None:
    closed: list[Any] = []
    table = world.add(counting(world, closed).tumbling(10, expires=5))
    for timestamp in (1000.0, 1001.0, 1014.9):
        with world.event(timestamp):
            table["k"] += 1
    world.commit(table)
    assert run(world.expire(table)) == 0
    with world.event(1015.0):
        table["k"] += 1
    assert run(world.expire(table)) == 1
    assert closed == [(("k", (1000.0, 1010.0)), 2)]
    assert dict(table["k"]) == {(1010.0, 1020.0): 2}
    assert (b'["k",[1000.0,1010.0]]', None) in world.commit(table)
    assert world.log_state(table) == {b'["k",[1010.0,1020.0]]': b"2"}
    assert dict(world.piece(table).store.items()) == {b'["k",[1010.0,1020.0]]': b"2"}
    assert run(world.expire(table)) == 0


def test_without_expires_nothing_ever_closes(world: World) -> None:
    table = world.add(counting(world).tumbling(10))
    with world.event(1000.0):
        table["k"] += 1
    world.clock.now += 1e9
    assert run(world.expire(table)) == 0
    assert table.table.watermarks == {}


def test_a_window_closes_with_its_end_when_expires_is_zero(world: World) -> None:
    table = world.add(counting(world).tumbling(10, expires=0))
    with world.event(1009.0):
        table["k"] += 1
    assert run(world.expire(table)) == 0
    with world.event(1010.0):
        table["k"] += 1
    assert run(world.expire(table)) == 1


def test_replaying_old_data_closes_nothing_by_the_clock(world: World) -> None:
    table = world.add(counting(world).tumbling(10, expires=5))
    run(world.expire(table))
    with world.event(1000.0):
        table["k"] += 1
    assert run(world.expire(table)) == 0


def test_restored_windows_expire_too(world: World) -> None:
    closed: list[Any] = []
    table = world.add(counting(world, closed).tumbling(10, expires=5))
    for timestamp in (1000.0, 1013.0):
        with world.event(timestamp):
            table["k"] += 1
    world.commit(table)
    world.crash(table)
    assert table.table.watermarks == {0: 1013.0}
    with world.event(1016.0):
        table["other"] += 1
    assert run(world.expire(table)) == 1
    assert closed == [(("k", (1000.0, 1010.0)), 1)]


def test_the_watermark_survives_and_goes_with_its_partition(world: World) -> None:
    table = world.add(counting(world).tumbling(10, expires=5), 0, 1)
    with world.event(1016.0, partition=1):
        table["k"] += 1
    with world.event(1001.0):
        table["k"] += 1
    assert table.table.watermarks == {0: 1001.0, 1: 1016.0}
    table.table.drop_slice(world.run(1))
    assert table.table.watermarks == {0: 1001.0}
    table.table.restore_watermark(1, 1016.0)
    assert table.table.watermarks == {0: 1001.0, 1: 1016.0}


def test_an_event_that_fails_does_not_move_the_time(world: World) -> None:
    table = world.add(counting(world).tumbling(10, expires=5))
    with world.event(1001.0):
        table["k"] += 1
    world.fail(lambda: operator.setitem(table, "k", 1), 9000.0)
    assert run(world.expire(table)) == 0
    with world.event(1002.0):
        table["k"] += 1
    assert list(table["k"].values()) == [2]


def test_what_comes_too_late_is_left_out_counted_and_logged(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    closed: list[Any] = []
    table = world.add(counting(world, closed).hopping(10, 5, expires=5))
    with world.event(1000.0):
        table["k"] += 1
    with world.event(1012.0):
        table["k"] += 1
    with caplog.at_level(logging.WARNING), world.event(1001.0):
        table["k"] += 10
        table["k"] += 10
    assert dict(table["k"]) == {
        (995.0, 1005.0): 1,
        (1000.0, 1010.0): 21,
        (1005.0, 1015.0): 1,
        (1010.0, 1020.0): 1,
    }
    assert table.table.expiry.late == 2
    assert [r.getMessage() for r in caplog.records] == [
        "Table 'counts': an event came too late for the window that ended at 1005.0: the partition "
        "is at 1012.0, and windows are kept for 5.0 s (1 writes left out so far)"
    ]
    assert run(world.expire(table)) == 1
    with world.event(1001.0):
        table["k"] = 5
    run(world.expire(table))
    assert closed == [(("k", (995.0, 1005.0)), 1)]


def test_relative_to_now_goes_by_the_clock(world: World) -> None:
    table = world.add(counting(world).tumbling(10, expires=5).relative_to_now())
    with world.event(1000.0):
        table["k"] += 1
    world.commit(table)
    world.crash(table)
    assert run(world.expire(table)) == 0
    world.clock.now += 15
    assert run(world.expire(table)) == 1


def test_reading_relative_to_now_does_not_expire_by_the_clock(world: World) -> None:
    table = counting(world).tumbling(10, expires=5)
    for_pages = table.relative_to_now()
    world.add(table)
    with world.event(1000.0):
        table["k"] += 1
    assert run(world.expire(table)) == 0
    assert for_pages["k"].value() == 0


class Reading(Record):
    date: datetime


def test_relative_to_a_field_goes_by_the_field(world: World) -> None:
    table = world.add(counting(world).tumbling(10, expires=5).relative_to_field(Reading.date))
    for second in (1, 20):
        with world.event(START, Reading(datetime(2013, 1, 1, 0, 0, second, tzinfo=UTC))):
            table["k"] += 1
    assert run(world.expire(table)) == 1
    assert len(table["k"]) == 1


def test_the_last_window_of_an_idle_stream_closes(world: World) -> None:
    closed: list[Any] = []
    table = world.add(counting(world, closed).tumbling(10, expires=5))
    with world.event(1004.0):
        table["k"] += 1
    run(world.expire(table))
    world.clock.now += 10.5
    assert run(world.expire(table)) == 0
    world.clock.now += 0.5
    assert run(world.expire(table)) == 1
    assert closed == [(("k", (1000.0, 1010.0)), 1)]
    with world.event(1004.5):
        table["k"] += 1
    assert len(table["k"]) == 0
    with world.event(1011.0):
        table["k"] += 1
    assert len(table["k"]) == 1


def test_a_task_that_lags_is_not_idle(world: World) -> None:
    table = world.add(counting(world).tumbling(10, expires=5))
    with world.event(1004.0):
        table["k"] += 1
    world.run().cursors[0].end += 100
    for _ in range(3):
        assert run(world.expire(table)) == 0
        world.clock.now += 1000


def test_a_broker_that_is_away_makes_no_stream_idle(world: World) -> None:
    """What was written meanwhile would be too late for windows that were closed meanwhile."""
    table = world.add(counting(world).tumbling(10, expires=5))
    with world.event(1004.0):
        table["k"] += 1
    cursor = world.run().cursors[0]
    for heard, closed in ((-inf, 0), (START, 0), (START + 10.5, 0), (START + 11.0, 1)):
        cursor.heard = heard
        assert run(world.expire(table)) == closed
        world.clock.now += 100


def test_what_an_event_in_progress_uses_stays_until_it_is_over(world: World) -> None:
    closed: list[Any] = []
    plain = world.app.Table(
        "lists", default=list, on_window_close=lambda key, value: closed.append(value)
    )
    table = world.add(plain.tumbling(10, expires=5))
    with world.event(1000.0) as first:
        table["k"] += [1]
        table["other"] += [2]
    with world.event(1016.0):
        table["third"] += [3]
    with world.event(1016.0):
        assert table["k"][first].value() == [1]
        assert run(world.expire(table)) == 1
    assert closed == [[2]]
    assert run(world.expire(table)) == 1
    assert closed == [[2], [1]]


def test_a_window_read_while_it_is_announced_closes_once(world: World) -> None:
    closed: list[Any] = []
    table: Any = None

    async def on_close(key: Any, value: Any) -> None:
        closed.append(value)
        if len(closed) == 1:
            run_ = world.run()
            piece = world.piece(table)
            piece.get(piece.key_of(key))
            assert run_.current().noted

    table = world.add(
        world.app.Table("lists", default=list, on_window_close=on_close).tumbling(10, expires=5)
    )
    with world.event(1000.0):
        table["k"] += [1]
    with world.event(1016.0):
        table["z"] += [1]
    assert run(world.expire(table)) == 0
    world.run().current().undo()
    assert run(world.expire(table)) == 1
    assert closed == [[1]]


def test_what_is_not_acknowledged_yet_stays(world: World) -> None:
    table = world.add(counting(world).tumbling(10, expires=5))
    with world.event(1000.0):
        table["k"] += 1
        release = world.run().current().hold()
    with world.event(1016.0):
        table["z"] += 1
    assert run(world.expire(table)) == 0
    release()
    assert run(world.expire(table)) == 1
    assert (b'["k",[1000.0,1010.0]]', None) in world.commit(table)
    assert list(world.log_state(table)) == [b'["z",[1010.0,1020.0]]']


def test_a_callback_that_raises_keeps_its_window(world: World) -> None:
    calls: list[Any] = []

    def on_close(key: Any, value: Any) -> None:
        calls.append(key)
        if len(calls) == 2:
            raise Failed

    table = world.add(counting(world, on_window_close=on_close).tumbling(10, expires=5))
    for key in "abc":
        with world.event(1000.0):
            table[key] += 1
    with world.event(1016.0):
        table["z"] += 1
    with pytest.raises(Failed):
        run(world.expire(table))
    assert len(table) == 3
    assert run(world.expire(table)) == 2
    assert len(calls) == 4


def test_a_subclass_can_hear_of_closed_windows(world: World) -> None:
    closed: list[Any] = []

    class Hearing(Table[str, int]):
        async def on_window_close(self, key: Any, value: Any) -> None:
            closed.append((key, value))

    table = world.add(Hearing(world.app, name="h", default=int).tumbling(10, expires=5))
    with world.event(1000.0):
        table["k"] += 1
    with world.event(1016.0):
        table["z"] += 1
    run(world.expire(table))
    assert closed == [(("k", (1000.0, 1010.0)), 1)]


def test_a_deletion_that_is_not_committed_is_taken_back_by_a_crash(world: World) -> None:
    table = world.add(counting(world).tumbling(10, expires=5))
    with world.event(1000.0):
        table["k"] += 1
    world.commit(table)
    with world.event(1016.0):
        table["z"] += 1
    assert run(world.expire(table)) == 1
    world.crash(table)
    assert list(table) == ["k"]
    assert run(world.expire(table)) == 1


def test_a_task_that_is_over_is_left_alone(world: World) -> None:
    table = world.add(counting(world).tumbling(10, expires=5))
    with world.event(1000.0):
        table["k"] += 1
    with world.event(1016.0):
        table["z"] += 1
    piece = world.piece(table)
    world.run().alive = False
    assert run(table.table.expire(piece, world.clock.now)) == 0
    assert not piece.cut().keys() - {piece.key_of(("k", (1000.0, 1010.0))),
                                     piece.key_of(("z", (1010.0, 1020.0)))}  # fmt: skip


def test_many_windows_close_without_holding_the_loop(world: World) -> None:
    table = world.add(counting(world).tumbling(10, expires=5))
    with world.event(1000.0):
        for number in range(20_000):
            table[f"k{number}"] = number
    with world.event(1016.0):
        table["z"] += 1
    world.commit(table)
    world.crash(table)

    async def main() -> int:
        turns = 0

        async def turning() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(turning())
        assert await world.expire(table) == 20_000
        task.cancel()
        return turns

    assert asyncio.run(main()) > 3


def test_windows_kept_by_rocksdb_expire(world: World, tmp_path: Path) -> None:
    table = counting(world).tumbling(10, expires=5)
    store = RocksDBStore(tmp_path, {})
    for _ in range(2):
        part = store.open("counts", 0)
        piece = Slice(world.run(), part, table.table.codec)
        table.table.add_slice(world.run(), piece)
        with world.event(1000.0 if not len(part) else 1016.0):
            table["k"] += 1
        closed = run(world.expire(table))
        taken = piece.cut()
        piece.apply(taken, piece.encode_cut(taken), Checkpoint(1))
        assert len(part) == 1
        table.table.drop_slice(world.run())
        part.close()
        world.runs.clear()
    assert closed == 1
    store.close()


# -- against a model -----------------------------------------------------------------------------

STEP = st.tuples(
    st.sampled_from(["add", "add", "add", "fail", "sweep", "commit", "crash"]),
    st.sampled_from("ab"),
    st.integers(0, 60),
)


@settings(max_examples=60, deadline=None)
@given(
    window=st.sampled_from(
        [TumblingWindow(10, 5), TumblingWindow(10, 0), HoppingWindow(10, 5, 7),
         SlidingWindow(2, 3, 4)]
    ),
    steps=st.lists(STEP, max_size=30),
)  # fmt: skip
def test_what_is_left_depends_on_the_events_and_not_on_when_it_was_swept(
    window: Any, steps: list[Any]
) -> None:
    world = World()
    closed: list[Any] = []
    table = world.add(counting(world, closed).using_window(window))
    panes: dict[Any, int] = {}
    time = float("-inf")
    saved: Any = ({}, time, [])
    done: list[Any] = []
    for what, key, timestamp in steps:
        if what == "sweep":
            run(world.expire(table))
        elif what == "commit":
            run(world.expire(table))
            world.commit(table)
            saved = (dict(panes), time, list(done))
        elif what == "crash":
            table.table.watermarks.clear()
            if saved[1] != float("-inf"):
                table.table.watermarks[0] = saved[1]
            world.crash(table)
            panes, time, done = dict(saved[0]), saved[1], list(saved[2])
            closed[:] = done
        elif what == "fail":
            world.fail(partial(operator.setitem, table, key, 1), timestamp)
        else:
            with world.event(timestamp):
                table[key] += 1
            time = max(time, timestamp)
            for each in window.ranges(timestamp):
                if not window.stale(each, time):
                    panes[key, each] = panes.get((key, each), 0) + 1
        for ranged in sorted(panes, key=lambda ranged: ranged[1].end):
            if window.stale(ranged[1], time):
                done.append((ranged, panes.pop(ranged)))
        left = {(k, w): v for k, w, v in table.windows() if not window.stale(w, time)}
        assert left == panes
    run(world.expire(table))
    assert {(k, w): v for k, w, v in table.windows()} == panes
    assert sorted(closed) == sorted(done)
