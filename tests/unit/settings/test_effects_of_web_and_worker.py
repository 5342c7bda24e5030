"""What each setting of the web server and of the worker process changes; and that none is left."""

from __future__ import annotations

import asyncio
import importlib
import logging
import signal
import ssl
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from settings_world import EFFECTS, as_path, effect_of
from yarl import URL

import faust
from faust.exceptions import ImproperlyConfigured
from faust.settings import Settings
from faust.web import ResourceOptions, View
from faust.web.drivers.aiohttp import Web
from tools.kafka.probe import free_ports

Client = Callable[[aiohttp.ClientSession, str], Coroutine[Any, Any, None]]


def web_app(**settings: Any) -> faust.App:
    given = {"web_port": 0, "web_bind": "127.0.0.1", "broker": "memory://", **settings}
    return faust.App("served", **given)


def serve(app: faust.App, client: Client) -> None:
    async def main() -> None:
        async with app, aiohttp.ClientSession() as session:
            await client(session, f"http://127.0.0.1:{app.web.port}")

    asyncio.run(main())


def status_of(path: str, **settings: Any) -> int:
    """Return the status with which an app answers."""
    found: list[int] = []

    async def client(session: aiohttp.ClientSession, url: str) -> None:
        async with session.get(f"{url}{path}", allow_redirects=False) as answer:
            found.append(answer.status)

    serve(web_app(**settings), client)
    return found[0]


# -- where it listens ----------------------------------------------------------------------------


@effect_of("web_enabled")
def test_there_may_be_no_web_server() -> None:
    app = web_app(web_enabled=False)

    async def main() -> None:
        async with app:
            assert "web" not in app._made

    asyncio.run(main())


@effect_of("web_port", "web_bind", "web_host", "canonical_url")
def test_the_server_listens_where_it_is_told_and_others_are_told_its_host() -> None:
    (port,) = free_ports(1)
    app = web_app(web_port=port, web_host="shop-1.internal")

    async def client(session: aiohttp.ClientSession, url: str) -> None:
        assert url == f"http://127.0.0.1:{port}"
        async with session.get(f"{url}/health") as answer:
            assert answer.status == 200
        assert app.conf.canonical_url == URL(f"http://shop-1.internal:{port}")

    serve(app, client)
    assert web_app(canonical_url="http://proxy/shop").conf.canonical_url == URL("http://proxy/shop")


@effect_of("canonical_url")
def test_other_workers_reach_this_one_at_its_canonical_url() -> None:
    app = web_app(canonical_url="http://proxy/shop")

    @app.agent(app.topic("orders", internal=True))
    async def read(stream: Any) -> None:
        async for _ in stream:
            pass

    async def client(session: aiohttp.ClientSession, url: str) -> None:
        async with session.get(f"{url}/router/topics/") as answer:
            assert set((await answer.json())["orders"].values()) == {"http://proxy/shop"}

    serve(app, client)


@effect_of("web_transport")
def test_the_server_may_listen_at_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "s"
    app = web_app(web_transport=f"unix://{path}")

    async def main() -> None:
        async with (
            app,
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session,
            session.get("http://any/health") as answer,
        ):
            assert answer.status == 200

    asyncio.run(main())


@effect_of("web")
def test_the_server_may_be_a_class_of_ones_own() -> None:
    class Mine(Web):
        driver_version = "mine"

    app = web_app(web=f"{as_path(Mine, '.')}://")
    assert app.web.driver_version == "mine"
    with pytest.raises(ImproperlyConfigured, match="unknown driver 'sanic'"):
        _ = web_app(web="sanic://").web


