"""Settings of reading."""

from __future__ import annotations

from faust.settings.kinds import Choice, Int, Text
from faust.settings.params import Section, setting

__all__ = ["ConsumerSettings"]


class ConsumerSettings(Section, title="Consumer"):
    """How messages are fetched."""

    consumer_auto_offset_reset = setting(
        Choice("earliest", "latest"),
        default="earliest",
        env="CONSUMER_AUTO_OFFSET_RESET",
        since="1.5",
        text="""Where reading begins on a partition that nothing has been committed for, or whose
        committed position is gone from the log.""",
    )
    consumer_max_fetch_size = setting(
        Int(1),
        default=1024**2,
        env="CONSUMER_MAX_FETCH_SIZE",
        since="1.4",
        text="Largest number of bytes to fetch from one partition in one request.",
    )
    consumer_group_instance_id = setting(
        Text(),
        default=None,
        env="CONSUMER_GROUP_INSTANCE_ID",
        since="2.1",
        text="""A name that stays with this worker and is no other's: as a static member of the
        group (KIP-345) it gets its partitions back after a restart within
        ``broker_session_timeout``, and nothing moves. So it does not leave the group when it stops;
        where it is not to come back, its partitions wait for that time before others get them.
        Two workers with one name put each other out.""",
    )
    consumer_metadata_max_age_ms = setting(
        Int(1),
        default=300_000,
        env="CONSUMER_METADATA_MAX_AGE_MS",
        since="0.8.5",
        text="""Milliseconds after which brokers, topics and partitions are asked for again; new
        partitions are seen within this time. One client reads and writes: the smaller of this
        and ``producer_metadata_max_age_ms`` counts.""",
    )
    consumer_connections_max_idle_ms = setting(
        Int(1),
        default=540_000,
        env="CONSUMER_CONNECTIONS_MAX_IDLE_MS",
        since="0.8.5",
        text="""Milliseconds after which a connection without requests is closed. One client reads
        and writes: the smaller of this and ``producer_connections_max_idle_ms`` counts.""",
    )
