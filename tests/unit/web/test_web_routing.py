"""Pages that another worker answers: requests and answers travel whole."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web as aiohttp_web
from web_world import make_app, serve, serve_both, settled, until
from yarl import URL

import faust
from faust.exceptions import SameNode
from faust.transport.drivers.memory import forget_broker
from faust.web import Response, View

Answer = dict[str, Any]


def make_worker(**options: Any) -> faust.App:
    """A worker of a group; its pages tell who answered, and what arrived."""
    app = make_app("routed", **options)
    orders = app.topic("orders", internal=True, partitions=4, key_type=int, value_type=int)
    totals = app.Table("totals", default=int, key_type=int, partitions=4)
    hourly = app.Table("hourly", default=int, key_type=int, partitions=4).tumbling(3600.0)

    @app.agent(orders, name="add")
    async def add(stream: Any) -> None:
        async for key, order in stream.items():
            totals[key] += order
            hourly[key] += order

    async def tell(request: Any, **params: Any) -> Any:
        told = {
            "worker": str(app.conf.canonical_url),
            "method": request.method,
            "query": list(request.query.items()),
            "body": (await request.read()).decode("latin-1"),
            "header": request.headers.get("X-Asked"),
            "params": params,
        }
        return Response(
            json.dumps(told).encode(),
            status=int(request.query.get("status", 200)),
            content_type="application/x-told",
            headers={"X-Answered": "yes", "Location": "http://nowhere/"},
        )

    class ByTable(View):
        @app.table_route(totals, match_info="key")
        async def get(self, request: Any, key: str) -> Any:
            return await tell(request, key=key)

        put = post = patch = delete = get

    class Total(View):
        @app.table_route(totals, match_info="key")
        async def get(self, request: Any, key: str) -> Any:
            return {"total": totals[int(key)], "worker": str(app.conf.canonical_url)}

    @app.page("/query/")
    @app.table_route(hourly, query_param="order")
    async def by_query(web: Any, request: Any) -> Any:
        return await tell(request)

    @app.page("/topic/{key}/")
    @app.topic_route(orders, match_info="key")
    async def by_topic(request: Any, key: str) -> Any:
        return await tell(request, key=key)

    @app.page("/exact/")
    @app.table_route(totals, exact_key="7")
    async def exact(request: Any) -> Any:
        return await tell(request)

    class Upload(View):
        @app.table_route(totals, match_info="key")
        async def post(self, request: Any, key: str) -> Any:
            form = await request.post()
            file = form["file"]
            return {
                "worker": str(app.conf.canonical_url),
                "name": form["name"],
                "file": [file.filename, file.content_type, file.file.read().decode()],
            }

    app.page("/table-key/{key}/")(ByTable)
    app.page("/total/{key}/")(Total)
    app.page("/upload/{key}/")(Upload)
    return app


def url_of(app: faust.App) -> str:
    return f"http://127.0.0.1:{app.web.port}"


def key_of(owner: faust.App) -> int:
    """A key that a worker has."""
    me = owner.conf.canonical_url
    return next(n for n in range(100) if owner.router.key_store("totals", n) == me)


async def ask(session: Any, method: str, url: str, **options: Any) -> tuple[Any, Answer]:
    async with session.request(method, url, allow_redirects=False, **options) as answer:
        return answer, json.loads(await answer.read())


def test_a_request_reaches_the_worker_that_has_the_key_with_all_that_belongs_to_it() -> None:
    """Method, query, headers and body there; status and headers back (pitfalls C50)."""
    asked, owner = make_worker(), make_worker()

    async def client(session: Any) -> None:
        key = key_of(owner)
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            url = f"{url_of(asked)}/table-key/{key}/?a=1&a=%26&status=201"
            body = b"\x00\xffbody"
            answer, told = await ask(session, method, url, data=body, headers={"X-Asked": "me"})
            assert told == {
                "worker": url_of(owner),
                "method": method,
                "query": [["a", "1"], ["status", "201"]],
                "body": body.decode("latin-1"),
                "header": "me",
                "params": {"key": str(key)},
            }
            assert answer.status == 201
            assert answer.headers["X-Answered"] == "yes"
            assert answer.content_type == "application/x-told"
            assert "X-Faust-Routed" not in answer.headers

    serve_both([asked, owner], client)


def test_every_kind_of_key_finds_its_worker_and_a_redirect_comes_back_as_one() -> None:
    """(pitfalls C50)"""
    one, two = make_worker(), make_worker()

    async def client(session: Any) -> None:
        for owner in (one, two):
            key = key_of(owner)
            for asked in (one, two):
                for path in (f"/table-key/{key}/?x=1", f"/query/?order={key}", f"/topic/{key}/"):
                    _, told = await ask(session, "GET", url_of(asked) + path)
                    assert told["worker"] == url_of(owner), path
        seven = str(one.router.key_store("totals", 7)).rstrip("/")
        for asked in (one, two):
            _, told = await ask(session, "GET", f"{url_of(asked)}/exact/")
            assert told["worker"] == seven
        url = f"{url_of(one)}/table-key/{key_of(two)}/?status=307"
        answer, told = await ask(session, "GET", url)
        assert (answer.status, answer.headers["Location"]) == (307, "http://nowhere/")
        async with session.get(f"{url_of(one)}/table-key/seven/") as wrong:
            assert wrong.status == 400
            assert "no key of type int" in (await wrong.json())["error"]
        async with session.get(f"{url_of(one)}/query/") as missing:
            assert missing.status == 400
            assert "'order'" in (await missing.json())["error"]

    serve_both([one, two], client)


def test_a_form_with_a_file_is_sent_on_whole_and_read_there() -> None:
    """(pitfalls C50)"""
    one, two = make_worker(), make_worker()

    async def client(session: Any) -> None:
        for owner in (one, two):
            form = aiohttp.FormData({"name": "ƒ"})
            form.add_field("file", b"content", filename="f.csv", content_type="text/csv")
            url = f"{url_of(one)}/upload/{key_of(owner)}/"
            _, told = await ask(session, "POST", url, data=form)
            assert told == {
                "worker": url_of(owner),
                "name": "ƒ",
                "file": ["f.csv", "text/csv", "content"],
            }

    serve_both([one, two], client)


def test_what_agents_wrote_is_read_from_whichever_worker_is_asked() -> None:
    """(pitfalls C50)"""
    one, two = make_worker(), make_worker()

    async def client(session: Any) -> None:
        keys = [key_of(one), key_of(two)]
        orders = one.topic("orders", key_type=int, value_type=int)
        for key in keys:
            await (await orders.send(key=key, value=100 + key))
        for key in keys:
            for asked in (one, two):
                async with asyncio.timeout(80):
                    while True:
                        _, told = await ask(session, "GET", f"{url_of(asked)}/total/{key}/")
                        if told["total"]:
                            break
                        await asyncio.sleep(0.01)
                assert told["total"] == 100 + key
                async with session.get(f"{url_of(asked)}/table/totals/{key}/") as answer:
                    assert await answer.json() == 100 + key  # by a redirect to the owner

    serve_both([one, two], client)


def make_counter() -> faust.App:
    """A worker of a group that counts words; their keys are text, as the table's are."""
    app = make_app("words", topic_partitions=4)
    clicks = app.topic("clicks", internal=True, partitions=4, key_type=str, value_type=int)
    counts = app.Table("counts", default=int)
    hourly = app.Table("hourly", default=int).tumbling(3600.0)

    @app.agent(clicks, name="count")
    async def count(stream: Any) -> None:
        async for key, number in stream.items():
            counts[key] += number
            hourly[key] += number

    @app.page("/count/{word}/")
    @app.table_route(counts, match_info="word")
    async def of_word(request: Any, word: str) -> Any:
        return {"count": counts[word], "worker": str(app.conf.canonical_url)}

    @app.page("/hourly/{word}/")
    @app.table_route(hourly, match_info="word")
    async def this_hour(request: Any, word: str) -> Any:
        return {"count": hourly[word].now(), "worker": str(app.conf.canonical_url)}

    return app


