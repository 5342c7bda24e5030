"""What a broker decides about logs, transactions and topics: tables, and a log against a model."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from faust._machines.log import (
    PRODUCER_EXPIRY_MS,
    SEQUENCES,
    Aborted,
    Cleaner,
    Entry,
    Extent,
    Partition,
    Place,
    Verdict,
    cleaning_limit,
    retention_start,
)
from faust._machines.topicrules import (
    DEFAULTS,
    TopicPolicy,
    check_config,
    check_name,
    check_partitions,
)
from faust._machines.transactions import Ended, TransactionalId
from faust._values import TP
from faust.exceptions import (
    InvalidTopic,
    OffsetOutOfRange,
    ProducerFenced,
    StopError,
    TransactionAborted,
)

HERE = TP("topic", 0)
DAY_MS = 86_400_000


def place(
    log: Partition, span: int, sequence: int, *, epoch: int = 0, transactional: bool = False
) -> Place:
    return log.place(
        span, 0, producer_id=7, epoch=epoch, sequence=sequence, transactional=transactional
    )


# -- idempotence -----------------------------------------------------------------------------


def test_batches_without_a_producer_are_appended_each_time() -> None:
    log = Partition()
    assert [log.place(3, 0), log.place(2, 0)] == [Place(0, False), Place(3, False)]
    assert log.end == 5


def test_a_batch_that_comes_again_is_there_once() -> None:
    log = Partition()
    assert [place(log, 3, 0), place(log, 2, 3), place(log, 3, 0)] == [
        Place(0, False),
        Place(3, False),
        Place(0, True),
    ]
    assert log.end == 5


def test_only_the_last_five_batches_are_remembered() -> None:
    log = Partition()
    for number in range(6):
        place(log, 1, number)
    assert place(log, 1, 1) == Place(1, True)
    with pytest.raises(StopError):
        place(log, 1, 0)


@pytest.mark.parametrize("sequence", [1, 3, 5])
def test_a_gap_is_refused_and_changes_nothing(sequence: int) -> None:
    log = Partition()
    place(log, 2, 0)
    before = log.encode()
    with pytest.raises(StopError):
        place(log, 2, sequence)
    assert log.encode() == before


def test_an_unknown_producer_may_begin_anywhere() -> None:
    assert place(Partition(), 2, 77) == Place(0, False)


def test_a_new_epoch_begins_at_zero_and_fences_the_old_one() -> None:
    log = Partition()
    place(log, 2, 0)
    with pytest.raises(StopError):
        place(log, 2, 2, epoch=1)
    assert place(log, 2, 0, epoch=1) == Place(2, False)
    with pytest.raises(ProducerFenced):
        place(log, 2, 2, epoch=0)


def test_sequence_numbers_wrap() -> None:
    log = Partition()
    place(log, 2, SEQUENCES - 1)
    assert place(log, 1, 1) == Place(2, False)
    assert place(log, 2, SEQUENCES - 1) == Place(0, True)


def test_producers_are_forgotten_after_a_day_unless_they_have_something_open() -> None:
    log = Partition()
    place(log, 1, 0)
    log.place(1, 0, producer_id=8, epoch=0, sequence=0, transactional=True)
    log.forget_producers(PRODUCER_EXPIRY_MS - 1)
    assert set(log.producers) == {7, 8}
    log.forget_producers(PRODUCER_EXPIRY_MS)
    assert set(log.producers) == {8}


# -- transactions in a log ------------------------------------------------------------------------


def test_the_stable_offset_is_that_of_the_oldest_open_transaction() -> None:
    log = Partition()
    log.place(1, 0)
    place(log, 2, 0, transactional=True)
    log.place(1, 0, producer_id=8, epoch=0, sequence=0, transactional=True)
    assert (log.stable, log.end) == (1, 4)
    assert log.mark(7, 0, 0, commit=True) == 4
    assert log.stable == 3
    log.mark(8, 0, 0, commit=False)
    assert log.stable == log.end == 6
    assert log.aborted == [Aborted(8, 3, 5)]
    assert log.is_aborted(8, 3)
    assert not log.is_aborted(7, 3)
    assert not log.is_aborted(8, 6)


def test_a_marker_of_a_newer_epoch_fences_the_old_producer() -> None:
    log = Partition()
    place(log, 1, 0, transactional=True)
    log.mark(7, 1, 0, commit=False)
    with pytest.raises(ProducerFenced):
        place(log, 1, 1)
    assert place(log, 1, 0, epoch=1) == Place(2, False)


def test_a_marker_without_records_aborts_nothing() -> None:
    log = Partition()
    log.mark(7, 0, 0, commit=False)
    assert (log.aborted, log.end) == ([], 1)


# -- positions and deletion -----------------------------------------------------------------------


@pytest.mark.parametrize(("position", "is_there"), [(1, False), (2, True), (5, True), (6, False)])
def test_a_log_is_read_from_its_first_to_its_end_offset(position: int, is_there: bool) -> None:
    log = Partition(start=2, end=5)
    if is_there:
        log.check_position(HERE, position)
        return
    with pytest.raises(OffsetOutOfRange) as caught:
        log.check_position(HERE, position)
    assert (caught.value.first, caught.value.end) == (2, 5)


@pytest.mark.parametrize(("before", "first"), [(0, 2), (3, 3), (5, 5), (-1, 5)])
def test_deleting_records_only_moves_forward(before: int, first: int) -> None:
    log = Partition(start=2, end=5, aborted=[Aborted(1, 0, 2), Aborted(1, 3, 4)])
    assert log.delete_records(HERE, before) == first == log.start
    assert all(stretch.last >= first for stretch in log.aborted) or first == 2


@pytest.mark.parametrize("before", [6, -2])
def test_deleting_beyond_the_log_is_refused(before: int) -> None:
    log = Partition(start=2, end=5)
    with pytest.raises(OffsetOutOfRange):
        log.delete_records(HERE, before)
    assert log.start == 2


# -- retention -------------------------------------------------------------------------------------

EXTENTS = [Extent(0, 2, 100, 10), Extent(2, 5, 300, 20), Extent(5, 6, 200, 30)]


@pytest.mark.parametrize(
    ("rules", "start"),
    [
        ({}, 0),
        ({"retention_ms": 1000}, 0),
        ({"retention_ms": 899}, 2),
        ({"retention_ms": 700}, 2),
        ({"retention_ms": 699}, 6),
        ({"retention_ms": 0}, 6),
        ({"retention_bytes": 60}, 0),
        ({"retention_bytes": 51}, 0),
        ({"retention_bytes": 50}, 2),
        ({"retention_bytes": 29}, 5),
        ({"retention_bytes": 0}, 6),
        ({"retention_bytes": 0, "limit": 5}, 5),
        ({"retention_bytes": 0, "limit": 4}, 2),
    ],
)
def test_retention_takes_whole_batches_from_the_front(rules: dict[str, int], start: int) -> None:
    assert retention_start(EXTENTS, 1000, start=0, **{"limit": 6, **rules}) == start


# -- compaction ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stable", "lag", "limit"),
    [(6, 0, 5), (6, 700, 5), (6, 701, 2), (6, 901, 0), (4, 0, 2), (1, 0, 0)],
)
def test_young_unstable_and_last_batches_are_not_cleaned(stable: int, lag: int, limit: int) -> None:
    assert cleaning_limit(EXTENTS, 1000, stable=stable, min_lag_ms=lag) == limit


def test_an_empty_log_has_nothing_to_clean() -> None:
    assert cleaning_limit([], 1000, stable=0, min_lag_ms=0) == 0


def test_the_last_record_of_each_key_stays() -> None:
    cleaner = Cleaner(0, delete_retention_ms=DAY_MS)
    first = [Entry(0, b"a", False), Entry(1, b"b", False), Entry(2, None, False)]
    second = [Entry(3, b"a", False)]
    cleaner.learn(first)
    cleaner.learn(second)
    assert cleaner.judge(first, None) == Verdict(frozenset({1}), None)
    assert cleaner.judge(second, None) == Verdict(frozenset({3}), None)


def test_a_tombstone_stays_until_its_horizon() -> None:
    entries = [Entry(0, b"a", True), Entry(1, b"b", False)]

    def judged(now_ms: int, horizon_ms: int | None) -> Verdict:
        cleaner = Cleaner(now_ms, delete_retention_ms=100)
        cleaner.learn(entries)
        return cleaner.judge(entries, horizon_ms)

    assert judged(1000, None) == Verdict(frozenset({0, 1}), 1100)
    assert judged(1099, 1100) == Verdict(frozenset({0, 1}), 1100)
    assert judged(1100, 1100) == Verdict(frozenset({1}), 1100)


def test_a_marker_stays_until_its_horizon() -> None:
    assert Cleaner(5, delete_retention_ms=10).judge_marker(9, None) == Verdict(frozenset({9}), 15)
    assert Cleaner(15, delete_retention_ms=10).judge_marker(9, 15) == Verdict(frozenset(), 15)


@given(st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c"]), st.booleans())))
def test_compaction_never_changes_what_a_table_holds(records: list[tuple[bytes, bool]]) -> None:
    entries = [Entry(offset, key, dead) for offset, (key, dead) in enumerate(records)]
    cleaner = Cleaner(0, delete_retention_ms=0)
    cleaner.learn(entries)
    kept = cleaner.judge(entries, None).keep
    table = {entry.key: entry for entry in entries}
    assert {e.key: e for e in entries if e.offset in kept} == table
    assert len(kept) == len(table)


# -- transactional ids ----------------------------------------------------------------------------


def transactional() -> TransactionalId:
    found = TransactionalId(name="t", producer_id=7)
    assert found.initialize(10.0) is None
    return found


def test_a_transaction_collects_partitions_and_offsets_once() -> None:
    found = transactional()
    found.add_partitions(0, [HERE, TP("topic", 1)], 1.0)
    found.add_partitions(0, [HERE], 2.0)
    found.add_offsets(0, "g", {HERE: (5, "m")}, 3.0)
    assert found.holds("g", HERE)
    assert not found.holds("other", HERE)
    assert found.deadline() == 11.0
    assert found.end(0) == Ended(7, 0, [HERE, TP("topic", 1)], {"g": {HERE: (5, "m")}})
    assert found.deadline() is None
    assert found.end(0) == Ended(7, 0, [], {})


def test_a_later_producer_fences_an_earlier_and_ends_its_transaction() -> None:
    found = transactional()
    found.add_partitions(0, [HERE], 0.0)
    assert found.initialize(5.0) == Ended(7, 1, [HERE], {})
    for use in (found.end, found.check, found.resume, found.renew):
        with pytest.raises(ProducerFenced):
            use(0)


def test_a_transaction_that_is_too_old_is_ended_and_its_producer_may_go_on() -> None:
    found = transactional()
    found.add_partitions(0, [HERE], 1.0)
    assert found.tick(10.9) is None
    assert found.tick(11.0) == Ended(7, 1, [HERE], {})
    assert found.tick(99.0) is None
    with pytest.raises(TransactionAborted):
        found.end(0)
    assert found.resume(0) == 1
    assert found.resume(1) == 1
    assert found.renew(1) is None
    assert found.epoch == 2
    with pytest.raises(ProducerFenced):
        found.check(0)


def test_a_transactional_id_is_plain_data() -> None:
    found = transactional()
    found.add_partitions(0, [HERE], 1.0)
    found.add_offsets(0, "g", {HERE: (5, "m")}, 3.0)
    assert TransactionalId.decode(json.loads(json.dumps(found.encode()))) == found


# -- topics ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a", "a.b-c_D9", "x" * 249])
def test_good_names(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("name", ["", ".", "..", "a b", "ä", "x" * 250, "a\n"])
def test_bad_names(name: str) -> None:
    with pytest.raises(InvalidTopic):
        check_name(name)


def test_at_least_one_partition() -> None:
    check_partitions("t", 1)
    with pytest.raises(InvalidTopic):
        check_partitions("t", 0)


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("cleanup.policy", "compact, delete"),
        ("retention.ms", "-1"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("message.timestamp.type", "LogAppendTime"),
        ("flush.ms", "anything"),
    ],
)
def test_good_configuration(entry: str, value: str) -> None:
    check_config("t", {entry: value})


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("cleanup.policy", "burn"),
        ("retention.ms", "-2"),
        ("retention.ms", "soon"),
        ("min.cleanable.dirty.ratio", "2"),
        ("message.timestamp.type", "Never"),
        ("no.such", "1"),
    ],
)
def test_bad_configuration(entry: str, value: str) -> None:
    with pytest.raises(InvalidTopic, match=entry):
        check_config("t", {entry: value})


def test_defaults_are_accepted_and_parsed() -> None:
    check_config("t", DEFAULTS)
    assert TopicPolicy.parse({}) == TopicPolicy(
        False, True, 604_800_000, -1, 0, DAY_MS, False, 1_048_588
    )
    assert TopicPolicy.parse({"cleanup.policy": "compact"})[:2] == (True, False)


# -- a log against a model ------------------------------------------------------------------------


class Appending(RuleBasedStateMachine):
    """Producers that write, repeat, skip, begin, commit and abort; each offset has one owner."""

    @initialize()
    def begin(self) -> None:
        self.log = Partition()
        self.model: list[tuple[int, bool, str]] = []  # producer, is data, state of its transaction
        self.next_sequence = {1: 0, 2: 0}
        self.last: dict[int, tuple[int, int, int]] = {}
        self.is_open: set[int] = set()
        self.start = 0

    @rule(producer=st.sampled_from([1, 2]), span=st.integers(1, 3), transactional=st.booleans())
    def write(self, producer: int, span: int, transactional: bool) -> None:
        transactional = transactional or producer in self.is_open
        sequence = self.next_sequence[producer]
        placed = self.log.place(
            span, 0, producer_id=producer, epoch=0, sequence=sequence, transactional=transactional
        )
        assert placed == Place(len(self.model), False)
        self.model += [(producer, True, "open" if transactional else "plain")] * span
        self.last[producer] = (span, sequence, placed.base_offset)
        self.next_sequence[producer] += span
        if transactional:
            self.is_open.add(producer)

    @precondition(lambda self: self.last)
    @rule(producer=st.sampled_from([1, 2]))
    def write_again(self, producer: int) -> None:
        if producer in self.last:
            span, sequence, base = self.last[producer]
            placed = self.log.place(span, 0, producer_id=producer, epoch=0, sequence=sequence)
            assert placed == Place(base, True)

    @rule(producer=st.sampled_from([1, 2]), skipped=st.integers(1, 3))
    def skip(self, producer: int, skipped: int) -> None:
        if producer in self.last:
            sequence = self.next_sequence[producer] + skipped
            with pytest.raises(StopError):
                self.log.place(1, 0, producer_id=producer, epoch=0, sequence=sequence)

    @precondition(lambda self: self.is_open)
    @rule(commit=st.booleans())
    def end(self, commit: bool) -> None:
        producer = min(self.is_open)
        self.is_open.remove(producer)
        assert self.log.mark(producer, 0, 0, commit=commit) == len(self.model)
        outcome = "plain" if commit else "aborted"
        self.model = [
            (owner, data, outcome if (owner, state) == (producer, "open") else state)
            for owner, data, state in self.model
        ]
        self.model.append((producer, False, "marker"))

    @rule(share=st.floats(0, 1))
    def delete(self, share: float) -> None:
        wanted = int(share * len(self.model))
        self.start = max(self.start, wanted)
        assert self.log.delete_records(HERE, wanted) == self.start

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "model"):
            return
        states = [state for _, _, state in self.model]
        assert (self.log.start, self.log.end) == (self.start, len(self.model))
        assert self.log.stable == (states.index("open") if "open" in states else len(states))
        for offset in range(self.start, len(self.model)):
            owner, is_data, state = self.model[offset]
            if is_data and state == "aborted":
                assert self.log.is_aborted(owner, offset)
            elif is_data and state == "open":
                assert not self.log.is_aborted(owner, offset)
        twin = Partition.decode(json.loads(json.dumps(self.log.encode())))
        assert twin == self.log
        self.log = twin


Appending.TestCase.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
TestAppending = Appending.TestCase
