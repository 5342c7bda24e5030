"""Which offsets are finished, where events finish in any order: the next offset to commit.

Offsets are handed out in order, with gaps where the log has gaps (compaction, transaction markers),
and finished in any order.  What may be committed is the lowest offset that is still outstanding;
where nothing is, all that was handed out or skipped is finished.

Only the outstanding offsets are kept, linked in the order in which they were handed out: each step
costs the same whether ten or a million are outstanding, and one event that takes an hour does not
make those behind it pile up here.  (A plain ``dict`` keeps order too, but finding its first entry
walks over all that were deleted before it.)
"""

from __future__ import annotations

from collections import OrderedDict, deque

__all__ = ["Acks"]


class Acks:
    """What one reader of one partition has in its hands.

    Arguments:
        position: Next offset that it will be handed; everything below is finished.
        releases: Remember what is finished until `take_released` asks for it.
    """

    __slots__ = ("_next", "_order", "_outstanding")

    def __init__(self, position: int, *, releases: bool = False) -> None:
        self._next = position
        self._outstanding: OrderedDict[int, None] = OrderedDict()
        self._order: deque[int] | None = deque() if releases else None

    def handed(self, offset: int) -> None:
        """Note that the event at ``offset`` was handed out.

        Raises:
            ValueError: it, or one after it, was handed out or skipped before; nothing changes.
        """
        if offset < self._next:
            raise ValueError(f"offset {offset} was handed out after {self._next - 1}")
        self._outstanding[offset] = None
        self._next = offset + 1
        if self._order is not None:
            self._order.append(offset)

    def expects(self, offset: int) -> bool:
        """Is the event at ``offset`` yet to be handed out?"""
        return offset >= self._next

    def is_outstanding(self, offset: int) -> bool:
        """Was the event at ``offset`` handed out, and is not finished?"""
        return offset in self._outstanding

    def done(self, offset: int) -> bool:
        """Note that the event at ``offset`` is finished; ``False`` if it was not outstanding."""
        try:
            del self._outstanding[offset]
        except KeyError:
            return False
        return True

    def skip_to(self, next_offset: int) -> None:
        """What lies below ``next_offset`` and was not handed out does not exist.

        A lower offset than the one that is next anyway changes nothing.
        """
        if next_offset > self._next:
            self._next = next_offset

    @property
    def position(self) -> int:
        """Next offset to commit: everything below is finished, or does not exist."""
        return next(iter(self._outstanding), self._next)

    @property
    def next_offset(self) -> int:
        """Next offset that will be handed out, if it exists."""
        return self._next

    @property
    def outstanding(self) -> int:
        """How many events were handed out and are not finished."""
        return len(self._outstanding)

    @property
    def oldest(self) -> int | None:
        """The lowest offset that is outstanding."""
        return next(iter(self._outstanding), None)

    def take_released(self) -> list[int]:
        """Return the offsets that came to lie below `position` since the last call, in order.

        Effects are released in this order: an event's count once all before it have counted.

        Raises:
            RuntimeError: this one was made without ``releases``.
        """
        order = self._order
        if order is None:
            raise RuntimeError("Acks(..., releases=True) remembers what is released; this does not")
        position = self.position
        released: list[int] = []
        while order and order[0] < position:
            released.append(order.popleft())
        return released

    def __repr__(self) -> str:
        return f"<Acks position={self.position} outstanding={self.outstanding} next={self._next}>"
