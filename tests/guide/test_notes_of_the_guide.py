"""Where the guide is silent, misprinted or surprising: what holds then."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from guide_world import GuideWorld, send_all, until, virtual

import faust
from faust.exceptions import ImproperlyConfigured

SYNCHRONOUS = ["on_before_configured", "on_configured", "on_after_configured", "on_worker_init"]
ASYNCHRONOUS = ["on_partitions_assigned", "on_partitions_revoked"]


def shop(world: GuideWorld, **settings: Any) -> faust.App:
    return world.prepare(faust.App("shop", **settings))


# -- signals -----------------------------------------------------------------------------------


@pytest.mark.parametrize("of", ["app", "class"])
@pytest.mark.parametrize("bare", [True, False], ids=["bare", "connect"])
@pytest.mark.parametrize("name", SYNCHRONOUS)
def test_a_synchronous_signal_is_connected_to_with_and_without_connect(
    name: str, bare: bool, of: str
) -> None:
    """On the app and on the class; the decorated name stays the function (pitfalls D: seed)."""
    app = faust.App("told", broker="memory://told", env={})
    signal = getattr(app if of == "app" else faust.App, name)
    told: list[Any] = []

    def handler(sender: Any, *args: Any, **kwargs: Any) -> None:
        told.append(sender)

    try:
        assert (signal(handler) if bare else signal.connect(handler)) is handler
        assert app.conf.id == "told"
        app.worker_init()
    finally:
        signal.disconnect(handler)
    assert told == [app]


@pytest.mark.parametrize("name", SYNCHRONOUS)
def test_a_synchronous_signal_refuses_an_async_handler_when_it_is_connected(name: str) -> None:
    app = faust.App("told", broker="memory://told", env={})

    async def handler(sender: Any, **kwargs: Any) -> None: ...

    with pytest.raises(ImproperlyConfigured, match=name):
        getattr(app, name)(handler)


@pytest.mark.parametrize("bare", [True, False], ids=["bare", "connect"])
@pytest.mark.parametrize("name", ASYNCHRONOUS)
@virtual
async def test_an_asynchronous_signal_is_connected_to_with_and_without_connect(
    world: GuideWorld, name: str, bare: bool
) -> None:
    """On the class here: it is told of the app whose partitions come or go."""
    app = shop(world)
    signal = getattr(faust.App, name)
    told: list[Any] = []

    @app.agent(app.topic("orders", internal=True))
    async def read(stream: Any) -> None:
        async for _ in stream:
            pass

    async def handler(sender: Any, *args: Any, **kwargs: Any) -> None:
        told.append(sender)

    try:
        assert (signal(handler) if bare else signal.connect(handler)) is handler
        async with app:
            await until(lambda: told)
    finally:
        signal.disconnect(handler)
    assert set(told) == {app}


# -- sending ------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["channel", "topic", "agent"])
@virtual
async def test_what_is_sent_is_given_by_position_or_by_name(world: GuideWorld, where: str) -> None:
    """``send(value)`` and ``send(key=, value=)`` both arrive (pitfalls D: ``bar.send(value)``)."""
    app = shop(world)
    channel = app.channel() if where == "channel" else app.topic("values", internal=True)
    seen: list[Any] = []

    @app.agent(channel)
    async def read(stream: Any) -> None:
        async for event in stream.events():
            seen.append((event.key, event.value))

    target: Any = read if where == "agent" else channel
    async with app:
        await target.send(303)
        await target.send(key="k", value=304)
        await until(lambda: len(seen) == 2)
    key = "k" if where == "channel" else b"k"
    assert sorted(seen, key=lambda pair: pair[1]) == [(None, 303), (key, 304)]


@virtual
async def test_an_untyped_topic_gives_json_where_it_is_json_and_bytes_where_it_is_not(
    world: GuideWorld,
) -> None:
    """So ``send @myagent hello`` arrives as ``b'hello'``, and ``{"x": 1}`` as a dict."""
    app = shop(world)
    topic = app.topic("values", internal=True, partitions=1)
    seen: list[Any] = []

    @app.agent(topic)
    async def read(stream: Any) -> None:
        async for value in stream:
            seen.append(value)

    async with app:
        await send_all(topic, [b"hello", b'{"x": 1}', b"\xff"], value_serializer="raw")
        await until(lambda: len(seen) == 3)
    assert seen == [b"hello", {"x": 1}, b"\xff"]


@pytest.mark.parametrize("given", [{"value_type": int}, {"value_serializer": "json"}])
@virtual
async def test_with_a_type_or_a_serializer_what_cannot_be_decoded_goes_to_the_policy(
    world: GuideWorld, given: dict[str, Any]
) -> None:
    app = shop(world, decode_error_policy="skip")
    topic = app.topic("values", internal=True, partitions=1, **given)
    seen: list[Any] = []

    @app.agent(topic)
    async def read(stream: Any) -> None:
        async for value in stream:
            seen.append(value)

    async with app:
        await send_all(app.topic("values"), [b"hello", b"3"], value_serializer="raw")
        await until(lambda: seen)
    assert seen == [3]


# -- names ---------------------------------------------------------------------------------------


def test_the_topic_of_an_agent_carries_the_version_from_the_second_on() -> None:
    """``{conf.id}-{module}.{agent}``: ``stream-example-v2-...``."""
    for version, start in ((1, "stream-example-"), (2, "stream-example-v2-")):
        app = faust.App("stream-example", version=version, broker="memory://named", env={})

        @app.agent()
        async def myagent(stream: Any) -> None:
            async for _ in stream:
                pass

        assert myagent.channel.get_topic_name() == f"{start}{__name__}.{_local('myagent')}"


def _local(name: str) -> str:
    return f"test_the_topic_of_an_agent_carries_the_version_from_the_second_on.{name}"


def test_a_custom_id_format_holds_for_the_first_version_too() -> None:
    app = faust.App("x", id_format="{id}/{self.version}".replace("/", "."), env={})
    assert app.conf.id == "x.1"


# -- tables -------------------------------------------------------------------------------------


@virtual
async def test_a_page_may_not_write_a_table(world: GuideWorld) -> None:
    """The error says which table, and what to do instead."""
    app = shop(world)
    table = app.Table("counts", default=int)

    @app.page("/count/")
    async def count(view: Any, request: Any) -> None:
        table["k"] += 1

    @app.agent(app.topic("orders", internal=True))
    async def read(stream: Any) -> None:
        async for _ in stream:
            pass

    async with app:
        view, handler = app.web, app.registry.pages[0].view
        with pytest.raises(TypeError, match=r"counts.*outside.*agent"):
            await handler(app, view).get(None)


# -- settings -----------------------------------------------------------------------------------


def test_a_broker_may_be_a_class_of_ones_own(world: GuideWorld) -> None:
    """The scheme is the path of the driver (``mypkg.drivers.MyTransport://host``)."""
    world.module(
        "myproj.drivers",
        "from faust.transport.drivers.memory import MemoryTransport\n\n\n"
        "class MyTransport(MemoryTransport):\n    made = []\n\n"
        "    def __init__(self, *args, **kwargs):\n"
        "        super().__init__(*args, **kwargs)\n        self.made.append(self)\n",
    )
    from myproj.drivers import MyTransport  # type: ignore[import-not-found]

    @virtual
    async def flow() -> None:
        app = world.prepare(
            faust.App("own", broker="myproj.drivers.MyTransport://host", web_enabled=False, env={})
        )

        @app.agent(app.topic("orders", internal=True))
        async def read(stream: Any) -> None:
            async for _ in stream:
                pass

        async with app:
            assert MyTransport.made

    flow()


@virtual
async def test_standby_replicas_with_a_single_worker_are_told_of_once(
    world: GuideWorld, caplog: pytest.LogCaptureFixture
) -> None:
    """No error, and no storm of warnings: one line at most."""
    app = shop(world, table_standby_replicas=1)
    app.Table("counts", default=int)

    @app.agent(app.topic("orders", internal=True))
    async def read(stream: Any) -> None:
        async for _ in stream:
            pass

    with caplog.at_level(logging.INFO):
        async with app:
            await until(lambda: app.engine is not None and app.engine.tasks)
    lines = [record.getMessage() for record in caplog.records]
    assert sum("table_standby_replicas" in line for line in lines) == 1
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
