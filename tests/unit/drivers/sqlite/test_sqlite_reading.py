"""Fetching: limits, fairness, waiting, positions that are gone."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from sqlite_support import append, on_loop, opened, read_all

from faust._values import TP
from faust.exceptions import OffsetOutOfRange, UnknownTopic
from faust.transport.base import ReaderOptions, TopicSpec

TP0, TP1 = TP("t", 0), TP("t", 1)


@on_loop
async def test_an_answer_holds_about_as_many_bytes_as_asked_and_at_least_a_batch(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path / "b.db") as broker:
        for _ in range(10):
            await append(broker, TP0, b"x" * 10_000)
        small = broker.reader(ReaderOptions(max_partition_bytes=1))
        small.assign({TP0: 0})
        assert [b.base_offset for b in (await small.fetch(0)).batches] == [0]
        assert [b.base_offset for b in (await small.fetch(0)).batches] == [1]
        middle = broker.reader(ReaderOptions(max_partition_bytes=25_000))
        middle.assign({TP0: 0})
        assert [b.base_offset for b in (await middle.fetch(0)).batches] == [0, 1, 2]
        await small.close()
        await middle.close()


@on_loop
async def test_batches_of_very_different_sizes_are_all_read_in_order(tmp_path: Path) -> None:
    async with opened(tmp_path / "b.db") as broker:
        sizes = [10, 50_000, 1, 1, 1, 90_000, 3, 20_000] * 5
        for number, size in enumerate(sizes):
            await append(broker, TP0, b"%d:" % number + b"x" * size)
        reader = broker.reader(ReaderOptions(max_partition_bytes=60_000))
        reader.assign({TP0: 0})
        found: list[int] = []
        while len(found) < len(sizes):
            found += [b.base_offset for b in (await reader.fetch(0)).batches]
        assert found == list(range(len(sizes)))
        await reader.close()


@on_loop
async def test_no_partition_starves_another(tmp_path: Path) -> None:
    async with opened(tmp_path / "b.db") as broker:
        for tp in (TP0, TP1):
            for _ in range(6):
                await append(broker, tp, b"x" * 10_000)
        reader = broker.reader(ReaderOptions(max_bytes=10_000, max_partition_bytes=10_000))
        reader.assign({TP0: 0, TP1: 0})
        first = [b.tp for _ in range(4) for b in (await reader.fetch(0)).batches]
        assert set(first) == {TP0, TP1}
        await reader.close()


@on_loop
async def test_a_position_inside_a_batch_gets_that_batch(tmp_path: Path) -> None:
    async with opened(tmp_path / "b.db") as broker:
        await append(broker, TP0, b"a", b"b", b"c")
        assert await read_all(broker, TP0, 1) == [b"b", b"c"]


@on_loop
async def test_a_waiting_reader_wakes_when_this_process_or_another_transport_appends(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path / "b.db") as ours, opened(tmp_path / "b.db") as theirs:
        await append(ours, TP0, b"first")
        reader = ours.reader(ReaderOptions())
        reader.assign({TP0: 1})
        for broker in (ours, theirs):
            waiting = asyncio.create_task(reader.fetch(60))
            await asyncio.sleep(0.05)
            started = time.monotonic()
            await append(broker, TP0, b"v")
            assert len((await waiting).batches) == 1
            assert time.monotonic() - started < 30
        await reader.close()


@on_loop
async def test_a_change_reaches_a_fetch_that_waits(tmp_path: Path) -> None:
    async with opened(tmp_path / "b.db") as broker:
        await append(broker, TP1, b"v")
        reader = broker.reader(ReaderOptions())
        reader.assign({TP0: 0})
        waiting = asyncio.create_task(reader.fetch(3600))
        await asyncio.sleep(0.02)
        reader.assign({TP1: 0})
        assert [b.tp for b in (await waiting).batches] == [TP1]
        waiting = asyncio.create_task(reader.fetch(3600))
        await asyncio.sleep(0.02)
        await reader.close()
        assert (await waiting).batches == []


@on_loop
async def test_a_paused_partition_is_left_alone_and_lost_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path / "b.db") as broker:
        await append(broker, TP0, b"v")
        reader = broker.reader(ReaderOptions())
        reader.assign({TP0: 0})
        reader.pause([TP0])
        assert (await reader.fetch(0)).batches == []
        assert reader.positions() == {TP0: 0}
        reader.resume([TP0])
        assert len((await reader.fetch(0)).batches) == 1
        await reader.close()


@on_loop
async def test_a_lost_position_is_told_once_and_goes_on_from_a_new_one(tmp_path: Path) -> None:
    async with opened(tmp_path / "b.db") as broker:
        for n in range(4):
            await append(broker, TP0, b"%d" % n)
        await broker.delete_records({TP0: 2})
        reader = broker.reader(ReaderOptions())
        reader.assign({TP0: 1})
        error = (await reader.fetch(0)).errors[TP0]
        assert isinstance(error, OffsetOutOfRange)
        assert (error.first, error.end) == (2, 4)
        assert (await reader.fetch(0)).errors == {}
        reader.assign({TP0: 2})
        assert [b.base_offset for b in (await reader.fetch(0)).batches] == [2, 3]
        await reader.close()


@on_loop
async def test_a_reader_that_may_not_create_a_topic_does_not(tmp_path: Path) -> None:
    async with opened(tmp_path / "b.db") as broker:
        reader = broker.reader(ReaderOptions(auto_create=False))
        reader.assign({TP0: 0})
        assert isinstance((await reader.fetch(0)).errors[TP0], UnknownTopic)
        assert "t" not in await broker.topics()
        await reader.close()


@on_loop
async def test_a_topic_deleted_while_it_is_read_stays_deleted(tmp_path: Path) -> None:
    async with opened(tmp_path / "b.db") as broker:
        await broker.create_topic(TopicSpec("t", 2))
        reader = broker.reader(ReaderOptions())
        reader.assign({TP0: 0})
        await reader.fetch(0)
        await broker.delete_topic("t")
        assert isinstance((await reader.fetch(0)).errors[TP0], UnknownTopic)
        assert "t" not in await broker.topics()
        await reader.close()
