"""Fixtures of all tests, and which of them must stay together when they run side by side."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.support.kafka_fixture import kafka

__all__ = ["kafka"]

#: Directories of which one process runs a module: its servers and workers are for all of its tests.
TOGETHER = ("tests/kafka/", "tests/faults/")

# How long an example takes says more about the machine than about what is tested.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")


@pytest.hookimpl(optionalhook=True)  # only where pytest-xdist is in use
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Return what hands out tests to processes: some modules as a whole (`TOGETHER`).

    By name, in a scheduler of our own: marks of groups are not heard of (pytest-xdist 3.8 writes
    them where pytest 9.2 does not look), and each process started each server.
    """
    if config.getvalue("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadGroupScheduling

    class Together(LoadGroupScheduling):
        def _split_scope(self, nodeid: str) -> str:
            module, _, _ = nodeid.partition("::")
            if module.startswith(TOGETHER):
                return module
            return str(super()._split_scope(nodeid))

    return Together(config, log)


@pytest.fixture(autouse=True, scope="session")
def interrupts() -> None:
    """A test run that a script has put into the background ignores SIGINT, and what it starts would
    inherit that."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
