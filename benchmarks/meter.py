"""One way to measure every contender: what its consumer group has committed, and when.

A committed offset is the one number that every stream processor publishes and that promises
something: those records are done.  A figure is taken between two *changes* of the group's offsets,
so that the length of a commit interval does not enter it; at 250 ms and 20 s the error left is
about one per cent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

POLL_SECONDS = 0.05


@dataclass
class Meter:
    """Turns observations (when, how many are committed) into records per second.

    Warm-up ends after ``warm_up`` records, or ``warm_up_seconds`` after the first commit: a slow
    contender must not need an hour for a million.
    """

    warm_up: int
    seconds: float
    warm_up_seconds: float = 30.0
    _first_commit: float | None = None
    _began: tuple[float, int] | None = None
    _last: tuple[float, int] = field(default=(0.0, 0))

    def observe(self, now: float, committed: int) -> bool:
        """Take an observation; tell whether the figure is complete."""
        if committed == self._last[1]:
            return False
        self._last = (now, committed)
        if self._first_commit is None:
            self._first_commit = now
        warm = committed >= self.warm_up or now - self._first_commit >= self.warm_up_seconds
        if self._began is None:
            self._began = self._last if warm else None
            return False
        return now - self._began[0] >= self.seconds

    @property
    def covered_seconds(self) -> float:
        """How long the figure's own stretch is so far."""
        return self._last[0] - self._began[0] if self._began else 0.0

    @property
    def rate(self) -> float:
        """Records per second between the end of the warm-up and the last change; 0 if none."""
        if self._began is None or not self.covered_seconds:
            return 0.0
        return (self._last[1] - self._began[1]) / self.covered_seconds


class GroupOffsets:
    """Asks a broker for the sum of a group's committed offsets on one topic."""

    def __init__(self, bootstrap: str, group: str, topic: str) -> None:
        self._admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        self._group, self._topic = group, topic

    async def __aenter__(self) -> GroupOffsets:
        await self._admin.start()
        return self

    async def __aexit__(self, *exc_info: Any) -> None:
        await self._admin.close()

    async def committed(self) -> int:
        """Return the sum over all partitions; 0 while the group is unknown."""
        try:
            offsets = await self._admin.list_consumer_group_offsets(self._group)
        except KafkaError:
            return 0
        ours = (meta.offset for tp, meta in offsets.items() if tp.topic == self._topic)
        return sum(offset for offset in ours if offset > 0)


async def watch(
    offsets: GroupOffsets, meter: Meter, *, end: int, alive: Callable[[], bool], limit: float
) -> None:
    """Feed ``meter`` until its figure is complete or ``end`` records are committed.

    Raises:
        RuntimeError: the contender ended, or was not finished after ``limit`` seconds.
    """
    deadline = time.monotonic() + limit
    while True:
        committed = await offsets.committed()
        if meter.observe(time.monotonic(), committed) or committed >= end:
            return
        if not alive():
            raise RuntimeError("the contender ended by itself")
        if time.monotonic() > deadline:
            raise RuntimeError(f"only {committed:,} of {end:,} records after {limit:.0f} s")
        await asyncio.sleep(POLL_SECONDS)
