"""What must be there before the group is joined: topics, their partitions, their configuration.

Internal topics and changelogs are created; source topics belong to their producers and are only
looked for.  What contradicts itself (partition counts, cleanup policies) is refused here with one
sentence, before anything is read.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from collections.abc import Collection as AbstractCollection
from typing import TYPE_CHECKING, Any, TypeVar

from faust._machines.copartition import Together, copartition
from faust.agents.hints import tables_named_by
from faust.exceptions import (
    BrokerUnavailable,
    ImproperlyConfigured,
    InvalidTopic,
    PartitionsMismatch,
    TopicAuthorizationFailed,
    TopicExists,
    UnknownTopic,
)
from faust.transport.base import TopicSpec

if TYPE_CHECKING:
    from faust.agents.agent import Agent
    from faust.conductor import TopicConductor
    from faust.settings import Settings
    from faust.tables.base import Collection
    from faust.topics import Topic
    from faust.transport.base import TopicInfo, Transport

__all__ = ["Declarations"]

logger = logging.getLogger(__name__)

#: How long topics that are not there are waited for (seconds): a start ends within ten, with a
#: sentence that names them all.
PATIENCE = 8.0


T = TypeVar("T")


async def _heard_of(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask something about a topic that is there: another node of the cluster may not have heard of
    it yet, if it was made a moment ago.

    Raises:
        UnknownTopic: none has heard of it for long enough.
    """
    waited = 0.0
    while True:
        try:
            return await ask()
        except UnknownTopic:
            if waited >= PATIENCE:
                raise
        await asyncio.sleep(0.1)
        waited += 0.1


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
        #: Topics of our own, as they were declared.
        self._internal: Mapping[str, Topic[Any]] = {}
        self._older: set[str] = set()  # changelogs that were there before we looked

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
        self._internal = internal
        self._check_may_create()
        for name, topic in sorted(internal.items(), key=lambda pair: bool(pair[1].like)):
            await self._ensure_internal(name, topic)
        for table in self._tables.values():
            await self._ensure_changelog(table)
        self._check_together()
        return self.infos

    # -- source topics -----------------------------------------------------------------------

    async def _find_sources(self, names: AbstractCollection[str]) -> None:
        missing = sorted(set(names) - self.infos.keys())
        if not missing:
            return
        try:
            async with asyncio.timeout(PATIENCE):
                await self._wait_for_sources(missing)
        except TimeoutError:
            raise self._sources_missing(missing) from None
        except TopicAuthorizationFailed as exc:
            raise ImproperlyConfigured(
                f"topic {_listed(missing)} cannot be seen: {exc}. Let the app read it (ACLs "
                f"DESCRIBE and READ), or create it if it does not exist"
            ) from exc

    async def _wait_for_sources(self, missing: list[str]) -> None:
        """Wait until all are there; what has come is taken out of the list."""
        await asyncio.gather(*(self._transport.auto_create(name) for name in missing))
        is_told = False
        while True:
            self.infos.update(await self._transport.topics(missing))
            missing[:] = [name for name in missing if name not in self.infos]
            if not missing:
                return
            if not is_told:
                is_told = True
                logger.warning("Waiting for topic %s to be created", _listed(missing))
            await asyncio.sleep(0.5)

    def _sources_missing(self, names: list[str]) -> ImproperlyConfigured:
        partitions = self._conf.topic_partitions
        commands = "; ".join(_command(TopicSpec(name, partitions)) for name in names[:3])
        return ImproperlyConfigured(
            f"topic {_listed(names)} does not exist, and the broker does not create it by itself. "
            f"Source topics belong to their producers: create it ({commands}), or declare it as "
            f"yours with app.topic({names[0]!r}, internal=True)"
        )

    # -- our own -------------------------------------------------------------------------------

    def _check_may_create(self) -> None:
        """Where nothing may be created, name all that is missing, and how to create it.

        Raises:
            ImproperlyConfigured: something is.
        """
        if self._conf.topic_allow_declare:
            return
        if specs := self._missing():
            raise _absent(specs, " and topic_allow_declare is off: create it")

    def _missing(self) -> list[TopicSpec]:
        """Return what of our own is not there."""
        specs = [
            self._spec(name, topic, self._wanted(topic))
            for name, topic in self._internal.items()
            if name not in self.infos
        ]
        for table in self._tables.values():
            name = table.changelog_topic_name
            if name not in self.infos:
                wanted = table.partitions or self._feeding_partitions(table)
                specs.append(self._spec(name, table.changelog_topic, wanted))
        return specs

    def _wanted(self, topic: Topic[Any]) -> int | None:
        """Return how many partitions a topic must have; ``None``: as many as the settings say."""
        known = None if topic.like is None else self.infos.get(topic.like)
        return topic.partitions if known is None else known.partitions

    def _spec(self, name: str, topic: Topic[Any], partitions: int | None) -> TopicSpec:
        return TopicSpec(
            name,
            partitions or self._conf.topic_partitions,
            topic.replicas or self._conf.topic_replication_factor,
            topic.topic_config(),
        )

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
        grown = info is not None and table.partitions is None and info.partitions < (wanted or 0)
        if info is None:
            partitions = wanted or self._conf.topic_partitions
            info = await self.create(name, table.changelog_topic, partitions)
        elif wanted and info.partitions != wanted and not grown:
            raise PartitionsMismatch(
                f"the changelog of table {table.name!r}, topic {name!r}, has {info.partitions} "
                f"partitions, but must have {wanted}, as many as the topics of the agents that "
                f"write the table. Delete the topic to build the table anew, or raise the app's "
                f"version"
            )
        else:
            self._older.add(name)
            await self._check_changelog(table, name)
        table.partitions = info.partitions

    async def _check_changelog(self, table: Collection, name: str) -> None:
        config = await _heard_of(lambda: self._transport.topic_config(name))
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
            await _heard_of(lambda: self._transport.alter_topic_config(name, config))
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
        spec = self._spec(name, topic, partitions)
        if not self._conf.topic_allow_declare:
            raise _absent([spec], " and topic_allow_declare is off: create it")
        try:
            await self._transport.create_topic(spec)
            logger.info("Created topic %s with %d partitions", name, partitions)
        except TopicExists:
            pass
        except TopicAuthorizationFailed as exc:
            why = f", and we may not create it ({exc}): ask for it"
            raise _absent(self._missing() or [spec], why) from exc
        except InvalidTopic as exc:
            raise ImproperlyConfigured(
                f"topic {name!r} does not exist, and the broker refuses to create it with "
                f"{spec.partitions} partitions, {_replicas(spec)} and {dict(spec.config)}: {exc}. "
                f"Change topic_replication_factor, topic_partitions or the topic's declaration, or "
                f"create it yourself ({_command(spec)})"
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
            together=[relation for relation in self.together() if not self._has_grown(relation)],
        )

    def _has_grown(self, relation: Together) -> bool:
        """Were partitions added to a source whose table was there?  The old ones are processed."""
        topic, changelog = (self.infos.get(name) for name in relation.topics)
        return (
            changelog is not None
            and topic is not None
            and changelog.name in self._older
            and topic.partitions > changelog.partitions
        )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)


def _absent(specs: Sequence[TopicSpec], why: str) -> ImproperlyConfigured:
    """Return the error that names topics which are not there, and how to create each."""
    commands = "; ".join(_command(spec) for spec in specs)
    return ImproperlyConfigured(
        f"topic {_listed(spec.name for spec in specs)} does not exist{why} ({commands})"
    )


def _replicas(spec: TopicSpec) -> str:
    if spec.replicas < 1:
        return "as many replicas as the broker makes by default"
    return f"{spec.replicas} replicas"


def _command(spec: TopicSpec) -> str:
    """Return what creates a topic on Kafka, by hand."""
    replicas = "" if spec.replicas < 1 else f" --replication-factor {spec.replicas}"
    config = "".join(f" --config {key}={value}" for key, value in sorted(spec.config.items()))
    return (
        f"kafka-topics.sh --create --topic {spec.name} --partitions {spec.partitions}"
        f"{replicas}{config}"
    )