@effect_of("web_ssl_context")
def test_with_a_tls_context_the_server_does_not_speak_plain_http() -> None:
    assert answer_to_plain_http(web_app()).startswith(b"HTTP/1.1 200")
    app = web_app(web_ssl_context=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    assert app.conf.canonical_url.scheme == "https"
    assert not answer_to_plain_http(app).startswith(b"HTTP")


def answer_to_plain_http(app: faust.App) -> bytes:
    answers: list[bytes] = []

    async def main() -> None:
        async with app:
            reader, writer = await asyncio.open_connection("127.0.0.1", app.web.port)
            writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            with suppress(ConnectionError):
                answers.append(await reader.read())
            writer.close()

    asyncio.run(main())
    return b"".join(answers)


# -- which pages there are -----------------------------------------------------------------------


@effect_of("web_tables_enabled", "web_router_enabled", "web_metrics_enabled")
@pytest.mark.parametrize(
    ("setting", "path"),
    [
        ("web_tables_enabled", "/table/"),
        ("web_router_enabled", "/router/"),
        ("web_metrics_enabled", "/metrics"),
    ],
)
def test_pages_may_be_left_out(setting: str, path: str) -> None:
    assert status_of(path) == 200
    assert status_of(path, **{setting: False}) == 404


@effect_of("web_stats_enabled", "debug")
@pytest.mark.parametrize(
    ("given", "shown"),
    [({}, False), ({"web_stats_enabled": True}, True), ({"debug": True}, True)],
)
def test_the_status_page_shows_all_that_the_monitor_counts(given: Any, shown: bool) -> None:
    """(pitfalls C54)"""
    app = web_app(**given)

    async def client(session: aiohttp.ClientSession, url: str) -> None:
        async with session.get(f"{url}/") as answer:
            monitor = (await answer.json())["monitor"]
        assert (len(monitor) > 5) is shown

    serve(app, client)


@effect_of("web_application_options")
def test_the_application_gets_its_options() -> None:
    seen: list[str] = []

    @aiohttp.web.middleware
    async def watch(request: Any, handler: Any) -> Any:
        seen.append(request.path)
        return await handler(request)

    app = web_app(web_application_options={"client_max_size": 10, "middlewares": [watch]})

    @app.page("/echo/")
    class Echo(View):
        async def post(self, request: Any) -> Any:
            return self.bytes(await request.read())

    async def client(session: aiohttp.ClientSession, url: str) -> None:
        async with session.post(f"{url}/echo/", data=b"short") as answer:
            assert answer.status == 200
        async with session.post(f"{url}/echo/", data=b"much too long") as answer:
            assert answer.status == 413

    serve(app, client)
    assert seen == ["/echo/", "/echo/"]


@effect_of("web_cors_options")
@pytest.mark.parametrize(
    "options",
    [
        {"http://friend": ResourceOptions(allow_headers="*")},
        {"http://friend": {"allow_headers": "*"}},
        '{"http://friend": {"allow_headers": "*"}}',
    ],
)
def test_other_sites_may_use_our_pages_and_all_their_methods(options: Any) -> None:
    """(pitfalls C51)"""
    app = web_app(web_cors_options=options)

    @app.page("/shared/")
    class Shared(View):
        async def patch(self, request: Any) -> Any:
            return {"patched": True}

    @app.page("/closed/", cors_options={"http://other": ResourceOptions()})
    async def closed(request: Any) -> str:
        return "ok"

    async def client(session: aiohttp.ClientSession, url: str) -> None:
        friend = {"Origin": "http://friend"}
        asks = {**friend, "Access-Control-Request-Method": "PATCH"}
        async with session.options(f"{url}/shared/", headers=asks) as answer:
            assert "PATCH" in answer.headers["Access-Control-Allow-Methods"]
        async with session.patch(f"{url}/shared/", headers=friend) as answer:
            assert await answer.json() == {"patched": True}
            assert answer.headers["Access-Control-Allow-Origin"] == "http://friend"
        async with session.get(f"{url}/closed/", headers=friend) as answer:
            assert "Access-Control-Allow-Origin" not in answer.headers
        async with session.get(f"{url}/health", headers={"Origin": "http://foe"}) as answer:
            assert "Access-Control-Allow-Origin" not in answer.headers

    serve(app, client)


def test_cors_options_that_are_none_are_refused_in_one_sentence() -> None:
    app = web_app(web_cors_options={"http://friend": {"allow_everything": True}})

    async def main() -> None:
        async with app:
            pass

    with pytest.raises(ImproperlyConfigured, match=r"'web_cors_options'.*'http://friend'.*max_age"):
        asyncio.run(main())


# -- the worker ----------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an app keeps, it keeps there."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def same_log() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    out, err = sys.stdout, sys.stderr
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    sys.stdout, sys.stderr = out, err


class Kept(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[tuple[int, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.kept.append((record.levelno, record.getMessage()))


def run_worker(**settings: Any) -> Any:
    """Run a worker that prints and logs something, and stops."""
    app = faust.App("worked", broker="memory://", web_enabled=False, **settings)

    @app.task
    async def speak() -> None:
        print("printed")
        logging.getLogger("shop").error("logged")
        spoken.set()

    spoken = asyncio.Event()

    class Brief(faust.Worker):
        async def on_startup_finished(self) -> None:
            await spoken.wait()
            signal.raise_signal(signal.SIGTERM)

    worker = Brief(app, loglevel="ERROR")
    assert worker.run() == 0
    return worker


@effect_of("loghandlers")
def test_given_handlers_are_the_only_ones(
    same_log: None, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = Kept()
    run_worker(loghandlers=[handler])
    assert logging.getLogger().handlers == [handler]
    assert (logging.ERROR, "logged") in handler.kept
    assert "logged" not in capsys.readouterr().err


@effect_of("logging_config")
def test_logging_is_set_up_as_the_mapping_says(same_log: None, tmp_path: Path) -> None:
    path = tmp_path / "log"
    config = {
        "formatters": {"plain": {"format": "SHOP %(message)s"}},
        "handlers": {
            "file": {"class": "logging.FileHandler", "filename": str(path), "formatter": "plain"}
        },
        "root": {"handlers": ["file"], "level": "ERROR"},
        "disable_existing_loggers": False,
    }
    run_worker(logging_config=config)
    for handler in logging.getLogger().handlers:
        handler.close()
    assert "SHOP logged\n" in path.read_text()


@effect_of("worker_redirect_stdouts", "worker_redirect_stdouts_level")
@pytest.mark.parametrize("redirect", [True, False])
def test_what_is_printed_goes_to_the_log_or_not(
    same_log: None, capsys: pytest.CaptureFixture[str], redirect: bool
) -> None:
    handler = Kept()
    run_worker(
        loghandlers=[handler],
        worker_redirect_stdouts=redirect,
        worker_redirect_stdouts_level="CRITICAL",
    )
    assert ((logging.CRITICAL, "printed") in handler.kept) is redirect
    assert ("printed" in capsys.readouterr().out) is not redirect


@effect_of("blocking_timeout")
def test_a_blocked_loop_is_noticed_after_the_timeout(caplog: pytest.LogCaptureFixture) -> None:
    app = faust.App("blocked", broker="memory://", web_enabled=False, blocking_timeout=7)
    app.watchdog._thread_id = threading.get_ident()
    app.watchdog.look(6.9)
    assert not caplog.records
    app.watchdog.look(0.1)
    assert "blocked for 7 s" in caplog.records[0].getMessage()


# -- none is left --------------------------------------------------------------------------------


def test_the_effect_of_every_setting_is_shown_by_a_test() -> None:
    for module in ("test_effects_of_broker", "test_effects_of_streams", "test_class_settings"):
        importlib.import_module(module)
    assert EFFECTS.keys() == Settings.SETTINGS.keys()
