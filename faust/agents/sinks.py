"""Where what an agent yields goes: topics, channels, agents and functions, in order."""

from __future__ import annotations

from collections.abc import Callable
from inspect import isawaitable, iscoroutinefunction
from typing import Any

from faust.exceptions import ImproperlyConfigured

__all__ = ["Sinks"]


class Sinks:
    """The sinks of one agent.

    Attributes:
        all: Them, in order.
    """

    def __init__(self, app: Any, agent: str, fun: Callable[..., Any]) -> None:
        self._app = app
        self._agent = agent
        self._yields = not iscoroutinefunction(getattr(fun, "__func__", fun))
        self._named: set[str] = set()
        self.all: list[Any] = []

    def add(self, sink: Any) -> None:
        """Add one, unless it is there already.

        Raises:
            ImproperlyConfigured: the agent does not yield.
            TypeError: ``sink`` is no sink.
        """
        if not (isinstance(sink, str) or hasattr(sink, "send") or callable(sink)):
            raise TypeError(
                f"agent {self._agent!r}: a sink is a topic, a channel, a topic's name, an agent or "
                f"a function, not {sink!r}"
            )
        if not self._yields:
            raise ImproperlyConfigured(f"agent {self._agent!r} must yield to use sinks")
        if isinstance(sink, str):
            if sink in self._named:
                return
            self._named.add(sink)
            sink = self._app.topic(sink)
        if sink not in self.all:
            self.all.append(sink)

    async def put(self, value: Any) -> None:
        """Give a value to each."""
        for sink in self.all:
            if hasattr(sink, "send"):
                await sink.send(value)
                continue
            result = sink(value)
            if isawaitable(result):
                await result
