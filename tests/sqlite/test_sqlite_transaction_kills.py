"""Copying by transactions in processes that are killed: everything is there exactly once."""

from __future__ import annotations

import asyncio
import multiprocessing
import random
from multiprocessing.process import BaseProcess
from pathlib import Path

import sqlite_copiers as copiers
from sqlite_copiers import LANES, SINKS, SOURCE, builder_of, opened

from faust._values import TP
from faust.transport.base import LATEST, ProducerOptions, ReaderOptions
from faust.transport.drivers.sqlite import SQLiteTransport

BATCHES = 300
RECORDS = 3
KILLS = 4
#: What one that is to be killed copies at most: however late that is, there is more to copy.
MOST = 140


async def fill(path: Path) -> None:
    broker = opened(path)
    await broker.open()
    producer = broker.producer(ProducerOptions())
    for number in range(BATCHES):
        for lane in range(LANES):
            values = [b"%d" % (number * RECORDS + n) for n in range(RECORDS)]
            producer.produce(TP(SOURCE, lane), builder_of(values, transactional=False))
    await producer.close()
    await broker.close()


async def sunk(path: Path) -> dict[TP, list[int]]:
    broker = opened(path)
    await broker.open()
    found = {
        TP(sink, lane): await _read(broker, TP(sink, lane)) for sink in SINKS for lane in (0, 1)
    }
    await broker.close()
    return found


async def _read(broker: SQLiteTransport, tp: TP) -> list[int]:
    reader = broker.reader(ReaderOptions())
    reader.assign({tp: 0})
    found: list[int] = []
    while (fetched := await reader.fetch(0)).positions:
        found += [int(r.value or b"") for batch in fetched.batches for r in batch.records()]
    await reader.close()
    return found


async def end_reaches(path: Path, lane: int, aim: int = 0) -> int:
    """Wait until copiers have appended so many records (markers count); return how many."""
    broker = opened(path)
    await broker.open()
    tp = TP(SINKS[0], lane)
    async with asyncio.timeout(100):
        while (end := (await broker.offsets([tp], LATEST)).get(tp, 0)) < aim:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    await broker.close()
    return end


def test_what_killed_processes_copy_is_there_once_in_every_topic_and_in_order(
    tmp_path: Path,
) -> None:
    path = tmp_path / "broker.db"
    asyncio.run(fill(path))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["sqlite_copiers"])
    rng = random.Random(7)

    def start(lane: int, most: int | None = MOST) -> BaseProcess:
        process = context.Process(target=copiers.copy, args=(str(path), lane, most), daemon=True)
        process.start()
        return process

    running = [start(lane) for lane in range(LANES)]
    before = [0] * LANES
    try:
        for kill in range(KILLS):
            lane = kill % LANES
            asyncio.run(end_reaches(path, lane, before[lane] + rng.randrange(1, 60)))
            running[lane].kill()
            running[lane].join(10)
            before[lane] = asyncio.run(end_reaches(path, lane))
            running[lane] = start(lane, MOST if kill + LANES < KILLS else None)
        for process in running:
            process.join(100)
            assert process.exitcode == 0
    finally:
        for process in running:
            if process.is_alive():
                process.kill()
                process.join(10)
    expected = list(range(BATCHES * RECORDS))
    for tp, numbers in asyncio.run(sunk(path)).items():
        assert numbers == expected, tp
