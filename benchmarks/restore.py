"""How fast a lost table comes back: a changelog of 200,000 keys into RocksDB.

Three starts of one group.  The first counts a third of the topic (or for 30 s) and is stopped; then
its local state is deleted, and the second start is timed until its first new commit; the third
start finds its state and is timed likewise.  The difference is what restoring took.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition

from benchmarks.contenders import Contender, Run
from benchmarks.meter import POLL_SECONDS, GroupOffsets
from benchmarks.session import PARTITIONS, START_SECONDS, Process, Session

KEYS = 200_000
#: How long the changelog is written at most, if a third of the topic takes longer.
FILL_SECONDS = 30.0
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
            await _count_for(offsets, contender, run, records=end // 3, seconds=FILL_SECONDS)
            size = await _end_offsets(session.bootstrap, contender.changelog(run))
            _wipe(run.directory)
            with_restore = await _seconds_to_first_commit(offsets, contender, run)
            without = await _seconds_to_first_commit(offsets, contender, run)
    return size / max(with_restore - without, 0.001)


async def _count_for(
    offsets: GroupOffsets, contender: Contender, run: Run, *, records: int, seconds: float
) -> None:
    """Let it work until ``records`` are committed, or ``seconds`` have passed since the first."""
    async with _running(contender, run) as process:
        await _wait_until_committed(offsets, process, 1)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await _wait_until_committed(offsets, process, records)


async def _seconds_to_first_commit(offsets: GroupOffsets, contender: Contender, run: Run) -> float:
    before = await offsets.committed()
    began = time.monotonic()
    async with _running(contender, run) as process:
        await _wait_until_committed(offsets, process, before + 1)
        return time.monotonic() - began


@contextlib.asynccontextmanager
async def _running(contender: Contender, run: Run) -> AsyncIterator[Process]:
    process = Process(contender, run)
    try:
        yield process
    except RuntimeError as exc:
        message = f"{contender.name}, restore: {exc}\n{process.log_tail()}"
        raise RuntimeError(message) from exc
    finally:
        await asyncio.to_thread(process.stop)


async def _wait_until_committed(offsets: GroupOffsets, process: Process, records: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while await offsets.committed() < records:
        if not process.alive():
            raise RuntimeError("the contender ended by itself")
        if time.monotonic() > deadline:
            raise RuntimeError(f"{records:,} records not committed after {START_SECONDS:.0f} s")
        await asyncio.sleep(POLL_SECONDS)


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
