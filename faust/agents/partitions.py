"""What an agent is told of the partitions that come to this worker and go: to override."""

from __future__ import annotations

from faust._values import TP

__all__ = ["PartitionHooks"]


class PartitionHooks:
    """Called by the host; each method may be overridden by a subclass of `Agent`."""

    isolated_partitions: bool

    async def on_partitions_assigned(self, assigned: set[TP]) -> None:
        """Called with partitions of its topics that came to this worker, before their events."""
        if self.isolated_partitions:
            await self.on_isolated_partitions_assigned(assigned)
        else:
            await self.on_shared_partitions_assigned(assigned)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Called with partitions of its topics that are about to go."""
        if self.isolated_partitions:
            await self.on_isolated_partitions_revoked(revoked)
        else:
            await self.on_shared_partitions_revoked(revoked)

    async def on_isolated_partitions_assigned(self, assigned: set[TP]) -> None:
        """The same, for an agent with ``isolated_partitions``; its instances come by themselves."""

    async def on_isolated_partitions_revoked(self, revoked: set[TP]) -> None:
        """The same, for an agent with ``isolated_partitions``."""

    async def on_shared_partitions_assigned(self, assigned: set[TP]) -> None:
        """The same, for an agent without ``isolated_partitions``."""

    async def on_shared_partitions_revoked(self, revoked: set[TP]) -> None:
        """The same, for an agent without ``isolated_partitions``."""
