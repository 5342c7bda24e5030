"""Worker processes of one app: started, killed, replaced, asked for what they have."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from faults_marks import Marks

from tools.kafka.probe import free_ports

__all__ = ["Cluster", "Plan", "WorkerProcess"]

HERE = Path(__file__).parent
#: Longer than anything that a worker may take to end by itself (seconds).
EXIT_PATIENCE = 90.0
#: A group has settled when there was no rebalance for so long (seconds); how often to look.
QUIET, SETTLES = 2.0, 15
#: How often to look whether a process has started, with a tenth of a second in between.
START_LOOKS = 300
#: Lines of each log that a failure shows.
LOG_LINES = 60


@dataclass(frozen=True)
class Plan:
    """What a run is made of.

    Attributes:
        app: Unique; names of topics are made of it.
        broker: URL.
        store: URL.
        session: Session time-out (seconds).
        directory: Where data and logs go.
        guarantee: ``at_least_once`` or ``exactly_once``.
        replicas: Of each topic that the app makes.
        source: Name of the topic that the workers read; by default one of their own.
        heartbeat: Seconds between two; by default a fifth of the session.
    """

    app: str
    broker: str
    store: str
    session: float
    directory: Path
    partitions: int = 6
    commit_interval: float = 0.3
    guarantee: str = "at_least_once"
    source: str = ""
    replicas: int = 1
    heartbeat: float | None = None

    @property
    def driver(self) -> str:
        """The broker's kind."""
        return self.broker.partition(":")[0]

    @property
    def events(self) -> str:
        """Topic that the workers read."""
        return self.source or f"{self.app}-events"

    @property
    def sink(self) -> str:
        """Topic that they send to."""
        return f"{self.app}-sink"


