"""The port: what the engine asks of a log with consumer groups.

This file, with the three it names, is the specification of a driver; `faust.testing.conformance`
is the same in executable form, with the answers of a real Kafka.  A driver is one class,
`Transport`, which hands out three kinds of workers:

* a `Reader` (``reader.py``) fetches whole record batches from positions that the caller keeps;
* a `Producer` (``producer.py``) appends whole record batches (idempotently: a batch that was sent
  again is there once), also in a `Transaction`;
* a `Membership` (``membership.py``) is one member of one consumer group: it joins, syncs,
  heartbeats, commits, leaves.

All names can be imported from here.  Rules that hold for all of them:

* **Loops.** Every method is called on one event loop, the one that `Transport.open` ran on.  A
  driver starts tasks of its own only between `open` and `close`, and `close` ends them all.
* **Offsets always mean the next record**: a position is the offset of the next record to read, a
  committed offset that of the first record not yet handled, an end offset the one the next record
  will get.
* **Nothing retries for ever below the port.**  A request that failed for a passing reason is tried
  again by the driver for as long as ``request_timeout``; then it raises a `RetryableError`.  The
  caller decides whether to go on.  What a broker answered is raised as one of the errors of
  `faust.exceptions`, by consequence; ``__cause__`` keeps the foreign one.
* **Cancelling** any wait is allowed and leaves the object usable; whether a request that was under
  way took effect is then unknown.
* Timestamps of records are milliseconds since the epoch, durations are seconds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from yarl import URL

from faust._core.clock import Clock, SystemClock
from faust._values import TP
from faust.auth import Credentials
from faust.transport.membership import Commit, GroupOptions, Membership, Round
from faust.transport.producer import Placed, Producer, ProducerOptions, Transaction
from faust.transport.reader import Fetched, Reader, ReaderOptions

__all__ = [
    "EARLIEST",
    "LATEST",
    "Commit",
    "Fetched",
    "GroupOptions",
    "Membership",
    "Placed",
    "Producer",
    "ProducerOptions",
    "Reader",
    "ReaderOptions",
    "Round",
    "TopicInfo",
    "TopicSpec",
    "Transaction",
    "Transport",
    "TransportOptions",
]

#: For `Transport.offsets`: the first offset that is still there, and the end of the log.
EARLIEST = -2
LATEST = -1


@dataclass(frozen=True, kw_only=True)
class TransportOptions:
    """What a driver needs to know to reach its broker.

    Attributes:
        client_id: Shown in the broker's logs.
        credentials: SASL or TLS credentials, or ``None``.
        request_timeout: Seconds that one request, retries included, may take.
        metadata_max_age: Seconds after which what is known of topics is asked again.
        connections_max_idle: Seconds after which an unused connection is closed.
        default_partitions: Partitions of a topic that an embedded broker creates on first use.
        clock: Where the driver takes the time from.
        base_directory: Where an embedded broker resolves relative paths (``sqlite://``).
    """

    client_id: str = "faust"
    credentials: Credentials | None = None
    request_timeout: float = 40.0
    metadata_max_age: float = 300.0
    connections_max_idle: float = 540.0
    default_partitions: int = 8
    clock: Clock = field(default_factory=SystemClock)
    base_directory: str = "."


class TopicInfo(NamedTuple):
    """What the broker knows of a topic.

    Attributes:
        name: Its name.
        topic_id: Changes when a topic is deleted and created anew ("" if the broker has no ids).
        partitions: Number of partitions.
        internal: The broker's own (never matched by a pattern).
    """

    name: str
    topic_id: str
    partitions: int
    internal: bool = False


class TopicSpec(NamedTuple):
    """A topic to be created.

    Attributes:
        name: Its name.
        partitions: Number of partitions, at least 1.
        replicas: Replication factor (-1: the broker's default; an embedded broker ignores it).
        config: Kafka's topic configuration: ``cleanup.policy``, ``retention.ms``,
            ``retention.bytes``, ``min.compaction.lag.ms``, ``delete.retention.ms``,
            ``message.timestamp.type``, ``max.message.bytes`` and others, all as text.
    """

    name: str
    partitions: int
    replicas: int = -1
    config: Mapping[str, str] = {}


class Transport(ABC):
    """A broker, reached by URL.

    Arguments:
        urls: The hosts, at least one, all of one scheme.
        options: What else there is to know.
    """

    #: Shown in banners: name of the driver and of the library behind it.
    driver_version: str = ""

    def __init__(self, urls: Sequence[URL], options: TransportOptions) -> None:
        self.urls = list(urls)
        self.options = options

    @abstractmethod
    async def open(self) -> None:
        """Connect.

        Raises:
            BrokerUnavailable: no host can be reached; may be tried again.
            StopError: what is there is no broker of ours (a file of another kind, wrong
            credentials).
        """

    @abstractmethod
    async def close(self) -> None:
        """Close every connection; readers, producers and memberships must be closed before."""

    @abstractmethod
    def reader(self, options: ReaderOptions) -> Reader:
        """Return a new reader without partitions."""

    @abstractmethod
    def producer(self, options: ProducerOptions) -> Producer:
        """Return a new producer."""

    @abstractmethod
    def membership(self, options: GroupOptions) -> Membership:
        """Return a new membership that has not joined yet."""

    # -- topics ----------------------------------------------------------------

    @abstractmethod
    async def cluster_id(self) -> str:
        """Return the broker's own id: another one means another log."""

    @abstractmethod
    async def topics(self, names: Collection[str] | None = None) -> dict[str, TopicInfo]:
        """Return what is known of these topics now (all, for ``None``); missing ones are left out.

        Asking never creates a topic.
        """

    @abstractmethod
    async def create_topic(self, spec: TopicSpec) -> None:
        """Create a topic; returns when it can be used.

        Raises:
            TopicExists, InvalidTopic, TopicAuthorizationFailed.
        """

    async def auto_create(self, topic: str) -> bool:
        """Let the broker create a topic as it does on first use, if it does; return whether.

        Returns ``True`` for a topic that is there already.  The topic may take a moment to be
        known to `topics`.
        """
        return topic in await self.topics([topic])

    @abstractmethod
    async def create_partitions(self, topic: str, total: int) -> None:
        """Raise the number of partitions to ``total``.

        Raises:
            InvalidTopic: fewer than there are; `UnknownTopic`.
        """

    @abstractmethod
    async def delete_topic(self, topic: str) -> None:
        """Delete a topic and its records.

        Raises:
            UnknownTopic: there is none.
        """

    @abstractmethod
    async def topic_config(self, topic: str) -> dict[str, str]:
        """Return the topic's effective configuration, defaults included.

        Raises:
            UnknownTopic.
        """

    @abstractmethod
    async def alter_topic_config(self, topic: str, config: Mapping[str, str]) -> None:
        """Set these entries; others stay.

        Raises:
            UnknownTopic, InvalidTopic, TopicAuthorizationFailed.
        """

    @abstractmethod
    async def offsets(self, tps: Iterable[TP], at: int) -> dict[TP, int]:
        """Return an offset for each partition; unknown partitions are left out.

        ``at`` is `EARLIEST`, `LATEST` (the high watermark), or a timestamp in milliseconds: the
        first record with that timestamp or a later one, or the end of the log if there is none.
        """

    @abstractmethod
    async def delete_records(self, before: Mapping[TP, int]) -> dict[TP, int]:
        """Let the log of each partition begin at that offset; return the new first offsets.

        Raises:
            OffsetOutOfRange: beyond the end; nothing of that partition was deleted.
        """

    # -- groups, from outside ------------------------------------------------------

    @abstractmethod
    async def groups(self) -> list[str]:
        """Return the ids of all groups the broker knows."""

    @abstractmethod
    async def committed(
        self, group_id: str, tps: Collection[TP] | None = None, *, stable: bool = False
    ) -> dict[TP, Commit]:
        """Return what the group has committed; partitions without a commit are left out.

        ``None`` means all partitions.  ``stable`` waits until no open transaction holds offsets of
        them (KIP-447, ``require_stable``); of those that have no commit yet, only if they are named
        (asked for all, Kafka looks at those that have one).
        """

    @abstractmethod
    async def commit_offsets(self, group_id: str, offsets: Mapping[TP, Commit]) -> None:
        """Commit from outside of the group, as tools do.

        Raises:
            UnknownMember: the group has members at the moment.
        """
