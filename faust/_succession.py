"""How one iteration succeeds another: in an asyncio task, and over a feed.

A stream *takes over* the asyncio task that iterates over it: from then on it is the one that what
runs in it finds as current, until its iteration ends.  A loop may be left in the middle of a batch
(``break``): the event it was inside of is handled, and what it has not handed out is for the stream
that reads the same feed next.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from faust._failing import Failing
from faust._inprogress import InProgress, _current, reset_current

if TYPE_CHECKING:
    from faust._feeds import Feed

__all__ = ["Succession"]


class Succession(Failing):
    """The part of `faust.Stream` that takes over from another, and hands back what it leaves.

    Attributes:
        asyncio_task: The asyncio task that iterates over it.
    """

    abstract = False

    def __init__(self, channel: Any, **options: Any) -> None:
        super().__init__(channel, **options)
        self.asyncio_task: asyncio.Task[Any] | None = None
        #: The token of the iteration that goes on, if one does.
        self._iteration: Any = None

    # -- in an asyncio task ----------------------------------------------------------

    def take_over(self) -> Any:
        """Become the current stream of this asyncio task; note if another was it already."""
        token = _current.set(self)
        self.asyncio_task = asyncio.current_task()
        self._iteration = token
        outer = token.old_value
        if isinstance(outer, InProgress) and outer is not self:
            self.nested = outer.nested = True
        return token

    def end_iteration(self, token: Any) -> None:
        """Be the current stream of this asyncio task no more (see `take_over`)."""
        if self._iteration is token:
            self._iteration = None
        if _current.get() is self:
            reset_current(token)
        stopped = getattr(self.channel, "on_stop_iteration", None)
        if stopped is not None:
            stopped()

    # -- over a feed -----------------------------------------------------------------

    def open_feed(self) -> Feed | None:
        """Return what it reads from, subscribing if need be; ``None`` where that is no topic."""
        if self._feed is None and getattr(self.channel, "is_topic", False):
            self._feed = self.app.subscribe(self.channel, self.reader)
            self._withheld = self._feed.withheld
        if self._feed is not None:
            self._ack_unfinished()
        return self._feed

    def _ack_unfinished(self) -> None:
        """A loop that was left by ``break`` has handled its event."""
        if self.inside and not self.replay:
            self.finished()

    async def _succeed(self, feed: Feed) -> None:
        """Go on where another stream over this feed was left in the middle of a batch."""
        left, feed.holder = feed.holder, self
        if left is None or left is self or left.agent is not None:
            return
        for _ in range(3):  # a generator that was left is closed in one of the loop's next turns
            if left.is_left:
                left.hand_back(feed)
                return
            await asyncio.sleep(0)

    def hand_back(self, feed: Feed) -> None:
        """This stream was left: what it has not handed out is for who reads next."""
        self._ack_unfinished()
        if self._batch is not None and self.cursor is not None:
            feed.queue.appendleft((self.cursor, self._batch))
            self._batch = self._records = None

    @property
    def is_left(self) -> bool:
        """Was its loop left in the middle of an event, with no agent that would finish it?"""
        return self.agent is None and self._iteration is None
