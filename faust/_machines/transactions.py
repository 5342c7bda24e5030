"""What a broker's transaction coordinator decides: epochs, partitions, commit or abort, time-outs.

Theory.  One `TransactionalId` per transactional id.  `TransactionalId.initialize` gives a producer
its epoch; each later producer of the same id gets the next one, which fences the earlier (KIP-98).
While a transaction is open the id collects the partitions it wrote to and the offsets it wants
committed; `TransactionalId.end` hands them back: the driver writes the markers and the offsets, in
one step of its own.  An open transaction that is older than its time-out is ended by the broker,
with a new epoch, so that its producer hears of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from faust._values import TP
from faust.exceptions import ProducerFenced, TransactionAborted

__all__ = ["Ended", "TransactionalId"]


class Ended(NamedTuple):
    """What has to be done to end a transaction.

    Attributes:
        producer_id, epoch: What the markers carry.
        partitions: Where to write markers.
        offsets: Group id -> partition -> (offset, metadata); commit them, unless aborted.
    """

    producer_id: int
    epoch: int
    partitions: list[TP]
    offsets: dict[str, dict[TP, tuple[int, str]]]


@dataclass(kw_only=True)
class TransactionalId:
    """One transactional id, as its coordinator knows it.

    Attributes:
        name: The id.
        producer_id: Its producer id, the same for all its producers.
        epoch: Of the newest producer; -1 before the first.
        timeout: Seconds after which an open transaction is ended by the broker.
        since: When the open transaction began, or ``None``.
        timed_out: The epoch whose transaction the broker ended, or -1.
        renewed: The epoch whose producer was given this one, or -1.
        partitions: Partitions of the open transaction, in the order they were added.
        offsets: Group id -> partition -> (offset, metadata), to be committed with it.
    """

    name: str
    producer_id: int
    epoch: int = -1
    timeout: float = 60.0
    since: float | None = None
    timed_out: int = -1
    renewed: int = -1
    partitions: list[TP] = field(default_factory=list)
    offsets: dict[str, dict[TP, tuple[int, str]]] = field(default_factory=dict)

    def initialize(self, timeout: float) -> Ended | None:
        """Give the id to a new producer; return the transaction its predecessor left open.

        That transaction is to be aborted, with the new epoch in its markers.
        """
        self.epoch += 1
        self.renewed = self.timed_out = -1
        self.timeout = timeout
        return self._take() if self.since is not None else None

    def check(self, epoch: int) -> None:
        """Return if a producer of this epoch may go on.

        Raises:
            TransactionAborted: the broker has ended its transaction (`resume` goes on).
            ProducerFenced: a later producer has the id.
        """
        if epoch == self.epoch:
            return
        if epoch == self.timed_out:
            raise TransactionAborted(
                f"transaction of {self.name!r} was open for more than {self.timeout} s: aborted"
            )
        raise ProducerFenced(f"{self.name!r} is at epoch {self.epoch}, this producer at {epoch}")

    def resume(self, epoch: int) -> int:
        """Return the epoch with which a producer may go on after `TransactionAborted` (KIP-360).

        Raises:
            ProducerFenced: a later producer has the id.
        """
        if epoch == self.timed_out:
            self.timed_out = -1
            return self.epoch
        self.check(epoch)
        return epoch

    def renew(self, epoch: int) -> Ended | None:
        """Give the same producer the next epoch, with which its sequence numbers start again.

        Returns the transaction that is still open, to be aborted.  A producer whose transaction
        the broker has ended may ask, too, and one that has not heard the answer may ask again (as
        in KIP-360).

        Raises:
            ProducerFenced: a later producer has the id.
        """
        if epoch == self.renewed and self.since is None:
            return None
        if epoch != self.timed_out:
            self.check(epoch)
        self.renewed, self.timed_out = epoch, -1
        self.epoch += 1
        return self._take() if self.since is not None else None

    def add_partitions(self, epoch: int, tps: Iterable[TP], now: float) -> None:
        """Take partitions into the transaction (its first begins it).  Raises as `check`."""
        self.check(epoch)
        self._begin(now)
        self.partitions.extend(tp for tp in tps if tp not in self.partitions)

    def add_offsets(
        self, epoch: int, group_id: str, offsets: Mapping[TP, tuple[int, str]], now: float
    ) -> None:
        """Take a group's offsets into the transaction.  Raises as `check`."""
        self.check(epoch)
        self._begin(now)
        self.offsets.setdefault(group_id, {}).update(offsets)

    def end(self, epoch: int) -> Ended:
        """End the transaction; the caller writes markers and offsets.  Raises as `check`."""
        self.check(epoch)
        return self._take()

    def deadline(self) -> float | None:
        """When the open transaction is too old, or ``None``."""
        return None if self.since is None else self.since + self.timeout

    def tick(self, now: float, *, writable_since: float = float("-inf")) -> Ended | None:
        """Return the transaction to be aborted because it is too old (its epoch is over then).

        Only time from ``writable_since`` on counts: before that, whoever asks cannot know that the
        producer could have ended it.
        """
        if self.since is None or now < max(self.since, writable_since) + self.timeout:
            return None
        return self.take_away()

    def take_away(self) -> Ended:
        """End the open transaction without its producer, which will hear that it was aborted."""
        self.timed_out, self.renewed = self.epoch, -1
        self.epoch += 1
        return self._take()

    def holds(self, group_id: str, tp: TP) -> bool:
        """Is an offset of this partition waiting for the end of the transaction?"""
        return tp in self.offsets.get(group_id, ())

    def encode(self) -> dict[str, Any]:
        """Return all of it as plain data for JSON."""
        plain = dict(vars(self))
        plain["partitions"] = [list(tp) for tp in self.partitions]
        plain["offsets"] = [
            [group_id, [[*tp, *commit] for tp, commit in offsets.items()]]
            for group_id, offsets in self.offsets.items()
        ]
        return plain

    @classmethod
    def decode(cls, plain: Mapping[str, Any]) -> TransactionalId:
        """Take back what `encode` gave."""
        partitions = [TP(*tp) for tp in plain["partitions"]]
        offsets = {
            group_id: {TP(topic, number): (at, text) for topic, number, at, text in commits}
            for group_id, commits in plain["offsets"]
        }
        return cls(**{**plain, "partitions": partitions, "offsets": offsets})

    def _begin(self, now: float) -> None:
        if self.since is None:
            self.since = now

    def _take(self) -> Ended:
        ended = Ended(self.producer_id, self.epoch, self.partitions, self.offsets)
        self.since, self.partitions, self.offsets = None, [], {}
        return ended
