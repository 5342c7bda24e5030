"""Back-pressure: memory is bounded, nobody is stuck, and the slow do not slow down the others."""

from collections import Counter, deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from faust._machines.flow import Changes, Flow, FlowPolicy
from faust._values import TP

TPS = [TP("t", n) for n in range(5)]
POLICY = FlowPolicy(high_bytes=40, low_bytes=10, total_bytes=100)


class FlowKeepsItsPromises(RuleBasedStateMachine):
    """Any partition gets and loses bytes at any time, paused or not; the fetcher obeys."""

    def __init__(self) -> None:
        super().__init__()
        self.flow = Flow(POLICY)
        self.levels: Counter[TP] = Counter()
        self.known: set[TP] = set()
        self.paused: set[TP] = set()

    def obey(self, changes: Changes) -> None:
        assert not set(changes.pause) & set(changes.resume)
        assert len(set(changes.pause)) == len(changes.pause)
        assert self.paused.isdisjoint(changes.pause)
        assert self.paused.issuperset(changes.resume)
        self.paused |= set(changes.pause)
        self.paused -= set(changes.resume)

    @rule(tp=st.sampled_from(TPS), size=st.integers(1, 60))
    def add(self, tp: TP, size: int) -> None:
        self.levels[tp] += size
        self.known.add(tp)
        changes = self.flow.added(tp, size)
        self.obey(changes)
        assert not changes.resume
        of_its_own = [tp] if changes.pause[:1] == (tp,) else []
        rest = [self.levels[other] for other in changes.pause[len(of_its_own) :]]
        assert rest == sorted(rest, reverse=True)

    @rule(tp=st.sampled_from(TPS), size=st.integers(1, 60))
    def release(self, tp: TP, size: int) -> None:
        """More than there is may be released: of an earlier run, dropped meanwhile."""
        self.levels[tp] = max(0, self.levels[tp] - size)
        changes = self.flow.released(tp, size)
        self.obey(changes)
        assert not changes.pause

    @rule(tp=st.sampled_from(TPS))
    def empty(self, tp: TP) -> None:
        self.release(tp, 1_000)

    @rule(tp=st.sampled_from(TPS))
    def drop(self, tp: TP) -> None:
        self.levels[tp] = 0
        self.known.discard(tp)
        self.obey(self.flow.dropped(tp))
        assert tp not in self.paused

    @invariant()
    def what_it_says_is_what_it_knows(self) -> None:
        assert self.flow.paused == self.paused
        assert self.flow.total == sum(self.levels.values())
        assert all(self.flow.level(tp) == self.levels[tp] for tp in TPS)

    @invariant()
    def an_empty_partition_is_never_paused(self) -> None:
        assert all(self.levels[tp] for tp in self.paused)

    @invariant()
    def a_full_partition_is_always_paused(self) -> None:
        assert {tp for tp in TPS if self.levels[tp] >= 40} <= self.paused

    @invariant()
    def with_room_in_the_budget_a_partition_at_its_low_mark_is_read(self) -> None:
        if self.flow.total <= 25:
            assert all(self.levels[tp] > 10 for tp in self.paused)


TestFlowKeepsItsPromises = FlowKeepsItsPromises.TestCase


@settings(max_examples=60)
@given(st.data())
def test_every_stream_that_uses_up_what_it_has_gets_everything(data: st.DataObject) -> None:
    """Streams of any speed, some of which stand still for ever, and batches of any size."""
    count = data.draw(st.integers(1, 12))
    tps = [TP("t", n) for n in range(count)]
    stuck = data.draw(st.sets(st.sampled_from(tps)))
    speed = {tp: data.draw(st.integers(1, 3)) for tp in tps}
    largest = 30
    flow, paused = Flow(POLICY), set[TP]()
    waiting: dict[TP, deque[int]] = {tp: deque() for tp in tps}
    fetched: Counter[TP] = Counter()

    def obey(changes: Changes) -> None:
        paused.update(changes.pause)
        paused.difference_update(changes.resume)

    for _ in range(150):
        for tp in tps:
            if tp not in paused and fetched[tp] < 20:
                size = data.draw(st.integers(1, largest)) if fetched[tp] == 0 else largest
                fetched[tp] += 1
                waiting[tp].append(size)
                obey(flow.added(tp, size))
                assert flow.total <= 2 * POLICY.total_bytes + count * largest
        for tp in tps:
            for _ in range(speed[tp] if tp not in stuck else 0):
                if waiting[tp]:
                    obey(flow.released(tp, waiting[tp].popleft()))
    assert {tp for tp in tps if fetched[tp] == 20} >= set(tps) - stuck


def test_a_partition_pauses_at_its_high_mark_and_goes_on_at_its_low_one() -> None:
    flow = Flow(POLICY)
    assert flow.added(TPS[0], 39) == Changes()
    assert flow.added(TPS[0], 1) == Changes(pause=(TPS[0],))
    assert flow.added(TPS[0], 5) == Changes()
    assert flow.released(TPS[0], 34) == Changes()
    assert flow.released(TPS[0], 1) == Changes(resume=(TPS[0],))


def test_the_partition_with_the_most_bytes_is_paused_first() -> None:
    flow = Flow(POLICY)
    for tp, size in zip(TPS, (19, 25, 39, 15), strict=False):
        assert flow.added(tp, size) == Changes()
    assert flow.added(TPS[4], 3) == Changes(pause=(TPS[2], TPS[1]))
    assert repr(flow) == "<Flow 101 bytes in 5 partitions, paused: 0 full, 2 over budget>"


