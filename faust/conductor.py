"""The topic conductor: which stream gets which record batch.

It knows who reads what (`subscribe`), gives each reader a cursor for every partition of a task
that starts here, hands each fetched batch to the feeds of its readers, and counts what waits there,
so that `faust._machines.flow` can say which partitions to pause.  All of it happens on the main
loop, once for each batch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from mode import Service

from faust._feeds import Feed
from faust._inprogress import current_cursor
from faust._machines.effects import Cursor, TaskRun
from faust._machines.flow import Changes, Flow, FlowPolicy
from faust._values import TP, Message

if TYPE_CHECKING:
    from faust._context import AppContext

__all__ = ["Readable", "TopicConductor"]


class Readable(Protocol):
    """A topic as the conductor sees it."""

    topics: list[str]
    pattern: re.Pattern[str] | None
    acks: bool
    internal: bool
    repartition: bool
    partitions: int | None

    def matches(self, name: str) -> bool: ...


class TopicConductor(Service):
    """Routes batches from the log to the streams that read them.

    Arguments:
        app: The app.

    Override `on_batch` to see every batch that is handed to a reader.
    """

    abstract = False

    def __init__(self, app: AppContext, **options: Any) -> None:
        super().__init__(**options)
        self.app = app
        self.feeds: dict[tuple[str, str], Feed] = {}
        self._readers: list[tuple[Readable, str, Feed]] = []
        self._cursors: dict[TP, list[tuple[Cursor, Feed]]] = {}
        self._flow = Flow(FlowPolicy())
        #: Set by the engine: called with partitions to pause and to resume.
        self.on_flow: Callable[[Changes], None] = _ignore
        #: Set by the engine: called when what is read has changed.
        self.on_subscription_changed: Callable[[], None] = _nothing

    # -- who reads what ----------------------------------------------------------------

    def subscribe(self, topic: Readable, reader: str) -> Feed:
        """Let ``reader`` read ``topic``; return the feed where it arrives.

        Asking again gives the same feed: an agent that is restarted goes on where it was.
        """
        key = (reader, str(topic))
        feed = self.feeds.get(key)
        if feed is None:
            feed = self.feeds[key] = Feed(reader, self._released)
            feed.on_batch = self._handled
            self._readers.append((topic, reader, feed))
            self.on_subscription_changed()
        return feed

    def read_into(self, topic: Readable, reader: str, feed: Feed) -> None:
        """Let what a reader reads of a further topic arrive in a feed that it has already."""
        if not any(known is topic and where is feed for known, _, where in self._readers):
            self._readers.append((topic, reader, feed))
            self.on_subscription_changed()

    def topics(self) -> set[str]:
        """Return all names that are read."""
        return {name for topic, _, _ in self._readers for name in topic.topics}

    def topic_objects(self) -> list[Readable]:
        """Return the topics that are read."""
        return [topic for topic, _, _ in self._readers]

    def has_patterns(self) -> bool:
        """Is any topic read by pattern?"""
        return any(topic.pattern is not None for topic, _, _ in self._readers)

    def matching(self, names: Iterable[str]) -> set[str]:
        """Return which of these topics are read."""
        return {name for name in names if any(topic.matches(name) for topic, _, _ in self._readers)}

    def readers_of(self, name: str) -> list[str]:
        """Return the names of the readers of a topic."""
        return [reader for topic, reader, _ in self._readers if topic.matches(name)]

    def committing_readers_of(self, name: str) -> list[str]:
        """Return the readers of a topic whose progress is committed (``acks=True``)."""
        return [r for topic, r, _ in self._readers if topic.matches(name) and topic.acks]

    # -- tasks -------------------------------------------------------------------------

    def start_task(
        self, run: TaskRun, positions: Mapping[TP, int], readers: Mapping[tuple[str, TP], int]
    ) -> None:
        """Give every reader its cursors for a task.

        Arguments:
            positions: Where each partition is read from (the lowest of its readers).
            readers: Positions of readers that are ahead: (reader, partition) -> next offset.
        """
        run.whose = current_cursor
        for tp, position in positions.items():
            here = self._cursors.setdefault(tp, [])
            for topic, reader, feed in self._readers:
                if topic.matches(tp.topic):
                    cursor = Cursor(run, tp, reader, readers.get((reader, tp), position))
                    cursor.commits = topic.acks
                    feed.cursors[tp] = cursor
                    here.append((cursor, feed))

    def stop_task(self, run: TaskRun) -> None:
        """Take a task away from its readers; what waited for it is dropped."""
        for cursor in run.cursors:
            pairs = self._cursors.get(cursor.tp, [])
            self._cursors[cursor.tp] = [pair for pair in pairs if pair[0] is not cursor]
            if not self._cursors[cursor.tp]:
                del self._cursors[cursor.tp]
            for feed in self.feeds.values():
                if feed.cursors.get(cursor.tp) is cursor:
                    del feed.cursors[cursor.tp]
        for feed in self.feeds.values():
            feed.drop(run)
        for tp in {cursor.tp for cursor in run.cursors}:
            self._apply(self._flow.dropped(tp))

    # -- batches -----------------------------------------------------------------------

    def deliver(self, fetched: Any, incarnations: Mapping[TP, int]) -> None:
        """Hand a fetched answer to its readers: one call for each answer of the broker.

        ``incarnations`` says for which run of its task each partition was fetched; what was fetched
        for an older one is dropped.
        """
        sensors = self.app.sensors
        for batch in fetched.batches:
            heard = False
            incarnation = incarnations.get(batch.tp)
            for cursor, feed in self._cursors.get(batch.tp, ()):
                if cursor.task.incarnation == incarnation and batch.next_offset > cursor.position:
                    if not heard:
                        heard = True
                        sensors.on_batch_in(batch.tp, batch.count)
                        if sensors.wants_messages:
                            self._tell_messages(cursor, batch)
                    self._apply(self._flow.added(batch.tp, len(batch.data)))
                    self.on_batch(cursor, batch)
                    feed.push(cursor, batch)
        for tp, position in fetched.positions.items():
            for cursor, _ in self._cursors.get(tp, ()):
                if cursor.task.incarnation == incarnations.get(tp):
                    cursor.skip_gap(position)
        now = self.app.clock.time()
        for tp, end in fetched.ends.items():
            for cursor, _ in self._cursors.get(tp, ()):
                cursor.heard = now
                if cursor.end != end:
                    cursor.end = end
                    sensors.on_tp_end(tp, end)

    def _tell_messages(self, cursor: Cursor, batch: Any) -> None:
        """Some sensor wants to know of every record."""
        for record in batch.records():
            if record.offset >= cursor.position:
                message = Message.of_record(batch.tp, record, generation_id=cursor.task.incarnation)
                self.app.sensors.on_message_in(batch.tp, record.offset, message)

    def records_waiting(self) -> int:
        """Return how many records wait for readers, or are being processed."""
        streaming: int = sum(s.records_in_hand() for s in self.app.streams())
        return streaming + sum(feed.records_waiting() for feed in self.feeds.values())

    def on_batch(self, cursor: Cursor, batch: Any) -> None:
        """Called for every batch before it is handed to a reader; override to watch."""

    def _handled(self, cursor: Cursor, records: int, next_offset: int, seconds: float) -> None:
        self.app.sensors.on_batch(cursor.tp, cursor.reader, records, next_offset, seconds)

    def _released(self, tp: TP, size: int) -> None:
        self._apply(self._flow.released(tp, size))

    def _apply(self, changes: Changes) -> None:
        if changes.pause or changes.resume:
            for tp in changes.pause:
                self.app.sensors.on_topic_buffer_full(tp)
            self.on_flow(changes)

    # -- state -------------------------------------------------------------------------

    def lag(self) -> dict[TP, int]:
        """Return how many records behind the end each partition's slowest reader is."""
        return {tp: max(cursor.lag for cursor, _ in pairs) for tp, pairs in self._cursors.items()}

    def lag_seconds(self) -> dict[TP, float]:
        """Return for each partition how old the oldest record is that waits, or is being handled.

        0.0 where nothing does.  By the records' own timestamps: what was sent with an old one is
        old when it comes.  (Events that nobody has acknowledged by hand yet are not looked at.)
        """
        oldest: dict[TP, int] = {}
        for tp, timestamp in self._timestamps():
            oldest[tp] = min(timestamp, oldest.get(tp, timestamp))
        now = self.app.clock.time()
        return {
            tp: max(0.0, now - oldest[tp] / 1000.0) if records and tp in oldest else 0.0
            for tp, records in self.lag().items()
        }

    def _timestamps(self) -> Iterator[tuple[TP, int]]:
        for stream in self.app.streams():
            cursor, record = stream.cursor, stream.record
            if stream.inside and cursor is not None and record is not None:
                taken = list(stream.taken) or [(cursor, record, None)]
                yield from ((c.tp, r.timestamp) for c, r, _ in taken)
        for feed in list(self.feeds.values()):
            yield from ((cursor.tp, batch.first_timestamp) for cursor, batch in feed.waiting())

    def cursors(self) -> Iterable[Cursor]:
        """Return all cursors as they are now (also for another thread)."""
        return [cursor for pairs in list(self._cursors.values()) for cursor, _ in list(pairs)]

    # -- as a set of topics ------------------------------------------------------------

    def __iter__(self) -> Iterator[Readable]:
        return iter(self.topic_objects())

    def add(self, topic: Any) -> None:
        """Read a topic on behalf of nobody in particular: what comes waits for a stream."""
        if topic not in self:
            self.app.subscribe(topic, f"stream:{topic}")

    def clear(self) -> None:
        """Read nothing any more."""
        for feed in self.feeds.values():
            feed.close()
        self.feeds.clear()
        self._readers.clear()
        self._cursors.clear()
        self._flow = Flow(FlowPolicy())

    async def on_partitions_assigned(self, assigned: set[TP]) -> None:
        """Called when partitions have come; override to be told."""

    def __contains__(self, topic: object) -> bool:
        return any(topic is known or topic in known.topics for known, _, _ in self._readers)

    def __len__(self) -> int:
        return len(self._readers)

    async def on_stop(self) -> None:
        """End every iteration; who starts again subscribes again."""
        self.clear()
        self.on_flow, self.on_subscription_changed = _ignore, _nothing

    @property
    def label(self) -> str:
        """Name shown in logs."""
        return f"{type(self).__name__}({len(self._readers)})"


def _ignore(changes: Changes) -> None:
    """Without an engine nothing flows."""


def _nothing() -> None:
    """Without an engine nobody needs to know."""
