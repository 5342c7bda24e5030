"""Retry topics: events that are tried again later, while those behind them go on.

An event that is put aside goes to the same partition of a topic that has as many partitions as the
one it came from: it belongs to the same task, is read by the same agent with the same stream, and
finds the same tables.  It comes back when its time has come (`faust.agents.returns`).  What the
record says is told in `faust.agents.aside`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faust._forwarded import SOURCE_HEADER
from faust._machines.copies import generation_to_name
from faust._machines.failures import Detour
from faust.agents.aside import FORWARDED, PREFIX, visit_of
from faust.agents.durable import put_durably, raw_topic
from faust.agents.returns import Returns
from faust.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from faust._context import AppContext
    from faust._machines.effects import Cursor, TaskRun
    from faust.streams import Stream
    from faust.topics import Topic

__all__ = ["RetryTopics"]


class RetryTopics:
    """The retry topics of one agent: one for each topic that it reads."""

    def __init__(self, app: AppContext, agent: str) -> None:
        self._app = app
        self._agent = agent
        #: Source topic -> its retry topic.
        self._topics: dict[str, Topic[Any]] = {}
        #: Retry topic -> what comes back from it, for each feed where that arrives.
        self._returns: dict[str, list[Returns]] = {}

    @property
    def names(self) -> set[str]:
        """The names of the topics."""
        return set(self._returns)

    def read_with(self, stream: Stream[Any], detour: Detour) -> None:
        """Let a stream read what comes back to it, too.

        Raises:
            ImproperlyConfigured: it reads by pattern, or one name is to serve several topics, or
                agents.
        """
        channel = stream.channel
        if not getattr(channel, "is_topic", False):
            return
        if channel.pattern is not None:
            raise ImproperlyConfigured(
                f"agent {self._agent!r} reads topics by pattern, and a retry topic belongs to one "
                f"that is known: name the topics, or use faust.Retry(n) without topic"
            )
        for source in channel.topics:
            self._read(stream, source, detour)

    def _read(self, stream: Stream[Any], source: str, detour: Detour) -> None:
        name = detour.topic or f"{self._app.conf.id}-{self._agent}-{source}-retry"
        taken = [s for s, t in self._topics.items() if t.topics == [name] and s != source]
        if taken or name == source:
            raise ImproperlyConfigured(
                f"agent {self._agent!r}: retry topic {name!r} cannot serve {[*taken, source]}: "
                f"each needs its own; use faust.Retry(n, topic=True)"
            )
        self._check_others(name)
        topic = self._topics.get(source)
        if topic is None:
            topic = self._topics[source] = raw_topic(self._app, name)
            topic.like = source
        topic.declare_soon()
        feed = stream.open_feed()
        assert feed is not None
        self._app.read_into(topic, self._agent, feed)
        returns = Returns.of(self._app, feed)
        returns.add(topic, detour.pause)
        known = self._returns.setdefault(name, [])
        if returns not in known:
            known.append(returns)

    def _check_others(self, name: str) -> None:
        """What one agent puts aside would come back to another, too."""
        for other, agent in self._app.agents.items():
            if agent.retries is not self and name in agent.retries.names:
                raise ImproperlyConfigured(
                    f"agents {other!r} and {self._agent!r} have one retry topic, {name!r}: what "
                    f"one puts aside would be handled by the other, too. Each needs its own: use "
                    f"faust.Retry(n, topic=True), or give each another name"
                )

    async def put(self, cursor: Cursor | None, record: Any, detour: Detour, failures: int) -> float:
        """Put an event aside; return the seconds until it may come back, at least.

        Arguments:
            failures: Attempts that have failed at this visit.

        Raises:
            AgentFailed: the retry topic takes it neither now nor later.
        """
        assert cursor is not None
        here = cursor.tp
        visit = visit_of(record.headers, here, record.offset)
        first, offset = visit.origin
        topic = self._topics.get(here.topic) or next(
            topic for topic in self._topics.values() if here.topic in topic.topics
        )
        due = int((self._app.clock.time() + detour.pause) * 1000)
        texts = {
            "topic": first.topic,
            "partition": str(first.partition),
            "offset": str(offset),
            "from": f"{here.topic}@{record.offset}",
            "number": str(visit.number + 1),
            "attempts": str(visit.attempts + failures),
            "not-before": str(due),
            "group": self._app.conf.id,
        }
        if (generation := self._generation(topic, cursor.task)) is not None:
            texts["generation"] = str(generation)
        headers = [(PREFIX + name, text.encode()) for name, text in texts.items()]
        for name, value in visit.headers:
            headers.append((FORWARDED if name == SOURCE_HEADER else name, value))
        await put_durably(
            self._app,
            topic,
            record,
            headers=headers,
            fewer=headers,
            partition=here.partition,
            what=f"what agent {self._agent} is to try again, {here.topic}-{here.partition}"
            f"@{record.offset},",
        )
        return detour.pause

    def _generation(self, topic: Topic[Any], task: TaskRun) -> int | None:
        """Return what a copy for this topic is to name: what is known of others says nothing."""
        (name,) = topic.topics
        return generation_to_name(
            returns.generation(task) for returns in self._returns[name] if returns.knows(task)
        )
