"""Testing one agent: the real engine on a broker in this process, and values put in by hand.

    async with order_agent.test_context() as agent:
        event = await agent.put(Order(account="a", amount=3))
        assert totals["a"] == 3

The agent, its tables, its ``group_by`` and what it sends are the real ones; nothing is mocked, and
nothing leaves the process.  Other agents, timers and services of the app are not started.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from faust._core.threads import LoopBridge
from faust._engine.registry import Registry
from faust._values import TP, HeadersArg, RecordMetadata, headers_as_list
from faust.agents.models import CORRELATION_HEADER, REPLY_HEADER

if TYPE_CHECKING:
    from faust.agents.agent import Agent
    from faust.events import Event

__all__ = ["AgentTestContext"]


class AgentTestContext:
    """An agent under test; what ``agent.test_context()`` gives.

    Arguments:
        agent: The agent.
        on_error: Called with (agent, exception) when it raises; `put` raises it in any case.

    Attributes:
        results: Number of the `put` (from 0) -> what the agent yielded for it, or, for an agent
            that does not yield, the value that was put in.
    """

    def __init__(self, agent: Agent, *, on_error: Any = None) -> None:
        self.agent = agent
        self.app: Any = agent.app
        self.results: dict[int, Any] = {}
        self._on_error = on_error
        self._saved: dict[str, Any] = {}
        self._numbers: dict[tuple[TP, int], int] = {}
        self._count = 0
        self._errors: dict[Any, BaseException] = {}
        self._arrived = asyncio.Condition()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.agent, name)

    # -- life ------------------------------------------------------------------------

    async def __aenter__(self) -> AgentTestContext:
        from faust.transport.base import TransportOptions
        from faust.transport.drivers.memory import MemoryTransport
        from faust.utils.urls import broker_urls

        app, agent = self.app, self.agent
        conf = app.conf
        self._broker = f"memory://test-{uuid4().hex}"
        self._saved = {
            "agents": app.agents,
            "registry": app.registry,
            "make_transport": app.make_transport,
            "make_bridge": app.make_bridge,
            "datadir": conf.datadir,
            "store": conf.store,
            "web_enabled": conf.web_enabled,
            "topic_partitions": conf.topic_partitions,
            "table_partitions": {t: t.partitions for t in app.tables.values()},
            "policy": agent._given_policy,
            "on_error": agent._on_error,
            "on_yield": agent.__dict__.get("on_yield"),
        }
        app.agents = {agent.name: agent}
        app.registry = Registry()
        app.make_bridge = LoopBridge
        conf.topic_partitions = 1
        options = TransportOptions(default_partitions=conf.topic_partitions, clock=app.clock)
        app.make_transport = lambda: MemoryTransport(broker_urls(self._broker), options)
        self._directory = TemporaryDirectory(prefix="faust-test-")
        conf.datadir = self._directory.name
        conf.store = "memory://"
        conf.web_enabled = False
        agent._given_policy = "skip"
        agent._on_error = self._note_error
        agent.on_yield = self._note_result  # type: ignore[method-assign]  # put back at the end
        try:
            await app.start()
        except BaseException:
            self._restore()
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        from faust.transport.drivers.memory import forget_broker

        try:
            await self.app.stop()
        finally:
            self._restore()
            forget_broker(self._broker.removeprefix("memory://"))

    def _restore(self) -> None:
        app, agent, saved = self.app, self.agent, self._saved
        app.agents, app.registry = saved["agents"], saved["registry"]
        app.make_transport, app.make_bridge = saved["make_transport"], saved["make_bridge"]
        for table, partitions in saved["table_partitions"].items():
            table.partitions = partitions
        self._directory.cleanup()
        for name in ("datadir", "store", "web_enabled", "topic_partitions"):
            setattr(app.conf, name, saved[name])
        agent._given_policy, agent._on_error = saved["policy"], saved["on_error"]
        del agent.on_yield

    # -- how far it has come -----------------------------------------------------------

    @property
    def sent_offset(self) -> int:
        """How many values were put in."""
        return self._count

    @property
    def processed_offset(self) -> int:
        """How many of them the agent has finished with."""
        agent = self.agent
        if not agent.reads_topic:
            return sum(stream.events_total for stream in agent.streams())
        topics = agent.get_topic_names()
        cursors = [c for c in self.app.topics.cursors() if c.reader == agent.name]
        return sum(c.committable for c in cursors if c.tp.topic in topics)

    async def throw(self, exc: BaseException) -> None:
        """Let the agent find an exception where it waits for the next event."""
        for stream in self.agent.streams():
            await stream.throw(exc)

    # -- putting values in -----------------------------------------------------------------

    async def put(
        self,
        value: Any = None,
        key: Any = None,
        partition: int | None = None,
        timestamp: float | None = None,
        headers: HeadersArg = None,
        key_serializer: Any = None,
        value_serializer: Any = None,
        *,
        reply_to: Any = None,
        correlation_id: str | None = None,
        wait: bool = True,
    ) -> Event[Any]:
        """Send a value to the agent, and wait until it has been handled.

        Returns the event as it was sent.

        Raises:
            Exception: whatever the agent raised for it.
        """
        from faust.events import Event

        pairs = headers_as_list(headers)
        if reply_to is not None:
            pairs.append((REPLY_HEADER, str(reply_to).encode()))
            pairs.append((CORRELATION_HEADER, (correlation_id or str(uuid4())).encode()))
        channel = self.agent.channel
        number, self._count = self._count, self._count + 1
        before = sum(stream.events_total for stream in self.agent.streams())
        if partition is None and key is None and self.agent.reads_topic:
            partition = 0  # one after the other, as they were put in
        sent = await channel.send(
            value,
            key=key,
            partition=partition,
            timestamp=timestamp,
            headers=pairs or None,
            key_serializer=key_serializer,
            value_serializer=value_serializer,
        )
        placed: RecordMetadata = await sent
        self._numbers[placed.topic_partition, placed.offset] = number
        if wait:
            await self._handled(placed, before)
            self.results.setdefault(number, value)
        error = self._errors.pop((placed.topic_partition, placed.offset), None)
        if error is None and not self.agent.reads_topic:
            error = self._errors.pop(None, None)
        if error is not None:
            raise error
        message = _message(placed, key, value, pairs)
        return Event(self.app, key, value, pairs, message)

    async def _handled(self, placed: RecordMetadata, before: int) -> None:
        while True:
            if self.app.failure is not None:
                raise self.app.failure
            if self._errors or self._is_handled(placed, before):
                return
            await asyncio.sleep(0.001)

    def _is_handled(self, placed: RecordMetadata, before: int) -> bool:
        if not self.agent.reads_topic:
            return sum(stream.events_total for stream in self.agent.streams()) > before
        tp = placed.topic_partition
        here = [c for c in self.app.topics.cursors() if c.tp == tp and c.reader == self.agent.name]
        if not here or any(cursor.committable <= placed.offset for cursor in here):
            return False
        return self._nothing_forwarded_waits()

    def _nothing_forwarded_waits(self) -> bool:
        """Behind a ``group_by``, what was forwarded has been handled, too."""
        if not self.app.outbox.idle:
            return False
        derived = {
            str(stream.channel)
            for stream in self.agent.streams()
            if stream.upstream is not None and getattr(stream.channel, "is_topic", False)
        }
        if not derived:
            return True
        broker = self.app.connection.transport.broker
        ends = broker.offsets(
            [c.tp for c in self.app.topics.cursors() if c.tp.topic in derived], -1
        )
        return all(
            cursor.committable >= ends.get(cursor.tp, 0)
            for cursor in self.app.topics.cursors()
            if cursor.tp.topic in derived
        )

    async def _note_error(self, agent: Agent, exc: Exception) -> None:
        for stream in self.agent.streams():
            if stream.inside and stream.cursor is not None and stream.record is not None:
                self._errors[stream.cursor.tp, stream.record.offset] = exc
                break
        else:
            self._errors[None] = exc
        if self._on_error is not None:
            result = self._on_error(agent, exc)
            if asyncio.iscoroutine(result):
                await result

    async def _note_result(self, stream: Any, value: Any) -> None:
        event = stream.current_event
        if event is not None:
            place = (event.message.tp, event.message.offset)
            number = self._numbers.get(place, self._count - 1)
            self.results[number] = value
        await type(self.agent).on_yield(self.agent, stream, value)
        async with self._arrived:
            self._arrived.notify_all()

    async def __aiter__(self) -> AsyncIterator[Any]:
        """Iterate over the results in order, as they come."""
        number = 0
        while True:
            async with self._arrived:
                while number not in self.results:
                    await self._arrived.wait()
            yield self.results[number]
            number += 1


def _message(placed: RecordMetadata, key: Any, value: Any, headers: Any) -> Any:
    from faust._values import Message

    return Message(
        placed.topic,
        placed.partition,
        placed.offset,
        placed.timestamp or 0.0,
        placed.timestamp_type or 0,
        headers,
        key,
        value,
    )
