"""Three Kafka nodes that replicate to each other, each to be killed, suspended or restarted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from tools.kafka.node import TEST_JVM, KafkaNode, Membership, new_cluster_id
from tools.kafka.probe import free_ports


class KafkaCluster:
    """A cluster on 127.0.0.1; a context manager.  Minimum in-sync replicas: 2 of 3.

    Arguments:
        size: number of nodes, each broker and controller.
        extra_properties: added to the properties of every node.
        jvm: options of each Java process.
    """

    def __init__(
        self,
        size: int = 3,
        *,
        extra_properties: Mapping[str, str] | None = None,
        jvm: Sequence[str] = TEST_JVM,
    ) -> None:
        ports, cluster_id = free_ports(2 * size), new_cluster_id()
        voters = {n: ports[n - 1] for n in range(1, size + 1)}
        self.nodes = [
            KafkaNode(
                extra_properties=extra_properties,
                jvm=jvm,
                membership=Membership(n, voters, ports[size + n - 1], cluster_id),
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
            for node in self.nodes:
                node.wait_until_answering(brokers=len(self.nodes))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Kill all nodes and remove their data."""
        for node in self.nodes:
            node.close()
