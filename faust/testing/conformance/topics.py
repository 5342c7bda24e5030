"""Topics: creation with configuration, partitions added, deletion; what asking never does."""

from __future__ import annotations

import pytest

from faust._values import TP
from faust.exceptions import UnknownTopic
from faust.testing.conformance.base import Suite, World, scenario
from faust.transport.base import EARLIEST, LATEST, TopicSpec
from faust.transport.records import Item

__all__ = ["AutoCreateConformance", "TopicConformance"]


class TopicConformance(Suite):
    """What holds of topics on every broker."""

    @scenario
    async def test_a_created_topic_is_known_with_its_partitions(self, world: World) -> None:
        transport = await world.transport()
        name = world.name("topic")
        await transport.create_topic(TopicSpec(name, 3))
        info = (await transport.topics([name]))[name]
        assert (info.name, info.partitions, info.internal) == (name, 3, False)
        assert name in await transport.topics()

    @scenario
    async def test_asking_for_a_topic_does_not_create_it(self, world: World) -> None:
        transport = await world.transport()
        name = world.name("topic")
        assert await transport.topics([name]) == {}
        assert name not in await transport.topics()
        assert await transport.offsets([TP(name, 0)], LATEST) == {}

    @scenario
    async def test_configuration_is_kept_and_defaults_are_filled_in(self, world: World) -> None:
        transport = await world.transport()
        given = {
            "cleanup.policy": "compact",
            "min.compaction.lag.ms": "86400000",
            "message.timestamp.type": "LogAppendTime",
        }
        name = await world.topic(transport, config=given)
        config = await transport.topic_config(name)
        assert {entry: config[entry] for entry in given} == given
        assert config["delete.retention.ms"] == "86400000"
        assert config["max.message.bytes"] == "1048588"

    @scenario
    async def test_altered_entries_change_and_the_others_stay(self, world: World) -> None:
        transport = await world.transport()
        name = await world.topic(transport, config={"retention.ms": "5000"})
        await transport.alter_topic_config(name, {"cleanup.policy": "compact"})
        config = await transport.topic_config(name)
        assert (config["cleanup.policy"], config["retention.ms"]) == ("compact", "5000")

    @scenario
    async def test_added_partitions_can_be_used(self, world: World) -> None:
        transport = await world.transport()
        name = await world.topic(transport, partitions=1)
        await world.append(transport, TP(name, 0), _item(world, b"old"))
        await transport.create_partitions(name, 3)
        assert (await transport.topics([name]))[name].partitions == 3
        placed = await world.append(transport, TP(name, 2), _item(world, b"new"))
        assert placed.base_offset == 0
        assert [r.value for r in await world.read(transport, TP(name, 0))] == [b"old"]
        assert [r.value for r in await world.read(transport, TP(name, 2))] == [b"new"]

    @scenario
    async def test_a_deleted_topic_is_gone(self, world: World) -> None:
        transport = await world.transport()
        name = await world.topic(transport)
        await transport.delete_topic(name)
        assert await transport.topics([name]) == {}
        with pytest.raises(UnknownTopic):
            await transport.delete_topic(name)

    @scenario
    async def test_a_topic_created_anew_is_empty_and_has_another_id(self, world: World) -> None:
        transport = await world.transport()
        name = await world.topic(transport)
        await world.append(transport, TP(name, 0), _item(world, b"v"))
        before = (await transport.topics([name]))[name]
        await transport.delete_topic(name)
        await transport.create_topic(TopicSpec(name, 1))
        after = (await transport.topics([name]))[name]
        assert before.topic_id != after.topic_id
        assert await transport.offsets([TP(name, 0)], EARLIEST) == {TP(name, 0): 0}
        assert await transport.offsets([TP(name, 0)], LATEST) == {TP(name, 0): 0}

    @scenario
    async def test_the_cluster_says_the_same_id_to_all(self, world: World) -> None:
        one, other = await world.transport(), await world.transport()
        assert await one.cluster_id()
        assert await one.cluster_id() == await other.cluster_id()


class AutoCreateConformance(Suite):
    """Embedded brokers create a topic when it is first used."""

    @scenario
    async def test_producing_to_an_unknown_topic_creates_it(self, world: World) -> None:
        transport = await world.transport(default_partitions=5)
        tp = TP(world.name("topic"), 4)
        await world.append(transport, tp, _item(world, b"v"))
        assert (await transport.topics([tp.topic]))[tp.topic].partitions == 5

    @scenario
    async def test_fetching_from_an_unknown_topic_creates_it(self, world: World) -> None:
        transport = await world.transport(default_partitions=2)
        tp = TP(world.name("topic"), 1)
        reader = world.reader(transport)
        reader.assign({tp: 0})
        assert (await reader.fetch(0.0)).errors == {}
        assert (await transport.topics([tp.topic]))[tp.topic].partitions == 2
        await world.append(transport, tp, _item(world, b"v"))
        assert len((await reader.fetch(5.0)).batches) == 1


def _item(world: World, value: bytes) -> Item:
    """Return a record of now: what is old may be removed by the broker at any moment."""
    return Item(b"k", value, int(world.clock().time() * 1000))
