"""Bad events x policies x ways to iterate: each event ends in exactly one place, in order."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import pytest
from vocabulary_world import World, virtual

import faust
from faust.types import TP

EVENTS = 48
KEYS = 4
PARTITIONS = 2
#: What the bad ones are, by turns; every sixth event is one.
KINDS = ("undecodable", "invalid", "tombstone", "raising", "flaky", "hanging")
POLICIES: dict[str, Any] = {
    "crash": "crash",
    "skip": "skip",
    "dead_letter": "dead_letter",
    "retry, then skip": faust.Retry(2, 0.5, then="skip"),
    "retry, then dead letters": faust.Retry(2, 0.5, then=faust.DeadLetter("shared")),
    "retry topic, then dead letters": faust.Retry(2, 5, topic=True, then="dead_letter"),
    "both": faust.Retry(1, 0.5, then=faust.Retry(1, 5, topic=True, then="dead_letter")),
}
SHAPES = ("plain", "take", "take_events", "concurrency", "noack", "noack_take", "group_by")


class Order(faust.Record, serializer="json", validation=True):
    id: int
    key: str
    kind: str = "good"


def kind_of(id: int) -> str:
    return KINDS[id // 6 % len(KINDS)] if id % 6 == 5 else "good"


def raw_of(id: int) -> bytes | None:
    kind = kind_of(id)
    if kind == "undecodable":
        return b"{%d" % id
    if kind == "tombstone":
        return None
    given: Any = {"id": id, "key": f"k{id % KEYS}", "kind": kind}
    if kind == "invalid":
        given["id"] = "many"
    return json.dumps(given).encode()


class Handler:
    """What the agent does with one order."""

    def __init__(self) -> None:
        self.tries: Counter[int] = Counter()

    async def __call__(self, order: Any, id: int) -> int:
        if order is None:
            raise TypeError("a tombstone")
        assert order.id == id
        self.tries[id] += 1
        if order.kind == "raising" or (order.kind == "flaky" and self.tries[id] < 3):
            raise ValueError(order.kind)
        if order.kind == "hanging":
            await asyncio.Event().wait()
        return id


def define(app: faust.App, shape: str, handle: Handler, out: Any, **options: Any) -> Any:
    """Define the agent in one of its shapes; ids travel in a header."""
    source = app.topic("orders", key_type=str, value_type=Order)

    async def one(event: Any) -> None:
        id = int(event.headers["id"])
        await out.send(key=event.key, value=await handle(event.value, id))

    @app.agent(source, name="process", event_timeout=4, **options)
    async def process(stream: Any) -> None:
        if shape == "take":
            async for _ in stream.take(5, within=0.3):
                for event in stream.events_in_progress():
                    await one(event)
        elif shape == "take_events":
            async for events in stream.take_events(5, within=0.3):
                for event in events:
                    await one(event)
        elif shape == "noack_take":
            async for events in stream.noack_take(5, within=0.3):
                for event in events:
                    await one(event)
                    event.ack()
        elif shape == "noack":
            async for event in stream.noack().events():
                async with event:
                    await one(event)
        elif shape == "group_by":
            async for event in stream.group_by(lambda order: "k", name="k").events():
                await one(event)
        else:
            async for event in stream.events():
                await one(event)

    return process


def new_app(
    world: World, shape: str, policy: Any, decoding: Any, **settings: Any
) -> tuple[faust.App, Any, Any]:
    app, handle = world.app(**settings), Handler()
    out = app.topic("out", key_type=str, value_type=int, partitions=1, internal=True)
    more = {"concurrency": 3} if shape == "concurrency" else {}
    agent = define(
        app, shape, handle, out, error_policy=policy, decode_error_policy=decoding, **more
    )
    return app, agent, out


async def send_everything(app: faust.App) -> None:
    topic = app.topic("orders", key_serializer="raw", value_serializer="raw", key_type=bytes)
    for id in range(EVENTS):
        key = f"k{id % KEYS}".encode()
        sent = await topic.send(
            key=key,
            value=raw_of(id),
            partition=id % KEYS % PARTITIONS,
            headers={"id": str(id).encode(), "other": b"\x00"},
        )
        await sent


def decoding_for(policy: Any) -> Any:
    """What cannot be decoded is to end as what raises."""
    while isinstance(policy, faust.Retry):
        policy = policy.then
    return policy


async def until_all_is_done(world: World, app: faust.App) -> None:
    """Everything that is read is committed up to its end, and nothing waits."""

    def done() -> bool:
        committed = world.committed()
        for name, info in world.broker.describe(None).items():
            if name == "out" or name.endswith(("dead-letters", "shared", "leader")):
                continue
            for n in range(info.partitions):
                end = world.broker.log(TP(name, n)).state.end
                if committed.get(TP(name, n), 0) < end:
                    return False
        return not app.failure or True

    loop = asyncio.get_running_loop()
    deadline = loop.time() + 600
    while not done():
        assert app.failure is None, app.failure
        assert loop.time() < deadline, (world.committed(), app.failure)
        await asyncio.sleep(0.1)


def ids(records: list[Any]) -> list[int]:
    return [int(dict(record.headers)["id"]) for record in records]


def letters_of(world: World) -> list[Any]:
    names = [n for n in world.broker.describe(None) if n.endswith(("dead-letters", "shared"))]
    return [letter for name in names for letter in world.records(name)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("policy", [name for name in POLICIES if name != "crash"])
def test_each_event_ends_in_exactly_one_place(world: World, policy: str, shape: str) -> None:
    @virtual
    async def run() -> None:
        world.create("orders", PARTITIONS)
        chosen = POLICIES[policy]
        app, agent, _ = new_app(world, shape, chosen, decoding_for(chosen))
        async with app:
            await send_everything(app)
            await until_all_is_done(world, app)
        sunk = [int(record.value) for record in world.records("out")]
        letters = letters_of(world)
        buried = ids(letters)
        bad = [id for id in range(EVENTS) if kind_of(id) not in ("good", "flaky")]
        good = [id for id in range(EVENTS) if kind_of(id) == "good"]
        flaky = [id for id in range(EVENTS) if kind_of(id) == "flaky"]
        tried_again = isinstance(chosen, faust.Retry)
        assert set(sunk) == {*good, *(flaky if tried_again else ())}
        lost = sorted({*bad, *flaky} - set(sunk))
        if decoding_for(chosen) == "skip":
            assert (agent.skipped, buried) == (len(lost), [])
        else:
            assert sorted(buried) == lost
            assert (agent.skipped, agent.dead_lettered) == (0, len(lost))
        if "take" not in shape:  # the good ones of a failed list have been sent with it
            assert len(sunk) == len(set(sunk))
        for letter in letters:
            id = int(dict(letter.headers)["id"])
            assert letter.value == raw_of(id)
            assert dict(letter.headers)["other"] == b"\x00"
            assert not [name for name, _ in letter.headers if name.startswith("faust-retry")]
        if shape != "concurrency" and "topic" not in policy and policy != "both":
            for key in range(KEYS):
                own = list(dict.fromkeys(id for id in sunk if id % KEYS == key))
                assert own == sorted(own)

    run()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("policy", ["dead_letter", "both"])
def test_under_exactly_once_nothing_else_of_a_dead_letter_is_left(
    world: World, policy: str, shape: str
) -> None:
    @virtual
    async def run() -> None:
        world.create("orders", PARTITIONS)
        app, agent, _ = new_app(
            world, shape, POLICIES[policy], "dead_letter", processing_guarantee="exactly_once"
        )
        async with app:
            await send_everything(app)
            await until_all_is_done(world, app)
        sunk = [int(r.value) for r in world.records("out") if r.value.isdigit()]
        buried = ids([r for r in letters_of(world) if r.headers])  # the rest are markers
        assert sorted(sunk + buried) == list(range(EVENTS))
        assert agent.dead_lettered == len(buried)

    run()


@pytest.mark.parametrize("shape", SHAPES)
def test_a_crash_loses_nothing_and_the_next_worker_goes_on(world: World, shape: str) -> None:
    @virtual
    async def run() -> None:
        world.create("orders", PARTITIONS)
        app, _, _ = new_app(world, shape, faust.Retry(1, 0.1), "crash")
        await app.start()
        await send_everything(app)
        await app.failed.wait()
        await app.stop()
        assert "at topic" in str(app.failure)
        again, _agent, _ = new_app(world, shape, "skip", "skip")
        async with again:
            await until_all_is_done(world, again)
        sunk = {int(record.value) for record in world.records("out")}
        assert sunk == {id for id in range(EVENTS) if kind_of(id) == "good"}

    run()
