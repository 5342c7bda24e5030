"""One partition of a reader: where it stands, what lies here unread, what went wrong."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from faust._values import TP
from faust.exceptions import BrokerError, CorruptRecord
from faust.transport.reader import Fetched
from faust.transport.records import Batch

__all__ = ["Delivery", "Partition"]


class _Answer(NamedTuple):
    batches: list[Batch]
    next_offset: int
    size_bytes: int


class Partition:
    """State of one partition, from one `assign` to the next.

    Attributes:
        tp: The partition.
        position: What `fetch` will hand out next.
        fetch_position: What the broker is asked for next: after all that lies here.
        paused: Hand out nothing, and ask for no more.
        asking: A request for it is under way.
        stale: Its leader is being looked up.
        answered: A leader has answered for it at least once: its topic id is certain.
        topic_id: The topic that the position belongs to.
        key: What it is called in the request under way: topic (name or id) and partition.
        error: Why it cannot go on.
    """

    __slots__ = (
        "_answers",
        "_reported",
        "answered",
        "asking",
        "error",
        "fetch_position",
        "key",
        "paused",
        "position",
        "stale",
        "topic_id",
        "tp",
        "unread_bytes",
    )

    def __init__(self, tp: TP, position: int) -> None:
        self.tp = tp
        self.position = self.fetch_position = position
        self.paused = self.asking = self.stale = self.answered = self._reported = False
        self.topic_id: bytes | None = None
        self.key: tuple[str | bytes, int] = (tp.topic, tp.partition)
        self.error: BrokerError | None = None
        self.unread_bytes = 0
        self._answers: deque[_Answer] = deque()

    @property
    def has_news(self) -> bool:
        """Is there something to hand out?"""
        return bool(self._answers) or (self.error is not None and not self._reported)

    def add(self, batches: list[Batch], next_offset: int, size_bytes: int) -> None:
        """Keep an answer until it is asked for."""
        if next_offset != self.fetch_position:
            self._answers.append(_Answer(batches, next_offset, size_bytes))
            self.fetch_position = next_offset
            self.unread_bytes += size_bytes

    def drop_unread(self) -> None:
        """Forget what lies here; it will be asked for again."""
        self._answers.clear()
        self.unread_bytes = 0
        self.fetch_position = self.position

    def next_answer(self) -> _Answer | None:
        """Take the oldest answer."""
        if not self._answers:
            return None
        answer = self._answers.popleft()
        self.unread_bytes -= answer.size_bytes
        return answer

    def report_error(self) -> BrokerError | None:
        """Return the error when all that came before has been handed out; only once."""
        if self.error is None or self._answers or self._reported:
            return None
        self._reported = True
        return self.error

    def __repr__(self) -> str:
        state = "paused" if self.paused else "asking" if self.asking else "idle"
        return (
            f"<Partition {self.tp} @{self.position} [{state} | {self.unread_bytes} bytes unread]>"
        )


class Delivery:
    """A `Fetched` being put together.

    Arguments:
        max_bytes: When to stop.
        check_crcs: Verify each batch.
    """

    def __init__(self, max_bytes: int, *, check_crcs: bool) -> None:
        self.fetched = Fetched([], {}, {}, {}, {})
        self._left_bytes = max_bytes
        self._check_crcs = check_crcs

    @property
    def is_full(self) -> bool:
        """Has enough been taken?"""
        return self._left_bytes <= 0

    @property
    def is_news(self) -> bool:
        """Is there anything that a caller waits for?"""
        return bool(self.fetched.positions or self.fetched.errors)

    def take(self, part: Partition) -> None:
        """Take what lies here of one partition; its error, if any, comes after its data."""
        while not self.is_full:
            answer = part.next_answer()
            if answer is None:
                break
            self._left_bytes -= answer.size_bytes
            if not self._take_batches(part, answer):
                break
        error = part.report_error()
        if error is not None:
            self.fetched.errors[part.tp] = error

    def _take_batches(self, part: Partition, answer: _Answer) -> bool:
        bad = self._first_bad(answer.batches)
        good = answer.batches if bad is None else answer.batches[:bad]
        self.fetched.batches.extend(good)
        part.position = answer.next_offset if bad is None else answer.batches[bad].base_offset
        if bad is None or good:
            self.fetched.positions[part.tp] = part.position
        if bad is not None:
            part.drop_unread()
            part.error = CorruptRecord(
                f"{part.tp}: the batch at offset {part.position} does not match its CRC"
            )
        return bad is None

    def _first_bad(self, batches: list[Batch]) -> int | None:
        if self._check_crcs:
            for number, batch in enumerate(batches):
                if not batch.validate_crc():
                    return number
        return None
