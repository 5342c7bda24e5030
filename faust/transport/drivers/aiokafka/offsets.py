"""ListOffsets and DeleteRecords: what leaders are asked about the ends of their logs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping

from aiokafka.protocol.admin import DeleteRecordsRequest
from aiokafka.protocol.offset import OffsetRequest

from faust._values import TP
from faust.exceptions import BrokerError, OffsetOutOfRange, RetryableError, UnknownTopic
from faust.transport.base import EARLIEST, LATEST
from faust.transport.drivers.aiokafka.cluster import Cluster, Leader
from faust.transport.drivers.aiokafka.errors import (
    FOREIGN,
    NO_ERROR,
    OFFSET_OUT_OF_RANGE,
    TOPIC_GONE,
    error_for,
    may_be_retried,
    name_of,
)
from faust.transport.drivers.aiokafka.patience import Patience

__all__ = ["delete_records", "list_offsets", "out_of_range"]

#: After so long without an answer, it is asked who leads by now.
_ANSWER_SECONDS = 5.0

_Answers = dict[TP, tuple[int, int]]  # error code, offset


async def list_offsets(cluster: Cluster, tps: Collection[TP], at: int) -> dict[TP, int]:
    """See `faust.transport.base.Transport.offsets`."""
    seconds = min(_ANSWER_SECONDS, cluster.options.request_timeout)

    async def ask(node: int, tps: list[TP]) -> _Answers:
        request = OffsetRequest(-1, 0, _by_topic(dict.fromkeys(tps, at)))
        answer = await cluster.connections.send(node, request, timeout=seconds)
        return {
            TP(topic, partition): (code, offset)
            for topic, partitions in answer.topics
            for partition, code, _, offset in partitions
        }

    found = await _ask_leaders(cluster, tps, ask, "listing offsets")
    nothing_later = [tp for tp, offset in found.items() if offset < 0]
    if at != LATEST and nothing_later:
        found |= await list_offsets(cluster, nothing_later, LATEST)
    return found


async def out_of_range(cluster: Cluster, tp: TP, position: int) -> OffsetOutOfRange | None:
    """Ask a partition's leader whether a position is in its log; ``None`` if so, or if it is gone.

    Raises:
        BrokerError: it cannot be found out now.
    """
    first = await list_offsets(cluster, [tp], EARLIEST)
    end = await list_offsets(cluster, [tp], LATEST)
    if tp not in first or tp not in end or first[tp] <= position <= end[tp]:
        return None
    return OffsetOutOfRange(tp, position, first=first[tp], end=end[tp])


async def delete_records(cluster: Cluster, before: Mapping[TP, int]) -> dict[TP, int]:
    """See `faust.transport.base.Transport.delete_records`."""
    timeout_ms = int(cluster.options.request_timeout * 1000)

    async def ask(node: int, tps: list[TP]) -> _Answers:
        topics = _by_topic({tp: before[tp] for tp in tps})
        answer = await cluster.connections.send(node, DeleteRecordsRequest(topics, timeout_ms, {}))
        return {
            TP(topic, partition): (code, low)
            for topic, partitions, *_ in answer.topics
            for partition, low, code, *_ in partitions
        }

    def refuse(tp: TP, code: int) -> BrokerError:
        if code == OFFSET_OUT_OF_RANGE:
            return OffsetOutOfRange(tp, before[tp])
        return error_for(code, f"deleting records of {tp}")

    found = await _ask_leaders(cluster, list(before), ask, "deleting records", refuse)
    for tp in before:
        if tp not in found:
            raise UnknownTopic(f"deleting records: there is no {tp}")
    return found


def _by_topic(values: Mapping[TP, int]) -> list[tuple[str, list[tuple[int, int]]]]:
    topics: dict[str, list[tuple[int, int]]] = {}
    for tp, value in values.items():
        topics.setdefault(tp.topic, []).append((tp.partition, value))
    return list(topics.items())


async def _ask_leaders(
    cluster: Cluster,
    tps: Collection[TP],
    ask: Callable[[int, list[TP]], Awaitable[_Answers]],
    what: str,
    refuse: Callable[[TP, int], BrokerError] | None = None,
) -> dict[TP, int]:
    """Ask the leader of each partition, going after leaders that move; the missing are left out."""
    patience = Patience(what, cluster.options.request_timeout, cluster.options.clock)
    found: dict[TP, int] = {}
    todo = set(tps)
    while todo:
        leaders = await cluster.leaders(todo)
        todo &= leaders.keys()
        failure: BaseException = ConnectionError("a partition has no leader")
        asked = [ask(node, parts) for node, parts in _by_node(todo, leaders).items()]
        for answers in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(answers, BaseException):
                if not isinstance(answers, FOREIGN):
                    raise answers
                failure = answers
                continue
            for tp, (code, offset) in answers.items():
                if code == NO_ERROR:
                    found[tp] = offset
                    todo.discard(tp)
                elif code in TOPIC_GONE:  # the next look at the metadata tells
                    failure = RetryableError(f"{what} of {tp}: {name_of(code)}")
                elif may_be_retried(code):
                    failure = error_for(code, f"{what} of {tp}")
                else:
                    raise refuse(tp, code) if refuse else error_for(code, f"{what} of {tp}")
        if todo:
            await patience.after(failure)
    return found


def _by_node(todo: Collection[TP], leaders: Mapping[TP, Leader | None]) -> dict[int, list[TP]]:
    nodes: dict[int, list[TP]] = {}
    for tp in sorted(todo):
        leader = leaders[tp]
        if leader is not None:
            nodes.setdefault(leader.node, []).append(tp)
    return nodes
