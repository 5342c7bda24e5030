"""Views that are answered by the worker that has a key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from faust.exceptions import SameNode
from faust.router import ROUTED
from faust.web.messages import Request, Response
from faust.web.views import View, as_handler

__all__ = ["table_route", "topic_route"]

#: Asks the router to send a request on: key, web server, request.
_Route = Callable[[Any, Any, Request], Awaitable[Response]]


def table_route(
    app: Any,
    table: Any,
    *,
    query_param: str | None = None,
    match_info: str | None = None,
    exact_key: str | None = None,
) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator for handlers whose answer depends on one key of ``table``.

    The request, its body included, goes to the worker that has the key, and its answer comes back;
    where that is this worker, the handler is called.

    Arguments:
        table: The table, with or without windows.
        query_param: Name of the query parameter that is the key.
        match_info: Name of the path parameter that is the key.
        exact_key: The key itself.

    Raises:
        TypeError: not exactly one of the three is given.
    """
    _check_one("table_route", query_param, match_info, exact_key)
    table = getattr(table, "table", table)  # a windowed table is a wrapper around one

    def route(key: Any, web: Any, request: Request) -> Awaitable[Response]:
        sent_on: Awaitable[Response] = app.router.route_req(table.name, key, web, request)
        return sent_on

    return _routed(table.key_type, route, query_param, match_info, exact_key)


def topic_route(
    app: Any,
    topic: Any,
    *,
    query_param: str | None = None,
    match_info: str | None = None,
    exact_key: str | None = None,
) -> Callable[[Callable[..., Any]], Any]:
    """As `table_route`, for a key of a topic that agents read.

    Raises:
        TypeError: not exactly one of the three is given.
    """
    _check_one("topic_route", query_param, match_info, exact_key)

    def route(key: Any, web: Any, request: Request) -> Awaitable[Response]:
        sent_on: Awaitable[Response] = app.router.route_topic_req(topic, key, web, request)
        return sent_on

    return _routed(topic.key_type, route, query_param, match_info, exact_key)


def _check_one(name: str, *given: str | None) -> None:
    if sum(each is not None for each in given) != 1:
        raise TypeError(f"{name}() needs one of query_param, match_info, exact_key")


def _routed(
    key_type: Any,
    route: _Route,
    query_param: str | None,
    match_info: str | None,
    exact_key: str | None,
) -> Callable[[Callable[..., Any]], Any]:
    def key_of(request: Request) -> str:
        if query_param is not None:
            return str(request.query[query_param])
        return exact_key if exact_key is not None else str(request.match_info[match_info or ""])

    def decorate(fun: Callable[..., Any]) -> Any:
        handle = as_handler(fun)

        @wraps(fun)
        async def handler(view: View, request: Request, *args: Any, **params: Any) -> Any:
            from faust.web.apps.tables import keys_from_text

            key = keys_from_text(key_type, key_of(request))[0]
            if request.headers.get(ROUTED):
                return await handle(view, request, *args, **params)
            try:
                return await route(key, view.web, request)
            except SameNode:
                return await handle(view, request, *args, **params)

        del handler.__wrapped__
        return handler

    return decorate
