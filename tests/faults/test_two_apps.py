"""Two apps with different ids on the same topics do not fence each other."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from faults_cluster import Cluster, Plan
from faults_judge import Report, judge
from faults_run import plan_for
from faults_storm import KEYS, running, settle
from faults_workload import Flow, numbered

from tools.kafka import KafkaNode

pytestmark = [pytest.mark.soak, pytest.mark.slow, pytest.mark.timeout(300)]

RATE = 400.0


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])
def test_two_apps_on_one_sqlite_topic_each_count_everything_once(
    guarantee: str, tmp_path: Path
) -> None:
    url = f"sqlite://{tmp_path}/broker.db"
    asyncio.run(two_apps(plan_for(url, "zombies", 0, tmp_path, guarantee)))


@pytest.mark.kafka
@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])
def test_two_apps_on_one_kafka_topic_each_count_everything_once(
    guarantee: str, tmp_path: Path, kafka: KafkaNode
) -> None:
    asyncio.run(two_apps(plan_for(kafka.url, "zombies", 0, tmp_path, guarantee, replicas=1)))


async def two_apps(plan: Plan) -> None:
    """One app's worker is killed, then the other's; each has its own tables and sink."""
    events = numbered(int(20 * RATE), KEYS, seed=1)
    other = replace(
        plan, app=f"{plan.app}-b", source=plan.events, directory=plan.directory.with_suffix(".b")
    )
    async with (
        running(plan, events, RATE, workers=2) as (cluster, flow, sending),
        Flow(other, events) as seen,
    ):
        with Cluster(other) as second:
            for slot in range(2):
                second.start(slot)
            await second.tables()
            for group in (cluster, second):
                await asyncio.sleep(2)
                group.living()[0].kill()
                group.start(2)
                await group.tables()
            await judge_app(plan, cluster, flow, sending)
            seen.places, seen.sent = flow.places, flow.sent
            await judge_app(other, second, seen, sending)


async def judge_app(plan: Plan, cluster: Cluster, flow: Flow, sending: asyncio.Task[None]) -> None:
    report = Report(f"two apps: {plan.app}", len(flow.events), guarantee=plan.guarantee)
    await settle(report, cluster, flow, sending)
    await judge(report, cluster, flow, any_duplicates=plan.guarantee == "at_least_once")
    assert not report.findings, "\n".join(report.findings)