@dataclass(eq=False)
class WorkerProcess:
    """One incarnation of a worker.

    Attributes:
        name: Unique in a run; stands in what it sends.
        slot: Which data directory it uses.
        killed: Was it killed on purpose?
    """

    name: str
    slot: int
    port: int
    log: Path
    marks: Marks
    process: subprocess.Popen[bytes]
    killed: bool = False

    @property
    def alive(self) -> bool:
        """Has the process not ended?"""
        return self.process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, and wait until it is dead."""
        self.killed = True
        self.process.kill()
        self.process.wait(EXIT_PATIENCE)

    def get(self, path: str, timeout: float = 10.0) -> Any:
        """Return what its web server answers; ``None`` if it does not."""
        try:
            url = f"http://127.0.0.1:{self.port}{path}"
            with urllib.request.urlopen(url, timeout=timeout) as answer:
                return json.loads(answer.read())
        except (urllib.error.URLError, OSError, ValueError):
            return None

    def status(self, path: str) -> tuple[int, str]:
        """Return the status and text that its web server answers; 0 if it does not."""
        try:
            url = f"http://127.0.0.1:{self.port}{path}"
            with urllib.request.urlopen(url, timeout=5.0) as answer:
                return answer.status, ""
        except urllib.error.HTTPError as exc:
            with exc:
                return exc.code, exc.read().decode(errors="replace")
        except OSError:
            return 0, ""

    def block(self, seconds: float) -> None:
        """Block its event loop from inside the next event that is slow anyway."""
        file = self.marks_file.with_name(self.marks_file.name + ".block")
        file.write_text(str(seconds))

    @property
    def blocked(self) -> int:
        """How many blocks of a second or more have begun and ended."""
        text = self.log.read_text(errors="replace")
        return text.count("blocking is over") - text.count("blocking for 0.0 s")

    @property
    def marks_file(self) -> Path:
        """Where its marks are."""
        return self.log.with_suffix(".marks")

    def tail(self) -> str:
        """Return the end of its log."""
        lines = self.log.read_text(errors="replace").splitlines()[-LOG_LINES:]
        status = "running" if self.alive else f"status {self.process.returncode}"
        return "\n".join([f"--- {self.name} (slot {self.slot}, {status}) {self.log}", *lines])


@dataclass
class Tables:
    """What the workers hold together, and who holds what."""

    count: dict[str, int] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    owners: dict[int, str] = field(default_factory=dict)
    trouble: str = ""


class Cluster:
    """The workers of one run; all are dead when it is left, whatever happened."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.workers: list[WorkerProcess] = []
        self.tolerated: str = ""  # part of a reason for not being ready that is as it should be
        plan.directory.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for worker in self.living():
            worker.kill()
        for worker in self.workers:
            assert worker.process.stdin is not None
            worker.process.stdin.close()
        if error is not None:
            error.add_note(self.logs())

    def logs(self) -> str:
        """Return the ends of all logs, the latest incarnations last."""
        return "\n\n".join(worker.tail() for worker in self.workers)

    def living(self) -> list[WorkerProcess]:
        """Return the workers that have not ended."""
        return [worker for worker in self.workers if worker.alive]

    # -- starting ------------------------------------------------------------------------

    def start(self, slot: int, **environment: str) -> WorkerProcess:
        """Start a worker on the data directory of a slot."""
        (port,) = free_ports(1)
        name = f"w{len(self.workers)}"
        log = self.plan.directory / f"{name}.log"
        marks = self.plan.directory / f"{name}.marks"
        made = Marks(marks)
        with open(log, "wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "faust", "-A", "faults_app", *self._arguments(slot, port)],
                env={**os.environ, **self._environment(name, marks), **environment},
                cwd=HERE,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the test run, which then ends us
            )
        worker = WorkerProcess(name, slot, port, log, made, process)
        self.workers.append(worker)
        return worker

    def _arguments(self, slot: int, port: int) -> list[str]:
        directory = ["--datadir", str(self.data(slot))]
        web = ["--web-port", str(port), "--web-bind", "127.0.0.1"]
        return [*directory, "worker", "-l", "INFO", *web]

    def _environment(self, name: str, marks: Path) -> dict[str, str]:
        plan = self.plan
        return {
            "PYTHONPATH": os.pathsep.join([str(HERE.parent.parent), str(HERE)]),
            "FAULTS_NAME": name,
            "FAULTS_APP": plan.app,
            "FAULTS_BROKER": plan.broker,
            "FAULTS_STORE": plan.store,
            "FAULTS_PARTITIONS": str(plan.partitions),
            "FAULTS_SESSION": str(plan.session),
            "FAULTS_HEARTBEAT": str(plan.heartbeat or plan.session / 5),
            "FAULTS_COMMIT_INTERVAL": str(plan.commit_interval),
            "FAULTS_GUARANTEE": plan.guarantee,
            "FAULTS_REPLICAS": str(plan.replicas),
            "FAULTS_EVENTS": plan.events,
            "FAULTS_SINK": plan.sink,
            "FAULTS_MARKS": str(marks),
        }

    def data(self, slot: int) -> Path:
        """Return the data directory of a slot."""
        return self.plan.directory / f"data-{slot}"

    def wipe(self, slot: int) -> None:
        """Delete the data directory of a slot."""
        shutil.rmtree(self.data(slot), ignore_errors=True)

    # -- watching ------------------------------------------------------------------------

    def check_alive(self) -> None:
        """Nobody may have ended by himself."""
        for worker in self.workers:
            if not worker.alive and not worker.killed:
                raise AssertionError(f"{worker.name} ended with {worker.process.returncode}")

    async def tables(self, timeout: float = 150.0) -> Tables:
        """Return what the living workers hold together, once they hold everything.

        Raises:
            AssertionError: they did not within the time.
        """
        deadline = time.monotonic() + timeout
        while True:
            found = await asyncio.to_thread(self._tables_now)
            if not found.trouble:
                return found
            self.check_alive()
            if time.monotonic() > deadline:
                raise AssertionError(f"not ready within {timeout:.0f} s: {found.trouble}")
            await asyncio.sleep(0.2)

    def _tables_now(self) -> Tables:
        found = Tables()
        for worker in self.living():
            answer = worker.get("/dump/")
            reason = "no answer" if answer is None else answer["waiting_for"]
            if answer is None or (reason and not (self.tolerated and self.tolerated in reason)):
                found.trouble = f"{worker.name}: {reason}"
                return found
            for name, into in (("count", found.count), ("last", found.last)):
                twice = into.keys() & answer[name].keys()
                if twice:
                    found.trouble = f"{worker.name} and another have {sorted(twice)[:5]}"
                into.update(answer[name])
            for partition in answer["partitions"]:
                found.owners[partition] = worker.name
        missing = set(range(self.plan.partitions)) - found.owners.keys()
        if missing:
            found.trouble = f"nobody has the partitions {sorted(missing)}"
        return found

    async def started(self) -> None:
        """Wait until the processes are there (on a busy machine Python alone takes seconds)."""
        for worker in self.living():
            for _ in range(START_LOOKS):
                if (await asyncio.to_thread(worker.status, "/health"))[0] or not worker.alive:
                    break
                await asyncio.sleep(0.1)

    def rounds(self) -> dict[str, int]:
        """Return how many rebalances each living worker has seen, as far as it answers."""
        answers = {worker.name: worker.get("/dump/") for worker in self.living()}
        return {name: answer["rounds"] for name, answer in answers.items() if answer}

    async def settled(self) -> dict[str, int]:
        """Wait until no rebalance has followed another for a while; return how many there were.

        When a worker has joined, its tasks come as soon as their tables have been copied.
        """
        before = await asyncio.to_thread(self.rounds)
        for _ in range(SETTLES):
            await asyncio.sleep(QUIET)
            now = await asyncio.to_thread(self.rounds)
            if now == before:
                break
            before = now
        return before

    async def balanced(self) -> None:
        """Wait until each of the living has as many partitions as any other, or one more."""
        while True:
            owners = Counter((await self.tables()).owners.values())
            counts = [owners[worker.name] for worker in self.living()]
            if max(counts) - min(counts) <= 1:
                return
            await asyncio.sleep(0.2)

    # -- ending --------------------------------------------------------------------------

    async def terminate(self, *workers: WorkerProcess, any_status: bool = False) -> None:
        """SIGTERM: each must end by itself with status 0, or with any."""
        for worker in workers:
            worker.killed = True  # by a signal, on purpose
            worker.signal(signal.SIGTERM)
        for worker in workers:
            status = await asyncio.to_thread(worker.process.wait, EXIT_PATIENCE)
            assert any_status or status == 0, f"{worker.name} ended with {status} after SIGTERM"

    async def until(self, what: str, condition: Callable[[], bool], timeout: float = 150.0) -> None:
        """Wait for something.

        Raises:
            AssertionError: it did not come within the time.
        """
        deadline = time.monotonic() + timeout
        while not condition():
            self.check_alive()
            assert time.monotonic() < deadline, f"{what}: not within {timeout:.0f} s"
            await asyncio.sleep(0.02)
