"""Views: which handlers there are, and what their results become."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from yarl import URL

import faust
from faust.web import Request, Response, View, gives_model, takes_model
from faust.web.base import Page, Web
from faust.web.exceptions import NotFound, PermissionDenied
from faust.web.views import view_from


class Point(faust.Record):
    x: int
    y: int


def request(
    method: str = "GET", url: str = "http://h/p/", body: bytes = b"", **match: str
) -> Request:
    return Request(method=method, url=URL(url), headers={}, body=body, match_info=match)


def answer(fun: Any, asked: Request | None = None) -> Response:
    app = faust.App("views", broker="memory://")
    view = view_from(fun)(app, Web(app))
    made: Response = asyncio.run(view(asked or request()))
    return made


def test_handlers_take_the_view_or_not_and_parameters_of_the_path() -> None:
    async def with_view(web: Any, request: Any, name: str) -> Any:
        return web.json({"name": name})

    async def without(request: Any, name: str) -> Any:
        return {"name": name}

    async def only_request(request: Any, **params: str) -> Any:
        return params

    for fun in (with_view, without, only_request):
        assert answer(fun, request(name="n")).text == '{"name":"n"}'


def test_a_method_that_takes_only_the_request_is_a_handler() -> None:
    class Owner:
        async def bound(self, request: Any) -> Any:
            return {"method": request.method}

    assert answer(Owner().bound).text == '{"method":"GET"}'


@pytest.mark.parametrize(
    ("result", "status", "content_type", "body"),
    [
        (None, 204, None, b""),
        ("text", 200, "text/plain", b"text"),
        (b"raw", 200, "application/octet-stream", b"raw"),
        ({"a": [1]}, 200, "application/json", b'{"a":[1]}'),
        ([], 200, "application/json", b"[]"),
        (Point(1, 2), 200, "application/json", None),
    ],
)
def test_results_become_responses(
    result: Any, status: int, content_type: str | None, body: bytes | None
) -> None:
    async def handler(request: Any) -> Any:
        return result

    made = answer(handler)
    assert (made.status, made.content_type) == (status, content_type)
    if body is not None:
        assert made.body == body


def test_a_missing_parameter_is_400_and_names_it_unless_it_is_handled() -> None:
    async def needs(request: Any) -> Any:
        return request.query["foo"]

    async def handles(request: Any) -> Any:
        try:
            return request.query["foo"]
        except KeyError:
            return request.query.get("bar", "none")

    made = answer(needs)
    assert made.status == 400
    assert "'foo'" in json.loads(made.body)["error"]
    assert answer(handles).text == "none"
    assert answer(needs, request(url="http://h/p/?foo=1")).text == "1"


def test_errors_become_json_with_their_status() -> None:
    async def forbidden(request: Any) -> Any:
        raise PermissionDenied("not you", hint="ask")

    async def broken(request: Any) -> Any:
        raise RuntimeError("secret")

    async def teapot(web: Any, request: Any) -> Any:
        raise web.NotFound(code=418)

    made = answer(forbidden)
    assert (made.status, made.text) == (403, '{"error":"not you","hint":"ask"}')
    made = answer(broken)
    assert made.status == 500
    assert "secret" not in made.text
    assert answer(teapot).status == 418
    assert NotFound().detail == "Not found"


def test_a_view_class_answers_the_methods_it_defines() -> None:
    class Points(View):
        async def get(self, request: Any) -> Any:
            return self.text("got")

        @takes_model(Point)
        @gives_model(Point)
        async def post(self, request: Any, point: Point) -> Any:
            return Point(point.y, point.x)

    assert answer(Points).text == "got"
    assert answer(Points, request("HEAD")).status == 200
    posted = answer(Points, request("POST", body=b'{"x":1,"y":2}'))
    assert (json.loads(posted.body)["x"], json.loads(posted.body)["y"]) == (2, 1)
    assert answer(Points, request("POST", body=b'{"x":1}')).status == 400
    assert answer(Points, request("POST", body=b"{")).status == 400
    refused = answer(Points, request("DELETE"))
    assert refused.status == 405
    assert "GET, HEAD, POST" in refused.text


def test_a_class_that_is_no_view_is_refused() -> None:
    with pytest.raises(TypeError, match=r"subclass of faust\.web\.View"):
        view_from(dict)


def test_a_page_that_does_not_take_what_its_path_has_is_refused_where_it_is_written() -> None:
    app = faust.App("fits", broker="memory://")

    async def takes_name(request: Any, name: str, other: int = 3) -> Any: ...

    async def takes_any(web: Any, request: Any, **params: str) -> Any: ...

    async def takes_point(web: Any, request: Any, point: Point, name: str) -> Any: ...

    class Named(View):
        async def get(self, request: Any, *, name: str) -> Any: ...

    for handler in (takes_name, takes_any, Named, takes_model(Point)(takes_point)):
        app.page("/{name:.+}/")(handler)
    with pytest.raises(TypeError, match=r"page '/x/' calls .*takes_name\(request\): missing"):
        app.page("/x/")(takes_name)
    with pytest.raises(TypeError, match="unexpected keyword argument 'nome'"):
        app.page("/{nome}/{name}/")(takes_name)
    with pytest.raises(TypeError, match=r"Named\.get\(request\)"):
        app.web.route("/x/", Named)


def test_views_are_found_by_name() -> None:
    app = faust.App("names", broker="memory://")

    @app.page("/users/{name}/", name="user")
    async def user(request: Any, name: str) -> Any:
        return name

    assert app.web.url_for("user", name="a b/c") == "/users/a%20b%2Fc/"
    assert app.web.url_for("table:key", name="t", key="k") == "/table/t/k/"
    with pytest.raises(KeyError):
        app.web.url_for("nobody")


def test_pages_of_the_app_come_before_those_built_in() -> None:
    app = faust.App("mine", broker="memory://")

    @app.page("/")
    async def root(request: Any) -> Any:
        return "mine"

    pages: list[Page] = list(app.web.all_pages())
    assert [page.name for page in pages if page.path == "/"] == ["root", "status"]


def test_forms_and_bodies_are_read_without_the_server() -> None:
    async def main() -> None:
        asked = request("POST", body=b"a=1&a=2&b=")
        form = await asked.post()
        assert (form["a"], form.getall("a"), form["b"]) == ("1", ["1", "2"], "")
        assert await request(body=b'{"k": 1}').json() == {"k": 1}
        assert await request(body="ƒ".encode()).text() == "ƒ"

    asyncio.run(main())
