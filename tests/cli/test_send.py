"""`faust send` and `faust topics`: what is sent, to whom, and what is told of it."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from cli_support import Terminal, invoke, plain

import faust


class Order(faust.Record, namespace="test_send.Order"):
    """An order."""

    id: int
    account: str = "none"


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> faust.App:
    monkeypatch.setattr(sys, "stdin", Terminal())  # nothing is piped into it
    made = faust.App(
        "sends", broker=f"sqlite:///{tmp_path}/broker.db", datadir=str(tmp_path), origin="shop.app",
        topic_partitions=3, web_enabled=False,
    )  # fmt: skip

    @made.agent(made.topic("orders"), name="shop.app.orders")
    async def orders(stream: faust.Stream[Any]) -> None: ...

    @made.agent(made.topic("other-orders"), name="other.module.orders")
    async def other_orders(stream: faust.Stream[Any]) -> None: ...

    @made.agent(made.topic("parcels"), name="other.module.parcels")
    async def parcels(stream: faust.Stream[Any]) -> None: ...

    @made.agent(made.channel(), name="shop.app.local")
    async def local(stream: faust.Stream[Any]) -> None: ...

    return made


def sent(app: faust.App, *args: str) -> list[dict[str, Any]]:
    ended = invoke("send", *args, app=app)
    assert (ended.status, ended.err) == (0, "")
    return [json.loads(line) for line in ended.out.splitlines()]


def received(app: faust.App, topic: str, count: int) -> list[tuple[bytes | None, bytes | None]]:
    """Read so many records of a topic, as bytes."""
    found: list[tuple[bytes | None, bytes | None]] = []

    async def read() -> None:
        reader = faust.App(
            f"reader-{topic}", broker=app.conf.broker, datadir=str(app.conf.datadir),
            web_enabled=False, topic_partitions=3,
        )  # fmt: skip
        enough = asyncio.Event()
        raw = reader.topic(
            topic, key_serializer="raw", value_serializer="raw", key_type=bytes, value_type=bytes
        )

        @reader.agent(raw)
        async def collect(stream: faust.Stream[bytes]) -> None:
            async for key, value in stream.items():
                found.append((key, value))
                if len(found) >= count:
                    enough.set()

        async with reader:
            await asyncio.wait_for(enough.wait(), 90)

    asyncio.run(read())
    return found


# -- to whom -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entity", "topic"),
    [
        ("plain-topic", "plain-topic"),
        ("@orders", "orders"),
        ("@shop.app.orders", "orders"),
        ("@other.module.orders", "other-orders"),
        ("@module.orders", "other-orders"),
        ("@parcels", "parcels"),
    ],
)
def test_agents_are_found_by_name_and_by_module(app: faust.App, entity: str, topic: str) -> None:
    """(pitfalls C59)"""
    (told,) = sent(app, entity, "x")
    assert told["topic"] == topic
    assert told["topic_partition"] == [topic, told["partition"]]
    assert told["offset"] == 0


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["@nobody", "x"], "there is no agent @nobody (there are: "),
        (["@nobody", "x"], "@other.module.orders, @other.module.parcels, @local, @orders)"),
        (["@local", "x"], "agent @shop.app.local reads a channel in memory"),
        (["@", "x"], "name a topic, or an @agent"),
        (["orders", "x", "-V", "NoSuchModel"], "there is no 'NoSuchModel' (looked for"),
        (["orders", "x", "-V", "int"], "'x' is no int"),
        (["orders", '{"id": "x"}', "-V", "test_send.Order"], "is no test_send.Order"),
        (["orders", "x", "--partition", "7"], "7"),
        (["orders", "x", "--repeat", "0"], "0 is too small: 1 at least"),
        (["orders", "x", "--max-latency", "-1"], "-1.0 is too small: 0 at least"),
        (["bad topic!", "x"], "bad topic!"),
    ],
)
def test_what_cannot_be_sent_is_one_sentence(app: faust.App, args: list[str], told: str) -> None:
    ended = invoke("send", *args, app=app)
    assert (ended.status, ended.out) == (2, ""), ended.err
    assert told in ended.err
    assert len(ended.err.splitlines()) == 1


# -- what ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "key", "value"),
    [
        (["hello"], None, b"hello"),
        (["hello", "-k", "me"], b"me", b"hello"),
        (["7", "-V", "int", "-k", "8", "-K", "int"], b"8", b"7"),
        (["7", "-V", "str", "-k", "8", "-K", "str"], b"8", b'"7"'),
        (["0.5", "-V", "float"], None, b"0.5"),
        (["x", "-V", "bytes", "-K", "bytes", "-k", "y", "--key-serializer", "raw",
          "--value-serializer", "raw"], b"y", b"x"),
        (['{"id": 3}', "-V", "test_send.Order"], None, None),
        ([], None, b"null"),
    ],
)  # fmt: skip
def test_keys_and_values_are_sent_as_they_are_given_or_as_their_type(
    app: faust.App, args: list[str], key: bytes | None, value: bytes | None
) -> None:
    """(pitfalls C59)"""
    sent(app, "values", *args)
    ((found_key, found_value),) = received(app, "values", 1)
    assert found_key == key
    if value is None:
        assert json.loads(found_value or b"") == {
            "id": 3, "account": "none", "__faust": {"ns": "test_send.Order"}
        }  # fmt: skip
    else:
        assert found_value == value


def test_a_partition_may_be_chosen(app: faust.App) -> None:
    (told,) = sent(app, "orders", "x", "--partition", "2")
    assert told["partition"] == 2


def test_repeated_messages_are_told_of_one_by_one(app: faust.App) -> None:
    told = sent(app, "orders", "x", "-r", "30", "--partition", "1")
    assert [each["offset"] for each in told] == list(range(30))
    waited = sent(app, "orders", "x", "--repeat=2", "--max-latency", "0.001")
    assert len(waited) == 2
    assert len(received(app, "orders", 32)) == 32


def test_many_on_a_terminal_show_a_bar_and_are_told_of_in_sum(app: faust.App) -> None:
    ended = invoke("send", "orders", "x", "--repeat", "10000", app=app, terminal=True)
    assert ended.status == 0, ended.err
    assert "Sending" in plain(ended.err)
    assert "100%" in plain(ended.err)
    assert ended.out.startswith("Sent 10,000 messages to orders in ")
    assert len(ended.out.splitlines()) == 1
    few = invoke("send", "orders", "x", "--repeat", "2", app=app, terminal=True)
    assert (len(few.out.splitlines()), few.err) == (2, "")


def test_lines_are_sent_with_their_keys(app: faust.App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("a:1\nb:2:3\n"))
    ended = invoke("send", "pairs", "--key-separator", ":", app=app)
    assert ended.out.startswith("Sent 2 messages to pairs in ")
    assert sorted(received(app, "pairs", 2)) == [(b"a", b"1"), (b"b", b"2:3")]
    monkeypatch.setattr(sys, "stdin", io.StringIO("no separator\n"))
    ended = invoke("send", "pairs", "--key-separator", ":", app=app)
    assert ended.status == 2
    assert "line 1 has no ':': 'no separator'" in ended.err


def test_debug_tells_what_is_sent(app: faust.App) -> None:
    ended = invoke("--debug", "send", "orders", "x", "-k", "y", app=app)
    assert ended.err == "#-- k=b'y' v=b'x' -> orders\n"


# -- topics --------------------------------------------------------------------------------------


def test_topics_are_listed_with_those_that_are_not_there_yet(app: faust.App) -> None:
    sent(app, "orders", "x", "-r", "3")
    sent(app, "elsewhere", "x")
    listed = json.loads(invoke("--json", "topics", app=app).out)
    assert listed == [
        {"topic": "orders", "partitions": 3, "end offsets": 3, "group": "-", "lag": "-"},
        {"topic": "other-orders", "partitions": "-", "end offsets": "not there", "group": "-",
         "lag": "-"},
        {"topic": "parcels", "partitions": "-", "end offsets": "not there", "group": "-",
         "lag": "-"},
    ]  # fmt: skip
    everything = json.loads(invoke("--json", "topics", "--all", app=app).out)
    assert [row["topic"] for row in everything] == ["elsewhere", "orders"]


def test_topics_of_group_by_are_listed_with_the_lag(tmp_path: Path) -> None:
    broker, data = f"sqlite:///{tmp_path}/broker.db", str(tmp_path)
    app = faust.App("grouped", broker=broker, datadir=data, web_enabled=False, topic_partitions=1)
    seen = asyncio.Event()

    @app.agent(app.topic("words", internal=True, value_serializer="raw", value_type=bytes))
    async def words(stream: faust.Stream[bytes]) -> None:
        async for _ in stream.group_by(lambda word: word[:1], name="letter"):
            seen.set()

    async def work() -> None:
        async with app:
            await words.send(b"x", key=b"x")
            await asyncio.wait_for(seen.wait(), 90)

    asyncio.run(work())
    listed = {row["topic"]: row for row in json.loads(invoke("--json", "topics", app=app).out)}
    name = next(name for name in listed if name.endswith("-letter-repartition"))
    assert (listed[name]["group"], listed[name]["lag"]) == ("grouped", 0)
    assert listed["words"]["lag"] == 0
