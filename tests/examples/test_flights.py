"""The flights example against a plain computation over the same file, through kills and twice."""

from __future__ import annotations

import asyncio
import csv
import io
import os
import signal
import socket
import subprocess
import sys
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("faust.cli.faust")

from examples.flights import data
from examples.flights.worker import USUAL_PORT, Worker, WorkerEnded, free_port
from tools.kafka.probe import free_ports

ROOT = Path(__file__).parents[2]
Tally = dict[Any, tuple[int, int]]


def rows(limit: int) -> Iterator[dict[str, str]]:
    with zipfile.ZipFile(data.folder() / "flights.csv.zip") as archive:
        text = io.StringIO(archive.read("flights.csv").decode())
    yield from islice(csv.DictReader(text), limit)


def truth(limit: int) -> tuple[Tally, Tally, Counter[str]]:
    """Delays by airline and hour, by airline and route, and cancelled flights by airport."""
    by_hour: dict[Any, list[int]] = defaultdict(lambda: [0, 0])
    by_route: dict[Any, list[int]] = defaultdict(lambda: [0, 0])
    gone: Counter[str] = Counter()
    for row in rows(limit):
        if row["dep_delay"] == "NA":
            gone[row["origin"]] += 1
            continue
        carrier, minutes = row["carrier"], int(row["dep_delay"])
        hour = datetime.fromisoformat(row["time_hour"]).timestamp()
        route = f"{carrier} {row['origin']}-{row['dest']}"
        for tally in (by_hour[carrier, hour], by_route[route]):
            tally[0] += 1
            tally[1] += minutes
    return (
        {key: (n, m) for key, (n, m) in by_hour.items()},
        {key: (n, m) for key, (n, m) in by_route.items()},
        gone,
    )


def as_tally(delay: dict[str, Any]) -> tuple[int, int]:
    return delay["flights"], delay["minutes"]


def environment(**settings: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), **settings}


async def counted(worker: Worker) -> int:
    worker.check_alive()
    return sum((await worker.ask("/flights/counted/")).values())


async def count_reaches(worker: Worker, wanted: int) -> int:
    async with asyncio.timeout(90):
        while True:
            count = await counted(worker)
            if count >= wanted:
                return count
            await asyncio.sleep(0.02)


async def hours_by_airline(worker: Worker) -> Tally:
    told: Tally = {}
    for code in data.all_airlines():
        answer = await worker.ask(f"/flights/hours/{code}/")
        for each in answer["hours"]:
            hour = datetime.fromisoformat(each["hour"]).timestamp()
            told[code, hour] = as_tally(each["delay"])
    return told


def own_worker(folder: Path, **settings: str) -> Worker:
    """A worker with a port of its own: tests that run at the same time get others."""
    return Worker(folder, free_ports(1)[0], **settings)


@pytest.mark.slow
def test_tables_equal_a_plain_computation_though_the_worker_was_killed_twice(
    tmp_path: Path,
) -> None:
    limit = 40_000
    settings = {"BROKER_COMMIT_INTERVAL": "0.3", "PYTHONPATH": str(ROOT)}

    async def scenario() -> tuple[Any, Tally]:
        sender = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "examples.flights.send", str(limit),
            env=environment(F_DATADIR=str(tmp_path)), stdout=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            reached = 0
            for _ in range(2):
                async with own_worker(tmp_path, **settings) as worker:
                    reached = await count_reaches(worker, reached + 1)
                    await worker.kill()
            async with own_worker(tmp_path, **settings) as worker:
                assert await asyncio.wait_for(sender.wait(), 90) == 0
                assert await count_reaches(worker, limit) == limit
                return await worker.ask("/flights/found/"), await hours_by_airline(worker)
        finally:
            if sender.returncode is None:
                sender.kill()
                await sender.wait()

    found, hours = asyncio.run(scenario())
    by_hour, by_route, gone = truth(limit)
    assert {name: as_tally(delay) for name, delay in found["routes"].items()} == by_route
    assert found["cancelled"] == dict(gone)
    assert hours == by_hour
    assert set(found["airlines"]) <= set(data.all_airlines().values())
    assert sum(d["flights"] for d in found["airlines"].values()) == limit - gone.total()


@pytest.mark.slow
def test_the_demo_runs_twice_in_one_place_and_with_the_usual_port_taken(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "examples.flights", "3000"]
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", USUAL_PORT))
        except OSError:
            pass  # somebody else has it: that will do
        else:
            taken.listen()
        for _ in range(2):
            done = subprocess.run(
                command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=90
            )
            assert done.returncode == 0, done.stdout + done.stderr
            assert "3,000 flights" in done.stdout
            assert "What to type next" in done.stdout
            assert f"127.0.0.1:{USUAL_PORT}/ while" not in done.stdout


@pytest.mark.slow
def test_a_worker_that_ends_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with own_worker(tmp_path, BROKER_COMMIT_INTERVAL="nonsense", PYTHONPATH=str(ROOT)):
            pass

    with pytest.raises(WorkerEnded, match="broker_commit_interval"):
        asyncio.run(scenario())


@pytest.mark.slow
def test_a_worker_that_is_gone_is_not_asked_in_vain(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with own_worker(tmp_path, PYTHONPATH=str(ROOT)) as worker:
            await worker.kill()
            await worker.ask("/flights/counted/")

    with pytest.raises(WorkerEnded, match="the worker has ended"):
        asyncio.run(scenario())


@pytest.mark.slow
def test_a_worker_stops_in_good_order_when_it_is_no_longer_needed(tmp_path: Path) -> None:
    async def scenario() -> int:
        async with own_worker(tmp_path, PYTHONPATH=str(ROOT)) as worker:
            assert await counted(worker) == 0
            return worker.pid

    pid = asyncio.run(scenario())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)


def test_a_free_port_is_the_usual_one_or_another() -> None:
    assert 0 < free_port() < 65536
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", USUAL_PORT))
        except OSError:
            return
        taken.listen()
        assert free_port() != USUAL_PORT


def test_the_file_holds_what_the_demo_says() -> None:
    flights = list(data.all_flights(1000))
    assert len(flights) == 1000
    assert flights[0].route == "UA EWR-IAH"
    assert flights[0].delay == 2
    assert data.all_airports()[flights[0].origin] == "Newark Liberty Intl"
    assert data.all_airlines()["UA"] == "United Air Lines Inc."
