"""One Kafka process in KRaft mode, broker and controller in one, owned by whoever starts it.

A node that outlives a crashed test run would keep ports, memory and a folder, so each has a
watchdog (`tools.kafka.watchdog`).
"""

from __future__ import annotations

import base64
import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from tools.kafka.errors import KafkaStartError
from tools.kafka.jars import java, kafka_libs
from tools.kafka.probe import free_ports, is_listening, known_brokers
from tools.kafka.watchdog import watch_over

#: Quick to start and light on the other processes of the machine; a benchmark wants the full JIT.
TEST_JVM = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
BENCHMARK_JVM = ("-Xms1g", "-Xmx1g")

#: One node listens 2.5 s after its start, three on two cores after 6.6 s; busy machines exist.
START_TIMEOUT_SECONDS = 150.0
STOP_TIMEOUT_SECONDS = 30.0
_POLL_SECONDS = 0.05

#: Ports are chosen before the node binds them; somebody else may be quicker.
_ATTEMPTS = 3


def new_cluster_id() -> str:
    """Return a cluster id as Kafka wants it: a URL-safe base64 UUID without padding."""
    # A leading dash would read as an option on the command line of the format tool.
    return "A" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:]


@dataclass(frozen=True)
class Membership:
    """A node's place in its cluster."""

    node_id: int = 1
    #: Controller port of every node, by node id; empty: a cluster of one chooses its own.
    voters: Mapping[int, int] = field(default_factory=dict)
    port: int = 0
    #: Port that clients are told to connect to (a proxy's); 0: the node's own.
    advertised: int = 0
    #: Port for the other nodes, where clients are sent elsewhere.
    between: int = 0
    cluster_id: str = field(default_factory=new_cluster_id)


