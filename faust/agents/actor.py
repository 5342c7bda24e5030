"""One running instance of an agent: runs its function, and decides what an exception means.

An exception loses no event.  The event's writes are undone; the function is started again with the
same event, after a pause that grows, as often as the policy says.  Then the event is put aside for
later, put among the dead letters or left out, and the function is started again with the next one;
or the worker stops with one sentence.  A list of `take` is tried again whole; before anything else
becomes of it, its events are handed out one by one, so that only those that fail are concerned.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Protocol

from faust._core.at_once import at_once
from faust._machines.failures import Again, Aside, Failures, Fate, Plan, plan_for
from faust._machines.retry import RetryPolicy
from faust.agents.aside import visit_of
from faust.agents.timeouts import Missed, Timeouts
from faust.exceptions import (
    AgentFailed,
    FaustPredicate,
    KeyDecodeError,
    PartitionRevoked,
    SharedTable,
    StopError,
)

if TYPE_CHECKING:
    from faust._context import AppContext
    from faust.streams import Stream
    from faust.topics import Topic

__all__ = ["Actor"]

logger = logging.getLogger(__name__)


class Owner(Protocol):
    """An agent, as its instances see it."""

    app: AppContext
    name: str
    fun: Callable[..., Any]

    event_timeout: float | None

    @property
    def plan(self) -> Plan: ...

    @property
    def retry_policy(self) -> RetryPolicy: ...

    async def on_yield(self, stream: Stream[Any], value: Any) -> None: ...

    async def call_on_error(self, exc: Exception) -> None: ...

    async def answer_error(self, stream: Stream[Any], exc: Exception) -> None: ...

    async def put_aside(self, stream: Stream[Any], plan: Plan, failures: int) -> float: ...

    async def bury(
        self, stream: Stream[Any], plan: Plan, exc: Exception, failures: int
    ) -> Topic[Any]: ...

    def count_skipped(self, stream: Stream[Any]) -> None: ...

    def count_retried(self, stream: Stream[Any]) -> None: ...


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
        self._processors = list(stream.processors)
        self._timeouts = Timeouts(self, agent.app.clock, agent.event_timeout)

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
        failures, place = Failures(self.agent.plan), None
        try:
            while True:
                try:
                    await self._timeouts.run(self._run_once())
                    self.current_stream().finished()
                    self._say_returned()
                    return
                except asyncio.CancelledError:
                    raise
                except PartitionRevoked as exc:
                    logger.info("Agent %s: %s", self.agent.name, exc)
                    self.current_stream().failed(redeliver=False)
                except (SharedTable, Missed) as exc:
                    logger.debug("Agent %s: %s", self.agent.name, exc)
                    self.current_stream().failed(redeliver=True)
                except StopError:
                    raise
                except Exception as exc:
                    here = self._place(exc)
                    if here != place:
                        failures, place = Failures(self._plan(here)), here
                    await self._failed(exc, failures)
                self.restarts += 1
        finally:
            self.ended = True

    def current_stream(self) -> Stream[Any]:
        """The stream whose event was in progress: the one behind a ``group_by``, where there is."""
        return self.stream.forwarded_to or self.stream

    def _place(self, exc: Exception) -> tuple[bool, Any]:
        """Return whether an event has failed (or what is outside of events), and which."""
        stream = self.current_stream()
        cursor, record = stream.cursor, stream.record
        is_event = bool(stream.inside or stream.taken) and not isinstance(exc, FaustPredicate)
        if cursor is None or record is None:
            return is_event, stream.event
        return is_event, (cursor.tp, record.offset)

    def _plan(self, place: tuple[bool, Any]) -> Plan:
        """Return what is to be done; what is outside of events cannot be spared."""
        return self.agent.plan if place[0] else plan_for("crash", self.agent.retry_policy)

    async def _run_once(self) -> None:
        # What its code has put between (echo, filters), it puts there again.
        self.stream.processors[:] = self._processors
        if self.stream.forwarded_to is not None:
            self.stream.forwarded_to.processors.clear()
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

    async def _failed(self, exc: Exception, failures: Failures) -> None:
        """Decide what becomes of the event in progress, and see to it.

        Raises:
            AgentFailed: the worker must stop.
        """
        stream = self.current_stream()
        try:
            if isinstance(exc, KeyDecodeError) and stream.inside:
                if await stream.leaves_out_key(exc):
                    stream.leave_out()
                    return
                stream.undecoded = exc
            await self.agent.call_on_error(exc)
            if exc is stream.undecoded:
                stream.failed(redeliver=True)
                raise self._undecodable(exc, self._where(stream)) from exc
            await self._dispose(exc, stream, failures)
        except PartitionRevoked as gone:
            logger.info("Agent %s: %s", self.agent.name, gone)
            stream.failed(redeliver=False)

    async def _dispose(self, exc: Exception, stream: Stream[Any], failures: Failures) -> None:
        step = failures.failed(self._detours(stream))
        if isinstance(step, Again):
            await self._try_again(exc, stream, failures, step.delay)
        elif step is Fate.CRASH:
            if stream.inside:
                with at_once():  # the event is not committed, and who asks waits for an answer
                    await self.agent.answer_error(stream, exc)
            where = self._where(stream)
            stream.failed(redeliver=True)
            raise self._failure(exc, where, failures.count) from exc
        elif len(stream.taken) > 1:
            logger.error(
                "Agent %s raised%s, in a list of %d events; they are handed out one by one now",
                self.agent.name, self._where(stream), len(stream.taken), exc_info=exc,
            )  # fmt: skip
            stream.split()
        else:
            await self._leave_out(exc, stream, failures, step)

    @staticmethod
    def _detours(stream: Stream[Any]) -> int:
        cursor, record = stream.cursor, stream.record
        if cursor is None or record is None:
            return 0
        return visit_of(record.headers, cursor.tp, record.offset).number

    async def _try_again(
        self, exc: Exception, stream: Stream[Any], failures: Failures, delay: float
    ) -> None:
        where = self._where(stream)
        if stream.inside:
            self.agent.count_retried(stream)
        stream.failed(redeliver=True)
        logger.error(
            "Agent %s raised%s; its writes are undone, and the event is tried again in %.1f s "
            "(%d of %d)",
            self.agent.name, where, delay, failures.count, failures.plan.in_place.retries,
            exc_info=exc,
        )  # fmt: skip
        await self.agent.app.clock.sleep(delay)

    async def _leave_out(
        self, exc: Exception, stream: Stream[Any], failures: Failures, step: Aside | Fate
    ) -> None:
        """Put the event where the policy says, and go on behind it."""
        agent, plan, where = self.agent, failures.plan, self._where(stream)
        stream.undo()
        if isinstance(step, Aside):
            pause = await agent.put_aside(stream, plan, failures.count)
            assert plan.detour is not None
            done = f"comes back in {pause:.1f} s ({step.number} of {plan.detour.times})"
            agent.count_retried(stream)
        else:
            if step is Fate.DEAD_LETTER:
                topic = await agent.bury(stream, plan, exc, failures.count)
                done = f"is among the dead letters in topic {topic}"
            else:
                agent.count_skipped(stream)
                done = "is skipped (error policy 'skip')"
            with stream.speaking():
                await agent.answer_error(stream, exc)
        stream.leave_out()
        logger.error("Agent %s raised%s; the event %s", agent.name, where, done, exc_info=exc)

    def _say_returned(self) -> None:
        """Its function has returned: what comes now is not handled, and somebody should know."""
        if not self.current_stream().at_end:
            logger.warning(
                "Agent %s has returned: what its channel gets from now on is not handled by this "
                "worker. An agent iterates over its stream for as long as the worker runs",
                self.agent.name,
            )

    def _undecodable(self, exc: Exception, where: str) -> AgentFailed:
        return AgentFailed(
            f"agent {self.agent.name} was given what cannot be decoded{where}: "
            f"{type(exc).__name__}: {exc}. The event is not committed: correct the type or codec "
            f"and start again, or let such events be put aside with "
            f"decode_error_policy='dead_letter', or left out with decode_error_policy='skip'"
        )

    def _failure(self, exc: Exception, where: str, failures: int) -> AgentFailed:
        """Return what stops the worker: one sentence that says what to do."""
        name = self.agent.name
        logger.error("Agent %s raised%s", name, where, exc_info=exc)
        return AgentFailed(
            f"agent {name} failed {failures} times{where}: {type(exc).__name__}: {exc}. The event "
            f"is not committed: fix the agent and start again, or let it go on without such events "
            f"with error_policy='dead_letter', or 'skip'"
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
