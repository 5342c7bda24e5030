"""Pages as a browser sees them: verbs, CORS, files, sockets, what is built in."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web as aiohttp_web
from mode import Service
from web_world import make_app, serve, until

import faust
from faust.exceptions import ImproperlyConfigured
from faust.web import ResourceOptions, Response, View

VERBS = ["HEAD", "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "SEARCH"]
ANYBODY = {"*": ResourceOptions(allow_credentials=True, expose_headers="*", allow_headers="*")}


def add_every_verb(app: faust.App, **options: Any) -> None:
    async def answer(self: View, request: Any, name: str) -> Any:
        return self.text(f"{request.method} {name}", headers={"X-Verb": request.method})

    methods = {verb.lower(): answer for verb in VERBS}
    app.page("/every/{name}/", **options)(type("Every", (View,), methods))


@pytest.mark.parametrize("options", [{}, {"cors_options": ANYBODY}])
def test_a_view_answers_every_verb_with_cors_options_too(options: Any) -> None:
    """(pitfalls C51)"""
    app = make_app()
    add_every_verb(app, **options)

    async def client(session: aiohttp.ClientSession, url: str) -> None:
        for verb in VERBS:
            headers = {"Origin": "http://any"}
            async with session.request(verb, f"{url}/every/n/", headers=headers) as answer:
                assert answer.status == 200
                assert answer.headers["X-Verb"] == verb
                assert await answer.text() == ("" if verb == "HEAD" else f"{verb} n")
                assert ("Access-Control-Allow-Origin" in answer.headers) == bool(options)

    serve(app, client)


def test_cors_options_of_the_app_hold_for_pages_that_say_nothing_and_cover_every_verb() -> None:
    """(pitfalls C51)"""
    app = make_app(web_cors_options={"http://friend": {"allow_headers": ["X-A"]}})
    add_every_verb(app)
    own = {"http://own": ResourceOptions(allow_methods=["GET"])}

    @app.page("/own/", cors_options=own)
    async def page(request: Any) -> str:
        return "own"

    asks = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "X-A"}

    async def client(session: aiohttp.ClientSession, url: str) -> None:
        headers = {"Origin": "http://friend", **asks}
        async with session.options(f"{url}/every/n/", headers=headers) as answer:
            assert answer.headers["Access-Control-Allow-Methods"] == ", ".join(sorted(VERBS))
            assert answer.headers["Access-Control-Allow-Headers"] == "X-A"
        async with session.options(f"{url}/own/", headers=headers) as answer:
            assert answer.status == 403
        async with session.options(
            f"{url}/own/", headers={"Origin": "http://own", **asks}
        ) as answer:
            assert answer.headers["Access-Control-Allow-Methods"] == "GET"

    serve(app, client)


def test_a_page_that_fails_is_a_500_with_a_traceback_in_the_log_and_the_worker_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = make_app()

    @app.page("/broken/")
    async def broken(request: Any) -> None:
        raise RuntimeError("a secret")

    @app.page("/whole/")
    def whole(request: Any) -> str:
        return "not even async"

    async def client(session: aiohttp.ClientSession, url: str) -> None:
        async with session.get(f"{url}/broken/") as answer:
            assert answer.status == 500
            assert "secret" not in await answer.text()
        async with session.get(f"{url}/whole/") as answer:
            assert await answer.text() == "not even async"
        assert app.failure is None

    with caplog.at_level(logging.ERROR):
        serve(app, client)
    (record,) = [each for each in caplog.records if "View broken failed" in each.message]
    assert "GET /broken/" in record.message
    assert record.exc_info is not None
    assert "a secret" in str(record.exc_info[1])


def test_helpers_make_the_responses_they_are_named_after() -> None:
    app = make_app()

    class Helpers(View):
        async def get(self, request: Any, kind: str) -> Any:
            headers = {"X-Own": "1"}
            return {
                "json": lambda: self.json({"a": None}, status=201, headers=headers),
                "text": lambda: self.text("t", content_type="text/csv", headers=headers),
                "html": lambda: self.html("<p>", headers=headers),
                "bytes": lambda: self.bytes(b"\x00", reason="Fine", headers=headers),
                "error": lambda: self.error(418, "teapot", headers=headers, size=3),
                "notfound": lambda: self.notfound("gone", headers=headers),
                "kept": lambda: self.bytes_to_response(
                    self.response_to_bytes(self.text("kept", status=202, headers=headers))
                ),
            }[kind]()

        async def post(self, request: Any, kind: str) -> Any:
            return await self.read_request_content(request)

    app.page("/{kind}/help/")(Helpers)
    expected = {
        "json": (201, "application/json; charset=utf-8", b'{"a":null}'),
        "text": (200, "text/csv; charset=utf-8", b"t"),
        "html": (200, "text/html; charset=utf-8", b"<p>"),
        "bytes": (200, "application/octet-stream", b"\x00"),
        "error": (418, "application/json; charset=utf-8", b'{"error":"teapot","size":3}'),
        "notfound": (404, "application/json; charset=utf-8", b'{"error":"gone"}'),
        "kept": (202, "text/plain; charset=utf-8", b"kept"),
    }

    async def client(session: aiohttp.ClientSession, url: str) -> None:
        for kind, (status, content_type, body) in expected.items():
            async with session.get(f"{url}/{kind}/help/") as answer:
                assert (answer.status, await answer.read()) == (status, body)
                assert answer.headers["Content-Type"] == content_type
                assert answer.headers["X-Own"] == "1"
                assert kind != "bytes" or answer.reason == "Fine"
        async with session.post(f"{url}/any/help/", data=b"\xff\x00") as answer:
            assert await answer.read() == b"\xff\x00"

    serve(app, client)


def test_every_web_error_is_its_status_and_names_what_was_given_with_it() -> None:
    from faust.web import exceptions

    app = make_app()
    kinds = {name: getattr(exceptions, name) for name in exceptions.__all__ if name != "WebError"}

    @app.page("/{name}/error/")
    async def fail(request: Any, name: str) -> None:
        raise kinds[name](hint=name)

    codes = {
        "AuthenticationFailed": 401, "MethodNotAllowed": 405, "NotAcceptable": 406,
        "NotAuthenticated": 401, "NotFound": 404, "ParseError": 400, "PermissionDenied": 403,
        "ServerError": 500, "ServiceUnavailable": 503, "Throttled": 429,
        "UnsupportedMediaType": 415, "ValidationError": 400,
    }  # fmt: skip
    assert kinds.keys() == codes.keys()

    async def client(session: aiohttp.ClientSession, url: str) -> None:
        for name, code in codes.items():
            async with session.get(f"{url}/{name}/error/") as answer:
                assert answer.status == code
                assert (await answer.json())["hint"] == name

    serve(app, client)


def test_a_parameter_that_is_missing_from_the_query_is_a_400_that_names_it() -> None:
    """The view example of the guide, with and without ``?foo=``."""
    app, seen = make_app(), []

    @app.page("/path/to/view/")
    async def myview(web: Any, request: Any) -> None:
        seen.append(request.query["foo"])

    async def client(session: aiohttp.ClientSession, url: str) -> None:
        async with session.get(f"{url}/path/to/view/?foo=bar") as answer:
            assert (answer.status, await answer.read()) == (204, b"")
        async with session.get(f"{url}/path/to/view/") as answer:
            assert answer.status == 400
            assert "'foo'" in (await answer.json())["error"]

    serve(app, client)
    assert seen == ["bar"]


def test_a_request_has_what_the_server_knows_of_it() -> None:
    app, seen = make_app(), []

    @app.page("/{name}/seen/")
    async def look(request: Any, name: str) -> None:
        request.user = name
        since = request.if_modified_since
        seen.append(
            {
                "method": request.method,
                "body_exists": request.body_exists,
                "query_string": request.query_string,
                "rel_url": str(request.rel_url),
                "path": request.url.path,
                "since": since and since.year,
                "range": request.if_range,
                "unmodified": request.if_unmodified_since,
                "keep_alive": request.keep_alive,
                "cookie": request.cookies["c"],
                "user": request.user,
                "header": request.headers["x-own"],
                "match": request.match_info,
                "all": request.query.getall("a"),
            }
        )
        with pytest.raises(AttributeError):
            _ = request.nothing_like_it

    async def client(session: aiohttp.ClientSession, url: str) -> None:
        headers = {
            "X-Own": "1",
            "If-Modified-Since": "Wed, 01 May 2024 00:00:00 GMT",
            "Cookie": "c=v",
        }
        async with session.get(f"{url}/a%2Fb/seen/?a=1&a=2", headers=headers) as answer:
            assert answer.status == 204

    serve(app, client)
    assert seen == [
        {
            "method": "GET",
            "body_exists": False,
            "query_string": "a=1&a=2",
            "rel_url": "/a%2Fb/seen/?a=1&a=2",
            "path": "/a/b/seen/",
            "since": 2024,
            "range": None,
            "unmodified": None,
            "keep_alive": True,
            "cookie": "v",
            "user": "a/b",
            "header": "1",
            "match": {"name": "a/b"},
            "all": ["1", "2"],
        }
    ]


# -- what is added to the server ---------------------------------------------------------------


def test_files_and_routes_are_added_before_the_server_starts_and_once(tmp_path: Path) -> None:
    (tmp_path / "page.txt").write_text("a file")
    calls: list[Any] = []

    class MyApp(faust.App):
        def on_webserver_init(self, web: Any) -> None:
            calls.append(web)
            web.add_static("/files/", tmp_path, show_index=True)
            web.route("/added/{name}/", hello, name="hello")

    async def hello(web: View, request: Any, name: str) -> Any:
        return {"path": web.path_for("hello", name="x y"), "url": str(web.url_for("hello", name=1))}

    app = MyApp("own", broker="memory://own", web_port=0, web_bind="127.0.0.1", web_host="me")

    async def main() -> None:
        for _ in range(2):
            async with app, aiohttp.ClientSession() as session:
                url = f"http://127.0.0.1:{app.web.port}"
                async with session.get(f"{url}/files/page.txt") as answer:
                    assert await answer.text() == "a file"
                async with session.get(f"{url}/files/") as answer:
                    assert "page.txt" in await answer.text()
                async with session.get(f"{url}/added/n/") as answer:
                    assert await answer.json() == {
                        "path": "/added/x%20y/",
                        "url": f"http://me:{app.web.port}/added/1/",
                    }
                with pytest.raises(RuntimeError, match="after the web server has started"):
                    app.web.route("/late/", hello)

    asyncio.run(main())
    assert calls == [app.web]


def test_files_of_a_directory_that_is_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ImproperlyConfigured, match="'/files/': there is no directory"):
        make_app().web.add_static("/files/", tmp_path / "nowhere")


def test_a_unix_socket_serves_as_a_port_does(tmp_path: Path) -> None:
    path = tmp_path / "web.sock"
    app = make_app(web_transport=f"unix://{path}")

    async def main() -> None:
        async with app, aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as s:
            async with s.get("http://any/ready") as answer:
                assert (await answer.json())["status"] == "ready"
            assert app.web.url == f"unix://{path}"

    asyncio.run(main())


def test_pages_may_be_served_by_a_server_of_ones_own() -> None:
    app = make_app(web_enabled=False)

    @app.page("/mine/")
    async def mine(request: Any) -> str:
        return "mine"

    async def main() -> None:
        async with app:
            runner = aiohttp_web.AppRunner(await app.web.wsgi())
            await runner.setup()
            await aiohttp_web.TCPSite(runner, "127.0.0.1", 0).start()
            port = runner.addresses[0][1]
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://127.0.0.1:{port}/mine/") as answer,
            ):
                assert await answer.text() == "mine"
            await runner.cleanup()

    asyncio.run(main())


class OwnServer(Service):
    """In the place of the web server."""

    abstract = False
    url = "http://elsewhere/"
    states: list[str]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.states = []

    async def on_start(self) -> None:
        self.states.append("started")

    async def on_stop(self) -> None:
        self.states.append("stopped")


@pytest.mark.parametrize("as_class", [True, False])
def test_a_service_takes_the_place_of_the_whole_web_server(as_class: bool) -> None:
    app = make_app()
    given = OwnServer if as_class else OwnServer()
    assert app.web_server(given) is given
    with pytest.raises(ImproperlyConfigured, match="there is one already"):
        app.web_server(OwnServer)

    async def main() -> None:
        async with app:
            assert app.web.port is None
            assert app._own_web_server.states == ["started"]
            assert app.web_server_url == "http://elsewhere/"
        assert app._own_web_server.states == ["started", "stopped"]

    asyncio.run(main())


def test_every_request_is_told_to_the_sensors() -> None:
    app, told = make_app(), []

    @app.page("/fails/")
    async def fails(request: Any) -> None:
        raise RuntimeError

    class Watching(faust.Sensor):
        def on_web_request_start(self, app: Any, request: Any, *, view: Any = None) -> Any:
            told.append(("start", request.path, view.view_name))
            return {"n": len(told)}

        def on_web_request_end(
            self, app: Any, request: Any, response: Any, state: Any, *, view: Any = None
        ) -> None:
            told.append(("end", response.status, state["n"]))

    app.sensors.add(Watching())

    async def client(session: aiohttp.ClientSession, url: str) -> None:
        for path in ("/fails/", "/ready"):
            async with session.get(url + path):
                pass

    serve(app, client)
    assert told == [
        ("start", "/fails/", "fails"), ("end", 500, 1),
        ("start", "/ready", "ready"), ("end", 200, 3),
    ]  # fmt: skip


# -- what is built in ----------------------------------------------------------------------------


def add_counts(app: faust.App) -> Any:
    """Words are counted."""
    table = app.Table("counts", default=int, key_type=str, help="how often")

    @app.agent(app.topic("words", internal=True, partitions=4, value_type=str), name="count")
    async def count(words: Any) -> None:
        async for word in words:
            table[word] += 1

    return count


async def found(session: aiohttp.ClientSession, url: str) -> Any:
    async with session.get(url) as answer:
        assert answer.status == 200, (url, answer.status)
        return json.loads(await answer.read())


def test_the_built_in_pages_tell_what_there_is() -> None:
    """(pitfalls C54)"""
    app = make_app(web_stats_enabled=True)
    count = add_counts(app)

    async def client(session: aiohttp.ClientSession, url: str) -> None:
        await count.send(key="w", value="w")
        changelog = app.tables["counts"].changelog_topic_name
        await until(lambda: app.monitor.events_total)
        assert (await found(session, f"{url}/stats/"))["Sensor0"]["events_total"] == 1
        me = str(app.conf.canonical_url)
        everything = {str(n): me for n in range(4)}
        root = await found(session, f"{url}/")
        assert root["status"] == "OK"
        assert root["monitor"]["messages_received_total"] == 1
        assert (await found(session, f"{url}/assignment/"))["actives"]["words"] == [0, 1, 2, 3]
        assert await found(session, f"{url}/router/") == {changelog: everything}
        assert (await found(session, f"{url}/router/topics/"))["words"] == everything
        assert await found(session, f"{url}/router/counts/") == everything
        assert (await found(session, f"{url}/router/counts/w/"))["url"] == me
        (told,) = await found(session, f"{url}/table/")
        assert (told["name"], told["help"]) == ("counts", "how often")
        assert (await found(session, f"{url}/table/counts/"))["partitions"] == [0, 1, 2, 3]
        assert await found(session, f"{url}/table/counts/w/") == 1

    serve(app, client)


OPTIONAL = {
    "web_stats_enabled": ["/stats/", "/assignment/"],
    "web_router_enabled": ["/router/", "/router/topics/", "/router/counts/"],
    "web_tables_enabled": ["/table/", "/table/counts/", "/table/counts/w/"],
    "web_metrics_enabled": ["/metrics"],
}


def test_what_is_switched_off_is_not_there() -> None:
    app = make_app(**dict.fromkeys(OPTIONAL, False))
    add_counts(app)

    async def client(session: aiohttp.ClientSession, url: str) -> None:
        for path in [path for paths in OPTIONAL.values() for path in paths]:
            async with session.get(url + path) as answer:
                assert answer.status == 404, path
        root = await found(session, f"{url}/")
        assert "commits" in root["monitor"]
        assert "events_by_task" not in root["monitor"]

    serve(app, client)


def test_no_two_views_share_a_name() -> None:
    """(pitfalls C52)"""
    app = make_app(web_stats_enabled=True)
    names = [page.name for page in app.web.all_pages()]
    assert len(names) == len(set(names))
    assert app.web.url_for("router:list") == "/router/"
    assert app.web.url_for("router:topics") == "/router/topics/"
    assert app.web.url_for("router:key", name="t", key="k/l") == "/router/t/k%2Fl/"


def test_a_response_survives_being_kept_as_bytes() -> None:
    made = Response(b"a\nb", status=206, reason="Part", content_type="x/y", headers={"X": "1"})
    again = Response.from_bytes(made.to_bytes())
    assert vars(again) == vars(made)


def test_a_worker_that_stops_finishes_the_request_in_progress() -> None:
    app = make_app()
    begun, go_on = asyncio.Event(), asyncio.Event()

    @app.page("/slow/")
    async def slow(request: Any) -> str:
        begun.set()
        await go_on.wait()
        return "finished"

    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            await app.start()
            asked = asyncio.create_task(session.get(f"http://127.0.0.1:{app.web.port}/slow/"))
            await begun.wait()
            stopping = asyncio.create_task(app.stop())
            await until(lambda: app._stopped.is_set() or app.engine is None)
            go_on.set()
            async with await asked as answer:
                assert await answer.text() == "finished"
            await stopping

    asyncio.run(main())
