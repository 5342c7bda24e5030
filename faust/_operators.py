"""What can be done with a stream before it is iterated over: filter, echo, group_by, through."""

from __future__ import annotations

from collections.abc import Callable
from inspect import isawaitable
from typing import Any, Self

from faust._inprogress import InProgress
from faust.exceptions import Skip

__all__ = ["Operators", "Processor"]

Processor = Callable[[Any], Any]


class Operators(InProgress):
    """A stream's operators; see `faust.Stream`.

    Attributes:
        processors: Functions (sync or async) that each value passes, in order.
        enable_acks: Acknowledge events when the iteration goes on; otherwise by hand.
    """

    abstract = False

    processors: list[Processor]

    def add_processor(self, processor: Processor) -> None:
        """Let every value pass this function, too (sync or async); `Skip` leaves an event out."""
        self.processors.append(processor)

    def filter(self, fun: Callable[[Any], Any]) -> Self:
        """Leave out the values for which ``fun`` (sync or async) is false."""
        if not callable(fun):
            raise TypeError(f"filter() takes a function, not {fun!r}")

        async def only_matching(value: Any) -> Any:
            keep = fun(value)
            if isawaitable(keep):
                keep = await keep
            if not keep:
                raise Skip
            return value

        self.add_processor(only_matching)
        return self

    def noack(self) -> Self:
        """Let events be acknowledged by hand only: `Event.ack`, ``async with event``."""
        self.enable_acks = False
        return self

    def echo(self, *channels: Any) -> Self:
        """Send every event, with key and headers, to these channels, too."""
        targets = [self.app.topic(c) if isinstance(c, str) else c for c in channels]

        async def send_on(value: Any) -> Any:
            event = self.current_event
            key = event.key if event is not None else None
            headers = event.headers if event is not None else None
            for target in targets:
                await target.send(key=key, value=value, headers=headers)
            return value

        self.add_processor(send_on)
        return self

    def group_by(
        self,
        key: Any,
        *,
        name: str | None = None,
        topic: Any = None,
        partitions: int | None = None,
    ) -> Self:
        """Repartition by another key, so that equal keys meet in one task.

        Events are forwarded to an internal topic and read again from there; counting is exact,
        because a forwarded record carries its source, and one that was seen is dropped after a
        crash.

        Arguments:
            key: A field (``Order.account``), or a function (sync or async) of the value.  It must
                be
                deterministic: an event that is forwarded again after a crash must get the same key.
            name: Name for the key, part of the topic's name; needed for nameless functions only.
            topic: Use this topic instead of an internal one.
            partitions: Partitions of the internal topic (default: ``topic_partitions``).

        Raises:
            ImproperlyConfigured: the stream is shared by concurrent instances, or was repartitioned
                already.
        """
        from faust._repartition import group_by

        this: Any = self
        made: Self = group_by(this, key, name=name, topic=topic, partitions=partitions)  # type: ignore[assignment]  # of the same class and values
        return made

    def through(self, channel: Any) -> Self:
        """Forward every event to another topic, and go on reading from there."""
        from faust._repartition import through

        this: Any = self
        made: Self = through(this, channel)  # type: ignore[assignment]  # of the same class and values
        return made

    def derive_topic(self, name: str, *, prefix: str = "", suffix: str = "", **options: Any) -> Any:
        """Return a topic like the one being read, under another name."""
        return self.channel.derive_topic(topics=[name], prefix=prefix, suffix=suffix, **options)
