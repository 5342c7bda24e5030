"""One running instance of an agent: runs its function, and decides what an exception means.

An exception loses no event.  The event's writes are undone; under ``crash`` the function is started
again with the same event, after a pause that grows, up to a number of times, and then the worker
stops with one sentence; under ``skip`` the event is counted, logged and left behind.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Protocol

from faust._machines.retry import Attempts, ErrorPolicy, RetryPolicy
from faust.exceptions import (
    AgentFailed,
    DecodeError,
    FaustPredicate,
    KeyDecodeError,
    PartitionRevoked,
    SharedTable,
    StopError,
)

if TYPE_CHECKING:
    from faust._context import AppContext
    from faust.streams import Stream

__all__ = ["Actor"]

logger = logging.getLogger(__name__)


class Owner(Protocol):
    """An agent, as its instances see it."""

    app: AppContext
    name: str
    fun: Callable[..., Any]

    @property
    def error_policy(self) -> ErrorPolicy: ...

    @property
    def retry_policy(self) -> RetryPolicy: ...

    async def on_yield(self, stream: Stream[Any], value: Any) -> None: ...

    async def call_on_error(self, exc: Exception) -> None: ...

    async def answer_error(self, stream: Stream[Any], exc: Exception) -> None: ...

    def count_skipped(self, stream: Stream[Any]) -> None: ...


class Actor:
    """One instance of an agent's function, and its stream.

    Attributes:
        agent: The agent.
        stream: What it iterates over.
        index: Its number, where the agent has several.
        restarts: How often the function was started again.
    """

    def __init__(self, agent: Owner, stream: Stream[Any], index: int | None = None) -> None:
        self.agent = agent
        self.stream = stream
        self.index = index
        self.restarts = 0
        self.ended = False

    @property
    def settled(self) -> bool:
        """Has it come to its first iteration (or to its end)?"""
        stream = self.stream.forwarded_to or self.stream
        return self.ended or stream.started_iteration

    async def run(self) -> None:
        """Run the function until it returns; start it again after exceptions as the policy says.

        Raises:
            AgentFailed: it kept failing; the worker must stop.
        """
        attempts = Attempts(self.agent.retry_policy)
        place: Any = None
        try:
            while True:
                try:
                    await self._run_once()
                    self.current_stream().finished()
                    self._say_returned()
                    return
                except asyncio.CancelledError:
                    raise
                except PartitionRevoked as exc:
                    logger.info("Agent %s: %s", self.agent.name, exc)
                    self.current_stream().failed(redeliver=False)
                except SharedTable as exc:
                    logger.debug("Agent %s: %s", self.agent.name, exc)
                    self.current_stream().failed(redeliver=True)
                except StopError:
                    raise
                except Exception as exc:
                    here = self._place()
                    if here != place:
                        attempts.reset()
                        place = here
                    await self._failed(exc, attempts)
                self.restarts += 1
        finally:
            self.ended = True

    def current_stream(self) -> Stream[Any]:
        """The stream whose event was in progress: the one behind a ``group_by``, where there is."""
        return self.stream.forwarded_to or self.stream

    def _place(self) -> Any:
        stream = self.current_stream()
        cursor, record = stream.cursor, stream.record
        return None if cursor is None or record is None else (cursor.tp, record.offset)

    async def _run_once(self) -> None:
        try:
            result = self.agent.fun(self.stream)
            if hasattr(result, "__aiter__"):
                await self._run_generator(result)
            elif isawaitable(result):
                await result
        except PartitionRevoked as exc:
            stream = self.current_stream()
            if stream.inside and stream.task is not None and stream.task.alive:
                raise RuntimeError(
                    f"the agent's own code has raised PartitionRevoked, although {stream.cursor} "
                    f"is still its own: {exc}"
                ) from exc
            raise

    async def _run_generator(self, results: AsyncIterator[Any]) -> None:
        """For agents that yield: what they yield goes to whoever asked, and to the sinks."""
        try:
            async for value in results:
                await self.agent.on_yield(self.current_stream(), value)
        finally:
            close = getattr(results, "aclose", None)
            if close is not None:
                await close()

    async def _failed(self, exc: Exception, attempts: Attempts) -> None:
        agent, stream = self.agent, self.current_stream()
        where = self._where(stream)
        inside = stream.inside
        policy = agent.error_policy
        if isinstance(exc, KeyDecodeError) and inside and await stream.leaves_out_key(exc):
            stream.failed(redeliver=False)
            return
        if isinstance(exc, DecodeError):
            policy = ErrorPolicy.CRASH  # decode errors that may be skipped never get here
        await agent.call_on_error(exc)
        if policy is ErrorPolicy.SKIP and inside and not isinstance(exc, FaustPredicate):
            logger.error(
                "Agent %s raised%s; the event is skipped (error policy 'skip')",
                agent.name, where, exc_info=exc,
            )  # fmt: skip
            await agent.answer_error(stream, exc)
            stream.failed(redeliver=False)
            agent.count_skipped(stream)
            return
        delay = None if isinstance(exc, DecodeError) else attempts.failed()
        if delay is None and inside and not isinstance(exc, DecodeError):
            await agent.answer_error(stream, exc)
        stream.failed(redeliver=True)
        if delay is None:
            raise self._failure(exc, where, attempts.failures) from exc
        logger.error(
            "Agent %s raised%s; its writes are undone, and the event is tried again in %.1f s "
            "(%d of %d)",
            agent.name, where, delay, attempts.failures, agent.retry_policy.retries, exc_info=exc,
        )  # fmt: skip
        await agent.app.clock.sleep(delay)

    def _say_returned(self) -> None:
        """Its function has returned: what comes now is not handled, and somebody should know."""
        if not self.current_stream().at_end:
            logger.warning(
                "Agent %s has returned: what its channel gets from now on is not handled by this "
                "worker. An agent iterates over its stream for as long as the worker runs",
                self.agent.name,
            )

    def _failure(self, exc: Exception, where: str, failures: int) -> AgentFailed:
        """Return what stops the worker: one sentence that says what to do."""
        name, what = self.agent.name, f"{type(exc).__name__}: {exc}"
        if isinstance(exc, DecodeError):
            return AgentFailed(
                f"agent {name} was given what cannot be decoded{where}: {what}. The event is not "
                f"committed: correct the type or codec and start again, or let such events be left "
                f"out with decode_error_policy='skip'"
            )
        logger.error("Agent %s raised%s", name, where, exc_info=exc)
        return AgentFailed(
            f"agent {name} failed {failures} times{where}: {what}. The event is not committed: fix "
            f"the agent and start again, or let it go on without such events with "
            f"error_policy='skip'"
        )

    @staticmethod
    def _where(stream: Stream[Any]) -> str:
        cursor, record = stream.cursor, stream.record
        if cursor is None or record is None:
            return ""
        return (
            f" at topic {cursor.tp.topic!r} partition {cursor.tp.partition} offset {record.offset} "
            f"key {record.key!r}"
        )

    def __repr__(self) -> str:
        return f"<Actor {self.agent.name}#{self.index} restarts={self.restarts}>"
