"""What a worker says of failures, and how its log is set up."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

import faust
from faust._core.attendant import Rate
from faust.exceptions import AgentFailed, ImproperlyConfigured
from faust.worker import loop_factory_for, sentence_for


@pytest.fixture(autouse=True)
def same_log() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


def worker(**options: Any) -> faust.Worker:
    app = faust.App("w", broker="memory://", web_enabled=False, **options)
    return faust.Worker(app, loglevel="info")


def test_a_failure_of_ours_is_told_in_its_own_words() -> None:
    assert sentence_for(AgentFailed("agent x\nfailed")) == "agent x failed"


def test_any_other_failure_is_told_with_its_kind() -> None:
    assert sentence_for(KeyError("k")) == "KeyError: 'k'"
    assert sentence_for(RuntimeError()) == "RuntimeError"


def test_loghandlers_are_the_only_ones() -> None:
    handler = logging.NullHandler()
    made = worker(loghandlers=[handler])
    made._setup_logging()
    assert logging.getLogger().handlers == [handler]
    assert logging.getLogger().level == logging.INFO


def test_a_subclass_may_add_to_the_log() -> None:
    seen: list[int] = []

    class Mine(faust.Worker):
        def on_setup_root_logger(self, logger: logging.Logger, level: int) -> None:
            seen.append(level)

    app = faust.App("w", broker="memory://")
    Mine(app)._setup_logging()
    assert seen == [logging.WARNING]


def test_an_unknown_event_loop_is_refused() -> None:
    assert loop_factory_for("aio") is None
    with pytest.raises(ImproperlyConfigured, match="no event loop 'eventlet'"):
        loop_factory_for("eventlet")


def test_the_rate_of_a_restore_is_how_fast_what_is_left_falls() -> None:
    rate = Rate()
    assert rate.after(1.0, 1000) == 0.0
    assert rate.after(1.0, 900) == 100.0
    assert rate.after(0.5, 850) == pytest.approx(100.0)
    assert rate.after(1.0, 0) == 0.0