def test_keys_that_are_text_are_looked_for_where_their_messages_went() -> None:
    """The partition is that of the message; the changelog writes its key otherwise (in quotes)."""
    one, two = make_counter(), make_counter()
    words = {f"word-{n}": n + 1 for n in range(8)} | {"7": 9}

    async def client(session: Any) -> None:
        clicks = one.topic("clicks", key_type=str, value_type=int)
        for key, number in words.items():
            await (await clicks.send(key=key, value=number))
        there = [one.tables["counts"], two.tables["counts"]]
        await until(lambda: sum(len(table) for table in there) == len(words))
        assert all(len(table) for table in there), "both workers have some"
        for page in ("count", "hourly"):
            for asked in (one, two):
                found = {}
                for word in words:
                    _, told = await ask(session, "GET", f"{url_of(asked)}/{page}/{word}/")
                    found[word] = told["count"]
                assert found == words, page
        for word, number in words.items():
            async with session.get(f"{url_of(one)}/table/counts/{word}/") as answer:
                assert await answer.json() == number  # by a redirect to the owner

    serve_both([one, two], client)


def test_a_worker_that_has_nothing_of_a_table_sends_on_to_who_has(tmp_path: Path) -> None:
    """More workers than partitions: the idle one is asked."""
    workers = [make_app("small", topic_partitions=1) for _ in range(2)]
    for app in workers:
        table = app.Table("counts", default=int, key_type=str)

        @app.agent(app.topic("words", internal=True, partitions=1), name="count")
        async def count(words: Any, table: Any = table) -> None:
            async for word in words:
                table[word] += 1

    async def main() -> None:
        async with workers[0], workers[1], aiohttp.ClientSession() as session:
            busy, idle = workers
            assert len(busy.engine.tasks) == 1
            await until(lambda: idle.router.external_topics_metadata())
            await (await busy.topic("words").send(key="w", value="w"))
            await until(lambda: busy.tables["counts"].get("w"))
            async with session.get(f"{url_of(idle)}/table/counts/w/") as answer:
                assert await answer.json() == 1
            async with session.get(f"{url_of(idle)}/table/counts/none/") as answer:
                assert answer.status == 404

    asyncio.run(main())
    forget_broker("web")


