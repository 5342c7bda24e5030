"""What to restore of one table's partition: from where, how far, and what to do with the rest.

::

      log start      local store         committed                end
    ──────┴───────────────┴──────────────────┴─────────────────────┴──
                          start ── apply ──▶ boundary ── the tail ──▶

What lies below the committed position belongs to events that will not come again; it is applied.
The *tail* was written by a worker that died before its commit.  Its events come again, so it is not
applied, and for each key in it the committed value is written once more (*undo*), so that the tail
cannot come back when somebody restores later.

*Undo needs positive evidence*: a commit that names a position in this very log.  Without it, or
where compaction may have removed a committed value in favour of the tail's, the tail is all there
is: it is applied (*whole*), and counted.  A tombstone is never written on a guess.

*The local store* is a shortcut that must not lie.  It holds what the log said up to its position,
and is used only if it is of this log (it has the same id, and before the store's position still the
same record, or none: a broker may have lost some and given their offsets to others), is not ahead
of the commit, and either is at the commit or so young that no tombstone after its position can have
been compacted away; otherwise it is wiped and all is read again.  (A whole restore leaves a store
that is ahead of the commit until the next one: a crash in between is found here.)

Restoring ends by *position*: the last offsets may be markers, aborted or compacted away, and a
particular record may never come.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from zlib import crc32

from faust._machines.commits import TableMark

__all__ = ["Progress", "RestorePlan", "Undo", "lag", "plan", "record_crc", "tail_is_old"]

#: A store written so many seconds in the future is one that a clock was adjusted under; more, and
#: nobody can know its age.
CLOCK_SLACK = 60.0


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """What to do; ``start <= boundary <= end``, all of them offsets that the log has or will have.

    Attributes:
        start: Apply the changelog from here ...
        boundary: ... up to here and no further.
        end: The log's end when this was decided; [boundary, end) is the tail.
        wipe: Empty the local store first.
        undo: There is a tail: write the committed values of its keys again.
        whole: No commit says how much of the log counts: all that there is does (it may be empty).
        recommit: No commit names the position at which the restore ends; one must, before an event
            is handed out, or the next restore would take its writes for committed ones.
        reason: A clause for the log that says what was found.
        loss: Something that was committed is not in the log any more.
    """

    start: int
    boundary: int
    end: int
    wipe: bool
    undo: bool
    whole: bool
    recommit: bool
    reason: str
    loss: bool = False

    def with_tail(self, reason: str) -> RestorePlan:
        """Return the plan that applies the tail instead of undoing it (it is too old)."""
        return replace(
            self, boundary=self.end, undo=False, whole=True, recommit=True, reason=reason
        )

    def for_standby(self) -> RestorePlan:
        """Return the plan of a copy that only follows: what no commit vouches for is left alone."""
        if self.whole:
            return replace(self, boundary=self.start, undo=False, recommit=False)
        return replace(self, undo=False, recommit=False)


def plan(
    *,
    mark: TableMark | None,
    ids_match: bool,
    log_start: int,
    log_end: int,
    topic_id: str,
    checkpoint: tuple[int, str, float] | None,
    max_local_age: float,
    differs: bool = False,
) -> RestorePlan:
    """Decide how to restore one table's partition.

    Arguments:
        mark: What the task's commit says of the table; ``None`` if nothing, or there is none.
        ids_match: Is the commit about this topic, on this cluster?
        log_start: The changelog's first offset.
        log_end: The offset after its last one.
        topic_id: Id of the changelog topic; "" where it is not known.
        checkpoint: Position, topic id and age in seconds of the local store; ``None`` for an empty
            one.
        max_local_age: A store older than this may have missed tombstones (seconds).
        differs: Has the log another record before the local store's position than it had?
    """
    committed, doubt = _evidence(mark, ids_match, log_end, topic_id)
    lie = _lie(
        checkpoint,
        log_start=log_start,
        boundary=log_end if committed is None else committed,
        topic_id=topic_id,
        max_local_age=max_local_age,
        differs=differs,
    )
    if checkpoint is not None and doubt == _LOST:
        lie = lie or "it may have records that the log has lost"
    local = None if checkpoint is None or lie else checkpoint[0]
    if committed is not None and committed < log_start and local is None:
        committed, doubt = None, _BEHIND
    start = log_start if local is None else max(local, log_start)
    boundary = max(start, log_end if committed is None else committed)
    end = max(log_end, boundary)
    return RestorePlan(
        start=start,
        boundary=boundary,
        end=end,
        wipe=bool(lie),
        undo=committed is not None and boundary < end,
        whole=committed is None,
        recommit=mark is None or committed is None or not mark.position == boundary == end,
        reason=_reason(start, boundary, end, local=local, lie=lie, doubt=doubt),
        loss=lie in (_TRUNCATED, _DIFFERS) or doubt in (_LOST, _BEHIND, _ANOTHER),
    )


_LOST = "the log ends below the committed position"
_BEHIND = "the log begins above the committed position"
_ANOTHER = "the commit is about another topic of that name"
_TRUNCATED = "the log begins above it"
_DIFFERS = "the log has another record at its position"


def record_crc(key: bytes, value: bytes | None) -> int:
    """Return a CRC of a changelog's record; never 0.

    It is the record's and not the batch's: a broker that stamps what it appends changes batches.
    """
    return crc32(key, crc32(b"-" if value is None else b"+" + value)) or 1


def _evidence(
    mark: TableMark | None, ids_match: bool, log_end: int, topic_id: str
) -> tuple[int | None, str]:
    """Return the committed position, or ``None`` and why nothing is known of it."""
    if mark is None:
        return None, "no commit tells how much of it counts"
    if not ids_match or (mark.topic_id and topic_id and mark.topic_id != topic_id):
        return None, _ANOTHER
    if mark.position > log_end:
        return None, _LOST
    return mark.position, ""


def _lie(
    checkpoint: tuple[int, str, float] | None,
    *,
    log_start: int,
    boundary: int,
    topic_id: str,
    max_local_age: float,
    differs: bool,
) -> str:
    """Return why the local store cannot be used; "" if it can, or there is none."""
    if checkpoint is None:
        return ""
    position, stored_id, age = checkpoint
    # 1. It is of another log.
    if stored_id != topic_id:
        return "it is of another topic of that name"
    if differs:
        return _DIFFERS
    # 2. It has what was never committed.
    if position > boundary:
        return "it is ahead of the commit"
    # 3. It stands at the boundary, needs nothing of what comes after, and is right at any age.
    if position == boundary:
        return ""
    # 4. Of what comes after it, something is gone, or a tombstone may be gone.
    if position < log_start:
        return _TRUNCATED
    if not -CLOCK_SLACK <= age <= max_local_age:
        return "it is too old, or its age is not known"
    return ""


def _reason(start: int, boundary: int, end: int, *, local: int | None, lie: str, doubt: str) -> str:
    found = [f"offsets {start} to {boundary}" + ("" if local is None else " onto the local store")]
    if lie:
        found.append(f"the local store is wiped: {lie}")
    if doubt:
        found.append(f"all there is: {doubt}")
    if boundary < end:
        found.append(f"offsets {boundary} to {end} were not committed")
    return "; ".join(found)


def tail_is_old(
    tail_first_timestamp_ms: int, broker_now_ms: int, min_compaction_lag_ms: int
) -> bool:
    """Return whether compaction may have removed committed values in favour of the tail's.

    Both times are the broker's (LogAppendTime): that of the tail's first record, and that of a
    record just produced.  Half the lag counts as old already.  So does a time that is not known
    (negative), and one that far in the future: whoever set it, its age is not known.
    """
    if tail_first_timestamp_ms < 0 or broker_now_ms < 0:
        return True
    return 2 * abs(broker_now_ms - tail_first_timestamp_ms) >= min_compaction_lag_ms


class Progress:
    """How far a restore has come, by position.

    Arguments:
        start, boundary, end: As in `RestorePlan`.
        now: Seconds on a monotonic clock.

    Attributes:
        position: Next offset to read; never goes back.
    """

    __slots__ = ("_began", "_start", "boundary", "end", "position")

    def __init__(self, start: int, boundary: int, end: int, now: float = 0.0) -> None:
        self.position = self._start = start
        self.boundary = boundary
        self.end = end
        self._began = now

    def advance(self, position: int) -> None:
        """Everything below ``position`` was read, or does not exist."""
        if position > self.position:
            self.position = position

    @property
    def restored(self) -> bool:
        """Is everything applied that is to be applied?"""
        return self.position >= self.boundary

    @property
    def done(self) -> bool:
        """Is the tail read, too?"""
        return self.position >= self.end

    @property
    def left(self) -> int:
        """Offsets that are still to be read."""
        return max(0, self.end - self.position)

    @property
    def fraction(self) -> float:
        """What part is done, from 0 to 1."""
        whole = self.end - self._start
        return 1.0 - self.left / whole if whole > 0 else 1.0

    def rate(self, now: float) -> float:
        """Return the offsets read per second; 0 before any time has passed."""
        seconds = now - self._began
        return (self.position - self._start) / seconds if seconds > 0 else 0.0

    def eta(self, now: float) -> float | None:
        """Return how many seconds the rest will take; ``None`` while nobody can know."""
        if self.done:
            return 0.0
        rate = self.rate(now)
        return self.left / rate if rate else None

    def __repr__(self) -> str:
        return f"<Progress {self.position} of {self.boundary} ({self.end})>"


class Undo:
    """The keys of a tail, and what is to be written for them."""

    __slots__ = ("_keys",)

    def __init__(self) -> None:
        self._keys: dict[bytes, None] = {}

    def seen(self, key: bytes) -> None:
        """A record of the tail has this key."""
        self._keys[key] = None

    def records(self, lookup: Callable[[bytes], bytes | None]) -> list[tuple[bytes, bytes | None]]:
        """Return each key once, in the order they were seen first, with its committed value.

        Arguments:
            lookup: Returns the value of a key as it was committed before the tail; ``None`` (a
                tombstone is written then) if there was none.
        """
        return [(key, lookup(key)) for key in self._keys]

    def __len__(self) -> int:
        return len(self._keys)

    def __repr__(self) -> str:
        return f"<Undo of {len(self)} keys>"


def lag(mark: TableMark, known: tuple[int, str] | None) -> int:
    """Return how many offsets a local store is behind what is committed of its table.

    Arguments:
        mark: What the task's commit says of the table.
        known: Position and topic id of the store; ``None`` where there is none.  One that cannot be
            used is behind by all there is.
    """
    if known is None:
        return mark.position
    position, topic_id = known
    of_this_log = not mark.topic_id or not topic_id or mark.topic_id == topic_id
    return mark.position - position if of_this_log and position <= mark.position else mark.position
