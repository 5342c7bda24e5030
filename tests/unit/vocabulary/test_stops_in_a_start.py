"""A worker that is told to stop while its tasks are being started ends in good order."""

from __future__ import annotations

import asyncio
from typing import Any

from vocabulary_world import World, until, virtual


@virtual
async def test_a_stop_left_the_group_before_a_transaction_that_a_start_had_begun(
    world: World,
) -> None:
    """The transaction was refused then, and the worker ended with an error."""
    world.create("numbers", 2)
    app = world.app(processing_guarantee="exactly_once")
    counts = app.Table("counts", default=int, key_type=str, value_type=int)

    @app.agent(app.topic("numbers", value_type=int), name="count")
    async def count(values: Any) -> None:
        async for value in values:
            counts["all"] += value

    world.broker.faults.delay("produce", 2.0)
    world.broker.faults.delay("txn_offsets", 2.0)
    starting = asyncio.ensure_future(app.start())
    await until(lambda: app.engine and getattr(app.engine, "committer", None))
    await until(lambda: app.engine.committer.trying)
    await app.stop()
    await asyncio.gather(starting, return_exceptions=True)
    assert app.failure is None
    assert world.committed()
