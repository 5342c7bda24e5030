"""Apps whose results are known: what the simulation runs against the oracle.

Those here are the ways in which an agent can meet a table: one at a time, in lists, by hand,
behind a ``group_by``, in windows, failing now and then.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from faust.testing.asking import Asking
from faust.testing.closing import Closing
from faust.testing.drawing import Drawing
from faust.testing.growing import Growing
from faust.testing.oracle import Truth
from faust.testing.poison import Poison
from faust.testing.recovering import Everywhere, Restoring
from faust.testing.scenario import Scenario
from faust.testing.sharing import Learning, Sharing
from faust.testing.uncommon import Astray, Neighbours, Widening

if TYPE_CHECKING:
    from faust.app.base import App
    from faust.testing.harness import WorkerEnvironment

__all__ = ["SCENARIOS"]


class Flaky(Exception):
    """Raised by agents that fail now and then."""


class Counting(Scenario):
    """``count[key] += 1``, the last ``seq`` of each key, and the event to a sink."""

    name = "counting"

    def make_app(self, env: WorkerEnvironment) -> App:
        app, source, sink = self.new_app(env)
        count = app.Table("count", default=int, key_type=str, value_type=int)
        last = app.Table("last", key_type=str, value_type=int)

        async def counting(stream: Any) -> None:
            async for event in stream.events():
                env.begin(event)
                value = event.value
                count[value["key"]] += 1
                await env.work()
                last[value["key"]] = value["seq"]
                await sink.send(key=value["key"], value=value)
                await env.work()
                env.end(event)

        app.agent(source, name="counting")(counting)
        return app


class Grouped(Scenario):
    """Events arrive under any key and are repartitioned by the right one."""

    name = "group_by"
    ordered = False

    def __init__(self, partitions: int = 4) -> None:
        super().__init__(partitions)
        self.committing = ["events", "grouping-events-key-repartition"]

    def routing_key(self, key: str, id: int) -> str:
        return f"any{id % 7}"

    def expected(self, truth: Truth) -> dict[str, dict[str, Any]]:
        return {"count": truth.counts(), "last": truth.last()}

    def make_app(self, env: WorkerEnvironment) -> App:
        app, source, sink = self.new_app(env)
        app.conf.topic_partitions = self.partitions
        count = app.Table("count", default=int, key_type=str, value_type=int)
        last = app.Table("last", default=lambda: -1, key_type=str, value_type=int)

        async def grouping(stream: Any) -> None:
            keyed = stream.group_by(lambda value: value["key"], name="key")
            async for event in keyed.events():
                env.begin(event)
                value = event.value
                count[value["key"]] += 1
                await env.work()
                last[value["key"]] = max(last[value["key"]], value["seq"])
                await sink.send(key=value["key"], value=value)
                await env.work()
                env.end(event)

        app.agent(source, name="grouping")(grouping)
        return app


class Taking(Scenario):
    """Events are counted in lists."""

    name = "take"
    number = 13

    def make_app(self, env: WorkerEnvironment) -> App:
        app, source, sink = self.new_app(env)
        count = app.Table("count", default=int, key_type=str, value_type=int)
        last = app.Table("last", key_type=str, value_type=int)

        async def taking(stream: Any) -> None:
            async for events in stream.take_events(7, within=0.3):
                for event in events:
                    env.begin(event)
                for event in events:
                    value = event.value
                    count[value["key"]] += 1
                    last[value["key"]] = value["seq"]
                    await env.work()
                    await sink.send(key=value["key"], value=value)
                for event in events:
                    env.end(event)

        app.agent(source, name="taking")(taking)
        return app


class GroupedTaking(Grouped):
    """Repartitioned, then in lists."""

    name = "group_by_take"
    number = 13

    def make_app(self, env: WorkerEnvironment) -> App:
        app, source, sink = self.new_app(env)
        app.conf.topic_partitions = self.partitions
        count = app.Table("count", default=int, key_type=str, value_type=int)
        last = app.Table("last", default=lambda: -1, key_type=str, value_type=int)

        async def grouping(stream: Any) -> None:
            keyed = stream.group_by(lambda value: value["key"], name="key")
            async for events in keyed.take_events(5, within=0.2):
                for event in events:
                    env.begin(event)
                for event in events:
                    value = event.value
                    count[value["key"]] += 1
                    last[value["key"]] = max(last[value["key"]], value["seq"])
                    await env.work()
                    await sink.send(key=value["key"], value=value)
                for event in events:
                    env.end(event)

        app.agent(source, name="grouping")(grouping)
        return app


class Concurrent(Scenario):
    """Four instances of an agent without tables."""

    name = "concurrency"
    number = 3
    grows = True
    ordered = False
    tables = ()

    def expected(self, truth: Truth) -> dict[str, dict[str, Any]]:
        return {}

    def make_app(self, env: WorkerEnvironment) -> App:
        app, source, sink = self.new_app(env)

        async def sending(stream: Any) -> None:
            async for event in stream.events():
                env.begin(event)
                await env.work()
                await sink.send(key=event.value["key"], value=event.value)
                env.end(event)

        app.agent(source, name="sending", concurrency=4)(sending)
        return app


class Mutable(Scenario):
    """A table of lists and dicts, changed in place."""

    name = "mutable"
    number = 6
    tables = ("state",)

    def expected(self, truth: Truth) -> dict[str, dict[str, Any]]:
        return {
            "state": truth.fold(
                {"n": 0, "seqs": []},
                lambda value, event: {
                    "n": value["n"] + 1,
                    "seqs": [*value["seqs"], event.seq][-5:],
                },
            )
        }

    def make_app(self, env: WorkerEnvironment) -> App:
        app, source, sink = self.new_app(env)
        state = app.Table("state", key_type=str, default=lambda: {"n": 0, "seqs": []})
        failed: set[int] = set()

        async def changing(stream: Any) -> None:
            async for event in stream.events():
                env.begin(event)
                try:
                    value = event.value
                    kept = state[value["key"]]
                    kept["n"] += 1
                    kept["seqs"].append(value["seq"])
                    del kept["seqs"][:-5]
                    await env.work()
                    if value["id"] % 3 == 0:
                        state[value["key"]] = kept
                    if value["id"] % 11 == 5 and value["id"] not in failed:
                        failed.add(value["id"])
                        raise Flaky
                    await sink.send(key=value["key"], value=value)
                finally:
                    env.end(event)

        app.agent(source, name="changing")(changing)
        return app


class Retrying(Scenario):
    """Every ninth event fails once or twice before it succeeds; the policy is ``crash``."""

    name = "retrying"
    number = 6

    def make_app(self, env: WorkerEnvironment) -> App:
        app, source, sink = self.new_app(env)
        count = app.Table("count", default=int, key_type=str, value_type=int)
        last = app.Table("last", key_type=str, value_type=int)
        attempts: Counter[int] = Counter()

        async def retrying(stream: Any) -> None:
            async for event in stream.events():
                env.begin(event)
                try:
                    value = event.value
                    count[value["key"]] += 1
                    await env.work()
                    last[value["key"]] = value["seq"]
                    attempts[value["id"]] += 1
                    if value["id"] % 9 == 4 and attempts[value["id"]] <= 1 + value["id"] % 2:
                        raise Flaky
                    await sink.send(key=value["key"], value=value)
                finally:
                    env.end(event)

        app.agent(source, name="retrying")(retrying)
        return app


class Skipping(Scenario):
    """Every seventh event always fails; the policy is ``skip``."""

    name = "skipping"
    number = 6

    def skips(self, id: int) -> bool:
        return id % 7 == 3

    def make_app(self, env: WorkerEnvironment) -> App:
        app, source, sink = self.new_app(env)
        count = app.Table("count", default=int, key_type=str, value_type=int)
        last = app.Table("last", key_type=str, value_type=int)

        async def skipping(stream: Any) -> None:
            async for event in stream.events():
                env.begin(event)
                try:
                    value = event.value
                    count[value["key"]] += 1
                    last[value["key"]] = value["seq"]
                    await env.work()
                    if self.skips(value["id"]):
                        raise Flaky
                    await sink.send(key=value["key"], value=value)
                finally:
                    env.end(event)

        app.agent(source, name="skipping", error_policy="skip")(skipping)
        return app


class ByHand(Scenario):
    """Events are acknowledged by hand, in any order, while later ones are being handled."""

    name = "noack"
    number = 3
    #: What is not acknowledged when its task moves is not waited for.
    repeats_when_moved = True

    def make_app(self, env: WorkerEnvironment) -> App:
        app, source, sink = self.new_app(env)
        count = app.Table("count", default=int, key_type=str, value_type=int)
        last = app.Table("last", key_type=str, value_type=int)

        waiting: list[Any] = []

        def flush() -> None:
            env.random.shuffle(waiting)
            for each in waiting:
                env.end_of("acking", each)
                each.ack()
            waiting.clear()

        async def acking(stream: Any) -> None:
            async for event in stream.noack().events():
                env.begin(event)
                value = event.value
                count[value["key"]] += 1
                await env.work()
                last[value["key"]] = value["seq"]
                await sink.send(key=value["key"], value=value)
                waiting.append(event)
                if len(waiting) >= 4:
                    flush()
                elif len(waiting) == 1:
                    asyncio.get_running_loop().call_later(0.5, flush)

        app.agent(source, name="acking")(acking)
        return app


class Blocking(Counting):
    """Agents that block their event loop for long, now and then."""

    name = "blocking"
    number = 11
    faults: ClassVar[Mapping[str, float]] = {"block": 2.0}


class Windowed(Scenario):
    """Counts in windows of five seconds, by the time of the event."""

    name = "windowed"
    number = 5
    tables = ("panes",)

    def expected(self, truth: Truth) -> dict[str, dict[str, Any]]:
        panes: Counter[Any] = Counter()
        for event in truth.events:
            panes[event.key, event.ts // 5.0 * 5.0] += 1
        return {"panes": dict(panes)}

    def contents(self, name: str, found: dict[Any, Any]) -> dict[Any, Any]:
        return {(key, window[0]): value for (key, window), value in found.items()}

    def make_app(self, env: WorkerEnvironment) -> App:
        app, source, sink = self.new_app(env)
        panes = app.Table("panes", default=int, key_type=str, value_type=int).tumbling(5.0)

        async def windowing(stream: Any) -> None:
            async for event in stream.events():
                env.begin(event)
                panes[event.value["key"]] += 1
                await env.work()
                await sink.send(key=event.value["key"], value=event.value)
                env.end(event)

        app.agent(source, name="windowing")(windowing)
        return app


SCENARIOS: dict[str, type[Scenario]] = {
    each.name: each
    for each in (
        Counting, Grouped, Taking, GroupedTaking, Concurrent, Sharing, Mutable, Retrying, Skipping,
        ByHand, Windowed, Learning, Closing, Restoring, Everywhere, Asking, Poison,
         Drawing, Blocking, Widening, Astray, Neighbours, Growing,
    )
}  # fmt: skip


def names() -> Collection[str]:
    """Return the names of all scenarios."""
    return SCENARIOS.keys()
