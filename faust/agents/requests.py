"""Sending to an agent and asking it: the caller's side of an agent.

A request is an ordinary message with two headers: where the answer goes, and an id by which it is
known.  It may be made in a worker, in a client, and in any thread's event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from faust._core.at_once import at_once
from faust._inprogress import current_stream
from faust._values import HeadersArg, headers_as_list
from faust.agents.deadlock import refuse_to_wait_for_itself
from faust.agents.models import CORRELATION_HEADER, REPLY_HEADER
from faust.agents.replies import ReplyPromise
from faust.utils.times import Seconds, want_seconds

if TYPE_CHECKING:
    from faust._context import AppContext, Sent

__all__ = ["Askable"]


class Askable:
    """What can be sent messages and be asked: the part of an agent that its callers use."""

    app: AppContext
    name: str
    channel: Any

    # -- sending ---------------------------------------------------------------------------

    async def cast(
        self,
        value: Any = None,
        *,
        key: Any = None,
        partition: int | None = None,
        timestamp: float | None = None,
        headers: HeadersArg = None,
    ) -> None:
        """Send it a message, and expect nothing."""
        await self.send(value, key=key, partition=partition, timestamp=timestamp, headers=headers)

    async def send(
        self,
        value: Any = None,
        *,
        key: Any = None,
        partition: int | None = None,
        timestamp: float | None = None,
        headers: HeadersArg = None,
        key_serializer: Any = None,
        value_serializer: Any = None,
        callback: Any = None,
        reply_to: Any = None,
        correlation_id: str | None = None,
        force: bool = False,
    ) -> Sent:
        """Send it a message; with ``reply_to``, its answer goes there.

        Arguments:
            reply_to: A topic, its name, or an agent (its topic).
            correlation_id: By which the answer is known (default: drawn).
            callback: Called with what this returns when the message was delivered or has failed.
            force: Accepted for compatibility; messages are never held back.

        Raises:
            ValueError: ``reply_to`` is no topic.
        """
        pairs = headers_as_list(headers)
        if reply_to is not None:
            pairs.append((REPLY_HEADER, _topic_name(reply_to).encode()))
            pairs.append((CORRELATION_HEADER, (correlation_id or str(uuid4())).encode()))
        sent: Sent = await self.channel.send(
            value,
            key=key,
            partition=partition,
            timestamp=timestamp,
            headers=pairs or None,
            key_serializer=key_serializer,
            value_serializer=value_serializer,
            callback=callback,
        )
        return sent

    # -- asking ----------------------------------------------------------------------------

    async def ask(
        self,
        value: Any = None,
        *,
        key: Any = None,
        partition: int | None = None,
        timestamp: float | None = None,
        headers: HeadersArg = None,
        reply_to: Any = None,
        correlation_id: str | None = None,
        timeout: Seconds | None = None,
    ) -> Any:
        """Send it a message and wait for what it yields.

        An event that is tried again after an exception is answered when it succeeds, or when it is
        given up; until then the caller waits.

        Arguments:
            timeout: Seconds to wait at most, all told (default: ``reply_timeout``).

        Raises:
            AskTimeout: no answer came in time (a `TimeoutError`).
            AgentError: it raised, and the event was given up.
            RuntimeError: the answer would have to wait for the event that asks, and so for ever.
        """
        promise = await self.ask_nowait(
            value,
            key=key,
            partition=partition,
            timestamp=timestamp,
            headers=headers,
            reply_to=reply_to,
            correlation_id=correlation_id,
            timeout=timeout,
            waits=True,
        )
        asking = current_stream()
        if asking is None:
            return await promise
        asking.asking = (self.name, promise)
        try:
            return await promise
        finally:
            asking.asking = None

    async def ask_nowait(
        self,
        value: Any = None,
        *,
        key: Any = None,
        partition: int | None = None,
        timestamp: float | None = None,
        headers: HeadersArg = None,
        reply_to: Any = None,
        correlation_id: str | None = None,
        force: bool = False,
        timeout: Seconds | None = None,
        waits: bool = False,
    ) -> ReplyPromise:
        """As `ask`, without waiting: returns the promise of the answer.

        Arguments:
            timeout: Seconds until the promise ends with `AskTimeout` (default: ``reply_timeout``).
            waits: The caller will wait for it at once.
        """
        app: Any = self.app
        if waits:
            refuse_to_wait_for_itself(app, self.name)
        where = _topic_name(reply_to) if reply_to is not None else app.conf.reply_to
        promise = ReplyPromise(where, correlation_id or str(uuid4()))
        promise.agent, promise.topic = self.name, str(self.channel)
        seconds = app.conf.reply_timeout if timeout is None else want_seconds(timeout)
        promise.wait_at_most(seconds)
        try:
            async with asyncio.timeout(seconds) as limit:
                await app.expect_reply(promise)
                with at_once():  # an answer that is waited for cannot wait for the event that asks
                    await self.send(
                        value,
                        key=key,
                        partition=partition,
                        timestamp=timestamp,
                        headers=headers,
                        reply_to=where,
                        correlation_id=promise.correlation_id,
                    )
        except BaseException as exc:
            promise.cancel()
            if isinstance(exc, TimeoutError) and limit.expired():
                raise promise.timed_out(seconds) from exc
            raise
        return promise

    # -- many at once ------------------------------------------------------------------------

    async def map(
        self, values: Any, key: Any = None, reply_to: Any = None, *, timeout: Seconds | None = None
    ) -> AsyncIterator[Any]:
        """Ask with many values; yield the answers as they arrive.

        Arguments:
            timeout: Seconds to wait for each (default: ``reply_timeout``).
        """
        answers = self.kvmap(_with_key(values, key), reply_to, timeout=timeout)
        async with aclosing(answers):  # type: ignore[type-var]  # a generator, declared wider
            async for answer in answers:
                yield answer

    async def kvmap(
        self, items: Any, reply_to: Any = None, *, timeout: Seconds | None = None
    ) -> AsyncIterator[Any]:
        """Ask with many (key, value) pairs; yield the answers as they arrive."""
        arrived: asyncio.Queue[asyncio.Future[Any]] = asyncio.Queue()
        waiting: set[asyncio.Future[Any]] = set()
        try:
            async for key, value in _as_async(items):
                promise = await self.ask_nowait(
                    value, key=key, reply_to=reply_to, timeout=timeout, waits=True
                )
                waiting.add(promise)
                promise.add_done_callback(arrived.put_nowait)
                while not arrived.empty():
                    yield _take(arrived.get_nowait(), waiting)
            while waiting:
                yield _take(await arrived.get(), waiting)
        finally:
            _give_up(waiting)

    async def join(
        self, values: Any, key: Any = None, reply_to: Any = None, *, timeout: Seconds | None = None
    ) -> list[Any]:
        """Ask with many values; return the answers in the same order.

        Raises:
            AgentError, AskTimeout: of the first that failed; the others are waited for no longer.
        """
        return await self.kvjoin(_with_key(values, key), reply_to, timeout=timeout)

    async def kvjoin(
        self, items: Any, reply_to: Any = None, *, timeout: Seconds | None = None
    ) -> list[Any]:
        """Ask with many (key, value) pairs; return the answers in the same order."""
        promises: list[ReplyPromise] = []
        try:
            async for key, value in _as_async(items):
                promises.append(
                    await self.ask_nowait(
                        value, key=key, reply_to=reply_to, timeout=timeout, waits=True
                    )
                )
            return list(await asyncio.gather(*promises))
        finally:
            _give_up(promises)


def _take(promise: asyncio.Future[Any], waiting: set[asyncio.Future[Any]]) -> Any:
    waiting.discard(promise)
    return promise.result()


def _give_up(promises: Any) -> None:
    """Wait for these no longer; what those that are done have raised is known by now."""
    for promise in promises:
        if not promise.cancel() and not promise.cancelled():
            promise.exception()


def _topic_name(where: Any) -> str:
    if isinstance(where, str):
        return where
    channel = getattr(where, "channel", where)
    if not hasattr(channel, "get_topic_name"):
        raise ValueError(f"a reply can only go to a topic, not to {where!r}")
    return str(channel.get_topic_name())


async def _with_key(values: Any, key: Any) -> AsyncIterator[tuple[Any, Any]]:
    async for value in _as_async(values):
        yield key, value


async def _as_async(items: Any) -> AsyncIterator[Any]:
    if hasattr(items, "__aiter__"):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
