"""Durations and random ids."""

from datetime import timedelta
from typing import Any

import pytest

from faust.utils import uuid
from faust.utils.times import want_seconds


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (3, 3.0),
        (0.25, 0.25),
        (timedelta(minutes=1, milliseconds=5), 60.005),
        ("30", 30.0),
        (" 1.5 ", 1.5),
        ("8/s", 8.0),
        ("120/m", 2.0),
        ("3600/h", 1.0),
        ("86400/d", 1.0),
    ],
)
def test_durations_are_seconds(given: Any, seconds: float) -> None:
    assert want_seconds(given) == seconds
    assert type(want_seconds(given)) is float


@pytest.mark.parametrize("given", ["soon", "", "8/y", "1/", "nan", "inf", float("nan")])
def test_a_text_that_is_no_duration_is_an_error(given: Any) -> None:
    with pytest.raises(ValueError, match=r"not a|unknown unit"):
        want_seconds(given)


@pytest.mark.parametrize("given", [None, True, b"1", [1]])
def test_what_is_no_number_is_an_error(given: Any) -> None:
    with pytest.raises(TypeError, match="not a duration"):
        want_seconds(given)


def test_ids_differ() -> None:
    assert uuid() != uuid()
    assert len(uuid()) == 36
