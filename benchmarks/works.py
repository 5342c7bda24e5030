"""The works that are measured, and what must come of them (the table of the design)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Work:
    """One line of the table: a contender's work over a number of accounts."""

    name: str
    title: str
    #: What contenders call it; see `benchmarks.contenders.Run.work`.
    kind: str
    keys: int
    #: Of Kafka Streams' rate: what must be reached, and what we aim at.
    at_least: float
    aim: float


WORKS = (
    Work("decode", "decode to Record, no state", "decode", 1_000, 1.0, 1.3),
    Work("count", "count, 1,000 keys, memory", "count", 1_000, 1.2, 1.6),
    Work("count-200k", "count, 200,000 keys, memory", "count", 200_000, 1.0, 1.5),
    Work("count-rocksdb", "count, 200,000 keys, RocksDB", "count-rocksdb", 200_000, 0.8, 1.2),
    Work("forward", "forward to another topic", "forward", 1_000, 1.0, 1.3),
)

#: Restored changelog records a second that must be reached.
RESTORE_AT_LEAST = 300_000

#: Milliseconds from source to second topic at 1,000 events/s: p50 and p99.
LATENCY_AT_MOST = (5.0, 25.0)
