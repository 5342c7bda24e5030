"""``python -m benchmarks.rpc``: how long an answer takes, on each broker that can be started.

One worker and one client, each an app with a connection of its own, in one process and so on one
core; the agent yields what it is given.  Asks are made one after the other, then with many
outstanding at once.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import faust
from tools.kafka import KafkaNode, KafkaStartError, KafkaUnavailable
from tools.kafka.node import BENCHMARK_JVM

OUTSTANDING = (1, 100, 10_000)
#: Asks measured one after the other.
SEQUENTIAL = 500


def make(url: str, directory: str) -> faust.App:
    """Return an app with the agent that is asked."""
    app = faust.App(
        "rpc-benchmark", broker=url, web_enabled=False, topic_partitions=4, datadir=directory
    )

    @app.agent(name="echo")
    async def echo(values: Any) -> Any:
        async for value in values:
            yield value

    return app


async def measure(url: str, directory: str) -> None:
    """Print the round-trip times through one broker."""
    worker, client = make(url, directory), make(url, directory)
    echo: Any = client.agents["echo"]
    async with worker:
        await client.start_client()
        try:
            await _measure(echo, url.partition(":")[0])
        finally:
            await client.stop()


async def _measure(echo: Any, name: str) -> None:
    await echo.join(range(1_000), timeout=60)  # warm
    for outstanding in OUTSTANDING:
        total = SEQUENTIAL if outstanding == 1 else max(10_000, outstanding)
        took: list[float] = []
        began = time.perf_counter()
        room = asyncio.Semaphore(outstanding)

        async def one(number: int, took: list[float] = took, room: Any = room) -> None:
            async with room:
                asked = time.perf_counter()
                await echo.ask(number, timeout=120)
                took.append((time.perf_counter() - asked) * 1000)

        await asyncio.gather(*(one(number) for number in range(total)))
        seconds = time.perf_counter() - began
        p99 = statistics.quantiles(took, n=100)[98]
        print(
            f"{name:8} {outstanding:6} outstanding: median {statistics.median(took):8.2f} ms, "
            f"p99 {p99:8.2f} ms, {total / seconds:8.0f} asks/s",
            flush=True,
        )


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rpc", description=__doc__)
    parser.add_argument("brokers", nargs="*", default=["memory", "sqlite", "kafka"])
    brokers = parser.parse_args().brokers
    with tempfile.TemporaryDirectory(prefix="faust-benchmark-") as directory:
        for broker in brokers:
            if broker == "kafka":
                _measure_kafka(directory)
            else:
                path = Path(directory) / "log.db"
                url = f"sqlite:///{path}" if broker == "sqlite" else "memory://rpc-benchmark"
                asyncio.run(measure(url, directory))


def _measure_kafka(directory: str) -> None:
    try:
        with KafkaNode(jvm=BENCHMARK_JVM) as node:
            asyncio.run(measure(f"kafka://{node.bootstrap}", directory))
    except (KafkaUnavailable, KafkaStartError) as exc:
        print(exc)


if __name__ == "__main__":
    main()
