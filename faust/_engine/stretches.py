"""A stretch of a partition, read from one offset to another, without a group (on the I/O loop)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from faust._values import TP, Headers
from faust.exceptions import OffsetOutOfRange

if TYPE_CHECKING:
    from faust.transport.base import Transport

__all__ = ["bounds", "headers_from", "read_stretch"]

#: Seconds that one fetch waits for records.
MAX_WAIT = 0.5


async def bounds(transport: Transport, tps: list[TP]) -> dict[TP, tuple[int, int]]:
    """Return the first offset of each partition and the one behind its last."""
    from faust.transport.base import EARLIEST, LATEST

    first = await transport.offsets(tps, EARLIEST)
    end = await transport.offsets(tps, LATEST)
    return {tp: (first[tp], end[tp]) for tp in tps}


async def read_stretch(
    transport: Transport, tp: TP, start: int, end: int
) -> AsyncIterator[list[Any]]:
    """Iterate over the records from ``start`` to before ``end``, as they come, in lists.

    It ends by position: what was compacted, deleted or is a marker does not hold it up.
    """
    from faust.transport.reader import ReaderOptions

    reader = transport.reader(ReaderOptions())
    reader.assign({tp: start})
    position = start
    try:
        while position < end:
            fetched = await reader.fetch(MAX_WAIT)
            error = fetched.errors.get(tp)
            if isinstance(error, OffsetOutOfRange) and error.first is not None:
                position = max(position, error.first)
                reader.assign({tp: position})
                continue
            if error is not None:
                raise error
            found = [
                record
                for batch in fetched.batches
                for record in batch.records()
                if position <= record.offset < end
            ]
            position = max(position, fetched.positions.get(tp, position))
            if found:
                yield found
    finally:
        await reader.close()


async def headers_from(transport: Transport, tp: TP, start: int) -> list[tuple[int, Headers]]:
    """Return offsets and headers of what lies between an offset and the end, as it is now."""
    end = (await bounds(transport, [tp]))[tp][1]
    return [
        (record.offset, list(record.headers))
        async for records in read_stretch(transport, tp, start, end)
        for record in records
    ]
