"""Metrics for Prometheus: what the monitor counts, read when Prometheus asks.

Nothing is done per event: a scrape reads counters that are there anyhow.  The metrics are declared
once, in `METRICS`; documents and `render` share the list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from statistics import median
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST as CONTENT_TYPE
from prometheus_client.registry import REGISTRY, Collector

__all__ = [
    "CONTENT_TYPE",
    "METRICS",
    "AppCollector",
    "Metric",
    "render",
    "setup_prometheus_sensors",
]

#: Label values -> number.
Samples = Iterable[tuple[tuple[str, ...], float]]


class MetricDef(NamedTuple):
    """One metric.

    Attributes:
        name: Without the prefix, with its unit.
        kind: ``counter`` or ``gauge``.
        text: What it means.
        labels: Names of its labels, beside ``app``.
        read: Returns its samples for an app.
    """

    name: str
    kind: str
    text: str
    labels: tuple[str, ...]
    read: Callable[[Any], Samples]


def _single(read: Callable[[Any], float]) -> Callable[[Any], Samples]:
    return lambda app: [((), float(read(app)))]


def _by_label(read: Callable[[Any], Mapping[str, float]]) -> Callable[[Any], Samples]:
    return lambda app: [((label,), float(n)) for label, n in list(read(app).items())]


def _by_topic(read: Callable[[Any], Mapping[str, Mapping[int, float]]]) -> Callable[[Any], Samples]:
    return lambda app: [
        ((topic, str(partition)), float(n))
        for topic, partitions in list(read(app).items())
        for partition, n in list(partitions.items())
    ]


def _of_ours(read: Callable[[Any], Mapping[str, Mapping[int, float]]]) -> Callable[[Any], Samples]:
    """The same, of partitions that are here now: of others, their workers tell."""

    def samples(app: Any) -> Samples:
        here = {(tp.topic, str(tp.partition)) for tp in app.topics.lag()}
        return [sample for sample in _by_topic(read)(app) if sample[0] in here]

    return samples


def _by_partition(read: Callable[[Any], Mapping[Any, float]]) -> Callable[[Any], Samples]:
    return lambda app: [
        ((tp.topic, str(tp.partition)), float(n)) for tp, n in list(read(app).items())
    ]


def _restoring(app: Any) -> Samples:
    lagging = {} if app.engine is None else app.engine.lagging
    return [((table, str(n)), float(left)) for (table, n), left in list(lagging.items())]


def _standby_lags(app: Any) -> Samples:
    lags = {} if app.engine is None else app.engine.standby_lags()
    return [((task.group, str(task.partition)), float(lag)) for task, lag in lags.items()]


def _late_writes(app: Any) -> Samples:
    return [
        ((name,), float(table.expiry.late))
        for name, table in list(app.tables.items())
        if table.expiry is not None
    ]


def _commit_seconds(app: Any) -> float:
    latest = list(app.monitor.commit_latency)
    return median(latest) if latest else 0.0


_TOPIC, _READER, _TP = ("topic",), ("reader",), ("topic", "partition")

METRICS: tuple[MetricDef, ...] = (
    MetricDef(
        "records_received", "counter", "Records that came from the broker", _TOPIC,
        _by_label(lambda app: app.monitor.messages_received_by_topic),
    ),
    MetricDef(
        "events", "counter", "Events handed to each agent or stream", _READER,
        _by_label(lambda app: app.monitor.events_by_stream),
    ),
    MetricDef(
        "events_skipped", "counter", "Events left out by the error policy", _READER,
        _by_label(lambda app: app.monitor.events_skipped),
    ),
    MetricDef(
        "events_retried", "counter", "Attempts at events that had failed before", _READER,
        _by_label(lambda app: app.monitor.events_retried),
    ),
    MetricDef(
        "events_dead_lettered", "counter", "Events put among the dead letters", _READER,
        _by_label(lambda app: app.monitor.events_dead_lettered),
    ),
    MetricDef(
        "records_sent", "counter", "Records delivered", _TOPIC,
        _by_label(lambda app: app.monitor.messages_sent_by_topic),
    ),
    MetricDef(
        "sent_bytes", "counter", "Bytes delivered", (),
        _single(lambda app: app.monitor.bytes_sent),
    ),
    MetricDef(
        "send_errors", "counter", "Batches that could not be delivered", (),
        _single(lambda app: app.monitor.send_errors),
    ),
    MetricDef(
        "commits", "counter", "Commits that succeeded", (),
        _single(lambda app: app.monitor.commits),
    ),
    MetricDef(
        "commit_seconds", "gauge", "Time that a commit takes, median of the latest 30", (),
        _single(_commit_seconds),
    ),
    MetricDef(
        "committed_offset", "gauge", "Committed offset: the next record to process", _TP,
        _of_ours(lambda app: app.monitor.tp_committed_offsets),
    ),
    MetricDef(
        "lag_records", "gauge", "Records between the slowest reader and the end of the log", _TP,
        _by_partition(lambda app: app.topics.lag()),
    ),
    MetricDef(
        "lag_seconds", "gauge", "Age of the oldest record that waits or is being handled", _TP,
        _by_partition(lambda app: app.topics.lag_seconds()),
    ),
    MetricDef(
        "rebalances", "counter", "Rebalances since the worker started", (),
        _single(lambda app: app.rebalancing_count),
    ),
    MetricDef(
        "restoring_records", "gauge", "Records still to be restored", ("table", "partition"),
        _restoring,
    ),
    MetricDef(
        "standby_lag_records", "gauge", "Records that copies of others' tables are behind",
        ("group", "partition"), _standby_lags,
    ),
    MetricDef(
        "late_writes", "counter", "Writes left out because their window had closed", ("table",),
        _late_writes,
    ),
    MetricDef(
        "ready", "gauge", "1 while the worker processes everything that is its own", (),
        _single(lambda app: not app.not_ready_because()),
    ),
    MetricDef(
        "loop_blocked_seconds", "gauge", "How long the event loop has not run", (),
        _single(lambda app: app.watchdog.blocked_for),
    ),
    MetricDef(
        "custom", "counter", "What the app counts itself, with monitor.count()", ("name",),
        _by_label(lambda app: app.monitor.metric_counts),
    ),
)  # fmt: skip


class AppCollector(Collector):
    """Gives Prometheus the metrics of an app.

    Arguments:
        app: The app.
        prefix: What the names of all metrics begin with.
    """

    def __init__(self, app: Any, prefix: str = "faust") -> None:
        self._app = app
        self._prefix = prefix

    def describe(self) -> Iterable[Metric]:
        """Return nothing: the metrics are known without asking the app."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Read all metrics."""
        identity = str(self._app.conf.id)
        for definition in METRICS:
            family = CounterMetricFamily if definition.kind == "counter" else GaugeMetricFamily
            metric = family(
                f"{self._prefix}_{definition.name}",
                definition.text,
                labels=["app", *definition.labels],
            )
            for labels, value in _steady(definition.read, self._app):
                metric.add_metric([identity, *labels], value)
            yield metric


