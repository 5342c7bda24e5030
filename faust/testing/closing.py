"""The scenario of windows that close: by event time, out of order, some events far too late.

What each window must hold in the end is computed from the order of each partition's log alone.  A
run compares it with what is still in the tables together with what was announced as closed: so a
window that lost an event, that took one too late, or that closed with another value is found,
whoever owned it, and whatever went wrong meanwhile.
"""

from __future__ import annotations

import json
from collections import defaultdict
from math import inf
from typing import TYPE_CHECKING, Any

from faust._core.partitioner import partition_for
from faust.testing.oracle import Event, Sighting, Truth
from faust.testing.scenario import Scenario
from faust.windows import HoppingWindow, SessionWindow, SlidingWindow, TumblingWindow, Window

if TYPE_CHECKING:
    from faust.app.base import App
    from faust.testing.harness import Harness, WorkerEnvironment

__all__ = ["Closing"]

#: How long windows wait for late events: longer than the producer ever holds an event back, so that
#: the time that passes while nothing comes makes none late.
EXPIRES = 30.0

WINDOWS: dict[str, Window] = {
    "tumbling": TumblingWindow(5.0, EXPIRES),
    "hopping": HoppingWindow(6.0, 3.0, EXPIRES),
    "sliding": SlidingWindow(2.0, 1.0, EXPIRES),
    "session": SessionWindow(1.5, EXPIRES),
}

#: A window of a key: (key, start, end).
Pane = tuple[str, float, float]


def event_time(event_id: int, ts: float) -> float:
    """Return the time of an event: up to three seconds early, and now and then far too early."""
    return ts - (1000.0 if event_id % 15 == 7 else event_id * 7 % 31 / 10)


class Closing(Scenario):
    """Counts in windows of all kinds, which close and say so."""

    name = "closing"
    #: Under exactly once a window is announced when its deletion is committed.
    committed_view = True
    number = 5
    tables = tuple(WINDOWS)

    def __init__(self, partitions: int = 4) -> None:
        super().__init__(partitions)
        self.topics["closed"] = 1
        self._closed: dict[str, dict[Pane, Any]] = {}

    def expected(self, truth: Truth) -> dict[str, dict[Any, Any]]:
        """Return the last value of every window there was."""
        logs: dict[int, list[Event]] = defaultdict(list)
        for event in truth.events:
            logs[partition_for(event.key.encode(), self.partitions)].append(event)
        found: dict[str, dict[Pane, Any]] = {name: {} for name in WINDOWS}
        for log in logs.values():
            for name, window in WINDOWS.items():
                found[name].update(_count(window, log))
        return found

    def sightings(self, harness: Harness) -> list[Sighting]:
        """Return the records of the sink; note what was announced as closed."""
        self._closed = {name: {} for name in WINDOWS}
        for _, record in harness.records("closed"):
            name, key, start, end, value = json.loads(record.value)
            known = self._closed[name].setdefault((key, start, end), value)
            if known != value:
                self._closed[name][key, start, end] = f"closed with {known}, then with {value}"
        return super().sightings(harness)

    def contents(self, name: str, found: dict[Any, Any]) -> dict[Any, Any]:
        """Return what a table holds together with what has closed."""
        panes: dict[Pane, Any] = dict(self._closed[name])
        for (key, (start, end)), value in found.items():
            known = panes.setdefault((key, start, end), value)
            if known != value:
                panes[key, start, end] = f"closed with {known}, and there with {value}"
        return panes

    def make_app(self, env: WorkerEnvironment) -> App:
        app, source, sink = self.new_app(env)
        closed = app.topic("closed", value_type=list)

        def counts(name: str) -> Any:
            def announce(key: Any, value: Any) -> None:
                closed.send_soon(value=[name, key[0], *key[1], value])

            table = app.Table(
                name, default=int, key_type=str, value_type=int, on_window_close=announce
            )
            return table.using_window(WINDOWS[name]).relative_to(
                lambda event: event_time(event.value["id"], event.value["ts"])
            )

        tables = [counts(name) for name in WINDOWS]

        async def closing(stream: Any) -> None:
            async for event in stream.events():
                env.begin(event)
                for table in tables:
                    table[event.value["key"]] += 1
                    await env.work()
                await sink.send(key=event.value["key"], value=event.value)
                env.end(event)

        app.agent(source, name="closing")(closing)
        return app


def _count(window: Window, log: list[Event]) -> dict[Pane, int]:
    """Count the events of a partition as a table with these windows must."""
    panes: dict[Pane, int] = defaultdict(int)
    watermark = -inf
    for event in log:
        time = event_time(event.id, event.ts)
        watermark = max(watermark, time)
        if isinstance(window, SessionWindow):
            _join(panes, window, event.key, time, watermark)
            continue
        for start, end in window.ranges(time):
            if not window.stale(end, watermark):
                panes[event.key, start, end] += 1
    return panes


def _join(
    panes: dict[Pane, int], window: SessionWindow, key: str, time: float, watermark: float
) -> None:
    start, end = window.current(time)
    joined = [
        pane
        for pane in panes
        if pane[0] == key
        and pane[1] < end
        and start < pane[2]
        and not window.stale(pane[2], watermark)
    ]
    start, end = min([start, *(p[1] for p in joined)]), max([end, *(p[2] for p in joined)])
    if not window.stale(end, watermark):
        panes[key, start, end] = 1 + sum(panes.pop(pane) for pane in joined)
