"""An agent that gives another answer each time: what only exactly once gets right.

Each event draws a number, which goes into tables and to the sink.  An event that is processed again
draws another one.  So the tables fit what is in the sink only if both are of the same attempt.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from faust.testing.oracle import Truth
from faust.testing.scenario import Scenario

if TYPE_CHECKING:
    from faust.app.base import App
    from faust.testing.harness import Harness, WorkerEnvironment

__all__ = ["Drawing"]


class Drawing(Scenario):
    """A random number for each event, in tables and in the sink."""

    name = "drawing"
    tables = ("count",)
    guarantees = ("exactly_once",)

    def expected(self, truth: Truth) -> dict[str, dict[str, Any]]:
        return {"count": truth.counts()}

    def make_app(self, env: WorkerEnvironment) -> App:
        app, source, sink = self.new_app(env)
        count = app.Table("count", default=int, key_type=str, value_type=int)
        total = app.Table("total", default=int, key_type=str, value_type=int)
        drawn = app.Table("drawn", key_type=str, value_type=int)

        async def drawing(stream: Any) -> None:
            async for event in stream.events():
                env.begin(event)
                try:
                    value = event.value
                    key, number = value["key"], env.random.randrange(1_000_000)
                    count[key] += 1
                    drawn[key] = number
                    await sink.send(key=key, value={**value, "drawn": number})
                    await env.work()
                    total[key] += number
                    if env.random.random() < 0.03:
                        raise ValueError("drawn")
                finally:
                    env.end(event)

        app.agent(source, name="drawing")(drawing)
        return app

    def judge(self, harness: Harness) -> list[str]:
        """The tables must hold what the sink says was drawn, and nothing else."""
        last: dict[str, int] = {}
        sums: dict[str, int] = defaultdict(int)
        for _, record in harness.records("sink"):
            value = json.loads(record.value)
            last[value["key"]] = value["drawn"]
            sums[value["key"]] += value["drawn"]
        findings = []
        for name, expected in (("drawn", last), ("total", dict(sums))):
            found, _ = harness.table(name)
            if wrong := sorted(k for k in {*found, *expected} if found.get(k) != expected.get(k)):
                findings.append(
                    f"I4 tables: {name} is not what was sent, for {len(wrong)} keys: {wrong[:5]}"
                )
        return findings
