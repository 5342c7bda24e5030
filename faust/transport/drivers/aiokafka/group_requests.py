"""Requests of consumer groups that aiokafka lacks, or has without instance ids (see `requests`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka.errors import IncompatibleBrokerVersion
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Array,
    Boolean,
    Bytes,
    CompactArray,
    CompactBytes,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    String,
    TaggedFields,
)

__all__ = [
    "HeartbeatRequest",
    "JoinGroupRequest",
    "LeaveGroupRequest",
    "OffsetCommitRequest",
    "OffsetFetchRequest",
]

_TEXT = String("utf-8")
_COMPACT = CompactString("utf-8")
_TAGS = ("tags", TaggedFields)

# -- JoinGroup: v5 has static members (KIP-345), v9 skips the static leader's plan (KIP-814) ------


class JoinGroupResponse_v5(Response):
    API_KEY = 11
    API_VERSION = 5
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        ("generation", Int32),
        ("protocol", _TEXT),
        ("leader", _TEXT),
        ("member_id", _TEXT),
        ("members", Array(("member_id", _TEXT), ("instance_id", _TEXT), ("metadata", Bytes))),
    )


class JoinGroupResponse_v9(Response):
    API_KEY = 11
    API_VERSION = 9
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        ("generation", Int32),
        ("protocol_type", _COMPACT),
        ("protocol", _COMPACT),
        ("leader", _COMPACT),
        ("skip_assignment", Boolean),
        ("member_id", _COMPACT),
        (
            "members",
            CompactArray(
                ("member_id", _COMPACT),
                ("instance_id", _COMPACT),
                ("metadata", CompactBytes),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class JoinGroupRequest_v5(RequestStruct):
    API_KEY = 11
    API_VERSION = 5
    RESPONSE_TYPE = JoinGroupResponse_v5
    SCHEMA = Schema(
        ("group_id", _TEXT),
        ("session_timeout_ms", Int32),
        ("rebalance_timeout_ms", Int32),
        ("member_id", _TEXT),
        ("instance_id", _TEXT),
        ("protocol_type", _TEXT),
        ("protocols", Array(("name", _TEXT), ("metadata", Bytes))),
    )


class JoinGroupRequest_v9(RequestStruct):
    API_KEY = 11
    API_VERSION = 9
    RESPONSE_TYPE = JoinGroupResponse_v9
    FLEXIBLE_VERSION = True
    SCHEMA = Schema(
        ("group_id", _COMPACT),
        ("session_timeout_ms", Int32),
        ("rebalance_timeout_ms", Int32),
        ("member_id", _COMPACT),
        ("instance_id", _COMPACT),
        ("protocol_type", _COMPACT),
        ("protocols", CompactArray(("name", _COMPACT), ("metadata", CompactBytes), _TAGS)),
        ("reason", _COMPACT),  # v8 (KIP-800)
        _TAGS,
    )


class JoinGroupRequest(Request[JoinGroupRequest_v5 | JoinGroupRequest_v9]):
    """Take part in a round."""

    API_KEY = 11

    def __init__(
        self,
        group_id: str,
        *,
        session_timeout_ms: int,
        rebalance_timeout_ms: int,
        member_id: str,
        instance_id: str | None,
        protocol_type: str,
        protocols: Sequence[tuple[str, bytes]],
    ) -> None:
        self._head = (
            group_id,
            session_timeout_ms,
            rebalance_timeout_ms,
            member_id,
            instance_id,
            protocol_type,
        )
        self._protocols = protocols

    def build(self, request_struct_class: type[Any]) -> Any:
        if request_struct_class.API_VERSION == 5:
            return request_struct_class(*self._head, list(self._protocols))
        protocols: Any = [(name, metadata, {}) for name, metadata in self._protocols]
        return request_struct_class(*self._head, protocols, None, {})


# -- Heartbeat v3, LeaveGroup v3, OffsetCommit v7: with instance ids (KIP-345) --------------------


class HeartbeatResponse_v3(Response):
    API_KEY = 12
    API_VERSION = 3
    SCHEMA = Schema(("throttle_time_ms", Int32), ("error_code", Int16))


class HeartbeatRequest_v3(RequestStruct):
    API_KEY = 12
    API_VERSION = 3
    RESPONSE_TYPE = HeartbeatResponse_v3
    SCHEMA = Schema(
        ("group_id", _TEXT), ("generation", Int32), ("member_id", _TEXT), ("instance_id", _TEXT)
    )


class HeartbeatRequest(Request[HeartbeatRequest_v3]):
    """Say that a member lives."""

    API_KEY = 12

    def __init__(
        self, group_id: str, generation: int, member_id: str, instance_id: str | None
    ) -> None:
        self._fields = (group_id, generation, member_id, instance_id)

    def build(self, request_struct_class: type[Any]) -> Any:
        return request_struct_class(*self._fields)


class LeaveGroupResponse_v3(Response):
    API_KEY = 13
    API_VERSION = 3
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        (
            "members",
            Array(("member_id", _TEXT), ("instance_id", _TEXT), ("error_code", Int16)),
        ),
    )


class LeaveGroupRequest_v3(RequestStruct):
    API_KEY = 13
    API_VERSION = 3
    RESPONSE_TYPE = LeaveGroupResponse_v3
    SCHEMA = Schema(
        ("group_id", _TEXT), ("members", Array(("member_id", _TEXT), ("instance_id", _TEXT)))
    )


class LeaveGroupRequest(Request[LeaveGroupRequest_v3]):
    """Take a member out of its group."""

    API_KEY = 13

    def __init__(self, group_id: str, member_id: str, instance_id: str | None) -> None:
        self._fields = (group_id, [(member_id, instance_id)])

    def build(self, request_struct_class: type[Any]) -> Any:
        return request_struct_class(*self._fields)


class OffsetCommitResponse_v7(Response):
    API_KEY = 8
    API_VERSION = 7
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "topics",
            Array(
                ("name", _TEXT),
                ("partitions", Array(("partition", Int32), ("error_code", Int16))),
            ),
        ),
    )


class OffsetCommitRequest_v7(RequestStruct):
    API_KEY = 8
    API_VERSION = 7
    RESPONSE_TYPE = OffsetCommitResponse_v7
    SCHEMA = Schema(
        ("group_id", _TEXT),
        ("generation", Int32),
        ("member_id", _TEXT),
        ("instance_id", _TEXT),
        (
            "topics",
            Array(
                ("name", _TEXT),
                (
                    "partitions",
                    Array(
                        ("partition", Int32),
                        ("offset", Int64),
                        ("leader_epoch", Int32),
                        ("metadata", _TEXT),
                    ),
                ),
            ),
        ),
    )


class OffsetCommitRequest(Request[OffsetCommitRequest_v7]):
    """Commit offsets; ``offsets`` is topic -> [(partition, offset, metadata)]."""

    API_KEY = 8

    def __init__(
        self,
        group_id: str,
        generation: int,
        member_id: str,
        instance_id: str | None,
        offsets: Mapping[str, Sequence[tuple[int, int, str]]],
    ) -> None:
        self._head = (group_id, generation, member_id, instance_id)
        self._topics = [
            (topic, [(partition, offset, -1, text) for partition, offset, text in entries])
            for topic, entries in offsets.items()
        ]

    def build(self, request_struct_class: type[Any]) -> Any:
        return request_struct_class(*self._head, self._topics)


# -- OffsetFetch: v5 has the group's error (KIP-211), v7 waits for stable offsets (KIP-447) -------


class OffsetFetchResponse_v5(Response):
    API_KEY = 9
    API_VERSION = 5
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "topics",
            Array(
                ("name", _TEXT),
                (
                    "partitions",
                    Array(
                        ("partition", Int32),
                        ("offset", Int64),
                        ("leader_epoch", Int32),
                        ("metadata", _TEXT),
                        ("error_code", Int16),
                    ),
                ),
            ),
        ),
        ("error_code", Int16),
    )


class OffsetFetchResponse_v7(Response):
    API_KEY = 9
    API_VERSION = 7
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "topics",
            CompactArray(
                ("name", _COMPACT),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("offset", Int64),
                        ("leader_epoch", Int32),
                        ("metadata", _COMPACT),
                        ("error_code", Int16),
                        _TAGS,
                    ),
                ),
                _TAGS,
            ),
        ),
        ("error_code", Int16),
        _TAGS,
    )


class OffsetFetchRequest_v5(RequestStruct):
    API_KEY = 9
    API_VERSION = 5
    RESPONSE_TYPE = OffsetFetchResponse_v5
    SCHEMA = Schema(
        ("group_id", _TEXT), ("topics", Array(("name", _TEXT), ("partitions", Array(Int32))))
    )


class OffsetFetchRequest_v7(RequestStruct):
    API_KEY = 9
    API_VERSION = 7
    RESPONSE_TYPE = OffsetFetchResponse_v7
    FLEXIBLE_VERSION = True
    SCHEMA = Schema(
        ("group_id", _COMPACT),
        ("topics", CompactArray(("name", _COMPACT), ("partitions", CompactArray(Int32)), _TAGS)),
        ("require_stable", Boolean),
        _TAGS,
    )


class OffsetFetchRequest(Request[OffsetFetchRequest_v5 | OffsetFetchRequest_v7]):
    """Ask for committed offsets; ``None`` means all."""

    API_KEY = 9

    def __init__(
        self, group_id: str, topics: Mapping[str, Sequence[int]] | None, *, stable: bool
    ) -> None:
        self._group_id, self._topics, self._stable = group_id, topics, stable

    def build(self, request_struct_class: type[Any]) -> Any:
        topics = None if self._topics is None else list(self._topics.items())
        if request_struct_class.API_VERSION == 5:
            if self._stable:
                raise IncompatibleBrokerVersion("stable offsets need Kafka 2.5 or later")
            return request_struct_class(self._group_id, topics)
        tagged: Any = None if topics is None else [(name, list(ps), {}) for name, ps in topics]
        return request_struct_class(self._group_id, tagged, self._stable, {})
