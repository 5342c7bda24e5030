"""What is called for each event, access or send: only where some sensor has overridden it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from faust.sensors.base import Sensor

__all__ = ["SendHooks", "StreamHooks", "TableHooks"]

logger = logging.getLogger(__name__)


class _Hooks:
    """Calls sensors; what they raise is logged once for each callback, and is nobody's failure."""

    def __init__(self, sensors: tuple[Sensor, ...]) -> None:
        self.sensors = sensors
        self._said: set[str] = set()

    def _call(self, fun: Callable[..., Any], *args: Any) -> Any:
        try:
            return fun(*args)
        except Exception:
            name = getattr(fun, "__qualname__", repr(fun))
            if name not in self._said:
                self._said.add(name)
                logger.exception("Sensor: %s() has raised (said once)", name)
            return None


class StreamHooks(_Hooks):
    """Calls the sensors that want to know of every event of one stream."""

    def __init__(self, sensors: tuple[Sensor, ...]) -> None:
        super().__init__(sensors)
        self._inside: list[tuple[Any, Any, list[Any]]] = []

    def event_in(self, stream: Any) -> None:
        """An event, or a list of them, is about to be handed out."""
        for cursor, event in stream.places_in_progress():
            message = event.message
            states = [
                self._call(sensor.on_stream_event_in, message.tp, message.offset, stream, event)
                for sensor in self.sensors
            ]
            self._inside.append((cursor, event, states))

    def event_out(self, stream: Any) -> None:
        """The agent has come back, or failed: what was handed out is over."""
        inside, self._inside = self._inside, []
        for cursor, event, states in inside:
            message = event.message
            for sensor, state in zip(self.sensors, states, strict=True):
                self._call(
                    sensor.on_stream_event_out, message.tp, message.offset, stream, event, state
                )
            self.message_out(cursor, message)

    def message_out(self, cursor: Any, message: Any) -> None:
        """One reader may have finished with a record: say so if it was the last."""
        if cursor is not None and all(
            other.is_done(message.offset) for other in cursor.task.cursors if other.tp == cursor.tp
        ):
            for sensor in self.sensors:
                self._call(sensor.on_message_out, message.tp, message.offset, message)


class TableHooks(_Hooks):
    """Calls the sensors that want to know of every access to a table."""

    def get(self, table: Any, key: Any) -> None:
        """A key is read."""
        for sensor in self.sensors:
            self._call(sensor.on_table_get, table, key)

    def set(self, table: Any, key: Any, value: Any) -> None:
        """A key is set."""
        for sensor in self.sensors:
            self._call(sensor.on_table_set, table, key, value)

    def delete(self, table: Any, key: Any) -> None:
        """A key is deleted."""
        for sensor in self.sensors:
            self._call(sensor.on_table_del, table, key)


class SendHooks(_Hooks):
    """Calls the sensors that want to know of every record that is sent."""

    def sent(
        self, producer: Any, topic: str, sent: Any, key: bytes | None, value: bytes | None
    ) -> None:
        """A record was put into the batch of its partition."""
        sizes = (len(key or b""), len(value or b""))
        states = [
            self._call(sensor.on_send_initiated, producer, topic, sent, *sizes)
            for sensor in self.sensors
        ]

        def over(message: Any) -> None:
            error = message.peek_error()
            for sensor, state in zip(self.sensors, states, strict=True):
                if error is None:
                    self._call(sensor.on_send_completed, producer, state, message.peek_metadata())
                else:
                    self._call(sensor.on_send_error, producer, error, state)

        sent.add_done_callback(over)
