"""How often something is tried again, and how far apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faust._machines.retry import Attempts, RetryPolicy, backoff


def test_an_event_is_tried_as_often_as_the_policy_says_and_no_more() -> None:
    attempts = Attempts(RetryPolicy(retries=4, first_delay=1.0, factor=3.0, max_delay=10.0))
    assert [attempts.failed() for _ in range(6)] == [1.0, 3.0, 9.0, 10.0, None, None]
    assert repr(attempts) == "<Attempts 6 of 5 failed>"


def test_the_next_event_begins_with_all_its_attempts() -> None:
    attempts = Attempts(RetryPolicy(retries=1))
    assert [attempts.failed(), attempts.failed()] == [0.1, None]
    attempts.reset()
    assert [attempts.failed(), attempts.failed()] == [0.1, None]


def test_no_retries_means_none() -> None:
    assert Attempts(RetryPolicy(retries=0)).failed() is None


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"retries": -1}, "retries"),
        ({"first_delay": -0.1}, "delays"),
        ({"max_delay": float("nan")}, "delays"),
        ({"factor": 0.5}, "factor"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(values: dict[str, float], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        RetryPolicy(**values)  # type: ignore[arg-type]


def test_no_delay_and_one_that_does_not_grow_are_policies() -> None:
    at_once = Attempts(RetryPolicy(retries=2, first_delay=0, max_delay=0))
    assert [at_once.failed() for _ in range(3)] == [0, 0, None]
    steady = Attempts(RetryPolicy(retries=3, first_delay=0.25, factor=1, max_delay=0.5))
    assert [steady.failed() for _ in range(4)] == [0.25, 0.25, 0.25, None]


def test_jitter_takes_up_to_half_of_a_wait_away() -> None:
    assert [backoff(1, 8.0, 10.0, jitter) for jitter in (0.0, 0.25, 0.5)] == [8.0, 7.0, 6.0]


@given(
    st.integers(-3, 5_000), st.floats(0, 10), st.floats(0, 100), st.floats(0, 1, exclude_max=True)
)
def test_a_wait_is_never_above_its_cap_and_never_below_half_of_it_without_jitter(
    attempt: int, first: float, cap: float, jitter: float
) -> None:
    plain = backoff(attempt, first, cap)
    assert 0 <= plain / 2 <= backoff(attempt, first, cap, jitter) <= plain <= cap
    assert plain <= backoff(attempt + 1, first, cap)


def test_waits_double_up_to_the_cap() -> None:
    assert [backoff(n, 0.1, 2.0) for n in range(1, 7)] == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0]
