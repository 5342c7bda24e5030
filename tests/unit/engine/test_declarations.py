"""Topics that are created and checked before the group is joined."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any, cast

import faust
from faust._engine.declarations import Declarations
from faust.exceptions import (
    ImproperlyConfigured,
    InvalidTopic,
    TopicAuthorizationFailed,
    TopicExists,
    UnknownTopic,
)
from faust.testing.clock import run_virtual
from faust.transport.base import TopicInfo, TopicSpec, Transport


class SlowToTell:
    """The topic exists, for somebody has just created it, and is shown a little later."""

    def __init__(self, looks: int) -> None:
        self.looks_until_shown = looks

    async def create_topic(self, spec: TopicSpec) -> None:
        raise TopicExists(spec.name)

    async def topics(self, names: Collection[str]) -> dict[str, TopicInfo]:
        self.looks_until_shown -= 1
        if self.looks_until_shown > 0:
            return {}
        return {name: TopicInfo(name, "id", 3) for name in names}


def test_a_topic_that_another_worker_has_just_created_is_waited_for() -> None:
    app = faust.App("declares", broker="memory://")
    topic: Any = app.topic("declares-changelog", internal=True)
    broker = SlowToTell(looks=3)
    declarations = Declarations(app.conf, cast(Transport, broker), app.topics, {}, {}, ())
    info = asyncio.run(declarations.create("declares-changelog", topic, 3))
    assert info.partitions == 3


# -- auto-creation x right to create x replication x partitions ------------------------------------


class Kafka:
    """A broker as far as topics go.

    Arguments:
        creates: Does it create unknown topics on first use?
        rights: May we create topics?
        nodes: How many replicas there can be.
    """

    def __init__(self, *, creates: bool = False, rights: bool = True, nodes: int = 1) -> None:
        self.creates, self.rights, self.nodes = creates, rights, nodes
        self.made: dict[str, TopicSpec] = {}

    async def topics(self, names: Collection[str]) -> dict[str, TopicInfo]:
        return {n: TopicInfo(n, "id", self.made[n].partitions) for n in names if n in self.made}

    async def auto_create(self, topic: str) -> bool:
        await asyncio.sleep(2)  # as long as the driver looks whether it is there
        if self.creates and topic not in self.made:
            self.made[topic] = TopicSpec(topic, 1)
        return self.creates

    async def create_topic(self, spec: TopicSpec) -> None:
        if not self.rights:
            raise TopicAuthorizationFailed(f"creating topic {spec.name!r}: TOPIC_AUTHORIZATION")
        if spec.replicas > self.nodes:
            raise InvalidTopic(f"Replication factor {spec.replicas} is larger than {self.nodes}")
        self.made[spec.name] = spec

    async def topic_config(self, topic: str) -> dict[str, str]:
        return dict(self.made[topic].config)


def declared(broker: Kafka, **settings: Any) -> str:
    """Let an app of two sources, a topic of its own and a table start; return why it could not.

    Within ten seconds, whatever is missing.
    """
    app = faust.App("declares", broker="memory://", **settings)
    orders, refunds = app.topic("orders"), app.topic("refunds")
    own = app.topic("own", internal=True, partitions=3)
    table: Any = app.Table("counts", partitions=3)

    @app.agent(own)
    async def read(stream: Any) -> None:
        pass

    for topic in (orders, refunds, own):
        app.topics.subscribe(topic, "read")
    declarations = Declarations(
        app.conf, cast(Transport, broker), app.topics, {"counts": table}, {}, ()
    )

    async def main() -> str:
        try:
            await declarations.ensure()
        except ImproperlyConfigured as exc:
            return str(exc)
        finally:
            assert asyncio.get_running_loop().time() < 10
        return ""

    return run_virtual(main())


def test_topics_are_created_as_declared_where_we_may() -> None:
    broker = Kafka(creates=True, nodes=3)
    assert not declared(broker, topic_replication_factor=3, topic_partitions=5)
    made = {name: (spec.partitions, spec.replicas) for name, spec in broker.made.items()}
    assert made == {
        "orders": (1, -1), "refunds": (1, -1), "own": (3, 3), "declares-counts-changelog": (3, 3),
    }  # fmt: skip
    assert broker.made["declares-counts-changelog"].config["cleanup.policy"] == "compact"


def test_sources_that_nobody_creates_are_all_named_with_how_to_create_them() -> None:
    told = declared(Kafka(creates=False), topic_partitions=5)
    assert "topic 'orders', 'refunds' does not exist" in told
    assert "kafka-topics.sh --create --topic orders --partitions 5" in told
    assert "--topic refunds" in told
    assert "internal=True" in told


def test_a_topic_of_ours_that_we_may_not_create_is_named_with_how_to_create_it() -> None:
    told = declared(Kafka(creates=True, rights=False), topic_replication_factor=2)
    assert (
        "topic 'own', 'declares-counts-changelog' does not exist, and we may not create it" in told
    )
    assert "--topic declares-counts-changelog" in told
    assert "--topic own --partitions 3 --replication-factor 2" in told


def test_a_replication_factor_that_the_cluster_cannot_have_is_named_with_the_setting() -> None:
    told = declared(Kafka(creates=True, nodes=1), topic_replication_factor=3)
    assert "topic 'own' does not exist, and the broker refuses to create it" in told
    assert "Replication factor 3 is larger than 1" in told
    assert "topic_replication_factor" in told


def test_without_leave_to_declare_all_of_ours_that_is_missing_is_named() -> None:
    told = declared(Kafka(creates=True), topic_allow_declare=False)
    assert "topic 'own', 'declares-counts-changelog' does not exist" in told
    assert "topic_allow_declare is off" in told
    assert "--topic declares-counts-changelog --partitions 3" in told
    assert "--config cleanup.policy=compact" in told


def test_without_leave_to_declare_nothing_is_missed_that_is_there() -> None:
    broker = Kafka(creates=True)
    assert not declared(broker)
    assert not declared(broker, topic_allow_declare=False)


def test_a_changelog_that_another_node_has_not_heard_of_yet_is_asked_for_again() -> None:
    """Workers that start together end each other: one makes the changelog, one looks at it."""

    class Late(Kafka):
        asked = 0

        async def topic_config(self, topic: str) -> dict[str, str]:
            self.asked += 1
            if self.asked < 4:
                raise UnknownTopic(topic)
            return await super().topic_config(topic)

    broker = Late(creates=True)
    assert not declared(broker)
    broker.asked = 0
    assert not declared(broker)
    assert broker.asked == 4
