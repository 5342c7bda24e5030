"""A benchmark's world: one broker, its topics, and one contender at a time as a process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.contenders import Contender, Run
from benchmarks.load import Batch, build_batches, create_topic, fill
from benchmarks.meter import GroupOffsets, Meter, watch
from tools.kafka.watchdog import watch_over

PARTITIONS = 4
COMMIT_MS = 250
COMPACT = {"cleanup.policy": "compact"}

#: A JVM or a rebalance may take its time to start; a figure must not wait for ever.
START_SECONDS = 120.0
STOP_SECONDS = 15.0
#: Records in the pool that topics are filled from: every one of 200,000 keys several times.
POOL_RECORDS = 1_000_000


@dataclass(frozen=True)
class Figure:
    """What one run came to."""

    records_per_second: float
    seconds: float
    load: float


@dataclass
class Session:
    """Runs contenders against one broker.

    Arguments:
        records: how many records each source topic holds.
        warm_up: records before a figure begins.
        seconds: length of a figure.
    """

    bootstrap: str
    records: int
    warm_up: int
    seconds: float
    _topics: dict[int, tuple[str, int]] = field(default_factory=dict)
    _turn: int = 0

    async def source(self, keys: int) -> tuple[str, int]:
        """Return name and size of a topic of payments over ``keys`` accounts, filled once."""
        if keys not in self._topics:
            name = f"payments-{keys}"
            await create_topic(self.bootstrap, name, partitions=PARTITIONS)
            sent = await fill(self.bootstrap, name, self.pool(keys), self.records)
            self._topics[keys] = name, sent
        return self._topics[keys]

    def pool(self, keys: int) -> list[Batch]:
        """Build the record batches that topics over ``keys`` accounts are filled from."""
        return build_batches(min(POOL_RECORDS, self.records), keys=keys, partitions=PARTITIONS)

    async def measure(self, contender: Contender, work: str, keys: int) -> Figure:
        """Run ``contender`` once from the start of the topic and take its figure."""
        topic, end = await self.source(keys)
        meter = Meter(self.warm_up, self.seconds)
        limit = START_SECONDS + meter.warm_up_seconds + 2 * self.seconds
        async with (
            self.running(contender, work, topic) as (run, process),
            GroupOffsets(self.bootstrap, run.group, topic) as offsets,
        ):
            await watch(offsets, meter, end=end, alive=process.alive, limit=limit)
        return Figure(meter.rate, meter.covered_seconds, os.getloadavg()[0])

    @contextlib.asynccontextmanager
    async def running(
        self, contender: Contender, work: str, topic: str
    ) -> AsyncIterator[tuple[Run, Process]]:
        """Start ``contender`` as a new group with topics and a directory of its own; stop it."""
        with tempfile.TemporaryDirectory(prefix="faust-benchmark-") as directory:
            run = await self.new_run(contender, work, topic, Path(directory))
            process = Process(contender, run)
            try:
                yield run, process
            except RuntimeError as exc:
                message = f"{contender.name}, {work}: {exc}\n{process.log_tail()}"
                raise RuntimeError(message) from exc
            finally:
                await asyncio.to_thread(process.stop)

    async def new_run(self, contender: Contender, work: str, topic: str, directory: Path) -> Run:
        """Return a run under a group name never used before, with its output topic made."""
        self._turn += 1
        group = f"{contender.name}-{work}-{self._turn}"
        out, config = f"{group}-out", COMPACT if work.startswith("count") else None
        await create_topic(self.bootstrap, out, partitions=PARTITIONS, config=config)
        return Run(self.bootstrap, group, topic, out, work, PARTITIONS, COMMIT_MS, directory)


class Process:
    """A contender that runs, its output in a file for the message when it fails."""

    def __init__(self, contender: Contender, run: Run) -> None:
        self._log = run.directory / f"{contender.name}.log"
        environment = {**os.environ, **contender.environment(run)}
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen(
                contender.command(run),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=run.directory,
                env=environment,
                start_new_session=True,
            )
        self._watchdog = watch_over(self._process.pid, run.directory)

    def alive(self) -> bool:
        """Tell whether it has not ended."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End it: asked first (SIGTERM), forced after 15 s."""
        self._watchdog.kill()
        self._watchdog.wait()
        if not self.alive():
            return
        os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def log_tail(self, lines: int = 30) -> str:
        """Return the end of what it printed."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])
