"""What the main loop does about a rebalance."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, NamedTuple

from faust._machines.copartition import TaskId

if TYPE_CHECKING:
    from faust.assignor.partition_assignor import Assignment

__all__ = ["Callbacks"]


class Callbacks(NamedTuple):
    """What the main loop does about a rebalance: coroutine functions there.

    ``begun`` and ``planned`` (seconds that the leader's plan took, error) are functions there;
    ``disown`` alone is called on the I/O loop: it says that nothing of some tasks counts any more.
    """

    revoke: Callable[[frozenset[TaskId], str], Coroutine[Any, Any, None]]
    assign: Callable[[frozenset[TaskId], Assignment, int], Coroutine[Any, Any, None]]
    lost: Callable[[str], Coroutine[Any, Any, None]]
    crash: Callable[[BaseException], Coroutine[Any, Any, None]]
    disown: Callable[[frozenset[TaskId]], None]
    begun: Callable[[], None]
    planned: Callable[[float, BaseException | None], None]
