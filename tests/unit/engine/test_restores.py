"""What a worker does about its state at the start: how much it reads, and what it says."""

from __future__ import annotations

import errno
import logging
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from state_world import (
    CHANGELOG,
    StateWorld,
    counts_of,
    eventually,
    failing,
    restored,
    tasks_of,
)

from faust._engine.replay import TIME_KEY
from faust._values import TP
from faust.app.base import App
from faust.exceptions import BrokerUnavailable, PartitionsMismatch
from faust.stores.locks import FileLock
from faust.transport.base import ProducerOptions, TopicSpec
from faust.transport.records import new_builder
from tests.support.virtual_time import virtual


def lose(world: StateWorld, entries: dict[bytes, bytes | None]) -> None:
    """The broker loses the changelog's records, and gives their offsets to others."""
    before = world.broker.topic(CHANGELOG)
    world.broker.delete_topic(CHANGELOG)
    after = world.broker.create_topic(TopicSpec(CHANGELOG, 1, config=before.config))
    after.topic_id = before.topic_id
    world.append_to_changelog(0, entries)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[StateWorld]:
    world = StateWorld(tmp_path, partitions=1)
    yield world
    world.forget()


ONES = {f"0-{n}": 1 for n in range(100)}


async def started(world: StateWorld, store: str = "rocksdb://", **settings: Any) -> App:
    """Start the worker, and wait until its tasks are processed."""
    app = world.worker("one", store=store, **settings)
    await app.start()
    await eventually(lambda: len(tasks_of(app)) == world.partitions)
    return app


async def counted(world: StateWorld, first: int, last: int, store: str = "rocksdb://") -> None:
    """Let a worker start, count these words, commit, and stop in good order."""
    app = await started(world, store)
    await world.send(first, last)
    await eventually(world.all_committed)
    await app.stop()


def database(world: StateWorld) -> Path:
    """Return where the worker's counts are."""
    (found,) = world.directory.glob("one/**/counts-0.db")
    return found


async def go_back(world: StateWorld) -> None:
    """Count 10 further words, and let the disk forget them: as if they had not been applied."""
    kept, path = world.directory / "kept", database(world)
    shutil.copytree(path, kept)
    await counted(world, 100, 110)
    shutil.rmtree(path)
    shutil.copytree(kept, path)


@virtual
async def test_after_a_stop_in_good_order_nothing_is_read_again(world: StateWorld) -> None:
    await counted(world, 0, 100)
    app = await started(world)
    assert restored(app) == 0
    assert counts_of(app) == ONES
    await app.stop()


@virtual
async def test_after_a_kill_only_what_was_not_applied_is_read(world: StateWorld) -> None:
    await counted(world, 0, 100)
    await go_back(world)
    app = await started(world)
    assert restored(app) == 10
    assert counts_of(app) == {f"0-{n}": 1 for n in range(110)}
    await app.stop()


@pytest.mark.parametrize("acks", [0, 1])
@virtual
async def test_tables_are_exact_although_messages_are_not_acknowledged(
    world: StateWorld, acks: int
) -> None:
    """Nobody knew where the changelog's records were, and a restore took them for uncommitted."""
    app = await started(world, "memory://", producer_acks=acks)
    for first in (0, 50):
        await world.send(first, first + 50)
        await eventually(world.all_committed)
    await app.stop()
    heir = await started(world, "memory://", producer_acks=acks)
    assert counts_of(heir) == ONES
    await heir.stop()


@virtual
async def test_a_log_that_begins_above_the_local_state_is_read_as_it_is_and_that_is_said(
    world: StateWorld, caplog: pytest.LogCaptureFixture
) -> None:
    await counted(world, 0, 100)
    await go_back(world)
    world.broker.delete_records({TP(CHANGELOG, 0): world.changelog_end(0) - 4})
    app = await started(world)
    assert counts_of(app) == {f"0-{n}": 1 for n in range(106, 110)}
    assert _warnings(caplog) == [
        "Restoring words-counts-changelog-0: offsets 106 to 110; "
        "the local store is wiped: the log begins above it"
    ]
    await app.stop()


@virtual
async def test_a_log_that_begins_above_the_commit_is_said_and_the_worker_goes_on(
    world: StateWorld, caplog: pytest.LogCaptureFixture
) -> None:
    await counted(world, 0, 100, "memory://")
    world.append_to_changelog(0, {b'"0-1"': b"9", b'"0-2"': b"9"})
    world.broker.delete_records({TP(CHANGELOG, 0): 101})
    app = await started(world, "memory://")
    assert counts_of(app) == {"0-2": 9}
    (said,) = _warnings(caplog)
    assert "the log begins above the committed position" in said
    await world.send(2, 4)
    await eventually(world.all_committed)
    assert counts_of(app) == {"0-2": 10, "0-3": 1}
    await app.stop()