def test_streams_that_stand_still_do_not_slow_down_one_that_runs() -> None:
    """Three streams fill the budget and never go on; the fourth still gets its share ahead."""
    flow = Flow(POLICY)
    for tp in TPS[:3]:
        flow.added(tp, 40)
    for _ in range(100):
        assert flow.added(TPS[3], 12) == Changes()
        assert flow.added(TPS[3], 12) == Changes()
        flow.released(TPS[3], 12)
        flow.released(TPS[3], 12)


def test_one_paused_for_the_budget_goes_on_when_all_have_come_down() -> None:
    flow = Flow(POLICY)
    for tp in TPS[:3]:
        flow.added(tp, 39)
    assert flow.paused == set(TPS[:3])
    for tp in TPS[:2]:
        flow.released(tp, 26)
    assert flow.paused == set(TPS[:3])
    assert flow.released(TPS[2], 14) == Changes()
    assert flow.released(TPS[2], 20) == Changes(resume=(TPS[2],))
    assert flow.released(TPS[0], 5) == Changes(resume=(TPS[0],))
    assert flow.paused == {TPS[1]}
    assert flow.released(TPS[0], 1) == Changes(resume=(TPS[1],))


def test_a_dropped_partition_that_was_paused_is_not_paused_when_it_comes_back() -> None:
    flow = Flow()
    assert flow.added(TPS[0], 4 << 20) == Changes(pause=(TPS[0],))
    assert flow.dropped(TPS[0]) == Changes(resume=(TPS[0],))
    assert flow.released(TPS[0], 4 << 20) == Changes()
    assert flow.dropped(TPS[0]) == Changes()
    assert (flow.total, flow.level(TPS[0])) == (0, 0)


def filled(*levels: int) -> Flow:
    flow = Flow(POLICY)
    for tp, size in zip(TPS, levels, strict=False):
        flow.added(tp, size)
    return flow


def test_a_budget_that_is_used_up_exactly_pauses_nobody() -> None:
    assert filled(39, 39, 22).paused == set()
    assert filled(39, 39, 23).paused == set(TPS[:2])


def test_who_has_its_share_exactly_is_not_paused_for_the_budget() -> None:
    assert filled(25, 39, 30, 7).paused == {TPS[1], TPS[2]}


def test_one_paused_for_the_budget_that_fills_up_waits_for_its_own_low_mark() -> None:
    flow = filled(39, 39, 39)
    assert flow.added(TPS[0], 1) == Changes()
    flow.dropped(TPS[1])
    flow.dropped(TPS[2])
    assert flow.released(TPS[0], 20) == Changes()
    assert flow.released(TPS[0], 10) == Changes(resume=(TPS[0],))


def test_one_at_its_low_mark_waits_for_the_budget_and_is_full_no_more() -> None:
    flow = filled(40, 39, 39, 39)
    assert flow.released(TPS[0], 30) == Changes()
    assert "0 full, 4 over budget" in repr(flow)
    flow.dropped(TPS[1])
    flow.dropped(TPS[2])
    assert set(flow.dropped(TPS[3]).resume) == {TPS[0], TPS[3]}
    assert flow.paused == set()
    assert flow.added(TPS[0], 40) == Changes(pause=(TPS[0],))


@pytest.mark.parametrize("others", [20, 30])
def test_one_at_its_low_mark_goes_on_where_the_budget_is_not_exceeded(others: int) -> None:
    flow = filled(40, others, others, others)
    assert flow.released(TPS[0], 29) == Changes()
    assert flow.released(TPS[0], 1) == Changes(resume=(TPS[0],))


def test_one_paused_for_the_budget_goes_on_at_the_low_mark_of_its_share() -> None:
    flow = filled(39, 39, 39, 30)
    assert flow.released(TPS[0], 32) == Changes()
    assert flow.released(TPS[0], 1) == Changes(resume=(TPS[0],))


def test_a_share_has_whole_bytes() -> None:
    flow = Flow(FlowPolicy(high_bytes=50, low_bytes=40, total_bytes=100))
    for number in range(8):
        flow.added(TP("t", number), 13)
    assert len(flow.paused) == 8
    assert flow.released(TPS[0], 3) == Changes()
    assert flow.released(TPS[0], 1) == Changes(resume=(TPS[0],))


@pytest.mark.parametrize(
    "marks",
    [{"high_bytes": 1, "low_bytes": 0}, {"high_bytes": 5, "low_bytes": 5}, {"total_bytes": 1}],
)
def test_marks_may_be_as_low_as_they_can_be(marks: dict[str, int]) -> None:
    flow = Flow(FlowPolicy(**marks))
    flow.added(TPS[0], 64 << 20)
    assert flow.paused == {TPS[0]}
    assert flow.released(TPS[0], 64 << 20) == Changes(resume=(TPS[0],))


@pytest.mark.parametrize(
    "marks",
    [
        {"high_bytes": 1, "low_bytes": 2},
        {"low_bytes": -1},
        {"high_bytes": 0, "low_bytes": 0},
        {"total_bytes": 0},
    ],
)
def test_marks_out_of_order_are_refused(marks: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="_bytes"):
        FlowPolicy(**marks)
