"""What a worker of this version promises, and what it refuses."""

from __future__ import annotations

import asyncio

import pytest

import faust
from faust.exceptions import ImproperlyConfigured


def test_exactly_once_is_refused_and_not_silently_less() -> None:
    app = faust.App(
        "guarantee",
        broker="memory://guarantee",
        processing_guarantee="exactly_once",
        web_enabled=False,
    )

    @app.agent(name="reads")
    async def reads(stream: faust.Stream[bytes]) -> None:
        async for _ in stream:
            pass

    async def start() -> None:
        async with app:
            pass

    with pytest.raises(ImproperlyConfigured, match="not there in this version"):
        asyncio.run(start())
