"""Names and calls that programs for earlier versions have in them."""

from __future__ import annotations

from typing import Any

import mode

import faust
from faust.cli import base, params
from faust.testing import run_virtual, running


def make_app(id: str = "older", **settings: Any) -> faust.App:
    return faust.App(id, **{"broker": "memory://older", "topic_partitions": 1, **settings})


async def send_all(topic: Any, *values: Any, **options: Any) -> None:
    for sent in [await topic.send(value=value, **options) for value in values]:
        await sent


def test_names_are_where_they_were() -> None:
    assert faust.Service is mode.Service
    assert faust.ServiceT is mode.ServiceT
    assert faust.EventT is faust.Event
    assert faust.StreamT is faust.Stream
    assert faust.version_info_t is faust.VersionInfo
    assert faust.uuid() != faust.uuid()
    assert base.argument is params.argument
    assert base.option is params.option


def test_everything_of_what_an_event_sends_on_can_be_given_by_position() -> None:
    app = make_app()
    source = app.topic("source", internal=True, value_type=str)
    target = app.topic("target", internal=True, value_serializer="raw")
    told: list[Any] = []
    read: list[tuple[Any, Any]] = []
    schema: Any = faust.Schema(value_serializer="json")

    @app.agent(source)
    async def pass_on(stream: Any) -> None:
        async for event in stream.events():
            rest = (None, None, {"h": b"1"}, None, "raw", "raw", told.append, True)
            await event.send(target, "k", "sent", *rest)
            await event.forward(target, b"k", b"forwarded", *rest)
            await event.send(target, "k", "schema", None, None, None, schema)

    @app.agent(target)
    async def keep(stream: Any) -> None:
        async for event in stream.events():
            read.append((event.message.value, dict(event.headers)))

    async def main() -> None:
        async with running(app):
            await send_all(source, "x")
            while len(read) < 3:
                await app.sleep(0.1)

    run_virtual(main())
    assert read == [(b"sent", {"h": b"1"}), (b"forwarded", {"h": b"1"}), (b'"schema"', {})]
    assert len(told) == 2
