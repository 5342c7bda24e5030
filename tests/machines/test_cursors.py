"""One reader's place in a partition, and the gate that lets readers of one task in one by one."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from faust._machines.acks import Acks
from faust._machines.effects import Cursor, Effects, Gate, TaskRun
from faust._values import TP

READERS = st.sampled_from("abcd")


class CursorAgainstModel(RuleBasedStateMachine):
    """A log with gaps, read in batches, by a reader that is given up or goes on meanwhile."""

    @initialize(by_hand=st.booleans(), start=st.integers(0, 5))
    def begin(self, by_hand: bool, start: int) -> None:
        self.run = TaskRun("t", 0, 1)
        self.cursor = Cursor(self.run, TP("a", 0), "reader", start)
        if by_hand:
            self.cursor.acks = Acks(start)
        #: Batches that wait: their offsets; what was handed out, and of it what is finished.
        self.batches: list[list[int]] = []
        self.handed: list[int] = []
        self.finished: set[int] = set()
        self.start = self.fetched = start
        #: Everything below does not exist unless it was handed out, and the reader has heard so.
        self.known = start
        #: Where a gap ends that was heard of while batches waited.
        self.heard = 0

    @rule(gaps=st.lists(st.integers(0, 2), min_size=1, max_size=3))
    def fetch(self, gaps: list[int]) -> None:
        offsets = []
        for gap in gaps:
            offsets.append(self.fetched + gap)
            self.fetched += gap + 1
        self.batches.append(offsets)
        self.cursor.waiting += 1

    @rule(gap=st.integers(-1, 3))
    def hear_of_a_gap(self, gap: int) -> None:
        """Behind what was fetched last; it may be heard of again, late."""
        end = self.fetched + gap
        self.cursor.skip_gap(end)
        self.fetched = max(self.fetched, end)
        if self.batches:
            self.heard = end
        else:
            self.known = max(self.known, end)

    @precondition(lambda self: self.batches)
    @rule()
    def handle_one(self) -> None:
        offset = self.batches[0].pop(0)
        self.handed.append(offset)
        self.known = max(self.known, offset + 1)
        if self.cursor.acks is None:
            self.cursor.position = offset + 1
            self.finished.add(offset)
        else:
            self.cursor.acks.handed(offset)
        if not self.batches[0]:
            self.batches.pop(0)
            self.cursor.used_up()
            if not self.batches and self.run.open:
                self.known, self.heard = max(self.known, self.heard), 0

    @precondition(lambda self: self.batches)
    @rule()
    def handle_all(self) -> None:
        while self.batches:
            self.handle_one()

    @precondition(lambda self: set(self.handed) - self.finished)
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        offset = data.draw(st.sampled_from(sorted(set(self.handed) - self.finished)))
        assert self.cursor.acks is not None
        assert self.cursor.acks.done(offset)
        self.finished.add(offset)

    @precondition(lambda self: self.cursor.end < 30)
    @rule(end=st.integers(0, 60))
    def hear_of_the_end(self, end: int) -> None:
        self.cursor.end = end

    @precondition(lambda self: len(self.handed) > 4 and self.run.open)
    @rule()
    def is_given_back(self) -> None:
        self.run.open = False

    @invariant()
    def what_is_committed_is_finished_or_does_not_exist(self) -> None:
        left = sorted(set(self.handed) - self.finished)
        assert self.cursor.committable == (left[0] if left else self.known)
        assert self.cursor.next_offset == self.known
        assert self.cursor.lag == max(0, self.cursor.end - self.cursor.committable)

    @invariant()
    def an_offset_is_done_once_the_reader_is_past_it_and_it_is_acknowledged(self) -> None:
        for offset in range(self.start, self.fetched + 2):
            left = offset in self.handed and offset not in self.finished
            assert self.cursor.is_done(offset) is (offset < self.known and not left)


TestCursorAgainstModel = CursorAgainstModel.TestCase


class GateAgainstModel(RuleBasedStateMachine):
    """Readers go in and out of events; more and more of them turn out to share a table."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = Gate()
        self.sharing: set[str] = set()
        self.busy: set[str] = set()
        #: Since it went in, reader -> who was not kept out all the time.
        self.free: dict[str, set[str]] = {}

    @rule(reader=READERS)
    def enter(self, reader: str) -> None:
        others = self.busy & self.sharing - {reader}
        let_in = self.gate.try_enter(reader)
        assert let_in is (reader not in self.sharing or not others)
        if let_in:
            self.busy.add(reader)
            kept_out = self.sharing if reader in self.sharing else set()
            self.free.setdefault(reader, set("abcd") - kept_out - {reader})

    @rule(reader=READERS)
    def leave(self, reader: str) -> None:
        self.gate.leave(reader)
        self.busy.discard(reader)
        self.free.pop(reader, None)

    @precondition(lambda self: len(self.sharing) < 4)
    @rule(data=st.data())
    def share(self, data: st.DataObject) -> None:
        left = sorted(set("abcd") - self.sharing)
        new = data.draw(st.sets(st.sampled_from(left), min_size=1, max_size=2))
        self.gate.extend(new, new & self.busy)
        self.sharing |= new

    @invariant()
    def who_is_inside_is_who_shares_and_has_an_event(self) -> None:
        assert self.gate.inside == self.busy & self.sharing
        assert self.gate.readers == self.sharing

    @invariant()
    def writes_are_missed_of_those_whom_no_gate_has_kept_out_meanwhile(self) -> None:
        for reader in "abcd":
            others = set("abcd") - {reader}
            if reader in self.busy & self.sharing:
                wanted = self.free[reader]
            else:
                wanted = others
            assert self.gate.in_the_way(reader, others) == wanted
            assert self.gate.in_the_way(reader, set()) == set()


