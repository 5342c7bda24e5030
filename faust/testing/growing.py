"""An app of two topics, one of which gets more partitions while workers come and go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar

from faust.testing.oracle import Event, Truth
from faust.testing.scenario import Scenario

if TYPE_CHECKING:
    from faust.app.base import App
    from faust.testing.harness import WorkerEnvironment

__all__ = ["Growing"]

#: The topic that does not grow: it feeds a table.
STEADY = "others"


class Growing(Scenario):
    """One topic is sent on, and grows; the other is counted, and has as many partitions, or one
    more: their partitions belong to one task, and then to two, or the other way round."""

    name = "growth"
    grows = True
    ordered = False
    tables = ("count",)
    favours: ClassVar[Mapping[str, float]] = {"grow": 1.5}

    def __init__(self, partitions: int = 4) -> None:
        super().__init__(partitions)
        self.topics[STEADY] = partitions + partitions % 2
        self.committing = ["events", STEADY]

    def expected(self, truth: Truth) -> dict[str, dict[str, Any]]:
        """Return how many events each key has whose events are counted."""
        return {"count": {key: n for key, n in truth.counts().items() if _is_counted(key)}}

    def outgoing(
        self, events: Sequence[Event], random: Random, start: float, seconds: float
    ) -> list[tuple[float, str, bytes, bytes | None]]:
        """Return what the producer sends: half of the keys go to the one, half to the other."""
        sent = super().outgoing(events, random, start, seconds)
        return [
            (when, STEADY if _is_counted(event.key) else topic, key, value)
            for event, (when, topic, key, value) in zip(events, sent, strict=True)
        ]

    def make_app(self, env: WorkerEnvironment) -> App:
        """Return the app of one worker."""
        app, source, sink = self.new_app(env)
        steady = app.topic(STEADY, key_type=str, value_type=dict)
        count = app.Table("count", default=int, key_type=str, value_type=int)

        async def sending(stream: Any) -> None:
            async for event in stream.events():
                env.begin(event)
                await env.work()
                await sink.send(key=event.value["key"], value=event.value)
                env.end(event)

        async def counting(stream: Any) -> None:
            async for event in stream.events():
                env.begin(event)
                count[event.value["key"]] += 1
                await env.work()
                await sink.send(key=event.value["key"], value=event.value)
                env.end(event)

        async def seeing(stream: Any) -> None:
            async for _ in stream:
                await env.work()

        app.agent(source, name="sending")(sending)
        app.agent(steady, name="counting")(counting)
        app.agent(app.topic("events", STEADY, value_type=dict), name="seeing")(seeing)
        return app


def _is_counted(key: str) -> bool:
    return int(key[1:]) % 2 == 1
