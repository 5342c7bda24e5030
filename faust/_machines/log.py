"""What a broker decides about the log of one partition: places, fences, what is stable, what goes.

Theory.  A log is a sequence of record batches.  `Partition` holds what is true of it besides the
bytes: its first and its end offset, which producers have written what last, which transactions are
open, and which stretches were aborted.  The bytes are the driver's; it tells of them in `Extent`.

* *Idempotence.*  A producer numbers its records for each partition.  The last five batches of each
  producer are remembered: one that comes again is answered with the offset it got the first time, a
  gap is refused, an older epoch is fenced, a newer one starts again at zero.
* *Transactions.*  The first batch of a producer's transaction opens a stretch, the marker ends it.
  The last stable offset is the first offset of the oldest open stretch: a reader of committed
  records stops there.  Stretches that ended in an abort are remembered as (producer, first, last).
* *Retention* removes whole batches from the front.  *Compaction* removes records whose key is
  written again before the cleaning limit; offsets never change, and the last batch is never
  touched, so that the end of the log can always be read from the log.  Tombstones and markers stay
  for ``delete.retention.ms`` after the first cleaning that saw them (KIP-534's delete horizon).

Times are milliseconds since the epoch; ``now_ms`` is always an argument.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, NamedTuple

from faust._values import TP
from faust.exceptions import OffsetOutOfRange, ProducerFenced, StopError

__all__ = [
    "Aborted",
    "Cleaner",
    "Entry",
    "Extent",
    "Partition",
    "Place",
    "ProducerState",
    "Verdict",
    "cleaning_limit",
    "retention_start",
]

#: Batches remembered of each producer: as many as Kafka lets be under way at once.
REMEMBERED_BATCHES = 5
#: Sequence numbers are 31 bits wide and start again at zero.
SEQUENCES = 1 << 31
#: Kafka's ``producer.id.expiration.ms``.
PRODUCER_EXPIRY_MS = 86_400_000


class Extent(NamedTuple):
    """A stored batch, as far as retention and compaction look at it.

    Attributes:
        base_offset: Its first offset.
        next_offset: The offset after its last one.
        max_timestamp: The latest timestamp in it, milliseconds.
        size: Its bytes.
    """

    base_offset: int
    next_offset: int
    max_timestamp: int
    size: int


class Aborted(NamedTuple):
    """A stretch whose batches of this producer do not count.

    Attributes:
        producer_id: Whose batches.
        first: Offset of the first of them.
        last: Offset of the marker.
    """

    producer_id: int
    first: int
    last: int


class Place(NamedTuple):
    """Where a batch is: its base offset, and whether it was there already."""

    base_offset: int
    duplicate: bool


@dataclass
class ProducerState:
    """What is remembered of one producer in one partition.

    Attributes:
        epoch: Its newest epoch.
        used_ms: When it last wrote.
        recent: (first sequence, last sequence, base offset) of its last batches, oldest first.
    """

    epoch: int
    used_ms: int = 0
    recent: list[tuple[int, int, int]] = field(default_factory=list)


@dataclass
class Partition:
    """What is true of a partition's log besides its bytes.

    Attributes:
        start: The first offset that is there.
        end: The offset that the next record will get.
        open: Producer id -> first offset of its open transaction.
        aborted: Aborted stretches, in the order of their markers.
        producers: Producer id -> what it wrote last.
    """

    start: int = 0
    end: int = 0
    open: dict[int, int] = field(default_factory=dict)
    aborted: list[Aborted] = field(default_factory=list)
    producers: dict[int, ProducerState] = field(default_factory=dict)

    # -- appending -------------------------------------------------------------------

    def place(
        self,
        span: int,
        now_ms: int,
        *,
        producer_id: int = -1,
        epoch: int = -1,
        sequence: int = -1,
        transactional: bool = False,
    ) -> Place:
        """Give the next ``span`` offsets to a batch, or find the one it was before.

        Raises:
            ProducerFenced: the producer's epoch is over; nothing changes.
            StopError: a batch before this one is missing; nothing changes.
        """
        if producer_id >= 0:
            known = self._check_sequence(producer_id, epoch, sequence, span)
            if known is not None:
                return Place(known, True)
        base = self.end
        self.end = base + span
        if producer_id >= 0:
            self._remember(producer_id, epoch, sequence, span, base, now_ms)
            if transactional:
                self.open.setdefault(producer_id, base)
        return Place(base, False)

    def mark(self, producer_id: int, epoch: int, now_ms: int, *, commit: bool) -> int:
        """End the producer's transaction here; return the offset of the marker.

        A marker of a newer epoch also fences the older one.
        """
        offset = self.end
        self.end += 1
        state = self.producers.get(producer_id)
        if state is None or state.epoch < epoch:
            self.producers[producer_id] = ProducerState(epoch, now_ms)
        else:
            state.used_ms = now_ms
        first = self.open.pop(producer_id, None)
        if first is not None and not commit:
            self.aborted.append(Aborted(producer_id, first, offset))
        return offset

    def _check_sequence(self, producer_id: int, epoch: int, sequence: int, span: int) -> int | None:
        # 1. Nothing is known of the producer here: it may start anywhere (its past has expired).
        # 2. An older epoch is fenced; a newer one must start at zero.
        # 3. A batch that is remembered gets its old offset.
        # 4. Anything but the next sequence number is a gap.
        state = self.producers.get(producer_id)
        if state is None:
            return None
        if epoch < state.epoch:
            raise ProducerFenced(
                f"producer {producer_id} is at epoch {state.epoch}; this batch is of epoch {epoch}"
            )
        recent = state.recent if epoch == state.epoch else []
        last = (sequence + span - 1) % SEQUENCES
        for first_seen, last_seen, base in recent:
            if (first_seen, last_seen) == (sequence, last):
                return base
        expected = (recent[-1][1] + 1) % SEQUENCES if recent else 0
        if sequence != expected:
            raise StopError(
                f"producer {producer_id} sent sequence number {sequence} where {expected} is next: "
                "a batch before it is missing"
            )
        return None

    def _remember(
        self, producer_id: int, epoch: int, sequence: int, span: int, base: int, now_ms: int
    ) -> None:
        state = self.producers.get(producer_id)
        if state is None or state.epoch != epoch:
            state = self.producers[producer_id] = ProducerState(epoch)
        state.used_ms = now_ms
        state.recent.append((sequence, (sequence + span - 1) % SEQUENCES, base))
        if len(state.recent) > REMEMBERED_BATCHES:
            del state.recent[0]

    # -- reading -------------------------------------------------------------------

    @property
    def stable(self) -> int:
        """The last stable offset: every transaction below it has ended."""
        return min(self.open.values()) if self.open else self.end

    def is_aborted(self, producer_id: int, base_offset: int) -> bool:
        """Does a transactional batch of this producer at this offset not count?"""
        return any(
            stretch.producer_id == producer_id and stretch.first <= base_offset <= stretch.last
            for stretch in self.aborted
        )

    def check_position(self, tp: TP, position: int) -> None:
        """Raise `OffsetOutOfRange` unless the log can be read from ``position``."""
        if not self.start <= position <= self.end:
            raise OffsetOutOfRange(tp, position, first=self.start, end=self.end)

    # -- what goes -------------------------------------------------------------------

    def delete_records(self, tp: TP, before: int) -> int:
        """Let the log begin at ``before`` (-1: at its end); return where it begins now.

        Raises:
            OffsetOutOfRange: beyond the end, or below zero; nothing changes.
        """
        wanted = self.end if before == -1 else before
        if not 0 <= wanted <= self.end:
            raise OffsetOutOfRange(tp, before, first=self.start, end=self.end)
        self.start_at(wanted)
        return self.start

    def start_at(self, offset: int) -> None:
        """Let the log begin there, if it begins earlier now; forget aborts that lie before."""
        if offset > self.start:
            self.start = offset
            self.aborted = [stretch for stretch in self.aborted if stretch.last >= offset]

    def forget_producers(self, now_ms: int) -> None:
        """Forget producers that have written nothing for a day and have nothing open."""
        horizon = now_ms - PRODUCER_EXPIRY_MS
        self.producers = {
            producer_id: state
            for producer_id, state in self.producers.items()
            if state.used_ms > horizon or producer_id in self.open
        }

    # -- plain data ----------------------------------------------------------------

    def encode(self) -> dict[str, Any]:
        """Return all of it as plain data for JSON."""
        return {
            "start": self.start,
            "end": self.end,
            "open": [[producer_id, first] for producer_id, first in self.open.items()],
            "aborted": [list(stretch) for stretch in self.aborted],
            "producers": [
                [producer_id, state.epoch, state.used_ms, [list(batch) for batch in state.recent]]
                for producer_id, state in self.producers.items()
            ],
        }

    @classmethod
    def decode(cls, plain: Mapping[str, Any]) -> Partition:
        """Take back what `encode` gave."""
        return cls(
            plain["start"],
            plain["end"],
            dict(plain["open"]),
            [Aborted(*stretch) for stretch in plain["aborted"]],
            {
                producer_id: ProducerState(epoch, used, [(a, b, c) for a, b, c in recent])
                for producer_id, epoch, used, recent in plain["producers"]
            },
        )


# -- retention ---------------------------------------------------------------------


def retention_start(
    extents: Sequence[Extent],
    now_ms: int,
    *,
    start: int,
    limit: int,
    retention_ms: int = -1,
    retention_bytes: int = -1,
) -> int:
    """Return where the log should begin: batches too old, or more than its size allows, go.

    ``extents`` in log order; -1 means without bound.  The size never falls below
    ``retention_bytes``; nothing from ``limit`` on (the last stable offset) goes.
    """
    total = sum(extent.size for extent in extents)
    for extent in extents:
        too_old = 0 <= retention_ms < now_ms - extent.max_timestamp
        too_much = 0 <= retention_bytes <= total - extent.size
        if extent.next_offset > limit or not (too_old or too_much):
            break
        total -= extent.size
        start = max(start, extent.next_offset)
    return start


# -- compaction --------------------------------------------------------------------


class Entry(NamedTuple):
    """A record, as far as compaction looks at it."""

    offset: int
    key: bytes | None
    is_tombstone: bool


class Verdict(NamedTuple):
    """What becomes of a batch.

    Attributes:
        keep: Offsets of the records that stay.
        horizon_ms: When its tombstones may go; ``None``: it has none, or was never cleaned.
    """

    keep: frozenset[int]
    horizon_ms: int | None


def cleaning_limit(extents: Sequence[Extent], now_ms: int, *, stable: int, min_lag_ms: int) -> int:
    """Return the offset from which on compaction touches nothing.

    That is the first batch with a record younger than ``min.compaction.lag.ms``, the last stable
    offset or the last batch, whichever comes first.
    """
    if not extents:
        return 0
    youngest = now_ms - min_lag_ms
    old = takewhile(lambda e: e.max_timestamp <= youngest and e.next_offset <= stable, extents[:-1])
    return max((extent.next_offset for extent in old), default=extents[0].base_offset)


class Cleaner:
    """One cleaning of one log: `learn` everything below the limit, then `judge` batch by batch."""

    def __init__(self, now_ms: int, *, delete_retention_ms: int) -> None:
        self.now_ms = now_ms
        self.delete_retention_ms = delete_retention_ms
        self.latest: dict[bytes, int] = {}

    def learn(self, entries: Iterable[Entry]) -> None:
        """Note the last offset of each key; call in log order, not for aborted batches."""
        self.latest.update((entry.key, entry.offset) for entry in entries if entry.key is not None)

    def judge(self, entries: Sequence[Entry], horizon_ms: int | None) -> Verdict:
        """Say which records of a data batch stay; those without a key never do."""
        latest = self.latest
        kept = [e for e in entries if e.key is not None and latest.get(e.key) == e.offset]
        if not any(entry.is_tombstone for entry in kept):
            return Verdict(frozenset(entry.offset for entry in kept), horizon_ms)
        horizon, passed = self._horizon(horizon_ms)
        stays = (entry.offset for entry in kept if not (passed and entry.is_tombstone))
        return Verdict(frozenset(stays), horizon)

    def judge_marker(self, offset: int, horizon_ms: int | None) -> Verdict:
        """Say whether a transaction marker stays."""
        horizon, passed = self._horizon(horizon_ms)
        return Verdict(frozenset() if passed else frozenset({offset}), horizon)

    def _horizon(self, horizon_ms: int | None) -> tuple[int, bool]:
        if horizon_ms is None:
            return self.now_ms + self.delete_retention_ms, False
        return horizon_ms, self.now_ms >= horizon_ms
