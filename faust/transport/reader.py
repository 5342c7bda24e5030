"""The port's reading side: record batches of many partitions, from positions the caller keeps.

Part of the contract of a driver; the rules for all of it stand in `faust.transport.base`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from faust._values import TP
from faust.exceptions import BrokerError
from faust.transport.records import Batch

__all__ = ["Fetched", "Reader", "ReaderOptions"]


@dataclass(frozen=True, kw_only=True)
class ReaderOptions:
    """How a `Reader` fetches.

    Attributes:
        read_committed: Leave out records of aborted transactions, and stop at the first open one.
        max_partition_bytes: Most bytes of one partition in one answer (one batch always fits).
        max_bytes: Most bytes in one answer.
        check_crcs: Verify each batch's CRC.
        auto_create: An embedded broker makes a topic that it does not know when it is first fetched
            from.  Otherwise that is `UnknownTopic`, as on a broker that is none of ours.
    """

    read_committed: bool = True
    max_partition_bytes: int = 1 << 20
    max_bytes: int = 16 << 20
    check_crcs: bool = True
    auto_create: bool = True


class Fetched(NamedTuple):
    """One answer of `Reader.fetch`.

    Attributes:
        batches: Data batches in log order for each partition.  Control batches and aborted ones are
            already left out; the first batch of a partition may begin below the position.
        positions: For each partition that moved (past data, markers or gaps): where to read next.
            The reader has already moved there.
        ends: For each partition heard of: the offset up to which a reader of this isolation could
            read (the last stable offset, or the high watermark).
        starts: For each partition heard of: its first offset, where the broker says so.
        errors: Partitions that cannot go on as they are: `OffsetOutOfRange` (position lost),
            `UnknownTopic` (deleted), `TopicAuthorizationFailed`, `CorruptRecord`.  The reader has
            paused them until `Reader.assign` gives them a position again.
    """

    batches: list[Batch]
    positions: dict[TP, int]
    ends: dict[TP, int]
    starts: dict[TP, int]
    errors: dict[TP, BrokerError]


class Reader(ABC):
    """Fetches record batches.  Belongs to no group; keeps one position for each partition."""

    @abstractmethod
    def assign(self, positions: Mapping[TP, int]) -> None:
        """Read these partitions from these positions; a partition already read is moved there.

        What had been fetched for it before is dropped.  Other partitions go on as they are.
        """

    @abstractmethod
    def unassign(self, tps: Collection[TP]) -> None:
        """Stop reading these partitions; those not read are ignored."""

    @abstractmethod
    def pause(self, tps: Collection[TP]) -> None:
        """Ask for no more of these partitions until `resume`.

        `fetch` never answers with a paused partition; nothing of it is lost or fetched twice for
        good.
        """

    @abstractmethod
    def resume(self, tps: Collection[TP]) -> None:
        """Go on with paused partitions."""

    @abstractmethod
    def positions(self) -> dict[TP, int]:
        """Return where each assigned partition will be read next."""

    @abstractmethod
    async def fetch(self, max_wait: float) -> Fetched:
        """Return what there is; wait for the first batch at most ``max_wait`` seconds.

        An answer without batches is no error.  A change by `assign`, `pause` or `resume` made
        while a call waits takes effect within it or ends it early.  No partition starves another.

        Raises:
            BrokerUnavailable: no leader of any partition answers; positions are unchanged.
        """

    def unheard_since(self) -> float | None:
        """Return since when no broker has answered, although one was asked (monotonic).

        ``None`` where the last answer of `fetch` was a broker's: the default, for drivers whose
        `fetch` raises as soon as there is no answer.
        """
        return None

    @abstractmethod
    async def close(self) -> None:
        """Stop; a `fetch` that waits returns empty."""
