"""The attendant of a worker, with a time that the test makes pass."""

from __future__ import annotations

import pytest

from faust._core.attendant import Attendant


def test_stopping_for_too_long_ends_the_process_and_says_what_was_waited_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ended: list[int] = []
    attendant = Attendant(lambda elapsed: "", lambda: ["agent a"], 12.0, end=ended.append)
    attendant.look(100.0)
    attendant.stopping()
    attendant.look(6.0)
    assert "Stopping: waiting for agent a (6 of 12 s)" in caplog.text
    assert not ended
    attendant.look(6.0)
    assert ended == [1]
    assert "will be processed again" in caplog.text


def test_progress_is_shown_on_a_terminal_and_taken_away_again() -> None:
    shown: list[str] = []
    texts = iter(["half", "nearly", ""])
    attendant = Attendant(lambda elapsed: next(texts), list, 12.0, show=shown.append)
    for _ in range(3):
        attendant.look(0.2)
    assert shown == ["half", "nearly", ""]


def test_without_a_terminal_progress_is_logged_every_few_seconds(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    attendant = Attendant(lambda elapsed: "some left", list, 12.0)
    for _ in range(10):
        attendant.look(1.0)
    assert [record.getMessage() for record in caplog.records] == ["some left", "some left"]
