"""What each setting of identity, topics, broker and consumer changes."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from datetime import timedelta, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from settings_world import (
    World,
    asked_for,
    effect_of,
    run_whole,
    send_all,
    until,
    virtual,
    warnings_in,
    whole_app,
)

import faust
from faust.auth import SASLCredentials, SSLCredentials
from faust.exceptions import (
    BrokerUnavailable,
    ImproperlyConfigured,
)
from faust.types import TP
from tests.support.virtual_time import watched


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def reading(app: faust.App, **options: Any) -> list[Any]:
    """Let an agent read ``orders``; return what it will have read."""
    seen: list[Any] = []

    @app.agent(app.topic("orders", value_type=str, internal=True, partitions=1), **options)
    async def read(stream: Any) -> None:
        async for value in stream:
            seen.append(value)

    return seen


# -- identity and directories --------------------------------------------------------------------


@effect_of("id", "version", "id_format", "datadir", "tabledir", "store")
def test_the_id_names_group_and_topics_and_the_version_has_its_own_directory(
    world: World, tmp_path: Path
) -> None:
    given = {"version": 2, "id_format": "{id}_{self.version}", "datadir": tmp_path / "d"}

    @virtual
    async def flow() -> None:
        app = whole_app(world, tabledir="kept", store="rocksdb://", **given)
        async with app:
            await send_all(app.topic("orders", key_type=str), ["a"], key="k")
            await until(lambda: any(world.committed("shop_2").values()))
        assert "shop_2-counts-changelog" in world.broker.describe(None)

    flow()
    assert not world.committed("shop")
    assert [p.name for p in (tmp_path / "d").iterdir() if p.is_dir()] == ["v2"]
    assert list((tmp_path / "d/v2/kept").rglob("CURRENT")), "no files of RocksDB"


@effect_of("store")
def test_tables_in_memory_leave_nothing_on_the_disk(world: World, tmp_path: Path) -> None:
    @virtual
    async def flow() -> None:
        await run_whole(world, whole_app(world, store="memory://"))

    flow()
    assert not list(tmp_path.rglob("CURRENT"))


@effect_of("autodiscover", "origin")
def test_packages_are_scanned_that_autodiscover_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "settings_pkg").mkdir()
    (tmp_path / "settings_pkg/__init__.py").write_text("")
    (tmp_path / "settings_pkg/agents.py").write_text("imported = True\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import sys

    faust.App("x", autodiscover=False, env={}).discover()
    assert "settings_pkg.agents" not in sys.modules
    with pytest.raises(ImproperlyConfigured, match="origin"):
        faust.App("x", autodiscover=True, env={}).discover()
    faust.App("x", autodiscover=True, origin="settings_pkg", env={}).discover()
    assert sys.modules.pop("settings_pkg.agents").imported
    for given in (["settings_pkg"], lambda: ["settings_pkg"]):
        faust.App("x", autodiscover=given, env={}).discover()
        assert sys.modules.pop("settings_pkg.agents").imported


@effect_of("timezone")
def test_crontabs_run_in_the_timezone(world: World) -> None:
    ran: list[int] = []

    @virtual
    async def flow() -> None:
        app = world.app()
        minutes = int(app.clock.time()) // 60 % 1440
        app.conf.timezone = timezone(timedelta(minutes=11 * 60 + 58 - minutes))

        @app.crontab("0 12 * * *")
        async def noon() -> None:
            ran.append(1)

        async with app:
            await app.clock.sleep(59)
            assert not ran
            await app.clock.sleep(62)

    flow()
    assert ran == [1]


@effect_of("processing_guarantee")
@virtual
async def test_under_exactly_once_a_message_is_there_when_its_event_is_committed(
    world: World,
) -> None:
    app = world.app(processing_guarantee="exactly_once", broker_commit_interval=5.0)
    source = app.topic("orders", value_type=str, internal=True, partitions=1)
    sink = app.topic("sink", value_type=str, internal=True, partitions=1)

    @app.agent(source)
    async def forward(stream: Any) -> None:
        async for value in stream:
            await sink.send(value=value)

    async with app:
        await send_all(source, ["a"])
        await until(lambda: app.monitor.events_total == 1)
        (log,) = world.broker.topic("sink").logs
        assert log.state.end == 0
        await until(lambda: log.state.end)


@effect_of("env_prefix")
def test_a_prefix_names_other_variables() -> None:
    env = {"SHOP_TOPIC_PARTITIONS": "3", "TOPIC_PARTITIONS": "4"}
    assert faust.App("x", env_prefix="SHOP", env=env).conf.topic_partitions == 3


# -- serialization and topics --------------------------------------------------------------------


@effect_of("key_serializer", "value_serializer")
def test_keys_and_values_are_written_with_the_codecs_that_are_set(world: World) -> None:
    @virtual
    async def flow() -> None:
        app = world.app(key_serializer="json|binary", value_serializer="binary")
        async with app:
            await send_all(app.topic("t", internal=True), [b"value"], key=[1])
            (record,) = world.records("t")
            assert (record.key, record.value) == (b"WzFd", b"value")
            await send_all(app.topic("u", internal=True, value_type=dict), [b"v"], key=[1])

    flow()
    app = faust.App("x", value_serializer="json|binary", env={})
    assert app.topic("t").prepare_value({"a": 1}, None)[0] == b"eyJhIjoxfQ=="


@effect_of("topic_partitions", "topic_replication_factor")
def test_new_topics_are_made_as_the_settings_say(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []

    @virtual
    async def flow() -> None:
        create = world.broker.create_topic

        def noted(spec: Any) -> None:
            made.append(spec)
            create(spec)

        monkeypatch.setattr(world.broker, "create_topic", noted)
        app = world.app(topic_partitions=5, topic_replication_factor=3)
        app.agent(app.topic("orders", internal=True))(_read)
        async with app:
            pass

    flow()
    assert [(s.name, s.partitions, s.replicas) for s in made] == [("orders", 5, 3)]


async def _read(stream: Any) -> None:
    async for _ in stream:
        pass


@effect_of("topic_allow_declare")
def test_a_topic_may_not_be_made(world: World) -> None:
    @virtual
    async def flow() -> None:
        app = world.app(topic_allow_declare=False)
        app.agent(app.topic("orders", internal=True))(_read)
        with pytest.raises(ImproperlyConfigured, match=r"'orders'.*topic_allow_declare"):
            async with app:
                pass
        await app.stop()

    flow()


@effect_of("topic_disable_leader")
def test_without_a_leader_topic_nobody_leads(world: World) -> None:
    @virtual
    async def flow() -> None:
        for disabled in (True, False):
            app = world.app(topic_disable_leader=disabled)
            app.agent(app.topic("orders", internal=True))(_read)

            @app.task(on_leader=True)
            async def lead() -> None: ...

            async with app:
                assert app.is_leader() is not disabled
                topics = world.broker.describe(None)
                assert ("shop-__assignor-__leader" in topics) is not disabled

    flow()


# -- broker, consumer, producer: what the driver is asked for ------------------------------------

#: Setting -> (what it is given, which of the driver's parts is told, by which name, what it hears).
TOLD: dict[str, tuple[Any, str, str, Any]] = {
    "broker_client_id": ("me", "transport", "client_id", "me"),
    "broker_request_timeout": (7, "transport", "request_timeout", 7.0),
    "consumer_metadata_max_age_ms": (1000, "transport", "metadata_max_age", 1.0),
    "producer_metadata_max_age_ms": (1000, "transport", "metadata_max_age", 1.0),
    "consumer_connections_max_idle_ms": (1000, "transport", "connections_max_idle", 1.0),
    "producer_connections_max_idle_ms": (1000, "transport", "connections_max_idle", 1.0),
    "broker_check_crcs": (False, "reader", "check_crcs", False),
    "consumer_max_fetch_size": (4096, "reader", "max_partition_bytes", 4096),
    "consumer_group_instance_id": ("one", "membership", "instance_id", "one"),
    "broker_session_timeout": (70, "membership", "session_timeout", 70.0),
    "broker_rebalance_timeout": (50, "membership", "rebalance_timeout", 50.0),
    "producer_acks": (1, "producer", "acks", 1),
    "producer_max_request_size": (200_000, "producer", "max_request_bytes", 200_000),
    "producer_request_timeout": (9, "producer", "delivery_timeout", 9.0),
}


@effect_of(*TOLD)
@pytest.mark.parametrize("name", TOLD)
def test_the_driver_is_told(name: str, world: World) -> None:
    given, part, field, heard = TOLD[name]

    @virtual
    async def flow() -> None:
        made_with = await asked_for(world, **{name: given})
        assert getattr(made_with[part], field) == heard

    flow()


@effect_of("broker", "broker_credentials", "ssl_context")
def test_the_driver_of_the_scheme_gets_the_credentials(world: World) -> None:
    context = ssl.create_default_context()

    @virtual
    async def flow() -> None:
        given = SASLCredentials(username="u", password="p")
        assert (await asked_for(world, broker_credentials=given))["transport"].credentials is given
        made = (await asked_for(world, ssl_context=context))["transport"].credentials
        assert isinstance(made, SSLCredentials)
        assert made.ssl_context is context

    flow()


@effect_of("broker_heartbeat_interval")
def test_heartbeats_are_sent_at_their_interval(world: World) -> None:
    beats: list[Any] = []

    @virtual
    async def flow() -> None:
        app = world.app(broker_heartbeat_interval=5)
        reading(app)
        async with app:
            heartbeat = app.engine.membership.heartbeat  # type: ignore[union-attr]  # it runs

            async def counted() -> None:
                beats.append(app.clock.monotonic())
                await heartbeat()

            app.engine.membership.heartbeat = counted  # type: ignore[union-attr, method-assign]
            await app.clock.sleep(26)

    flow()
    assert len(beats) == 5
    assert {round(b - a) for a, b in pairwise(beats)} == {5}


@effect_of("broker_commit_interval")
def test_commits_come_at_their_interval(world: World) -> None:
    @virtual
    async def flow() -> None:
        app = world.app(broker_commit_interval=30)
        seen = reading(app)
        async with app:
            await send_all(app.topic("orders"), ["a"])
            await until(lambda: seen)
            await app.clock.sleep(15)
            assert world.committed()[TP("orders", 0)] == 0
            await app.clock.sleep(20)
            assert world.committed()[TP("orders", 0)] == 1

    flow()


@effect_of("broker_commit_every")
def test_a_commit_comes_early_after_so_many_events(world: World) -> None:
    @virtual
    async def flow() -> None:
        app = world.app(broker_commit_interval=3600, broker_commit_every=10)
        seen = reading(app)
        async with app:
            await send_all(app.topic("orders"), ["a"] * 9)
            await until(lambda: len(seen) == 9)
            await app.clock.sleep(60)
            assert world.committed()[TP("orders", 0)] == 0
            await send_all(app.topic("orders"), ["a"])
            await app.clock.sleep(1)
            assert world.committed()[TP("orders", 0)] == 10

    flow()


@effect_of("broker_commit_livelock_soft_timeout")
def test_an_agent_that_stays_inside_one_event_is_named(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    @virtual
    async def flow() -> None:
        app = world.app(broker_commit_livelock_soft_timeout=20)
        inside = asyncio.Event()

        @app.agent(app.topic("orders", internal=True, partitions=1), name="slow")
        async def slow(stream: Any) -> None:
            async for _ in stream:
                inside.set()
                await asyncio.sleep(3600)

        async with app:
            await watched(app, 60)
            assert not caplog.records, "nothing is in progress"
            await send_all(app.topic("orders"), ["a"])
            await inside.wait()
            await watched(app, 19)
            assert not warnings_in(caplog)
            await watched(app, 2)
            assert "agent slow has been inside the event at topic orders partition 0" in (
                warnings_in(caplog)
            )

    flow()


@effect_of("broker_rebalance_grace")
@pytest.mark.parametrize(("grace", "finishes"), [(30, True), (5, False)])
def test_an_event_in_progress_has_so_long_when_its_partition_moves(
    world: World, grace: float, finishes: bool
) -> None:
    finished: list[str] = []

    @virtual
    async def flow() -> None:
        def worker(name: str, seconds: float) -> faust.App:
            app = world.app(broker_rebalance_grace=grace)
            orders = app.topic("orders", value_type=str, internal=True, partitions=2)

            @app.agent(orders, isolated_partitions=True)
            async def work(stream: Any) -> None:
                async for _ in stream:
                    began.append(name)
                    await app.clock.sleep(seconds)
                    finished.append(name)

            return app

        began: list[str] = []
        first = worker("first", 15)
        async with first:
            for partition in (0, 1):
                await send_all(first.topic("orders"), ["a"], partition=partition)
            await until(lambda: len(began) == 2)
            async with worker("second", 0.1):
                await until(lambda: len(finished) >= 2)

    flow()
    assert ("second" in finished) is not finishes


@effect_of("broker_unavailable_timeout")
def test_an_app_waits_so_long_for_a_broker(world: World) -> None:
    @virtual
    async def flow() -> None:
        world.broker.faults.make_unavailable()
        app = world.app(broker_unavailable_timeout=20)
        began = app.clock.monotonic()
        with pytest.raises(BrokerUnavailable, match="broker_unavailable_timeout"):
            async with app:
                pass
        assert 20 <= app.clock.monotonic() - began < 40
        await app.stop()

    flow()


@effect_of("consumer_auto_offset_reset")
@pytest.mark.parametrize(("reset", "read"), [("earliest", ["old", "new"]), ("latest", ["new"])])
def test_reading_begins_where_it_is_said(world: World, reset: str, read: list[str]) -> None:
    @virtual
    async def flow() -> None:
        app = world.app(consumer_auto_offset_reset=reset)
        world.create("orders", 1)
        other = world.app("other")
        async with other:
            await send_all(other.topic("orders"), ["old"])
        seen = reading(app)
        async with app:
            await send_all(app.topic("orders"), ["new"])
            await until(lambda: "new" in seen)
        assert seen == read

    flow()
