"""A partition's outgoing batches: order and sequence numbers, whatever comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from faust._values import TP
from faust.transport.drivers.aiokafka.lines import Line, Pending
from faust.transport.records import HEADER, Batch, new_builder

PRODUCER = 77


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture
def line(loop: asyncio.AbstractEventLoop) -> Line:
    line = Line(TP("topic", 0), idempotent=True)
    line.adopt(PRODUCER, 0)
    builder = new_builder(1000)
    builder.append(0, 0, None, b"v", [])
    line.append(Pending(line, builder, loop.create_future(), 0.0))
    (known,) = send(line)  # the first batch of an epoch goes alone
    line.acknowledge(known)
    line.next_sequence = 0
    for _ in range(4):
        builder = new_builder(1000)
        for number in range(3):
            builder.append(number, 0, None, b"v", [])
        line.append(Pending(line, builder, loop.create_future(), 0.0))
    return line


def send(line: Line) -> list[Pending]:
    sent = []
    while line.can_send:
        line.number_next()
        sent.append(line.take_next())
    return sent


def numbers(pending: Pending) -> tuple[int, int, int]:
    assert pending.data is not None
    assert Batch(TP("topic", 0), bytes(pending.data)).validate_crc()
    fields = HEADER.unpack_from(pending.data)
    return fields[9], fields[10], fields[11]


def test_batches_are_numbered_by_their_records_in_the_order_they_came(line: Line) -> None:
    assert [numbers(p) for p in send(line)] == [(PRODUCER, 0, 3 * n) for n in range(4)]


def test_the_first_batch_of_an_epoch_goes_alone(loop: asyncio.AbstractEventLoop) -> None:
    line = Line(TP("topic", 0), idempotent=True)
    line.adopt(PRODUCER, 0)
    for _ in range(3):
        builder = new_builder(1000)
        builder.append(0, 0, None, b"v", [])
        line.append(Pending(line, builder, loop.create_future(), 0.0))
    (first,) = send(line)
    line.acknowledge(first)
    assert len(send(line)) == 2


def test_what_came_back_is_sent_again_with_its_numbers_and_nothing_overtakes_it(line: Line) -> None:
    first, second, *rest = send(line)
    line.give_back(second, in_doubt=True)
    assert not line.can_send
    line.acknowledge(first)
    for pending in rest:
        assert not line.can_send
        line.give_back(pending, in_doubt=True)
    again = send(line)
    assert again == [second, *rest]
    assert [numbers(p) for p in again] == [(PRODUCER, 0, 3 * n) for n in (1, 2, 3)]


def test_out_of_sequence_for_the_first_batch_starts_an_epoch_with_it(line: Line) -> None:
    sent = send(line)
    for pending in sent:
        assert line.is_first(pending) is (pending is sent[0])
        line.give_back(pending, in_doubt=False, renumber=line.is_first(pending))
    (alone,) = send(line)
    assert alone is sent[0]
    line.acknowledge(alone)
    assert send(line) == sent[1:]
    assert [numbers(p) for p in sent] == [(PRODUCER, 1, 3 * n) for n in range(4)]


def test_a_batch_that_fails_takes_those_behind_it_along(line: Line) -> None:
    first, second, third, fourth = send(line)
    line.acknowledge(first)
    assert line.fail(second) == [second, third, fourth]
    assert line.is_empty
    # Answers to what was under way change nothing any more.
    assert not line.acknowledge(third)
    assert not line.give_back(fourth, in_doubt=True)
    assert (line.epoch, line.next_sequence) == (1, 0)


def test_a_batch_that_fails_before_its_predecessor_is_acknowledged_gives_its_numbers_back(
    line: Line,
) -> None:
    first, second, *_ = send(line)
    line.fail(second)
    assert not line.is_empty
    assert (line.epoch, line.next_sequence) == (0, second.sequence)
    line.acknowledge(first)
    assert line.is_empty


def test_sequence_numbers_begin_again_after_the_last_one(
    loop: asyncio.AbstractEventLoop, line: Line
) -> None:
    line.next_sequence = (1 << 31) - 4
    assert [numbers(p)[2] for p in send(line)] == [(1 << 31) - 4, (1 << 31) - 1, 2, 5]


def test_after_the_last_epoch_a_new_producer_id_is_taken(
    loop: asyncio.AbstractEventLoop, line: Line
) -> None:
    line.epoch = 32767
    sent = send(line)
    line.fail(sent[0])
    assert line.producer_id == -1
    line.adopt(PRODUCER + 1, 0)
    builder = new_builder(1000)
    builder.append(0, 0, None, b"v", [])
    line.append(Pending(line, builder, loop.create_future(), 0.0))
    assert [numbers(p) for p in send(line)] == [(PRODUCER + 1, 0, 0)]


def test_without_idempotence_one_batch_is_under_way_at_a_time(
    loop: asyncio.AbstractEventLoop,
) -> None:
    line = Line(TP("topic", 0), idempotent=False)
    for _ in range(2):
        builder = new_builder(1000)
        builder.append(0, 0, None, b"v", [])
        line.append(Pending(line, builder, loop.create_future(), 0.0))
    (first,) = send(line)
    assert numbers(first) == (-1, -1, -1)
    line.acknowledge(first)
    assert len(send(line)) == 1
