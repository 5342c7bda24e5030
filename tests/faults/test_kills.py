"""Workers are processes, and die by SIGKILL; the oracle judges what is left."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from pathlib import Path
from uuid import uuid4

import pytest
from faults_cluster import Plan
from faults_judge import Report
from faults_storm import storm

from tests.support.kafka_fixture import require_kafka
from tools.kafka import KafkaNode

#: At least so many kills in a run, and all of them while there was something to lose.  In a short
#: one on a machine that is busy, where workers take long to be back, there are not many more.
KILLS, FEW = 6, 3
#: A node of the test run grants no shorter session to a Kafka group.
KAFKA_SESSION = 6.0
SQLITE_SESSION = 4.0

Outcome = Report | BaseException


def plan_for(broker: str, store: str, directory: Path) -> Plan:
    """A plan with names of its own."""
    session = KAFKA_SESSION if broker.startswith("kafka") else SQLITE_SESSION
    name = f"kills-{uuid4().hex[:8]}"
    return Plan(name, broker, store, session, directory / name)


def check(outcome: Outcome, kills: int) -> None:
    """Raise what went wrong; say what there was."""
    if isinstance(outcome, BaseException):
        raise outcome
    print(outcome)
    outcome.note()
    assert not outcome.findings, "\n".join([str(outcome), *outcome.findings])
    landed = [kill for kill in outcome.kills if kill.lag]
    assert len(landed) >= kills, str(outcome)
    assert outcome.duplicates, f"no kill has landed between an event and its commit: {outcome}"


def run_together(storms: dict[str, Coroutine[None, None, Report]]) -> dict[str, Outcome]:
    """Run storms side by side; return what came of each."""

    async def main() -> list[Outcome]:
        return await asyncio.gather(*storms.values(), return_exceptions=True)

    return dict(zip(storms, asyncio.run(main()), strict=True))


@pytest.fixture(scope="module")
def short_storms(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Outcome]:
    """One storm on SQLite with memory tables, and one on Kafka with RocksDB, at the same time."""
    directory = tmp_path_factory.mktemp("storms")
    seed = int(os.environ.get("FAULTS_SEED", "1"))
    storms = {
        "sqlite": storm(
            plan_for(f"sqlite://{directory}/broker.db", "memory://", directory),
            "sqlite, memory", seconds=62, rate=700, rest=2.0, seed=seed,
        )
    }  # fmt: skip
    try:
        require_kafka()
    except pytest.skip.Exception:
        return run_together(storms)
    node: KafkaNode = request.getfixturevalue("kafka")
    storms["kafka"] = storm(
        plan_for(node.url, "rocksdb://", directory),
        "kafka, rocksdb", seconds=62, rate=700, rest=3.0, seed=seed + 1,
    )  # fmt: skip
    return run_together(storms)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_workers_killed_on_sqlite_lose_nothing_and_leave_exact_tables(
    short_storms: dict[str, Outcome],
) -> None:
    check(short_storms["sqlite"], FEW)


@pytest.mark.slow
@pytest.mark.kafka
@pytest.mark.timeout(600)
def test_workers_killed_on_kafka_lose_nothing_and_leave_exact_tables(
    short_storms: dict[str, Outcome],
) -> None:
    require_kafka()
    check(short_storms["kafka"], FEW)


@pytest.mark.soak
@pytest.mark.kafka
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("store", ["memory://", "rocksdb://"])
@pytest.mark.parametrize("broker", ["sqlite", "kafka"])
def test_workers_killed_for_minutes_lose_nothing_and_leave_exact_tables(
    broker: str, store: str, seed: int, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if broker == "kafka":
        url = request.getfixturevalue("kafka").url
    else:
        url = f"sqlite://{tmp_path}/broker.db"
    plan = plan_for(url, store, tmp_path)
    label = f"{broker}, {store}, seed {seed}"
    check(asyncio.run(storm(plan, label, seconds=240, rate=1500, rest=6.0, seed=seed)), KILLS)
