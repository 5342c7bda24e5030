"""What is believed of metadata, and how long a request is tried again."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from faust._values import TP
from faust.exceptions import BrokerUnavailable, StopError, UnknownTopic
from faust.transport.base import TransportOptions
from faust.transport.drivers.aiokafka.cluster import GONE_SECONDS, Cluster, Leader
from faust.transport.drivers.aiokafka.connections import Connections
from faust.transport.drivers.aiokafka.patience import Patience

OLD, NEW = b"o" * 16, b"n" * 16
TOPIC = TP("topic", 0)


class FakeClock:
    def __init__(self) -> None:
        self.now = 100.0
        self.pauses: list[float] = []

    def time(self) -> float:
        return self.now

    def time_ms(self) -> int:
        return int(self.now * 1000)

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


class Watching:
    def watched_topics(self) -> list[str]:
        return ["topic"]

    def metadata_changed(self) -> None:
        pass


def answer(*topics: tuple[Any, ...]) -> Any:
    return SimpleNamespace(
        API_VERSION=12,
        brokers=[(1, "one", 9092, None, {})],
        cluster_id="cluster",
        controller_id=1,
        topics=topics,
    )


def described(topic_id: bytes, leader: int, epoch: int, code: int = 0) -> tuple[Any, ...]:
    partitions: list[Any] = [(0, 0, leader, epoch, [], [], [], {})] if code == 0 else []
    return (code, "topic", topic_id, False, partitions, 0, {})


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def cluster(clock: FakeClock) -> Cluster:
    given = TransportOptions(clock=clock)
    cluster = Cluster(Connections([("boot", 1)], given), given)
    cluster.watch(Watching())
    return cluster


def test_a_broker_that_lags_behind_does_not_turn_us_back_to_an_old_leader(cluster: Cluster) -> None:
    cluster._take_over(answer(described(OLD, leader=2, epoch=5)))
    cluster._take_over(answer(described(OLD, leader=1, epoch=4)))
    assert cluster.leader(TOPIC) == Leader(2, 5)
    cluster._take_over(answer(described(OLD, leader=3, epoch=6)))
    assert cluster.leader(TOPIC) == Leader(3, 6)


def test_a_new_topic_of_the_same_name_begins_with_its_own_epochs(cluster: Cluster) -> None:
    cluster._take_over(answer(described(OLD, leader=2, epoch=5)))
    cluster._take_over(answer(described(NEW, leader=1, epoch=0)))
    assert cluster.leader(TOPIC) == Leader(1, 0)


def test_a_topic_is_gone_when_brokers_have_been_saying_so_for_a_while(
    cluster: Cluster, clock: FakeClock
) -> None:
    cluster._take_over(answer(described(OLD, leader=2, epoch=5)))
    cluster._take_over(answer(described(OLD, 0, 0, code=3)))
    assert cluster.leader(TOPIC) is None
    assert not cluster.is_gone(TOPIC)
    clock.now += GONE_SECONDS
    assert cluster.is_gone(TOPIC)
    assert isinstance(cluster.why_gone(TOPIC), UnknownTopic)
    cluster._take_over(answer(described(NEW, leader=2, epoch=0)))
    assert not cluster.is_gone(TOPIC)
    assert cluster.is_gone(TP("topic", 1))


def test_nodes_that_the_metadata_name_are_asked_before_the_bootstrap_ones(cluster: Cluster) -> None:
    assert cluster.connections.likely_nodes() == [-1]
    cluster._take_over(answer())
    assert cluster.connections.likely_nodes() == [1, -1]


def test_patience_pauses_longer_each_time_and_ends(clock: FakeClock) -> None:
    async def work() -> None:
        patience = Patience("asking", 10.0, clock)
        with pytest.raises(BrokerUnavailable, match="asking: not within 10 s: gone") as caught:
            await _fail_for_ever(patience)
        assert isinstance(caught.value.__cause__, ConnectionError)

    asyncio.run(work())
    assert 108.8 <= clock.now <= 110.0 + 1.2
    assert clock.pauses[0] <= 0.12
    assert max(clock.pauses) <= 1.2


async def _fail_for_ever(patience: Patience) -> None:
    while True:
        await patience.after(ConnectionError("gone"))


def test_patience_ends_at_once_where_trying_again_cannot_help(clock: FakeClock) -> None:
    async def work() -> None:
        with pytest.raises(StopError):
            await Patience("asking", 10.0, clock).after(NotImplementedError("old"))

    asyncio.run(work())
    assert clock.pauses == []
