"""Where the guide is silent, misprinted or surprising: what holds then."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import mode
import pytest
from guide_snippets import ROOT
from guide_world import GuideWorld, send_all, until, virtual
from mode.threads import ServiceThread

import faust
from faust.conductor import TopicConductor
from faust.exceptions import ImproperlyConfigured
from faust.tables.manager import TableManager
from faust.types.transports import ConsumerT

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


# -- services -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cls",
    [
        faust.App, faust.Stream, faust.Agent, faust.Table, TableManager, TopicConductor,
        faust.Worker, faust.Monitor, ConsumerT,
    ],
)  # fmt: skip
def test_the_parts_of_faust_are_services(cls: Any) -> None:
    assert issubclass(cls, mode.Service)


@virtual
async def test_parts_of_a_running_app_are_started_and_stopped_with_it(world: GuideWorld) -> None:
    app = shop(world)
    table = app.Table("counts", default=int)

    @app.agent(app.topic("orders", internal=True))
    async def read(stream: Any) -> None:
        async for _ in stream:
            pass

    parts: list[Any] = [app, read, table, app.tables, app.topics, app.monitor]
    async with app:
        assert [part for part in parts if not part.started or part.should_stop] == []
    assert not app.started
    assert [part for part in parts[1:] if not part.should_stop] == []


class Counting(mode.Service):
    """Says what its tasks and timers do."""

    def __init__(self, **kwargs: Any) -> None:
        self.told: list[str] = []
        super().__init__(**kwargs)

    @mode.Service.task
    async def _task(self) -> None:
        self.told.append("task")

    @mode.Service.timer(1.0)
    async def _timer(self) -> None:
        self.told.append("timer")


def test_a_service_may_live_in_a_thread_and_be_one_of_the_apps(world: GuideWorld) -> None:
    """``ServiceThread`` with ``@app.service``: its methods run in that thread, until the stop."""
    app = faust.App("threaded", web_enabled=False)
    threads: dict[str, threading.Thread] = {}
    ran = threading.Event()

    @app.service
    class Threaded(ServiceThread):
        async def on_thread_started(self) -> None: ...

        async def on_start(self) -> None:
            threads["start"] = threading.current_thread()

        @mode.Service.task
        async def _task(self) -> None:
            threads["task"] = threading.current_thread()
            ran.set()

    async def main() -> None:
        async with app:
            assert await asyncio.to_thread(ran.wait, 20)

    asyncio.run(main())
    assert threads["task"] is threads["start"] is not threading.main_thread()
    assert not threads["task"].is_alive()


@virtual
async def test_tasks_and_timers_of_a_service_of_the_app_run(world: GuideWorld) -> None:
    app = shop(world)
    service = Counting()
    assert app.service(service) is service
    async with app:
        await until(lambda: service.told.count("timer") == 2)
        assert service.told[0] == "task"
        assert not service.should_stop
    assert service.should_stop


def test_no_method_of_a_service_is_called_for_an_event(world: GuideWorld) -> None:
    """Life cycles only: 400 events call as much of `mode` as 100 do."""

    def calls(count: int) -> int:
        found = 0

        def watch(frame: Any, event: str, arg: Any) -> None:
            nonlocal found
            if event == "call" and "/mode/" in frame.f_code.co_filename:
                found += 1

        @virtual
        async def flow() -> None:
            app = world.prepare(faust.App(f"counted-{count}"))
            topic = app.topic(f"values-{count}", internal=True, partitions=1, value_type=int)
            seen: list[int] = []

            @app.agent(topic)
            async def read(stream: Any) -> None:
                async for value in stream:
                    seen.append(value)

            async with app:
                await send_all(topic, range(10))
                await until(lambda: len(seen) == 10)
                sys.setprofile(watch)
                try:
                    await send_all(topic, range(count))
                    await until(lambda: len(seen) == 10 + count)
                finally:
                    sys.setprofile(None)

        flow()
        return found

    assert abs(calls(400) - calls(100)) < 50


# -- autodiscovery --------------------------------------------------------------------------------

PARTS = """
from myproj.shop import app
from mode import Service


@app.agent(app.topic("orders"))
async def read(stream):
    async for _ in stream:
        pass


@app.task
async def once(): ...


@app.timer(1.0)
async def ticking(): ...


@app.crontab("* * * * *")
async def minutely(): ...


@app.page("/page/")
async def page(view, request): ...


@app.command()
async def go(): ...


@app.service
class Part(Service): ...
"""


def script(folder: Path, files: dict[str, str], *args: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a folder where there are these files."""
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return subprocess.run(
        [sys.executable, *args], cwd=folder, env={"PYTHONPATH": f"{ROOT}:{folder}"},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip


SHOP = (
    "import faust\n\napp = faust.App('shop', autodiscover=True, origin='myproj', "
    "broker='memory://found', web_enabled=False)\n"
)


def test_everything_is_found_and_each_once_however_often_it_is_imported(tmp_path: Path) -> None:
    """Agents, tasks, timers, crontabs, pages, commands and services; never main or tests."""
    files = {
        "myproj/__init__.py": "",
        "myproj/shop.py": SHOP,
        "myproj/parts.py": PARTS,
        "myproj/again.py": "from myproj.parts import *\nfrom myproj.parts import read as other\n",
        "myproj/__main__.py": "raise SystemExit('imported main')\n",
        "myproj/test_parts.py": "raise SystemExit('imported a test')\n",
        "look.py": (
            "import myproj.parts\nfrom myproj.shop import app\n\n"
            "app.discover()\napp.discover()\n"
            "r = app.registry\n"
            "print(*app.agents, len(r.tasks), len(r.timers), len(r.pages), len(r.commands), "
            "len(r.services))\n"
        ),
    }
    shown = script(tmp_path, files, "look.py")
    assert shown.stderr == ""
    assert shown.stdout.split() == ["myproj.parts.read", "1", "2", "1", "1", "1"]
    told = script(tmp_path, {}, "-m", "faust", "-A", "myproj.shop:app", "--help")
    assert told.stdout.count("\n  go\n") == 1


def test_an_import_error_in_a_package_that_is_scanned_ends_the_worker(tmp_path: Path) -> None:
    """With the traceback: it is not swallowed."""
    files = {
        "myproj/__init__.py": "",
        "myproj/shop.py": SHOP,
        "myproj/parts.py": "import no_such_library\n",
    }
    shown = script(tmp_path, files, "-m", "faust", "-A", "myproj.shop:app", "worker")
    assert shown.returncode != 0
    assert "no_such_library" in shown.stderr
    assert "myproj/parts.py" in shown.stderr


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
            await until(lambda: app.engine.tasks)
    lines = [record.getMessage() for record in caplog.records]
    assert sum("table_standby_replicas" in line for line in lines) == 1
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
