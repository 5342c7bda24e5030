"""A subclass that a setting names is what the app is made of, whether given as class or as path."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from settings_world import (
    World,
    as_path,
    effect_of,
    run_whole,
    spy_on,
    until,
    virtual,
    whole_app,
)
from yarl import URL

import faust
from faust._machines.copartition import TaskId
from faust.assignor import LeaderAssignor, PartitionAssignor
from faust.exceptions import SameNode
from faust.settings import Settings
from faust.types import TP
from faust.web import View

#: Setting -> methods of its class that are seen to be called while events flow.
ON_THE_EVENT_PATH = {
    "Agent": [
        "on_start",
        "on_stop",
        "stream",
        "on_partitions_assigned",
        "on_shared_partitions_assigned",
        "ask",
    ],
    "Event": ["ack"],
    "Schema": ["dumps_value", "on_dumps_value_prepare_headers"],
    "Stream": ["events", "on_merge"],
    "Table": ["__setitem__", "__getitem__", "on_key_set", "on_key_get"],
    "Set": ["add"],
    "SetTable": ["__getitem__"],
    "GlobalTable": ["__setitem__"],
    "SetGlobalTable": ["__getitem__"],
    "TableManager": ["add", "on_commit", "on_rebalance", "open_store"],
    "Serializers": ["loads_value", "loads_key", "dumps_value", "dumps_key", "_loads"],
    "PartitionAssignor": ["assign", "subscription", "on_assignment"],
    "TopicConductor": ["subscribe", "deliver", "on_stop"],
    "Topic": ["send", "decode_key", "topic_config"],
    "Monitor": ["on_stream_event_in", "on_stream_event_out"],
}
#: Those that are made elsewhere than on the way of an event, each with a test of its own below.
ELSEWHERE = {"LeaderAssignor", "Router", "HttpClient", "Worker"}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def test_every_class_that_can_be_set_is_here() -> None:
    titles = {d.section: d for d in Settings.SETTINGS.values()}
    classes = {d.name for d in Settings.SETTINGS_BY_SECTION["Subclassing"]}
    assert "Subclassing" in titles
    assert classes == {*ON_THE_EVENT_PATH, *ELSEWHERE}
    assert len(classes) == 19


def cases() -> list[tuple[str, str]]:
    return [(name, method) for name, methods in ON_THE_EVENT_PATH.items() for method in methods]


@effect_of(*ON_THE_EVENT_PATH)
@pytest.mark.parametrize(("name", "method"), cases())
def test_a_method_of_a_subclass_is_called(name: str, method: str, world: World) -> None:
    called: list[str] = []
    base = getattr(Settings("x", env={}), name)
    mine = spy_on(base, method, called)
    # As a class and as a path, in turn: what each means is tested for all of them below.
    given = mine if len(method) % 2 else as_path(mine)

    @virtual
    async def flow() -> None:
        app = whole_app(world, **{name: given})
        await run_whole(world, app)
        assert app.failure is None

    flow()
    assert method in called


@pytest.mark.parametrize("name", sorted({*ON_THE_EVENT_PATH, *ELSEWHERE}))
def test_a_class_may_be_given_as_class_and_as_path(name: str) -> None:
    base = getattr(Settings("x", env={}), name)
    mine = spy_on(base, "__repr__", [])
    for given in (mine, as_path(mine), as_path(mine, ".")):
        settings: dict[str, Any] = {name: given}
        assert getattr(faust.App("x", env={}, **settings).conf, name) is mine


@pytest.mark.parametrize("name", sorted({*ON_THE_EVENT_PATH, *ELSEWHERE}))
def test_a_path_that_leads_nowhere_names_setting_path_and_what_is_missing(name: str) -> None:
    settings: dict[str, Any] = {name: "faust.nowhere:Thing"}
    app = faust.App("x", env={}, **settings)
    with pytest.raises(
        faust.exceptions.ImproperlyConfigured,
        match=rf"'{name}' is 'faust\.nowhere:Thing', but there is no module 'faust\.nowhere'",
    ):
        getattr(app.conf, name)


# -- agents and their partitions -------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["isolated", "shared"])
def test_an_agent_hears_of_partitions_that_come_and_go(world: World, kind: str) -> None:
    heard: list[tuple[str, str, int]] = []

    class Mine(faust.Agent):
        pass

    for method in (f"on_{kind}_partitions_assigned", f"on_{kind}_partitions_revoked"):

        async def hear(self: Any, tps: set[TP], method: str = method) -> None:
            heard.extend(
                (self.app.conf.web_host, method.split("_")[-1], tp.partition) for tp in tps
            )

        setattr(Mine, method, hear)

    def worker(name: str) -> faust.App:
        app = world.app(Agent=Mine, web_host=name)
        orders = app.topic("orders", internal=True, partitions=2)

        @app.agent(orders, isolated_partitions=kind == "isolated")
        async def read(stream: Any) -> None:
            async for _ in stream:
                pass

        return app

    @virtual
    async def flow() -> None:
        async with worker("one"):
            assert sorted(heard) == [("one", "assigned", 0), ("one", "assigned", 1)]
            async with worker("two"):
                await until(lambda: any(host == "two" for host, _, _ in heard))

    flow()
    (moved,) = (partition for host, what, partition in heard if what == "revoked")
    assert ("one", "revoked", moved) in heard
    assert ("two", "assigned", moved) in heard


# -- the assignor ----------------------------------------------------------------------------------


def test_an_assignor_may_leave_a_task_out(world: World) -> None:
    class Lazy(PartitionAssignor):
        name = "lazy"

        def assign(self, members: Any, groups: Any) -> Any:
            first = min(members)
            return {m: [t for g in groups for t in g.tasks()][: m == first] for m in members}

    @virtual
    async def flow() -> None:
        app = whole_app(world, PartitionAssignor=Lazy)
        async with app:
            orders = {tp for tp in app.assignor.assigned_actives() if tp.topic == "orders"}
            assert len(orders) == 1
            assert all(app.assignor.is_active(tp) for tp in orders)

    flow()


def test_the_assignor_says_who_has_what(world: World) -> None:
    @virtual
    async def flow() -> None:
        app = whole_app(world, canonical_url="http://here:6066")
        async with app:
            assignor = app.assignor
            changelog = app.tables["counts"].changelog_topic_name
            assert assignor.table_metadata(changelog) == {"http://here:6066": {changelog: [0, 1]}}
            assert changelog in assignor.tables_metadata()["http://here:6066"]
            assert assignor.external_topics_metadata()["http://here:6066"]["orders"] == [0, 1]
            assert assignor.key_store("orders", b"k") == URL("http://here:6066")
            assert assignor.key_store(changelog, b"k") == URL("http://here:6066")
            assert assignor.group_for_topic("orders") == assignor.group_for_topic(changelog) == 2
            assert assignor.is_active(TP("orders", 0))
            assert not assignor.is_active(TP("orders", 7))
            assert assignor.assigned_standbys() == set()
            assert not assignor.is_standby(TP("orders", 0))
            with pytest.raises(KeyError):
                assignor.key_store("unknown", b"k")

    flow()


def test_the_assignor_finds_keys_by_the_partitioner_of_the_app() -> None:
    """(pitfalls B16)"""
    app = faust.App("x", env={}, producer_partitioner=lambda key, every, available: every[-1])
    assignor = app.assignor
    from faust.assignor import Assignment

    owners = {TaskId("2", 0): "http://a", TaskId("2", 1): "http://b"}
    assignor.on_assignment(Assignment(owners=owners, topics={"orders": "2"}))
    assert {str(assignor.key_store("orders", k)) for k in (b"a", b"b", b"c")} == {"http://b"}


# -- the leader ------------------------------------------------------------------------------------


@effect_of("LeaderAssignor")
@pytest.mark.parametrize("leads", [True, False])
def test_a_leader_assignor_of_ones_own_decides_who_leads(world: World, leads: bool) -> None:
    class Mine(LeaderAssignor):
        def is_leader(self) -> bool:
            return leads

    ran: list[int] = []

    @virtual
    async def flow() -> None:
        app = whole_app(world, LeaderAssignor=Mine)

        @app.timer(1.0, on_leader=True)
        async def tick() -> None:
            ran.append(1)

        async with app:
            assert app.is_leader() is leads
            await app.clock.sleep(3.5)

    flow()
    assert bool(ran) is leads


def test_the_leader_is_who_has_the_leader_topic_and_the_assignor_is_asked(world: World) -> None:
    asked: list[str] = []
    mine = spy_on(PartitionAssignor, "is_active", asked)

    @virtual
    async def flow() -> None:
        app = whole_app(world, PartitionAssignor=mine)

        @app.task(on_leader=True)
        async def lead() -> None: ...

        async with app:
            await until(app.is_leader)

    flow()
    assert asked


# -- the router, and the HTTP client ---------------------------------------------------------------


class Elsewhere(faust.Router):
    """Says that every key is at a worker that the test has named."""

    url = ""

    def key_store(self, table_name: str, key: Any) -> URL:
        return URL(self.url)


def served(app: faust.App, client: Any) -> None:
    async def main() -> None:
        async with app, aiohttp.ClientSession() as session:
            await client(session, f"http://127.0.0.1:{app.web.port}")

    asyncio.run(main())


def web_app(**settings: Any) -> faust.App:
    return faust.App("routed", broker="memory://", web_port=0, web_bind="127.0.0.1", **settings)


@effect_of("Router", "HttpClient")
def test_a_router_of_ones_own_sends_requests_where_it_wants_with_the_client_of_the_app() -> None:
    """(pitfalls C50)"""
    requested: list[str] = []
    client_class = spy_on(aiohttp.ClientSession, "_request", requested)
    other, app = web_app(), web_app(Router=Elsewhere, HttpClient=as_path(client_class))
    table = app.Table("counts", key_type=str)

    @other.page("/count/{key}/")
    class OtherCount(View):
        async def post(self, request: Any, key: str) -> Any:
            return {"here": key, "body": await request.json()}

    class Count(View):
        @app.table_route(table, match_info="key")
        async def post(self, request: Any, key: str) -> Any:
            return {"not here": key}

    app.page("/count/{key}/")(Count)

    async def main() -> None:
        async with other, app, aiohttp.ClientSession() as session:
            Elsewhere.url = f"http://127.0.0.1:{other.web.port}"
            here = f"http://127.0.0.1:{app.web.port}"
            async with session.post(f"{here}/count/k/", json={"n": 1}) as answer:
                assert await answer.json() == {"here": "k", "body": {"n": 1}}
            async with session.get(f"{here}/router/counts/k/") as answer:
                assert (await answer.json())["url"].rstrip("/") == Elsewhere.url
            Elsewhere.url = str(app.conf.canonical_url)
            async with session.post(f"{here}/count/k/", json={"n": 1}) as answer:
                assert await answer.json() == {"not here": "k"}

    asyncio.run(main())
    assert requested


def test_a_topic_may_be_routed_by_too() -> None:
    app = web_app()
    orders = app.topic("orders", key_type=str, internal=True)
    found: list[str] = []

    @app.agent(orders)
    async def read(stream: Any) -> None:
        async for _ in stream:
            pass

    class Here(View):
        @app.topic_route(orders, query_param="key")
        async def get(self, request: Any) -> Any:
            found.append(request.query["key"])
            return {"here": True}

    app.page("/here/")(Here)

    async def client(session: aiohttp.ClientSession, url: str) -> None:
        async with session.get(f"{url}/here/?key=k") as answer:
            assert await answer.json() == {"here": True}
        request: Any = None  # it is not sent on
        with pytest.raises(SameNode):
            await app.router.route_topic_req(orders, "k", app.web, request)

    served(app, client)
    assert found == ["k"]


def test_the_router_asks_the_assignor() -> None:
    class Mine(PartitionAssignor):
        def key_store(self, topic: str, key: bytes) -> URL:
            return URL(f"http://{topic}-{key.decode()}")

        def tables_metadata(self) -> Any:
            return {"http://a": {"some-changelog": [0]}}

    app = faust.App("routed", env={}, PartitionAssignor=Mine)
    table = app.Table("counts", key_type=str)
    assert str(app.router.key_store("counts", "k")).startswith(
        f"http://{table.changelog_topic_name}"
    )
    assert app.router.tables_metadata() == {"http://a": {"some-changelog": [0]}}
    assert app.router.external_topic_key_store("orders", "k").host == "orders-k"
    with pytest.raises(KeyError):
        app.router.key_store("no-such-table", "k")


# -- the worker ------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an app keeps, it keeps there."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def same_log() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


@effect_of("Worker")
def test_a_worker_of_ones_own_runs_the_app(same_log: None, tmp_path: Path) -> None:
    called: list[str] = []

    class MyWorker(faust.Worker):
        async def on_first_start(self) -> None:
            called.append("on_first_start")
            await super().on_first_start()

        async def on_execute(self) -> None:
            called.append("on_execute")
            await super().on_execute()

        async def on_startup_finished(self) -> None:
            called.append("on_startup_finished")
            signal.raise_signal(signal.SIGTERM)

        def on_setup_root_logger(self, logger: logging.Logger, level: int) -> None:
            called.append("on_setup_root_logger")

        def on_worker_shutdown(self) -> None:
            called.append("on_worker_shutdown")

    app = faust.App("w", broker="memory://", web_enabled=False, Worker=as_path(MyWorker))
    assert app.Worker(loglevel="CRITICAL").run() == 0
    assert called == [
        "on_first_start",
        "on_setup_root_logger",
        "on_execute",
        "on_startup_finished",
        "on_worker_shutdown",
    ]
