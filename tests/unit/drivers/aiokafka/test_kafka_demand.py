"""What a reader asks for next."""

from __future__ import annotations

from faust._values import TP
from faust.exceptions import CorruptRecord
from faust.transport.base import ReaderOptions
from faust.transport.drivers.aiokafka.demand import Demand, demand_of
from faust.transport.drivers.aiokafka.partitions import Partition

OPTIONS = ReaderOptions(max_partition_bytes=100, max_bytes=200)


def partition(number: int, unread: int = 0) -> Partition:
    part = Partition(TP("t", number), 0)
    if unread:
        part.add([], 10, unread)
    return part


def led_by_parity(part: Partition) -> int:
    return part.tp.partition % 2


def demand(*parts: Partition) -> Demand:
    return demand_of(parts, OPTIONS, led_by_parity)


def test_what_wants_more_is_asked_for_at_its_leader() -> None:
    parts = [partition(number) for number in range(3)]
    assert demand(*parts).by_node == {0: [parts[0], parts[2]], 1: [parts[1]]}


def test_who_is_asked_for_looked_up_paused_in_error_or_has_enough_wants_nothing() -> None:
    parts = [partition(number) for number in range(4)]
    parts[0].asking = parts[1].stale = parts[2].paused = True
    parts[3].error = CorruptRecord("torn")
    assert demand(*parts, partition(4, unread=100)) == Demand({}, [], False)


def test_a_partition_without_a_leader_is_named() -> None:
    found = demand_of([partition(0)], OPTIONS, lambda part: None)
    assert found == Demand({}, [TP("t", 0)], False)


def test_nobody_wants_more_while_enough_of_all_lies_here() -> None:
    here = [partition(number, unread=99) for number in range(4)]
    assert set(demand(*here).by_node) == {0, 1}
    assert demand(*here, partition(4, unread=4)).by_node == {}


def test_what_lies_here_of_paused_partitions_holds_up_nobody_and_is_dropped_when_too_much() -> None:
    paused = [partition(number, unread=100) for number in range(5)]
    for part in paused:
        part.paused = True
    hungry = partition(9)
    assert demand(*paused[:4], hungry) == Demand({1: [hungry]}, [], False)
    assert demand(*paused, hungry) == Demand({1: [hungry]}, [], True)
