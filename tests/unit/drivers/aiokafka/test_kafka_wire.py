"""Fetch and Produce on the wire, and what the reader makes of answers."""

from __future__ import annotations

import struct
from io import BytesIO

from aiokafka.protocol.fetch import FetchRequest_v11 as TheirFetchRequest
from aiokafka.protocol.fetch import FetchResponse_v11 as TheirFetchResponse
from aiokafka.protocol.produce import ProduceRequest_v8 as TheirProduceRequest

from faust.transport.drivers.aiokafka.wire import (
    FetchAnswer,
    FetchAnswer_v13,
    FetchOptions,
    FetchRequest_v11,
    FetchRequest_v13,
    ProduceRequest_v8,
    Wanted,
)

OPTIONS = FetchOptions(250, 1000, True)


def test_a_fetch_by_name_is_the_one_that_struct_types_would_write() -> None:
    ours = FetchRequest_v11(OPTIONS, [("töpic", [Wanted(1, 5, 42, 99), Wanted(2, -1, 7, 99)])])
    partitions = [(1, 5, 42, -1, 99), (2, -1, 7, -1, 99)]
    theirs = TheirFetchRequest(-1, 250, 1, 1000, 1, 0, -1, [("töpic", partitions)], [], "")
    assert ours.encode() == theirs.encode()


def test_a_fetch_by_id_is_what_the_protocol_says() -> None:
    topic_id = bytes(range(16))
    ours = FetchRequest_v13(OPTIONS, [(topic_id, [Wanted(1, 5, 42, 99)])]).encode()
    head = struct.pack(">iiiibii", -1, 250, 1, 1000, 1, 0, -1)
    partition = struct.pack(">iiqiqi", 1, 5, 42, -1, -1, 99) + b"\0"
    assert ours == head + b"\2" + topic_id + b"\2" + partition + b"\0" + b"\1" + b"\1" + b"\0"


def test_a_produce_request_is_the_one_that_struct_types_would_write() -> None:
    batches: list[tuple[int, bytes | bytearray]] = [(0, b"abc"), (3, bytearray(b"defg"))]
    topics = [("topic", batches), ("other", [(1, b"")])]
    for name in (None, "transactional"):
        ours = ProduceRequest_v8(-1, 5000, topics, name)
        theirs = TheirProduceRequest(name, -1, 5000, topics)
        assert ours.encode() == theirs.encode()


def test_an_answer_by_name_is_found_in_its_frame() -> None:
    frame = (
        b"\0\0\0\7"
        + TheirFetchResponse(
            0,
            0,
            0,
            [
                (
                    "a",
                    [
                        (0, 0, 10, 9, 1, [(5, 2), (6, 3)], -1, b"batches"),
                        (1, 6, -1, -1, -1, None, -1, None),
                    ],
                ),
                ("b", [(4, 0, 3, 3, 0, [], -1, b"")]),
            ],
        ).encode()
    )
    stream = BytesIO(frame)
    stream.read(4)
    answer = FetchAnswer.decode(stream)
    assert answer.frame is frame
    assert answer.error_code == 0
    first, second, third = answer.partitions
    assert first[:6] == ("a", 0, 0, 10, 9, 1)
    assert first.aborted == [(5, 2), (6, 3)]
    assert frame[first.start : first.end] == b"batches"
    assert (second.partition, second.error_code, second.aborted) == (1, 6, [])
    assert second.start == second.end
    assert (third.topic, third.partition, third.end - third.start) == ("b", 4, 0)


def test_an_answer_by_id_is_found_in_its_frame_with_tags_of_any_kind() -> None:
    topic_id = bytes(range(16))
    big = b"x" * 300
    frame = b"\0\0\0\7\0"  # correlation id, tags
    frame += struct.pack(">ihi", 0, 0, 0) + b"\2" + topic_id + b"\3"
    frame += struct.pack(">ihqqq", 0, 0, 10, 9, 1)
    frame += b"\2" + struct.pack(">qq", 5, 2) + b"\0" + struct.pack(">i", -1)
    frame += bytes([(301 & 0x7F) | 0x80, 301 >> 7]) + big
    frame += b"\1\1\2zz"  # one tag, number 1, two bytes
    frame += struct.pack(">ihqqq", 1, 6, -1, -1, -1) + b"\0" + struct.pack(">i", -1) + b"\0" + b"\0"
    frame += b"\0" + b"\0"
    stream = BytesIO(frame)
    stream.read(5)
    answer = FetchAnswer_v13.decode(stream)
    first, second = answer.partitions
    assert first[:6] == (topic_id, 0, 0, 10, 9, 1)
    assert first.aborted == [(5, 2)]
    assert frame[first.start : first.end] == big
    assert (second.partition, second.error_code, second.aborted) == (1, 6, [])
