"""The topics that this worker reads: by name or pattern, and how many partitions they have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from faust.transport.base import Transport

__all__ = ["Subscribed", "Subscription"]


class Subscription(NamedTuple):
    """What this worker reads: names, and a function for its patterns."""

    topics: frozenset[str]
    patterns: bool
    matching: Callable[[Any], set[str]]


class Subscribed:
    """Topics as the broker knows them.

    Arguments:
        transport: The way to the broker.
        subscription: Returns what this worker reads now.
        cap: Takes partitions away that must not be processed.
    """

    def __init__(
        self,
        transport: Transport,
        subscription: Callable[[], Subscription],
        cap: Callable[[Mapping[str, int]], dict[str, int]],
    ) -> None:
        self._transport = transport
        self._subscription = subscription
        self._cap = cap
        self._seen: dict[str, int] = {}

    async def topics(self) -> frozenset[str]:
        """Return the topics that are read, those that match a pattern now included.

        Their numbers of partitions are remembered for `changed`.
        """
        names = await self._names()
        self._seen = await self.counts(names)
        return names

    async def _names(self) -> frozenset[str]:
        subscription = self._subscription()
        if not subscription.patterns:
            return subscription.topics
        found = await self._transport.topics(None)
        names = [name for name, info in found.items() if not info.internal]
        return subscription.topics | subscription.matching(names)

    async def counts(self, names: frozenset[str]) -> dict[str, int]:
        """Return how many partitions these topics have that may be processed."""
        infos = await self._transport.topics(names)
        return dict(self._cap({name: info.partitions for name, info in infos.items()}))

    async def changed(self) -> list[str]:
        """Return the topics that came, went or grew since they were last looked at."""
        before = self._seen
        await self.topics()
        now = self._seen
        return sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
