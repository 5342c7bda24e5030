"""Copies of what other workers process: what is in them, and what taking over from them costs."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from state_world import (
    CHANGELOG,
    StateWorld,
    copies_of,
    counts_of,
    eventually,
    failing,
    restored,
    tasks_of,
    up_to_date,
)

from faust._machines.copartition import TaskId
from faust._values import TP
from faust.app.base import App
from tests.support.virtual_time import virtual

STORES = pytest.mark.parametrize("store", ["memory://", "rocksdb://"])


@pytest.fixture
def world(tmp_path: Path) -> Iterator[StateWorld]:
    world = StateWorld(tmp_path)
    yield world
    world.forget()


async def two_workers(world: StateWorld, store: str, **settings: Any) -> tuple[App, App]:
    """Start two workers, count a hundred words on each partition, and wait for the copies."""
    first, second = (world.worker(name, store=store, **settings) for name in ("one", "two"))
    await first.start()
    await second.start()
    await eventually(lambda: len(tasks_of(first)) == len(tasks_of(second)) == 1)
    await world.send(0, 100)
    await eventually(up_to_date(world, first, second))
    return first, second


@STORES
@virtual
async def test_taking_over_from_a_copy_reads_nothing_that_it_has(
    world: StateWorld, store: str
) -> None:
    first, second = await two_workers(world, store)
    before = restored(second)
    await first.stop()
    await eventually(lambda: len(tasks_of(second)) == 2)
    assert restored(second) == before
    assert counts_of(second) == {f"{p}-{n}": 1 for p in range(2) for n in range(100)}
    await world.send(0, 100)
    await eventually(world.all_committed)
    assert set(counts_of(second).values()) == {2}
    await second.stop()


@STORES
@virtual
async def test_what_is_given_up_and_copied_from_then_on_is_not_read_again(
    world: StateWorld, store: str
) -> None:
    first = world.worker("one", store=store)
    await first.start()
    await world.send(0, 100)
    await eventually(world.all_committed)
    second = world.worker("two", store=store)
    await second.start()
    await eventually(up_to_date(world, first, second))
    await world.send(0, 10)
    await eventually(up_to_date(world, first, second))
    await second.stop()
    await eventually(lambda: len(tasks_of(first)) == 2)
    assert restored(first) == 0
    assert counts_of(first) == {
        f"{p}-{n}": 2 if n < 10 else 1 for p in range(2) for n in range(100)
    }
    await first.stop()


@STORES
@virtual
async def test_a_partition_moves_only_when_its_copy_has_caught_up(
    world: StateWorld, store: str
) -> None:
    first = world.worker("one", store=store)
    await first.start()
    await world.send(0, 500)
    await eventually(world.all_committed)
    second = world.worker("two", store=store)
    await second.start()
    await eventually(lambda: len(tasks_of(second)) == 1)
    assert restored(second) == 0
    await second.stop()
    await first.stop()


@STORES
@virtual
async def test_a_copy_has_nothing_that_is_not_committed(world: StateWorld, store: str) -> None:
    first, second = await two_workers(world, store)
    (partition,) = tasks_of(first)
    copy = copies_of(second)[partition]
    world.append_to_changelog(partition, {b'"%d-5"' % partition: b"77", b'"no"': b"1"})
    await eventually(lambda: world.changelog_end(partition) > world.committed(partition))
    mark = world.committed(partition)
    for _ in range(20):
        await second.clock.sleep(0.1)
    assert copy.position == mark
    assert copy._copy.store.get(b'"%d-5"' % partition) == b"1"
    assert copy._copy.store.get(b'"no"') is None
    await first.stop()  # with nothing to commit
    await eventually(lambda: len(tasks_of(second)) == 2)
    assert counts_of(second)[f"{partition}-5"] == 1
    assert "no" not in counts_of(second)
    await second.stop()


@virtual
async def test_a_worker_says_how_far_behind_its_copies_are(world: StateWorld) -> None:
    first, second = await two_workers(world, "memory://")
    (partition,) = tasks_of(first)
    engine: Any = second.engine
    await eventually(lambda: engine.rebalancer.lags == {TaskId("2", partition): 0})
    assert engine.state.standbys.settled
    await first.stop()
    await eventually(lambda: len(tasks_of(second)) == 2)
    assert engine.rebalancer.lags == {}
    await second.stop()


@virtual
async def test_a_worker_says_at_its_start_how_far_behind_its_disk_is(world: StateWorld) -> None:
    first, second = await two_workers(world, "rocksdb://")
    await first.stop()
    await world.send(0, 7)
    await eventually(lambda: len(tasks_of(second)) == 2 and world.all_committed())
    told: list[dict[TaskId, int]] = []
    again = world.worker("one", store="rocksdb://")
    again.assignor.subscription = _listening(again.assignor.subscription, told)  # type: ignore[method-assign]
    await again.start()
    assert told[0] == {TaskId("2", 0): 7, TaskId("2", 1): 7}
    await again.stop()
    await second.stop()


def _listening(subscription: Any, told: list[Any]) -> Any:
    def listened(*args: Any, lags: Any = None, **options: Any) -> Any:
        told.append(dict(lags or {}))
        return subscription(*args, lags=lags, **options)

    return listened


@STORES
@virtual
async def test_a_copy_of_a_changelog_that_was_made_anew_begins_anew(
    world: StateWorld, store: str, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = await two_workers(world, store)
    (partition,) = tasks_of(first)
    copy = copies_of(second)[partition]
    await first.stop()
    await second.stop()
    world.broker.delete_topic(CHANGELOG)
    third, fourth = (world.worker(name, store=store) for name in ("one", "two"))
    await third.start()
    await fourth.start()
    await world.send(0, 3)
    await eventually(up_to_date(world, third, fourth))
    for app in (third, fourth):
        for partition, copy in copies_of(app).items():
            kept = dict(copy._copy.store.items())
            assert kept == {b'"%d-%d"' % (partition, n): b"1" for n in range(3)}
    await third.stop()
    await fourth.stop()


@virtual
async def test_a_full_disk_under_a_copy_is_said_once_and_stops_nobody(
    world: StateWorld, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = await two_workers(world, "rocksdb://")
    (partition,) = tasks_of(first)
    copy = copies_of(second)[partition]
    with failing(copy._copy.store, OSError(errno.ENOSPC, "No space left on device")):
        await world.send(0, 10)
        await eventually(lambda: copy._copy is None)
        await second.clock.sleep(1.0)
        assert second.engine is not None
        assert TaskId("2", partition) not in second.engine.rebalancer.lags
    await eventually(up_to_date(world, first, second))
    said = [r for r in caplog.records if "No copy of table" in r.getMessage()]
    assert len(said) == 1
    assert "No space left" in said[0].getMessage()
    assert not first.failed.is_set()
    assert not second.failed.is_set()
    await first.stop()
    await second.stop()


@virtual
async def test_workers_in_one_data_directory_keep_one_copy_and_take_it_over(
    world: StateWorld, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    shared = str(world.directory / "shared")
    first = world.worker("one", store="rocksdb://", datadir=shared)
    second = world.worker("two", store="rocksdb://", datadir=shared)
    await first.start()
    await second.start()
    await eventually(lambda: len(tasks_of(first)) == len(tasks_of(second)) == 1)
    await world.send(0, 50)
    await eventually(world.all_committed)
    for _ in range(30):
        await second.clock.sleep(0.1)
    said = [r.getMessage() for r in caplog.records if "no copy of our own" in r.getMessage()]
    assert len(said) == 2
    await first.stop()
    await eventually(lambda: len(tasks_of(second)) == 2)
    assert restored(second) == 0
    assert len(counts_of(second)) == 100
    await second.stop()


@virtual
async def test_standbys_are_ready_when_they_have_come_to_what_was_committed(
    world: StateWorld,
) -> None:
    first = world.worker("one")
    await first.start()
    await world.send(0, 100)
    await eventually(world.all_committed)
    second = world.worker("two")
    told: list[int] = []
    second.tables.on_standbys_ready = lambda: told.append(  # type: ignore[method-assign]
        sum(copy.position for copy in copies_of(second).values())
    )
    await second.start()
    await eventually(lambda: bool(told))
    await eventually(up_to_date(world, first, second))
    assert told[0] > 0
    await second.stop()
    await first.stop()


@virtual
async def test_a_table_that_wants_to_see_its_changelog_sees_what_is_copied(
    world: StateWorld,
) -> None:
    first = world.worker("one")
    await first.start()
    await world.send(0, 5)
    await eventually(world.all_committed)
    second = world.worker("two")
    seen: list[tuple[str, int]] = []

    async def see(event: Any) -> None:
        seen.append((event.key, event.value))

    second.tables["counts"].on_changelog_event_callback = see
    await second.start()
    await eventually(up_to_date(world, first, second))
    assert sorted(seen) == [(f"{p}-{n}", 1) for p in range(2) for n in range(5)]
    await second.stop()
    await first.stop()


@virtual
async def test_nothing_is_copied_where_no_copies_are_asked_for(world: StateWorld) -> None:
    first, second = (world.worker(name, table_standby_replicas=0) for name in ("one", "two"))
    await first.start()
    await second.start()
    await eventually(lambda: len(tasks_of(first)) == len(tasks_of(second)) == 1)
    await world.send(0, 10)
    await eventually(world.all_committed)
    assert copies_of(first) == copies_of(second) == {}
    await first.stop()
    await second.stop()


@virtual
async def test_a_log_that_is_cut_off_under_a_copy_is_said_and_the_copy_is_read_anew(
    world: StateWorld, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = await two_workers(world, "memory://")
    (partition,) = tasks_of(first)
    tp = TP(CHANGELOG, partition)
    copy = copies_of(second)[partition]
    copy.position -= 10  # it has read less than there was
    copy._copy.store.apply((), copy._copy.store.checkpoint._replace(position=copy.position))
    world.broker.delete_records({tp: world.changelog_end(partition) - 5})
    await world.send(0, 3)
    await eventually(up_to_date(world, first, second))
    kept = dict(copy._copy.store.items())
    assert len(kept) == 8  # what the log still has
    assert kept[b'"%d-0"' % partition] == b"2"
    said = [r.getMessage() for r in caplog.records if f"Following {tp}" in r.getMessage()]
    assert "the log begins above it" in said[-1]
    await first.stop()
    await second.stop()


@virtual
async def test_a_copy_is_let_go_of_when_the_owner_of_its_task_waits_for_the_store(
    world: StateWorld,
) -> None:
    first, second = await two_workers(world, "rocksdb://")
    (partition,) = tasks_of(first)
    copy = copies_of(second)[partition]
    store = second.tables.store_for(second.tables["counts"])
    store.ask_for("counts", partition)
    await eventually(lambda: copy.elsewhere)
    store.open("counts", partition).close()  # nobody has it any more
    await eventually(lambda: not copy.elsewhere)
    await eventually(up_to_date(world, first, second))
    await first.stop()
    await second.stop()


def rounds_of(app: App) -> int:
    """Return how many rebalances a worker has seen."""
    assert app.engine is not None
    return app.engine.rebalancer.rounds


@virtual
async def test_a_copy_that_cannot_be_kept_is_not_said_to_have_caught_up(
    world: StateWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (world.worker(name, store="rocksdb://") for name in ("one", "two"))
    await first.start()
    await world.send(0, 100)
    await eventually(world.all_committed)

    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(second.tables, "open_store", full)
    await second.start()
    await eventually(lambda: bool(copies_of(second)))
    await second.clock.sleep(20.0)
    assert rounds_of(second) <= 2, "the group was rebalanced again and again"
    monkeypatch.undo()
    await eventually(lambda: len(tasks_of(second)) == 1)
    await second.stop()
    await first.stop()


@virtual
async def test_a_table_that_only_the_newer_version_has_does_not_keep_its_tasks_from_moving(
    world: StateWorld,
) -> None:
    first, second = (world.worker(name) for name in ("one", "two"))
    second.Table("sums", key_type=str, value_type=int, default=int, partitions=2)
    await first.start()
    await world.send(0, 100)
    await eventually(world.all_committed)
    await second.start()
    await eventually(lambda: len(tasks_of(second)) == 1)
    assert rounds_of(second) <= 4
    await second.stop()
    await first.stop()
