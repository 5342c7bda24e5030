"""The monitor: the app's own counters, always on, counted by batch.

What exporters read is here under the names they know.  Counters that would cost something for each
event are taken from what is there anyhow: the streams' own totals, the batches, the commits.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from http import HTTPStatus
from statistics import median
from typing import Any, TypeVar

from faust._values import TP
from faust.sensors.base import Sensor
from faust.sensors.rates import Rate

__all__ = ["Monitor", "TPOffsetMapping", "TableState"]

F = TypeVar("F", bound=Callable[..., Any])

TPOffsetMapping = MutableMapping[str, MutableMapping[int, int]]


def _in_bulk(fun: F) -> F:
    """Mark a callback that need not be called: what it would count is counted by batch."""
    fun.in_bulk = True  # type: ignore[attr-defined]  # functions can carry attributes
    return fun


class TableState:
    """What was done with a table.

    Attributes:
        table: The table.
        keys_retrieved: Reads by events.
        keys_updated: Keys whose new value was committed (one that is set a thousand times between
            two commits counts once).
        keys_deleted: Keys whose deletion was committed.
    """

    def __init__(
        self,
        table: Any,
        *,
        keys_retrieved: int = 0,
        keys_updated: int = 0,
        keys_deleted: int = 0,
    ) -> None:
        self.table = table
        self.keys_retrieved = keys_retrieved
        self.keys_updated = keys_updated
        self.keys_deleted = keys_deleted

    def asdict(self) -> dict[str, int]:
        """Return the counters."""
        return {
            "keys_retrieved": self.keys_retrieved,
            "keys_updated": self.keys_updated,
            "keys_deleted": self.keys_deleted,
        }

    def __repr__(self) -> str:
        return f"<TableState {self.table.name}: {self.asdict()}>"


class Monitor(Sensor):
    """Counts and times what the app does.

    Subclass it and override its callbacks (see `Sensor`) to send measurements elsewhere; the
    callbacks for each event are called only where overridden, and counters do not depend on them.

    Arguments:
        max_avg_history: Samples that averages are taken over (100).
        max_commit_latency_history, max_send_latency_history, max_assignment_latency_history:
            Samples that are kept of these (30).
        time: The clock.

    Attributes:
        messages_received_total: Records that came from the broker, for partitions read here.
        messages_received_by_topic: The same by topic.
        events_total: Events that readers have been handed and have used up.
        events_by_stream: The same by reader.
        events_runtime: Seconds that an event took, the mean of each of the latest batches.
        events_skipped: Left out by the error policy, by reader.
        events_retried: Tried again, in place or by way of a retry topic, by reader.
        events_dead_lettered: Put among the dead letters, by reader.
        messages_sent: Records delivered.
        messages_sent_by_topic: The same by topic.
        bytes_sent: Bytes delivered.
        send_errors: Batches that could not be delivered.
        send_latency: Seconds that the latest batches took to be delivered.
        commits: Commits that succeeded.
        commit_latency: Seconds that the latest commits took.
        assignments_completed, assignments_failed, assignment_latency: What this worker did as the
            leader of its group.
        rebalances: Rebalances so far.
        rebalance_return_latency, rebalance_end_latency: Seconds until it was known what is ours,
            and until all of it was being processed.
        topic_buffer_full: How often fetching had to pause, by partition.
        http_response_codes, http_response_latency: Requests answered, by status; seconds taken.
        tp_committed_offsets, tp_read_offsets: Topic -> partition -> the next record to process, as
            committed, and as read.
        tp_end_offsets: Topic -> partition -> the next record to come, as last heard.
        stream_inbound_time: Partition -> when its latest batch came, by ``time``.
        records_restored: Records read to restore tables, by table.
        metric_counts: The app's own, by `count`.
    """

    def __init__(
        self,
        *,
        max_avg_history: int | None = None,
        max_commit_latency_history: int | None = None,
        max_send_latency_history: int | None = None,
        max_assignment_latency_history: int | None = None,
        time: Callable[[], float] = time.monotonic,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.max_avg_history = max_avg_history or 100
        self.max_commit_latency_history = max_commit_latency_history or 30
        self.max_send_latency_history = max_send_latency_history or 30
        self.max_assignment_latency_history = max_assignment_latency_history or 30
        self.time = time
        self.app: Any = None
        self.messages_received_total = 0
        self.messages_received_by_topic: Counter[str] = Counter()
        self.events_total = 0
        self.events_by_stream: Counter[str] = Counter()
        self.events_runtime: deque[float] = deque(maxlen=self.max_avg_history)
        self.events_skipped: Counter[str] = Counter()
        self.events_retried: Counter[str] = Counter()
        self.events_dead_lettered: Counter[str] = Counter()
        self.messages_sent = 0
        self.messages_sent_by_topic: Counter[str] = Counter()
        self.bytes_sent = 0
        self.send_errors = 0
        self.send_latency: deque[float] = deque(maxlen=self.max_send_latency_history)
        self.commits = 0
        self.commit_latency: deque[float] = deque(maxlen=self.max_commit_latency_history)
        self.assignments_completed = 0
        self.assignments_failed = 0
        self.assignment_latency: deque[float] = deque(maxlen=self.max_assignment_latency_history)
        self.rebalances = 0
        self.rebalance_return_latency: deque[float] = deque(maxlen=self.max_avg_history)
        self.rebalance_end_latency: deque[float] = deque(maxlen=self.max_avg_history)
        self.topic_buffer_full: Counter[TP] = Counter()
        self.http_response_codes: Counter[HTTPStatus] = Counter()
        self.http_response_latency: deque[float] = deque(maxlen=self.max_avg_history)
        self.tp_committed_offsets: TPOffsetMapping = {}
        self.tp_read_offsets: TPOffsetMapping = {}
        self.tp_end_offsets: TPOffsetMapping = {}
        self.stream_inbound_time: dict[TP, float] = {}
        self.records_restored: Counter[str] = Counter()
        self.metric_counts: Counter[str] = Counter()
        self._started_at = time()
        self._events_rate = Rate(time)
        self._messages_rate = Rate(time)
        self._web_lock = threading.Lock()

    def on_added(self, app: Any) -> None:
        """It counts for this app from now on."""
        self.app = app

    # -- what is asked for when it is asked for -----------------------------------------------

    @property
    def events_per_second(self) -> float:
        """Events a second, lately."""
        return self._events_rate.of(self.events_total)

    @property
    def events_s(self) -> int:
        """Events a second, lately, in whole numbers."""
        return round(self.events_per_second)

    @property
    def messages_s(self) -> int:
        """Records a second from the broker, lately, in whole numbers."""
        return round(self._messages_rate.of(self.messages_received_total))

    @property
    def events_active(self) -> int:
        """Events that agents are inside of now; of a list that `take` has handed out, all."""
        return sum(len(s.taken) or int(s.inside) for s in self._streams())

    @property
    def messages_active(self) -> int:
        """Records that wait for readers here, or are being processed."""
        return 0 if self.app is None else self.app.topics.records_waiting()

    @property
    def events_runtime_avg(self) -> float:
        """Seconds that an event takes, the median of the latest batches."""
        return _median(self.events_runtime)

    @property
    def rebalance_return_avg(self) -> float:
        """Seconds until a rebalance says what is ours, median."""
        return _median(self.rebalance_return_latency)

    @property
    def rebalance_end_avg(self) -> float:
        """Seconds until everything is processed again after a rebalance, median."""
        return _median(self.rebalance_end_latency)

    @property
    def http_response_latency_avg(self) -> float:
        """Seconds that a page takes, median."""
        return _median(self.http_response_latency)

    @property
    def stream_lookup(self) -> Mapping[Any, str]:
        """Streams -> their names in `events_by_stream`."""
        return {stream: stream.reader for stream in self._streams()}

    @property
    def task_lookup(self) -> Mapping[Any, str]:
        """The asyncio tasks that iterate over streams -> their names in `events_by_task`."""
        return {s.asyncio_task: _task_name(s) for s in self._streams() if s.asyncio_task}

    @property
    def events_by_task(self) -> Counter[str]:
        """Events by the name of the asyncio task that iterates over the stream."""
        found: Counter[str] = Counter()
        for stream in self._streams():
            if stream.asyncio_task:
                found[_task_name(stream)] += stream.events_total
        return found

    @property
    def tables(self) -> Mapping[str, TableState]:
        """What was done with each table, by name."""
        if self.app is None:
            return {}
        return {
            name: TableState(
                table,
                keys_retrieved=table.keys_retrieved,
                keys_updated=table.keys_updated,
                keys_deleted=table.keys_deleted,
            )
            for name, table in self.app.tables.items()
        }

    def _streams(self) -> list[Any]:
        return [] if self.app is None else list(self.app.streams())

    def secs_since(self, start_time: float) -> float:
        """Return the seconds since then, by ``time``."""
        return self.time() - start_time

    def ms_since(self, start_time: float) -> float:
        """Return the milliseconds since then, by ``time``."""
        return self.secs_to_ms(self.secs_since(start_time))

    def secs_to_ms(self, timestamp: float) -> float:
        """Return seconds as milliseconds."""
        return timestamp * 1000.0

    def count(self, metric_name: str, count: int = 1) -> None:
        """Count something of the app's own."""
        self.metric_counts[metric_name] += count

    # -- batches ---------------------------------------------------------------------------

    def on_batch_in(self, tp: TP, records: int) -> None:
        """Count what comes from the broker."""
        self.messages_received_total += records
        self.messages_received_by_topic[tp.topic] += records
        self.stream_inbound_time[tp] = self.time()

    def on_batch(self, tp: TP, reader: str, records: int, next_offset: int, seconds: float) -> None:
        """Count what a reader was handed."""
        self.events_total += records
        self.events_by_stream[reader] += records
        self.tp_read_offsets.setdefault(tp.topic, {})[tp.partition] = next_offset
        if records:
            self.events_runtime.append(seconds / records)

    def on_batch_sent(
        self, tp: TP, records: int, size: int, seconds: float, error: BaseException | None
    ) -> None:
        """Count what was delivered."""
        if error is None:
            self.messages_sent += records
            self.messages_sent_by_topic[tp.topic] += records
            self.bytes_sent += size
            self.send_latency.append(seconds)
        else:
            self.send_errors += 1

    # -- what is counted by batch: for subclasses to extend ------------------------------------

    @_in_bulk
    def on_message_in(self, tp: TP, offset: int, message: Any) -> None:
        """Called only where overridden."""

    @_in_bulk
    def on_message_out(self, tp: TP, offset: int, message: Any) -> None:
        """Called only where overridden."""

    @_in_bulk
    def on_stream_event_in(self, tp: TP, offset: int, stream: Any, event: Any) -> Any:
        """Called only where overridden; returns when that was, as ``time_in``."""
        return {"time_in": self.time(), "time_out": None, "time_total": None}

    @_in_bulk
    def on_stream_event_out(
        self, tp: TP, offset: int, stream: Any, event: Any, state: Any = None
    ) -> None:
        """Called only where overridden; measures this very event."""
        if state is not None:
            state["time_out"] = now = self.time()
            state["time_total"] = now - state["time_in"]
            self.events_runtime.append(state["time_total"])

    @_in_bulk
    def on_table_get(self, table: Any, key: Any) -> None:
        """Called only where overridden."""

    @_in_bulk
    def on_table_set(self, table: Any, key: Any, value: Any) -> None:
        """Called only where overridden."""

    @_in_bulk
    def on_table_del(self, table: Any, key: Any) -> None:
        """Called only where overridden."""

    @_in_bulk
    def on_send_initiated(
        self, producer: Any, topic: str, message: Any, keysize: int, valsize: int
    ) -> Any:
        """Called only where overridden; returns when that was."""
        return self.time()

    @_in_bulk
    def on_send_completed(self, producer: Any, state: Any, metadata: Any) -> None:
        """Called only where overridden."""

    @_in_bulk
    def on_send_error(self, producer: Any, exc: BaseException, state: Any) -> None:
        """Called only where overridden."""

    # -- less often ------------------------------------------------------------------------

    def on_event_skipped(self, reader: str, tp: TP | None) -> None:
        """Count what was left out."""
        self.events_skipped[reader] += 1

    def on_event_retried(self, reader: str, tp: TP | None) -> None:
        """Count what is tried again."""
        self.events_retried[reader] += 1

    def on_event_dead_lettered(self, reader: str, tp: TP | None, topic: str) -> None:
        """Count dead letters."""
        self.events_dead_lettered[reader] += 1

    def on_topic_buffer_full(self, tp: TP) -> None:
        """Count a pause."""
        self.topic_buffer_full[tp] += 1

    def on_tp_end(self, tp: TP, offset: int) -> None:
        """Note where a partition ends."""
        self.track_tp_end_offset(tp, offset)

    def track_tp_end_offset(self, tp: TP, offset: int) -> None:
        """Note where a partition ends."""
        self.tp_end_offsets.setdefault(tp.topic, {})[tp.partition] = offset

    def on_commit_initiated(self, consumer: Any) -> Any:
        """Return when it began."""
        return self.time()

    def on_commit_completed(self, consumer: Any, state: Any) -> None:
        """Count and time a commit."""
        self.commits += 1
        self.commit_latency.append(self.time() - state)

    def on_tp_commit(self, tp_offsets: Mapping[TP, int]) -> None:
        """Note what is committed."""
        for tp, offset in tp_offsets.items():
            self.tp_committed_offsets.setdefault(tp.topic, {})[tp.partition] = offset

    def on_assignment_start(self, assignor: Any) -> Any:
        """Return when it began, as ``time_start``."""
        return {"time_start": self.time()}

    def on_assignment_completed(self, assignor: Any, state: Any) -> None:
        """Count and time an assignment."""
        state["time_end"] = self.time()
        self.assignment_latency.append(state["time_end"] - state["time_start"])
        self.assignments_completed += 1

    def on_assignment_error(self, assignor: Any, state: Any, exc: BaseException) -> None:
        """Count and time one that failed."""
        state["time_end"] = self.time()
        self.assignment_latency.append(state["time_end"] - state["time_start"])
        self.assignments_failed += 1

    def on_rebalance_start(self, app: Any) -> Any:
        """Count a rebalance; return when it began, as ``time_start``."""
        self.rebalances += 1
        return {"time_start": self.time()}

    def on_rebalance_return(self, app: Any, state: Any) -> None:
        """Time until it is known what is ours."""
        state["time_return"] = now = self.time()
        state["latency_return"] = now - state["time_start"]
        self.rebalance_return_latency.append(state["latency_return"])

    def on_rebalance_end(self, app: Any, state: Any) -> None:
        """Time until all of it is being processed."""
        state["time_end"] = now = self.time()
        state["latency_end"] = now - state["time_start"]
        self.rebalance_end_latency.append(state["latency_end"])

    def on_restored(self, table: Any, partition: int, records: int) -> None:
        """Count what was read."""
        self.records_restored[table.name] += records

    def on_web_request_start(self, app: Any, request: Any, *, view: Any = None) -> Any:
        """Return when it began, as ``time_start``."""
        return {"time_start": self.time()}

    def on_web_request_end(
        self, app: Any, request: Any, response: Any, state: Any, *, view: Any = None
    ) -> None:
        """Count and time a request: pages are answered in two threads."""
        status = 500 if response is None else response.status
        with self._web_lock:
            state["status_code"] = HTTPStatus(status)
            state["time_end"] = now = self.time()
            state["latency_end"] = now - state["time_start"]
            self.http_response_codes[state["status_code"]] += 1
            self.http_response_latency.append(state["latency_end"])

    # -- showing ---------------------------------------------------------------------------

    def asdict(self) -> dict[str, Any]:
        """Return the counters."""
        return {
            "messages_active": self.messages_active,
            "messages_received_total": self.messages_received_total,
            "messages_received_by_topic": dict(self.messages_received_by_topic),
            "messages_s": self.messages_s,
            "messages_sent": self.messages_sent,
            "messages_sent_by_topic": dict(self.messages_sent_by_topic),
            "bytes_sent": self.bytes_sent,
            "send_errors": self.send_errors,
            "send_latency": list(self.send_latency),
            "events_active": self.events_active,
            "events_total": self.events_total,
            "events_s": self.events_s,
            "events_per_second": round(self.events_per_second, 1),
            "events_runtime_avg": self.events_runtime_avg,
            "events_by_stream": dict(self.events_by_stream),
            "events_by_task": dict(self.events_by_task),
            "events_skipped": dict(self.events_skipped),
            "events_retried": dict(self.events_retried),
            "events_dead_lettered": dict(self.events_dead_lettered),
            "commits": self.commits,
            "commit_latency": list(self.commit_latency),
            "commit_latency_median": _median(self.commit_latency) if self.commit_latency else None,
            "assignments_completed": self.assignments_completed,
            "assignments_failed": self.assignments_failed,
            "assignment_latency": list(self.assignment_latency),
            "rebalances": self.rebalances,
            "rebalance_return_latency": list(self.rebalance_return_latency),
            "rebalance_return_avg": self.rebalance_return_avg,
            "rebalance_end_latency": list(self.rebalance_end_latency),
            "rebalance_end_avg": self.rebalance_end_avg,
            "records_restored": dict(self.records_restored),
            "topic_buffer_full": {str(tp): n for tp, n in self.topic_buffer_full.items()},
            "topic_committed_offsets": _copied(self.tp_committed_offsets),
            "topic_read_offsets": _copied(self.tp_read_offsets),
            "topic_end_offsets": _copied(self.tp_end_offsets),
            "tables": {name: state.asdict() for name, state in self.tables.items()},
            "http_response_codes": {int(code): n for code, n in self.http_response_codes.items()},
            "http_response_latency": list(self.http_response_latency),
            "http_response_latency_avg": self.http_response_latency_avg,
            "metric_counts": dict(self.metric_counts),
            "lag": {} if self.app is None else _nested(self.app.topics.lag()),
            "lag_seconds": {} if self.app is None else _nested(self.app.topics.lag_seconds()),
            "stalled": [] if self.app is None else self.app.inspector.standing(),
            "uptime": round(self.time() - self._started_at, 1),
        }


def _median(samples: Iterable[float]) -> float:
    found = list(samples)
    return median(found) if found else 0.0


def _nested(by_partition: Mapping[TP, float]) -> dict[str, dict[int, float]]:
    found: dict[str, dict[int, float]] = {}
    for tp, value in sorted(by_partition.items()):
        found.setdefault(tp.topic, {})[tp.partition] = round(value, 3)
    return found


def _copied(offsets: TPOffsetMapping) -> dict[str, dict[int, int]]:
    return {topic: dict(partitions) for topic, partitions in offsets.items()}


def _task_name(stream: Any) -> str:
    return str(stream.asyncio_task.get_name())
