"""The members of a group as its coordinator knows them, and the phases a group goes through."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

from faust.exceptions import StopError

__all__ = ["SUCCESSORS", "Joined", "Member", "Phase", "check_protocols", "choose_protocol"]


class Phase(Enum):
    """Where a group stands."""

    EMPTY = "empty"
    PREPARING = "preparing"
    SYNCING = "syncing"
    STABLE = "stable"


#: The legal successors of each phase.
SUCCESSORS: dict[Phase, frozenset[Phase]] = {
    Phase.EMPTY: frozenset({Phase.PREPARING}),
    Phase.PREPARING: frozenset({Phase.SYNCING, Phase.EMPTY}),
    Phase.SYNCING: frozenset({Phase.PREPARING, Phase.STABLE}),
    Phase.STABLE: frozenset({Phase.PREPARING}),
}


class Joined(NamedTuple):
    """The answer to a join: fields as in `faust.transport.membership.Round`."""

    generation: int
    member_id: str
    leader: str
    protocol: str
    members: dict[str, bytes]
    instances: dict[str, str]
    skip_assignment: bool = False


@dataclass(kw_only=True)
class Member:
    """One member.

    Attributes:
        member_id: Its id in the group.
        instance_id: Its static id, or ``None``.
        session_timeout: Seconds of silence after which it is out.
        rebalance_timeout: Seconds it has to join a round.
        protocols: Names with metadata, best first.
        seen: When it last gave a sign of life.
        joined: Has it joined the round that is being prepared?
        synced: Has it asked for its part of this generation's plan?
        assignment: Its part of the plan.
    """

    member_id: str
    instance_id: str | None
    session_timeout: float
    rebalance_timeout: float
    protocols: list[tuple[str, bytes]]
    seen: float
    joined: bool = False
    synced: bool = False
    assignment: bytes = b""

    def names(self) -> list[str]:
        """Names of its protocols, best first."""
        return [name for name, _ in self.protocols]

    def metadata(self, protocol: str) -> bytes:
        """What it joined with for that protocol."""
        return next((data for name, data in self.protocols if name == protocol), b"")

    def encode(self) -> dict[str, Any]:
        """Return plain data."""
        plain = dict(vars(self))
        plain["protocols"] = [[name, _text(data)] for name, data in self.protocols]
        plain["assignment"] = _text(self.assignment)
        return plain

    @classmethod
    def decode(cls, plain: Mapping[str, Any]) -> Member:
        """Take back what `encode` gave."""
        protocols = [(name, b64decode(data)) for name, data in plain["protocols"]]
        assignment = b64decode(plain["assignment"])
        return cls(**{**plain, "protocols": protocols, "assignment": assignment})


def check_protocols(
    group_id: str,
    known_type: str,
    members: Sequence[Member],
    offered_type: str,
    offered: Sequence[tuple[str, bytes]],
) -> None:
    """Return if somebody who offers these protocols can be in a group with these members.

    Raises:
        StopError: the type differs, or no protocol is common to all.
    """
    names = {name for name, _ in offered}
    if names.intersection(*(member.names() for member in members)) and offered_type == known_type:
        return
    raise StopError(
        f"group {group_id} speaks {known_type} {sorted({n for m in members for n in m.names()})}, "
        f"we offer {offered_type} {sorted(names)}: use another group id, or clients of one kind"
    )


def choose_protocol(members: Collection[Member]) -> str:
    """Return the protocol of these members, who have at least one in common.

    Each votes for the first in its list that all know; most votes win, then the name.
    """
    common = set[str].intersection(*(set(member.names()) for member in members))
    votes = dict.fromkeys(sorted(common), 0)
    for member in members:
        votes[next(name for name in member.names() if name in common)] += 1
    return max(votes, key=votes.__getitem__)


def _text(data: bytes) -> str:
    return b64encode(data).decode("ascii")
