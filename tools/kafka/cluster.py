"""Three Kafka nodes that replicate to each other, each to be killed, suspended or restarted."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

from tools.kafka.errors import KafkaUnavailable
from tools.kafka.node import TEST_JVM, KafkaNode, Membership, new_cluster_id
from tools.kafka.probe import coordinator, free_ports, leader

#: How long a cluster is asked who leads or coordinates something.
ASK_SECONDS = 60.0


class KafkaCluster:
    """A cluster on 127.0.0.1; a context manager.  Minimum in-sync replicas: 2 of 3.

    Arguments:
        size: number of nodes, each broker and controller.
        advertised: a port for each node that clients are told to connect to, where a proxy must
            listen that leads to the node's ``port``; none: their own ports.
        extra_properties: added to the properties of every node.
        jvm: options of each Java process.
    """

    def __init__(
        self,
        size: int = 3,
        *,
        advertised: Sequence[int] = (),
        extra_properties: Mapping[str, str] | None = None,
        jvm: Sequence[str] = TEST_JVM,
    ) -> None:
        ports, cluster_id = free_ports(3 * size), new_cluster_id()
        voters = {n: ports[n - 1] for n in range(1, size + 1)}
        seen = list(advertised) or [0] * size
        self.nodes = [
            KafkaNode(
                extra_properties=extra_properties,
                jvm=jvm,
                membership=Membership(
                    n,
                    voters,
                    ports[size + n - 1],
                    advertised=seen[n - 1],
                    between=ports[2 * size + n - 1],
                    cluster_id=cluster_id,
                ),
            )
            for n in voters
        ]

    def __repr__(self) -> str:
        alive = sum(node.running for node in self.nodes)
        return f"<KafkaCluster [{alive} of {len(self.nodes)} running]>"

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
    def bootstrap(self) -> str:
        """Hosts and ports of all nodes, separated by commas, as Kafka clients want them."""
        return ",".join(node.bootstrap for node in self.nodes)

    @property
    def running(self) -> list[KafkaNode]:
        """The nodes whose processes are alive."""
        return [node for node in self.nodes if node.running]

    def coordinator(self, group: str) -> KafkaNode:
        """Return the node that coordinates a consumer group.

        Raises:
            KafkaUnavailable: nobody says so within 30 s.
        """
        return self._asked(f"coordinator of group {group!r}", lambda port: coordinator(port, group))

    def transaction_coordinator(self, transactional_id: str) -> KafkaNode:
        """Return the node that coordinates the transactions of a producer.

        Raises:
            KafkaUnavailable: nobody says so within 30 s.
        """
        return self._asked(
            f"coordinator of transactional id {transactional_id!r}",
            lambda port: coordinator(port, transactional_id, transactional=True),
        )

    def leader(self, topic: str, partition: int) -> KafkaNode:
        """Return the node that leads a partition.

        Raises:
            KafkaUnavailable: nobody says so within 30 s.
        """
        return self._asked(
            f"leader of {topic}-{partition}", lambda port: leader(port, topic, partition)
        )

    def _asked(self, what: str, question: Callable[[int], int]) -> KafkaNode:
        """Ask all running nodes, until one names a running node."""
        deadline = time.monotonic() + ASK_SECONDS
        while time.monotonic() < deadline:
            for node in self.running:
                number = question(node.port)
                for other in self.running:
                    if other.node_id == number:
                        return other
            time.sleep(0.1)
        raise KafkaUnavailable(f"{self!r}: no node names the {what}")

    def wait_until_whole(self) -> None:
        """Wait until each node knows all the others.

        Raises:
            KafkaStartError: one of them does not within 90 s.
        """
        for node in self.nodes:
            node.wait_until_answering(brokers=len(self.nodes))

    @property
    def url(self) -> str:
        """The broker URL of an app: hosts separated by semicolons."""
        return "kafka://" + ";".join(node.bootstrap for node in self.nodes)

    def start(self) -> None:
        """Start all nodes at once; return when each knows all the others.

        Raises:
            KafkaStartError: one of them failed; all are closed.
        """
        try:
            for node in self.nodes:
                node.launch()
            self.wait_until_whole()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Kill all nodes and remove their data."""
        for node in self.nodes:
            node.close()
