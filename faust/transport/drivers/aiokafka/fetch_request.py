"""One fetch: partitions of one node, by topic id where it can (KIP-516), and what it answers."""

from __future__ import annotations

from collections.abc import Sequence

from faust.transport.drivers.aiokafka.cluster import Cluster
from faust.transport.drivers.aiokafka.errors import NO_ERROR, error_for
from faust.transport.drivers.aiokafka.partitions import Partition
from faust.transport.drivers.aiokafka.wire import (
    FetchByIdRequest,
    FetchByNameRequest,
    FetchedPartition,
    FetchOptions,
    Wanted,
)

__all__ = ["Answered", "ask"]

#: By topic (id or name) and partition: the answer's bytes, and where in them the partition's are.
Answered = dict[tuple[str | bytes, int], tuple[bytes, FetchedPartition]]


async def ask(
    cluster: Cluster,
    node: int,
    lane: str,
    parts: Sequence[Partition],
    options: FetchOptions,
    max_partition_bytes: int,
) -> Answered:
    """Fetch what comes next of these partitions; each one's ``key`` finds its answer.

    Raises:
        BrokerError: the node refuses all of it.
        OSError, aiokafka.errors.KafkaError: see `errors.FOREIGN`.
    """
    connections = cluster.connections
    await connections.connection(node, lane)
    by_id = connections.supports(node, lane, 1, 13) and all(part.topic_id for part in parts)
    topics: dict[str | bytes, list[Wanted]] = {}
    for part in parts:
        topic = part.topic_id if by_id and part.topic_id else part.tp.topic
        part.key = (topic, part.tp.partition)
        leader = cluster.leader(part.tp)
        wanted = Wanted(
            part.tp.partition,
            -1 if leader is None else leader.epoch,
            part.fetch_position,
            max_partition_bytes,
        )
        topics.setdefault(part.key[0], []).append(wanted)
    kind = FetchByIdRequest if by_id else FetchByNameRequest
    answer = await connections.send(node, kind(options, list(topics.items())), lane=lane)
    if answer.error_code != NO_ERROR:
        raise error_for(answer.error_code, f"fetching from node {node}")
    return {(p.topic, p.partition): (answer.frame, p) for p in answer.partitions}
