"""Faults that are no reason to lose anything, nor to do anything twice."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from faults_cluster import Cluster, Plan
from faults_judge import Report, judge
from faults_storm import KEYS, running, settle
from faults_workload import Flow, numbered

from tools.kafka import KafkaNode

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

BROKERS: list[Any] = ["sqlite", pytest.param("kafka", marks=pytest.mark.kafka)]
SESSION = 6.0
RATE = 600.0


@pytest.fixture
def broker(request: pytest.FixtureRequest) -> str:
    """Which one, by the test's parameter."""
    name: str = request.param
    return name


@pytest.fixture
def plan(broker: str, request: pytest.FixtureRequest, tmp_path: Path) -> Plan:
    """Names of its own, on the broker that the test's parameter names; tables in RocksDB."""
    url = f"sqlite://{tmp_path}/broker.db"
    if broker == "kafka":
        node: KafkaNode = request.getfixturevalue("kafka")
        url = node.url
    name = f"orderly-{uuid4().hex[:8]}"
    return Plan(name, url, "rocksdb://", SESSION, tmp_path / name)


async def settle_and_judge(
    report: Report,
    cluster: Cluster,
    flow: Flow,
    sending: asyncio.Task[None],
    *,
    any_duplicates: bool = False,
) -> None:
    await settle(report, cluster, flow, sending)
    await judge(report, cluster, flow, any_duplicates=any_duplicates)
    print(report)
    assert not report.findings, "\n".join(report.findings)


@pytest.mark.parametrize("broker", BROKERS, indirect=True)
def test_workers_that_join_and_leave_in_order_do_nothing_twice(plan: Plan) -> None:
    # Nobody is to be thrown out: a session is longer than the machine keeps a worker waiting.
    asyncio.run(join_and_leave(replace(plan, session=60.0, heartbeat=SESSION / 5)))


async def join_and_leave(plan: Plan) -> None:
    events = numbered(int(20 * RATE), KEYS, seed=3)
    report = Report("joins and leaves", len(events))
    async with running(plan, events, RATE, workers=2) as (cluster, flow, sending):
        first, second = cluster.living()
        third = cluster.start(2)
        await asyncio.sleep(5)
        await cluster.terminate(first)
        await asyncio.sleep(2)
        cluster.start(0)
        await asyncio.sleep(4)
        await cluster.terminate(second, third)
        await asyncio.sleep(1)
        cluster.start(1)
        await settle_and_judge(report, cluster, flow, sending)
    assert report.duplicates == 0


@pytest.mark.parametrize("broker", BROKERS, indirect=True)
def test_a_worker_that_blocks_its_loop_past_its_session_causes_no_rebalance(plan: Plan) -> None:
    asyncio.run(block(plan))


async def block(plan: Plan) -> None:
    events = numbered(int(20 * RATE), KEYS, seed=4)
    report = Report("a blocked loop", len(events))
    blocking = {"FAULTS_BLOCK": f"{5 * RATE:.0f}:{1.5 * SESSION}"}
    before: dict[str, int] = {}

    async def settled(cluster: Cluster) -> None:
        await cluster.balanced()
        before.update(await cluster.settled())

    async with running(plan, events, RATE, workers=2, before=settled, **blocking) as (
        cluster, flow, sending,
    ):  # fmt: skip
        await settle(report, cluster, flow, sending)
        assert cluster.rounds() == before
        for worker in cluster.living():
            assert "blocking is over" in worker.log.read_text(), "it has not blocked"
        await settle_and_judge(report, cluster, flow, sending)
    assert report.duplicates == 0


@pytest.mark.parametrize("broker", BROKERS, indirect=True)
def test_a_worker_told_to_stop_while_it_restores_ends_in_order(plan: Plan) -> None:
    asyncio.run(stop_in_restores(plan))


async def stop_in_restores(plan: Plan) -> None:
    events = numbered(int(6 * RATE), KEYS, seed=5)
    report = Report("stopped while restoring", len(events))
    async with running(plan, events, RATE, workers=1) as (cluster, flow, sending):
        await settle(report, cluster, flow, sending)
        await cluster.terminate(*cluster.living())
        for attempt in range(5):
            cluster.wipe(0)
            worker = cluster.start(0, FAULTS_RESTORE_PAUSE="0.25")
            await cluster.until("a restore", partial(worker.marks.begun, "restore"))
            await asyncio.sleep(attempt * 0.06)
            await cluster.terminate(worker)
        cluster.start(0)
        await settle_and_judge(report, cluster, flow, sending)
    assert report.duplicates == 0


@pytest.mark.parametrize("broker", BROKERS[1:], indirect=True)
@pytest.mark.parametrize("away", [4.0, pytest.param(20.0, marks=pytest.mark.soak)])
def test_a_broker_that_is_away_for_a_while_costs_nothing(
    plan: Plan, kafka: KafkaNode, away: float
) -> None:
    asyncio.run(broker_away(plan, kafka, away))


async def broker_away(plan: Plan, kafka: KafkaNode, away: float) -> None:
    events = numbered(int(12 * RATE), KEYS, seed=6)
    report = Report(f"the broker away for {away:.0f} s", len(events))
    async with running(plan, events, RATE) as (cluster, flow, sending):
        await asyncio.sleep(4)
        kafka.suspend()
        try:
            await asyncio.sleep(away)
        finally:
            kafka.resume()
        began = time.monotonic()
        await settle(report, cluster, flow, sending)
        report.healed_in = time.monotonic() - began
        # A session that ran out meanwhile is a worker that has lost its tasks.
        await judge(report, cluster, flow, any_duplicates=True)
    print(report)
    assert not report.findings, "\n".join(report.findings)
