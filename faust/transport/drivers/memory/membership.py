"""One member of a group at the memory broker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TypeVar

from faust._machines.groups import Group, Joined
from faust._values import TP
from faust.exceptions import BrokerError, UnknownMember
from faust.transport.drivers.memory.connection import Connection
from faust.transport.membership import Commit, GroupOptions, Membership, Round

__all__ = ["MemoryMembership"]

T = TypeVar("T")


class MemoryMembership(Membership):
    """Asks the group's machine, and waits on its signal for answers that take time."""

    def __init__(self, client: Connection, options: GroupOptions) -> None:
        self._client = client
        self._broker = client.broker
        self._options = options
        self._member_id = ""
        self._generation = -1
        self._is_closed = False

    @property
    def member_id(self) -> str:
        """Our id in the group; "" before the first join."""
        return self._member_id

    @property
    def generation(self) -> int:
        """The generation we are in; -1 outside of any."""
        return self._generation

    # -- rounds ------------------------------------------------------------------------

    async def join(self, protocols: Sequence[tuple[str, bytes]]) -> Round:
        """Take part in a round; returns when all members have joined it."""
        newcomer = f"{self._client.name}-{self._broker.next_number()}"

        def ask(group: Group) -> Joined | None:
            options = self._options
            answer = group.join(
                self._member_id,
                protocols,
                now=self._broker.now(),
                new_id=newcomer,
                instance_id=options.instance_id,
                session_timeout=options.session_timeout,
                rebalance_timeout=options.rebalance_timeout,
                protocol_type=options.protocol_type,
            )
            self._member_id = self._member_id or newcomer
            return answer

        def again(group: Group) -> Joined | None:
            now = self._broker.now()
            return group.join_answer(
                self._member_id, now=now, instance_id=self._options.instance_id
            )

        joined = await self._ask_until_answered("join", ask, again)
        self._generation = joined.generation
        return Round(*joined)

    async def sync(self, generation: int, plan: Mapping[str, bytes] | None) -> bytes:
        """Give the plan (leader) or ``None`` (others); return our own part of it."""

        def ask(group: Group) -> bytes | None:
            return group.sync(
                self._member_id,
                generation,
                plan,
                now=self._broker.now(),
                instance_id=self._options.instance_id,
            )

        return await self._ask_until_answered("sync", ask, ask)

    async def heartbeat(self) -> None:
        """Say that we live."""

        def effect(group: Group) -> None:
            now, instance_id = self._broker.now(), self._options.instance_id
            group.heartbeat(self._member_id, self._generation, now=now, instance_id=instance_id)

        await self._request("heartbeat", effect)

    async def commit(
        self, offsets: Mapping[TP, Commit], *, generation: int
    ) -> dict[TP, BrokerError]:
        """Commit; return the partitions that were refused, each with its reason."""

        def effect(group: Group) -> dict[TP, BrokerError]:
            now, instance_id = self._broker.now(), self._options.instance_id
            group.check_commit(self._member_id, generation, now=now, instance_id=instance_id)
            return self._broker.groups.commit(group.group_id, offsets)

        return await self._request("commit", effect)

    def check_transactional(self, generation: int | None = None) -> str:
        """Return the group's id if our offsets may be committed by a transaction."""
        if not self._member_id:  # Kafka takes this for a producer that says nothing of a member
            raise UnknownMember(f"not a member of group {self._options.group_id!r} (any more)")
        group = self._broker.groups.group(self._options.group_id)
        group.check_commit(
            self._member_id,
            self._generation if generation is None else generation,
            now=self._broker.now(),
            instance_id=self._options.instance_id,
            transactional=True,
        )
        return group.group_id

    async def leave(self) -> None:
        """Leave the group at once; never raises."""

        def effect(group: Group) -> None:
            now, instance_id = self._broker.now(), self._options.instance_id
            group.leave(self._member_id, now=now, instance_id=instance_id)

        if self._member_id:
            with suppress(BrokerError):
                await self._request("leave", effect)
        self._member_id, self._generation = "", -1

    async def close(self) -> None:
        """Drop the membership without a word.  Hands over to the event loop once."""
        self._is_closed = True
        await asyncio.sleep(0)

    # -- asking ------------------------------------------------------------------------

    async def _request(self, kind: str, ask: Callable[[Group], T]) -> T:
        group_id = self._options.group_id
        try:
            return await self._client.call(kind, group_id, lambda: self._apply(ask))
        except UnknownMember:
            self._member_id, self._generation = "", -1
            raise

    def _apply(self, ask: Callable[[Group], T]) -> T:
        groups = self._broker.groups
        group = groups.group(self._options.group_id)
        before = group.version
        try:
            return ask(group)
        finally:
            if group.version != before:
                groups.notify(group.group_id)

    async def _ask_until_answered(
        self,
        kind: str,
        ask: Callable[[Group], T | None],
        again: Callable[[Group], T | None],
    ) -> T:
        groups, group_id = self._broker.groups, self._options.group_id
        signal = self._client.new_signal()
        groups.watch(group_id, signal)
        try:
            answer = await self._request(kind, ask)
            while answer is None:
                await signal.wait(self._patience())
                signal.clear()
                await self._client.hang_if_dead()
                with self._broker.lock:
                    answer = self._apply(again)
            return answer
        except UnknownMember:
            self._member_id, self._generation = "", -1
            raise
        finally:
            groups.unwatch(group_id, signal)
            self._client.drop_signal(signal)

    def _patience(self) -> float:
        # Until the group has something to decide; asking must not be rarer than our session.
        due = self._broker.groups.group(self._options.group_id).deadline()
        soon = self._options.session_timeout / 3
        return soon if due is None else max(min(soon, due - self._broker.now()), 0.001)
