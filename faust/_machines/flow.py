"""Which partitions to pause: each for its own backlog, and the largest ones when all are too much.

Two rules, each with hysteresis:

* *Of its own*: a partition is paused when ``high_bytes`` wait in it, and goes on at ``low_bytes``.
* *The budget*: while more than ``total_bytes`` wait in all, partitions with more than their *share*
  (the budget divided by the partitions there are) are paused, those with the most bytes first.
  Such a one goes on when all have come down to the budget's low-water mark (in the same ratio as
  the partition's own), or it has come down to that of its share.

Whoever is below its share is never paused for the budget, so a slow agent that has filled it does
not slow down the others; and as the shares add up to the budget, all together never hold more than
twice the budget and one batch for each partition.

*Nothing can be stuck*: a partition in which nothing waits is never paused.  So whoever has used up
what it had gets more, whatever the others do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from faust._values import TP

__all__ = ["Changes", "Flow", "FlowPolicy"]


class Changes(NamedTuple):
    """What to tell the fetcher.

    Attributes:
        pause: Fetch these no more for now, those with the most bytes first.
        resume: Go on with these.
    """

    pause: tuple[TP, ...] = ()
    resume: tuple[TP, ...] = ()


NOTHING = Changes()


@dataclass(frozen=True)
class FlowPolicy:
    """How much may wait, in bytes as they came from the log.

    Attributes:
        high_bytes: A partition with so much is paused.
        low_bytes: At so much it goes on; not above ``high_bytes``.
        total_bytes: What may wait in all partitions before the largest are paused.

    Raises:
        ValueError: the marks are not in order; the message names them.
    """

    high_bytes: int = 4 << 20
    low_bytes: int = 1 << 20
    total_bytes: int = 64 << 20

    def __post_init__(self) -> None:
        if not 0 <= self.low_bytes <= self.high_bytes or self.high_bytes < 1:
            raise ValueError(
                f"need 0 <= low_bytes <= high_bytes and 1 <= high_bytes, "
                f"not {self.low_bytes} and {self.high_bytes}"
            )
        if self.total_bytes < 1:
            raise ValueError(f"total_bytes must be 1 or more, not {self.total_bytes}")


class Flow:
    """What waits in each partition, and which are paused.

    Attributes:
        policy: The marks.
        total: Bytes that wait in all partitions.
    """

    __slots__ = ("_full", "_levels", "_over", "policy", "total")

    def __init__(self, policy: FlowPolicy | None = None) -> None:
        self.policy = policy or FlowPolicy()
        self.total = 0
        self._levels: dict[TP, int] = {}
        #: Paused of their own.
        self._full: set[TP] = set()
        #: Paused for the budget; no partition is in both, and none in which nothing waits.
        self._over: set[TP] = set()

    def added(self, tp: TP, n_bytes: int) -> Changes:
        """So much more waits in a partition."""
        level = self._levels[tp] = self._levels.get(tp, 0) + n_bytes
        self.total += n_bytes
        pause: tuple[TP, ...] = ()
        if level >= self.policy.high_bytes and tp not in self._full:
            if tp not in self._over:
                pause = (tp,)
            self._over.discard(tp)
            self._full.add(tp)
        if self.total > self.policy.total_bytes:
            pause += self._pause_largest()
        return Changes(pause) if pause else NOTHING

    def released(self, tp: TP, n_bytes: int) -> Changes:
        """So much of what waited in a partition is used up (or never will be)."""
        before = self._levels.get(tp)
        if before is None:  # it was dropped with what was in it
            return NOTHING
        after = self._levels[tp] = max(0, before - n_bytes)
        self.total -= before - after
        resume = self._relieve(tp, after)
        return Changes(resume=resume) if resume else NOTHING

    def dropped(self, tp: TP) -> Changes:
        """A partition is not read any more: what waited in it is gone.

        If it was paused it is resumed, so that it does not start paused when it comes back.
        """
        self.total -= self._levels.pop(tp, 0)
        resume = self._forget(tp) + self._relieve_budget()
        return Changes(resume=resume) if resume else NOTHING

    @property
    def paused(self) -> frozenset[TP]:
        """The partitions that are paused now."""
        return frozenset(self._full | self._over)

    def level(self, tp: TP) -> int:
        """Return how many bytes wait in a partition."""
        return self._levels.get(tp, 0)

    # -- the two rules -----------------------------------------------------------------

    def _share(self) -> int:
        return self.policy.total_bytes // len(self._levels)

    def _pause_largest(self) -> tuple[TP, ...]:
        share, levels = self._share(), self._levels
        above = [tp for tp, level in levels.items() if level > share]
        found = [tp for tp in above if tp not in self._full and tp not in self._over]
        self._over.update(found)
        return tuple(sorted(found, key=lambda tp: (-levels[tp], tp)))

    def _relieve(self, tp: TP, level: int) -> tuple[TP, ...]:
        if tp in self._full and level <= self.policy.low_bytes:
            self._full.discard(tp)
            self._over.add(tp)  # now it waits for the budget only, if for anything
        resume = self._forget(tp) if tp in self._over and self._may_go_on(level) else ()
        return resume + self._relieve_budget()

    def _may_go_on(self, level: int) -> bool:
        """May a partition that is paused for the budget go on at this level?"""
        policy = self.policy
        if level <= policy.low_bytes and self.total <= policy.total_bytes:
            return True
        return level <= self._low(self._share())  # as is one in which nothing waits

    def _relieve_budget(self) -> tuple[TP, ...]:
        if not self._over or self.total > self._low(self.policy.total_bytes):
            return ()
        resume = tuple(sorted(self._over))
        self._over.clear()
        return resume

    def _low(self, high: int) -> int:
        return high * self.policy.low_bytes // self.policy.high_bytes

    def _forget(self, tp: TP) -> tuple[TP, ...]:
        if tp in self._full or tp in self._over:
            self._full.discard(tp)
            self._over.discard(tp)
            return (tp,)
        return ()

    def __repr__(self) -> str:
        return (
            f"<Flow {self.total} bytes in {len(self._levels)} partitions, "
            f"paused: {len(self._full)} full, {len(self._over)} over budget>"
        )
