"""Settings of topics that the app makes."""

from __future__ import annotations

from faust.settings.kinds import Bool, Int
from faust.settings.params import Section, setting

__all__ = ["TopicSettings"]


class TopicSettings(Section, title="Topics"):
    """What new topics look like, and whether there may be any."""

    topic_partitions = setting(
        Int(1),
        default=8,
        env="TOPIC_PARTITIONS",
        renamed_from=("default_partitions",),
        text="""Number of partitions of new topics: the largest number of workers that can share
        the work. Tables must have as many as the topics they are written from.""",
    )
    topic_replication_factor = setting(
        Int(1),
        default=1,
        env="TOPIC_REPLICATION_FACTOR",
        renamed_from=("replication_factor",),
        text="""Number of brokers that keep a copy of new topics. On a cluster of three nodes
        or more it should be 3: with 1, a topic stands still while its node is away, and is lost
        with it.""",
    )
    topic_allow_declare = setting(
        Bool(),
        default=True,
        env="TOPIC_ALLOW_DECLARE",
        since="1.5",
        text="""Whether the app may make topics. If not, a topic that is missing stops it with a
        sentence that names the topic.""",
    )
    topic_disable_leader = setting(
        Bool(),
        default=False,
        env="TOPIC_DISABLE_LEADER",
        since="1.7",
        text="Whether to do without the topic by which a leader is chosen; then nobody is leader.",
    )
