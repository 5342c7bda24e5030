"""Waiting for replies: promises, and who reads the reply topic."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from faust.exceptions import FaustError

__all__ = ["AgentError", "ReplyPromise", "ReplyTable"]

logger = logging.getLogger(__name__)


class AgentError(FaustError):
    """The agent that was asked raised.

    Attributes:
        kind: Name of its exception's type.
    """

    def __init__(self, kind: str, message: str) -> None:
        self.kind = kind
        super().__init__(f"{kind}: {message}")


class ReplyPromise(asyncio.Future[Any]):
    """The future of one reply.

    Attributes:
        reply_to: Name of the reply topic.
        correlation_id: Id of the request.
    """

    def __init__(self, reply_to: str, correlation_id: str = "", **options: Any) -> None:
        super().__init__(**options)
        self.reply_to = reply_to
        self.correlation_id = correlation_id

    def fulfill(self, correlation_id: str, value: Any) -> None:
        """The reply is here; a second one changes nothing."""
        if correlation_id == self.correlation_id and not self.done():
            self.set_result(value)


def _fulfill(promise: ReplyPromise, value: Any, error: Any) -> None:
    if promise.done():
        return
    if error:
        promise.set_exception(AgentError(str(error[0]), str(error[1])))
    else:
        promise.fulfill(promise.correlation_id, value)


class ReplyTable:
    """The promises that wait, by correlation id."""

    def __init__(self) -> None:
        self._waiting: dict[str, ReplyPromise] = {}

    def add(self, promise: ReplyPromise) -> None:
        """Wait for a reply; the entry goes away with the promise."""
        self._waiting[promise.correlation_id] = promise
        promise.add_done_callback(self._forget)

    def _forget(self, promise: asyncio.Future[Any]) -> None:
        assert isinstance(promise, ReplyPromise)
        self._waiting.pop(promise.correlation_id, None)

    def fulfill(self, correlation_id: str, value: Any, error: Any = None) -> None:
        """A reply has come; one that nobody waits for (any more) is ignored."""
        promise = self._waiting.get(correlation_id)
        if promise is None or promise.done():
            logger.debug("A reply that nobody waits for: %s", correlation_id)
            return
        loop = promise.get_loop()
        if loop is asyncio._get_running_loop():
            _fulfill(promise, value, error)
        elif not loop.is_closed():  # asked in another thread
            loop.call_soon_threadsafe(_fulfill, promise, value, error)

    def __len__(self) -> int:
        return len(self._waiting)
