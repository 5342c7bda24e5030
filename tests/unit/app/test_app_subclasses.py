"""Subclasses of App: what may be overridden is called, what may be switched off is not there."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mode import Service
from mode.threads import ServiceThread

import faust
from faust.app import BootStrategy
from faust.exceptions import ImproperlyConfigured
from faust.transport.drivers.memory import forget_broker

_numbers = itertools.count()


class Noted(Service):
    """A service that notes its life in a list."""

    def __init__(self, name: str, told: list[str], **options: Any) -> None:
        super().__init__(**options)
        self.name, self.told = name, told

    async def on_start(self) -> None:
        self.told.append(f"{self.name} starts")

    async def on_stop(self) -> None:
        self.told.append(f"{self.name} stops")


class MyApp(faust.App):
    """Overrides what may be overridden, and notes that it was called."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.told: list[str] = []
        super().__init__(*args, **options)
        self.service(Noted("mine", self.told))

    def on_init_dependencies(self) -> Iterable[Any]:
        return [*super().on_init_dependencies(), Noted("dependency", self.told)]

    async def on_first_start(self) -> None:
        self.told.append("on_first_start")
        await super().on_first_start()

    async def on_start(self) -> None:
        self.told.append("on_start")
        await super().on_start()

    async def on_started_init_extra_tasks(self) -> None:
        self.told.append("on_started_init_extra_tasks")
        await super().on_started_init_extra_tasks()

    async def on_started_init_extra_services(self) -> None:
        self.told.append("on_started_init_extra_services")
        await super().on_started_init_extra_services()

    async def on_init_extra_service(self, service: Any) -> Any:
        self.told.append("on_init_extra_service")
        return await super().on_init_extra_service(service)

    async def on_started_init_web_server(self) -> None:
        self.told.append("on_started_init_web_server")
        await super().on_started_init_web_server()

    def on_webserver_init(self, web: Any) -> None:
        self.told.append("on_webserver_init")

    async def on_started(self) -> None:
        self.told.append("on_started")
        await super().on_started()

    async def on_stop(self) -> None:
        self.told.append("on_stop")
        await super().on_stop()

    async def on_shutdown(self) -> None:
        self.told.append("on_shutdown")
        await super().on_shutdown()

    async def _on_agent_error(self, agent: Any, exc: BaseException) -> None:
        self.told.append(f"agent {agent.name}: {exc!r}")

    async def crash(self, reason: BaseException) -> None:
        self.told.append(f"crash: {reason!r}")
        await super().crash(reason)


@pytest.fixture
def options(tmp_path: Path) -> Iterator[dict[str, Any]]:
    name = f"subclasses-{next(_numbers)}"
    yield {"broker": f"memory://{name}", "web_enabled": False, "datadir": str(tmp_path)}
    forget_broker(name)


def live(app: faust.App) -> None:
    """Start it and stop it."""

    async def main() -> None:
        async with app:
            pass

    asyncio.run(main())


async def over(app: faust.App) -> BaseException | None:
    """Wait until it has failed; return why."""
    async with asyncio.timeout(90):
        await app.failed.wait()
    return app.failure


def test_everything_that_may_be_overridden_is_called_in_order(options: dict[str, Any]) -> None:
    app = MyApp("mine", **{**options, "web_enabled": True, "web_port": 0, "web_host": "127.0.0.1"})
    live(app)
    assert app.told == [
        "on_first_start",
        "on_start",
        "on_started_init_web_server",
        "on_webserver_init",
        "on_started_init_extra_tasks",
        "on_started_init_extra_services",
        "on_init_extra_service",
        "mine starts",
        "dependency starts",
        "on_started",
        "on_stop",
        "mine stops",
        "dependency stops",
        "on_shutdown",
    ]


def test_a_subclass_hears_of_errors_of_agents_and_of_its_crash(options: dict[str, Any]) -> None:
    app = MyApp("mine", **options)
    topic = app.topic("bad", value_type=int, internal=True)

    @app.agent(topic, name="fails", on_error=None)
    async def fails(stream: Any) -> None:
        async for _ in stream:
            raise ValueError("no")

    async def main() -> BaseException | None:
        async with app:
            await topic.send(value=1)
            return await over(app)

    assert "no" in str(asyncio.run(main()))
    assert "agent fails: ValueError('no')" in app.told
    assert [each for each in app.told if each.startswith("crash: ")]


def test_tasks_run_without_a_broker_if_the_strategy_says_so(options: dict[str, Any]) -> None:
    """``enable_kafka = False``: nobody connects to a broker that is not there."""

    class Alone(BootStrategy):
        enable_kafka = False

    class AloneApp(faust.App):
        pass

    AloneApp.BootStrategy = Alone
    app = AloneApp("alone", **{**options, "broker": "kafka://127.0.0.1:1"})
    ran: list[str] = []
    done = asyncio.Event()

    @app.agent(app.topic("unread"))
    async def reads(stream: Any) -> None:
        ran.append("agent")

    @app.task
    async def task() -> None:
        ran.append("task")
        done.set()

    async def main() -> None:
        async with app:
            await done.wait()
            assert app.connection is None

    asyncio.run(main())
    assert ran == ["task"]