@virtual
async def test_a_log_that_was_made_anew_is_said_and_the_table_begins_anew(
    world: StateWorld, caplog: pytest.LogCaptureFixture
) -> None:
    await counted(world, 0, 100)
    world.broker.delete_topic(CHANGELOG)
    app = await started(world)
    assert counts_of(app) == {}
    assert [said for said in _warnings(caplog) if "another topic of that name" in said]
    await world.send(0, 3)
    await eventually(world.all_committed)
    await app.stop()
    again = await started(world)
    assert restored(again) == 0
    assert counts_of(again) == {"0-0": 1, "0-1": 1, "0-2": 1}
    await again.stop()


@virtual
async def test_a_changelog_with_another_number_of_partitions_is_refused_at_the_start(
    world: StateWorld,
) -> None:
    world.broker.create_topic(TopicSpec(CHANGELOG, 3))
    app = world.worker("one")
    with pytest.raises(PartitionsMismatch, match="has 3 partitions, but must have 1"):
        await app.start()
    await app.stop()


def _warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno == logging.WARNING and record.name.startswith("faust._engine")
    ]


# -- what may lie at the end of a log --------------------------------------------------------------


async def _aborted(world: StateWorld, app: App) -> None:
    await _transaction(app, abort=True)


async def _committed(world: StateWorld, app: App) -> None:
    await _transaction(app, abort=False)


async def _transaction(app: App, *, abort: bool) -> None:
    assert app.connection is not None
    producer = app.connection.transport.producer(ProducerOptions(transactional_id="somebody"))
    transaction = await producer.begin()
    builder = new_builder(1000, transactional=True)
    builder.append(0, 0, b'"0-7"', b"70", [])
    transaction.produce(TP(CHANGELOG, 0), builder)
    await (transaction.abort() if abort else transaction.commit())
    await producer.close()


async def _tombstones(world: StateWorld, app: App) -> None:
    world.append_to_changelog(0, {b'"0-7"': None, b'"0-8"': None, b'"none"': None})


async def _nothing(world: StateWorld, app: App) -> None:
    pass


async def _gaps(world: StateWorld, app: App) -> None:
    log = world.broker.log(TP(CHANGELOG, 0))
    await world.send(0, 50)
    await eventually(world.all_committed)
    await world.send(0, 50, number=-1)
    await eventually(world.all_committed)
    log.compact_below(log.state.end, world.broker.topic(CHANGELOG).policy, 1 << 50)


async def _other_codecs(world: StateWorld, app: App) -> None:
    for codec in ("gzip", "snappy", "lz4", "zstd"):
        builder = new_builder(1000, codec)
        builder.append(0, 0, b'"0-7"', b"70", [])
        builder.append(1, 0, b'"%s"' % codec.encode(), b"1", [])
        world.broker.append(world.broker.log(TP(CHANGELOG, 0)), builder.build(), (-1, -1, -1))


OTHERS: dict[bytes, bytes | None] = {b'"0-%d"' % n: b"7" for n in range(100)}


@virtual
async def test_a_log_that_has_lost_what_the_local_store_has_is_read_anew_and_that_is_said(
    world: StateWorld, caplog: pytest.LogCaptureFixture
) -> None:
    """The store had the same position and topic id, and was taken for right."""
    await counted(world, 0, 100)
    lose(world, OTHERS)
    app = await started(world)
    assert counts_of(app) == dict.fromkeys(ONES, 7)
    assert _warnings(caplog) == [
        "Restoring words-counts-changelog-0: offsets 0 to 100; "
        "the local store is wiped: the log has another record at its position"
    ]
    await app.stop()
    again = await started(world)
    assert restored(again) == 0, "what a restore has written is compared, too"
    await again.stop()
    lose(world, {**OTHERS, b'"0-99"': None})
    final = await started(world)
    assert restored(final) == 100
    await final.stop()


@virtual
async def test_a_store_whose_last_record_was_compacted_away_is_used(world: StateWorld) -> None:
    await counted(world, 0, 100)
    await go_back(world)
    world.append_to_changelog(0, {b'"0-99"': b"1"})
    log = world.broker.log(TP(CHANGELOG, 0))
    log.compact_below(world.changelog_end(0), world.broker.topic(CHANGELOG).policy, 0)
    app = await started(world)
    assert restored(app) == 10
    await app.stop()


