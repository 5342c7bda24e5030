"""Requests of transactions that aiokafka lacks, or has without what we need (see `requests`).

AddPartitionsToTxn, AddOffsetsToTxn and EndTxn are aiokafka's (version 0: the later ones only name
some errors differently, up to those of KIP-890, which are another protocol).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)

__all__ = ["DescribeTransactionRequest", "InitProducerIdRequest", "TxnOffsetCommitRequest"]

_COMPACT = CompactString("utf-8")
_TAGS = ("tags", TaggedFields)

# -- InitProducerId v3: a producer names itself, to be told from a successor (KIP-360) ------------


class InitProducerIdResponse_v3(Response):
    API_KEY = 22
    API_VERSION = 3
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        ("producer_id", Int64),
        ("producer_epoch", Int16),
        _TAGS,
    )


class InitProducerIdRequest_v3(RequestStruct):
    API_KEY = 22
    API_VERSION = 3
    RESPONSE_TYPE = InitProducerIdResponse_v3
    FLEXIBLE_VERSION = True
    SCHEMA = Schema(
        ("transactional_id", _COMPACT),
        ("transaction_timeout_ms", Int32),
        ("producer_id", Int64),
        ("producer_epoch", Int16),
        _TAGS,
    )


class InitProducerIdRequest(Request[InitProducerIdRequest_v3]):
    """Take a transactional id over (-1, -1), or get the next epoch for who we are."""

    API_KEY = 22

    def __init__(self, name: str, timeout_ms: int, producer_id: int, epoch: int) -> None:
        self._fields = (name, timeout_ms, producer_id, epoch)

    def build(self, request_struct_class: type[Any]) -> Any:
        return request_struct_class(*self._fields, {})


# -- TxnOffsetCommit v3: fenced by member and generation (KIP-447) --------------------------------


class TxnOffsetCommitResponse_v3(Response):
    API_KEY = 28
    API_VERSION = 3
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "topics",
            CompactArray(
                ("name", _COMPACT),
                ("partitions", CompactArray(("partition", Int32), ("error_code", Int16), _TAGS)),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class TxnOffsetCommitRequest_v3(RequestStruct):
    API_KEY = 28
    API_VERSION = 3
    RESPONSE_TYPE = TxnOffsetCommitResponse_v3
    FLEXIBLE_VERSION = True
    SCHEMA = Schema(
        ("transactional_id", _COMPACT),
        ("group_id", _COMPACT),
        ("producer_id", Int64),
        ("producer_epoch", Int16),
        ("generation", Int32),
        ("member_id", _COMPACT),
        ("instance_id", _COMPACT),
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
                        _TAGS,
                    ),
                ),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class TxnOffsetCommitRequest(Request[TxnOffsetCommitRequest_v3]):
    """Let offsets be committed with a transaction; ``offsets`` as in `OffsetCommitRequest`."""

    API_KEY = 28

    def __init__(
        self,
        name: str,
        producer: tuple[int, int],
        group_id: str,
        member: tuple[int, str, str | None],
        offsets: Mapping[str, Sequence[tuple[int, int, str]]],
    ) -> None:
        self._head = (name, group_id, *producer, *member)
        self._topics: Any = [
            (topic, [(partition, offset, -1, text, {}) for partition, offset, text in entries], {})
            for topic, entries in offsets.items()
        ]

    def build(self, request_struct_class: type[Any]) -> Any:
        return request_struct_class(*self._head, self._topics, {})


# -- DescribeTransactions v0 (KIP-664) ------------------------------------------------------------


class DescribeTransactionsResponse_v0(Response):
    API_KEY = 65
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "transactions",
            CompactArray(
                ("error_code", Int16),
                ("transactional_id", _COMPACT),
                ("state", _COMPACT),
                ("timeout_ms", Int32),
                ("start_time_ms", Int64),
                ("producer_id", Int64),
                ("producer_epoch", Int16),
                (
                    "topics",
                    CompactArray(("name", _COMPACT), ("partitions", CompactArray(Int32)), _TAGS),
                ),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class DescribeTransactionsRequest_v0(RequestStruct):
    API_KEY = 65
    API_VERSION = 0
    RESPONSE_TYPE = DescribeTransactionsResponse_v0
    FLEXIBLE_VERSION = True
    SCHEMA = Schema(("transactional_ids", CompactArray(_COMPACT)), _TAGS)


class DescribeTransactionRequest(Request[DescribeTransactionsRequest_v0]):
    """Ask in which state one transactional id is."""

    API_KEY = 65

    def __init__(self, name: str) -> None:
        self._name = name

    def build(self, request_struct_class: type[Any]) -> Any:
        return request_struct_class([self._name], {})
