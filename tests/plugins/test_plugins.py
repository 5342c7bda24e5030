"""Packages of others that plug into Faust, each doing its work in a running app.

They are installed in an environment of their own: ``make test-plugins``.
"""

from __future__ import annotations

import asyncio
import dataclasses
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from plugin_world import bucket, registry, serving, through, until

import faust
from faust.serializers import codecs
from faust.transport.drivers.memory import find_broker
from faust.types import TP


def record(broker: str, topic: str) -> Any:
    """Return the first record in a topic."""
    first = find_broker(broker.removeprefix("memory://")).log(TP(topic, 0)).batches[0]
    return next(iter(first.records()))


class Point(faust.Record, include_metadata=False):
    x: int
    name: str


def test_python_schema_registry_client(broker: str, app: faust.App) -> None:
    """Values are Avro with the number that the registry gave the schema, and become models."""
    from schema_registry.client import SchemaRegistryClient
    from schema_registry.serializers.faust import avro_serializer_factory

    fields = [{"name": "x", "type": "long"}, {"name": "name", "type": "string"}]
    schema = {"type": "record", "name": "Point", "fields": fields}
    with serving(registry()) as url:
        codec = avro_serializer_factory(SchemaRegistryClient(url), "points", schema)
        codecs.register("avro_points", codec)
        topic = app.topic("points", value_type=Point, value_serializer="avro_points", internal=True)
        assert asyncio.run(through(app, topic, Point(3, "p"))) == [Point(3, "p")]
    assert record(broker, "points").value == b"\x00\x00\x00\x00\x01" + b"\x06\x02p"


def test_dataclasses_avroschema(broker: str, app: faust.App) -> None:
    """A record tells its Avro schema, is written as Avro, and still travels as any record."""
    from dataclasses_avroschema.faust import AvroRecord

    class User(AvroRecord):
        name: str
        age: int
        tags: list[str] = dataclasses.field(default_factory=lambda: ["new"])
        country: str = "NO"

    fields = User.avro_schema_to_python()["fields"]
    assert [(f["name"], f.get("default")) for f in fields] == [
        ("name", None), ("age", None), ("tags", ["new"]), ("country", "NO"),
    ]  # fmt: skip
    ada = User(name="ada", age=3)
    assert ada.validate_avro()
    assert User.deserialize(ada.serialize()) == ada
    topic = app.topic("users", value_type=User, internal=True)
    assert asyncio.run(through(app, topic, ada)) == [ada]


@pytest.mark.parametrize("kind", ["s3-backed", "large-message"])
def test_large_messages_are_kept_in_s3(
    kind: str, broker: str, app: faust.App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is larger than the limit is in S3, and its place in the log; the rest is in the log."""
    objects: dict[str, bytes] = {}
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with serving(bucket(objects)) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", url)
        if kind == "s3-backed":
            from faust_s3_backed_serializer import S3BackedSerializer

            backed = S3BackedSerializer("big", "s3://store/", "eu-north-1", None, max_size=50)
        else:
            from faust_large_message_serializer import (
                LargeMessageSerializer,
                LargeMessageSerializerConfig,
            )

            config = LargeMessageSerializerConfig(
                base_path="s3://store/", max_size=50, large_message_s3_region="eu-north-1",
                large_message_s3_access_key="key", large_message_s3_secret_key="secret",
                large_message_s3_endpoint=url,
            )  # fmt: skip
            backed = LargeMessageSerializer("big", config)
        topic = app.topic(
            "big", value_type=Point, value_serializer=codecs.json() | backed, internal=True
        )
        small, large = Point(1, "s"), Point(2, "l" * 100)
        assert asyncio.run(through(app, topic, large, small)) == [large, small]
    assert record(broker, "big").value.startswith(b"\x01s3://store/big/values/")
    ((path, data),) = objects.items()
    assert path.startswith("/store/big/values/")
    assert b"l" * 100 in data


def test_faust_prometheus_exporter(broker: str, tmp_path: Path) -> None:
    """Its page tells what the monitor has counted."""
    from faust_prometheus.exporter import FaustPrometheusExporter
    from prometheus_client import CollectorRegistry

    app = faust.App(
        "plugged", broker=broker, topic_partitions=1, datadir=str(tmp_path),
        web_bind="127.0.0.1", web_port=0,
    )  # fmt: skip

    async def main() -> str:
        FaustPrometheusExporter(app, url="/exported", registry=CollectorRegistry())
        topic = app.topic("points", value_type=Point, internal=True)
        done: list[Any] = []

        @app.agent(topic)
        async def read(stream: Any) -> None:
            async for value in stream:
                done.append(value)

        async with app:
            for number in range(3):
                await topic.send(value=Point(number, "p"))
            await until(lambda: len(done) == 3 and app.monitor.events_total == 3)
            url = f"http://127.0.0.1:{app.web.port}/exported"
            answer = await asyncio.to_thread(urllib.request.urlopen, url, timeout=10)
            return str(answer.read().decode())

    told = dict(line.rsplit(" ", 1) for line in asyncio.run(main()).splitlines() if line[:1] != "#")
    assert told["faust_events_total"] == "3.0"
    assert told['faust_messages_received_by_topic{topic="points"}'] == "3.0"
    assert told['faust_messages_sent_by_topic{topic="points"}'] == "3.0"


def test_sentry_faust_integration(app: faust.App) -> None:
    """What an agent or a timer raises, and what ends the app, is sent to Sentry."""
    import sentry_sdk
    from sentry_faust_integration import FaustIntegration

    sent: list[str] = []

    def keep(event: Any, hint: Any) -> None:
        sent.append(event["exception"]["values"][0]["value"])

    topic = app.topic("points", internal=True)
    with sentry_sdk.Hub(
        sentry_sdk.Client(
            dsn="http://key@127.0.0.1:9/1", integrations=[FaustIntegration()],
            before_send=keep, default_integrations=False,
        )
    ):  # fmt: skip

        @app.agent(topic, error_policy="skip")
        async def read(stream: Any) -> None:
            async for _ in stream:
                raise ValueError("of an agent")

        @app.timer(0.05)
        async def tick() -> None:
            if "of an agent" in sent:
                raise ValueError("of a timer")

        async def main() -> None:
            async with app:
                await topic.send(value=1)
                await until(lambda: app.failure is not None)
                await until(lambda: sent.count("of a timer") >= 2)

        asyncio.run(main())
    assert sent[0] == "of an agent"
    assert set(sent[1:]) == {"of a timer"}
