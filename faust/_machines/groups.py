"""What a broker's group coordinator decides: members, rounds, generations, fences.

Theory.  A group is a small state machine::

    EMPTY ──join──▶ PREPARING ──all have joined, or time is up──▶ SYNCING ──leader's plan──▶ STABLE
                        ▲                                            │                         │
                        └────── join, leave, expiry, new metadata ───┴─────────────────────────┘

* A *round* is one stay in PREPARING.  It ends when every known member has joined it, or when the
  largest ``rebalance_timeout`` of the members has passed since it began: dynamic members
  that have not joined are dropped then, static ones keep their place (as in Kafka).
* A *generation* begins with each finished round, and when the last member has gone.
* Nothing here waits.  `Group.join` and `Group.sync` answer at once with a result or with ``None``
  ("not yet").  After a ``None`` the caller waits until `Group.version` has changed (a broker in one
  process sleeps on an event, brokers that share a file look now and then) and asks again with
  `Group.join_answer` or `Group.sync`.  Asking counts as a sign of life; a member that waits
  must ask at least once in each session time-out.
* Nothing here reads a clock: ``now`` is seconds on any clock that all callers share.  `Group.tick`
  applies what the passing of time decides; `Group.deadline` tells when that will be.  A caller that
  could not write for a while passes ``writable_since``: silence before it is held against nobody,
  because the silent could not write, either.
* `Group.encode` gives plain data for JSON, `Group.decode` takes it back.  The state of a group is
  *all* that is needed: any process may apply the next event.

KIP-345: a new member with a known ``instance_id`` takes the place of the old one, which is fenced.
KIP-394: the caller chooses the id of a new member, so that a repeated join is not a second member.
KIP-814: a static leader that comes back to a stable group is told that its plan is not needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from faust._machines.members import (
    SUCCESSORS,
    Joined,
    Member,
    Phase,
    check_protocols,
    choose_protocol,
)
from faust.exceptions import (
    FencedMember,
    IllegalGeneration,
    RebalanceInProgress,
    UnknownMember,
)

__all__ = ["Group", "Joined", "Member", "Phase"]


@dataclass(kw_only=True)
class Group:
    """One consumer group, as its coordinator knows it.

    Attributes:
        group_id: Its name.
        phase: Where it stands.
        generation: Number of the current generation; 0 before the first.
        version: Goes up with everything that somebody may be waiting for.
        since: When this phase began.
        leader: Member id of the leader, or "".
        protocol_type: Kind of group, as the first member said.
        protocol: The protocol of this generation.
        members: By member id, in the order they came.
    """

    group_id: str
    phase: Phase = Phase.EMPTY
    generation: int = 0
    version: int = 0
    since: float = 0.0
    leader: str = ""
    protocol_type: str = ""
    protocol: str = ""
    members: dict[str, Member] = field(default_factory=dict)

    # -- joining -----------------------------------------------------------------

    def join(
        self,
        member_id: str,
        protocols: Sequence[tuple[str, bytes]],
        *,
        now: float,
        new_id: str,
        instance_id: str | None = None,
        session_timeout: float = 60.0,
        rebalance_timeout: float = 60.0,
        protocol_type: str = "consumer",
    ) -> Joined | None:
        """Take part in a round; ``None``: ask `join_answer` when `version` has changed.

        ``member_id`` is "" for a newcomer, who is known as ``new_id`` from then on.

        Raises:
            UnknownMember: ``member_id`` is not (no longer) a member.
            FencedMember: ``instance_id`` belongs to another member by now.
            StopError: no protocol is common to all members.
        """
        self.tick(now)
        if member_id:
            self._known(member_id, instance_id)
        predecessor = self._predecessor(member_id, instance_id)
        replaced = member_id or (predecessor.member_id if predecessor else "")
        others = [m for m in self.members.values() if m.member_id != replaced]
        known_type = self.protocol_type if others else protocol_type
        check_protocols(self.group_id, known_type, others, protocol_type, protocols)
        self.protocol_type = protocol_type
        member = Member(
            member_id=member_id or new_id,
            instance_id=instance_id,
            session_timeout=session_timeout,
            rebalance_timeout=rebalance_timeout,
            protocols=[(name, bytes(data)) for name, data in protocols],
            seen=now,
        )
        if member_id:
            return self._join_known(member, now)
        if predecessor is not None:
            return self._join_instead(predecessor, member, now)
        self.members[member.member_id] = member
        return self._enter_round(member, now)

    def join_answer(
        self, member_id: str, *, now: float, instance_id: str | None = None
    ) -> Joined | None:
        """Return the result of a join that was answered with ``None``, or ``None`` again.

        Raises:
            UnknownMember, FencedMember: as by `join`.
            RebalanceInProgress: that round is over, and another has begun without the member.
        """
        self.tick(now)
        member = self._known(member_id, instance_id)
        member.seen = max(member.seen, now)
        if self.phase is Phase.PREPARING:
            if member.joined:
                return None
            raise RebalanceInProgress(f"group {self.group_id}: another round has begun")
        return self._view(member)

    def _join_known(self, member: Member, now: float) -> Joined | None:
        # 1. A round is being prepared: join it.
        # 2. The leader, or somebody with other metadata, asks for a new round.
        # 3. Anybody else has lost the answer and gets it again.
        before = self.members[member.member_id]
        member.assignment, member.synced = before.assignment, before.synced
        self.members[member.member_id] = member
        if self.phase is Phase.PREPARING:
            return self._enter_round(member, now)
        asks = self.phase is Phase.STABLE and member.member_id == self.leader
        if asks or member.protocols != before.protocols:
            return self._enter_round(member, now)
        return self._view(member)

    def _join_instead(self, before: Member, member: Member, now: float) -> Joined | None:
        member.assignment, member.synced = before.assignment, before.synced
        self._replace(before.member_id, member)
        if (
            self.phase is not Phase.STABLE
            or choose_protocol(self.members.values()) != self.protocol
        ):
            return self._enter_round(member, now)
        view = self._view(member)
        return view._replace(skip_assignment=view.leader == member.member_id)

    def _replace(self, member_id: str, member: Member) -> None:
        # Keeps the place in the order, so that nothing else moves.
        self.members = {
            (member.member_id if known == member_id else known): (
                member if known == member_id else kept
            )
            for known, kept in self.members.items()
        }
        if self.leader == member_id:
            self.leader = member.member_id
        self.version += 1

    def _enter_round(self, member: Member, now: float) -> Joined | None:
        if self.phase is not Phase.PREPARING:
            self._prepare(now)
        member.joined = True
        self.version += 1
        self._finish_round_if_complete(now)
        return None if self.phase is Phase.PREPARING else self._view(member)

    # -- syncing, heartbeats, leaving ---------------------------------------------

    def sync(
        self,
        member_id: str,
        generation: int,
        plan: Mapping[str, bytes] | None,
        *,
        now: float,
        instance_id: str | None = None,
    ) -> bytes | None:
        """Give the plan (leader) and take one's own part; ``None``: ask again when `version` moves.

        Raises:
            RebalanceInProgress: another round has begun.
            IllegalGeneration, UnknownMember, FencedMember.
        """
        self.tick(now)
        member = self._current(member_id, generation, instance_id, now)
        if self.phase is Phase.PREPARING:
            raise RebalanceInProgress(f"group {self.group_id}: a round has begun")
        member.synced = True
        if self.phase is Phase.SYNCING:
            if member_id != self.leader:
                return None
            for known in self.members.values():
                known.assignment = bytes((plan or {}).get(known.member_id, b""))
            self._enter(Phase.STABLE, now)
        return member.assignment

    def heartbeat(
        self, member_id: str, generation: int, *, now: float, instance_id: str | None = None
    ) -> None:
        """Take a sign of life.

        Raises:
            RebalanceInProgress: a round has begun (the sign of life counts).
            IllegalGeneration, UnknownMember, FencedMember.
        """
        self.tick(now)
        self._current(member_id, generation, instance_id, now)
        if self.phase is Phase.PREPARING:
            raise RebalanceInProgress(f"group {self.group_id}: a round has begun")

    def leave(self, member_id: str, *, now: float, instance_id: str | None = None) -> None:
        """Let a member go at once.

        Raises:
            UnknownMember, FencedMember.
        """
        self.tick(now)
        self._known(member_id, instance_id)
        self._remove([member_id], now)

    # -- commits -----------------------------------------------------------------

    def check_commit(
        self,
        member_id: str,
        generation: int,
        *,
        now: float,
        instance_id: str | None = None,
        transactional: bool = False,
    ) -> None:
        """Return if this member may commit offsets for this generation (a sign of life).

        ``member_id`` "" and ``generation`` -1: from outside, which only an empty group allows (and
        a transactional producer that says nothing of a member).

        Raises:
            RebalanceInProgress: the round is over, but the member has not synced.
            IllegalGeneration, UnknownMember, FencedMember.
        """
        self.tick(now)
        if generation < 0 and not member_id and (transactional or not self.members):
            return
        self._current(member_id, generation, instance_id, now)
        if self.phase is Phase.SYNCING and not transactional:
            raise RebalanceInProgress(f"group {self.group_id}: sync before committing")

    # -- time ----------------------------------------------------------------------

    def tick(self, now: float, *, writable_since: float | None = None) -> bool:
        """Apply what the passing of time decides; return whether anything changed."""
        before = self.version
        silent_since = float("-inf") if writable_since is None else writable_since

        def passed(start: float, seconds: float) -> bool:
            return now >= max(start, silent_since) + seconds

        expired = [m.member_id for m in self.members.values() if passed(m.seen, m.session_timeout)]
        if expired:
            self._remove(expired, now)
        if self._is_waiting() and passed(self.since, self._patience()):
            if self.phase is Phase.PREPARING:
                self._finish_round(now)
            else:
                self._remove([m.member_id for m in self.members.values() if not m.synced], now)
        return self.version != before

    def deadline(self) -> float | None:
        """Return when `tick` has something to do next, if nobody says anything until then."""
        times = [m.seen + m.session_timeout for m in self.members.values()]
        if self._is_waiting():
            times.append(self.since + self._patience())
        return min(times, default=None)

    # -- plain data ----------------------------------------------------------------

    def encode(self) -> dict[str, Any]:
        """Return all of it as plain data for JSON."""
        plain = dict(vars(self))
        plain["phase"] = self.phase.value
        plain["members"] = [member.encode() for member in self.members.values()]
        return plain

    @classmethod
    def decode(cls, plain: Mapping[str, Any]) -> Group:
        """Take back what `encode` gave."""
        members = [Member.decode(member) for member in plain["members"]]
        by_id = {member.member_id: member for member in members}
        return cls(**{**plain, "phase": Phase(plain["phase"]), "members": by_id})

    # -- inside ----------------------------------------------------------------------

    def _known(self, member_id: str, instance_id: str | None) -> Member:
        owner = self._predecessor("", instance_id)
        if owner is not None and owner.member_id != member_id:
            raise FencedMember(
                f"group {self.group_id}: {instance_id!r} is another process now: each worker needs "
                f"a consumer_group_instance_id of its own"
            )
        if member_id not in self.members or (instance_id is not None and owner is None):
            raise UnknownMember(f"group {self.group_id} has no member {member_id!r}")
        return self.members[member_id]

    def _current(
        self, member_id: str, generation: int, instance_id: str | None, now: float
    ) -> Member:
        member = self._known(member_id, instance_id)
        if generation != self.generation:
            raise IllegalGeneration(
                f"group {self.group_id} is at generation {self.generation}, not {generation}"
            )
        member.seen = max(member.seen, now)
        return member

    def _predecessor(self, member_id: str, instance_id: str | None) -> Member | None:
        if member_id or instance_id is None:
            return None
        known = (m for m in self.members.values() if m.instance_id == instance_id)
        return next(known, None)

    def _is_waiting(self) -> bool:  # for joins, or for somebody to ask for its part of the plan
        return self.phase is Phase.PREPARING or not all(m.synced for m in self.members.values())

    def _patience(self) -> float:
        return max((m.rebalance_timeout for m in self.members.values()), default=0.0)

    def _view(self, member: Member) -> Joined:
        leads = member.member_id == self.leader
        told = list(self.members.values()) if leads else []
        return Joined(
            self.generation,
            member.member_id,
            self.leader,
            self.protocol,
            {m.member_id: m.metadata(self.protocol) for m in told},
            {m.member_id: m.instance_id for m in told if m.instance_id is not None},
        )

    def _enter(self, phase: Phase, now: float) -> None:
        assert phase in SUCCESSORS[self.phase], f"{self.phase} cannot become {phase}"
        self.phase, self.since = phase, now
        self.version += 1

    def _prepare(self, now: float) -> None:
        for member in self.members.values():
            member.joined = member.synced = False
        self._enter(Phase.PREPARING, now)

    def _finish_round_if_complete(self, now: float) -> None:
        if all(m.joined for m in self.members.values()):
            self._finish_round(now)

    def _finish_round(self, now: float) -> None:
        kept = {i: m for i, m in self.members.items() if m.joined or m.instance_id is not None}
        joined = [m.member_id for m in kept.values() if m.joined]
        self.members = kept
        if kept and not joined:
            self.since = now  # only silent static members: somebody must lead, so it goes on
            return
        self.generation += 1
        if not kept:
            self.leader = self.protocol = ""
            self._enter(Phase.EMPTY, now)
            return
        if self.leader not in joined:
            self.leader = joined[0]
        self.protocol = choose_protocol(self.members.values())
        for member in kept.values():
            if member.joined:
                member.seen = max(member.seen, now)
            member.joined = member.synced = False
        self._enter(Phase.SYNCING, now)

    def _remove(self, member_ids: Sequence[str], now: float) -> None:
        for member_id in member_ids:
            del self.members[member_id]
        self.version += 1
        if self.phase is not Phase.PREPARING:
            self._prepare(now)
        self._finish_round_if_complete(now)
