"""An agent that blocks the whole event loop for longer than the session: a real app, real time."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

import faust
from faust.types import TP

SESSION = 2.0


async def until(condition: Callable[[], Any]) -> None:
    """Wait until something is so; a test's own time-out ends it otherwise."""
    for _ in count():
        if condition():
            return
        await asyncio.sleep(0.02)


def get(url: str) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_time_sleep_for_three_sessions_causes_no_rebalance_is_reported_and_pages_answer_meanwhile(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = faust.App(
        "blocking",
        broker=f"sqlite://{tmp_path}/broker.db",
        datadir=str(tmp_path),
        web_port=0,
        web_bind="127.0.0.1",
        web_host="127.0.0.1",
        broker_session_timeout=SESSION,
        broker_heartbeat_interval=0.2,
        broker_commit_interval=0.1,
        blocking_timeout=1.0,
    )
    topic = app.topic("orders", internal=True, partitions=1, value_type=str)
    seen: list[str] = []
    pages: dict[str, tuple[int, dict[str, Any]]] = {}
    visited = threading.Event()

    def visit() -> None:
        while app.watchdog.blocked_for < 1.5 * SESSION:
            time.sleep(0.05)
        for page in ("health", "ready"):
            pages[page] = get(f"http://127.0.0.1:{app.web.port}/{page}")
        visited.set()

    @app.agent(topic, name="blocks")
    async def blocks(stream: Any) -> None:
        async for value in stream:
            if value == "block":
                time.sleep(3 * SESSION + 0.5)  # noqa: ASYNC251 - that is the point
                assert visited.wait(60)
            seen.append(value)

    async def main() -> None:
        async with app:
            engine: Any = app.engine
            before = engine.rebalancer.rounds, engine.generation
            visiting = asyncio.get_running_loop().run_in_executor(None, visit)
            await topic.send(value="block")
            await topic.send(value="after")
            await until(lambda: len(seen) == 2)
            await visiting
            await until(lambda: app.committed_position(TP("orders", 0)) == 2)
            assert (engine.rebalancer.rounds, engine.generation) == before
            assert app.failure is None
            ready = f"http://127.0.0.1:{app.web.port}/ready"
            await until(lambda: app.watchdog.blocked_for == 0)
            assert await asyncio.to_thread(get, ready) == (200, {"status": "ready"})

    with caplog.at_level(logging.WARNING):
        asyncio.run(main())
    assert seen == ["block", "after"]
    assert pages["health"] == (200, {"status": "ok"})
    status, ready = pages["ready"]
    assert status == 503
    assert "the event loop has been blocked for" in ready["reason"]
    told = [r.getMessage() for r in caplog.records if "has been blocked for" in r.getMessage()]
    named = [
        each for each in told if "by agent blocks at topic orders partition 0 offset 0" in each
    ]
    assert "time.sleep(3 * SESSION + 0.5)" in named[0]