def test_a_worker_that_does_not_answer_is_a_503_and_so_is_one_that_nobody_knows() -> None:
    class Gone(faust.router.Router):
        url = URL("http://127.0.0.1:9/")

        def key_store(self, table_name: str, key: Any) -> URL:
            if key == 0:
                raise KeyError(key)
            return self.url

    app = make_worker(Router=Gone)

    async def client(session: Any, url: str) -> None:
        answer, told = await ask(session, "GET", f"{url}/table-key/1/")
        assert answer.status == 503
        assert "does not answer" in told["error"]
        answer, told = await ask(session, "GET", f"{url}/table-key/0/")
        assert answer.status == 503
        assert "no worker is known to have 0 of table 'totals'" in told["error"]
        assert app.failure is None

    serve(app, client)


def test_headers_that_come_several_times_come_back_several_times() -> None:
    class Elsewhere(faust.router.Router):
        url = URL()

        def key_store(self, table_name: str, key: Any) -> URL:
            return self.url

    app = make_worker(Router=Elsewhere)

    async def cookies(request: Any) -> Any:
        response = aiohttp_web.Response(text="x" * 2000)
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        response.enable_compression()
        return response

    async def client(session: Any, url: str) -> None:
        native = aiohttp_web.Application()
        native.router.add_get("/table-key/{key}/", cookies)
        runner = aiohttp_web.AppRunner(native)
        await runner.setup()
        await aiohttp_web.TCPSite(runner, "127.0.0.1", 0).start()
        Elsewhere.url = URL(f"http://127.0.0.1:{runner.addresses[0][1]}")
        async with session.get(f"{url}/table-key/1/") as answer:
            assert await answer.text() == "x" * 2000
            assert [c.split(";")[0] for c in answer.headers.getall("Set-Cookie")] == ["a=1", "b=2"]
        await runner.cleanup()

    serve(app, client)


