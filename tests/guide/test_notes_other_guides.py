"""What other guides of Faust print and what did not work as printed (pitfalls D)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from guide_world import GuideWorld, send_all, until, virtual

import faust


class Order(faust.Record):
    account: str


def shop(world: GuideWorld) -> faust.App:
    return world.prepare(faust.App("shop"))


@virtual
async def test_a_channel_takes_serializers(world: GuideWorld) -> None:
    """``app.channel(key_serializer=...)``: what is sent arrives as it is, there being no bytes."""
    app = shop(world)
    channel = app.channel(key_serializer="raw", value_serializer="json", value_type=Order)
    seen: list[Any] = []

    @app.agent(channel)
    async def read(stream: Any) -> None:
        async for order in stream:
            seen.append(order)

    async with app:
        await channel.send(Order("a"))
        await until(lambda: seen)
    assert seen == [Order("a")]


@virtual
async def test_what_is_in_a_channel_before_anybody_iterates_is_kept(world: GuideWorld) -> None:
    """``await channel.put(1)``, then ``async for``: 1 itself; of ``send(1)``, an event with it."""
    channel = shop(world).channel()
    await channel.put(1)
    await channel.send(2)
    seen: list[Any] = []
    async with asyncio.timeout(5):
        async for event in channel:
            seen.append(event)
            if len(seen) == 2:
                break
    assert (seen[0], seen[1].value) == (1, 2)


@virtual
async def test_an_acknowledgement_may_be_awaited(world: GuideWorld) -> None:
    """``await event.ack()``: the offset is committed."""
    app = shop(world)
    topic = app.topic("orders", internal=True, partitions=1)
    told: list[Any] = []

    @app.agent(topic)
    async def read(stream: Any) -> None:
        async for event in stream.noack().events():
            told.append(await event.ack())

    async with app:
        await send_all(topic, [1])
        await until(
            lambda: sum(c.offset for c in world.broker.groups.committed("shop", None).values()) == 1
        )
    assert len(told) == 1


@virtual
async def test_a_function_to_group_by_gives_the_name(world: GuideWorld) -> None:
    """``orders.group_by(get_order_account_id)``: equal accounts come to one partition."""
    app = shop(world)
    topic = app.topic("orders", internal=True, value_type=Order)
    seen: list[tuple[str, int]] = []

    def get_order_account_id(order: Order) -> str:
        return order.account

    @app.agent(topic)
    async def read(orders: Any) -> None:
        async for event in orders.group_by(get_order_account_id).events():
            seen.append((event.value.account, event.message.partition))

    async with app:
        await send_all(topic, [Order(name) for name in "abab"])
        await until(lambda: len(seen) == 4)
    assert len(set(seen)) == 2
    assert any("get_order_account_id-repartition" in name for name in world.broker.describe(None))


@virtual
async def test_take_needs_no_within(world: GuideWorld) -> None:
    """``stream.take(3)`` hands out three at a time."""
    app = shop(world)
    topic = app.topic("orders", internal=True, partitions=1)
    seen: list[Any] = []

    @app.agent(topic)
    async def read(stream: Any) -> None:
        async for values in stream.take(3):
            seen.append(values)

    async with app:
        await send_all(topic, [1, 2, 3])
        await until(lambda: seen)
    assert seen == [[1, 2, 3]]


@virtual
async def test_an_agent_and_a_filter_work_without_brackets_and_with_a_function(
    world: GuideWorld,
) -> None:
    """``@app.agent`` and ``stream.filter(lambda v: v > 1000)``."""
    app = shop(world)
    seen: list[int] = []

    @app.agent
    async def read(stream: Any) -> None:
        async for value in stream.filter(lambda v: v > 1000):
            seen.append(value)

    async with app:
        await send_all(read, [1, 1001])
        await until(lambda: seen)
    assert seen == [1001]


@pytest.mark.parametrize("name", ["topic", "agent", "channel"])
def test_what_belongs_to_an_app_is_not_in_the_module_and_the_error_says_so(name: str) -> None:
    """``faust.topic(...)``."""
    with pytest.raises(AttributeError, match=rf"app\.{name}"):
        getattr(faust, name)


@virtual
async def test_an_agent_is_tested_by_its_test_context(world: GuideWorld) -> None:
    """``Agent.test()`` was the printed name; ``test_context`` runs it without a broker."""
    app = shop(world)
    seen: list[int] = []

    @app.agent()
    async def read(stream: Any) -> None:
        async for value in stream:
            seen.append(value)

    async with read.test_context() as agent:
        await agent.put(3)
    assert seen == [3]
