"""Next offsets to commit where events finish in any order, against a model."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from faust._machines.acks import Acks


class AcksAgainstModel(RuleBasedStateMachine):
    """The model: every offset below the end is finished, outstanding, or does not exist."""

    def __init__(self) -> None:
        super().__init__()
        self.acks = Acks(10, releases=True)
        self.end = 10
        self.state: dict[int, str] = {}
        self.released: list[int] = []

    @rule(gap=st.integers(0, 3))
    def hand_out(self, gap: int) -> None:
        self.acks.handed(self.end + gap)
        self.state[self.end + gap] = "outstanding"
        self.end += gap + 1

    @rule(gap=st.integers(-5, 5))
    def skip(self, gap: int) -> None:
        self.acks.skip_to(self.end + gap)
        self.end = max(self.end, self.end + gap)

    @rule(offset=st.integers(0, 40))
    def finish(self, offset: int) -> None:
        known = self.state.get(offset) == "outstanding"
        assert self.acks.done(offset) is known
        if known:
            self.state[offset] = "done"

    @precondition(lambda self: "outstanding" in self.state.values())
    @rule(data=st.data())
    def finish_one(self, data: st.DataObject) -> None:
        self.finish(data.draw(st.sampled_from(self.left())))

    @precondition(lambda self: self.end > 10)
    @rule(data=st.data())
    def hand_out_what_is_past(self, data: st.DataObject) -> None:
        before = repr(self.acks)
        with pytest.raises(ValueError, match="was handed out after"):
            self.acks.handed(data.draw(st.integers(0, self.end - 1)))
        assert repr(self.acks) == before

    @rule()
    def release(self) -> None:
        self.released += self.acks.take_released()
        done = sorted(o for o, how in self.state.items() if how == "done")
        assert self.released == [o for o in done if o < self.acks.position]

    def left(self) -> list[int]:
        return sorted(o for o, how in self.state.items() if how == "outstanding")

    @invariant()
    def nothing_unfinished_is_committed(self) -> None:
        left = self.left()
        assert self.acks.position == (left[0] if left else self.end)
        assert self.acks.oldest == (left[0] if left else None)
        assert self.acks.outstanding == len(left)
        assert self.acks.next_offset == self.end

    @invariant()
    def each_offset_is_known_for_what_it_is(self) -> None:
        around = range(5, self.end + 5)
        assert [o for o in around if self.acks.expects(o)] == list(range(self.end, self.end + 5))
        assert [o for o in around if self.acks.is_outstanding(o)] == self.left()


TestAcksAgainstModel = AcksAgainstModel.TestCase


@given(st.permutations(range(12)))
def test_any_order_of_acks_ends_at_the_same_position(order: list[int]) -> None:
    acks = Acks(0)
    for offset in range(12):
        acks.handed(offset)
    assert all(acks.done(offset) for offset in order)
    assert (acks.position, acks.outstanding) == (12, 0)


def test_one_event_that_is_not_finished_holds_the_position_and_nothing_else() -> None:
    acks = Acks(0)
    acks.handed(0)
    for offset in range(1, 100_000):
        acks.handed(offset)
        acks.done(offset)
    assert (acks.position, acks.outstanding) == (0, 1)
    assert acks.done(0)
    assert acks.position == 100_000


def test_an_event_is_finished_once() -> None:
    acks = Acks(5)
    acks.handed(5)
    assert [acks.done(5), acks.done(5), acks.done(4)] == [True, False, False]


def test_a_gap_at_the_end_of_a_batch_is_committed_past() -> None:
    acks = Acks(0)
    acks.handed(3)
    acks.skip_to(9)
    assert acks.position == 3
    acks.done(3)
    assert acks.position == 9
    assert repr(acks) == "<Acks position=9 outstanding=0 next=9>"


def test_what_is_released_is_forgotten_unless_somebody_asks_for_it() -> None:
    with pytest.raises(RuntimeError, match="releases=True"):
        Acks(0).take_released()


def test_finishing_in_order_does_not_walk_over_what_is_finished() -> None:
    acks = Acks(0)
    for offset in range(300_000):
        acks.handed(offset)
    for offset in range(300_000):
        acks.done(offset)
        # Walking would take 45,000,000,000 steps in all: this test would run into its time limit.
        assert acks.position == offset + 1
