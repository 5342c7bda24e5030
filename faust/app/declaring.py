"""What an app declares to work with: topics, channels, streams, agents, tables."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, overload

from faust._values import HeadersArg, Message
from faust.app.lifecycle import Living
from faust.exceptions import ImproperlyConfigured
from faust.utils import venusian
from faust.utils.times import Seconds

if TYPE_CHECKING:
    from faust.agents.agent import Agent
    from faust.channels import Channel
    from faust.events import Event
    from faust.streams import Stream
    from faust.tables.table import Table
    from faust.topics import Topic

__all__ = ["Declaring"]


class Declaring(Living):
    """An app in which topics, agents and tables can be declared."""

    abstract = False

    # -- topics, channels, streams ------------------------------------------------------------

    def topic(
        self,
        *topics: str,
        pattern: str | re.Pattern[str] | None = None,
        schema: Any = None,
        key_type: Any = None,
        value_type: Any = None,
        key_serializer: Any = None,
        value_serializer: Any = None,
        partitions: int | None = None,
        retention: Seconds | None = None,
        compacting: bool | None = None,
        deleting: bool | None = None,
        replicas: int | None = None,
        acks: bool = True,
        internal: bool = False,
        config: Mapping[str, Any] | None = None,
        maxsize: int | None = None,
        allow_empty: bool = False,
        has_prefix: bool = False,
        loop: Any = None,
    ) -> Topic[Any]:
        """Describe one or several topics (see `faust.Topic`)."""
        made: Topic[Any] = self.conf.Topic(
            self,
            topics=topics,
            pattern=pattern,
            schema=schema,
            key_type=key_type,
            value_type=value_type,
            key_serializer=key_serializer,
            value_serializer=value_serializer,
            partitions=partitions,
            retention=retention,
            compacting=compacting,
            deleting=deleting,
            replicas=replicas,
            acks=acks,
            internal=internal,
            config=config,
            maxsize=maxsize,
            allow_empty=allow_empty,
            has_prefix=has_prefix,
        )
        return made

    def channel(
        self,
        *,
        schema: Any = None,
        key_type: Any = None,
        value_type: Any = None,
        key_serializer: Any = None,
        value_serializer: Any = None,
        maxsize: int | None = None,
        loop: Any = None,
    ) -> Channel[Any]:
        """Make a channel in memory (see `faust.Channel`); nothing in it is serialized."""
        from faust.channels import Channel

        return Channel(
            self, schema=schema, key_type=key_type, value_type=value_type, maxsize=maxsize
        )

    def stream(self, channel: Any, beacon: Any = None, **options: Any) -> Stream[Any]:
        """Make a stream over a topic, a channel or any iterable."""
        name = options.pop("name", "")
        made: Stream[Any] = self.conf.Stream(
            channel, app=self, name=name, beacon=beacon or self.beacon, **options
        )
        if not name and getattr(channel, "is_topic", False):
            self.note_stream(made)
        return made

    def create_event(
        self, key: Any, value: Any, headers: HeadersArg, message: Message
    ) -> Event[Any]:
        """Make an event of this app."""
        made: Event[Any] = self.conf.Event(self, key, value, headers, message)
        return made

    # -- agents ----------------------------------------------------------------------------------

    @overload
    def agent(self, channel: Callable[[Any], Any], /) -> Agent: ...

    @overload
    def agent(
        self,
        channel: Channel[Any] | str | None = None,
        *,
        name: str | None = None,
        concurrency: int = 1,
        supervisor_strategy: Any = None,
        sink: Iterable[Any] | None = None,
        isolated_partitions: bool = False,
        use_reply_headers: bool = True,
        **options: Any,
    ) -> Callable[[Callable[..., Any]], Agent]: ...

    def agent(
        self,
        channel: Any = None,
        *,
        name: str | None = None,
        concurrency: int = 1,
        supervisor_strategy: Any = None,
        sink: Iterable[Any] | None = None,
        isolated_partitions: bool = False,
        use_reply_headers: bool = True,
        **options: Any,
    ) -> Any:
        """Decorate a function of a stream: it becomes an agent (see `faust.Agent`).

        Raises:
            ImproperlyConfigured: there is an agent of that name; the function is not asynchronous.
        """
        if callable(channel) and not hasattr(channel, "stream"):
            return self._add_agent(channel)  # @app.agent without brackets

        return partial(
            self._add_agent,
            channel=channel,
            name=name,
            concurrency=concurrency,
            supervisor_strategy=supervisor_strategy,
            sink=sink,
            isolated_partitions=isolated_partitions,
            use_reply_headers=use_reply_headers,
            **options,
        )

    actor = agent

    def _add_agent(self, fun: Callable[..., Any], **options: Any) -> Agent:
        agent: Agent = self.conf.Agent(fun, app=self, beacon=self.beacon, **options)
        known = self.agents.get(agent.name)
        if known is not None and not _same_code(known.fun, fun):
            raise ImproperlyConfigured(
                f"there are two agents with the name {agent.name!r}: give one another with name=..."
            )
        self.agents[agent.name] = agent
        venusian.attach(agent, lambda _found: None, category="faust.agent")
        return agent

    def test_context_of(self, agent: Agent, *, on_error: Any = None) -> Any:
        """Return the context in which an agent is tested (see `Agent.test_context`)."""
        from faust.testing.agents import AgentTestContext

        return AgentTestContext(agent, on_error=on_error)

    # -- tables ------------------------------------------------------------------------------------

    def Table(
        self,
        name: str,
        *,
        default: Callable[[], Any] | None = None,
        window: Any = None,
        partitions: int | None = None,
        help: str | None = None,
        **options: Any,
    ) -> Table[Any, Any]:
        """Define a table (see `faust.Table`)."""
        made: Table[Any, Any] = self._add_table(
            self.conf.Table,
            name=name,
            default=default,
            window=window,
            partitions=partitions,
            help=help,
            **options,
        )
        return made

    def GlobalTable(self, name: str, **options: Any) -> Any:
        """Define a table that every worker has all of (see `faust.GlobalTable`)."""
        return self._add_table(self.conf.GlobalTable, name=name, **options)

    def Set(self, name: str, **options: Any) -> Any:
        """Define a distributed set (see `faust.Set`)."""
        return self._add_table(self.conf.Set, name=name, **options)

    def SetTable(self, name: str, **options: Any) -> Any:
        """Define a table of sets (see `faust.SetTable`)."""
        return self._add_table(self.conf.SetTable, name=name, **options)

    def SetGlobalTable(self, name: str, **options: Any) -> Any:
        """Define a table of sets that every worker has all of (see `faust.SetGlobalTable`)."""
        return self._add_table(self.conf.SetGlobalTable, name=name, **options)

    def _add_table(self, cls: Any, **options: Any) -> Any:
        table: Any = self.tables.add(cls(self, beacon=self.beacon, **options))
        window = options.get("window")
        return table if window is None else table.using_window(window)


def _same_code(one: Callable[..., Any], other: Callable[..., Any]) -> bool:
    """Is it the same function, defined again because its module was imported under another name?"""
    a, b = getattr(one, "__code__", None), getattr(other, "__code__", None)
    if a is None or b is None:
        return one is other
    return (a.co_filename, a.co_firstlineno) == (b.co_filename, b.co_firstlineno)
