"""The server itself: its own thread, the app's loop, ports, CORS, table keys."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import aiohttp
import pytest

import faust
from faust.exceptions import ImproperlyConfigured
from faust.web import ResourceOptions
from faust.web.apps.tables import keys_from_text
from faust.web.drivers.aiohttp import Web
from faust.web.exceptions import ValidationError


def make_app(**options: Any) -> faust.App:
    return faust.App("served", broker="memory://", web_port=0, web_bind="127.0.0.1", **options)


def serve(
    app: faust.App, client: Callable[[aiohttp.ClientSession, str], Coroutine[Any, Any, None]]
) -> None:
    async def main() -> None:
        async with app, aiohttp.ClientSession() as session:
            await client(session, f"http://127.0.0.1:{app.web.port}")

    asyncio.run(main())
    assert "faust-web" not in {thread.name for thread in threading.enumerate()}


def test_pages_run_on_the_loop_of_the_app_and_built_in_ones_do_not() -> None:
    app = make_app()
    seen: list[str] = []

    @app.page("/where/")
    async def where(request: Any) -> None:
        seen.append(threading.current_thread().name)

    async def client(session: aiohttp.ClientSession, url: str) -> None:
        async with session.get(f"{url}/where") as answer:
            assert answer.status == 204
        async with session.get(f"{url}/ready") as answer:
            assert (await answer.json())["status"] == "ready"
        async with session.get(f"{url}/", headers={"Accept": "text/html"}) as answer:
            assert "<h1>served</h1>" in await answer.text()
        async with session.get(f"{url}/nothing/here/") as answer:
            assert answer.status == 404

    serve(app, client)
    assert seen == [threading.main_thread().name]


def test_bodies_and_forms_reach_a_page() -> None:
    app = make_app()

    class Echo(faust.web.View):
        async def post(self, request: Any) -> Any:
            return {"json": await request.json()}

        async def put(self, request: Any) -> Any:
            form = await request.post()
            return {"name": form["name"], "file": form["file"].file.read().decode()}

    app.page("/echo/")(Echo)

    async def client(session: aiohttp.ClientSession, url: str) -> None:
        async with session.post(f"{url}/echo/", json={"a": 1}) as answer:
            assert await answer.json() == {"json": {"a": 1}}
        form = aiohttp.FormData({"name": "n"})
        form.add_field("file", b"content", filename="f.txt")
        async with session.put(f"{url}/echo/", data=form) as answer:
            assert await answer.json() == {"name": "n", "file": "content"}

    serve(app, client)


def test_other_sites_may_use_a_page_that_says_so() -> None:
    app = make_app()
    options = {"http://friend": ResourceOptions(allow_headers="*", max_age=60)}

    @app.page("/shared/", cors_options=options)
    async def shared(request: Any) -> str:
        return "ok"

    async def client(session: aiohttp.ClientSession, url: str) -> None:
        asks = {"Origin": "http://friend", "Access-Control-Request-Method": "GET",
                "Access-Control-Request-Headers": "X-Own"}  # fmt: skip
        async with session.options(f"{url}/shared/", headers=asks) as answer:
            assert answer.status == 200
            assert answer.headers["Access-Control-Allow-Headers"] == "X-Own"
            assert answer.headers["Access-Control-Max-Age"] == "60"
        async with session.get(f"{url}/shared/", headers={"Origin": "http://friend"}) as answer:
            assert answer.headers["Access-Control-Allow-Origin"] == "http://friend"
        async with session.get(f"{url}/shared/", headers={"Origin": "http://foe"}) as answer:
            assert "Access-Control-Allow-Origin" not in answer.headers

    serve(app, client)


def test_metrics_are_there_for_prometheus() -> None:
    pytest.importorskip("prometheus_client")
    app = make_app()
    app.monitor.count("apples", 3)

    async def client(session: aiohttp.ClientSession, url: str) -> None:
        async with session.get(f"{url}/metrics") as answer:
            text = await answer.text()
            assert answer.headers["Content-Type"].startswith("text/plain; version=")
        assert 'faust_custom_total{app="served",name="apples"} 3.0' in text
        assert 'faust_ready{app="served"} 1.0' in text

    serve(app, client)


def test_a_used_port_is_refused_with_the_option_to_change() -> None:
    async def main() -> None:
        first = make_app()
        async with first:
            second = make_app()
            second.conf.web_port = first.web.port
            with pytest.raises(ImproperlyConfigured, match="--web-port"):
                await second.start()
            await second.stop()

    asyncio.run(main())


def test_a_second_app_in_another_program_was_told_of_options_it_does_not_have() -> None:
    """Two apps embedded with one port: the error names what is given to the app, too."""

    async def main() -> str:
        async with (first := make_app()):
            second = faust.App(
                "second", broker="memory://", web_port=first.web.port, web_bind="127.0.0.1"
            )
            with pytest.raises(ImproperlyConfigured) as refused:
                await second.start()
            await second.stop()
            second.conf.web_enabled = False
            async with second:
                return str(refused.value)

    said = asyncio.run(main())
    assert "--web-port or web_port= (0 takes any that is free)" in said
    assert "--without-web or web_enabled=False" in said


def test_an_app_can_be_started_again() -> None:
    async def main() -> None:
        app = make_app()
        await app.start()
        await app.restart()
        assert app.web.port
        await app.stop()
        assert app.web.port is None

    asyncio.run(main())


class Key(faust.Record):
    id: int


@pytest.mark.parametrize(
    ("key_type", "text", "keys"),
    [
        (str, "12", ["12"]),
        (int, "12", [12]),
        (float, "1.5", [1.5]),
        (bytes, "k", [b"k"]),
        (None, "abc", ["abc"]),
        (None, "12", ["12", 12]),
        (Key, '{"id": 3}', [Key(3)]),
    ],
)
def test_keys_in_paths_are_read_by_the_key_type(key_type: Any, text: str, keys: list[Any]) -> None:
    assert keys_from_text(key_type, text) == keys


def test_a_path_that_is_no_key_is_refused() -> None:
    with pytest.raises(ValidationError, match="no key of type int"):
        keys_from_text(int, "abc")


def test_windows_and_sets_are_read_by_key() -> None:
    app = make_app()
    hops = app.Table("hops", default=int, key_type=int).hopping(60.0, 30.0)
    seen = app.Set("seen", key_type=str)

    @app.agent()
    async def count(stream: Any) -> None:
        async for value in stream:
            hops[5] += 1
            seen.add(value)
            done.set()

    done = asyncio.Event()

    async def client(session: aiohttp.ClientSession, url: str) -> None:
        await count.send("x")
        await done.wait()
        async with session.get(f"{url}/table/hops/5/") as answer:
            windows = await answer.json()
        assert [window["value"] for window in windows] == [1, 1]
        assert windows[1]["start"] - windows[0]["start"] == 30.0
        for key, status in (("x", 200), ("y", 404)):
            async with session.get(f"{url}/table/seen/{key}/") as answer:
                assert answer.status == status

    serve(app, client)


class Held(Web):
    """A server whose thread stands still at a moment of its start, until it is let go."""

    def __init__(self, moment: str) -> None:
        super().__init__(make_app())
        self.moment = moment
        self.is_there = threading.Event()
        self.let_go = threading.Event()

    def _hold(self, moment: str) -> None:
        if moment == self.moment:
            self.is_there.set()
            assert self.let_go.wait(80)

    async def _listen(self, runner: Any) -> None:
        self._hold("before it listens")
        await super()._listen(runner)
        self._hold("after it listens")


@pytest.mark.parametrize("is_let_go", ["before it is stopped", "while it is stopped"])
@pytest.mark.parametrize("moment", ["before it listens", "after it listens"])
def test_an_app_that_is_stopped_while_its_server_starts_ends_it_without_an_error(
    moment: str, is_let_go: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        web = Held(moment)
        starting = asyncio.create_task(web.on_start())
        loop = asyncio.get_running_loop()
        assert await loop.run_in_executor(None, web.is_there.wait, 80)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        if is_let_go == "before it is stopped":
            web.let_go.set()
        else:
            loop.call_later(0.01, web.let_go.set)
        await web.on_stop()

    asyncio.run(main())
    assert "faust-web" not in {thread.name for thread in threading.enumerate()}
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
