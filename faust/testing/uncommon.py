"""Apps in uncommon surroundings: what is read later, whose logs go, who shares a disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar

from faust.exceptions import OffsetOutOfRange, StopError, UnknownTopic
from faust.serializers.codecs import dumps
from faust.testing.oracle import Event, Truth
from faust.testing.scenario import Scenario

if TYPE_CHECKING:
    from faust.app.base import App
    from faust.testing.harness import Harness, WorkerEnvironment

__all__ = ["Astray", "Neighbours", "Widening"]


class Widening(Scenario):
    """A worker that is running already begins to read a second topic.

    It belongs to the same tasks as the first, so these are committed and started again.  Somebody
    wants to hear of partitions that come and go; and a worker that has not heard of a broker for
    long ends.
    """

    name = "widening"
    number = 8
    tables = ("count",)
    ordered = False
    settings = {"broker_unavailable_timeout": 20.0}

    def __init__(self, partitions: int = 4) -> None:
        super().__init__(partitions)
        self.topics["further"] = partitions
        self.committing.append("further")

    @staticmethod
    def _is_further(id: int) -> bool:
        return id % 3 == 0

    def expected(self, truth: Truth) -> dict[str, dict[str, Any]]:
        """Return how many events of each key are in the first topic."""
        counts = truth.fold(0, lambda value, event: value + (not self._is_further(event.id)))
        return {"count": {key: n for key, n in counts.items() if n}}

    def outgoing(
        self, events: Sequence[Event], random: Random, start: float, seconds: float
    ) -> list[tuple[float, str, bytes, bytes | None]]:
        """Return what the producer sends: to both topics."""
        return [
            (
                event.ts,
                "further" if self._is_further(event.id) else "events",
                event.key.encode(),
                dumps("json", event.plain()) or b"",
            )
            for event in events
        ]

    def make_app(self, env: WorkerEnvironment) -> App:
        """Return the app of one worker."""
        app, source, sink = self.new_app(env)
        further = app.topic("further", key_type=str, value_type=dict)
        count = app.Table("count", default=int, key_type=str, value_type=int)

        async def counting(stream: Any) -> None:
            async for event in stream.events():
                env.begin(event)
                count[event.value["key"]] += 1
                await env.work()
                await sink.send(key=event.value["key"], value=event.value)
                env.end(event)

        async def passing_on() -> None:
            await env.clock.sleep(env.random.random() * 5)
            async for event in app.stream(further).events():
                env.begin(event)
                await env.work()
                await sink.send(key=event.value["key"], value=event.value)
                env.end(event)

        async def heard(*_: Any, **__: Any) -> None:
            await env.work()

        app.agent(source, name="counting")(counting)
        app.task()(passing_on)
        app.on_partitions_assigned.connect(heard, weak=False)
        app.on_partitions_revoked.connect(heard, weak=False)
        return app


class Astray(Scenario):
    """Changelogs are deleted, and nobody runs for so long that what they remember is of no use.

    What was in a table may be lost by that, or be older than it was committed.  No event may be
    lost, and a table holds nothing that never was.
    """

    name = "astray"
    number = 2
    tables = ()
    faults: ClassVar[Mapping[str, float]] = {"delete": 1.0, "pass_by": 0.7}
    #: Who has just used a changelog that is deleted may end, and make it at the next start: it is
    #: gone, has not the offsets that it had, or does not know its producer any more.
    excused = (UnknownTopic, OffsetOutOfRange, StopError)

    def __init__(self, partitions: int = 4) -> None:
        super().__init__(partitions)
        self._events: Sequence[Event] = ()

    def expected(self, truth: Truth) -> dict[str, dict[str, Any]]:
        """Return nothing: no table is compared."""
        return {}

    def outgoing(
        self, events: Sequence[Event], random: Random, start: float, seconds: float
    ) -> list[tuple[float, str, bytes, bytes | None]]:
        """Return what the producer sends, and remember it."""
        self._events = events
        return super().outgoing(events, random, start, seconds)

    def make_app(self, env: WorkerEnvironment) -> App:
        """Return the app of one worker."""
        app, source, sink = self.new_app(env)
        last = app.Table("last", key_type=str, value_type=int)
        ids = app.Table("ids", key_type=str, value_type=int)

        async def keeping(stream: Any) -> None:
            async for event in stream.events():
                env.begin(event)
                value = event.value
                last[value["key"]] = value["seq"]
                await env.work()
                ids[value["key"]] = value["id"]
                await sink.send(key=value["key"], value=value)
                env.end(event)

        app.agent(source, name="keeping")(keeping)
        return app

    def judge(self, harness: Harness) -> list[str]:
        """Return what the tables hold that no event has ever written."""
        findings = []
        for name in ("last", "ids"):
            written = {(e.key, e.seq if name == "last" else e.id) for e in self._events}
            found, twice = harness.table(name)
            findings += twice
            if strange := sorted(set(found.items()) - written):
                findings.append(f"I4 tables: {name} holds what never was: {strange[:5]}")
        return findings


class Neighbours(Scenario):
    """All workers are on one machine and keep their tables in one directory."""

    name = "neighbours"
    number = 9
    shares_disk = True
    settings = {"store": "simulated://", "table_standby_replicas": 1}

    def make_app(self, env: WorkerEnvironment) -> App:
        """Return the app of one worker."""
        app, source, sink = self.new_app(env)
        count = app.Table("count", default=int, key_type=str, value_type=int)
        last = app.Table("last", key_type=str, value_type=int)

        async def counting(stream: Any) -> None:
            async for event in stream.events():
                env.begin(event)
                count[event.value["key"]] += 1
                await env.work()
                last[event.value["key"]] = event.value["seq"]
                await sink.send(key=event.value["key"], value=event.value)
                env.end(event)

        app.agent(source, name="counting")(counting)
        return app
