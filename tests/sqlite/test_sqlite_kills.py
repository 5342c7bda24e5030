"""Real processes on one broker file, killed at random."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import sqlite_actors as actors
from sqlite_actors import PARTITIONS, RECORDS, TOPIC, text_of, told, transport

from faust._values import TP
from faust.transport.base import (
    LATEST,
    GroupOptions,
    ProducerOptions,
    ReaderOptions,
    TopicSpec,
)
from faust.transport.records import Batch, new_builder

WRITERS = range(4)
READERS = range(3)
#: Longer than the test: only certain death may free a place.
SESSION = 300.0

Start = Callable[..., BaseProcess]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start processes from one that has everything imported; all are gone afterwards."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["sqlite_actors"])
    started: list[BaseProcess] = []

    def begin(target: Callable[..., None], *args: Any) -> BaseProcess:
        process = context.Process(target=target, args=args, daemon=True)
        process.start()
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.is_alive():
            process.kill()
        process.join(10)


def kill(process: BaseProcess) -> None:
    assert process.is_alive(), "it ended by itself"
    process.kill()
    process.join(10)


def wait_for_file(path: Path) -> None:
    deadline = time.monotonic() + 100
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} has not come"
        time.sleep(0.01)


async def all_batches(path: Path) -> list[Batch]:
    broker = transport(path)
    await broker.open()
    reader = broker.reader(ReaderOptions())
    tps = [TP(TOPIC, n) for n in range(PARTITIONS)]
    ends = await broker.offsets(tps, LATEST)
    reader.assign(dict.fromkeys(tps, 0))
    found: list[Batch] = []
    while reader.positions() != ends:
        fetched = await reader.fetch(1.0)
        assert not fetched.errors
        found += fetched.batches
    await reader.close()
    await broker.close()
    return found


def check_log(batches: list[Batch], directory: Path) -> int:
    """Every batch whole, every number once and in order, all that was acknowledged where it was."""
    numbers: dict[int, list[int]] = {w: [] for w in WRITERS}
    places: dict[int, list[int]] = {w: [] for w in WRITERS}
    ends = dict.fromkeys(range(PARTITIONS), 0)
    for batch in batches:
        assert batch.validate_crc()
        assert batch.base_offset == ends[batch.tp.partition], "a hole, or an overlap"
        ends[batch.tp.partition] = batch.next_offset
        values = [text_of(record).split(":") for record in batch.records()]
        writer = int(values[0][0])
        assert len(values) == RECORDS
        numbers[writer] += [int(number) for _, number in values]
        places[writer].append(batch.base_offset)
    for writer in WRITERS:
        assert numbers[writer] == list(range(len(numbers[writer]))), f"writer {writer}"
        promised = [int(line[0]) for line in told(directory / f"acks-{writer}")]
        assert places[writer][: len(promised)] == promised
    return sum(acknowledged(directory, writer) for writer in WRITERS)


async def until_caught_up(path: Path, living: int) -> None:
    broker = transport(path)
    await broker.open()
    tps = [TP(TOPIC, n) for n in range(PARTITIONS)]
    ends = await broker.offsets(tps, LATEST)
    async with asyncio.timeout(110):
        while True:
            done = await broker.committed("g", tps)
            if {tp: entry.offset for tp, entry in done.items()} == {
                tp: end for tp, end in ends.items() if end
            }:
                break
            await asyncio.sleep(0.05)
    await broker.close()


def check_reading(batches: list[Batch], directory: Path) -> None:
    there = {
        (batch.tp.partition, record.offset, text_of(record))
        for batch in batches
        for record in batch.records()
    }
    read = {
        (int(line[0]), int(line[1]), line[2])
        for notes in directory.glob("read-*")
        for line in told(notes)
    }
    assert read == there


def acknowledged(directory: Path, writer: int) -> int:
    return len(told(directory / f"acks-{writer}"))


async def create_topic(path: Path) -> None:
    broker = transport(path)
    await broker.open()
    # The batches carry old timestamps, so that they are the same when they are sent again.
    await broker.create_topic(TopicSpec(TOPIC, PARTITIONS, config={"retention.ms": "-1"}))
    await broker.close()


def storm(start: Start, path: Path, directory: Path, kills: int, seed: int) -> None:
    chance = random.Random(seed)
    running: dict[tuple[str, int], BaseProcess] = {}

    def begin(kind: str, number: int) -> None:
        if kind == "w":
            args: tuple[Any, ...] = (actors.write_for_ever, str(path), str(directory), number)
        else:
            args = (actors.read_for_ever, str(path), str(directory), number, SESSION)
        running[kind, number] = start(*args)

    asyncio.run(create_topic(path))
    everyone = [("w", n) for n in WRITERS] + [("r", n) for n in READERS]
    for kind, number in everyone:
        begin(kind, number)
    while not all(acknowledged(directory, number) for number in WRITERS):
        time.sleep(0.01)
    for _ in range(kills):
        time.sleep(chance.uniform(0.02, 0.25))
        kind, number = chance.choice(everyone)
        kill(running[kind, number])
        begin(kind, number)
    time.sleep(0.5)
    while sum(acknowledged(directory, number) for number in WRITERS) <= kills:
        time.sleep(0.05)
    for number in WRITERS:
        kill(running["w", number])
    asyncio.run(until_caught_up(path, len(READERS)))
    for number in READERS:
        kill(running["r", number])


def check_storm(start: Start, tmp_path: Path, kills: int, seed: int) -> None:
    path = tmp_path / "broker.db"
    storm(start, path, tmp_path, kills, seed)
    batches = asyncio.run(all_batches(path))
    assert check_log(batches, tmp_path) > kills
    check_reading(batches, tmp_path)


@pytest.mark.timeout(300)
def test_no_acknowledged_batch_is_lost_doubled_or_torn_by_kills(
    start: Start, tmp_path: Path
) -> None:
    check_storm(start, tmp_path, kills=120, seed=1)


@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(2, 6))
def test_thousands_of_kills_lose_nothing(start: Start, tmp_path: Path, seed: int) -> None:
    check_storm(start, tmp_path, kills=1000, seed=seed)


def test_a_compacted_log_says_the_same_however_often_its_compaction_is_killed(
    start: Start, tmp_path: Path
) -> None:
    path = tmp_path / "broker.db"
    tp = TP("table", 0)
    config = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.01"}

    async def main() -> None:
        broker = transport(path)
        await broker.open()
        await broker.create_topic(TopicSpec("table", 1, config=config))
        producer = broker.producer(ProducerOptions())
        latest: dict[bytes | None, bytes | None] = {}
        chance = random.Random(3)
        number = 0
        for turn in range(15):
            compactor = start(actors.compact_for_ever, str(path))
            until = time.monotonic() + chance.uniform(0.1, 0.4)
            while time.monotonic() < until or number < 10 * turn:
                key, value = b"%d" % chance.randrange(40), b"%d" % number
                builder = new_builder(1 << 16)
                builder.append(0, 1, key, value, [])
                number += 1
                await producer.produce(tp, builder)
                latest[key] = value
            kill(compactor)
        await producer.close()
        await broker.maintain()
        reader = broker.reader(ReaderOptions())
        reader.assign({tp: 0})
        found: dict[bytes | None, bytes | None] = {}
        batches = 0
        while (fetched := await reader.fetch(0)).positions:
            batches += len(fetched.batches)
            found.update((r.key, r.value) for b in fetched.batches for r in b.records())
        assert reader.positions() == {tp: number}
        assert found == latest
        assert batches <= len(latest) + 1 < number
        await reader.close()
        await broker.close()

    asyncio.run(main())


def test_a_killed_members_place_is_free_at_once(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "broker.db"
    doomed = start(actors.read_for_ever, str(path), str(tmp_path), 0, SESSION)

    async def main() -> None:
        broker = transport(path)
        await broker.open()
        ours = broker.membership(GroupOptions(group_id="g", session_timeout=SESSION))
        async with asyncio.timeout(100):
            both = await ours.join([("plain", b"")])
            while len(both.members) < 2 and both.leader == ours.member_id:
                both = await ours.join([("plain", b"")])
            kill(doomed)
            alone = await ours.join([("plain", b"")])
            while list(alone.members) != [ours.member_id]:
                alone = await ours.join([("plain", b"")])
        await ours.leave()
        await broker.close()

    asyncio.run(main())


def test_a_process_stopped_in_the_middle_of_a_write_costs_nobody_its_place(
    start: Start, tmp_path: Path
) -> None:
    path, there, ready = (tmp_path / name for name in ("broker.db", "there", "ready"))

    async def main() -> None:
        # Sessions shorter than the stop: without care the first to write again would expire all.
        broker, judge = transport(path), transport(path)
        await broker.open()
        await judge.open()
        stopped = start(actors.stop_in_the_middle, str(path), str(there), str(ready))
        await asyncio.to_thread(wait_for_file, there)
        options = GroupOptions(group_id="g", session_timeout=3.0)
        member = broker.membership(options)
        joined = await member.join([("plain", b"")])
        await member.sync(joined.generation, {member.member_id: b""})
        there.unlink()
        await asyncio.to_thread(wait_for_file, ready)
        assert stopped.pid is not None
        os.kill(stopped.pid, signal.SIGSTOP)
        await asyncio.sleep(4.0)
        kill(stopped)
        # The judge looks first, and finds nobody guilty.
        maintenance = judge._maintenance
        assert maintenance is not None
        await maintenance.tick()
        await member.heartbeat()
        assert member.generation == joined.generation
        await member.leave()
        await judge.close()
        await broker.close()

    asyncio.run(main())


def test_processes_that_create_the_file_at_the_same_instant_share_one(
    start: Start, tmp_path: Path
) -> None:
    path, many = tmp_path / "broker.db", 8
    go = time.time() + 1.0
    processes = [
        start(actors.create_and_append, str(path), str(tmp_path), n, go) for n in range(many)
    ]
    for process in processes:
        process.join(100)
        assert process.exitcode == 0
    offsets = sorted(int((tmp_path / f"placed-{n}").read_text()) for n in range(many))
    assert offsets == list(range(many))