def test_the_router_names_the_worker_of_every_key_or_says_that_it_is_this_one() -> None:
    one, two = make_worker(), make_worker()

    async def client(session: Any) -> None:
        orders = one.topic("orders", key_type=int)
        urls = {URL(url_of(app)) for app in (one, two)}
        changelog = one.tables["totals"].changelog_topic_name
        for router in (one.router, two.router):
            for key in range(20):
                place = router.key_store("totals", key)
                assert place in urls
                assert router.external_topic_key_store(orders, key) == place
            metadata = router.table_metadata("totals")
            parts = sorted(p for of_one in metadata.values() for p in of_one[changelog])
            assert parts == [0, 1, 2, 3]
            assert metadata.keys() == router.external_topics_metadata().keys()
            assert {t for each in router.tables_metadata().values() for t in each} == {
                changelog, one.tables["hourly"].changelog_topic_name,
            }  # fmt: skip
        with pytest.raises(SameNode):
            await one.router.route_req("totals", key_of(one), one.web, None)  # type: ignore[arg-type]
        with pytest.raises(KeyError):
            one.router.key_store("nothing", 1)

    serve_both([one, two], client)


def test_a_route_needs_one_way_to_its_key() -> None:
    app = make_app()
    table, topic = app.Table("t"), app.topic("t")
    for route, thing in ((app.table_route, table), (app.topic_route, topic)):
        with pytest.raises(TypeError, match="needs one of query_param, match_info, exact_key"):
            route(thing)
        with pytest.raises(TypeError, match="needs one of"):
            route(thing, query_param="a", match_info="b")
        with pytest.raises(TypeError, match="either query_param or shard_param"):
            route(thing, "a", query_param="a")
        with pytest.warns(DeprecationWarning, match="use query_param='a'"):
            route(thing, shard_param="a")


# -- canonical_url, TLS --------------------------------------------------------------------------


def test_a_worker_whose_url_changes_while_it_is_in_the_group_goes_on() -> None:
    """It is known by the one that it started with (pitfalls C74)."""
    one, two = make_worker(), make_worker()

    async def client(session: Any) -> None:
        first = str(one.conf.canonical_url)
        one.conf.change("canonical_url", "http://proxy.example:80")
        async with make_worker() as three:
            await until(lambda: settled([one, two, three]))
            assert first in two.router.tables_metadata()
            for asked in (one, two):
                key = next(n for n in range(99) if str(two.router.key_store("totals", n)) == first)
                answer, _ = await ask(session, "GET", f"{url_of(asked)}/table-key/{key}/")
                assert answer.status == 200
            assert [app.failure for app in (one, two, three)] == [None] * 3

    serve_both([one, two], client)


def test_with_a_tls_context_the_server_speaks_https_and_says_so(tmp_path: Path) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", key, "-out", certificate],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    app = make_app(web_ssl_context=context)
    trusted = ssl.create_default_context(cafile=certificate)

    async def client(session: Any, url: str) -> None:
        assert str(app.conf.canonical_url) == url.replace("http:", "https:")
        async with session.get(f"{app.conf.canonical_url}/ready", ssl=trusted) as answer:
            assert (await answer.json())["status"] == "ready"
        with pytest.raises(aiohttp.ClientError):
            await session.get(f"{url}/ready")

    serve(app, client)