def _steady(read: Callable[[Any], Samples], app: Any) -> Samples:
    """Read what the app's thread may be changing: again, if it changed under our hands."""
    for _ in range(5):
        try:
            return list(read(app))
        except RuntimeError:
            continue
    return []


def render(app: Any) -> bytes:
    """Return all metrics of an app, and those of the process, in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(AppCollector(app))
    return generate_latest(registry) + generate_latest(REGISTRY)


def setup_prometheus_sensors(
    app: Any,
    pattern: str = "/metrics",
    registry: CollectorRegistry = REGISTRY,
    name_prefix: str | None = None,
) -> None:
    """Serve the metrics of ``registry``, those of the app among them, at a path of your own.

    Without this there is ``/metrics``, with names that begin with ``faust_``.

    Arguments:
        pattern: The path.
        registry: Where the app's metrics are registered.
        name_prefix: What their names begin with (default: the app's name).
    """
    prefix = name_prefix or "".join(c if c.isalnum() else "_" for c in app.conf.name)
    registry.register(AppCollector(app, prefix))

    @app.page(pattern, name="metrics")  # type: ignore[untyped-decorator]  # the app is Any here
    async def metrics(view: Any, request: Any) -> Any:
        response = view.bytes(generate_latest(registry))
        response.headers["Content-Type"] = CONTENT_TYPE
        response.content_type = None
        return response
