"""When a list of `take` is handed out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
