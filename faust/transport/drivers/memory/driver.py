"""The transport over a `MemoryBroker`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TypeVar

from yarl import URL

from faust._values import TP
from faust.exceptions import ImproperlyConfigured
from faust.transport.base import TopicInfo, TopicSpec, Transport, TransportOptions
from faust.transport.drivers.memory.broker import MemoryBroker, find_broker
from faust.transport.drivers.memory.connection import Connection
from faust.transport.drivers.memory.membership import MemoryMembership
from faust.transport.drivers.memory.producer import MemoryProducer
from faust.transport.drivers.memory.reader import MemoryReader
from faust.transport.membership import Commit, GroupOptions, Membership
from faust.transport.producer import Producer, ProducerOptions
from faust.transport.reader import Reader, ReaderOptions

__all__ = ["MemoryTransport"]

T = TypeVar("T")

#: Seconds between two looks at whether a transaction still holds offsets.
STABLE_POLL = 0.05


class MemoryTransport(Transport):
    """One client of the broker that ``memory://name`` names in this process.

    Attributes:
        broker: That broker.
        client: Our side of it, once open: its name is what `Faults` know us by.
    """

    driver_version = "memory"

    def __init__(self, urls: Sequence[URL], options: TransportOptions) -> None:
        super().__init__(urls, options)
        self.broker: MemoryBroker = find_broker(self.urls[0].host or "")
        if self.urls[0].query.get("auto_create") == "0":
            self.broker.auto_create = False
        self._client: Connection | None = None
        self._housekeeper: asyncio.Task[None] | None = None

    @property
    def client(self) -> Connection:
        """Our side of the broker.

        Raises:
            ImproperlyConfigured: the transport is not open.
        """
        if self._client is None:
            raise ImproperlyConfigured("the transport is not open")
        return self._client

    async def open(self) -> None:
        """Connect."""
        client = self._client = Connection(self.broker, self.options)
        with self.broker.lock:
            self.broker.attach(client)
        try:
            await client.call("open", "", lambda: None)
        except BaseException:
            self.broker.detach(client)
            self._client = None
            raise
        self._housekeeper = asyncio.create_task(self._keep_house(client), name="memory-broker")

    async def close(self) -> None:
        """Close."""
        if self._housekeeper is not None:
            self._housekeeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._housekeeper
            self._housekeeper = None
        if self._client is not None:
            with self.broker.lock:
                self.broker.detach(self._client)
            self._client = None

    async def _keep_house(self, client: Connection) -> None:
        # Time passes at the broker for as long as anybody is connected.
        while True:
            client.housekeeping.clear()
            self.broker.tick()
            client.sleeps_until = self.broker.deadline()
            await client.housekeeping.wait(client.sleeps_until - self.broker.now())

    def reader(self, options: ReaderOptions) -> Reader:
        """Return a new reader without partitions."""
        return MemoryReader(self.client, options)

    def producer(self, options: ProducerOptions) -> Producer:
        """Return a new producer."""
        return MemoryProducer(self.client, options)

    def membership(self, options: GroupOptions) -> Membership:
        """Return a new membership that has not joined yet."""
        return MemoryMembership(self.client, options)

    async def _call(self, kind: str, subject: object, effect: Callable[[], T]) -> T:
        return await self.client.call(kind, subject, effect)

    # -- topics --------------------------------------------------------------------------

    async def cluster_id(self) -> str:
        """Return the broker's own id."""
        return self.broker.cluster_id

    async def topics(self, names: Collection[str] | None = None) -> dict[str, TopicInfo]:
        """Return what is known of these topics; never creates one."""
        return await self._call("topics", "", lambda: self.broker.describe(names))

    async def create_topic(self, spec: TopicSpec) -> None:
        """Create a topic."""
        await self._call("create_topic", spec.name, lambda: self.broker.create_topic(spec))

    async def auto_create(self, topic: str) -> bool:
        """Create the topic as its first use would, unless the broker was told not to."""

        def create() -> bool:
            if topic in self.broker.describe([topic]):
                return True
            if not self.broker.auto_create:
                return False
            self.broker.create_topic(TopicSpec(topic, self.options.default_partitions))
            return True

        return await self._call("auto_create", topic, create)

    async def create_partitions(self, topic: str, total: int) -> None:
        """Raise the number of partitions to ``total``."""
        await self._call(
            "create_partitions", topic, lambda: self.broker.create_partitions(topic, total)
        )

    async def delete_topic(self, topic: str) -> None:
        """Delete a topic and its records."""
        await self._call("delete_topic", topic, lambda: self.broker.delete_topic(topic))

    async def topic_config(self, topic: str) -> dict[str, str]:
        """Return the topic's effective configuration, defaults included."""
        return await self._call("topic_config", topic, lambda: self.broker.topic_config(topic))

    async def alter_topic_config(self, topic: str, config: Mapping[str, str]) -> None:
        """Set these entries; others stay."""
        await self._call(
            "alter_topic_config", topic, lambda: self.broker.alter_topic_config(topic, config)
        )

    async def offsets(self, tps: Iterable[TP], at: int) -> dict[TP, int]:
        """Return an offset for each partition; unknown partitions are left out."""
        wanted = list(tps)
        return await self._call("offsets", "", lambda: self.broker.offsets(wanted, at))

    async def delete_records(self, before: Mapping[TP, int]) -> dict[TP, int]:
        """Let the log of each partition begin at that offset."""
        return await self._call("delete_records", "", lambda: self.broker.delete_records(before))

    # -- groups, from outside ----------------------------------------------------------------

    async def groups(self) -> list[str]:
        """Return the ids of all groups the broker knows."""
        return await self._call("groups", "", lambda: self.broker.groups.names(self.broker.now()))

    async def committed(
        self, group_id: str, tps: Collection[TP] | None = None, *, stable: bool = False
    ) -> dict[TP, Commit]:
        """Return what the group has committed."""

        def effect() -> dict[TP, Commit] | None:
            if stable and self.broker.transactions.is_unstable(group_id, tps):
                return None
            return self.broker.groups.committed(group_id, tps)

        answer = await self._call("committed", group_id, effect)
        while answer is None:
            await self.options.clock.sleep(STABLE_POLL)
            answer = await self._call("committed", group_id, effect)
        return answer

    async def commit_offsets(self, group_id: str, offsets: Mapping[TP, Commit]) -> None:
        """Commit from outside of the group."""

        def effect() -> None:
            group = self.broker.groups.group(group_id)
            group.check_commit("", -1, now=self.broker.now())
            for error in self.broker.groups.commit(group_id, offsets).values():
                raise error

        await self._call("commit_offsets", group_id, effect)
