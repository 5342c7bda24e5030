"""An app in rebalances: who hears of partitions that come and go, and what is known of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faust._engine.reading import Reading
from faust._values import TP

if TYPE_CHECKING:
    from faust.agents.agent import Agent

__all__ = ["Rebalanced"]


class Rebalanced(Reading):
    """An app that is told what it owns, and tells its tables, topics and agents.

    Attributes:
        rebalancing: Is a rebalance under way?
        rebalancing_count: How often partitions have come.
    """

    abstract = False

    def __init__(self, *, beacon: Any = None, loop: Any = None) -> None:
        super().__init__(beacon=beacon, loop=loop)
        self.rebalancing = False
        self.rebalancing_count = 0
        self._revoked: set[TP] = set()

    @property
    def consumer_generation_id(self) -> int:
        """The group's generation that this worker is in; -1 outside of any."""
        return -1 if self.engine is None else self.engine.generation

    @property
    def in_recovery(self) -> bool:
        """Is anything of what is this worker's still being restored?"""
        return self.engine is not None and not self.engine.caught_up.is_set()

    def on_rebalance_start(self) -> None:
        """A rebalance has begun."""
        self.rebalancing = True
        self.tables.on_rebalance_start()

    def on_rebalance_return(self) -> None:
        """It is known what this worker has."""
        self.rebalancing = False

    def on_rebalance_end(self) -> None:
        """All of it is being processed."""
        self.tables.on_actives_ready()

    def on_standbys_ready(self) -> None:
        """The copies that are kept here have come to what was committed."""
        self.tables.on_standbys_ready()

    async def on_assigned(self, assigned: set[TP]) -> None:
        """Partitions came (they are being restored)."""
        self.rebalancing_count += 1
        everything = assigned if self.engine is None else self.engine.assigned_partitions()
        revoked, self._revoked = self._revoked, set()
        await self.topics.on_partitions_assigned(assigned)
        await self.tables.on_rebalance(everything, revoked, assigned, self.consumer_generation_id)
        for agent, tps in self._by_agent(assigned):
            await agent.on_partitions_assigned(tps)

    async def on_revoked(self, revoked: set[TP]) -> None:
        """Partitions are about to go."""
        self._revoked |= revoked
        self.tables.on_partitions_revoked(revoked)
        for agent, tps in self._by_agent(revoked):
            await agent.on_partitions_revoked(tps)

    def _by_agent(self, tps: set[TP]) -> list[tuple[Agent, set[TP]]]:
        """Return which of these partitions each agent reads, for those that read any."""
        readers = {topic: self.topics.readers_of(topic) for topic in {tp.topic for tp in tps}}
        found = (
            (agent, {tp for tp in tps if agent.name in readers[tp.topic]})
            for agent in list(self.agents.values())
        )
        return [(agent, own) for agent, own in found if own]

    def on_task_started(self, task: Any) -> None:
        """A task is being processed."""
