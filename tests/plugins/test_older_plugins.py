"""Packages written for earlier versions of Faust, each doing its work in a running app."""

from __future__ import annotations

import asyncio
import gc
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Union

import pytest
from plugin_world import registry, serving, through, until
from prometheus_client import REGISTRY

import faust
from faust.serializers import codecs

#: Some were written for a Python and a Pydantic that are years older.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


class Point(faust.Record, include_metadata=False):
    x: int
    name: str


@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_faust_avro(broker: str, tmp_path: Path) -> None:
    """Its app, topics, schemas and records: a union of records comes back as what it was."""
    import faust_avro

    class Circle(faust_avro.Record, avro_name="shapes.Circle"):
        radius: int

    class Square(faust_avro.Record, avro_name="shapes.Square"):
        side: int

    class Shape(faust_avro.Record, avro_name="shapes.Shape"):
        name: str
        kind: Union[Circle, Square]  # noqa: UP007 - the only way it knows

    assert Shape._avro_name == "shapes.Shape"
    with serving(registry()) as url:
        app = faust_avro.App(
            "avro", registry_url=url, broker=broker, topic_partitions=1,
            datadir=str(tmp_path), web_enabled=False,
        )  # fmt: skip
        topic = app.topic("shapes", value_type=Shape, internal=True)

        async def main() -> list[Any]:
            await topic.register(app)
            return await through(app, topic, Shape("a", Circle(3)), Shape("b", Square(4)))

        got = asyncio.run(main())
    gc.collect()  # the package leaves event loops behind, unclosed
    assert got == [Shape("a", Circle(3)), Shape("b", Square(4))]


def test_faust_avro_serializer() -> None:
    """A model becomes plain data, and what it has written as Avro is read again."""
    from faust_avro_serializer import FaustAvroSerializer
    from schema_registry.client import SchemaRegistryClient, schema

    fields = [{"name": "x", "type": "long"}, {"name": "name", "type": "string"}]
    avro = schema.AvroSchema({"type": "record", "name": "Point", "fields": fields})
    with serving(registry()) as url:
        codec = FaustAvroSerializer(SchemaRegistryClient(url), "points", False)
        codec.schema_registry_client.register("points-value", avro)
        assert isinstance(codec, codecs.Codec)
        assert codec.clean_payload({"p": Point(3, "p")}) == {"p": {"x": 3, "name": "p"}}
        raw = codec.encode_record_with_schema("points-value", avro, {"x": 3, "name": "p"})
        assert codec.loads(raw) == {"x": 3, "name": "p"}


def test_faust_joins(app: faust.App) -> None:
    """Two halves with one key are put together, and leave the table."""
    from faust_joins.joiner import make_joining_func

    table = app.Table("halves", partitions=1)
    topic = app.topic("halves-in", internal=True)
    joined: list[Any] = []
    process = make_joining_func(
        table, lambda half: half["id"], lambda new, old: {**(old or {}), **new},
        lambda whole: {"a", "b"} <= set(whole), joined.append,
    )  # fmt: skip

    @app.agent(topic)
    async def join(stream: Any) -> None:
        async for half in stream:
            process(half)

    async def main() -> None:
        async with app:
            await topic.send(key="1", value={"id": "1", "a": 1})
            await topic.send(key="1", value={"id": "1", "b": 2})
            await until(lambda: joined and len(table) == 0)

    asyncio.run(main())
    assert joined == [{"id": "1", "a": 1, "b": 2}]


def test_faust_tools(app: faust.App, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function registered with it answers into the topic of its service."""
    from faust_tools.decorators import stream
    from faust_tools.response import Response
    from faust_tools.serializer import WriteStream

    monkeypatch.setenv("SERVICE_NAME", "answers")
    topic = app.topic("asked", value_type=WriteStream, internal=True)
    app.topic("answers", internal=True)
    got: list[Any] = []

    @stream(app, topic)
    async def handle(value: Any) -> Any:
        got.append((value.id, value.action, value.detail))
        return Response()

    async def main() -> None:
        async with app:
            await topic.send(value=WriteStream(id="7", action="add", detail={"a": 1}))
            await until(lambda: got)

    asyncio.run(main())
    assert got == [("7", "add", {"a": 1})]


@pytest.mark.parametrize("package", ["faust-prometheus-monitor", "faustprometheus"])
def test_monitors_for_prometheus(package: str, broker: str, tmp_path: Path) -> None:
    """As the app's monitor it counts messages for Prometheus."""
    app = faust.App(
        "plugged", broker=broker, topic_partitions=1, datadir=str(tmp_path), web_enabled=False
    )
    if package == "faustprometheus":
        from faustprometheus.monitor import PrometheusMonitor as Newer

        app.monitor = monitor = Newer(app)
    else:
        from faust_prometheus_monitor import PrometheusMonitor

        app.monitor = monitor = PrometheusMonitor("plugged")
    topic = app.topic("counted", internal=True, value_type=int)
    before = _sum("counted")
    assert asyncio.run(through(app, topic, 1, 2)) == [1, 2]
    assert monitor.messages_received_total == 2
    assert _sum("counted") > before


def _sum(topic: str) -> float:
    return sum(
        sample.value
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if sample.labels.get("topic") == topic and sample.name.endswith("_total")
    )


def test_faust_pydantic_validate(broker: str, tmp_path: Path) -> None:
    """A view gets what was posted as its model; what does not fit is a 422."""
    from faust_pydantic_validate.wrappers import takes_pydantic
    from pydantic import BaseModel

    class Posted(BaseModel):
        x: int

    app = faust.App(
        "plugged", broker=broker, datadir=str(tmp_path), web_bind="127.0.0.1", web_port=0
    )

    @app.page("/posted/")
    class View(faust.web.View):
        @takes_pydantic(Posted)
        async def post(self, request: Any, posted: Posted) -> Any:
            return self.json({"x": posted.x + 1})

    async def main() -> tuple[bytes, int]:
        async with app:
            url = f"http://127.0.0.1:{app.web.port}/posted/"

            def ask(body: bytes) -> tuple[bytes, int]:
                try:
                    with urllib.request.urlopen(url, body, timeout=10) as answer:
                        return answer.read(), answer.status
                except urllib.error.HTTPError as error:
                    with error:
                        return b"", error.code

            good, _ = await asyncio.to_thread(ask, b'{"x": 1}')
            _, status = await asyncio.to_thread(ask, b'{"x": "no"}')
            return good, status

    assert asyncio.run(main()) == (b'{"x":2}', 422)


def test_the_documents_say_of_each_package_what_is_tried() -> None:
    here = Path(__file__)
    names = (here.parent / "plugins.txt").read_text("utf-8").split("\n")[1:]
    page = (here.parents[2] / "docs/guides/plugins.md").read_text("utf-8")
    tried = page.partition("Not tried")[0]
    assert [name for name in names if name and f"| {name} |" not in tried] == []
