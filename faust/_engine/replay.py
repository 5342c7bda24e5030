"""Changelogs, read into local stores: by the restorer up to a commit, by standbys as commits go on.

Requests are made on the I/O loop and records are parsed and written in threads: neither the user's
loop nor the heartbeats wait for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from faust._machines.restore import record_crc
from faust._machines.retry import backoff
from faust._values import TP, Message
from faust.exceptions import OffsetOutOfRange, RetryableError, UnknownTopic
from faust.stores.base import Checkpoint, PartitionStore

if TYPE_CHECKING:
    from faust._core.clock import Clock
    from faust._core.threads import Bridge
    from faust.tables.base import Collection
    from faust.transport.base import Transport
    from faust.transport.reader import ReaderOptions

__all__ = ["TIME_KEY", "Bounds", "Copy", "Replay"]

logger = logging.getLogger(__name__)

#: Bytes of one partition in one answer: large, because nothing else is waiting.
FETCH_BYTES = 4 << 20
#: Seconds that one request waits for records.
MAX_WAIT = 0.5
#: A key that no table has: what is written under it asks for the broker's time.
TIME_KEY = b"\x00faust-time"


class Bounds(NamedTuple):
    """What the broker knows of a changelog's partition."""

    start: int
    end: int
    topic_id: str


@dataclass(eq=False)
class Copy:
    """One partition of a table in a local store, while the changelog is read into it.

    Attributes:
        table: The table.
        changelog: The partition of its changelog.
        store: Where it is written to.
        topic_id: Id of the changelog topic.
        sequence: Sequence number of the commit that is read up to.
        records: Records read so far.
        writing: Is a thread at work on the store?
    """

    table: Collection
    changelog: TP
    store: PartitionStore
    topic_id: str = ""
    sequence: int = 0
    records: int = 0
    writing: bool = field(default=False, init=False)


class Replay:
    """Reads changelogs and writes them to stores.

    Arguments:
        make_event: Makes an event, for tables that want to see what they are made of.
    """

    def __init__(
        self,
        bridge: Bridge,
        clock: Clock,
        transport: Transport,
        make_event: Callable[..., Any],
    ) -> None:
        from faust.transport import base

        self._port = base
        self._bridge = bridge
        self._clock = clock
        self._transport = transport
        self._make_event = make_event

    async def patiently(self, request: Callable[[], Any]) -> Any:
        """Ask until the broker answers."""
        attempt = 0
        while True:
            try:
                return await request()
            except RetryableError as exc:
                if attempt == 0:
                    logger.warning("Restoring waits for the broker: %s", exc)
                attempt += 1
                await self._clock.sleep(backoff(attempt, 0.1, 5.0))

    async def bounds(self, tp: TP) -> Bounds:
        """Return where a changelog begins and ends now, and its topic's id.

        Raises:
            UnknownTopic: it is gone.
        """
        port, transport = self._port, self._transport
        topics = await self.patiently(lambda: transport.topics([tp.topic]))
        if tp.topic not in topics:
            raise UnknownTopic(f"changelog topic {tp.topic!r} is gone; it is made at the start")
        first = await self.patiently(lambda: transport.offsets([tp], port.EARLIEST))
        last = await self.patiently(lambda: transport.offsets([tp], port.LATEST))
        return Bounds(first.get(tp, 0), last.get(tp, 0), topics[tp.topic].topic_id)

    def reader_options(self) -> ReaderOptions:
        """How changelogs are read: who makes one that is gone knows what it must be like."""
        return self._port.ReaderOptions(
            max_partition_bytes=FETCH_BYTES, max_bytes=4 * FETCH_BYTES, auto_create=False
        )

    async def crc_before(self, tp: TP, position: int) -> int:
        """Return the `record_crc` of the record before a position; 0 if the log does not have it.

        It may have been compacted away, or not be heard of in time: nothing is known then.
        """
        reader = self._transport.reader(
            self._port.ReaderOptions(max_partition_bytes=1, max_bytes=1, auto_create=False)
        )
        reader.assign({tp: position - 1})
        try:
            fetched = await self.patiently(partial(reader.fetch, MAX_WAIT))
        finally:
            await reader.close()
        found = 0
        for batch in fetched.batches:
            for record in batch.records():
                if record.offset == position - 1:
                    found = record_crc(record.key, record.value)
        return found

    async def read(self, tp: TP, start: int, end: int) -> AsyncIterator[tuple[list[Any], int]]:
        """Yield (batches, position) until the position has reached ``end``.

        Raises:
            RetryableError: the log ends before our position, so it is another one: look at it anew.
        """
        if start >= end:
            return
        reader = self._transport.reader(self.reader_options())
        reader.assign({tp: start})
        position = start
        try:
            while position < end:
                fetched = await self.patiently(partial(reader.fetch, MAX_WAIT))
                error = fetched.errors.get(tp)
                if isinstance(error, OffsetOutOfRange):
                    if error.first is not None and error.first <= position:
                        raise RetryableError(f"{tp} was made anew while it was read") from error
                    position = max(position, error.first if error.first is not None else end)
                    logger.warning("%s: the log was truncated under the restore; going on", tp)
                    reader.assign({tp: position})
                    continue
                if error is not None:
                    raise error
                position = max(position, fetched.positions.get(tp, position))
                yield fetched.batches, position
        finally:
            await reader.close()

    async def write(self, copy: Copy, batches: Sequence[Any], start: int, end: int) -> None:
        """Write what lies in [start, end) to the store, and that it has come to ``end``."""
        await self.offload(copy, self._write, copy, batches, start, end)
        if copy.table.hears_changelog:
            await self._bridge.call_main(self._tell, copy, list(batches), start, end)

    def _write(self, copy: Copy, batches: Iterable[Any], start: int, end: int) -> None:
        """In a thread."""
        entries: list[tuple[bytes, bytes | None]] = []
        append = entries.append
        last: Any = None
        record: Any = None
        for batch in batches:
            if batch.base_offset >= start and batch.next_offset <= end:
                for record in batch.records():
                    append((record.key, record.value))
                last = record
            else:
                for record in batch.records():
                    if start <= record.offset < end:
                        append((record.key, record.value))
                        last = record
        ends = last is not None and last.offset == end - 1
        crc = record_crc(last.key, last.value) if ends else 0
        now = self._clock.time()
        copy.records += len(entries)
        copy.store.apply(entries, Checkpoint(end, copy.topic_id, crc, now, copy.sequence))

    async def _tell(self, copy: Copy, batches: list[Any], start: int, end: int) -> None:
        """On the main loop: show a table what it is made of."""
        codec = copy.table.codec
        for batch in batches:
            for record in batch.records():
                if start <= record.offset < end and record.key != TIME_KEY:
                    message = Message.of_record(copy.changelog, record)
                    value = None if record.value is None else codec.load_value(record.value)
                    key = codec.load_key(record.key)
                    event = self._make_event(key, value, record.headers, message)
                    await copy.table.on_changelog_event(event)

    async def offload(self, copy: Copy, fun: Callable[..., None], *args: Any) -> None:
        """Let a thread work on a store; whoever is cancelled meanwhile waits in `until_idle`."""
        copy.writing = True
        work = asyncio.ensure_future(self._bridge.offload(fun, *args))
        work.add_done_callback(lambda _: setattr(copy, "writing", False))
        await asyncio.shield(work)

    async def until_idle(self, copy: Copy) -> None:
        """Wait until nobody writes to the store any more, also if cancelled (again)."""
        while copy.writing:
            with suppress(asyncio.CancelledError):  # told twice; the caller raises it again
                await self._clock.sleep(0.005)
