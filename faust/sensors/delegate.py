"""All sensors of an app as one: each callback goes to those who want to know.

Who wants to know of what is found out when a sensor is added, not when something happens: for
callbacks that nobody has overridden there is nothing to call.  What a sensor raises is logged, once
for each callback, and the app goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from faust._values import TP
from faust.sensors.base import Sensor
from faust.sensors.hooks import SendHooks, StreamHooks, TableHooks

__all__ = ["SensorDelegate"]

logger = logging.getLogger(__name__)

_CALLBACKS = tuple(name for name in vars(Sensor) if name.startswith("on_") and name != "on_added")

#: Several sensors' answers to a start: (sensor, its state) for each.
States = list[tuple[Sensor, Any]]


class SensorDelegate:
    """The sensors of an app: ``app.sensors``.

    Arguments:
        app: The app.
        main: Returns the app's monitor, which is always among them.

    Attributes:
        event_hooks: Sensors that want to know of every event or message: ``None`` if there are
            none.
        table_hooks: What to call for each access to a table, or ``None``.
        send_hooks: What to call for each record that is sent, or ``None``.
        wants_messages: Does any want to know of every message?
    """

    def __init__(self, app: Any, main: Sensor) -> None:
        self.app = app
        self.main = main
        self._others: list[Sensor] = []
        self._said: set[str] = set()
        self._callbacks: dict[str, list[tuple[Sensor, Callable[..., Any]]]] = {}
        self._on_change: list[Callable[[], None]] = []
        self.event_hooks: tuple[Sensor, ...] | None = None
        self.table_hooks: TableHooks | None = None
        self.send_hooks: SendHooks | None = None
        self.wants_messages = False
        main.on_added(app)
        self._sort()

    # -- who there is ----------------------------------------------------------------------

    def add(self, sensor: Sensor) -> None:
        """Tell another sensor, too, from now on."""
        self._others.append(sensor)
        sensor.on_added(self.app)
        self._sort()

    def remove(self, sensor: Sensor) -> None:
        """Tell it no more."""
        self._others.remove(sensor)
        self._sort()

    def replace_main(self, main: Sensor) -> None:
        """The app has another monitor."""
        self.main = main
        main.on_added(self.app)
        self._sort()

    def on_change(self, fun: Callable[[], None]) -> None:
        """Call ``fun`` whenever a sensor comes or goes."""
        self._on_change.append(fun)

    def __iter__(self) -> Iterator[Sensor]:
        return iter((self.main, *self._others))

    def __len__(self) -> int:
        return 1 + len(self._others)

    def __contains__(self, sensor: object) -> bool:
        return any(sensor is each for each in self)

    def _sort(self) -> None:
        self._callbacks = {
            name: [(s, getattr(s, name)) for s in self if _wants(s, name)] for name in _CALLBACKS
        }
        wanting = self._wanting
        events = wanting("on_stream_event_in", "on_stream_event_out", "on_message_out")
        self.event_hooks = events or None
        tables = wanting("on_table_get", "on_table_set", "on_table_del")
        self.table_hooks = TableHooks(tables) if tables else None
        sends = wanting("on_send_initiated", "on_send_completed", "on_send_error")
        self.send_hooks = SendHooks(sends) if sends else None
        self.wants_messages = bool(self._callbacks["on_message_in"])
        for fun in self._on_change:
            fun()

    def _wanting(self, *names: str) -> tuple[Sensor, ...]:
        return tuple(sensor for sensor in self if any(_wants(sensor, name) for name in names))

    def hooks_for(self, stream: Any) -> StreamHooks | None:
        """Return what to call for every event of a stream: ``None`` where nobody wants to know."""
        sensors = self.event_hooks
        if sensors is None:
            return None
        hooks: StreamHooks | None = stream.hooks
        return hooks if hooks is not None and hooks.sensors is sensors else StreamHooks(sensors)

    # -- telling ---------------------------------------------------------------------------

    def _tell(self, name: str, *args: Any, **options: Any) -> None:
        for sensor, call in self._callbacks[name]:
            try:
                call(*args, **options)
            except Exception:
                self._complain(name, sensor)

    def _begin(self, name: str, *args: Any, **options: Any) -> States:
        states: States = []
        for sensor in self:
            state = None
            try:
                state = getattr(sensor, name)(*args, **options)
            except Exception:
                self._complain(name, sensor)
            states.append((sensor, state))
        return states

    def _go_on(self, states: States, call: Callable[[Sensor, Any], Any], name: str) -> None:
        for sensor, state in states:
            try:
                call(sensor, state)
            except Exception:
                self._complain(name, sensor)

    def _complain(self, name: str, sensor: Sensor) -> None:
        if name not in self._said:
            self._said.add(name)
            logger.exception("Sensor %r: %s() has raised (said once)", sensor, name)

    # -- what the app says -----------------------------------------------------------------

    def on_message_in(self, tp: TP, offset: int, message: Any) -> None:
        """See `Sensor.on_message_in`; called only if ``wants_messages``."""
        self._tell("on_message_in", tp, offset, message)

    def on_batch_in(self, tp: TP, records: int) -> None:
        """See `Sensor.on_batch_in`."""
        self._tell("on_batch_in", tp, records)

    def on_batch(self, tp: TP, reader: str, records: int, next_offset: int, seconds: float) -> None:
        """See `Sensor.on_batch`."""
        self._tell("on_batch", tp, reader, records, next_offset, seconds)

    def on_batch_sent(
        self, tp: TP, records: int, size: int, seconds: float, error: BaseException | None
    ) -> None:
        """See `Sensor.on_batch_sent`."""
        self._tell("on_batch_sent", tp, records, size, seconds, error)

    def on_event_skipped(self, reader: str, tp: TP | None) -> None:
        """See `Sensor.on_event_skipped`."""
        self._tell("on_event_skipped", reader, tp)

    def on_event_retried(self, reader: str, tp: TP | None) -> None:
        """See `Sensor.on_event_retried`."""
        self._tell("on_event_retried", reader, tp)

    def on_event_dead_lettered(self, reader: str, tp: TP | None, topic: str) -> None:
        """See `Sensor.on_event_dead_lettered`."""
        self._tell("on_event_dead_lettered", reader, tp, topic)

    def on_topic_buffer_full(self, tp: TP) -> None:
        """See `Sensor.on_topic_buffer_full`."""
        self._tell("on_topic_buffer_full", tp)

    def on_tp_end(self, tp: TP, offset: int) -> None:
        """See `Sensor.on_tp_end`."""
        self._tell("on_tp_end", tp, offset)

    def on_restored(self, table: Any, partition: int, records: int) -> None:
        """See `Sensor.on_restored`."""
        self._tell("on_restored", table, partition, records)

    def on_threaded_producer_buffer_processed(self, app: Any, size: int) -> None:
        """See `Sensor.on_threaded_producer_buffer_processed`."""
        self._tell("on_threaded_producer_buffer_processed", app, size)

    def on_commit_initiated(self, consumer: Any) -> States:
        """See `Sensor.on_commit_initiated`."""
        return self._begin("on_commit_initiated", consumer)

    def on_commit_completed(self, consumer: Any, states: States, offsets: Mapping[TP, int]) -> None:
        """See `Sensor.on_commit_completed` and `Sensor.on_tp_commit`."""
        name = "on_commit_completed"
        self._go_on(states, lambda s, state: s.on_commit_completed(consumer, state), name)
        self._tell("on_tp_commit", offsets)

    def on_assigned_by_us(self, assignor: Any, seconds: float, error: BaseException | None) -> None:
        """This worker, as the leader, has assigned partitions; it took so long.

        See `Sensor.on_assignment_start`, `Sensor.on_assignment_completed` and
        `Sensor.on_assignment_error`: the assignor runs on the I/O loop, which waits for nobody, and
        sensors are told here, afterwards.
        """
        states = self._begin("on_assignment_start", assignor)
        for _, state in states:
            if isinstance(state, dict) and "time_start" in state:
                state["time_start"] -= seconds
        if error is None:
            name = "on_assignment_completed"
            self._go_on(states, lambda s, state: s.on_assignment_completed(assignor, state), name)
        else:
            name = "on_assignment_error"
            self._go_on(
                states, lambda s, state: s.on_assignment_error(assignor, state, error), name
            )

    def on_rebalance_start(self, app: Any) -> States:
        """See `Sensor.on_rebalance_start`."""
        return self._begin("on_rebalance_start", app)

    def on_rebalance_return(self, app: Any, states: States) -> None:
        """See `Sensor.on_rebalance_return`."""
        name = "on_rebalance_return"
        self._go_on(states, lambda s, state: s.on_rebalance_return(app, state), name)

    def on_rebalance_end(self, app: Any, states: States) -> None:
        """See `Sensor.on_rebalance_end`."""
        name = "on_rebalance_end"
        self._go_on(states, lambda s, state: s.on_rebalance_end(app, state), name)

    def on_web_request_start(self, app: Any, request: Any, *, view: Any = None) -> States:
        """See `Sensor.on_web_request_start`."""
        return self._begin("on_web_request_start", app, request, view=view)

    def on_web_request_end(
        self, app: Any, request: Any, response: Any, states: States, *, view: Any = None
    ) -> None:
        """See `Sensor.on_web_request_end`."""

        def end(sensor: Sensor, state: Any) -> None:
            sensor.on_web_request_end(app, request, response, state, view=view)

        self._go_on(states, end, "on_web_request_end")

    def __repr__(self) -> str:
        return f"<SensorDelegate: {', '.join(type(sensor).__name__ for sensor in self)}>"


def _wants(sensor: Sensor, name: str) -> bool:
    """Has a sensor something to do in a callback?"""
    fun = getattr(type(sensor), name)
    return fun is not getattr(Sensor, name) and not getattr(fun, "in_bulk", False)
