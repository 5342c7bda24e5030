"""Retention, compaction, clearing, the lease, pipes of the dead."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest
from sqlite_support import append, builder_of, new_transport, on_loop, opened, read_all

from faust._values import TP
from faust.transport.base import (
    EARLIEST,
    LATEST,
    GroupOptions,
    ProducerOptions,
    ReaderOptions,
    TopicSpec,
)
from faust.transport.drivers.sqlite import SQLiteTransport, compaction, maintenance
from faust.transport.drivers.sqlite.wake import Bell
from faust.transport.drivers.sqlite.writer import Writability

TP0 = TP("t", 0)
DAY_MS = 86_400_000


async def rows(broker: SQLiteTransport, table: str = "batch") -> int:
    (count,) = await broker._connection.read(
        lambda db: db.execute(f"SELECT count(*) FROM {table}").fetchone()
    )
    return int(count)


@on_loop
async def test_retention_by_size_is_the_same_in_small_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "RETENTION_STEP", 3)
    monkeypatch.setattr(maintenance, "CLEAR_STEP", 2)
    async with opened(tmp_path / "b.db") as broker:
        await broker.create_topic(TopicSpec("t", 1, config={"retention.bytes": "25000"}))
        for _ in range(20):
            await append(broker, TP0, b"x" * 10_000)
        await broker.maintain()
        assert await broker.offsets([TP0], EARLIEST) == {TP0: 17}
        assert await rows(broker) == 3
        assert await broker.offsets([TP0], LATEST) == {TP0: 20}


@on_loop
async def test_retention_by_time_removes_the_old(tmp_path: Path) -> None:
    async with opened(tmp_path / "b.db") as broker:
        await broker.create_topic(TopicSpec("t", 1, config={"retention.ms": "3600000"}))
        old = int(time.time() * 1000) - DAY_MS
        await append(broker, TP0, b"old", timestamp=old)
        await append(broker, TP0, b"new")
        await broker.maintain()
        assert await read_all(broker, TP0, 1) == [b"new"]
        assert await rows(broker) == 1


async def fill_compacted(broker: SQLiteTransport, **config: str) -> dict[bytes, bytes]:
    config = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.01", **config}
    await broker.create_topic(TopicSpec("t", 1, config=config))
    producer = broker.producer(ProducerOptions())
    latest: dict[bytes, bytes] = {}
    for n in range(300):
        key, value = b"%d" % (n * n % 17), b"%d" % n
        latest[key] = value
        producer.produce(TP0, builder_of(value, key=key))
    await producer.close()
    return latest


async def table_of(broker: SQLiteTransport) -> dict[bytes, bytes]:
    reader = broker.reader(ReaderOptions())
    reader.assign({TP0: 0})
    found: dict[bytes, bytes] = {}
    while (fetched := await reader.fetch(0)).positions:
        found.update((r.key, r.value) for b in fetched.batches for r in b.records())  # type: ignore[misc]
    await reader.close()
    return found


@on_loop
async def test_compaction_keeps_the_latest_of_each_key_and_the_offsets(tmp_path: Path) -> None:
    async with opened(tmp_path / "b.db") as broker:
        latest = await fill_compacted(broker)
        await broker.maintain()
        assert await table_of(broker) == latest
        assert await rows(broker) <= len(latest) + 1
        assert await broker.offsets([TP0], LATEST) == {TP0: 300}


@on_loop
async def test_compaction_that_cannot_learn_all_keys_at_once_gets_there_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "MOST_KEYS", 4)
    monkeypatch.setattr(compaction, "STEP", 7)
    async with opened(tmp_path / "b.db") as broker:
        latest = await fill_compacted(broker)
        for _ in range(400):
            await broker.maintain()
            if await rows(broker) <= len(latest) + 1:
                break
        assert await table_of(broker) == latest
        assert await rows(broker) <= len(latest) + 1


@on_loop
async def test_tombstones_go_when_their_time_has_come(tmp_path: Path) -> None:
    async with opened(tmp_path / "b.db") as broker:
        await fill_compacted(broker, **{"delete.retention.ms": "0"})
        await append(broker, TP0, None, key=b"1")
        await append(broker, TP0, b"tail", key=b"tail")
        for _ in range(3):
            await broker.maintain()
            await asyncio.sleep(0.01)
        assert b"1" not in await table_of(broker)
        assert b"tail" in await table_of(broker)


@on_loop
async def test_batches_of_a_deleted_topic_are_cleared_away(tmp_path: Path) -> None:
    async with opened(tmp_path / "b.db") as broker:
        await append(broker, TP0, b"v")
        await append(broker, TP("kept", 0), b"v")
        await broker.delete_topic("t")
        await broker.maintain()
        assert (await rows(broker), await rows(broker, "garbage")) == (1, 0)
        assert await read_all(broker, TP("kept", 0)) == [b"v"]


def wal_size(path: Path) -> int:
    return os.path.getsize(f"{path}-wal")


@on_loop
async def test_the_write_ahead_log_stays_bounded_under_a_constant_reader(tmp_path: Path) -> None:
    path = tmp_path / "b.db"
    async with opened(path) as broker:
        producer, reader = broker.producer(ProducerOptions()), broker.reader(ReaderOptions())
        await producer.produce(TP0, builder_of(b"first"))
        reader.assign({TP0: 0})

        async def read_for_ever() -> None:
            while True:
                await reader.fetch(0.001)
                await asyncio.sleep(0)

        reading = asyncio.create_task(read_for_ever())
        for _ in range(40):
            for _ in range(8):
                last = producer.produce(TP0, builder_of(b"x" * 900_000))
            await last
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        assert wal_size(path) < 160 << 20
        await reader.close()
        await producer.close()


@on_loop
async def test_one_process_leads_and_another_takes_over_when_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "b.db"
    first, second = new_transport(path), new_transport(path)
    await first.open()
    await second.open()
    one, two = first._maintenance, second._maintenance
    assert one is not None
    assert two is not None
    await one.tick()
    await two.tick()
    assert (one._leading, two._leading) == (True, False)
    await first.close()
    await two.tick()
    assert two._leading
    await second.close()


# -- pipes -------------------------------------------------------------------------------------


@on_loop
async def test_a_pipe_that_nobody_reads_belongs_to_the_dead(tmp_path: Path) -> None:
    bell = Bell(str(tmp_path))
    bell.open()
    os.mkfifo(tmp_path / "1-dead.wake")
    assert bell.the_dead() == ["1-dead.wake"]
    assert not bell.is_dead("2-missing.wake")
    bell.ring()
    bell.bury(["1-dead.wake"])
    assert os.listdir(tmp_path) == [bell.name]
    bell.close()
    assert os.listdir(tmp_path) == []


@on_loop
async def test_a_ring_wakes_the_other_and_a_full_pipe_is_not_waited_for(tmp_path: Path) -> None:
    one, other = Bell(str(tmp_path)), Bell(str(tmp_path))
    one.open()
    other.open()
    for _ in range(70_000):
        one.ring()
    assert other.drain()
    ticket = other.ticket()
    one.ring()
    await asyncio.wait_for(ticket, 60)
    one.close()
    other.close()


@on_loop
async def test_a_pipe_that_was_removed_is_made_again(tmp_path: Path) -> None:
    one, other = Bell(str(tmp_path)), Bell(str(tmp_path))
    one.open()
    other.open()
    os.unlink(tmp_path / other.name)
    other.ensure()
    ticket = other.ticket()
    one.ring()
    await asyncio.wait_for(ticket, 60)
    one.close()
    other.close()


@on_loop
async def test_without_pipes_waiting_looks_by_itself(tmp_path: Path) -> None:
    (tmp_path / "b.db-peers").touch()
    async with opened(tmp_path / "b.db") as ours, opened(tmp_path / "b.db") as theirs:
        await append(ours, TP0, b"first")
        reader = ours.reader(ReaderOptions())
        reader.assign({TP0: 1})
        waiting = asyncio.create_task(reader.fetch(60))
        await asyncio.sleep(0.02)
        await append(theirs, TP0, b"v")
        assert len((await waiting).batches) == 1
        await reader.close()


# -- silence -------------------------------------------------------------------------------------


def test_a_process_judges_only_over_a_stretch_in_which_it_could_write() -> None:
    writable = Writability(0.0)
    writable.prove(0.5, 0.5)
    writable.prove(1.0, 1.1)
    assert writable.since == 0.0
    writable.prove(1.5, 4.0)  # it waited for the lock
    assert writable.since == 4.0
    writable.prove(4.5, 4.5)
    assert writable.since == 4.0
    writable.prove(20.0, 20.0)  # it did not run in between
    assert writable.since == 20.0


@on_loop
async def test_times_from_before_the_machine_was_started_anew_count_from_now(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path / "b.db") as broker:
        member = broker.membership(GroupOptions(group_id="g", session_timeout=60.0))
        await member.join([("plain", b"")])
        await broker._connection.writer.call(
            lambda session: session.db.execute(
                "UPDATE consumer_group SET state = replace(state, '\"seen\":', '\"seen\":9'),"
                " deadline = 0"
            )
        )
        assert broker._maintenance is not None
        await broker._maintenance.tick()
        await broker._maintenance.tick()
        await member.sync(member.generation, {})
        await member.leave()
        assert await broker.groups() == ["g"]
