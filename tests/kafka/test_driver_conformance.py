"""The published conformance suite, on a real Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from faust.testing.conformance import COMMON, TRANSACTIONS, World
from faust.transport.base import Membership, Transport
from faust.transport.drivers.aiokafka.driver import KafkaTransport
from tests.support.kafka_fixture import require_kafka
from tools.kafka import KafkaNode

pytestmark = pytest.mark.kafka

#: So that the log cleaner and the look at retention do not take minutes to come round.
_LOOK_SECONDS = 0.5
_PROPERTIES = {
    "log.cleaner.backoff.ms": "200",
    "log.retention.check.interval.ms": "500",
    "log.initial.task.delay.ms": "500",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
}


class KafkaWorld(World):
    """One node for all tests, with an eager log cleaner."""

    def __init__(self, node: KafkaNode) -> None:
        super().__init__()
        self._node = node

    def url(self) -> str:
        return self._node.url

    def driver(self) -> type[Transport]:
        return KafkaTransport

    def member(self, transport: Transport, group_id: str, **options: Any) -> Membership:
        # Of a group of type "consumer", Kafka 4 parses what members join with.
        return super().member(transport, group_id, **({"protocol_type": "conformance"} | options))

    async def maintain(self, transport: Transport) -> None:
        await asyncio.sleep(2 * _LOOK_SECONDS)


@pytest.fixture(scope="module")
def eager_kafka() -> Iterator[KafkaNode]:
    require_kafka()
    with KafkaNode(extra_properties=_PROPERTIES) as node:
        yield node


class TestKafka(*COMMON, *TRANSACTIONS):  # type: ignore[misc]
    @pytest.fixture(autouse=True)
    def _node(self, eager_kafka: KafkaNode) -> None:
        self.node = eager_kafka

    def make_world(self) -> World:
        return KafkaWorld(self.node)
