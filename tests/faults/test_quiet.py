"""While nothing goes wrong but time passes: idle workers, idle topics, brokers that stay away."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from uuid import uuid4

import pytest
from faults_cluster import Cluster, Plan
from faults_judge import Report, judge
from faults_run import plan_for
from faults_storm import KEYS, running, settle
from faults_workload import Flow, numbered

from tools.kafka import KafkaNode

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def sqlite_plan(tmp_path: Path, partitions: int = 6) -> Plan:
    name = f"quiet-{uuid4().hex[:8]}"
    url = f"sqlite://{tmp_path}/broker.db"
    return Plan(name, url, "rocksdb://", 4.0, tmp_path / name, partitions=partitions)


@pytest.mark.parametrize("within", [60.0, pytest.param(10.0, marks=pytest.mark.soak)])
def test_an_idle_fourth_worker_takes_over(tmp_path: Path, within: float) -> None:
    """Within ten seconds, where the machine has nothing else to do."""
    asyncio.run(take_over(sqlite_plan(tmp_path, partitions=3), within))


async def take_over(plan: Plan, within: float) -> None:
    events = numbered(6 * 500, KEYS, seed=1)
    report = Report("an idle fourth worker takes over", len(events))
    async with running(plan, events, 500, workers=4) as (cluster, flow, sending):
        owners = set((await cluster.tables()).owners.values())
        victim = next(worker for worker in cluster.workers if worker.name in owners)
        await asyncio.sleep(2)
        victim.kill()
        await cluster.tables(timeout=within)
        await settle(report, cluster, flow, sending)
        await judge(report, cluster, flow, any_duplicates=True)
    assert not report.findings, "\n".join(report.findings)


def test_a_worker_that_was_stopped_in_order_restores_nothing_and_does_nothing_twice(
    tmp_path: Path,
) -> None:
    asyncio.run(clean_restarts(sqlite_plan(tmp_path)))


async def clean_restarts(plan: Plan) -> None:
    events = numbered(8 * 500, KEYS, seed=2)
    report = Report("clean restarts", len(events))
    async with running(plan, events, 500, workers=1) as (cluster, flow, sending):
        for _ in range(2):
            await asyncio.sleep(2)
            await cluster.terminate(*cluster.living())
            cluster.start(0)
            await cluster.tables()
        await settle(report, cluster, flow, sending)
        for worker in cluster.workers[1:]:
            assert "Restoring" not in worker.log.read_text(), worker.tail()
        await judge(report, cluster, flow)
    assert not report.findings, "\n".join(report.findings)
    assert report.duplicates == 0


@pytest.mark.soak
def test_after_a_topic_was_idle_for_longer_than_every_time_out_an_event_is_handled_at_once(
    tmp_path: Path,
) -> None:
    asyncio.run(idle(sqlite_plan(tmp_path), 60.0))


@pytest.mark.soak
@pytest.mark.kafka
def test_after_a_kafka_topic_was_idle_for_longer_than_every_time_out_an_event_is_handled_at_once(
    tmp_path: Path, kafka: KafkaNode
) -> None:
    asyncio.run(idle(plan_for(kafka.url, "zombies", 0, tmp_path, replicas=1), 60.0))


async def idle(plan: Plan, seconds: float) -> None:
    """Nothing for a while, then one event; then once more, past the longest wait of a fetch."""
    with Cluster(plan) as cluster:
        async with Flow(plan, numbered(1, 1, seed=1)) as flow:
            for slot in range(2):
                cluster.start(slot)
            await cluster.tables()
            await asyncio.sleep(seconds)
            await flow.send(1000.0)
            sent = time.time()
            await flow.until_done(10.0, cluster.check_alive)
            (kept,) = await flow.sink()
            assert kept.at - sent < 1.0, "an event after a pause has waited"
            for worker in cluster.living():
                assert "WARNING" not in worker.log.read_text(), worker.tail()
            await cluster.terminate(*cluster.living())


@pytest.mark.kafka
def test_a_worker_whose_brokers_are_away_for_longer_than_allowed_ends_with_one_error(
    tmp_path: Path,
) -> None:
    from tests.support.kafka_fixture import require_kafka

    require_kafka()
    asyncio.run(brokers_gone(tmp_path))


async def brokers_gone(tmp_path: Path) -> None:
    with KafkaNode() as node:
        plan = plan_for(node.url, "zombies", 0, tmp_path, replicas=1)
        with Cluster(plan) as cluster:
            async with Flow(plan, numbered(1, 1, seed=1)):
                worker = cluster.start(0, FAULTS_UNAVAILABLE="5")
                await cluster.tables()
                node.suspend()
                worker.killed = True  # it ends by itself, as it is meant to
                status = await asyncio.to_thread(worker.process.wait, 150.0)
                node.resume()
            text = worker.log.read_text()
            assert status == 1, text
            assert text.count("broker_unavailable_timeout") == 1, text
