"""What a reader keeps of a partition, and hands out."""

from __future__ import annotations

from faust._values import TP
from faust.exceptions import CorruptRecord, UnknownTopic
from faust.transport.drivers.aiokafka.partitions import Delivery, Partition
from faust.transport.records import Batch, build_batch, with_base_offset

TOPIC = TP("topic", 0)


def batch(base: int, *, damaged: bool = False) -> Batch:
    data = bytearray(with_base_offset(build_batch([(None, b"v", 0)]), base))
    if damaged:
        data[-1] ^= 1
    return Batch(TOPIC, bytes(data))


def test_answers_are_handed_out_in_order_and_the_position_follows() -> None:
    part = Partition(TOPIC, 0)
    part.add([batch(0)], 1, 100)
    part.add([batch(1)], 5, 50)
    assert (part.position, part.fetch_position, part.unread_bytes) == (0, 5, 150)
    delivery = Delivery(1000, check_crcs=True)
    delivery.take(part)
    assert [b.base_offset for b in delivery.fetched.batches] == [0, 1]
    assert delivery.fetched.positions == {TOPIC: 5}
    assert (part.position, part.unread_bytes, part.has_news) == (5, 0, False)


def test_an_answer_that_says_nothing_new_is_no_news() -> None:
    part = Partition(TOPIC, 3)
    part.add([], 3, 80)
    assert not part.has_news
    assert part.unread_bytes == 0


def test_a_full_delivery_leaves_the_rest() -> None:
    part = Partition(TOPIC, 0)
    for offset in range(3):
        part.add([batch(offset)], offset + 1, 100)
    delivery = Delivery(150, check_crcs=True)
    delivery.take(part)
    assert delivery.is_full
    assert part.position == 2
    assert part.has_news


def test_an_error_comes_once_and_after_the_data_before_it() -> None:
    part = Partition(TOPIC, 0)
    part.add([batch(0)], 1, 100)
    part.add([batch(1)], 2, 100)
    part.error = UnknownTopic("gone")
    delivery = Delivery(50, check_crcs=True)
    delivery.take(part)
    assert delivery.fetched.errors == {}
    delivery = Delivery(1000, check_crcs=True)
    delivery.take(part)
    assert [b.base_offset for b in delivery.fetched.batches] == [1]
    assert delivery.fetched.errors == {TOPIC: part.error}
    assert not part.has_news


def test_a_damaged_batch_is_an_error_at_its_offset_and_what_was_before_it_is_handed_out() -> None:
    part = Partition(TOPIC, 0)
    part.add([batch(0), batch(1, damaged=True), batch(2)], 3, 300)
    delivery = Delivery(1000, check_crcs=True)
    delivery.take(part)
    assert [b.base_offset for b in delivery.fetched.batches] == [0]
    assert delivery.fetched.positions == {TOPIC: 1} == {TOPIC: part.position}
    error = delivery.fetched.errors[TOPIC]
    assert isinstance(error, CorruptRecord)
    assert "offset 1 " in str(error)


def test_crcs_are_only_checked_where_that_is_asked_for() -> None:
    part = Partition(TOPIC, 0)
    part.add([batch(0, damaged=True)], 1, 100)
    delivery = Delivery(1000, check_crcs=False)
    delivery.take(part)
    assert len(delivery.fetched.batches) == 1
