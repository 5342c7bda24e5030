"""Several workers of one app in one process: started, stopped, frozen and killed at will.

Each worker is an `App` object of its own, made by the scenario's ``make_app``, in a simulated
process of its own (`faust.testing.processes`), with a disk that survives it, on one memory broker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any

from faust._values import TP
from faust.exceptions import BrokerUnavailable, ProducerSendError, RetryableError
from faust.testing.bridge import CrossingBridge
from faust.testing.broker import find_broker, forget_broker
from faust.testing.clock import VirtualClock
from faust.testing.disk import Disk, disk_at, forget_disks
from faust.testing.journal import Journal
from faust.testing.network import Network
from faust.testing.processes import Process, SimulationLoop, current_process

if TYPE_CHECKING:
    from faust.app.base import App
    from faust.transport.drivers.memory import MemoryBroker

__all__ = ["OUTSIDE", "Harness", "Worker", "WorkerEnvironment"]

_numbers = count(1)

#: What may end a worker, and what nobody need hear of: the broker, or the disk, is to blame.
OUTSIDE = (BrokerUnavailable, RetryableError, ProducerSendError, OSError)


@dataclass
class WorkerEnvironment:
    """What ``make_app`` is given.

    Attributes:
        name: Name of the worker's process.
        broker_url: Where the broker is.
        datadir: The worker's own data directory.
        settings: Settings for the app: store, time-outs, commit interval.
        journal: Where agents say what they do.
        random: For what agents do by chance.
        clock: The worker's clock.
    """

    name: str
    broker_url: str
    datadir: str
    settings: dict[str, Any]
    journal: Journal
    random: Random
    clock: VirtualClock

    def begin(self, event: Any) -> None:
        """The agent has been handed an event."""
        self.journal.begin(*_place(event))

    def end(self, event: Any) -> None:
        """The agent is done with it, or gives it up."""
        self.journal.end(*_place(event))

    def end_of(self, reader: str, event: Any) -> None:
        """As `end`, where that is not known from the context."""
        self.journal.end(reader, *_place(event)[1:])

    @staticmethod
    def is_outside(exc: BaseException) -> bool:
        """Is the broker, or the disk, to blame?"""
        return isinstance(exc, OUTSIDE)

    async def work(self) -> None:
        """Take some time, or none, or very long."""
        chance = self.random.random()
        if chance < 0.3:
            await asyncio.sleep(0)
        elif chance < 0.4:
            await self.clock.sleep(self.random.random() * 0.02)
        elif chance < 0.403:
            await self.clock.sleep(self.random.random() * 2.0)


def _place(event: Any) -> tuple[str, TP, int, int]:
    from faust._inprogress import current_stream

    stream = current_stream()
    message = event.message
    reader = "" if stream is None else stream.reader
    tp = TP(message.topic, message.partition)
    return reader, tp, message.offset, message.generation_id


@dataclass(eq=False)
class Worker:
    """One machine, and the process of the app that runs there, if one does.

    Attributes:
        name: The machine's name.
        process: The present process, or the last.
        app: Its app; that of the process before, until it is made.
        failures: Why its processes have ended by themselves.
    """

    name: str
    datadir: str
    process: Process | None = None
    app: App | None = None
    starts: int = 0
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    ended: bool = True
    failures: list[BaseException] = field(default_factory=list)

    @property
    def running(self) -> bool:
        """Is there a process that lives?"""
        return not self.ended and self.process is not None and self.process.alive

    @property
    def live_app(self) -> App | None:
        """The app of the process that lives, once it is made."""
        if not self.running or self.app is None or self.process is None:
            return None
        return self.app if self.app.writer_id == self.process.name else None

    @property
    def ready(self) -> bool:
        """Is it processing all that is its own?"""
        app = self.live_app
        return app is not None and not app.not_ready_because()

    @property
    def sources(self) -> list[TP]:
        """The source partitions that it has."""
        app = self.live_app
        engine = None if app is None else app.engine
        return [] if engine is None else [tp for t in engine.tasks.values() for tp in t.sources]


class Harness:
    """The world of one simulation.

    Arguments:
        loop: The loop it runs on.
        make_app: Makes the app of one worker.
        seed: Draws everything that happens by chance.
        settings: Settings for every app.
        shares_disk: Are all workers on one machine?
    """

    def __init__(
        self,
        loop: SimulationLoop,
        make_app: Callable[[WorkerEnvironment], App],
        *,
        seed: int,
        workers: int,
        directory: str,
        settings: Mapping[str, Any],
        shares_disk: bool = False,
    ) -> None:
        self.loop = loop
        self.seed = seed
        self.random = Random(seed)
        self.clock = VirtualClock(loop)
        self.journal = Journal()
        self._name = f"simulation-{next(_numbers)}"
        self._directory = f"{directory}/{self._name}"
        self._make_app = make_app
        self._settings = dict(settings)
        self.session_timeout = float(settings.get("broker_session_timeout", 60.0))
        self.broker: MemoryBroker = find_broker(self._name)
        self._broker_clock = self.broker.clock = VirtualClock(loop)
        #: What has passed while nobody ran: wall clocks of new processes begin so much later.
        self.passed = 0.0
        self.broker.cluster_id = "simulated"
        self.network = self.broker.faults = Network(self.broker, Random(seed + 1))
        self.shares_disk = shares_disk
        self.workers = [
            Worker(f"w{n}", f"{self._directory}/w{0 if shares_disk else n}") for n in range(workers)
        ]
        self._buried: list[Process] = []
        self._watch_commits()

    def _watch_commits(self) -> None:
        groups, journal = self.broker.groups, self.journal
        commit = groups.commit

        def watched(group_id: str, offsets: Any) -> Any:
            refused = commit(group_id, offsets)
            kept = {tp: each for tp, each in offsets.items() if tp not in refused}
            journal.commit(current_process(), kept, self._incarnations())
            return refused

        committed = groups.committed

        def seen(group_id: str, tps: Any) -> Any:
            found = committed(group_id, tps)
            # Who follows what others commit does not begin there.
            task = asyncio.current_task()
            if task is None or task.get_name() not in ("faust-standbys", "faust-followers"):
                journal.read(current_process(), found)
            return found

        # A simulation looks over its broker's shoulder.
        groups.commit = watched  # type: ignore[method-assign]
        groups.committed = seen  # type: ignore[method-assign]

    def _incarnations(self) -> dict[TP, int]:
        """Return the runs of tasks that the process that is running now has."""
        process = current_process()
        for worker in self.workers:
            engine = None if worker.app is None else worker.app.engine
            if worker.process is process and engine is not None:
                return {tp: t.run.incarnation for t in engine.tasks.values() for tp in t.sources}
        return {}

    # -- workers ---------------------------------------------------------------------------

    def disk(self, worker: Worker) -> Disk:
        """Return the disk of a worker's tables."""
        app = worker.app
        assert app is not None
        return disk_at(app.conf.tabledir)

    def start(self, worker: Worker) -> None:
        """Start a worker's process."""
        assert not worker.running, worker
        worker.starts += 1
        worker.ended = False
        worker.asked = asyncio.Event()
        process = worker.process = Process(f"{worker.name}.{worker.starts}")
        self.journal.note("start", process.name)
        process.start(self._live(worker, process, worker.asked))

    async def _live(self, worker: Worker, process: Process, asked: asyncio.Event) -> None:
        clock = VirtualClock(self.loop)
        clock.jump(self.passed)
        environment = WorkerEnvironment(
            process.name,
            self.broker.url,
            worker.datadir,
            self._settings,
            self.journal,
            Random(f"{self.seed}{process.name}"),
            clock,
        )
        app = worker.app = self._make_app(environment)
        app.clock = clock
        app.make_bridge = lambda: CrossingBridge(Random(f"{self.seed}{process.name}bridge"))
        app.writer_id = process.name
        app.transactional_id = worker.name
        failure: BaseException | None = None
        try:
            await self._start_app(app, asked)
            await self._until_it_ends(app, asked)
        except Exception as exc:
            failure = exc
        try:
            await app.stop()
        except Exception as exc:
            failure = failure or exc
        failure = app.failure or failure
        if failure is not None:
            worker.failures.append(failure)
        self.journal.note("ended", process.name, type(failure).__name__)
        worker.ended = True

    @staticmethod
    async def _start_app(app: App, asked: asyncio.Event) -> None:
        """As a worker does: who is told to stop while it starts does not go on with that."""
        starting, told = asyncio.ensure_future(app.start()), asyncio.ensure_future(asked.wait())
        try:
            await asyncio.wait({starting, told}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                await starting
            else:
                starting.cancel()
                await asyncio.gather(starting, return_exceptions=True)
        finally:
            told.cancel()

    @staticmethod
    async def _until_it_ends(app: App, asked: asyncio.Event) -> None:
        waiting = [asyncio.ensure_future(app.failed.wait()), asyncio.ensure_future(asked.wait())]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()

    def pass_by(self, seconds: float) -> None:
        """So much time passes at the broker, and for who is started from now on.  Nobody runs."""
        self.passed += seconds
        self._broker_clock.jump(seconds)

    def kill(self, worker: Worker) -> None:
        """SIGKILL."""
        if worker.process is not None and worker.running:
            self.journal.note("kill", worker.process.name)
            worker.process.kill()
            self._buried.append(worker.process)

    def ask_to_stop(self, worker: Worker) -> None:
        """SIGTERM."""
        self.journal.note("term", worker.name)
        worker.asked.set()

    async def until_ended(self, worker: Worker, patience: float) -> bool:
        """Wait until a worker's process has ended; ``False`` if it has not by then."""
        deadline = self.clock.monotonic() + patience
        while worker.running and self.clock.monotonic() < deadline:
            await self.clock.sleep(0.05)
        return not worker.running

    # -- what there is -----------------------------------------------------------------------

    def records(self, topic: str) -> Iterator[tuple[TP, Any]]:
        """Iterate over all records of a topic, each partition's in order."""
        for log in self.broker.topic(topic).logs:
            position = log.state.start
            while position < log.state.end:
                batches, position = log.read(position, 1 << 24, committed=True)
                for batch in batches:
                    for record in batch.records():
                        yield log.tp, record

    def ends(self, topics: list[str]) -> dict[TP, int]:
        """Return the ends of the logs of some topics."""
        return {log.tp: log.state.end for t in topics for log in self.broker.topic(t).logs}

    def committed(self, group_id: str, tps: list[TP]) -> dict[TP, int]:
        """Return what is committed for some partitions."""
        found = self.broker.groups.committed(group_id, tps) or {}
        return {tp: commit.offset for tp, commit in found.items()}

    def table(self, name: str, *, committed: bool = False) -> tuple[dict[Any, Any], list[str]]:
        """Return what a table holds over all workers, and keys that two workers have.

        Arguments:
            committed: Only what a crash cannot take back.
        """
        contents: dict[Any, Any] = {}
        twice: list[str] = []
        for worker in self.workers:
            app = worker.live_app
            if app is None:
                continue
            table = app.tables[name]
            for piece in table.slices.values():
                load_key, load_value = piece.codec.load_key, piece.codec.load_value
                kept = ((load_key(raw), load_value(data)) for raw, data in piece.store.items())
                for key, value in kept if committed else piece.items():
                    if key in contents:
                        twice.append(f"I4 tables: {name}: two workers have {key!r}")
                    contents[key] = value
        return contents, twice

    # -- the end -----------------------------------------------------------------------------

    async def end(self) -> None:
        """Take everything down."""
        self.network.weather.latency = 0.0
        for process in self._buried:
            process.exhume()
        for client in self.broker.clients:
            client.is_killed = True
            client.wake()
        me = asyncio.current_task()
        for _ in range(200):
            left = [task for task in asyncio.all_tasks() if task is not me]
            if not left:
                break
            for task in left:
                task.cancel()
            await asyncio.sleep(0)
        forget_broker(self._name)
        forget_disks(self._directory)
