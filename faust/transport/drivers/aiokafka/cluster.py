"""What is known of the cluster: nodes, topics, leaders.  Asked again when old, or found wrong."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple, Protocol

from faust._values import TP
from faust.exceptions import BrokerError, BrokerUnavailable, UnknownTopic
from faust.transport.base import TransportOptions
from faust.transport.drivers.aiokafka.connections import Connections
from faust.transport.drivers.aiokafka.errors import (
    FOREIGN,
    TOPIC_GONE,
    error_for,
    may_be_retried,
    translated,
)
from faust.transport.drivers.aiokafka.patience import Backoff, Patience
from faust.transport.drivers.aiokafka.requests import NO_TOPIC_ID, MetadataRequest

__all__ = ["Cluster", "Leader", "Topic", "Watcher"]

log = logging.getLogger(__name__)

#: A topic that was just created is unknown to some brokers for a moment; after this it is gone.
GONE_SECONDS = 2.0
#: One node has this long to answer a question that only it can answer.
_ANSWER_SECONDS = 10.0
#: Nothing wrong, or a partition that has no leader at the moment.
_KNOWN = frozenset({0, 5})


class Leader(NamedTuple):
    """Who leads a partition, and since which epoch (KIP-320)."""

    node: int
    epoch: int


class Topic(NamedTuple):
    """One topic as a broker described it; ``leaders`` lacks partitions without a leader."""

    name: str
    error_code: int
    topic_id: bytes
    internal: bool
    partitions: int
    leaders: dict[int, Leader]


class Watcher(Protocol):
    """Who depends on metadata."""

    def watched_topics(self) -> Iterable[str]:
        """Topics to be kept up to date."""

    def metadata_changed(self) -> None:
        """New metadata has come in."""


class Cluster:
    """The metadata of one transport, kept up to date by one task."""

    def __init__(self, connections: Connections, options: TransportOptions) -> None:
        self.connections = connections
        self.options = options
        self.cluster_id = ""
        self.controller = -1
        self._topics: dict[str, Topic] = {}
        self._missing: dict[str, float] = {}
        self._refusals: dict[str, int] = {}
        self._watchers: list[Watcher] = []
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Cluster {self.cluster_id} [{len(self.connections.nodes)} nodes]>"

    # -- life ------------------------------------------------------------------

    async def open(self) -> None:
        """Ask the bootstrap nodes who is there.

        Raises:
            BrokerUnavailable: none answered within ``request_timeout``.
            StopError: credentials were refused, or the brokers are too old.
        """
        await self.ask(())
        self._task = asyncio.create_task(self._keep_fresh(), name="kafka metadata")

    async def close(self) -> None:
        """Stop refreshing."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    def watch(self, watcher: Watcher) -> None:
        """Keep this watcher's topics up to date."""
        self._watchers.append(watcher)

    def unwatch(self, watcher: Watcher) -> None:
        """Forget the watcher."""
        if watcher in self._watchers:
            self._watchers.remove(watcher)

    # -- asking ----------------------------------------------------------------

    def leader(self, tp: TP) -> Leader | None:
        """Return the partition's leader as far as we know."""
        topic = self._topics.get(tp.topic)
        return topic.leaders.get(tp.partition) if topic else None

    def topic(self, name: str) -> Topic | None:
        """Return what we know of a watched topic."""
        return self._topics.get(name)

    def is_gone(self, tp: TP) -> bool:
        """Have brokers been saying for long enough that there is no such partition?"""
        since = self._missing.get(tp.topic)
        if since is not None:
            return self.options.clock.monotonic() - since >= GONE_SECONDS
        topic = self._topics.get(tp.topic)
        return topic is not None and tp.partition >= topic.partitions > 0

    def why_gone(self, tp: TP) -> BrokerError:
        """Return the reason why a partition that `is_gone` cannot be used."""
        code = self._refusals.get(tp.topic, 0)
        if code in TOPIC_GONE or code == 0:
            return UnknownTopic(f"{tp} does not exist (any more)")
        return error_for(code, f"describing topic {tp.topic!r}")

    def refusal(self, name: str) -> int:
        """Return the error code that a topic was last described with, 0 for none."""
        return self._refusals.get(name, 0)

    def refresh_soon(self) -> None:
        """Ask again as soon as possible; watchers are told."""
        self._wanted.set()

    async def ask(self, names: Collection[str] | None) -> dict[str, Topic]:
        """Ask any node for these topics now (``None``: all), trying all of them for a while."""
        patience = Patience("asking for metadata", self.options.request_timeout, self.options.clock)
        while True:
            try:
                return await self._ask_once(names)
            except BrokerUnavailable as exc:
                await patience.after(exc)

    async def touch(self, name: str) -> None:
        """Ask for a topic as a client that uses it does: a broker may create it then."""
        patience = Patience("asking for metadata", self.options.request_timeout, self.options.clock)
        while True:
            try:
                await self._ask_once([name], create=True)
                return
            except BrokerUnavailable as exc:
                await patience.after(exc)

    async def ask_node(self, node: int, names: Collection[str]) -> dict[str, Topic]:
        """Ask one node what it knows, without taking it over."""
        request = MetadataRequest(list(names))
        answer = await self.connections.send(node, request, timeout=_ANSWER_SECONDS)
        topics = map(_topic(answer), answer.topics)
        return {topic.name: topic for topic in topics if topic.error_code in _KNOWN}

    async def leaders(self, tps: Collection[TP]) -> dict[TP, Leader | None]:
        """Ask now who leads these partitions; those that do not exist are left out."""
        topics = await self.ask({tp.topic for tp in tps})
        found: dict[TP, Leader | None] = {}
        for tp in tps:
            topic = topics.get(tp.topic)
            if topic is not None and tp.partition < topic.partitions:
                found[tp] = topic.leaders.get(tp.partition)
        return found

    # -- inside ----------------------------------------------------------------

    async def _ask_once(
        self, names: Collection[str] | None, *, create: bool = False
    ) -> dict[str, Topic]:
        request = MetadataRequest(None if names is None else list(names), create=create)
        try:
            return self._take_over(await self.connections.send_to_any(request))
        except (*FOREIGN, NotImplementedError) as exc:
            if not may_be_retried(exc):
                raise translated(exc, "connecting to Kafka") from exc
            hosts = ", ".join(
                f"{host}:{port}" for host, port in self.connections.bootstrap.values()
            )
            reason = str(exc) or type(exc).__name__
            raise BrokerUnavailable(f"no Kafka node answers at {hosts}: {reason}") from exc

    def _take_over(self, answer: Any) -> dict[str, Topic]:
        if answer.brokers:
            nodes = {broker[0]: (broker[1], broker[2]) for broker in answer.brokers}
            self.connections.update_nodes(nodes)
        self.cluster_id = answer.cluster_id or ""
        self.controller = answer.controller_id
        found: dict[str, Topic] = {}
        for topic in map(_topic(answer), answer.topics):
            if topic.error_code in _KNOWN:
                found[topic.name] = self._topics[topic.name] = self._newer(topic)
                self._missing.pop(topic.name, None)
                self._refusals.pop(topic.name, None)
            else:
                self._lose(topic)
        return found

    def _newer(self, topic: Topic) -> Topic:
        """Keep leaders of a later epoch: a broker that lags behind must not turn us back."""
        known = self._topics.get(topic.name)
        if known is None or known.topic_id != topic.topic_id:
            return topic
        for partition, leader in topic.leaders.items():
            before = known.leaders.get(partition)
            if before is not None and before.epoch > leader.epoch:
                topic.leaders[partition] = before
        return topic

    def _lose(self, topic: Topic) -> None:
        if may_be_retried(topic.error_code):
            return
        self._topics.pop(topic.name, None)
        self._refusals[topic.name] = topic.error_code
        if any(topic.name in watcher.watched_topics() for watcher in self._watchers):
            self._missing.setdefault(topic.name, self.options.clock.monotonic())

    async def _keep_fresh(self) -> None:
        backoff = Backoff()
        while True:
            try:
                async with asyncio.timeout(self.options.metadata_max_age):
                    await self._wanted.wait()
            except TimeoutError:
                pass
            self._wanted.clear()
            try:
                await self._refresh()
                backoff.reset()
            except BrokerError as exc:
                log.debug("metadata: %s", exc)
                self._wanted.set()
            except Exception:  # nobody may be left waiting for metadata that never come
                log.exception("Reading the metadata of Kafka failed; trying again")
                self._wanted.set()
            # Told of a failure, too: some wait for the attempt.
            for watcher in list(self._watchers):
                watcher.metadata_changed()
            # Whoever finds metadata wrong asks again; this is what keeps that from spinning.
            await self.options.clock.sleep(backoff.next_seconds())
            if not self._wanted.is_set():
                backoff.reset()

    async def _refresh(self) -> None:
        watched = {name for watcher in self._watchers for name in watcher.watched_topics()}
        await self._ask_once(watched)
        for name in [name for name in self._missing if name not in watched]:
            del self._missing[name]
            self._refusals.pop(name, None)


def _topic(answer: Any) -> Any:
    """Return a function that reads one topic of a metadata answer, in the version it has."""
    has_ids = answer.API_VERSION >= 10

    def read(fields: tuple[Any, ...]) -> Topic:
        error_code, name, *rest = fields
        topic_id = rest.pop(0) if has_ids else NO_TOPIC_ID
        internal, partitions = rest[0], rest[1]
        leaders = {p[1]: Leader(p[2], p[3]) for p in partitions if p[2] >= 0}
        return Topic(name, error_code, topic_id, internal, len(partitions), leaders)

    return read
