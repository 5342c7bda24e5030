"""Waiting for replies: promises, how long they wait, and what ends them.

A promise ends in one of four ways: the answer (`fulfill`), the exception of the agent that was
asked (`AgentError`), the time that it was given (`AskTimeout`), or the reader of replies that can
read no more.  None of them leaves anything behind.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from faust.exceptions import FaustError

__all__ = ["AgentError", "AskTimeout", "ReplyPromise", "ReplyTable"]

logger = logging.getLogger(__name__)


class AgentError(FaustError):
    """The agent that was asked raised.

    Attributes:
        kind: Name of its exception's type.
        message: Text of its exception.
        traceback: Its traceback as text, "" if the worker sent none.
        agent: Name of the agent, "" where that is not known.
    """

    def __init__(self, kind: str, message: str, traceback: str = "", agent: str = "") -> None:
        self.kind, self.message = kind, message
        self.traceback, self.agent = traceback, agent
        super().__init__(kind, message, traceback, agent)
        if traceback:
            self.add_note(f"In the worker of agent {agent or '(unknown)'}:\n{traceback}")

    def __str__(self) -> str:
        who = f"agent {self.agent!r} raised " if self.agent else ""
        return f"{who}{self.kind}: {self.message}"


class AskTimeout(FaustError, TimeoutError):
    """No answer came in time.

    Attributes:
        agent: Name of the agent that was asked.
        topic: Where the request was sent to.
        seconds: How long the answer was waited for.
    """

    def __init__(self, agent: str, topic: str, seconds: float) -> None:
        self.agent, self.topic, self.seconds = agent, topic, seconds
        super().__init__(agent, topic, seconds)

    def __str__(self) -> str:
        return (
            f"agent {self.agent!r} has not answered within {self.seconds:g} seconds (asked through "
            f"topic {self.topic!r}): no worker runs it, it is behind, or it has not yielded for "
            f"this event"
        )


class ReplyPromise(asyncio.Future[Any]):
    """The future of one reply.

    Attributes:
        reply_to: Name of the reply topic.
        correlation_id: Id of the request.
        agent: Name of the agent that is asked.
        topic: Where the request goes to.
    """

    def __init__(self, reply_to: str, correlation_id: str = "", **options: Any) -> None:
        super().__init__(**options)
        self.reply_to = reply_to
        self.correlation_id = correlation_id
        self.agent = self.topic = ""

    def fulfill(self, correlation_id: str, value: Any) -> None:
        """The reply is here; a second one changes nothing."""
        if correlation_id == self.correlation_id and not self.done():
            self.set_result(value)

    def wait_at_most(self, seconds: float) -> None:
        """End with `AskTimeout` if there is no reply by then."""
        timer = self.get_loop().call_later(seconds, self._expire, seconds)
        self.add_done_callback(lambda _promise: timer.cancel())

    def timed_out(self, seconds: float) -> AskTimeout:
        """Return what says that it was waited for so long in vain."""
        return AskTimeout(self.agent, self.topic, seconds)

    def _expire(self, seconds: float) -> None:
        if not self.done():
            self.set_exception(self.timed_out(seconds))


class ReplyTable:
    """The promises that wait, by correlation id.

    Each is ended in the event loop that waits for it, which may be another thread's.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, ReplyPromise] = {}
        #: Replies that nobody waited for (any more): too late, or the second of two.
        self.ignored = 0

    def add(self, promise: ReplyPromise) -> None:
        """Wait for a reply; the entry goes away with the promise."""
        self._waiting[promise.correlation_id] = promise
        promise.add_done_callback(self._forget)

    def _forget(self, promise: asyncio.Future[Any]) -> None:
        assert isinstance(promise, ReplyPromise)
        if self._waiting.get(promise.correlation_id) is promise:
            del self._waiting[promise.correlation_id]

    def fulfill(self, correlation_id: str, value: Any, error: Any = None) -> None:
        """A reply has come; one that nobody waits for (any more) is ignored."""
        promise = self._waiting.get(correlation_id)
        if promise is None or promise.done():
            self.ignored += 1
            logger.debug("A reply that nobody waits for: %s", correlation_id)
        else:
            _at_home(promise, value, _raised(promise, error) if error else None)

    def fail(self, topic: str, error: BaseException) -> None:
        """No more replies can be read from this topic: who waits for one is told why."""
        for promise in [each for each in self._waiting.values() if each.reply_to == topic]:
            _at_home(promise, None, error)

    def __len__(self) -> int:
        return len(self._waiting)


def _raised(promise: ReplyPromise, error: Any) -> AgentError:
    kind, message, *more = [str(each) for each in error]
    return AgentError(kind, message, more[0] if more else "", promise.agent)


def _at_home(promise: ReplyPromise, value: Any, error: BaseException | None) -> None:
    """End a promise in the event loop that it belongs to."""
    loop = promise.get_loop()
    if loop is asyncio._get_running_loop():
        _end(promise, value, error)
    elif not loop.is_closed():  # asked in another thread
        loop.call_soon_threadsafe(_end, promise, value, error)


def _end(promise: ReplyPromise, value: Any, error: BaseException | None) -> None:
    if promise.done():
        return
    if error is not None:
        promise.set_exception(error)
    else:
        promise.fulfill(promise.correlation_id, value)
