"""What an app that reads is made of: what agents, streams and tables ask of it, and of its engine.

This is the reading side of `faust._context.AppContext`; for the sending side see
`faust._engine.connected`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faust._engine.clients import Consumer
from faust._engine.connected import Connected
from faust._engine.stretches import headers_from
from faust._engine.taskreaders import TaskReaders
from faust._values import TP, Headers
from faust.agents.deadletters import DeadLetters
from faust.agents.policies import leave_out_undecodable

if TYPE_CHECKING:
    from faust._engine.engine import Engine
    from faust._feeds import Feed
    from faust._machines.effects import Cursor, TaskRun
    from faust.agents.agent import Agent
    from faust.streams import Stream
    from faust.topics import Topic

__all__ = ["Reading"]


class Reading(Connected):
    """An app as far as it reads, and knows who does.

    Attributes:
        agents: The agents by name.
        engine: What moves, while it runs as a worker.
        needed_topics: What must be there before the group is joined.
    """

    abstract = False

    # What App provides.
    tables: Any

    def __init__(self, *, beacon: Any = None, loop: Any = None) -> None:
        super().__init__(beacon=beacon, loop=loop)
        self.agents: dict[str, Agent] = {}
        self.engine: Engine | None = None
        self.needed_topics: list[Topic[Any]] = []
        self.consumer = Consumer(self, beacon=self.beacon)
        self._streams_of_no_agent: list[Stream[Any]] = []
        self._task_readers = TaskReaders()
        #: Dead letters of readers that are no agents.
        self._letters: dict[str, DeadLetters] = {}

    # -- topics ----------------------------------------------------------------------------------

    def needs_topic(self, topic: Topic[Any]) -> None:
        """Note a topic that must be there before the group is joined."""
        if topic.internal and all(known is not topic for known in self.needed_topics):
            self.needed_topics.append(topic)

    def subscribe(self, topic: Topic[Any], reader: str) -> Feed:
        """Read a topic on behalf of a reader."""
        feed: Feed = self.topics.subscribe(topic, reader or self._task_readers.name(str(topic)))
        return feed

    def read_into(self, topic: Topic[Any], reader: str, feed: Feed) -> None:
        """Let what a reader reads of a further topic arrive in a feed that it has already."""
        self.topics.read_into(topic, reader, feed)

    async def headers_from(self, tp: TP, start: int) -> list[tuple[int, Headers]]:
        """Return offsets and headers of a partition's records, from an offset to its end now."""
        assert self.connection is not None
        return await self.connection.bridge.call_io(
            headers_from, self.connection.transport, tp, start
        )

    async def until_heard_of(self) -> None:
        """Return when the group has heard of us once more: who was replaced is never heard."""
        assert self.engine is not None
        rebalancer, since = self.engine.rebalancer, self.clock.monotonic()
        while rebalancer.heard_of <= since:
            await self.clock.sleep(0.1)

    def committed_position(self, tp: TP) -> int | None:
        """Return the last offset committed for a partition that is ours."""
        if self.engine is None:
            return None
        for task in self.engine.tasks.values():
            if tp in task.committed:
                return task.committed[tp]
        return None

    # -- streams ---------------------------------------------------------------------------------

    def note_stream(self, stream: Stream[Any]) -> None:
        """Remember a stream that no agent owns."""
        self._streams_of_no_agent.append(stream)

    def streams(self) -> list[Stream[Any]]:
        """Return all streams."""
        found = [s for agent in self.agents.values() for s in agent.streams()]
        found.extend(stream.forwarded_to or stream for stream in self._streams_of_no_agent)
        return found

    async def leaves_out(
        self, stream: Stream[Any], cursor: Cursor, record: Any, error: Exception
    ) -> bool:
        """A record cannot be decoded: put it where the policy says; is it left out?"""
        app: Any = self
        return await leave_out_undecodable(app, stream, cursor, record, error, self._letters_of)

    def _letters_of(self, reader: str) -> DeadLetters:
        app: Any = self
        return self._letters.setdefault(reader, DeadLetters(app, reader))

    # -- tables ----------------------------------------------------------------------------------

    def on_sensors_changed(self) -> None:
        """Other sensors want to know of other things."""
        self.watch_tables()
        if self.connection is not None:
            self._watch_sends(self.connection.outbox)

    def watch_tables(self) -> None:
        """Let tables tell of every access, where somebody wants to know."""
        from faust.tables.watched import watch

        for table in self.tables.values():
            table.check_use()
            watch(table, sensors=self.sensors.table_hooks is not None)

    def agents_naming(self, table: str) -> set[str]:
        """Return the names of the agents whose code refers to a table."""
        return set() if self.engine is None else self.engine.sharing.agents_naming(table)

    def share_table(self, run: TaskRun, writer: str, others: set[str]) -> None:
        """These readers write one table: let them into an event one at a time from now on."""
        if self.engine is not None:
            active = [task.run for task in self.engine.tasks.values()]
            self.engine.sharing.learn(run, writer, others, active)
