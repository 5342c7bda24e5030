"""The port's membership: one member of one consumer group, and what the group has committed.

Part of the contract of a driver; the rules for all of it stand in `faust.transport.base`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from faust._values import TP
from faust.exceptions import BrokerError

__all__ = ["Commit", "GroupOptions", "Membership", "Round"]


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


class Commit(NamedTuple):
    """What a group keeps for a partition: the next offset, and a string of ours (4,096 bytes)."""

    offset: int
    metadata: str = ""


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
