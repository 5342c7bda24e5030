"""Apps whose agents share tables: known from their code, or learned at the first write."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from faust.testing.oracle import Truth
from faust.testing.scenario import Scenario

if TYPE_CHECKING:
    from faust.app.base import App
    from faust.testing.harness import WorkerEnvironment

__all__ = ["Learning", "Sharing"]


class Sharing(Scenario):
    """Two agents on one topic write one table; a third writes none and a fourth another."""

    name = "sharing"
    tables = ("count", "last")

    def expected(self, truth: Truth) -> dict[str, dict[str, Any]]:
        return {
            "count": {key: 11 * n for key, n in truth.counts().items()},
            "last": truth.last(),
        }

    def make_app(self, env: WorkerEnvironment) -> App:
        app, source, sink = self.new_app(env)
        count = app.Table("count", default=int, key_type=str, value_type=int)
        last = app.Table("last", key_type=str, value_type=int)

        async def ones(stream: Any) -> None:
            async for event in stream.events():
                env.begin(event)
                value = count[event.value["key"]]
                await env.work()
                count[event.value["key"]] = value + 1
                await env.work()
                env.end(event)

        async def tens(stream: Any) -> None:
            async for event in stream.events():
                env.begin(event)
                value = count[event.value["key"]]
                await env.work()
                count[event.value["key"]] = value + 10
                await sink.send(key=event.value["key"], value=event.value)
                await env.work()
                env.end(event)

        async def lasts(stream: Any) -> None:
            async for event in stream.events():
                env.begin(event)
                last[event.value["key"]] = event.value["seq"]
                await env.work()
                env.end(event)

        async def looks(stream: Any) -> None:
            async for event in stream.events():
                env.begin(event)
                await env.work()
                env.end(event)

        for agent in (ones, tens, lasts, looks):
            app.agent(source, name=agent.__name__)(agent)
        return app


class Learning(Scenario):
    """Agents share tables that their code does not name, and write them sooner or later.

    One of them has a gate from the start, because its code names a table of another; one catches
    whatever is raised inside its events; one writes now and then only.
    """

    name = "learning"
    tables = ("count", "named")

    def expected(self, truth: Truth) -> dict[str, dict[str, Any]]:
        return {
            "count": truth.fold(0, lambda value, event: value + 11 + 100 * self._is_late(event.id)),
            "named": {key: 3 * n for key, n in truth.counts().items()},
        }

    @staticmethod
    def _is_late(id: int) -> bool:
        return id % 5 == 4

    def make_app(self, env: WorkerEnvironment) -> App:
        app, source, sink = self.new_app(env)
        count = app.Table(
            "count", default=int, key_type=str, value_type=int, partitions=self.partitions
        )
        holder = deque([count])  # where no look at the agents' code finds it
        named = app.Table("named", default=int, key_type=str, value_type=int)

        async def add(tables: deque[Any], event: Any, amount: int) -> None:
            (table,) = tables
            before = table[event.value["key"]]
            await env.work()
            table[event.value["key"]] = before + amount

        async def ones(stream: Any) -> None:
            async for event in stream.events():
                env.begin(event)
                try:
                    named[event.value["key"]] += 1
                    await add(holder, event, 1)
                finally:
                    env.end(event)

        async def twice(stream: Any) -> None:
            async for event in stream.events():
                env.begin(event)
                try:
                    await add(deque([named]), event, 2)
                finally:
                    env.end(event)

        async def tens(stream: Any) -> None:
            async for event in stream.events():
                env.begin(event)
                try:
                    await add(holder, event, 10)
                    await sink.send(key=event.value["key"], value=event.value)
                    await env.work()
                finally:
                    env.end(event)

        async def hundreds(stream: Any) -> None:
            async for event in stream.events():
                env.begin(event)
                try:
                    await env.work()
                    if self._is_late(event.value["id"]):
                        await add(holder, event, 100)
                except Exception:
                    await env.work()
                finally:
                    env.end(event)

        for agent in (ones, twice, tens, hundreds):
            app.agent(source, name=agent.__name__)(agent)
        return app
