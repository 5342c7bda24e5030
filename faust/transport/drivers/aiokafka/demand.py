"""What a reader asks for next: which partitions want more, at which node.

Decisions only: no socket, no clock.

A partition wants more as long as less than ``max_partition_bytes`` of it lie here unread and no
request for it is under way; nobody wants more while of all together about twice ``max_bytes`` lie
here.  What lies here of paused partitions does not count for that, so that those that go on are
never held up by it; where it is too much, it is dropped, and asked for again when they are resumed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from faust._values import TP
from faust.transport.drivers.aiokafka.partitions import Partition
from faust.transport.reader import ReaderOptions

__all__ = ["Demand", "demand_of"]


class Demand(NamedTuple):
    """What is wanted now.

    Attributes:
        by_node: Node -> the partitions it leads that want more.
        leaderless: Partitions that want more, and nobody is known to lead them.
        drop_paused: Too much lies here of paused partitions: it should be dropped.
    """

    by_node: dict[int, list[Partition]]
    leaderless: list[TP]
    drop_paused: bool


def demand_of(
    parts: Iterable[Partition],
    options: ReaderOptions,
    leader_of: Callable[[Partition], int | None],
) -> Demand:
    """Return what these partitions want; ``leader_of`` gives a partition's node, if it is known."""
    by_node: dict[int, list[Partition]] = {}
    leaderless: list[TP] = []
    unread = kept = 0
    for part in parts:
        if part.paused:
            kept += part.unread_bytes
            continue
        if part.error is not None:
            continue
        unread += part.unread_bytes
        if part.asking or part.stale or part.unread_bytes >= options.max_partition_bytes:
            continue
        node = leader_of(part)
        if node is None:
            leaderless.append(part.tp)
        else:
            by_node.setdefault(node, []).append(part)
    most = 2 * options.max_bytes
    return Demand(by_node if unread < most else {}, leaderless, drop_paused=kept > most)
