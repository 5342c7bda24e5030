"""Windows: every time in exactly as many as it should be, without gaps and without drift."""

import json
from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from faust.exceptions import ImproperlyConfigured
from faust.windows import HoppingWindow, SlidingWindow, TumblingWindow, Window, WindowRange

NOW = 1_700_000_000.0

steps = st.decimals(min_value="0.001", max_value="86400", places=3).map(float)
timestamps = st.floats(min_value=-1e9, max_value=4e9, allow_nan=False) | st.integers(
    min_value=0, max_value=40_000_000_000
).map(lambda n: n / 10)


@given(steps, timestamps)
@example(0.1, 1e9 + 0.3)
@example(0.1, 0.3)
@example(0.7, 2.1)
def test_every_time_belongs_to_exactly_one_tumbling_window(size: float, time: float) -> None:
    window = TumblingWindow(size)
    [only] = window.ranges(time)
    assert only.start <= time < only.end
    assert window.current(time) == window.earliest(time) == only


@given(steps, st.integers(min_value=1, max_value=12), timestamps)
@example(0.1, 3, 0.3)
@example(0.1, 10, 1e9 + 0.9)
def test_every_time_belongs_to_exactly_size_by_step_windows(
    step: float, count: int, time: float
) -> None:
    size = float(Fraction(repr(step)) * count)
    ranges = HoppingWindow(size, step).ranges(time)
    assert len(ranges) == count
    assert all(start <= time < end for start, end in ranges)
    assert ranges == sorted(ranges)


@given(steps, steps, timestamps)
def test_the_windows_of_a_time_are_those_that_hold_it_and_no_others(
    one: float, other: float, time: float
) -> None:
    size, step = max(one, other), min(one, other)
    if size / step > 50:
        size = step * 50
    window = HoppingWindow(size, step)
    ranges = window.ranges(time)
    assert all(r.start <= time < r.end for r in ranges)
    first, last = window._index(ranges[0].start), window._index(ranges[-1].start)
    assert window._range(first) == ranges[0]
    assert window._range(first - 1).end <= time
    assert window._range(last + 1).start > time


@given(steps, timestamps)
@example(0.1, 1e9)
@example(1 / 3, 1e9)
def test_the_end_of_a_window_is_the_start_of_the_next(size: float, time: float) -> None:
    window = TumblingWindow(size)
    current = window.current(time)
    following = window.current(current.end)
    assert following.start == current.end
    assert window.current(current.start) == current


@given(steps, timestamps)
def test_starts_are_whole_multiples_of_the_step_rounded_once(step: float, time: float) -> None:
    start = TumblingWindow(step).current(time).start
    exact = Fraction(repr(step))
    assert start == float(round(Fraction(start) / exact) * exact)


@given(steps, timestamps)
def test_a_range_survives_json(step: float, time: float) -> None:
    current = TumblingWindow(step).current(time)
    assert WindowRange(*json.loads(json.dumps(current))) == current


@given(steps, st.sampled_from([1, 1.5, 2.3, 3]), st.lists(timestamps, min_size=2, max_size=6))
def test_what_was_asked_before_makes_no_difference(
    step: float, factor: float, times: list[float]
) -> None:
    size = step * factor
    used = HoppingWindow(size, step)
    for time in [t + d * step for t in times for d in (0, 0.3, 0.5, 0.7, 1, 2)]:
        fresh = HoppingWindow(size, step)
        assert used.current(time) == fresh.current(time)
        assert used.ranges(time) == fresh.ranges(time)


def test_ten_thousand_tenths_do_not_drift() -> None:
    window = TumblingWindow(0.1)
    time, seen = NOW, []
    for _ in range(10_000):
        current = window.current(time)
        seen.append(current)
        time = current.end
    assert time == NOW + 1000
    assert len(set(seen)) == 10_000


@pytest.mark.parametrize(
    ("window", "ranges"),
    [
        (TumblingWindow(60), [(120.0, 180.0)]),
        (TumblingWindow(timedelta(minutes=1)), [(120.0, 180.0)]),
        (HoppingWindow(20, 10), [(130.0, 150.0), (140.0, 160.0)]),
        (HoppingWindow(10, 10), [(140.0, 150.0)]),
        (HoppingWindow(15, 10), [(130.0, 145.0), (140.0, 155.0)]),
        (HoppingWindow(0.5, 0.25), [(140.0, 140.5), (140.25, 140.75)]),
        (SlidingWindow(10, 5, expires=60), [(130.4, 145.4)]),
    ],
)
def test_ranges(window: Window, ranges: list[tuple[float, float]]) -> None:
    assert window.ranges(140.4) == ranges
    assert window.current(140.4) == ranges[-1]
    assert window.earliest(140.4) == ranges[0]


def test_a_size_that_is_no_multiple_of_the_step_has_fewer_windows_late_in_a_step() -> None:
    window = HoppingWindow(15, 10)
    assert window.ranges(144.9) == [(130.0, 145.0), (140.0, 155.0)]
    assert window.ranges(145.0) == [(140.0, 155.0)]


def test_times_before_the_epoch_have_windows_too() -> None:
    assert TumblingWindow(60).current(-1.0) == (-60.0, 0.0)


def test_delta_is_the_window_of_an_earlier_time() -> None:
    window = TumblingWindow(60)
    assert window.delta(150.0, 60) == (60.0, 120.0)
    assert window.delta(150.0, timedelta(minutes=2)) == (0.0, 60.0)
    assert SlidingWindow(10, 5, None).delta(150.0, 100) == (40.0, 55.0)


def test_a_window_is_stale_when_it_ended_expires_seconds_ago() -> None:
    window = TumblingWindow(60, expires=timedelta(seconds=10))
    assert not window.stale((0.0, 60.0), 69.9)
    assert window.stale((0.0, 60.0), 70.0)
    assert window.stale(60.0, 70.0)
    assert not window.stale(60.1, 70.0)


@pytest.mark.parametrize(
    "window", [TumblingWindow(60), HoppingWindow(60, 30), SlidingWindow(1, 1, None)]
)
def test_a_window_that_does_not_expire_is_never_stale(window: Window) -> None:
    assert window.expires is None
    assert not window.stale((0.0, 60.0), 1e12)


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (TumblingWindow, (0,), "size must be above zero"),
        (TumblingWindow, (-1,), "size cannot be negative"),
        (TumblingWindow, ("soon",), "size cannot be 'soon'"),
        (TumblingWindow, (None,), "size cannot be None"),
        (TumblingWindow, (1, -1), "expires cannot be negative"),
        (HoppingWindow, (1, 2), "step .* above its size"),
        (HoppingWindow, (1, 0), "step must be above zero"),
        (SlidingWindow, (-1, 1, 1), "before cannot be negative"),
    ],
)
def test_a_window_that_cannot_be_is_refused(
    kind: Any, arguments: tuple[Any, ...], message: str
) -> None:
    with pytest.raises(ImproperlyConfigured, match=message):
        kind(*arguments)


def test_a_window_says_what_it_is() -> None:
    assert repr(TumblingWindow(60)) == "TumblingWindow(size=60.0, step=60.0, expires=None)"
    assert repr(SlidingWindow(1, 2, 3)) == "SlidingWindow(before=1.0, after=2.0, expires=3.0)"
