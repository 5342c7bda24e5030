"""The monitor: the app's own counters, always on, counted by batch."""

from __future__ import annotations

import time
from collections import Counter, deque
from statistics import median
from typing import Any

from faust._values import TP
from faust.sensors.base import Sensor

__all__ = ["Monitor"]


class Monitor(Sensor):
    """Counts and times what the app does.

    Attributes:
        messages_received_total: Records handed to readers.
        messages_received_by_topic: The same by topic.
        events_by_stream: The same by reader.
        events_skipped: Left out by the error policy, by reader.
        messages_sent: Records delivered.
        messages_sent_by_topic: The same by topic.
        send_errors: Batches that could not be delivered.
        commits: Commits that succeeded.
        commit_latency: Seconds that the latest commits took.
        rebalances: Rebalances so far.
        tp_committed_offsets: Latest committed offset of each partition.
        metric_counts: The app's own, by `count`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.messages_received_total = 0
        self.messages_received_by_topic: Counter[str] = Counter()
        self.events_by_stream: Counter[str] = Counter()
        self.events_skipped: Counter[str] = Counter()
        self.messages_sent = 0
        self.messages_sent_by_topic: Counter[str] = Counter()
        self.bytes_sent = 0
        self.send_errors = 0
        self.commits = 0
        self.commit_latency: deque[float] = deque(maxlen=30)
        self.rebalances = 0
        self.tp_committed_offsets: dict[TP, int] = {}
        self.metric_counts: Counter[str] = Counter()
        self.started_at = time.time()
        self._others: list[Sensor] = []
        self._rate_at = time.perf_counter()
        self._rate_total = 0
        self.events_per_second = 0.0

    # -- other sensors beside this one ------------------------------------------------------

    def add(self, sensor: Sensor) -> None:
        """Tell another sensor, too."""
        self._others.append(sensor)

    def remove(self, sensor: Sensor) -> None:
        """Tell it no more."""
        self._others.remove(sensor)

    @property
    def stream_hooks(self) -> StreamHooks | None:
        """What to call for every event: ``None`` unless some sensor wants to know."""
        wanting = [s for s in (self, *self._others) if _wants_events(s)]
        return StreamHooks(wanting) if wanting else None

    # -- what is counted ---------------------------------------------------------------------

    def on_batch(self, tp: TP, reader: str, records: int) -> None:
        """Count what a reader was handed."""
        self.messages_received_total += records
        self.messages_received_by_topic[tp.topic] += records
        self.events_by_stream[reader] += records
        for sensor in self._others:
            sensor.on_batch(tp, reader, records)

    def on_send(self, tp: TP, records: int, size: int, error: BaseException | None) -> None:
        """Count what was delivered."""
        if error is None:
            self.messages_sent += records
            self.messages_sent_by_topic[tp.topic] += records
            self.bytes_sent += size
        else:
            self.send_errors += 1
        for sensor in self._others:
            sensor.on_send(tp, records, size, error)

    def on_event_skipped(self, reader: str, tp: TP | None) -> None:
        """Count what was left out."""
        self.events_skipped[reader] += 1
        for sensor in self._others:
            sensor.on_event_skipped(reader, tp)

    def on_committed(self, seconds: float, offsets: dict[TP, int]) -> None:
        """Count and time a commit."""
        self.commits += 1
        self.commit_latency.append(seconds)
        self.tp_committed_offsets.update(offsets)
        for sensor in self._others:
            sensor.on_committed(seconds, offsets)

    def on_rebalance_start(self, app: Any) -> Any:
        """Count a rebalance."""
        self.rebalances += 1
        return [(sensor, sensor.on_rebalance_start(app)) for sensor in self._others]

    def on_rebalance_end(self, app: Any, state: Any = None) -> None:
        """A rebalance is over."""
        for sensor, its_state in state or ():
            sensor.on_rebalance_end(app, its_state)

    def count(self, metric_name: str, count: int = 1) -> None:
        """Count something of the app's own."""
        self.metric_counts[metric_name] += count

    def sample_rate(self) -> float:
        """Return the events for each second since this was last asked."""
        now = time.perf_counter()
        elapsed = now - self._rate_at
        if elapsed >= 0.2:
            self.events_per_second = (self.messages_received_total - self._rate_total) / elapsed
            self._rate_at, self._rate_total = now, self.messages_received_total
        return self.events_per_second

    def asdict(self) -> dict[str, Any]:
        """Return the counters."""
        return {
            "messages_received_total": self.messages_received_total,
            "messages_received_by_topic": dict(self.messages_received_by_topic),
            "events_by_stream": dict(self.events_by_stream),
            "events_skipped": dict(self.events_skipped),
            "events_per_second": round(self.sample_rate(), 1),
            "messages_sent": self.messages_sent,
            "messages_sent_by_topic": dict(self.messages_sent_by_topic),
            "bytes_sent": self.bytes_sent,
            "send_errors": self.send_errors,
            "commits": self.commits,
            "commit_latency_median": median(self.commit_latency) if self.commit_latency else None,
            "rebalances": self.rebalances,
            "metric_counts": dict(self.metric_counts),
            "uptime": round(time.time() - self.started_at, 1),
        }


class StreamHooks:
    """Calls the sensors that want to know of every event of one stream."""

    def __init__(self, sensors: list[Sensor]) -> None:
        self._sensors = sensors
        self._inside: list[tuple[Any, list[Any]]] = []

    def event_in(self, stream: Any) -> None:
        """An event, or a list of them, is about to be handed out."""
        for event in stream.events_in_progress():
            self._tell_in(stream, event)

    def _tell_in(self, stream: Any, event: Any) -> None:
        message = event.message
        states = [
            sensor.on_stream_event_in(message.tp, message.offset, stream, event)
            for sensor in self._sensors
        ]
        self._inside.append((event, states))

    def event_out(self, stream: Any) -> None:
        """The agent has come back, or failed: what was handed out is over."""
        inside, self._inside = self._inside, []
        for event, states in inside:
            message = event.message
            for sensor, state in zip(self._sensors, states, strict=True):
                sensor.on_stream_event_out(message.tp, message.offset, stream, event, state)


def _wants_events(sensor: Sensor) -> bool:
    cls = type(sensor)
    return (
        cls.on_stream_event_in is not Sensor.on_stream_event_in
        or cls.on_stream_event_out is not Sensor.on_stream_event_out
    )
