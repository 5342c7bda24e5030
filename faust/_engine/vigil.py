"""Looks whether changelogs are still what their one writer takes them for.

*Somebody else has written* while we wrote nothing: what a suspended worker had in its hands arrives
late.  `faust._engine.changelogs` notices that at the next append; where there is none, the log's
end is looked at now and then, well within the compaction lag, and our own values are written again.

*The log was deleted and made anew* under us: its end went back, or it has another id.  The table is
whole, here, and the log is not: all that is committed is written into the new one before anything
else is committed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any

from faust._engine.changelogs import Changelogs, Watched
from faust._values import TP
from faust.exceptions import IllegalGeneration, RebalanceInProgress

if TYPE_CHECKING:
    from faust._core.threads import Bridge
    from faust._engine.tasks import ActiveTask
    from faust.stores.overlay import Slice
    from faust.transport.base import Transport
    from faust.transport.membership import Membership

__all__ = ["Vigil"]

logger = logging.getLogger(__name__)

#: Entries that are written at once where a whole table is.
CHUNK = 10_000


class Vigil:
    """Looks after the changelogs of tasks (on the main loop, and while no commit is under way).

    Arguments:
        changelogs: Appends to them, outside of any transaction: what it writes is committed.
        ensure: Makes declared topics that are missing, and looks at their configuration.
        exact: Are commits transactions?  Then fencing keeps others out, and markers lie in the log.
    """

    def __init__(
        self,
        *,
        bridge: Bridge,
        transport: Transport,
        membership: Membership,
        changelogs: Changelogs,
        ensure: Callable[[], Coroutine[Any, Any, object]],
        exact: bool,
    ) -> None:
        from faust.transport.base import LATEST

        self._latest = LATEST
        self._bridge = bridge
        self._transport = transport
        self._membership = membership
        self._changelogs = changelogs
        self._ensure = ensure
        self._exact = exact

    async def look(self, tasks: Iterable[ActiveTask]) -> None:
        """Look at the changelogs of these tasks; what is put right is committed soon.

        Raises:
            BrokerError: the broker does not answer, or we are not in the group any more.
        """
        for task in tasks:
            watched = [
                Watched(TP(task.tables[name].changelog_topic_name, task.run.partition), piece)
                for name, piece in task.slices.items()
            ]
            if not watched or not task.run.alive:
                continue
            ids, ends = await self._bridge.call_io(self._ask, [each.changelog for each in watched])
            for each in watched:
                piece, end = each.piece, ends.get(each.changelog)
                if end is None:
                    await self.make_topics()
                elif self._is_another(piece, ids[each.changelog.topic], end):
                    await self.write_anew([each])
                    task.restless = True
                elif not self._exact and end > piece.expected:
                    await self._take_charge(each, end)
                    task.restless = True

    async def _ask(self, tps: Sequence[TP]) -> tuple[dict[str, str], dict[TP, int]]:
        """On the I/O loop: return the topics' ids, and where the logs end."""
        infos = await self._transport.topics({tp.topic for tp in tps})
        ends = await self._transport.offsets(tps, self._latest)
        ids = {name: info.topic_id for name, info in infos.items()}
        return ids, {tp: end for tp, end in ends.items() if tp.topic in ids}

    def _is_another(self, piece: Slice, topic_id: str, end: int) -> bool:
        known = piece.topic_id
        return (
            piece.replaced or end < piece.position or bool(known and topic_id and known != topic_id)
        )

    async def _take_charge(self, watched: Watched, end: int) -> None:
        """Somebody else has written to a log that we did not write to."""
        piece = watched.piece
        await self._make_sure()
        foreign = [(piece.expected, end)]
        piece.position = piece.expected = await self._bridge.call_io(
            self._changelogs.repair, watched.changelog, end, foreign, _own_value(watched)
        )

    async def write_anew(self, replaced: Sequence[Watched]) -> None:
        """Write all that is committed of these into the logs that have taken the place of theirs.

        Raises:
            RejoinError: we are not in the group any more.
        """
        for each in replaced:
            each.piece.replaced = True
        await self._make_sure()
        await self.make_topics()
        for each in replaced:
            tp, piece = each
            ids, ends = await self._bridge.call_io(self._ask, [tp])
            logger.error(
                "%s was deleted and made anew while its table is in use: all %d keys that are "
                "committed are written again", tp, len(piece.store),
            )  # fmt: skip
            end = start = ends.get(tp, 0)
            entries = piece.committed_items()
            while chunk := list(islice(entries, CHUNK)):
                _check_alive(each)
                end, _ = await self._bridge.call_io(self._changelogs.append, tp, chunk, end)
            piece.topic_id = ids.get(tp.topic, piece.topic_id)
            piece.position = piece.expected = end
            piece.replaced = False
            logger.warning("%s: %d records written again", tp, end - start)

    async def make_topics(self) -> None:
        """Make the changelogs that are gone; what is there is looked at as at the start.

        Raises:
            FaustError: a topic cannot be made, or is not what it was declared to be.
        """
        await self._bridge.call_io(self._ensure)

    async def _make_sure(self) -> None:
        """It may well be we who must not write.

        Raises:
            RejoinError: it is.
        """
        with suppress(RebalanceInProgress):
            await self._bridge.call_io(self._membership.heartbeat)


def _check_alive(watched: Watched) -> None:
    if not watched.piece.task.alive:
        raise IllegalGeneration(f"{watched.changelog} is not ours any more")


def _own_value(watched: Watched) -> Callable[[bytes], bytes | None]:
    def own_value(key: bytes) -> bytes | None:
        _check_alive(watched)
        return watched.piece.committed_bytes(key)

    return own_value
