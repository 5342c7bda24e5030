"""How fast a lost table comes back: a changelog of 200,000 keys into RocksDB.

Three starts of one group.  The first counts some millions of records and is stopped; then its local
state is deleted, and the second start is timed until its first new commit; the third start finds
its state and is timed likewise.  The difference is what restoring took.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition

from benchmarks.contenders import Contender, Run
from benchmarks.meter import POLL_SECONDS, GroupOffsets
from benchmarks.session import PARTITIONS, START_SECONDS, Process, Session

KEYS = 200_000
_WORK = "count-rocksdb"


async def measure_restore(session: Session, contender: Contender) -> float:
    """Return changelog records restored per second.

    Raises:
        RuntimeError: the contender ended by itself, or committed nothing in time.
    """
    if contender.changelog is None:
        raise RuntimeError(f"{contender.name} has no changelog to restore from")
    topic, end = await session.source(KEYS)
    with tempfile.TemporaryDirectory(prefix="faust-benchmark-") as directory:
        run = await session.new_run(contender, _WORK, topic, Path(directory))
        async with GroupOffsets(session.bootstrap, run.group, topic) as offsets:
            await _seconds_until(offsets, contender, run, end // 3)
            size = await _end_offsets(session.bootstrap, contender.changelog(run))
            _wipe(run.directory)
            with_restore = await _seconds_until(offsets, contender, run, 1)
            without = await _seconds_until(offsets, contender, run, 1)
    return size / max(with_restore - without, 0.001)


async def _seconds_until(offsets: GroupOffsets, contender: Contender, run: Run, more: int) -> float:
    """Start, wait until ``more`` records are committed, stop; return the seconds of the wait."""
    target = await offsets.committed() + more
    process, began = Process(contender, run), time.monotonic()
    try:
        while await offsets.committed() < target:
            if not process.alive() or time.monotonic() - began > START_SECONDS:
                raise RuntimeError(f"{contender.name}, restore:\n{process.log_tail()}")
            await asyncio.sleep(POLL_SECONDS)
        return time.monotonic() - began
    finally:
        await asyncio.to_thread(process.stop)


async def _end_offsets(bootstrap: str, topic: str) -> int:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await consumer.start()
    try:
        ends = await consumer.end_offsets([TopicPartition(topic, n) for n in range(PARTITIONS)])
        return sum(ends.values())
    finally:
        await consumer.stop()


def _wipe(directory: Path) -> None:
    for path in directory.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
