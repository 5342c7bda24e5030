from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

import faust
from faust.transport.drivers.memory import forget_broker

_numbers = itertools.count()


@pytest.fixture
def broker() -> Iterator[str]:
    """A broker of the test's own, in this process."""
    name = f"plugins-{next(_numbers)}"
    yield f"memory://{name}"
    forget_broker(name)


@pytest.fixture
def app(broker: str, tmp_path: Path) -> faust.App:
    return faust.App(
        "plugged", broker=broker, topic_partitions=1, datadir=str(tmp_path), web_enabled=False
    )
