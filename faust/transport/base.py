"""The port: what the engine asks of a log with consumer groups.

This file is the specification of a driver; `faust.testing.conformance` is the same in executable
form, with the answers of a real Kafka.  A driver is one class, `Transport`, which hands out
three kinds of workers:

* a `Reader` fetches whole record batches from positions that the caller keeps;
* a `Producer` appends whole record batches (idempotently: a batch that was sent again is there
  once);
* a `Membership` is one member of one consumer group: it joins, syncs, heartbeats, commits, leaves.

Rules that hold for all of them:

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

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from yarl import URL

from faust._core.clock import Clock, SystemClock
from faust._values import TP
from faust.auth import Credentials
from faust.exceptions import BrokerError
from faust.transport.records import Batch, Builder

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


@dataclass(frozen=True, kw_only=True)
class ReaderOptions:
    """How a `Reader` fetches.

    Attributes:
        read_committed: Leave out records of aborted transactions, and stop at the first open one.
        max_partition_bytes: Most bytes of one partition in one answer (one batch always fits).
        max_bytes: Most bytes in one answer.
        check_crcs: Verify each batch's CRC.
    """

    read_committed: bool = True
    max_partition_bytes: int = 1 << 20
    max_bytes: int = 16 << 20
    check_crcs: bool = True


@dataclass(frozen=True, kw_only=True)
class ProducerOptions:
    """How a `Producer` appends.

    Attributes:
        acks: -1 all in-sync replicas, 1 the leader, 0 none (then offsets are -1).
        idempotent: A batch sent again is appended once (needs ``acks=-1``).
        max_request_bytes: Most bytes in one request.
        delivery_timeout: Seconds after which an undelivered batch fails.
        transactional_id: Makes it a transactional producer (see `Transaction`).
        transaction_timeout: Seconds after which the broker aborts an open transaction.
    """

    acks: int = -1
    idempotent: bool = True
    max_request_bytes: int = 1_000_000
    delivery_timeout: float = 120.0
    transactional_id: str | None = None
    transaction_timeout: float = 10.0


@dataclass(frozen=True, kw_only=True)
class GroupOptions:
    """One membership.

    Attributes:
        group_id: The consumer group.
        instance_id: Makes it a static member (KIP-345): it keeps its place over a restart.
        session_timeout: Seconds without a heartbeat after which the member is out.
        rebalance_timeout: Seconds that members have to join a round.
        protocol_type: Kind of group; ``consumer`` for all that Kafka's own tools understand.
    """

    group_id: str
    instance_id: str | None = None
    session_timeout: float = 60.0
    rebalance_timeout: float = 60.0
    protocol_type: str = "consumer"


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


class Commit(NamedTuple):
    """What a group keeps for a partition: the next offset, and a string of ours (4,096 bytes)."""

    offset: int
    metadata: str = ""


class Fetched(NamedTuple):
    """One answer of `Reader.fetch`.

    Attributes:
        batches: Data batches in log order for each partition.  Control batches and aborted ones are
            already left out; the first batch of a partition may begin below the position.
        positions: For each partition that moved (past data, markers or gaps): where to read next.
            The reader has already moved there.
        ends: For each partition heard of: the offset up to which a reader of this isolation could
            read (the last stable offset, or the high watermark).
        starts: For each partition heard of: its first offset, where the broker says so.
        errors: Partitions that cannot go on as they are: `OffsetOutOfRange` (position lost),
            `UnknownTopic` (deleted), `TopicAuthorizationFailed`, `CorruptRecord`.  The reader has
            paused them until `Reader.assign` gives them a position again.
    """

    batches: list[Batch]
    positions: dict[TP, int]
    ends: dict[TP, int]
    starts: dict[TP, int]
    errors: dict[TP, BrokerError]


class Placed(NamedTuple):
    """Where a batch was appended.

    Attributes:
        base_offset: Offset of its first record (-1 with ``acks=0``).
        append_time: The broker's clock, milliseconds, where the topic stamps records by it
            (``LogAppendTime``); otherwise -1.
        start_offset: First offset of the log at that moment, or -1 if unknown.
    """

    base_offset: int
    append_time: int = -1
    start_offset: int = -1


class Round(NamedTuple):
    """A member's view of a finished join.

    Attributes:
        generation: Number of this generation.
        member_id: Ours.
        leader: The member that plans.  ``leader == member_id``: `members` is filled in, and
            `Membership.sync` must be given the plan.
        protocol: The protocol that all members know.
        members: For the leader: member id -> metadata it joined with.
        instances: For the leader: member id -> static instance id, for those that have one.
        skip_assignment: KIP-814: the static leader came back, nobody moved, the old plan stands;
            the leader may look at `members`, but its plan will not be used.
    """

    generation: int
    member_id: str
    leader: str
    protocol: str
    members: Mapping[str, bytes]
    instances: Mapping[str, str] = {}
    skip_assignment: bool = False

    @property
    def is_leader(self) -> bool:
        """Do we plan this generation?"""
        return self.leader == self.member_id


class Reader(ABC):
    """Fetches record batches.  Belongs to no group; keeps one position for each partition."""

    @abstractmethod
    def assign(self, positions: Mapping[TP, int]) -> None:
        """Read these partitions from these positions; a partition already read is moved there.

        What had been fetched for it before is dropped.  Other partitions go on as they are.
        """

    @abstractmethod
    def unassign(self, tps: Collection[TP]) -> None:
        """Stop reading these partitions; those not read are ignored."""

    @abstractmethod
    def pause(self, tps: Collection[TP]) -> None:
        """Ask for no more of these partitions until `resume`.

        `fetch` never answers with a paused partition; nothing of it is lost or fetched twice for
        good.
        """

    @abstractmethod
    def resume(self, tps: Collection[TP]) -> None:
        """Go on with paused partitions."""

    @abstractmethod
    def positions(self) -> dict[TP, int]:
        """Return where each assigned partition will be read next."""

    @abstractmethod
    async def fetch(self, max_wait: float) -> Fetched:
        """Return what there is; wait for the first batch at most ``max_wait`` seconds.

        An answer without batches is no error.  A change by `assign`, `pause` or `resume` made
        while a call waits takes effect within it or ends it early.  No partition starves another.

        Raises:
            BrokerUnavailable: no leader of any partition answers; positions are unchanged.
        """

    def unheard_since(self) -> float | None:
        """Return since when no broker has answered, although one was asked (monotonic).

        ``None`` where the last answer of `fetch` was a broker's: the default, for drivers whose
        `fetch` raises as soon as there is no answer.
        """
        return None

    @abstractmethod
    async def close(self) -> None:
        """Stop; a `fetch` that waits returns empty."""


class Transaction(ABC):
    """One open transaction of a transactional `Producer` (KIP-98, KIP-447).

    It ends by `commit` or `abort`, whatever these raise, and also when a call of them is cancelled:
    then there is nothing more to be done with it, and `Producer.begin` opens the next one.

    An error inside of it (of a future of `produce`, or of `commit_offsets`) means that it can only
    be aborted.
    """

    @abstractmethod
    def produce(self, tp: TP, builder: Builder) -> asyncio.Future[Placed]:
        """As `Producer.produce`, inside the transaction; offsets are known before it ends."""

    @abstractmethod
    async def commit_offsets(
        self,
        membership: Membership,
        offsets: Mapping[TP, Commit],
        *,
        generation: int | None = None,
    ) -> None:
        """Let these offsets be committed with the transaction, fenced by member and generation.

        ``generation`` is that in which the offsets were cut; ``None`` means that of now.

        Raises:
            RejoinError, FencedMember: as by `Membership.commit`; abort the transaction.
            TransactionAborted, ProducerFenced: as by `commit`; abort it as well.
            BrokerUnavailable: whether they were taken is unknown; abort it, too.
        """

    @abstractmethod
    async def commit(self) -> None:
        """Make all of it visible at once.

        A request whose answer was lost is sent again, for as long as ``request_timeout``.

        Raises:
            ProducerFenced: another producer has taken over the transactional id.
            TransactionAborted: nothing of it counts: the broker has aborted it (time-out), or
                something inside of it had failed; the same producer may `Producer.begin` again.
            BrokerUnavailable: the outcome is unknown.  `Producer.begin` decides it: after that
                `Transport.committed` with ``stable=True`` tells whether it took effect.
        """

    @abstractmethod
    async def abort(self) -> None:
        """Drop all of it; what was not sent yet is not sent any more.

        Never raises for a transaction that is over already, by whomever.

        Raises:
            BrokerUnavailable: the broker does not answer; `Producer.begin` will end it, or the
                broker's time-out.
        """


class Producer(ABC):
    """Appends record batches, in order for each partition."""

    @abstractmethod
    def produce(self, tp: TP, builder: Builder) -> asyncio.Future[Placed]:
        """Append the batch that ``builder`` holds; the future tells where.

        Does not wait.  Batches of one partition are appended in the order of these calls, also when
        some have to be sent again.  The caller bounds how much is under way.  The builder belongs
        to the producer from now on.

        The future fails with `MessageTooLarge`, `UnknownTopic`, `TopicAuthorizationFailed`,
        `BrokerUnavailable` (``delivery_timeout`` passed: whether it was appended is unknown) or
        `ProducerFenced`.  After a failed batch, later ones of that partition that were already
        handed over fail, too, so that order holds.
        """

    @abstractmethod
    async def flush(self) -> None:
        """Wait until everything handed over so far is appended or has failed."""

    @abstractmethod
    async def begin(self) -> Transaction:
        """Open a transaction (only with a ``transactional_id``), one at a time.

        The first call also ends whatever a predecessor with the same id had left open, and fences
        it.  After a transaction whose outcome is unknown, a call decides that one first: when it
        returns, the old one is committed or aborted for good, and nothing of it that is still under
        way counts any more (the producer has a new epoch).

        Raises:
            ProducerFenced: a later producer took the id over.
            BrokerUnavailable: the coordinator does not answer; may be called again.
            StopError: we may not use the transactional id, or the broker has no transactions.
        """

    @property
    @abstractmethod
    def producer_id(self) -> int:
        """The idempotent producer's id as it stands in its batches; -1 before the first batch."""

    @abstractmethod
    async def close(self) -> None:
        """Send what was handed over (for at most a few seconds), then stop."""

    @abstractmethod
    def abandon(self) -> None:
        """Stop at once: nothing that was not yet sent is sent any more.  Waiting futures fail."""


