"""Apps with a real web server, and clients for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

import aiohttp

import faust
from faust.transport.drivers.memory import forget_broker

#: Real seconds after which what has not come is not expected any more.
PATIENCE = 80.0

Client = Callable[[aiohttp.ClientSession, str], Coroutine[Any, Any, None]]


def make_app(id: str = "served", **options: Any) -> faust.App:
    """Make an app on a broker in this process, at any free port."""
    given = {
        "broker": "memory://web",
        "web_port": 0,
        "web_bind": "127.0.0.1",
        "web_host": "127.0.0.1",
        "topic_partitions": 4,
        "broker_heartbeat_interval": 0.1,
    }
    return faust.App(id, **{**given, **options})


def serve(app: faust.App, client: Client) -> None:
    """Run an app with a client beside it."""

    async def main() -> None:
        async with app, aiohttp.ClientSession() as session:
            await client(session, f"http://127.0.0.1:{app.web.port}")

    try:
        asyncio.run(main())
    finally:
        forget_broker("web")


def serve_both(apps: list[faust.App], client: Callable[[Any], Coroutine[Any, Any, None]]) -> None:
    """Run several workers; the client gets a session once each knows of all."""

    async def main() -> None:
        async with AsyncExitStack() as stack:
            for app in apps:
                await stack.enter_async_context(app)
            session = await stack.enter_async_context(aiohttp.ClientSession())
            await until(lambda: settled(apps))
            await client(session)

    try:
        asyncio.run(main())
    finally:
        forget_broker("web")


def settled(apps: list[faust.App]) -> bool:
    """Do all know of all, and is nothing to be moved from one to another?"""
    if not all(knows_of(app, len(apps)) for app in apps):
        return False
    counts = [len(app.engine.tasks) for app in apps]
    return max(counts) - min(counts) <= 1


def knows_of(app: faust.App, workers: int) -> bool:
    """Does it, and does it do its own share?"""
    shares = app.router.external_topics_metadata()
    return len(shares) == workers and bool(app.engine.tasks) and not app.not_ready_because()


async def until(condition: Callable[[], Any]) -> None:
    """Wait until something is so."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    while not condition():
        assert loop.time() < deadline, "it did not come true"
        await asyncio.sleep(0.01)
