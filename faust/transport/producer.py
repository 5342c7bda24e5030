"""The port's writing side: record batches, appended once and in order, alone or in transactions.

Part of the contract of a driver; the rules for all of it stand in `faust.transport.base`.  What the
transactions of all drivers have in common is in `faust.transport.transactions`.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from faust._values import TP
from faust.transport.membership import Commit, Membership
from faust.transport.records import Builder

__all__ = ["Placed", "Producer", "ProducerOptions", "Transaction"]


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
