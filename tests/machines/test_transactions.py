"""What a transaction coordinator decides: who has an id, what is open, who is told what."""

from __future__ import annotations

import json

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from faust._machines.transactions import Ended, TransactionalId
from faust._values import TP
from faust.exceptions import ProducerFenced, TransactionAborted

HERE = TP("t", 0)


def opened() -> TransactionalId:
    found = TransactionalId(name="x", producer_id=7)
    found.initialize(10.0)
    found.add_partitions(0, [HERE], 1.0)
    return found


def test_a_new_epoch_for_oneself_ends_what_is_open() -> None:
    found = opened()
    assert found.renew(0) == Ended(7, 1, [HERE], {})
    assert found.epoch == 1
    assert found.since is None


def test_who_has_not_heard_of_a_new_epoch_gets_the_same_again() -> None:
    found = opened()
    found.renew(0)
    assert found.renew(0) is None
    assert found.epoch == 1
    found.add_partitions(1, [HERE], 2.0)
    with pytest.raises(ProducerFenced):  # too late: the new epoch is in use
        found.renew(0)


def test_after_a_time_out_a_new_epoch_may_be_asked_for_more_than_once() -> None:
    found = opened()
    found.tick(20.0)
    with pytest.raises(TransactionAborted):
        found.check(0)
    assert found.renew(0) is None
    assert found.renew(0) is None
    assert found.epoch == 2


def test_a_successor_takes_away_the_way_back() -> None:
    for is_timed_out in (True, False):
        found = opened()
        if is_timed_out:
            found.tick(20.0)
        else:
            found.renew(0)
        found.initialize(10.0)
        with pytest.raises(ProducerFenced):
            found.renew(0)


def test_time_in_which_the_judge_could_not_write_does_not_count() -> None:
    found = opened()
    assert found.tick(30.0, writable_since=25.0) is None
    assert found.tick(34.9, writable_since=25.0) is None
    assert found.tick(35.0, writable_since=25.0) == Ended(7, 1, [HERE], {})


def test_what_is_taken_away_is_told_as_aborted() -> None:
    found = opened()
    assert found.take_away() == Ended(7, 1, [HERE], {})
    with pytest.raises(TransactionAborted):
        found.end(0)
    assert found.resume(0) == 1


class Producers(RuleBasedStateMachine):
    """Any number of producers of one id: only the last may do anything, and none hangs."""

    def __init__(self) -> None:
        super().__init__()
        self.id = TransactionalId(name="x", producer_id=7)
        self.epochs: list[int] = []  # of each producer, as it knows it
        self.now = 0.0
        self.is_open = False

    def ended(self, found: Ended | None, *, expected: bool) -> None:
        assert (found is not None) is expected
        self.is_open = False

    @rule()
    def begin_as_a_new_producer(self) -> None:
        self.ended(self.id.initialize(10.0), expected=self.is_open)
        self.epochs.append(self.id.epoch)

    @precondition(lambda self: self.epochs)
    @rule(steps=st.lists(st.sampled_from(["add", "add", "end", "renew"]), min_size=1, max_size=4))
    def the_last_goes_on(self, steps: list[str]) -> None:
        for what in steps:
            self.do(len(self.epochs) - 1, what)

    @precondition(lambda self: len(self.epochs) > 1)
    @rule(data=st.data(), what=st.sampled_from(["add", "end", "renew"]))
    def an_earlier_one_tries(self, data: st.DataObject, what: str) -> None:
        self.do(data.draw(st.integers(0, len(self.epochs) - 2)), what)

    def do(self, who: int, what: str) -> None:
        epoch, is_last = self.epochs[who], who == len(self.epochs) - 1
        try:
            if what == "add":
                self.id.add_partitions(epoch, [HERE], self.now)
                self.is_open = True
            elif what == "end":
                self.id.end(epoch)
                self.is_open = False
            else:
                self.ended(self.id.renew(epoch), expected=self.is_open)
                self.epochs[who] = self.id.epoch
        except TransactionAborted:
            assert is_last
            assert what != "renew"
            assert self.id.renew(epoch) is None
            self.epochs[who] = self.id.epoch
        except ProducerFenced:
            assert not is_last
        else:
            assert is_last

    @rule(seconds=st.floats(0.0, 12.0))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        if self.id.tick(self.now) is not None:
            assert self.is_open
            self.is_open = False

    @invariant()
    def is_plain_data(self) -> None:
        assert TransactionalId.decode(json.loads(json.dumps(self.id.encode()))) == self.id
        assert (self.id.since is not None) == self.is_open


TestProducers = Producers.TestCase
