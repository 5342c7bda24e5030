"""Where records go: a topic that is sent to, and the partition of a key."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from faust._core.partitioner import partition_for
from faust.exceptions import NotReady

if TYPE_CHECKING:
    from faust._engine.deliveries import Delivery

__all__ = ["OutboxTarget", "Partitioner"]

#: As the setting ``producer_partitioner``: (key, all partitions, those available) -> partition.
Partitioner: TypeAlias = Callable[..., int]

#: Keys whose partition is remembered for each topic.
PLACED_KEYS = 50_000


class OutboxTarget:
    """One topic that is sent to.

    Attributes:
        name: Its name.
        partitions: How many there are; 0 until the broker was asked.
        topic_id: The broker's id of it, "" until known.
    """

    __slots__ = (
        "name",
        "next_partition",
        "open",
        "partitions",
        "placed",
        "topic_id",
        "under_way",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.partitions = 0
        self.topic_id = ""
        #: Key -> partition, of keys seen lately.
        self.placed: dict[bytes, int] = {}
        self.open: dict[int, Delivery] = {}
        self.under_way: dict[int, int] = {}
        self.next_partition = 0

    @property
    def idle(self) -> bool:
        """Is nothing open or under way to it?"""
        return not self.open and not any(self.under_way.values())

    def learn(self, partitions: int, topic_id: str) -> None:
        """Note what the broker has said of it."""
        if partitions != self.partitions:
            self.placed.clear()
        self.partitions, self.topic_id = partitions, topic_id

    # -- where a record goes ---------------------------------------------------------------

    def choose(self, key: bytes | None, partitioner: Partitioner | None) -> int:
        """Return the partition that a record with this key goes to, as things stand.

        Raises:
            NotReady: nobody has asked the broker yet how many there are.
        """
        if not self.partitions:
            raise NotReady(
                f"it is not known yet how many partitions topic {self.name!r} has: send to it "
                f"once with `await topic.send(...)`, or `await topic.declare()`, before"
            )
        if key is None:
            return self.sticky()
        if partitioner is None:
            return partition_for(key, self.partitions)
        return self.ask(partitioner, key)

    def no_such(self, partition: int) -> ValueError:
        """Return the error for a partition that there is not."""
        return ValueError(
            f"topic {self.name!r} has no partition {partition} (it has {self.partitions})"
        )

    def place(self, key: bytes) -> int:
        """Return the partition of a key, and remember it: hashing costs more than all the rest."""
        partition = partition_for(key, self.partitions)
        if len(self.placed) >= PLACED_KEYS:
            self.placed.clear()
        self.placed[key] = partition
        return partition

    def sticky(self) -> int:
        """Records without a key: one batch to one partition, the next to the next (KIP-480)."""
        partition = self.next_partition % self.partitions
        if partition not in self.open:
            self.next_partition = partition = (partition + 1) % self.partitions
        return partition

    def ask(self, partitioner: Partitioner, key: bytes) -> int:
        """Return what a partitioner of the user's own says of a key."""
        everyone = list(range(self.partitions))
        return partitioner(key, everyone, everyone)
