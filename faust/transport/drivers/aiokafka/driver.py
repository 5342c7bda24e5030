"""The Kafka driver: `Transport` over connections of our own making."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import aiokafka
from yarl import URL

from faust._values import TP
from faust.exceptions import ImproperlyConfigured
from faust.transport.base import TopicInfo, TopicSpec, Transport, TransportOptions
from faust.transport.drivers.aiokafka import admin
from faust.transport.drivers.aiokafka.cluster import Cluster
from faust.transport.drivers.aiokafka.connections import Connections
from faust.transport.drivers.aiokafka.fetch import KafkaReader
from faust.transport.drivers.aiokafka.group import (
    KafkaMembership,
    commit_from_outside,
    committed_offsets,
)
from faust.transport.drivers.aiokafka.offsets import delete_records, list_offsets
from faust.transport.drivers.aiokafka.produce import KafkaProducer
from faust.transport.drivers.aiokafka.transactions import TransactionalProducer
from faust.transport.membership import Commit, GroupOptions, Membership
from faust.transport.producer import Producer, ProducerOptions
from faust.transport.reader import Reader, ReaderOptions

__all__ = ["KafkaTransport"]

_DEFAULT_PORT = 9092


class KafkaTransport(Transport):
    """Apache Kafka 2.4 or later, at ``kafka://host:port`` (several hosts: several URLs).

    Raises:
        ImproperlyConfigured: a URL names no host, or the credentials are incomplete.
    """

    driver_version = f"aiokafka={aiokafka.__version__}"

    def __init__(self, urls: Sequence[URL], options: TransportOptions) -> None:
        super().__init__(urls, options)
        hosts = [(url.host or "localhost", url.port or _DEFAULT_PORT) for url in self.urls]
        if not hosts:
            raise ImproperlyConfigured("a Kafka transport needs at least one URL")
        self._connections = Connections(hosts, options)
        self._cluster: Cluster | None = None

    def __repr__(self) -> str:
        return f"<KafkaTransport [{self._cluster or 'closed'}]>"

    async def open(self) -> None:
        cluster = Cluster(self._connections, self.options)
        self._connections.open()
        try:
            await cluster.open()
        except BaseException:
            await self._connections.close()
            raise
        self._cluster = cluster

    async def close(self) -> None:
        cluster, self._cluster = self._cluster, None
        if cluster is not None:
            await cluster.close()
        await self._connections.close()

    @property
    def cluster(self) -> Cluster:
        """What is known of the cluster (only between `open` and `close`)."""
        if self._cluster is None:
            raise RuntimeError("the transport is not open")
        return self._cluster

    def reader(self, options: ReaderOptions) -> Reader:
        return KafkaReader(self.cluster, options)

    def producer(self, options: ProducerOptions) -> Producer:
        if options.transactional_id is not None:
            return TransactionalProducer(self.cluster, options)
        return KafkaProducer(self.cluster, options)

    def membership(self, options: GroupOptions) -> Membership:
        return KafkaMembership(self.cluster, options)

    # -- topics ----------------------------------------------------------------

    async def cluster_id(self) -> str:
        return self.cluster.cluster_id

    async def topics(self, names: Collection[str] | None = None) -> dict[str, TopicInfo]:
        return await admin.describe_topics(self.cluster, names)

    async def create_topic(self, spec: TopicSpec) -> None:
        await admin.create_topic(self.cluster, spec)

    async def auto_create(self, topic: str) -> bool:
        await self.cluster.touch(topic)
        for _ in range(10):
            if topic in await self.topics([topic]):
                return True
            await self.options.clock.sleep(0.2)
        return False

    async def create_partitions(self, topic: str, total: int) -> None:
        await admin.create_partitions(self.cluster, topic, total)

    async def delete_topic(self, topic: str) -> None:
        await admin.delete_topic(self.cluster, topic)

    async def topic_config(self, topic: str) -> dict[str, str]:
        return await admin.topic_config(self.cluster, topic)

    async def alter_topic_config(self, topic: str, config: Mapping[str, str]) -> None:
        await admin.alter_topic_config(self.cluster, topic, config)

    async def offsets(self, tps: Iterable[TP], at: int) -> dict[TP, int]:
        return await list_offsets(self.cluster, list(tps), at)

    async def delete_records(self, before: Mapping[TP, int]) -> dict[TP, int]:
        return await delete_records(self.cluster, before)

    # -- groups ----------------------------------------------------------------

    async def groups(self) -> list[str]:
        return await admin.list_groups(self.cluster)

    async def committed(
        self, group_id: str, tps: Collection[TP] | None = None, *, stable: bool = False
    ) -> dict[TP, Commit]:
        return await committed_offsets(self.cluster, group_id, tps, stable=stable)

    async def commit_offsets(self, group_id: str, offsets: Mapping[TP, Commit]) -> None:
        await commit_from_outside(self.cluster, group_id, offsets)