@pytest.mark.parametrize("kept", [True, False])
@virtual
async def test_a_store_in_memory_is_compared_with_the_log(world: StateWorld, kept: bool) -> None:
    """What a copy in memory has read is used by the task only if it is still the log's."""
    app = await started(world, "memory://")
    await world.send(0, 100)
    await eventually(world.all_committed)
    assert app.engine is not None
    (task,) = app.engine.tasks
    store = app.engine.tasks[task].slices["counts"].store
    if not kept:
        lose(world, OTHERS)
    known = store.checkpoint
    assert known is not None
    assert known.crc
    crc = await app.engine.state.restorer._replay.crc_before(TP(CHANGELOG, 0), known.position)
    assert (crc == known.crc) is kept
    await app.stop()


@pytest.mark.parametrize("store", ["memory://", "rocksdb://"])
@pytest.mark.parametrize(
    "leave", [_nothing, _tombstones, _aborted, _committed, _gaps, _other_codecs]
)
@virtual
async def test_whatever_lies_at_the_end_of_a_log_a_restore_ends_and_is_right(
    world: StateWorld, leave: Any, store: str
) -> None:
    app = await started(world, store)
    await world.send(0, 100)
    await eventually(world.all_committed)
    await leave(world, app)
    await app.stop()
    shutil.rmtree(world.directory / "one")
    again = await started(world, store)
    assert counts_of(again) == ONES
    await again.stop()
    last = await started(world, store)  # what was taken back does not return
    assert counts_of(last) == ONES
    await last.stop()


@pytest.mark.parametrize("words", [0, 1])
@virtual
async def test_a_log_with_nothing_or_next_to_nothing_is_restored(
    world: StateWorld, words: int
) -> None:
    app = await started(world, "memory://")
    await world.send(0, words) if words else None
    await eventually(lambda: not words or world.all_committed())
    await app.stop()
    again = await started(world, "memory://")
    assert counts_of(again) == ({"0-0": 1} if words else {})
    await again.stop()


# -- faults while it is restored -------------------------------------------------------------------


@virtual
async def test_a_broker_that_goes_away_while_a_table_is_restored_is_waited_for(
    world: StateWorld,
) -> None:
    await counted(world, 0, 100, "memory://")
    world.broker.faults.fail("fetch", BrokerUnavailable("away"), times=5)
    app = await started(world, "memory://")
    assert counts_of(app) == ONES
    await app.stop()


@virtual
async def test_a_log_that_is_cut_off_while_it_is_read_is_read_from_where_it_begins(
    world: StateWorld,
) -> None:
    for n in range(10):
        await counted(world, n * 10, n * 10 + 10, "memory://")
    cut = 0

    def cut_off(request: Any) -> None:
        nonlocal cut
        if request.kind == "fetch" and not cut:
            cut = world.broker.delete_records({TP(CHANGELOG, 0): 55})[TP(CHANGELOG, 0)]

    world.broker.faults.before = cut_off
    app = await started(world, "memory://")
    assert cut
    assert set(counts_of(app)) >= {f"0-{n}" for n in range(60, 100)}
    await app.stop()


@virtual
async def test_a_disk_that_is_full_while_a_table_is_restored_ends_the_worker_and_is_said(
    world: StateWorld,
) -> None:
    await counted(world, 0, 100)
    shutil.rmtree(world.directory / "one")
    app = world.worker("one", store="rocksdb://")
    open_store = app.tables.open_store
    failures: list[Any] = []

    def full(table: Any, partition: int) -> Any:
        store = open_store(table, partition)
        failures.append(failing(store, OSError(errno.ENOSPC, "No space left on device")))
        failures[-1].__enter__()
        return store

    app.tables.open_store = full  # type: ignore[method-assign]
    with pytest.raises(OSError, match="No space left"):
        await app.start()
    await app.stop()
    again = await started(world)
    assert counts_of(again) == ONES
    await again.stop()


# -- the disk --------------------------------------------------------------------------------------


