"""Settings of sending."""

from __future__ import annotations

from faust.settings.kinds import Choice, Duration, Int
from faust.settings.lazy_kinds import ClassPath
from faust.settings.params import Section, setting

__all__ = ["ProducerSettings"]


class ProducerSettings(Section, title="Producer"):
    """How messages are sent: in batches, one for each partition."""

    producer_acks = setting(
        Int(-1, 1, words={"all": -1}),
        default=-1,
        env="PRODUCER_ACKS",
        text="""Who has to have a message before it counts as sent: all replicas (-1, or ``all``),
        the leader (1), or nobody (0). Only -1 keeps the promise that nothing is lost. Changelogs
        of tables are always written with -1.""",
    )
    producer_compression_type = setting(
        Choice("gzip", "snappy", "lz4", "zstd"),
        default=None,
        env="PRODUCER_COMPRESSION_TYPE",
        text="How batches are compressed: gzip, snappy, lz4, zstd; not at all by default.",
    )
    producer_linger = setting(
        Duration(),
        default=0.005,
        env="PRODUCER_LINGER",
        in_milliseconds="producer_linger_ms",
        text="""Seconds that a message may wait for others to fill its batch. The default of 5 ms
        costs a reply at most that, and lets a busy partition send one batch where it would send
        hundreds; it was 0.""",
    )
    producer_max_batch_size = setting(
        Int(1),
        default=131_072,
        env="PRODUCER_MAX_BATCH_SIZE",
        text="""Bytes at which a batch is full and sent without further waiting. The default is
        larger than the 16,384 it was: the cost of a batch does not depend on its size, and a batch
        is never waited for longer than ``producer_linger``.""",
    )
    producer_max_request_size = setting(
        Int(1),
        default=1_000_000,
        env="PRODUCER_MAX_REQUEST_SIZE",
        text="""Largest number of bytes of a message, and of a request. Brokers have a limit of
        their own (Kafka: ``message.max.bytes``).""",
    )
    producer_partitioner = setting(
        ClassPath(),
        default=None,
        since="1.2",
        text="""A function ``(key, all_partitions, available_partitions)`` that returns the
        partition for a key, or its path. By default it is Kafka's own choice (murmur2 of the
        key).""",
    )
    producer_request_timeout = setting(
        Duration(above_zero=True),
        default=1200.0,
        env="PRODUCER_REQUEST_TIMEOUT",
        since="1.4",
        text="Seconds after which a message that could not be delivered is given up.",
    )
    producer_metadata_max_age_ms = setting(
        Int(1),
        default=300_000,
        env="PRODUCER_METADATA_MAX_AGE_MS",
        since="0.8.5",
        text="""Milliseconds after which brokers, topics and partitions are asked for again. One
        client reads and writes: the smaller of this and ``consumer_metadata_max_age_ms``
        counts.""",
    )
    producer_connections_max_idle_ms = setting(
        Int(1),
        default=540_000,
        env="PRODUCER_CONNECTIONS_MAX_IDLE_MS",
        since="0.8.5",
        text="""Milliseconds after which a connection without requests is closed. One client reads
        and writes: the smaller of this and ``consumer_connections_max_idle_ms`` counts.""",
    )
