"""How a cut is sent under at least once: outputs went out before, offsets follow the changelogs.

What a crash leaves behind is taken back by whoever restores (`faust._engine.restorer`); somebody
else who writes to a changelog is noticed by the offsets (`faust._engine.changelogs`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from faust._engine.changelogs import ChangelogReplaced, Changelogs, Watched
from faust.exceptions import IllegalGeneration, RebalanceInProgress

if TYPE_CHECKING:
    from faust._core.threads import Bridge
    from faust._engine.outbox import Outbox
    from faust._engine.tasks import Cut, TableCut
    from faust._values import TP
    from faust.exceptions import BrokerError
    from faust.transport.base import Transport
    from faust.transport.membership import Commit, Membership
    from faust.transport.producer import Producer

__all__ = ["AtLeastOnce"]


class AtLeastOnce:
    """Sends cuts one step after the other (on the main loop, where nothing else is said)."""

    def __init__(
        self,
        *,
        bridge: Bridge,
        transport: Transport,
        producer: Producer,
        membership: Membership,
        outbox: Outbox,
        group_id: str,
        batch_size: int,
        now: Callable[[], float],
    ) -> None:
        self._bridge = bridge
        self._transport = transport
        self._membership = membership
        self._outbox = outbox
        self._group_id = group_id
        self._changelogs = Changelogs(transport, producer, batch_size=batch_size, now=now)

    #: May a cut be undone whose outcome is not known?  (Changelogs and offsets may come again.)
    forgiving = True

    @property
    def pressing(self) -> bool:
        """Should a commit not wait for its interval?"""
        return False

    def check(self) -> None:
        """Look whether anything that was sent is lost, where nothing is produced.

        Raises:
            ProducerSendError: it is, and nobody has asked for it.
        """
        self._outbox.losses.check()

    async def produce(self, cuts: Sequence[Cut]) -> None:
        """Append to the changelogs; wait until that, and all that events have sent, is durable."""
        tables = [table for cut in cuts for table in cut.tables if table.taken]
        barrier = asyncio.ensure_future(self._outbox.barrier())
        try:
            if tables:
                await self._bridge.call_io(self._append_all, tables)
                for table in tables:
                    await self._take_charge(table)
            await barrier
        finally:
            if not barrier.done():
                barrier.cancel()
            await asyncio.gather(barrier, return_exceptions=True)

    async def _append_all(self, tables: Sequence[TableCut]) -> None:
        """On the I/O loop: append to all changelogs at once."""
        append = self._changelogs.append
        ends = await asyncio.gather(
            *(append(table.changelog, table.entries, table.piece.expected) for table in tables)
        )
        replaced = [
            Watched(table.changelog, table.piece)
            for table, (end, _) in zip(tables, ends, strict=True)
            if end < table.piece.expected + len(table.entries)
        ]
        if replaced:
            raise ChangelogReplaced(replaced)
        for table, (end, foreign) in zip(tables, ends, strict=True):
            table.position, table.foreign = end, foreign

    async def _take_charge(self, table: TableCut) -> None:
        """Where somebody else has written to the changelog, write our own values again."""
        if table.foreign:
            await self._bridge.call_io(self._make_sure)
            ours = dict(table.entries)

            def own_value(key: bytes) -> bytes | None:
                if not table.piece.task.alive:
                    raise IllegalGeneration(f"{table.changelog} is not ours any more")
                return ours[key] if key in ours else table.piece.committed_bytes(key)

            table.position = await self._bridge.call_io(
                self._changelogs.repair,
                table.changelog, table.position, table.foreign, own_value,
            )  # fmt: skip
        table.piece.expected = table.position

    async def _make_sure(self) -> None:
        """Somebody else writes: it may well be we who must not.

        Raises:
            RejoinError: it is.
        """
        with suppress(RebalanceInProgress):
            await self._membership.heartbeat()

    async def commit(self, offsets: dict[TP, Commit], generation: int) -> dict[TP, BrokerError]:
        """Commit the offsets; return what was refused.

        Raises:
            RejoinError, FencedMember: nothing was committed.
            BrokerUnavailable: the outcome is unknown.
        """
        return await self._bridge.call_io(self._send_commit, offsets, generation)

    async def _send_commit(
        self, offsets: dict[TP, Commit], generation: int
    ) -> dict[TP, BrokerError]:
        return await self._membership.commit(offsets, generation=generation)

    async def committed(self, tps: list[TP]) -> dict[TP, Commit]:
        """Return what is committed."""
        return await self._bridge.call_io(self._committed, tps)

    async def _committed(self, tps: list[TP]) -> dict[TP, Commit]:
        return await self._transport.committed(self._group_id, tps)

    def succeeded(self) -> None:
        """What was produced and committed last counts."""

    async def abandon(self) -> None:
        """What was produced last does not count: it is taken back, or written again."""

    def end(self) -> None:
        """Nothing is sent by anybody who is not waited for."""
