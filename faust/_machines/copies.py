"""Which records of a retry partition count: decided by their order in the log.

A record there is the copy of an event that was put aside.  Two things may leave a copy too many: a
send that is repeated because its answer was lost, and a worker that is suspended while it sends,
and goes on after another has taken over its task, has looked at what is there, and has handled the
event itself.  So whoever begins with a task writes a *mark* with its generation before it looks;
every copy names the generation in which its writer began.  A copy counts unless

* one from the same place came before it, or
* a mark or a copy of a later generation came before it: its writer was replaced by then, and what
  it tried to put aside was handled, or put aside, by who replaced it.

Everybody who reads the log finds the same, because only the order in the log is asked.  A worker
cannot make void what a later one writes, however late its own records come.

Generations are numbers of one group.  If two apps were given one retry topic, each has its own
records there: those of another group are neither handled nor compared, and hide nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["Copies", "generation_to_name", "is_foreign"]

#: So many places, and so many verdicts, are remembered.
REMEMBERED = 10_000


class Copies:
    """What is known of one retry partition.

    Attributes:
        generation: The highest that was seen; -1 before the first.
        end: What lies before this offset is judged.
    """

    __slots__ = ("_first", "_void", "end", "generation")

    def __init__(self) -> None:
        self.generation = -1
        self.end = 0
        #: From where a copy came -> its offset.
        self._first: dict[tuple[str, int], int] = {}
        #: Records that do not count, as an ordered set.
        self._void: dict[int, None] = {}

    def counts(self, offset: int, place: tuple[str, int] | None, generation: int | None) -> bool:
        """Is this record to be handled?  Records are shown in the order of the log; what was judged
        before is judged alike.

        Arguments:
            offset: Its offset.
            place: Where the event was when it was put aside, topic and offset; ``None`` if this is
                no copy (a mark, or something that others have written).
            generation: In which generation the writer began with the task, as the record says;
                ``None`` if it says nothing.
        """
        if offset < self.end:
            return offset not in self._void
        self.end = offset + 1
        if generation is not None:
            if generation < self.generation:
                return self._leave_out(offset)
            self.generation = generation
        if place is None:
            return True if generation is None else self._leave_out(offset)
        if self._first.setdefault(place, offset) != offset:
            return self._leave_out(offset)
        if len(self._first) > REMEMBERED:
            del self._first[next(iter(self._first))]
        return True

    def _leave_out(self, offset: int) -> bool:
        self._void[offset] = None
        if len(self._void) > REMEMBERED:
            del self._void[next(iter(self._void))]
        return False


def is_foreign(group: str | None, own: str) -> bool:
    """Did an app of another group write this?  What names no group is older than that, and ours."""
    return group is not None and group != own


def generation_to_name(found: Iterable[int | None]) -> int | None:
    """Return what a copy is to name, where several readers have looked into its topic.

    One of them may have seen a generation that is higher than ours, and another not.  A copy that
    names none counts in any case, and one that names too low a one is void: so none it is, unless
    all agree.
    """
    distinct = set(found)
    return distinct.pop() if len(distinct) == 1 else None
