"""Topics: described, created, grown, configured, deleted; and the list of groups."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

from aiokafka.protocol.admin import (
    CreatePartitionsRequest,
    DeleteTopicsRequest,
    DescribeConfigsRequest,
    ListGroupsRequest,
)

from faust.exceptions import BrokerUnavailable, TopicAuthorizationFailed, TopicExists, UnknownTopic
from faust.transport.base import TopicInfo, TopicSpec
from faust.transport.drivers.aiokafka.cluster import Cluster, Topic
from faust.transport.drivers.aiokafka.errors import (
    FOREIGN,
    NO_ERROR,
    error_for,
    may_be_retried,
    name_of,
)
from faust.transport.drivers.aiokafka.patience import Patience
from faust.transport.drivers.aiokafka.requests import (
    NO_TOPIC_ID,
    CreateTopicsRequest,
    IncrementalAlterConfigsRequest,
)

__all__ = [
    "alter_topic_config",
    "create_partitions",
    "create_topic",
    "delete_topic",
    "describe_topics",
    "list_groups",
    "topic_config",
]

_LANE = "admin"
#: After so long without an answer, another node is asked.
_ANSWER_SECONDS = 15.0
_TOPIC = 2  # resource type
_TOPIC_AUTHORIZATION_FAILED = 29
_LOOK_SECONDS = 0.05
#: How long to wait until every node has heard of a change; one that is away hears of it later.
_SPREAD_SECONDS = 10.0


async def describe_topics(cluster: Cluster, names: Collection[str] | None) -> dict[str, TopicInfo]:
    """See `faust.transport.base.Transport.topics`."""
    topics = await cluster.ask(names)
    for name in names or ():
        if cluster.refusal(name) == _TOPIC_AUTHORIZATION_FAILED and name not in topics:
            raise TopicAuthorizationFailed(f"we may not describe topic {name!r}")
    return {name: _info(topic) for name, topic in topics.items()}


def _info(topic: Topic) -> TopicInfo:
    topic_id = ""
    if topic.topic_id != NO_TOPIC_ID:  # as Kafka's own tools print it
        topic_id = base64.urlsafe_b64encode(topic.topic_id).decode().rstrip("=")
    return TopicInfo(topic.name, topic_id, topic.partitions, topic.internal)


async def create_topic(cluster: Cluster, spec: TopicSpec) -> None:
    """See `faust.transport.base.Transport.create_topic`."""
    timeout_ms = int(cluster.options.request_timeout * 1000)
    request = CreateTopicsRequest(
        spec.name, spec.partitions, spec.replicas, spec.config, timeout_ms
    )
    what = f"creating topic {spec.name!r}"
    unsure = await _ask(cluster, request, what, _first_topic, forgive=TopicExists)
    if isinstance(unsure, TopicExists):
        raise unsure
    await _wait_until_spread(
        cluster,
        spec.name,
        lambda topic: topic is not None and len(topic.leaders) >= spec.partitions,
    )


async def create_partitions(cluster: Cluster, topic: str, total: int) -> None:
    """See `faust.transport.base.Transport.create_partitions`."""
    timeout_ms = int(cluster.options.request_timeout * 1000)
    request = CreatePartitionsRequest([(topic, (total, None))], timeout_ms, False)  # type: ignore[list-item]
    await _ask(cluster, request, f"adding partitions to topic {topic!r}", _first_topic)
    await _wait_until_spread(
        cluster, topic, lambda known: known is not None and len(known.leaders) >= total
    )


async def delete_topic(cluster: Cluster, topic: str) -> None:
    """See `faust.transport.base.Transport.delete_topic`."""
    timeout_ms = int(cluster.options.request_timeout * 1000)
    request = DeleteTopicsRequest([topic], timeout_ms)
    what = f"deleting topic {topic!r}"
    unsure = await _ask(cluster, request, what, _first_deleted, forgive=UnknownTopic)
    if isinstance(unsure, UnknownTopic):
        raise unsure
    await _wait_until_spread(cluster, topic, lambda known: known is None)


async def topic_config(cluster: Cluster, topic: str) -> dict[str, str]:
    """See `faust.transport.base.Transport.topic_config`."""
    request = DescribeConfigsRequest([(_TOPIC, topic, None)])
    found: dict[str, str] = {}

    def read(answer: Any) -> tuple[int, str | None]:
        code, message, _, _, entries = answer.resources[0]
        found.update({entry[0]: entry[1] for entry in entries if entry[1] is not None})
        return code, message

    await _ask(cluster, request, f"describing the configuration of topic {topic!r}", read)
    return found


async def alter_topic_config(cluster: Cluster, topic: str, config: Mapping[str, str]) -> None:
    """See `faust.transport.base.Transport.alter_topic_config`."""
    request = IncrementalAlterConfigsRequest(topic, config)
    what = f"configuring topic {topic!r}"
    await _ask(cluster, request, what, lambda answer: tuple(answer.responses[0][:2]))
    wanted = dict(config)
    patience = Patience(what, _SPREAD_SECONDS, cluster.options.clock)
    while not wanted.items() <= (await topic_config(cluster, topic)).items():
        try:  # values come back in the broker's own spelling: then waiting was enough
            await patience.after(TimeoutError("not visible yet"))
        except BrokerUnavailable:
            return


async def list_groups(cluster: Cluster) -> list[str]:
    """See `faust.transport.base.Transport.groups`."""
    await cluster.ask(())

    async def ask(node: int) -> list[str]:
        patience = Patience(
            "listing groups", cluster.options.request_timeout, cluster.options.clock
        )
        while True:
            try:
                answer = await cluster.connections.send(node, ListGroupsRequest(), lane=_LANE)
            except FOREIGN as exc:
                await patience.after(exc)
                continue
            if answer.error_code == NO_ERROR:
                return [group[0] for group in answer.groups]
            await patience.after(error_for(answer.error_code, "listing groups"))

    lists = await asyncio.gather(*(ask(node) for node in cluster.connections.nodes))
    return sorted({group for groups in lists for group in groups})


# -- inside ------------------------------------------------------------------------


def _first_topic(answer: Any) -> tuple[int, str | None]:
    topics = answer.topics if hasattr(answer, "topics") else answer.topic_errors
    _, code, message = topics[0]
    return code, message


def _first_deleted(answer: Any) -> tuple[int, str | None]:
    code: int = answer.topic_error_codes[0][1]
    return code, None


async def _ask(
    cluster: Cluster,
    request: Any,
    what: str,
    read: Callable[[Any], Any],
    *,
    forgive: type[Exception] | None = None,
) -> Exception | None:
    """Send a request to the controller until it is taken.

    When an earlier attempt was cut off, it may have been the one that did it: then ``forgive``, the
    error that says "it is so already", is no error.  Otherwise that error is returned.
    """
    patience = Patience(what, cluster.options.request_timeout, cluster.options.clock)
    cut_off = False
    while True:
        try:
            node = await _controller(cluster)
            seconds = min(_ANSWER_SECONDS, patience.remaining)
            answer = await cluster.connections.send(node, request, lane=_LANE, timeout=seconds)
        except (*FOREIGN, NotImplementedError) as exc:
            cut_off = True
            cluster.controller = -1
            await patience.after(exc)
            continue
        code, message = read(answer)
        if code == NO_ERROR:
            return None
        error = error_for(code, what, message)
        if forgive is not None and isinstance(error, forgive):
            return None if cut_off else error
        if not may_be_retried(code):
            raise error
        cut_off = cut_off or name_of(code) == "REQUEST_TIMED_OUT"
        cluster.controller = -1
        await patience.after(error)


async def _controller(cluster: Cluster) -> int:
    if cluster.controller not in cluster.connections.nodes:
        await cluster.ask(())
    if cluster.controller in cluster.connections.nodes:
        return cluster.controller
    return cluster.connections.likely_nodes()[0]


async def _wait_until_spread(
    cluster: Cluster, name: str, is_done: Callable[[Topic | None], bool]
) -> None:
    """Wait until every node that answers says so; then let the watchers know."""
    clock = cluster.options.clock
    deadline = clock.monotonic() + _SPREAD_SECONDS

    async def node_knows(node: int) -> bool:
        try:
            topics = await cluster.ask_node(node, [name])
        except FOREIGN:
            return True  # it is away, and will hear of it when it is back
        return is_done(topics.get(name))

    async def all_know() -> bool:
        asked: list[Awaitable[bool]] = [node_knows(node) for node in cluster.connections.nodes]
        return all(await asyncio.gather(*asked))

    while not await all_know() and clock.monotonic() < deadline:
        await clock.sleep(_LOOK_SECONDS)
    cluster.refresh_soon()