TestGateAgainstModel = GateAgainstModel.TestCase


def test_who_waits_at_the_gate_is_let_go_once() -> None:
    gate = Gate()
    gate.waiters.append("a")
    assert [gate.take_waiters(), gate.take_waiters()] == [["a"], []]


def test_a_task_is_steady_while_it_is_open_and_has_no_gate() -> None:
    run, steady = TaskRun("t", 0, 1), []
    steady.append(run.steady)
    run.gate = Gate()
    steady.append(run.steady)
    run.open = False
    run.gate = None
    steady.append(run.steady)
    run.open = True
    steady.append(run.steady)
    assert steady == [True, False, False, True]


def test_a_task_that_is_over_lets_everybody_through_its_gate() -> None:
    run = TaskRun("t", 0, 1)
    run.gate = Gate()
    run.gate.extend({"a", "b"}, {"a", "b"})
    run.close()
    assert (run.gate.inside, run.gate.unguarded) == (set(), {})
    assert run.gate.try_enter("a")


def test_effects_outside_of_any_event_are_those_of_the_first_reader_or_of_the_task() -> None:
    run, other = TaskRun("t", 0, 1), TaskRun("u", 0, 2)
    alone = run.current()
    assert type(alone) is Effects
    assert list(run.in_progress()) == [alone]
    first = Cursor(run, TP("a", 0), "first", 0)
    second = Cursor(run, TP("a", 0), "second", 0)
    assert run.current() is first
    run.whose = lambda: second
    assert run.current() is second
    elsewhere = Cursor(other, TP("a", 1), "first", 0)
    run.whose = lambda: elsewhere
    assert run.current() is first
    assert list(run.in_progress()) == [first, second, alone]


def test_a_task_and_a_cursor_say_what_they_are() -> None:
    run = TaskRun("t", 0, 7)
    cursor = Cursor(run, TP("a", 0), "reader", 3)
    assert repr(run) == "<TaskRun t #7 open cursors=1>"
    run.open = False
    assert "#7 closing" in repr(run)
    run.close()
    assert "#7 over" in repr(run)
    assert repr(cursor).startswith("<Cursor reader ")
    assert repr(cursor).endswith("@3>")


@pytest.mark.parametrize("by_hand", [False, True])
def test_what_is_held_back_holds_the_position(by_hand: bool) -> None:
    cursor = Cursor(TaskRun("t", 0, 1), TP("a", 0), "reader", 3)
    cursor.floor = 5
    if by_hand:
        cursor.acks = Acks(9)
    assert cursor.committable == (5 if by_hand else 3)
    cursor.floor = 11
    assert cursor.committable == (9 if by_hand else 3)
