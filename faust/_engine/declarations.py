"""What must be there before the group is joined: topics, their partitions, their configuration.

Internal topics and changelogs are created; source topics belong to their producers and are only
looked for.  What contradicts itself (partition counts, cleanup policies) is refused here with one
sentence, before anything is read.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection as AbstractCollection
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from faust._machines.copartition import Together, copartition
from faust.agents.hints import tables_named_by
from faust.exceptions import (
    BrokerUnavailable,
    ImproperlyConfigured,
    PartitionsMismatch,
    TopicAuthorizationFailed,
    TopicExists,
)

if TYPE_CHECKING:
    from faust.agents.agent import Agent
    from faust.conductor import TopicConductor
    from faust.settings import Settings
    from faust.tables.base import Collection
    from faust.topics import Topic
    from faust.transport.base import TopicInfo, Transport

__all__ = ["Declarations"]

logger = logging.getLogger(__name__)

#: How long a source topic that is not there is waited for (seconds).
PATIENCE = 10.0


class Declarations:
    """Looks for, creates and checks the topics of an app (on the I/O loop).

    Arguments:
        conf: The settings.
        transport: The broker.
        conductor: Knows which topics are read, by whom.
        tables: The app's tables.
        agents: The app's agents.
        extra: Further internal topics.
    """

    def __init__(
        self,
        conf: Settings,
        transport: Transport,
        conductor: TopicConductor,
        tables: Mapping[str, Collection],
        agents: Mapping[str, Agent],
        extra: Iterable[Topic[Any]],
    ) -> None:
        self._conf = conf
        self._transport = transport
        self._conductor = conductor
        self._tables = tables
        self._agents = agents
        self._extra = list(extra)
        self.infos: dict[str, TopicInfo] = {}

    async def ensure(self) -> dict[str, TopicInfo]:
        """See to it that every topic is there; return what the broker knows of them.

        Raises:
            ImproperlyConfigured: a topic is missing and may not be created; an impossible policy.
            PartitionsMismatch: partition counts that must be equal are not.
        """
        read: Any = self._conductor.topic_objects()
        objects: dict[Topic[Any], None] = dict.fromkeys([*read, *self._extra])
        internal = {name: t for t in objects if t.internal for name in t.topics}
        sources = {name for t in objects if not t.internal for name in t.topics} - internal.keys()
        changelogs = {table.changelog_topic_name for table in self._tables.values()}
        self.infos = await self._transport.topics([*internal, *sources, *changelogs])
        await self._find_sources(sources)
        for name, topic in sorted(internal.items(), key=lambda pair: bool(pair[1].like)):
            await self._ensure_internal(name, topic)
        for table in self._tables.values():
            await self._ensure_changelog(table)
        self._check_together()
        return self.infos

    # -- source topics -----------------------------------------------------------------------

    async def _find_sources(self, names: AbstractCollection[str]) -> None:
        missing = sorted(set(names) - self.infos.keys())
        for name in missing:
            await self._transport.auto_create(name)
        waited = 0.0
        while missing:
            self.infos.update(await self._transport.topics(missing))
            missing = [name for name in missing if name not in self.infos]
            if missing and waited >= PATIENCE:
                names_text = ", ".join(repr(name) for name in missing)
                raise ImproperlyConfigured(
                    f"topic {names_text} does not exist, and the broker does not create it by "
                    f"itself. Source topics belong to their producers: create it "
                    f"(kafka-topics.sh --create --topic {missing[0]} --partitions "
                    f"{self._conf.topic_partitions}), or declare it as yours with "
                    f"app.topic({missing[0]!r}, internal=True)"
                )
            if missing:
                if not waited:
                    logger.warning("Waiting for topic %s to be created", ", ".join(missing))
                await asyncio.sleep(0.5)
                waited += 0.5

    # -- our own -------------------------------------------------------------------------------

    async def _ensure_internal(self, name: str, topic: Topic[Any]) -> None:
        info = self.infos.get(name)
        if topic.like is not None:
            await self._ensure_like(name, topic, topic.like)
        elif info is None:
            await self.create(name, topic, topic.partitions or self._conf.topic_partitions)
        elif topic.partitions is not None and info.partitions != topic.partitions:
            raise PartitionsMismatch(
                f"topic {name!r} has {info.partitions} partitions, but is declared with "
                f"partitions={topic.partitions}: change the declaration, or delete the topic if "
                f"nothing in it is needed"
            )

    async def _ensure_like(self, name: str, topic: Topic[Any], source: str) -> None:
        """Events of one come back from the other, to the same task: that needs equal counts."""
        wanted, info = self.infos[source].partitions, self.infos.get(name)
        if info is None:
            await self.create(name, topic, wanted)
        elif info.partitions != wanted:
            raise PartitionsMismatch(
                f"retry topic {name!r} has {info.partitions} partitions, but must have {wanted}, "
                f"as many as {source!r}: let the agent handle what waits in it, then delete it; or "
                f"give the retry topic another name"
            )

    async def _ensure_changelog(self, table: Collection) -> None:
        name = table.changelog_topic_name
        info = self.infos.get(name)
        wanted = table.partitions or self._feeding_partitions(table)
        if info is None:
            partitions = wanted or self._conf.topic_partitions
            info = await self.create(name, table.changelog_topic, partitions)
        elif wanted and info.partitions != wanted:
            raise PartitionsMismatch(
                f"the changelog of table {table.name!r}, topic {name!r}, has {info.partitions} "
                f"partitions, but must have {wanted}, as many as the topics of the agents that "
                f"write the table. Delete the topic to build the table anew, or raise the app's "
                f"version"
            )
        else:
            await self._check_changelog(table, name)
        table.partitions = info.partitions

    async def _check_changelog(self, table: Collection, name: str) -> None:
        config = await self._transport.topic_config(name)
        if "delete" in config.get("cleanup.policy", "compact"):
            await self._alter(
                name, {"cleanup.policy": "compact"}, f"retention would delete live values of {name}"
            )
        wanted = {
            key: value
            for key, value in table.changelog_topic.topic_config().items()
            if key in ("message.timestamp.type", "min.compaction.lag.ms")
            and config.get(key) != value
        }
        if wanted:
            await self._alter(name, wanted, "what a dead worker left could not be taken back")

    async def _alter(self, name: str, config: Mapping[str, str], why: str) -> None:
        listed = ", ".join(f"{key}={value}" for key, value in config.items())
        try:
            await self._transport.alter_topic_config(name, config)
        except TopicAuthorizationFailed as exc:
            raise ImproperlyConfigured(
                f"changelog topic {name!r} must have {listed} ({why}), and we may not change it"
            ) from exc
        logger.warning("Changelog topic %s now has %s: otherwise %s", name, listed, why)

    async def create(self, name: str, topic: Topic[Any], partitions: int) -> TopicInfo:
        """Create one topic, if we may.

        Raises:
            ImproperlyConfigured: ``topic_allow_declare`` is off, or the broker refuses.
        """
        from faust.transport.base import TopicSpec

        if not self._conf.topic_allow_declare:
            raise ImproperlyConfigured(
                f"topic {name!r} does not exist and topic_allow_declare is off: create it with "
                f"{partitions} partitions and {topic.topic_config()}"
            )
        spec = TopicSpec(
            name,
            partitions,
            topic.replicas or self._conf.topic_replication_factor,
            topic.topic_config(),
        )
        try:
            await self._transport.create_topic(spec)
            logger.info("Created topic %s with %d partitions", name, partitions)
        except TopicExists:
            pass
        except TopicAuthorizationFailed as exc:
            raise ImproperlyConfigured(
                f"topic {name!r} does not exist, and we may not create it: ask for a topic with "
                f"{partitions} partitions and {spec.config}"
            ) from exc
        return await self._until_known(name)

    async def _until_known(self, name: str) -> TopicInfo:
        """A topic that was created a moment ago, by us or another worker: wait until it is seen."""
        waited = 0.0
        while True:
            self.infos.update(await self._transport.topics([name]))
            if name in self.infos:
                return self.infos[name]
            if waited >= PATIENCE:
                raise BrokerUnavailable(
                    f"topic {name!r} was created, and the broker does not show it after "
                    f"{waited:.0f} s"
                )
            await asyncio.sleep(0.1)
            waited += 0.1

    # -- what belongs together ---------------------------------------------------------------------

    def writers_of(self, table: Collection) -> list[Agent]:
        """Return the agents whose code names a table."""
        return [
            agent
            for agent in self._agents.values()
            if table.name in tables_named_by(agent.fun, self._tables)
        ]

    def read_by(self, agent: Agent) -> list[str]:
        """Return the topics on which an agent handles events (behind its ``group_by``)."""
        streams = [actor.stream for actor in agent.actors]
        channels = [(stream.forwarded_to or stream).channel for stream in streams]
        names = {
            name
            for channel in channels or [agent.channel]
            if getattr(channel, "is_topic", False)
            for name in channel.topics
        }
        return sorted(names)

    def _feeding_partitions(self, table: Collection) -> int | None:
        counts = {
            self.infos[name].partitions
            for agent in self.writers_of(table)
            if agent.concurrency == 1
            for name in self.read_by(agent)
            if name in self.infos
        }
        return counts.pop() if len(counts) == 1 else None

    def together(self) -> list[Together]:
        """Return which topics must have equal partition counts, and why."""
        found: list[Together] = []
        for table in self._tables.values():
            if table.is_global:
                continue
            for agent in self.writers_of(table):
                for name in self.read_by(agent):
                    reason = (
                        f"agent {agent.name!r} reads the first and uses table {table.name!r}, "
                        f"whose changelog is the second"
                    )
                    found.append(Together((name, table.changelog_topic_name), reason))
        return found

    def _check_together(self) -> None:
        changelogs = {t.changelog_topic_name for t in self._tables.values() if not t.is_global}
        copartition(
            {name: i.partitions for name, i in self.infos.items() if name not in changelogs},
            {name: i.partitions for name, i in self.infos.items() if name in changelogs},
            together=self.together(),
        )
