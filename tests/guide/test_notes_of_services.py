"""Services and autodiscovery, where the guide only mentions them."""

from __future__ import annotations

import asyncio
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
from faust.tables.manager import TableManager
from faust.types.transports import ConsumerT


def shop(world: GuideWorld) -> faust.App:
    return world.prepare(faust.App("shop"))


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
            assert await asyncio.to_thread(ran.wait, 80)

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
