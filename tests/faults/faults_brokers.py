"""Three Kafka nodes, each behind a proxy; what a test needs to trouble them, and to end that."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Self

from faust.testing import TcpProxy
from tools.kafka import KafkaCluster, KafkaNode
from tools.kafka.probe import free_ports

__all__ = ["SIZE", "Brokers"]

#: How many nodes.
SIZE = 3
#: A dead broker is noticed after 9 s by default, and nothing that it leads or replicates is
#: acknowledged meanwhile.
PROPERTIES = {"broker.session.timeout.ms": "5000", "broker.heartbeat.interval.ms": "1000"}


class Brokers:
    """A cluster to whose nodes clients come through proxies; a context manager.

    Attributes:
        cluster: The nodes.
        proxies: Those that lead to them, in the order of the nodes.
    """

    def __init__(self) -> None:
        ports = free_ports(SIZE)
        self.cluster = KafkaCluster(SIZE, advertised=ports, extra_properties=PROPERTIES)
        self._ports = ports
        self.proxies: list[TcpProxy] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self.cluster)
            for node, port in zip(self.cluster.nodes, self._ports, strict=True):
                proxy = TcpProxy(f"127.0.0.1:{node.port}", port=port)
                self.proxies.append(stack.enter_context(proxy))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def url(self) -> str:
        """The broker URL of an app."""
        return self.cluster.url

    def proxy(self, node: KafkaNode) -> TcpProxy:
        """Return the proxy that leads to a node."""
        return self.proxies[self.cluster.nodes.index(node)]

    def heal(self) -> None:
        """Let everything be as it was: nodes run and know each other, proxies forward."""
        for node in self.cluster.nodes:
            if node.running:
                node.resume()
            else:
                node.launch()
        for proxy in self.proxies:
            proxy.heal()
        self.cluster.wait_until_whole()