def test_the_consumer_may_be_switched_off(options: dict[str, Any]) -> None:
    """It still sends, on the instance as on the class; nobody reads."""
    app = faust.App("sends", **options)
    app.boot_strategy = BootStrategy(app, enable_kafka_consumer=False)
    topic = app.topic("sent", value_type=int, internal=True, partitions=1)

    @app.agent(topic)
    async def reads(stream: Any) -> None:
        raise AssertionError("nobody reads")

    async def main() -> int:
        async with app:
            assert app.engine is None
            return (await (await topic.send(value=1))).offset

    assert asyncio.run(main()) == 0
    with pytest.raises(ImproperlyConfigured, match="must be able to commit"):
        BootStrategy(app, enable_kafka_producer=False)


def test_the_web_server_may_be_switched_off_by_the_strategy(options: dict[str, Any]) -> None:
    app = MyApp("quiet", **{**options, "web_enabled": True, "web_port": 0})
    app.boot_strategy = BootStrategy(app, enable_web=False)
    live(app)
    assert "on_webserver_init" not in app.told


@pytest.mark.parametrize("enabled", [True, False])
def test_sensors_are_started_first_and_stopped_last(options: dict[str, Any], enabled: bool) -> None:
    app, told = MyApp("sensing", **options), []

    class Sensing(faust.Sensor):
        async def on_start(self) -> None:
            told.append(f"starts after {len(app.told)}")

        async def on_stop(self) -> None:
            told.append(f"stops after {len(app.told)}")

    app.sensors.add(Sensing())
    app.boot_strategy = BootStrategy(app, enable_sensors=enabled)
    live(app)
    before_the_start, before_the_end = app.told.index("on_start") + 1, len(app.told) - 2
    expected = [f"starts after {before_the_start}", f"stops after {before_the_end}"]
    assert told == (expected if enabled else [])


def test_a_service_that_fails_ends_the_app_whether_class_or_instance(
    options: dict[str, Any],
) -> None:
    class Fails(Service):
        @Service.task
        async def fail(self) -> None:
            raise RuntimeError("this service cannot go on")

    async def main(app: faust.App) -> BaseException | None:
        async with app:
            return await over(app)

    class FailsThere(ServiceThread):
        @Service.task
        async def fail(self) -> None:
            raise RuntimeError("this service cannot go on")

    for given in (Fails, Fails(), FailsThere):
        app = faust.App("fails", **options)
        app.service(given)
        assert "this service cannot go on" in str(asyncio.run(main(app)))


def test_services_in_threads_of_their_own_and_runs_again(options: dict[str, Any]) -> None:
    """The classes and instances given start in order, stop in reverse, each time the app runs."""
    import threading

    app, told = faust.App("threads", **options), []

    class Threaded(ServiceThread):
        async def on_start(self) -> None:
            own = threading.current_thread() is not threading.main_thread()
            told.append(f"threaded starts in {'its own' if own else 'the main'} thread")

        async def on_stop(self) -> None:
            told.append("threaded stops")

    app.service(Noted("first", told))
    app.service(Threaded)
    app.service(Noted("last", told))
    once = [
        "first starts", "threaded starts in its own thread", "last starts",
        "last stops", "threaded stops", "first stops",
    ]  # fmt: skip
    live(app)
    assert told == once
    told.clear()
    live(app)
    assert told == once


def test_a_service_restarts_and_its_timers_and_sleeps_end_with_the_app(
    options: dict[str, Any],
) -> None:
    app, told = faust.App("lives", **options), []
    ticked = asyncio.Event()

    @app.service
    class Ticks(Service):
        @Service.timer(0.001)
        async def tick(self) -> None:
            ticked.set()

        @Service.task
        async def sleeps(self) -> None:
            while not self.should_stop:
                await self.sleep(3600)
            told.append("woken")

    async def main() -> None:
        async with app:
            service = app._extra_services[0]
            assert isinstance(service, Ticks)
            await ticked.wait()
            await service.restart()
            ticked.clear()
            await ticked.wait()
            assert service.restart_count == 1

    asyncio.run(main())
    assert told == ["woken", "woken"]


def test_the_parts_of_an_app_are_services() -> None:
    """What the guide names as such."""
    app = faust.App("parts", web_enabled=False)
    table = app.Table("t")

    @app.agent(app.topic("x"))
    async def agent(stream: Any) -> None: ...

    parts = [app, app.stream(app.topic("y")), agent, table, app.tables, app.topics, app.monitor,
             app.consumer, app.producer, faust.Worker]  # fmt: skip
    for part in parts:
        assert issubclass(part if isinstance(part, type) else type(part), Service), part
    for part in parts[:-1]:
        assert isinstance(part, Service)
        assert part.state == "init"
        assert not part.should_stop


def test_the_settings_of_an_app_may_be_replaced(options: dict[str, Any]) -> None:
    app = faust.App("first", **options)
    app.conf = faust.Settings("second", **options)
    assert app.conf.id == "second"
    assert "second" in repr(app)
    with pytest.raises(TypeError, match=r"faust\.Settings"):
        app.conf = {}  # type: ignore[assignment]  # that is what is refused
