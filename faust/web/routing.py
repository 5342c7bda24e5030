"""Views that are answered by the worker that has a key."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from faust.exceptions import SameNode
from faust.web.exceptions import ServiceUnavailable
from faust.web.messages import Request, Response
from faust.web.views import View, as_handler

__all__ = ["table_route"]

#: Marks a request that another worker sent on: it is answered here, whatever we think.
ROUTED = "X-Faust-Routed"
#: What belongs to one connection, and is not sent on.
_OF_THE_CONNECTION = frozenset(
    {"connection", "content-length", "host", "keep-alive", "transfer-encoding", "upgrade"}
)


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
        query_param: Name of the query parameter that is the key.
        match_info: Name of the path parameter that is the key.
        exact_key: The key itself.

    Raises:
        TypeError: not exactly one of the three is given.
    """
    if sum(given is not None for given in (query_param, match_info, exact_key)) != 1:
        raise TypeError("table_route() needs one of query_param, match_info, exact_key")

    def key_of(request: Request) -> str:
        if query_param is not None:
            return str(request.query[query_param])
        return exact_key if exact_key is not None else str(request.match_info[match_info or ""])

    def decorate(fun: Callable[..., Any]) -> Any:
        handle = as_handler(fun)

        @wraps(fun)
        async def handler(view: View, request: Request, *args: Any, **params: Any) -> Any:
            from faust.web.apps.tables import keys_from_text

            key = keys_from_text(table.key_type, key_of(request))[0]
            if request.headers.get(ROUTED):
                return await handle(view, request, *args, **params)
            try:
                url = app.router.table_owner(table, key)
            except SameNode:
                return await handle(view, request, *args, **params)
            if url is None:
                raise ServiceUnavailable(f"no worker is known to have {key!r} of {table.name!r}")
            return await _forward(app, url, request)

        del handler.__wrapped__
        return handler

    return decorate


async def _forward(app: Any, url: str, request: Request) -> Response:
    headers = {k: v for k, v in request.headers.items() if k.lower() not in _OF_THE_CONNECTION}
    target = f"{url.rstrip('/')}{request.rel_url}"
    async with app.http_client.request(
        request.method, target, data=await request.read(), headers={**headers, ROUTED: "1"}
    ) as answer:
        return Response(
            await answer.read(),
            status=answer.status,
            content_type=answer.content_type,
            charset=answer.charset,
        )
