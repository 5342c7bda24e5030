"""Apps whose tables are much to restore, or are read where nobody writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faust.testing.oracle import Truth
from faust.testing.scenario import Scenario

if TYPE_CHECKING:
    from faust.app.base import App
    from faust.testing.harness import Harness, WorkerEnvironment

__all__ = ["Everywhere", "Restoring"]


class Restoring(Scenario):
    """Every event writes a key of its own, and deletes an older one: many keys and tombstones.

    The table hears what it is restored from, and must hear nothing of another table.
    """

    name = "restoring"
    number = 2
    tables = ("last", "recent")
    #: So many events of each key are kept.
    KEPT = 5

    def expected(self, truth: Truth) -> dict[str, dict[str, Any]]:
        """Return the last events of each key."""
        recent: dict[str, list[int]] = truth.fold(
            [], lambda kept, event: [*kept, event.seq][-self.KEPT :]
        )
        return {
            "last": truth.last(),
            "recent": {f"{key}/{seq}": seq for key, seqs in recent.items() for seq in seqs},
        }

    def make_app(self, env: WorkerEnvironment) -> App:
        """Return the app of one worker."""
        app, source, sink = self.new_app(env)

        async def heard(event: Any) -> None:
            await env.work()
            if "/" not in event.key:
                env.journal.findings.append(f"I4 tables: 'recent' has heard of {event.key!r}")

        last = app.Table("last", key_type=str, value_type=int)
        recent = app.Table("recent", key_type=str, value_type=int, on_changelog_event=heard)

        recent.on_recover(env.work)

        async def keeping(stream: Any) -> None:
            async for event in stream.events():
                env.begin(event)
                key, seq = event.value["key"], event.value["seq"]
                recent[f"{key}/{seq}"] = seq
                await env.work()
                recent.pop(f"{key}/{seq - self.KEPT}", None)
                last[key] = seq
                await sink.send(key=key, value=event.value)
                env.end(event)

        app.agent(source, name="keeping")(keeping)
        return app


class Everywhere(Scenario):
    """A global table: each worker must come to have all of it."""

    name = "everywhere"
    tables = ("count", "seen")

    def expected(self, truth: Truth) -> dict[str, dict[str, Any]]:
        """Return how many events each key has."""
        return {"count": truth.counts(), "seen": truth.last()}

    def make_app(self, env: WorkerEnvironment) -> App:
        """Return the app of one worker."""
        app, source, sink = self.new_app(env)
        count = app.GlobalTable(
            "count", default=int, key_type=str, value_type=int, partitions=self.partitions
        )
        seen = app.Table("seen", key_type=str, value_type=int, partitions=self.partitions)

        async def counting(stream: Any) -> None:
            async for event in stream.events():
                env.begin(event)
                value = event.value
                count[value["key"]] += 1
                await env.work()
                seen[value["key"]] = value["seq"]
                await sink.send(key=value["key"], value=value)
                env.end(event)

        app.agent(source, name="counting")(counting)
        return app

    def waiting(self, harness: Harness) -> dict[str, str]:
        """Return the workers that do not have what the others hold together."""
        whole, _ = harness.table("count")
        found: dict[str, str] = {}
        for worker in harness.workers:
            if worker.live_app is not None:
                table: Any = worker.live_app.tables["count"]
                view = dict(table.items())
                if view != whole:
                    found[f"the view of {worker.name}"] = f"has {len(view)} keys of {len(whole)}"
        return found
