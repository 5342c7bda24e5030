"""What we stand on inside aiokafka: when a new version moves one of these, this file says which."""

from __future__ import annotations

import inspect
from io import BytesIO
from typing import Any

import aiokafka
import pytest
from aiokafka import conn
from aiokafka.abc import AbstractTokenProvider
from aiokafka.protocol import admin, coordination, group, offset, produce, transaction, types
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c


def test_the_version_is_the_one_that_was_tested() -> None:
    assert aiokafka.__version__.startswith("0.14.")


def test_a_connection_takes_these_arguments() -> None:
    taken = set(inspect.signature(conn.AIOKafkaConnection).parameters)
    assert taken >= {
        "host",
        "port",
        "client_id",
        "request_timeout_ms",
        "max_idle_ms",
        "security_protocol",
        "ssl_context",
        "sasl_mechanism",
        "sasl_plain_username",
        "sasl_plain_password",
        "sasl_kerberos_service_name",
        "sasl_kerberos_domain_name",
        "sasl_oauth_token_provider",
    }
    assert set(inspect.signature(conn.AIOKafkaConnection.send).parameters) >= {"expect_response"}
    assert set(inspect.signature(conn.AIOKafkaConnection.close).parameters) >= {"reason"}
    assert inspect.iscoroutinefunction(conn.AIOKafkaConnection.connect)
    assert {"CONNECTION_TIMEOUT", "SHUTDOWN"} <= set(conn.CloseReason.__members__)


def test_a_connection_has_these_private_parts() -> None:
    source = inspect.getsource(conn.AIOKafkaConnection)
    for attribute in ("self._versions = {}", "self._reader", "self._writer = "):
        assert attribute in source
    assert "asyncio.StreamReader(limit=READER_LIMIT" in source


def test_a_frame_is_decoded_from_an_untouched_stream() -> None:
    # `wire` takes the whole frame back with `getvalue`, which copies nothing then.
    source = inspect.getsource(conn.AIOKafkaConnection._handle_frame)
    assert "io.BytesIO(resp)" in source
    assert "resp_type.decode(resp)" in source
    frame = b"x" * 1000
    assert BytesIO(frame).getvalue() is frame


def test_a_request_is_chosen_by_the_versions_of_its_union() -> None:
    class Answer(Response):
        API_KEY = 999
        API_VERSION = 1

    class Old(RequestStruct):
        API_KEY = 999
        API_VERSION = 1
        RESPONSE_TYPE = Answer

    class New(RequestStruct):
        API_KEY = 999
        API_VERSION = 7
        RESPONSE_TYPE = Answer
        FLEXIBLE_VERSION = True

    class Ask(Request[Old | New]):
        API_KEY = 999

        def build(self, request_struct_class: type[Any]) -> Any:
            return request_struct_class()

    assert isinstance(Ask().prepare({999: (0, 9)}), New)
    assert isinstance(Ask().prepare({999: (0, 6)}), Old)
    with pytest.raises(NotImplementedError):
        Ask().prepare({999: (8, 9)})
    assert New().build_request_header(5, "me").encode().endswith(b"\x00\x02me\x00")
    header: Any = Old().parse_response_header(BytesIO(b"\0\0\0\5"))
    assert header.correlation_id == 5


def test_the_request_classes_that_we_use_as_they_are_take_these_arguments() -> None:
    expected = {
        admin.CreatePartitionsRequest: ["topic_partitions", "timeout", "validate_only"],
        admin.DeleteTopicsRequest: ["topics", "timeout"],
        admin.DescribeConfigsRequest: ["resources", "include_synonyms"],
        admin.DeleteRecordsRequest: ["topics", "timeout_ms", "tags"],
        admin.ListGroupsRequest: [],
        coordination.FindCoordinatorRequest: ["coordinator_key", "coordinator_type"],
        group.SyncGroupRequest: [
            "group",
            "generation_id",
            "member_id",
            "group_instance_id",
            "group_assignment",
        ],
        offset.OffsetRequest: ["replica_id", "isolation_level", "topics"],
        transaction.InitProducerIdRequest: ["transactional_id", "transaction_timeout_ms"],
    }
    for kind, names in expected.items():
        found = [n for n in inspect.signature(kind).parameters if n not in ("args", "kwargs")]
        assert found == names, kind


def test_the_answers_that_we_read_have_these_fields() -> None:
    assert produce.ProduceResponse_v8.SCHEMA.names == ("topics", "throttle_time_ms")
    topics: Any = produce.ProduceResponse_v8.SCHEMA.fields[0]
    batch = topics.array_of.fields[1].array_of
    assert batch.names[:5] == ("partition", "error_code", "offset", "timestamp", "log_start_offset")
    assert batch.names[6] == "error_message"
    assert group.SyncGroupResponse_v3.SCHEMA.names[-1] == "member_assignment"
    assert coordination.FindCoordinatorResponse_v1.SCHEMA.names[3:] == (
        "coordinator_id",
        "host",
        "port",
    )


def test_the_types_of_flexible_requests_are_encoded_as_kafka_does() -> None:
    assert types.CompactString("utf-8").encode("ab") == b"\x03ab"
    assert types.CompactString("utf-8").encode(None) == b"\x00"
    assert types.CompactBytes.encode(b"ab") == b"\x03ab"
    assert types.CompactArray(types.Int32).encode([1]) == b"\x02\0\0\0\1"
    assert types.CompactArray(types.Int32).encode(None) == b"\x00"
    assert types.TaggedFields.encode({}) == b"\x00"


def test_token_providers_are_of_aiokafka_s_own_class_and_records_have_these_helpers() -> None:
    assert inspect.iscoroutinefunction(AbstractTokenProvider.token)
    assert calc_crc32c(b"123456789") == 0xE3069283
    assert not MemoryRecords(b"").has_next()
