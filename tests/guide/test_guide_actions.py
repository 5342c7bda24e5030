"""Actions: topics, channels, tables, sets, tasks, timers, services."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from guide_snippets import SNIPPETS, shows
from guide_world import GuideWorld, Printed, send_all, until, virtual
from mode import Service

import faust


def run(name: str, **names: Any) -> dict[str, Any]:
    return SNIPPETS[name].run(**names)


def shop(world: GuideWorld) -> faust.App:
    return world.prepare(faust.App("shop"))


@shows("app.topic()/1")
@virtual
async def test_a_topic_tells_an_agent_what_to_read(world: GuideWorld) -> None:
    """What is sent to that topic of the broker is read by the agent, and its offset committed."""
    app = shop(world)
    world.create("name_of_topic")
    names = run("app.topic()/1", app=app)
    async with app:
        await send_all(names["topic"], [{"x": 1}, {"x": 2}])
        await until(lambda: app.monitor.events_total == 2)
        await until(
            lambda: sum(c.offset for c in world.broker.groups.committed("shop", None).values()) == 2
        )


@shows("app.topic()/2")
@virtual
async def test_types_say_what_keys_and_values_become(world: GuideWorld) -> None:
    """A value arrives as the model, and a key as the bytes that were sent."""
    app = shop(world)
    world.create("name_of_topic")
    names = run("app.topic()/2", app=app, faust=faust)
    seen = []

    @app.agent(names["topic"])
    async def process(stream: Any) -> None:
        async for key, value in stream.items():
            seen.append((key, value))

    async with app:
        sent = names["MyValueModel"]("ada", 3.5)
        await send_all(names["topic"], [sent], key=b"\x00k")
        await until(lambda: seen)
    assert seen == [(b"\x00k", sent)]
    assert isinstance(seen[0][1], names["MyValueModel"])


@shows("app.channel()/1")
@virtual
async def test_what_a_timer_sends_to_a_channel_is_received(
    world: GuideWorld, printed: Printed
) -> None:
    """The agent prints the model that the timer sends, once a second."""
    app = world.prepare(run("app.channel()/1")["app"])
    async with app:
        await until(lambda: len(printed()) == 3)
    lines = printed()
    assert all("MyModel" in line and "x=303" in line for line in lines)
    assert all(line.startswith("Received: ") for line in lines)


class Transfer(faust.Record):
    account: str
    username: str


async def counted(world: GuideWorld, names: dict[str, Any], app: Any, topic: Any) -> None:
    async with app:
        values = [Transfer(account, "ada") for account in ("a", "b", "a", "c", "a")]
        await send_all(topic, values)
        counts = names["transfer_counts"]
        await until(lambda: {k: counts.get(k, 0) for k in "abc"} == {"a": 3, "b": 1, "c": 1})


@shows("app.Table()/1", "app.Table()/3")
@virtual
async def test_a_table_counts_each_account_at_one_place(world: GuideWorld) -> None:
    """Grouped by account, transfers of unkeyed records are counted right, with two partitions."""
    app = shop(world)
    topic = app.topic("transfers", internal=True, value_type=Transfer)
    names = run("app.Table()/1", app=app)
    names = run("app.Table()/3", **{**names, "transfers_topic": topic, "Transfer": Transfer})
    await counted(world, names, app, topic)
    grouped = [t for t in world.broker.describe(None) if t.endswith("Transfer.account-repartition")]
    assert len(grouped) == 1


@shows("app.Table()/2")
@virtual
async def test_a_missing_key_is_added_with_its_default(world: GuideWorld) -> None:
    """``table['missing']`` is 0 and is in the table from then on; ``+=`` makes the next one 1."""
    app = shop(world)
    table = app.Table("counts", default=int, key_type=str, value_type=int)
    topic = app.topic("ticks", internal=True, partitions=1)
    seen = []

    @app.agent(topic)
    async def look(stream: Any) -> None:
        async for _ in stream:
            *statements, last = SNIPPETS["app.Table()/2"].code.splitlines()
            first = eval(statements[0], {"table": table})
            exec("\n".join(statements[1:]), {"table": table})
            seen.append((first, eval(last, {"table": table}), dict(table.items())))

    async with app:
        await send_all(topic, [1])
        await until(lambda: seen)
    printed = [line for line in SNIPPETS["app.Table()/2"].text.splitlines() if line.isdigit()]
    assert [str(number) for number in seen[0][:2]] == printed
    assert seen[0][2] == {"missing": 0, "also-missing": 1}


@shows("app.Set()/1")
@virtual
async def test_a_set_knows_who_is_in_it(world: GuideWorld) -> None:
    """After transfers of two users both are members, and nobody else is."""
    app = shop(world)
    topic = app.topic("transfers", internal=True, value_type=Transfer)
    users = run("app.Set()/1", app=app, transfers_topic=topic)["users_with_transfer"]
    async with app:
        for name in ("ada", "bob", "ada"):
            await send_all(topic, [Transfer("a", name)], key=name)
        await until(lambda: {"ada", "bob"} == set(users))
        assert "ada" in users
        assert "eve" not in users
        assert len(users) == 2


@shows("app.task()/1")
@virtual
async def test_a_task_starts_when_the_app_is_operational(
    world: GuideWorld, printed: Printed
) -> None:
    """It prints once, after the app has its partitions."""
    app = shop(world)
    order: list[str] = []
    world.create("orders")

    @app.agent(app.topic("orders"))
    async def process(stream: Any) -> None:
        async for _ in stream:
            pass

    @app.on_rebalance_complete.connect
    async def complete(app: Any, **kwargs: Any) -> None:
        order.extend(printed())
        order.append("operational")

    run("app.task()/1", app=app)
    async with app:
        await until(printed)
    assert order == ["operational"]
    assert printed() == ["APP STARTED AND OPERATIONAL"]


@shows("app.timer()/1")
@virtual
async def test_a_timer_fires_first_after_its_interval(world: GuideWorld, printed: Printed) -> None:
    """Nothing after 29 seconds, one line after 31, three after 91."""
    app = shop(world)
    run("app.timer()/1", app=app)
    async with app:
        await asyncio.sleep(29)
        assert printed() == []
        await asyncio.sleep(2)
        assert printed() == ["THIRTY SECONDS PASSED"]
        await asyncio.sleep(60)
        assert len(printed()) == 3


class SomeService(Service):
    async def on_start(self) -> None:
        print("SOMESERVICE STARTS")

    async def on_stop(self) -> None:
        print("SOMESERVICE STOPS")


@shows("app.service()/3")
@virtual
async def test_a_service_added_by_a_subclass_runs_with_the_app(
    world: GuideWorld, printed: Printed
) -> None:
    """It is started with the app and stopped with it."""
    my_app = run("app.service()/3", App=faust.App, SomeService=SomeService)["MyApp"]
    app = world.prepare(my_app("subclassed"))
    async with app:
        assert printed() == ["SOMESERVICE STARTS"]
        assert app.some_service.started
    assert printed() == ["SOMESERVICE STARTS", "SOMESERVICE STOPS"]


@pytest.mark.parametrize("where", ["timer", "channel", "concurrency"])
@virtual
async def test_a_table_is_written_only_by_who_reads_a_topic_in_order(
    world: GuideWorld, where: str
) -> None:
    """Outside, or with concurrency, writing raises, and says which table and what to do."""
    app = shop(world)
    table = app.Table("counts", default=int)
    topic = app.topic("ticks", internal=True)
    channel = app.channel()
    many = where == "concurrency"
    said: list[str] = []

    def write() -> None:
        try:
            table["k"] = 1
        except Exception as error:
            said.append(str(error))

    @app.agent(topic if many else channel, concurrency=2 if many else 1, name="writer")
    async def writer(stream: Any) -> None:
        async for _ in stream:
            write()

    if where == "timer":

        @app.timer(1.0)
        async def tick() -> None:
            write()

    async with app:
        if where != "timer":
            await writer.send(value=1)
        await until(lambda: said)
        assert table.get("k") is None
    assert "counts" in said[0]
    if where != "timer":
        assert "writer" in said[0]
