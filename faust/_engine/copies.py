"""The copies of one task: what is wanted, and how far they have come together."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from faust._engine.following import Following
from faust._machines.memberstate import ACCEPTABLE_LAG
from faust._values import TP

if TYPE_CHECKING:
    from faust.tables.base import Collection as Table

__all__ = ["Copies", "Wanted"]


class Wanted(NamedTuple):
    """A task of which a copy is to be kept.

    Attributes:
        sources: Its source partitions: their commits speak of it.
        tables: Its tables.
        warming: It is to be moved here as soon as its copy has caught up.
    """

    sources: tuple[TP, ...]
    tables: tuple[Table, ...]
    warming: bool = False


class Copies:
    """What is kept of one task.

    Arguments:
        wanted: The task.
        copies: One for each table.
        was_ours: It was processed here until now: its copies are up to date.

    Attributes:
        looked: Has it been looked what is committed of it?
    """

    def __init__(self, wanted: Wanted, copies: list[Following], *, was_ours: bool) -> None:
        self.wanted = wanted
        self.copies = copies
        self.was_ours = was_ours
        self.looked = False

    @property
    def settled(self) -> bool:
        """Has all of it come to what was committed, as far as can be?"""
        return self.looked and all(copy.settled for copy in self.copies)

    @property
    def is_warm(self) -> bool:
        """Has all of it come so far that the leader will move the task here?

        What cannot be kept, or followed, is settled and not warm: another round would change
        nothing, and end in the next one.
        """
        lag = self.lag
        return self.settled and lag is not None and lag <= ACCEPTABLE_LAG

    @property
    def lag(self) -> int | None:
        """Offsets behind in all; ``None`` where not all of it is here."""
        lags = [copy.lag for copy in self.copies]
        known = [lag for lag in lags if lag is not None]
        if len(known) == len(lags):
            return sum(known)
        return 0 if self.was_ours and not self.looked else None
