"""The request versions that aiokafka lacks, written with its own struct types.

Each says where it comes from.  The oldest version named here is what Kafka 2.4 speaks, the newest
is what we need; what aiokafka has in a sufficient version is used from there.  Those of groups are
in `group_requests`; the two that carry records are in `wire`, where nothing is copied in vain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Array,
    Boolean,
    CompactArray,
    CompactString,
    Int8,
    Int16,
    Int32,
    Schema,
    String,
    TaggedFields,
)

__all__ = [
    "NO_TOPIC_ID",
    "CreateTopicsRequest",
    "IncrementalAlterConfigsRequest",
    "MetadataRequest",
]

_TEXT = String("utf-8")
_COMPACT = CompactString("utf-8")
_TAGS = ("tags", TaggedFields)

#: What the protocol sends where there is no topic id.
NO_TOPIC_ID = bytes(16)


class Uuid(AbstractType[bytes]):
    """Sixteen bytes (KIP-516: topic ids)."""

    @classmethod
    def encode(cls, value: bytes) -> bytes:
        return value

    @classmethod
    def decode(cls, data: BytesIO) -> bytes:
        return data.read(16)


# -- Metadata: v7 has leader epochs (KIP-320), v10 topic ids (KIP-516), v12 is its last change ----

_BROKERS = Array(("node_id", Int32), ("host", _TEXT), ("port", Int32), ("rack", _TEXT))
_BROKERS_FLEXIBLE = CompactArray(
    ("node_id", Int32), ("host", _COMPACT), ("port", Int32), ("rack", _COMPACT), _TAGS
)
_TOPICS_FLEXIBLE = CompactArray(
    ("error_code", Int16),
    ("name", _COMPACT),
    ("topic_id", Uuid),
    ("is_internal", Boolean),
    (
        "partitions",
        CompactArray(
            ("error_code", Int16),
            ("partition", Int32),
            ("leader", Int32),
            ("leader_epoch", Int32),
            ("replicas", CompactArray(Int32)),
            ("isr", CompactArray(Int32)),
            ("offline", CompactArray(Int32)),
            _TAGS,
        ),
    ),
    ("authorized_operations", Int32),
    _TAGS,
)


class MetadataResponse_v7(Response):
    API_KEY = 3
    API_VERSION = 7
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", _BROKERS),
        ("cluster_id", _TEXT),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("name", _TEXT),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline", Array(Int32)),
                    ),
                ),
            ),
        ),
    )


class MetadataResponse_v10(Response):
    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", _BROKERS_FLEXIBLE),
        ("cluster_id", _COMPACT),
        ("controller_id", Int32),
        ("topics", _TOPICS_FLEXIBLE),
        ("authorized_operations", Int32),
        _TAGS,
    )


class MetadataResponse_v12(Response):
    API_KEY = 3
    API_VERSION = 12
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", _BROKERS_FLEXIBLE),
        ("cluster_id", _COMPACT),
        ("controller_id", Int32),
        ("topics", _TOPICS_FLEXIBLE),
        _TAGS,
    )


class MetadataRequest_v7(RequestStruct):
    API_KEY = 3
    API_VERSION = 7
    RESPONSE_TYPE = MetadataResponse_v7
    SCHEMA = Schema(("topics", Array(_TEXT)), ("allow_auto_topic_creation", Boolean))


class MetadataRequest_v10(RequestStruct):
    API_KEY = 3
    API_VERSION = 10
    RESPONSE_TYPE = MetadataResponse_v10
    FLEXIBLE_VERSION = True
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", Uuid), ("name", _COMPACT), _TAGS)),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        _TAGS,
    )


class MetadataRequest_v12(RequestStruct):
    API_KEY = 3
    API_VERSION = 12
    RESPONSE_TYPE = MetadataResponse_v12
    FLEXIBLE_VERSION = True
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", Uuid), ("name", _COMPACT), _TAGS)),
        ("allow_auto_topic_creation", Boolean),
        ("include_topic_authorized_operations", Boolean),
        _TAGS,
    )


class MetadataRequest(Request[MetadataRequest_v7 | MetadataRequest_v10 | MetadataRequest_v12]):
    """Brokers, and these topics (``None``: all); asking creates none, unless told so."""

    API_KEY = 3

    def __init__(self, topics: Sequence[str] | None, *, create: bool = False) -> None:
        self.topics = topics
        self.create = create

    def build(self, request_struct_class: type[Any]) -> Any:
        version = request_struct_class.API_VERSION
        if version == 7:
            names = None if self.topics is None else list(self.topics)
            return request_struct_class(names, self.create)
        named: Any = None if self.topics is None else [(NO_TOPIC_ID, t, {}) for t in self.topics]
        flags = (False, False) if version == 10 else (False,)
        return request_struct_class(named, self.create, *flags, {})


# -- CreateTopics v4: the broker's own replication factor (KIP-464) -------------------------------


class CreateTopicsResponse_v4(Response):
    API_KEY = 19
    API_VERSION = 4
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("topics", Array(("name", _TEXT), ("error_code", Int16), ("error_message", _TEXT))),
    )


class CreateTopicsRequest_v4(RequestStruct):
    API_KEY = 19
    API_VERSION = 4
    RESPONSE_TYPE = CreateTopicsResponse_v4
    SCHEMA = Schema(
        (
            "topics",
            Array(
                ("name", _TEXT),
                ("partitions", Int32),
                ("replicas", Int16),
                ("assignments", Array(("partition", Int32), ("replicas", Array(Int32)))),
                ("configs", Array(("name", _TEXT), ("value", _TEXT))),
            ),
        ),
        ("timeout_ms", Int32),
        ("validate_only", Boolean),
    )


class CreateTopicsRequest(Request[CreateTopicsRequest_v4]):
    """Create one topic."""

    API_KEY = 19

    def __init__(
        self, name: str, partitions: int, replicas: int, config: Mapping[str, str], timeout_ms: int
    ) -> None:
        self._topic: tuple[Any, ...] = (name, partitions, replicas, [], list(config.items()))
        self._timeout_ms = timeout_ms

    def build(self, request_struct_class: type[Any]) -> Any:
        return request_struct_class([self._topic], self._timeout_ms, False)


# -- IncrementalAlterConfigs v0 (KIP-339) ---------------------------------------------------------


class IncrementalAlterConfigsResponse_v0(Response):
    API_KEY = 44
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "responses",
            Array(
                ("error_code", Int16),
                ("error_message", _TEXT),
                ("resource_type", Int8),
                ("resource_name", _TEXT),
            ),
        ),
    )


class IncrementalAlterConfigsRequest_v0(RequestStruct):
    API_KEY = 44
    API_VERSION = 0
    RESPONSE_TYPE = IncrementalAlterConfigsResponse_v0
    SCHEMA = Schema(
        (
            "resources",
            Array(
                ("resource_type", Int8),
                ("resource_name", _TEXT),
                ("configs", Array(("name", _TEXT), ("operation", Int8), ("value", _TEXT))),
            ),
        ),
        ("validate_only", Boolean),
    )


class IncrementalAlterConfigsRequest(Request[IncrementalAlterConfigsRequest_v0]):
    """Set these entries of a topic's configuration; others stay."""

    API_KEY = 44
    _TOPIC, _SET = 2, 0

    def __init__(self, topic: str, config: Mapping[str, str]) -> None:
        entries = [(name, self._SET, value) for name, value in config.items()]
        self._resource = (self._TOPIC, topic, entries)

    def build(self, request_struct_class: type[Any]) -> Any:
        return request_struct_class([self._resource], False)
