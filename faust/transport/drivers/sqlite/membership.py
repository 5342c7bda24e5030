"""One member of a group: events into the file, and waiting for what other members do."""

from __future__ import annotations

import contextlib
import sqlite3
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from faust._machines.members import Joined
from faust._values import TP
from faust.exceptions import (
    BrokerError,
    BrokerUnavailable,
    FaustError,
    UnknownMember,
)
from faust.transport.drivers.sqlite import groups
from faust.transport.drivers.sqlite.groups import SharedGroup
from faust.transport.drivers.sqlite.log import Session
from faust.transport.membership import Commit, GroupOptions, Membership, Round

if TYPE_CHECKING:
    from faust.transport.drivers.sqlite.connection import Connection

__all__ = ["SQLiteMembership"]

R = TypeVar("R")

Event = Callable[[SharedGroup, float], R]

#: Seconds between two askings while something is due that nobody may decide yet.
_AFTER_DUE = 0.05


class SQLiteMembership(Membership):
    """A member whose coordinator is the file."""

    def __init__(self, connection: Connection, options: GroupOptions) -> None:
        self.options = options
        self._connection = connection
        self._member_id = ""
        self._new_id = ""
        self._generation = -1

    def __repr__(self) -> str:
        return (
            f"<SQLiteMembership {self._member_id or '(none)'} of {self.options.group_id}, "
            f"generation {self._generation}>"
        )

    @property
    def member_id(self) -> str:
        return self._member_id

    @property
    def generation(self) -> int:
        return self._generation

    # -- rounds ------------------------------------------------------------------------------

    async def join(self, protocols: Sequence[tuple[str, bytes]]) -> Round:
        options = self.options
        # Kept until there is an answer: a join that is tried again is not a second member.
        if not self._member_id and not self._new_id:
            self._new_id = f"{self._connection.options.client_id}-{uuid.uuid4().hex}"
        new_id = self._new_id
        me = self._member_id or new_id
        process = self._connection.bell.name

        def ask(group: SharedGroup, now: float) -> Joined | None:
            group.processes[me] = process
            return group.join(
                self._member_id,
                protocols,
                now=now,
                new_id=new_id,
                instance_id=options.instance_id,
                session_timeout=options.session_timeout,
                rebalance_timeout=options.rebalance_timeout,
                protocol_type=options.protocol_type,
            )

        joined = await self._event(ask)
        self._member_id, self._new_id, self._generation = me, "", -1
        if joined is None:
            joined = await self._until(
                lambda group, now: group.join_answer(me, now=now, instance_id=options.instance_id),
            )
        self._generation = joined.generation
        return Round(*joined)

    async def sync(self, generation: int, plan: Mapping[str, bytes] | None) -> bytes:
        def ask(group: SharedGroup, now: float) -> bytes | None:
            return group.sync(
                self._member_id,
                generation,
                plan,
                now=now,
                instance_id=self.options.instance_id,
            )

        part = await self._event(ask)
        return part if part is not None else await self._until(ask)

    async def heartbeat(self) -> None:
        await self._event(
            lambda group, now: group.heartbeat(
                self._member_id, self._generation, now=now, instance_id=self.options.instance_id
            )
        )

    async def commit(
        self, offsets: Mapping[TP, Commit], *, generation: int
    ) -> dict[TP, BrokerError]:
        def run(session: Session) -> dict[TP, BrokerError]:
            group = groups.load(session, self.options.group_id)
            now = session.clock.monotonic()
            try:
                group.check_commit(
                    self._member_id, generation, now=now, instance_id=self.options.instance_id
                )
            finally:
                groups.save(session, group)
            return groups.commit(session, self.options.group_id, offsets)

        with self.noticing():
            return await self._connection.writer.call(run)

    def check_transactional(self, session: Session, generation: int | None) -> str:
        """Return the group's id if our offsets may be committed by a transaction.

        Raises:
            RejoinError, FencedMember: as by `commit`.
        """
        if not self._member_id:  # Kafka takes this for a producer that says nothing of a member
            raise UnknownMember(f"not a member of group {self.options.group_id!r} (any more)")
        group = groups.load(session, self.options.group_id)
        try:
            group.check_commit(
                self._member_id,
                self._generation if generation is None else generation,
                now=session.clock.monotonic(),
                instance_id=self.options.instance_id,
                transactional=True,
            )
        finally:
            groups.save(session, group)
        return group.group_id

    # -- the end -----------------------------------------------------------------------------

    async def leave(self) -> None:
        member_id = self._member_id or self._new_id
        self._member_id, self._new_id, self._generation = "", "", -1
        if not member_id:
            return
        try:
            await self._event(
                lambda group, now: group.leave(
                    member_id, now=now, instance_id=self.options.instance_id
                )
            )
        except FaustError:
            # We are out already, or cannot say so: the session time-out will.
            return

    async def close(self) -> None:
        self._member_id, self._new_id, self._generation = "", "", -1

    # -- events --------------------------------------------------------------------------------

    async def _event(self, event: Event[R]) -> R:
        answer, _ = await self._ask(event)
        return answer

    async def _ask(self, event: Event[R]) -> tuple[R, int]:
        """Let the group hear of an event; return its answer, and the group's version after it."""

        def run(session: Session) -> tuple[R, int]:
            group = groups.load(session, self.options.group_id)
            try:
                return event(group, session.clock.monotonic()), group.version
            finally:
                # Also when the machine refuses: time has passed for the others, and a sign of life
                # counts although a round has begun.
                groups.save(session, group)

        with self.noticing():
            return await self._connection.writer.call(run)

    @contextlib.contextmanager
    def noticing(self) -> Iterator[None]:
        """Remember that we are out when the group says so."""
        # An old generation that is refused (of a commit that a round has overtaken) says nothing
        # about the one that we are in.
        try:
            yield
        except UnknownMember:
            self._member_id, self._generation = "", -1
            raise

    async def _until(self, event: Event[R | None]) -> R:
        """Ask until there is an answer.

        Again when the group has changed (looking whether it has is a read), when the passing of
        time should change it, and in any case often enough to count as alive.
        """
        clock, bell = self._connection.options.clock, self._connection.bell
        patience = self.options.rebalance_timeout + self._connection.options.request_timeout
        last = clock.monotonic() + patience
        while (now := clock.monotonic()) < last:
            answer, version = await self._ask(event)
            if answer is not None:
                return answer
            again = now + self.options.session_timeout / 3
            while (left := min(again, last) - clock.monotonic()) > 0:
                ticket = bell.ticket()
                seen, due = await self._connection.read(self._glimpse)
                if seen != version:
                    bell.drop(ticket)
                    break
                if due is not None:
                    # What is due may wait a little longer: silence is judged with care.
                    left = min(left, max(due - clock.monotonic(), _AFTER_DUE))
                    again = min(again, max(due, now + _AFTER_DUE))
                await bell.wait(ticket, left)
        raise BrokerUnavailable(f"group {self.options.group_id}: the round does not end")

    def _glimpse(self, db: sqlite3.Connection) -> tuple[int, float | None]:
        return groups.glimpse(db, self.options.group_id)
