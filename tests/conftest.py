"""Fixtures of all tests, and which of them must stay together when they run side by side."""

from __future__ import annotations

import signal

import pytest
from hypothesis import HealthCheck, settings

from tests.support.kafka_fixture import kafka

__all__ = ["kafka"]

# How long an example takes says more about the machine than about what is tested.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")


@pytest.hookimpl(tryfirst=True)  # xdist looks for groups in a hook of the same name
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One process runs everything that needs Kafka, so that one broker is started, not one each."""
    for item in items:
        if "kafka" in getattr(item, "fixturenames", ()) or item.get_closest_marker("kafka"):
            item.add_marker(pytest.mark.xdist_group("kafka"))


@pytest.fixture(autouse=True, scope="session")
def interrupts() -> None:
    """A test run that a script has put into the background ignores SIGINT, and what it starts would
    inherit that."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
