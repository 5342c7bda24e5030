"""Agents: stream processors.  A function over a stream, its channel, and who may send to it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from inspect import getdoc, isasyncgenfunction, isawaitable, iscoroutinefunction
from typing import TYPE_CHECKING, Any

from mode import Service

from faust._core.at_once import at_once
from faust._core.names import module_name_of
from faust._inprogress import current_stream
from faust.agents.actor import Actor
from faust.agents.answers import Answers
from faust.agents.instances import Instances
from faust.agents.models import REPLY_HEADER
from faust.agents.partitions import PartitionHooks
from faust.agents.policies import Policies
from faust.agents.requests import Askable
from faust.agents.sinks import Sinks
from faust.agents.timeouts import timeout_of
from faust.exceptions import ImproperlyConfigured
from faust.streams import Stream

if TYPE_CHECKING:
    from faust._context import AppContext
    from faust._values.policies import DecodePolicy, Policy
    from faust.utils.times import Seconds

__all__ = ["Agent", "current_agent"]

logger = logging.getLogger(__name__)


def current_agent() -> Agent | None:
    """Return the agent that is processing an event in this asyncio task, or ``None``."""
    stream = current_stream()
    agent: Agent | None = None if stream is None else stream.agent
    return agent


class Agent(Askable, Policies, Instances, PartitionHooks, Service):
    """A stream processor.

    Arguments:
        fun: ``async def`` function, or asynchronous generator function, of one stream.
        app: The app.
        name: Its name, unique in the app (default: module and function).
        channel: What it reads: a topic, a channel, a topic's name, or ``None`` for a topic of its
            own.
        concurrency: Number of instances that share its events in each worker.  Above 1 the order of
            events is lost, and tables cannot be written.
        sink: Where to put what it yields: channels, agents, functions.
        on_error: Called with (agent, exception) when it raises.
        error_policy: What happens to an event for which it raises: ``crash``, ``skip``,
            ``dead_letter``, `faust.DeadLetter` or `faust.Retry` (default: ``agent_error_policy``).
        decode_error_policy: What happens to an event that cannot be decoded: ``crash``, ``skip``,
            ``dead_letter`` or `faust.DeadLetter` (default: ``decode_error_policy`` of the app).
        event_timeout: Seconds that it may take for one event (or one list of `take`); then it is
            cancelled there, and the event goes the way of an exception (default: no limit).
        isolated_partitions: One instance for each partition.
        use_reply_headers: Accepted, without effect: the address for a reply is in the headers of
            the request, and its value is as it was given.

    Raises:
        ImproperlyConfigured: ``fun`` is not asynchronous; sinks without ``yield``.
    """

    abstract = False

    def __init__(
        self,
        fun: Callable[..., Any],
        *,
        app: AppContext,
        name: str | None = None,
        channel: Any = None,
        concurrency: int = 1,
        sink: Iterable[Any] | None = None,
        on_error: Callable[..., Any] | None = None,
        supervisor_strategy: Any = None,
        help: str | None = None,
        schema: Any = None,
        key_type: Any = None,
        value_type: Any = None,
        isolated_partitions: bool = False,
        use_reply_headers: bool | None = True,
        error_policy: Policy | None = None,
        decode_error_policy: DecodePolicy | None = None,
        event_timeout: Seconds | None = None,
        beacon: Any = None,
        loop: Any = None,
        **topic_options: Any,
    ) -> None:
        super().__init__(beacon=beacon, loop=loop)
        self.app = app
        self.fun = fun
        self.name = name or f"{module_name_of(fun)}.{fun.__qualname__}".replace(".<locals>", "")
        self.concurrency = concurrency
        self.help = help if help is not None else (getdoc(fun) or "")
        self.isolated_partitions = isolated_partitions
        self.use_reply_headers = use_reply_headers
        self.supervisor_strategy = supervisor_strategy
        self.event_timeout = timeout_of(self.name, event_timeout)
        self.answers = Answers(app, self.name)
        self.actors: list[Actor] = []
        self._sinks = Sinks(app, self.name, fun)
        self._on_error = on_error
        self._init_policies(error_policy, decode_error_policy)
        self._channel_arg = channel
        self._schema, self._key_type, self._value_type = schema, key_type, value_type
        self._topic_options = topic_options
        self._channel: Any = None
        self._running: list[asyncio.Task[None]] = []
        for each in sink or ():
            self.add_sink(each)
        self._check_definition()

    def _check_definition(self) -> None:
        fun = getattr(self.fun, "__func__", self.fun)
        if not (iscoroutinefunction(fun) or isasyncgenfunction(fun) or not _is_plain(fun)):
            raise ImproperlyConfigured(
                f"agent {self.name!r} must be defined with 'async def': it gets a stream, which is "
                f"iterated over with 'async for'"
            )
        if self.concurrency < 1:
            raise ImproperlyConfigured(
                f"agent {self.name!r}: concurrency must be at least 1, not {self.concurrency}"
            )
        if self.isolated_partitions and self.concurrency > 1:
            raise ImproperlyConfigured(
                f"agent {self.name!r}: isolated_partitions needs concurrency=1 "
                f"(each partition has an instance of its own)"
            )
        arg = self._channel_arg
        own = arg is None or isinstance(arg, str)
        if not own and not (hasattr(arg, "send") and hasattr(arg, "stream")):
            raise TypeError(
                f"agent {self.name!r}: channel must be a topic, a channel or a topic's name, "
                f"not {arg!r}"
            )
        if not own and (self._schema or self._key_type or self._value_type):
            raise ImproperlyConfigured(
                f"agent {self.name!r}: give key_type, value_type and schema to the topic, not to "
                f"the agent that reads it"
            )

    # -- what it reads ------------------------------------------------------------------

    @property
    def channel(self) -> Any:
        """The channel it reads; made on first use."""
        if self._channel is None:
            self._channel = self._make_channel(self._channel_arg)
        return self._channel

    def _make_channel(self, arg: Any) -> Any:
        if arg is None or isinstance(arg, str):
            name = arg if arg is not None else f"{self.app.conf.id}-{self.name}"
            return self.app.topic(
                name,
                internal=True,
                has_prefix=arg is None,
                schema=self._schema,
                key_type=self._key_type,
                value_type=self._value_type,
                **self._topic_options,
            )
        return arg

    @property
    def reads_topic(self) -> bool:
        """Does it read the log (or a channel in memory)?"""
        return bool(getattr(self.channel, "is_topic", False))

    # -- life ---------------------------------------------------------------------------

    def stream(
        self, channel: Any = None, active_partitions: Any = None, **options: Any
    ) -> Stream[Any]:
        """Return a stream over its channel (or another), for one of its instances.

        Override it to give each instance's stream something of your own.

        Arguments:
            active_partitions: Accepted; an isolated instance has a feed of its own.
            options: For the stream: ``concurrency_index``, ``feed``.
        """
        shared = self.concurrency > 1
        stream = self.app.stream(
            self.channel if channel is None else channel,
            name=self.name,
            shared=shared,
            may_write=not shared,
            prefix=f"{self.name}-",
            beacon=self.beacon,
            **options,
        )
        stream.agent = self
        if self.reads_topic:
            stream.open_feed()
        return stream  # type: ignore[no-any-return]  # the app's Stream class

    async def on_start(self) -> None:
        """Start its instances."""
        if self.isolated_partitions and self.reads_topic:
            self.app.subscribe(self.channel, self.name).on_part = self._start_isolated
            self.declare_topics([])
            return
        for index in range(self.concurrency):
            stream = self.stream(concurrency_index=index)
            self._start_actor(stream, index if self.concurrency > 1 else None)
        self.declare_topics([actor.stream for actor in self.actors])

    async def restart(self) -> None:
        """Start its instances anew, on their streams; what is in progress is handed out again."""
        if not (self.started and self._running):
            await super().restart()
            return
        await self._end_instances()
        for actor in self.actors:
            actor.current_stream().failed(redeliver=True)
            actor.restarts += 1
            actor.ended = False
            self._spawn(actor.run(), f"agent:{self.name}#{actor.index or 0}")

    async def on_stop(self) -> None:
        """End its instances; what they had in progress was not committed."""
        await self._end_instances()
        for stream in self.streams():
            await stream.stop()
        self.actors.clear()

    # -- results and errors -----------------------------------------------------------------

    async def on_yield(self, stream: Stream[Any], value: Any) -> None:
        """It has yielded: answer who asked, then fill the sinks in order."""
        event = stream.current_event
        if event is not None and REPLY_HEADER in event.headers:
            await self.answers.give(event, value)
        await self._sinks.put(value)

    def add_sink(self, sink: Any) -> None:
        """Put what it yields there, too: a channel, a topic's name, an agent or a function.

        One that is there already is not added again.

        Raises:
            ImproperlyConfigured: it does not yield.
            TypeError: ``sink`` is none of these.
        """
        self._sinks.add(sink)

    async def call_on_error(self, exc: Exception) -> None:
        """Tell who asked to be told.  What they send is not taken back with the event."""
        with at_once():
            await self.app._on_agent_error(self, exc)
            if self._on_error is not None:
                result = self._on_error(self, exc)
                if isawaitable(result):
                    await result

    async def answer_error(self, stream: Stream[Any], exc: Exception) -> None:
        """The event is left out: if it was a request, its caller need not wait any longer."""
        for event in stream.events_in_progress():
            if REPLY_HEADER in event.headers:
                await self.answers.refuse(event, exc)

    def test_context(
        self,
        channel: Any = None,
        supervisor_strategy: Any = None,
        on_error: Any = None,
        **_options: Any,
    ) -> Any:
        """Test this agent: ``async with agent.test_context() as t: await t.put(value)``.

        See `faust.testing.agents.AgentTestContext`.
        """
        app: Any = self.app
        return app.test_context_of(self, on_error=on_error)

    # -- copies -----------------------------------------------------------------------------

    def clone(self, *, cls: type[Agent] | None = None, **options: Any) -> Agent:
        """Return an agent like this one, with some options changed."""
        return (cls or type(self))(**{**self.info(), **options})

    def info(self) -> Mapping[str, Any]:
        """Return the options that make up this agent."""
        return {
            "app": self.app,
            "fun": self.fun,
            "name": self.name,
            "channel": self.channel,
            "concurrency": self.concurrency,
            "sink": list(self._sinks.all),
            "on_error": self._on_error,
            "supervisor_strategy": self.supervisor_strategy,
            "help": self.help,
            "isolated_partitions": self.isolated_partitions,
            "use_reply_headers": self.use_reply_headers,
            "error_policy": self._given_policy,
            "decode_error_policy": self._given_decode_policy,
            "event_timeout": self.event_timeout,
        }

    def get_topic_names(self) -> Sequence[str]:
        """Return the names of the topics it reads."""
        return list(getattr(self.channel, "topics", ()))

    def __call__(
        self,
        stream: Any = None,
        *,
        index: int | None = None,
        active_partitions: Any = None,
        channel: Any = None,
    ) -> Any:
        """Call its function, as it was before it was decorated; for tests.

        Arguments:
            stream: What it iterates over (default: a stream over ``channel``, or over its own).
            index: Number of the instance, where it has several.
            active_partitions: As for `stream`.

        Returns:
            What the function returns: a coroutine, or an asynchronous generator.
        """
        if stream is None:
            stream = self.stream(channel, active_partitions, concurrency_index=index)
        return self.fun(stream)

    @property
    def label(self) -> str:
        """Name shown in logs."""
        return f"Agent: {self.name}"

    @property
    def shortlabel(self) -> str:
        """Short name shown in logs."""
        return self.label

    def __repr__(self) -> str:
        return f"<Agent: {self.name} instances={len(self.actors)}>"


def _is_plain(fun: Any) -> bool:
    """Is it a plain function (and so one that cannot return a coroutine by its nature)?"""
    return hasattr(fun, "__code__") and not hasattr(fun, "__wrapped__")
