"""What an app tells of rebalances."""

from __future__ import annotations

import asyncio
from typing import Any

from vocabulary_world import World, fails, until, virtual

import faust


def collector(app: faust.App, seen: list[Any]) -> None:
    @app.agent(app.topic("numbers", internal=True, partitions=2, value_type=int))
    async def collect(values: Any) -> None:
        async for value in values:
            seen.append(value)


@virtual
async def test_only_the_first_rebalance_was_told_to_be_complete(world: World) -> None:
    """After every one, when all that it brought is being processed; before ``Worker ready``."""
    app, told = world.app(), []

    @app.on_rebalance_complete.connect
    async def complete(sender: Any, **kwargs: Any) -> None:
        await asyncio.sleep(0)
        told.append((len(app.engine.tasks), app.engine.caught_up.is_set(), app._ready))

    collector(app, [])
    collector(other := world.app(), [])
    async with app:
        assert told == [(2, True, False)]
        async with other:
            await until(lambda: len(told) == 2)
        await until(lambda: len(told) == 3)
    assert told[1:] == [(1, True, True), (2, True, True)]


@virtual
async def test_what_a_handler_raises_after_a_later_rebalance_ends_the_app(world: World) -> None:
    app = world.app()

    @app.on_rebalance_complete.connect
    async def complete(sender: Any, **kwargs: Any) -> None:
        if app._ready:
            raise RuntimeError("not so")

    collector(app, [])
    collector(other := world.app(), [])
    async with app, other:
        assert str(await fails(app)) == "not so"
