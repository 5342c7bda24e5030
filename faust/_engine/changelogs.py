"""Changelogs have one writer; this notices when somebody else has written, and repairs it.

A worker that was suspended past its session may still have changelog records in its hands, and
they may arrive when its tasks have long been another's.  The owner knows which offset each of its
own batches must get.  A later one shows that somebody has written in between: that stretch is
read, and for each key in it the owner's own value is written again, before any commit says that
what lies below counts.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from faust._values import TP

if TYPE_CHECKING:
    from faust.stores.overlay import Slice
    from faust.transport.base import Transport
    from faust.transport.producer import Producer, Transaction

__all__ = ["ChangelogReplaced", "Changelogs", "Entry", "Stretch", "Watched"]

logger = logging.getLogger(__name__)

Entry = tuple[bytes, bytes | None]
#: Offsets that others have written: first, end.
Stretch = tuple[int, int]

#: Seconds that one fetch waits while a stretch is read.
MAX_WAIT = 0.5


class Watched(NamedTuple):
    """One partition of a changelog, and the slice whose log it is."""

    changelog: TP
    piece: Slice


class ChangelogReplaced(Exception):
    """These changelogs were deleted and made anew while their tables are in use.

    Nothing may be committed before they are written again (`faust._engine.vigil`).
    """

    def __init__(self, replaced: Sequence[Watched]) -> None:
        super().__init__(", ".join(str(each.changelog) for each in replaced))
        self.replaced = replaced


class Changelogs:
    """Appends to changelogs (on the I/O loop).

    Arguments:
        batch_size: Bytes of one batch.
        now: Returns Unix time in seconds.
        transactional: Are batches built for transactions?
    """

    def __init__(
        self,
        transport: Transport,
        producer: Producer,
        *,
        batch_size: int,
        now: Callable[[], float],
        transactional: bool = False,
    ) -> None:
        from faust.transport import base, records

        self._port = base
        self._new_builder = partial(records.new_builder, transactional=transactional)
        self._transport = transport
        self._producer = producer
        self._batch_size = batch_size
        self._now = now

    def build(self, entries: Sequence[Entry]) -> list[tuple[Any, int]]:
        """Return batches with these entries, and how many each has."""
        stamp = int(self._now() * 1000)
        built: list[tuple[Any, int]] = []
        builder, count = self._new_builder(self._batch_size), 0
        for key, value in entries:
            if builder.append(count, stamp, key, value, []) is None:
                built.append((builder, count))
                builder, count = self._new_builder(self._batch_size), 0
                builder.append(0, stamp, key, value, [])
            count += 1
        built.append((builder, count))
        return built

    async def append(
        self, tp: TP, entries: Sequence[Entry], expected: int
    ) -> tuple[int, list[Stretch]]:
        """Append entries; return the end after them, and what others have written since
        ``expected``.

        Raises:
            BrokerError: not all of it was appended, or nobody knows.
        """
        built = self.build(entries)
        placed = await asyncio.gather(*(self._producer.produce(tp, each) for each, _ in built))
        end, foreign = expected, []
        for at, (_, count) in zip(placed, built, strict=True):
            if at.base_offset > end:
                foreign.append((end, at.base_offset))
            end = at.base_offset + count
        return end, foreign

    async def append_in(self, transaction: Transaction, tp: TP, entries: Sequence[Entry]) -> int:
        """Append entries inside of a transaction; return the end after them.

        Who else would write is fenced; markers may lie between our batches.

        Raises:
            BrokerError: not all of it was appended; the transaction can only be aborted.
        """
        built = self.build(entries)
        placed = await asyncio.gather(*(transaction.produce(tp, each) for each, _ in built))
        return placed[-1].base_offset + built[-1][1]

    async def keys(self, tp: TP, stretches: Iterable[Stretch]) -> list[bytes]:
        """Return the keys that these stretches hold, each once."""
        found: dict[bytes, None] = {}
        for start, end in stretches:
            await self._read(tp, start, end, found)
        return list(found)

    async def _read(self, tp: TP, start: int, end: int, found: dict[bytes, None]) -> None:
        reader = self._transport.reader(self._port.ReaderOptions(auto_create=False))
        reader.assign({tp: start})
        position = start
        try:
            while position < end:
                fetched = await reader.fetch(MAX_WAIT)
                if tp in fetched.errors:
                    raise fetched.errors[tp]
                position = max(position, fetched.positions.get(tp, position))
                for batch in fetched.batches:
                    for record in batch.records():
                        if start <= record.offset < end and record.key is not None:
                            found[record.key] = None
        finally:
            await reader.close()

    async def repair(
        self,
        tp: TP,
        end: int,
        foreign: list[Stretch],
        own_value: Callable[[bytes], bytes | None],
    ) -> int:
        """Write our own values again for what others wrote, until nobody has; return the end."""
        while foreign:
            keys = await self.keys(tp, foreign)
            count = sum(last - first for first, last in foreign)
            logger.warning(
                "%s: somebody else has written %d records; writing %d keys again",
                tp, count, len(keys),
            )  # fmt: skip
            if not keys:
                return end
            end, foreign = await self.append(tp, [(key, own_value(key)) for key in keys], end)
        return end