class KafkaNode:
    """A Kafka broker on 127.0.0.1, its data in a temporary folder; a context manager.

    Arguments:
        extra_properties: added to (or replacing) the properties of the node.
        jvm: options of the Java process.
        membership: place in a larger cluster; by default a cluster of one.
    """

    def __init__(
        self,
        *,
        extra_properties: Mapping[str, str] | None = None,
        jvm: Sequence[str] = TEST_JVM,
        membership: Membership | None = None,
    ) -> None:
        self._extra = dict(extra_properties or {})
        self._jvm = tuple(jvm)
        self._given = membership
        self._membership = membership or Membership()
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None

    def __repr__(self) -> str:
        state = f"pid {self.pid}" if self.running else "not running"
        return f"<KafkaNode {self._membership.node_id} [{self.bootstrap} | {state}]>"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def port(self) -> int:
        """The port that it listens on for clients."""
        return self._membership.port

    @property
    def node_id(self) -> int:
        """Its number in the cluster."""
        return self._membership.node_id

    @property
    def bootstrap(self) -> str:
        """Host and port, as Kafka clients want them: its own, or those of its proxy."""
        return f"127.0.0.1:{self._membership.advertised or self.port}"

    @property
    def url(self) -> str:
        """The broker URL of an app."""
        return f"kafka://{self.bootstrap}"

    @property
    def running(self) -> bool:
        """Whether the process is alive (suspended counts as alive)."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Process id of the node.

        Raises:
            ProcessLookupError: the node is not running.
        """
        if self._process is None or self._process.poll() is not None:
            raise ProcessLookupError(f"{self._membership.node_id}: the node is not running")
        return self._process.pid

    def start(self) -> None:
        """Format the node where it is new, start it, and wait until it answers.

        Raises:
            KafkaUnavailable: Java or the jars are missing.
            KafkaStartError: it ended or did not answer in time; it is killed, and the message
                carries the end of its log.
        """
        for attempt in range(_ATTEMPTS):
            self.launch()
            try:
                self.wait_until_answering()
                return
            except KafkaStartError as exc:
                taken = "Address already in use" in str(exc)
                if not taken or self._given is not None or attempt == _ATTEMPTS - 1:
                    raise
                self.close()

    def launch(self) -> None:
        """Format the node where it is new and start its process, without waiting for it."""
        if self.running:
            return
        if self._folder is None:
            self._format()
        command = [java(), *self._jvm, *self._logging(), "-cp", self._classpath()]
        command += ["kafka.Kafka", str(self._properties_path)]
        with open(self.log_path, "ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                start_new_session=True,  # Ctrl-C is for the test run, which then stops us.
            )
        self._watch(self._process.pid)

    def wait_until_answering(
        self, brokers: int = 1, timeout: float = START_TIMEOUT_SECONDS
    ) -> None:
        """Wait until the node answers and knows ``brokers`` live brokers.

        Raises:
            KafkaStartError: it ended, or ``timeout`` seconds passed; the process is killed.
        """
        deadline = time.monotonic() + timeout
        while known_brokers(self.port) < brokers:
            if not self.running:
                raise KafkaStartError(f"{self!r} ended while it started:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                self.kill()
                message = f"{self!r} did not answer within {timeout:.0f} s"
                raise KafkaStartError(f"{message}:\n{self.log_tail()}")
            time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """Shut down in order (SIGTERM), by force after 30 s; return when the port is closed."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the process (SIGKILL); return when the port is closed.  Data stay for a restart."""
        self._end(signal.SIGKILL)

    def suspend(self) -> None:
        """Stop the process in its tracks (SIGSTOP): connections stay open, nobody answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a suspended process go on (SIGCONT)."""
        os.kill(self.pid, signal.SIGCONT)

    def restart(self) -> None:
        """Stop the node if it runs and start it again on its data and ports."""
        self.stop()
        self.launch()
        self.wait_until_answering()

    def close(self) -> None:
        """Kill the process and remove its data; the next start is that of a new node."""
        self.kill()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    @property
    def folder(self) -> Path:
        """The temporary folder with data, properties and log of the node."""
        if self._folder is None:
            raise RuntimeError("a node has a folder from its start to its close")
        return self._folder

    @property
    def log_path(self) -> Path:
        """The broker's own log, standard error included."""
        return self.folder / "node.log"

    def log_tail(self, lines: int = 60) -> str:
        """Return the last ``lines`` of the node's log, for a failure's message."""
        if self._folder is None or not self.log_path.exists():
            return "(no log)"
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])

    # -- inside

    @property
    def _properties_path(self) -> Path:
        return self.folder / "node.properties"

    def _classpath(self) -> str:
        return f"{kafka_libs()}/*"

    def _logging(self) -> list[str]:
        prefix = "-Dorg.slf4j.simpleLogger."
        return [f"{prefix}defaultLogLevel=info", f"{prefix}showDateTime=true"]

    def _format(self) -> None:
        classpath, program = self._classpath(), java()
        if self._given is None:
            port, controller = free_ports(2)
            self._membership = Membership(1, {1: controller}, port)
        self._folder = Path(tempfile.mkdtemp(prefix="faust-kafka-"))
        lines = [f"{name}={value}" for name, value in self._properties().items()]
        self._properties_path.write_text("\n".join(lines) + "\n")
        tool = ["kafka.tools.StorageTool", "format", "-t", self._membership.cluster_id]
        command = [program, *TEST_JVM, "-cp", classpath, *tool, "-c", str(self._properties_path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
        if done.returncode != 0:
            self.close()
            raise KafkaStartError(f"formatting a node failed:\n{done.stdout}{done.stderr}")

    def _properties(self) -> dict[str, str]:
        me = self._membership
        voters = ",".join(f"{n}@127.0.0.1:{port}" for n, port in me.voters.items())
        replicas = str(min(3, len(me.voters)))
        in_sync = "2" if len(me.voters) > 2 else "1"
        return {
            "process.roles": "broker,controller",
            "node.id": str(me.node_id),
            "controller.quorum.voters": voters,
            "listeners": f"PLAINTEXT://127.0.0.1:{me.port},"
            f"CONTROLLER://127.0.0.1:{me.voters[me.node_id]}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{me.port}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            **(self._behind_a_proxy() if me.advertised else {}),
            "log.dirs": str(self.folder / "data"),
            "auto.create.topics.enable": "false",
            # Tests send records of any age; none goes at a moment that nobody has chosen.
            "log.retention.ms": "-1",
            "group.initial.rebalance.delay.ms": "0",
            "num.partitions": "4",
            "default.replication.factor": replicas,
            "min.insync.replicas": in_sync,
            "offsets.topic.num.partitions": "4",
            "offsets.topic.replication.factor": replicas,
            "transaction.state.log.num.partitions": "4",
            "transaction.state.log.replication.factor": replicas,
            "transaction.state.log.min.isr": in_sync,
            **self._extra,
        }

    def _behind_a_proxy(self) -> dict[str, str]:
        """Clients are sent to the proxy; the nodes speak to each other without it."""
        me = self._membership
        return {
            "listeners": f"PLAINTEXT://127.0.0.1:{me.port},BETWEEN://127.0.0.1:{me.between},"
            f"CONTROLLER://127.0.0.1:{me.voters[me.node_id]}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{me.advertised},"
            f"BETWEEN://127.0.0.1:{me.between}",
            "inter.broker.listener.name": "BETWEEN",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,BETWEEN:PLAINTEXT,"
            "CONTROLLER:PLAINTEXT",
        }

    def _watch(self, pid: int) -> None:
        self._watchdog = watch_over(pid, self.folder)

    def _end(self, how: signal.Signals) -> None:
        if self._watchdog is not None:  # First: it must never see a process id used again.
            self._watchdog.kill()
            self._watchdog.wait()
            self._watchdog = None
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(how)
            self._process.send_signal(signal.SIGCONT)
            try:
                self._process.wait(STOP_TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None
        self._wait_until_port_closed()

    def _wait_until_port_closed(self) -> None:
        deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
        while is_listening(self.port):
            if time.monotonic() > deadline:
                raise TimeoutError(f"port {self.port} is still open after {self!r} ended")
            time.sleep(_POLL_SECONDS)
