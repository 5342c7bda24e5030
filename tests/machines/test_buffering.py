"""When a list of `take` is handed out."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from faust._machines.buffering import Buffer


@given(
    st.integers(1, 5),
    st.none() | st.floats(0, 10),
    st.lists(st.floats(0, 5), max_size=40),
)
def test_no_list_is_larger_or_older_than_asked_for_and_nothing_is_lost(
    max_size: int, within: float | None, steps: list[float]
) -> None:
    buffer: Buffer[int] = Buffer(max_size, within)
    now, began, handed_out = 0.0, 0.0, []
    for number, step in enumerate(steps):
        now += step
        assert buffer.due(now) == (len(buffer) > 0 and within is not None and now >= began + within)
        if buffer.due(now):
            handed_out += buffer.drain()
        if not len(buffer):
            began = now
        if buffer.add(number, now):
            assert len(buffer) == max_size
            handed_out += buffer.drain()
        assert len(buffer) < max_size
        expected = None if within is None or not len(buffer) else began + within
        assert buffer.deadline == expected
    assert handed_out + buffer.drain() == list(range(len(steps)))


class BufferAgainstModel(RuleBasedStateMachine):
    """Events of two tasks come and are handed out as lists; a task goes, and its events with it."""

    @initialize(max_size=st.integers(1, 6), within=st.none() | st.integers(0, 5))
    def begin(self, max_size: int, within: int | None) -> None:
        self.buffer: Buffer[tuple[str, int]] = Buffer(max_size, within)
        self.waiting: list[tuple[str, int]] = []
        self.began: int | None = None
        self.now = self.number = 0

    @rule(task=st.sampled_from("ab"), seconds=st.integers(0, 3))
    def add(self, task: str, seconds: int) -> None:
        self.now += seconds
        if not self.waiting:
            self.began = self.now
        self.waiting.append((task, self.number))
        full = self.buffer.add((task, self.number), self.now)
        self.number += 1
        assert full is (len(self.waiting) >= self.buffer.max_size)
        if full:
            self.hand_out()

    @precondition(lambda self: self.waiting)
    @rule()
    def hand_out(self) -> None:
        assert self.buffer.drain() == self.waiting
        self.waiting, self.began = [], None

    @precondition(lambda self: self.waiting)
    @rule(task=st.sampled_from("ab"))
    def lose_a_task(self, task: str) -> None:
        self.buffer.discard(lambda item: item[0] == task)
        self.waiting = [item for item in self.waiting if item[0] != task]
        if not self.waiting:
            self.began = None

    @invariant()
    def it_is_due_when_its_first_event_has_waited_long_enough(self) -> None:
        within = self.buffer.within
        due = None if self.began is None or within is None else self.began + within
        assert self.buffer.deadline == due
        assert len(self.buffer) == len(self.waiting)
        for later in range(7):
            assert self.buffer.due(self.now + later) is (
                due is not None and self.now + later >= due
            )


TestBufferAgainstModel = BufferAgainstModel.TestCase
TestBufferAgainstModel.settings = settings(max_examples=50, stateful_step_count=30)


def test_an_empty_list_is_never_due() -> None:
    buffer: Buffer[str] = Buffer(3, 1.0)
    assert not buffer.due(1e9)
    buffer.add("a", 5.0)
    assert repr(buffer) == "<Buffer 1 of 3, due at 6.0>"
    assert (buffer.due(5.9), buffer.due(6.0)) == (False, True)
    assert buffer.drain() == ["a"]
    assert not buffer.due(1e9)


def test_events_of_a_task_that_is_gone_can_be_forgotten() -> None:
    buffer: Buffer[str] = Buffer(5, 1.0)
    for number, item in enumerate("abc"):
        buffer.add(item, float(number))
    buffer.discard(lambda item: item != "c")
    assert (len(buffer), buffer.deadline) == (1, 1.0)
    buffer.discard(lambda item: item == "c")
    assert (buffer.drain(), buffer.deadline, buffer.due(9.0)) == ([], None, False)


def test_a_drained_list_is_the_callers() -> None:
    buffer: Buffer[str] = Buffer(3)
    buffer.add("a", 0.0)
    first = buffer.drain()
    buffer.add("b", 0.0)
    assert (first, buffer.drain()) == (["a"], ["b"])


@pytest.mark.parametrize(("max_size", "within"), [(0, None), (1, -1.0), (1, float("nan"))])
def test_a_list_that_can_never_be_handed_out_is_refused(
    max_size: int, within: float | None
) -> None:
    with pytest.raises(ValueError, match="a list"):
        Buffer(max_size, within)
