"""The long runs: thirty on SQLite, thirty on a real Kafka of three nodes."""

from __future__ import annotations

import pytest

from tests.faults import soak
from tests.support.kafka_fixture import require_kafka


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_thirty_runs_under_faults_on_sqlite() -> None:
    assert soak.main(["--driver", "sqlite", "--runs", "30"]) == 0


@pytest.mark.soak
@pytest.mark.kafka
@pytest.mark.timeout(7200)
def test_thirty_runs_under_faults_on_kafka() -> None:
    require_kafka()
    assert soak.main(["--driver", "kafka", "--runs", "30"]) == 0