class Membership(ABC):
    """One member of a consumer group.

    The life of a membership::

        join -> sync -> heartbeat, heartbeat, ... -> RebalanceInProgress -> join -> ...   -> leave

    Any `RejoinError` means: join again.  After `UnknownMember` the next `join` is as a new member.
    """

    @property
    @abstractmethod
    def member_id(self) -> str:
        """Our id in the group; "" before the first join."""

    @property
    @abstractmethod
    def generation(self) -> int:
        """The generation we are in; -1 outside of any."""

    @abstractmethod
    async def join(self, protocols: Sequence[tuple[str, bytes]]) -> Round:
        """Take part in a round; returns when all members have joined it.

        May take as long as ``rebalance_timeout``.  ``protocols`` are names with our metadata for
        each, best first.

        Raises:
            RejoinError: the round was void (join again); `FencedMember`;
            `GroupAuthorizationFailed`;
            BrokerUnavailable: the coordinator does not answer.
        """

    @abstractmethod
    async def sync(self, generation: int, plan: Mapping[str, bytes] | None) -> bytes:
        """Give the plan (leader) or ``None`` (others); return our own part of it.

        Raises:
            RejoinError: another round has begun.
        """

    @abstractmethod
    async def heartbeat(self) -> None:
        """Say that we live.

        Raises:
            RebalanceInProgress: a round has begun: finish, commit and `join`.
            IllegalGeneration, UnknownMember: we are out; what we own is no longer ours.
            FencedMember: another process has our instance id.
            BrokerUnavailable: no answer; we may be out when the session time-out has passed.
        """

    @abstractmethod
    async def commit(
        self, offsets: Mapping[TP, Commit], *, generation: int
    ) -> dict[TP, BrokerError]:
        """Commit; return the partitions that were refused, each with its reason.

        All partitions are sent in one request.  ``generation`` is that in which the offsets were
        cut: the broker refuses an old one.  Commits are allowed while a round is being prepared.

        Raises:
            RejoinError, FencedMember: as by `heartbeat`; nothing was committed.
            BrokerUnavailable: the outcome is unknown; ask `Transport.committed`.
        """

    @abstractmethod
    async def leave(self) -> None:
        """Leave the group at once (a static member, too: its partitions move now); never raises."""

    @abstractmethod
    async def close(self) -> None:
        """Drop the membership without a word (what a crash does)."""


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
        them (KIP-447, ``require_stable``).
        """

    @abstractmethod
    async def commit_offsets(self, group_id: str, offsets: Mapping[TP, Commit]) -> None:
        """Commit from outside of the group, as tools do.

        Raises:
            UnknownMember: the group has members at the moment.
        """
