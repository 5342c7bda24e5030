"""A few seconds of faults in every test run; `tests.faults.soak` has the minutes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults_brokers import Brokers
from faults_judge import Report
from faults_run import fault_run, plan_for

from tests.support.kafka_fixture import require_kafka

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def brokers() -> Iterator[Brokers]:
    """Three nodes behind proxies."""
    require_kafka()
    with Brokers() as made:
        yield made


def check(report: Report) -> None:
    print(report)
    assert not report.findings, "\n".join([str(report), *report.findings])


@pytest.mark.parametrize("scenario", ["zombies", "shutdown"])
def test_workers_on_sqlite_outlive_a_few_faults(scenario: str, tmp_path: Path) -> None:
    plan = plan_for(f"sqlite://{tmp_path}/broker.db", scenario, 1, tmp_path)
    check(asyncio.run(fault_run(plan, scenario, seconds=8, seed=1)))


@pytest.mark.kafka
@pytest.mark.parametrize("scenario", ["coordinator"])
def test_workers_outlive_a_coordinator_that_dies(
    scenario: str, tmp_path: Path, brokers: Brokers
) -> None:
    plan = plan_for(brokers.url, scenario, 1, tmp_path)
    check(asyncio.run(fault_run(plan, scenario, seconds=8, seed=1, brokers=brokers)))