@pytest.mark.parametrize("files", ["CURRENT", "MANIFEST-*", "*.sst"])
@virtual
async def test_a_file_that_was_damaged_is_said_and_the_table_is_read_anew(
    world: StateWorld, files: str, caplog: pytest.LogCaptureFixture
) -> None:
    await counted(world, 0, 100)
    damaged = list(database(world).glob(files))
    assert damaged
    for file in damaged:
        file.write_bytes(b"\xff" * file.stat().st_size)
    app = await started(world)
    assert counts_of(app) == ONES
    assert restored(app) == 100
    assert [r for r in caplog.records if "set aside" in r.getMessage() and r.levelname == "ERROR"]
    await app.stop()


@virtual
async def test_a_store_that_stays_locked_is_left_alone_and_the_worker_says_what_it_does_instead(
    world: StateWorld, caplog: pytest.LogCaptureFixture
) -> None:
    await counted(world, 0, 100)
    path = database(world)
    predecessor = FileLock(path.with_suffix(".lock"))
    app = await started(world)
    apart = list(path.parent.glob("apart-*"))
    assert len(apart) == 1
    assert counts_of(app) == ONES
    assert restored(app) == 100
    (said,) = _warnings(caplog)
    assert "is locked by process" in said
    assert "restoring into a directory of its own" in said
    await app.stop()
    assert not apart[0].exists()
    predecessor.release()


@virtual
async def test_what_a_process_that_is_gone_had_for_itself_is_deleted_at_the_next_start(
    world: StateWorld,
) -> None:
    await counted(world, 0, 10)
    tables = database(world).parent
    for name in ("gone", "alive"):
        (tables / f"apart-{name}").mkdir()
    alive = FileLock(tables / "apart-alive" / "owner.lock")
    app = await started(world)
    assert [path.name for path in tables.glob("apart-*")] == ["apart-alive"]
    await app.stop()
    alive.release()


@virtual
async def test_where_nothing_changes_local_state_does_not_age(world: StateWorld) -> None:
    app = await started(world, table_cleanup_interval=1.0)
    await world.send(0, 100)
    await eventually(world.all_committed)
    (piece,) = app.tables["counts"].slices.values()
    known = piece.store.checkpoint
    assert known is not None
    piece.store.apply((), known._replace(wall_time=known.wall_time - 5 * 3600.0))
    await app.clock.sleep(2.0)
    assert piece.store.checkpoint is not None
    assert piece.store.checkpoint.wall_time >= known.wall_time
    assert piece.store.checkpoint.position == known.position
    await app.stop()


def _has(app: App, tasks: int) -> bool:
    return len(tasks_of(app)) == tasks


@pytest.mark.parametrize("rounds", [2, pytest.param(250, marks=pytest.mark.soak)])
@virtual
async def test_hand_overs_between_workers_in_one_data_directory_meet_no_lock(
    world: StateWorld, rounds: int, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """Two partitions go, and two come, in each round: four hand-overs."""
    world.forget()
    world = StateWorld(tmp_path, partitions=4)
    shared = str(tmp_path / "shared")
    first = world.worker("one", store="rocksdb://", datadir=shared)
    await first.start()
    for number in range(rounds):
        await world.send(0, 5)
        second = world.worker("two", store="rocksdb://", datadir=shared)
        await second.start()
        await eventually(partial(_has, second, 2))
        await world.send(0, 5)
        await eventually(world.all_committed)
        assert {**counts_of(first), **counts_of(second)} == {
            f"{p}-{n}": 2 * number + 2 for p in range(4) for n in range(5)
        }
        await second.stop()
        await eventually(lambda: len(tasks_of(first)) == 4)
    assert restored(first) == 0
    assert not [said for r in caplog.records if "lock" in (said := r.getMessage())]
    await first.stop()
    world.forget()


@virtual
async def test_under_exactly_once_what_is_taken_back_is_written_with_the_commit_of_the_start(
    world: StateWorld,
) -> None:
    await counted(world, 0, 10)
    world.append_to_changelog(0, {b'"0-1"': b"7", b'"0-99"': b"1"})
    end = world.changelog_end(0)
    app = await started(world, processing_guarantee="exactly_once")
    await eventually(lambda: world.committed(0) > end)
    batches, _ = world.broker.log(TP(CHANGELOG, 0)).read(end, 1 << 20, committed=True)
    written = [
        (bytes(record.key), record.value, batch.is_transactional)
        for batch in batches
        for record in batch.records()
        if record.key != TIME_KEY
    ]
    assert written == [(b'"0-1"', b"1", True), (b'"0-99"', None, True)]
    await app.stop()
    shutil.rmtree(world.directory / "one")
    again = await started(world, processing_guarantee="exactly_once")
    assert counts_of(again) == {f"0-{n}": 1 for n in range(10)}
    await again.stop()
