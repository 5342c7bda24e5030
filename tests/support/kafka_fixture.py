"""The ``kafka`` fixture: one real broker for the whole run, or one line that says why not."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tools.kafka import KafkaNode, unavailable_reason


def require_kafka() -> None:
    """Skip the test where Kafka cannot run; fail it if ``FAUST_REQUIRE_KAFKA=1`` (as CI does)."""
    reason = unavailable_reason()
    if reason is None:
        return
    if os.environ.get("FAUST_REQUIRE_KAFKA") == "1":
        pytest.fail(f"FAUST_REQUIRE_KAFKA=1, but: {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def kafka() -> Iterator[KafkaNode]:
    """A running node (``url``, ``bootstrap``); tests keep apart by app ids and topic names."""
    require_kafka()
    with KafkaNode() as node:
        yield node
