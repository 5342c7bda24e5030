"""What a reader gets of a fetched buffer: data batches, and a position past everything else."""

from __future__ import annotations

from typing import Literal

import pytest
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder

from faust._values import TP
from faust.exceptions import CorruptRecord
from faust.transport.drivers.aiokafka.fetched import Contents, read_partition
from faust.transport.records import build_batch, control_batch, new_builder, with_base_offset

TOPIC = TP("topic", 0)


def plain(base: int, *values: bytes) -> bytes:
    return with_base_offset(build_batch([(None, value, 0) for value in values]), base)


def transactional(producer: int, base: int, *values: bytes) -> bytes:
    builder = new_builder(1 << 16, transactional=True)
    builder.set_producer_state(producer, 0, 0)
    for number, value in enumerate(values):
        builder.append(number, 0, None, value, [])
    return with_base_offset(bytes(builder.build()), base)


def marker(producer: int, base: int, *, commit: bool) -> bytes:
    return with_base_offset(control_batch(producer, 0, 0, commit=commit), base)


def read(data: bytes, position: int = 0, aborted: list[tuple[int, int]] | None = None) -> Contents:
    return read_partition(TOPIC, data, 0, len(data), position, aborted or [])


def values(contents: Contents) -> list[bytes | None]:
    return [r.value for batch in contents.batches for r in batch.records()]


def test_whole_batches_are_cut_out_and_an_incomplete_one_is_left() -> None:
    data = plain(0, b"a", b"b") + plain(2, b"c")
    contents = read(data + plain(3, b"d")[:-1])
    assert values(contents) == [b"a", b"b", b"c"]
    assert contents.next_offset == 3
    assert data.startswith(contents.batches[0].data)


def test_a_batch_below_the_position_is_left_out_and_one_that_holds_it_is_kept() -> None:
    contents = read(plain(0, b"a") + plain(1, b"b", b"c"), position=2)
    assert values(contents) == [b"b", b"c"]
    assert contents.batches[0].base_offset == 1
    assert contents.next_offset == 3


def test_a_gap_and_a_marker_move_the_position_without_a_batch() -> None:
    contents = read(marker(1, 40, commit=True), position=7)
    assert contents == Contents([], 41)


def test_an_aborted_transaction_is_left_out_up_to_its_marker() -> None:
    data = (
        transactional(1, 0, b"committed")
        + marker(1, 1, commit=True)
        + transactional(1, 2, b"aborted")
        + transactional(2, 3, b"other")
        + plain(4, b"plain")
        + transactional(1, 5, b"aborted too")
        + marker(1, 6, commit=False)
        + transactional(1, 7, b"later")
    )
    contents = read(data, aborted=[(1, 2)])
    assert values(contents) == [b"committed", b"other", b"plain", b"later"]
    assert contents.next_offset == 8


def test_a_transaction_that_was_aborted_from_before_the_position_is_left_out() -> None:
    data = transactional(1, 5, b"x") + marker(1, 6, commit=False) + transactional(1, 7, b"y")
    assert values(read(data, position=5, aborted=[(1, 2)])) == [b"y"]


def test_two_aborted_transactions_of_one_producer_are_told_apart() -> None:
    data = (
        transactional(1, 0, b"a1")
        + marker(1, 1, commit=False)
        + transactional(1, 2, b"good")
        + marker(1, 3, commit=True)
        + transactional(1, 4, b"a2")
        + marker(1, 5, commit=False)
    )
    assert values(read(data, aborted=[(1, 4), (1, 0)])) == [b"good"]


def test_a_reader_of_everything_sees_aborted_records_but_no_markers() -> None:
    data = transactional(1, 0, b"a") + marker(1, 1, commit=False)
    contents = read(data)
    assert values(contents) == [b"a"]
    assert contents.next_offset == 2


@pytest.mark.parametrize("magic", [0, 1])
def test_messages_of_old_formats_become_one_batch_with_the_same_offsets(
    magic: Literal[0, 1],
) -> None:
    builder = LegacyRecordBatchBuilder(magic, 0, 10_000)
    for offset in (10, 11, 15):
        builder.append(offset, timestamp=1234 + offset, key=b"k", value=b"v%d" % offset)
    data = bytes(builder.build()) + plain(16, b"new")
    contents = read(data, position=11)
    records = [r for batch in contents.batches for r in batch.records()]
    assert [(r.offset, r.value) for r in records] == [(11, b"v11"), (15, b"v15"), (16, b"new")]
    assert records[0].timestamp == (-1 if magic == 0 else 1245)
    assert all(batch.validate_crc() for batch in contents.batches)
    assert contents.next_offset == 17


def test_compressed_messages_of_an_old_format_are_unpacked() -> None:
    builder = LegacyRecordBatchBuilder(1, 1, 10_000)
    for offset in range(5):
        builder.append(offset, timestamp=offset, key=None, value=b"v" * 50)
    assert len(values(read(bytes(builder.build())))) == 5


@pytest.mark.parametrize("magic", [3, 127])
def test_an_unknown_format_is_corrupt(magic: int) -> None:
    data = bytearray(plain(0, b"a"))
    data[16] = magic
    with pytest.raises(CorruptRecord, match=f"format {magic}"):
        read(bytes(data))


def test_a_batch_shorter_than_its_own_header_is_corrupt() -> None:
    data = bytearray(plain(0, b"a"))
    data[8:12] = (20).to_bytes(4, "big")
    with pytest.raises(CorruptRecord):
        read(bytes(data))
