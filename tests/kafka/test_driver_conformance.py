"""The published conformance suite, on a real Kafka."""

from __future__ import annotations

import pytest

from faust.testing.conformance import COMMON, World
from faust.transport.base import Transport
from faust.transport.drivers.aiokafka.driver import KafkaTransport
from tools.kafka import KafkaNode

pytestmark = pytest.mark.kafka


class KafkaWorld(World):
    """The node that was started for the run."""

    def __init__(self, node: KafkaNode) -> None:
        super().__init__()
        self._node = node

    def url(self) -> str:
        return self._node.url

    def driver(self) -> type[Transport]:
        return KafkaTransport


class TestKafka(*COMMON):  # type: ignore[misc]
    @pytest.fixture(autouse=True)
    def _node(self, kafka: KafkaNode) -> None:
        self.node = kafka

    def make_world(self) -> World:
        return KafkaWorld(self.node)
