"""The worker that is asked is killed half-way: whoever takes over answers, and answers rightly."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import faust

PROGRAM = """
import asyncio, sys
import faust

app = faust.App(
    "rpc-killed", broker=sys.argv[1], web_enabled=False, topic_partitions=2, datadir=sys.argv[2],
    broker_session_timeout=2, broker_heartbeat_interval=0.5, broker_commit_interval=0.1,
)

@app.agent(name="double")
async def double(values):
    async for value in values:
        if value >= int(sys.argv[3]):
            await asyncio.sleep(3600)
        yield 2 * value

async def main():
    async with app:
        print("ready", flush=True)
        await asyncio.sleep(3600)

asyncio.run(main())
"""


@pytest.mark.timeout(300)
def test_asks_survive_the_kill_of_the_worker_that_answers(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'log.db'}"
    client = faust.App("rpc-killed", broker=url, web_enabled=False, topic_partitions=2)

    @client.agent(name="double")
    async def double(values: Any) -> Any:
        yield None

    def worker(name: str, stands_still_at: int) -> subprocess.Popen[str]:
        started = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, url, str(tmp_path / name), str(stands_still_at)],
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(started)
        assert started.stdout is not None
        assert started.stdout.readline() == "ready\n"
        return started

    async def main() -> list[Any]:
        first = await asyncio.to_thread(worker, "first", 500)
        await client.start_client()
        promises = [await double.ask_nowait(n, timeout=150) for n in range(1_000)]
        await asyncio.wait(promises, return_when=asyncio.FIRST_COMPLETED)
        first.kill()
        assert not all(promise.done() for promise in promises)
        await asyncio.to_thread(worker, "second", 1_000)
        answers = list(await asyncio.gather(*promises))
        assert len(client._replies) == 0
        await client.stop()
        return answers

    running: list[subprocess.Popen[str]] = []
    try:
        assert asyncio.run(main()) == [2 * n for n in range(1_000)]
    finally:
        for each in running:
            each.kill()
            each.wait()
            assert each.stdout is not None
            each.stdout.close()
