"""Requests that another worker is to answer, sent on as they are."""

from __future__ import annotations

from typing import Any

import aiohttp
from multidict import CIMultiDict

from faust.web.exceptions import ServiceUnavailable
from faust.web.messages import Request, Response

__all__ = ["forward"]

#: What belongs to one connection, or to how a body is packed for it.
_OF_THE_CONNECTION = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "date",
        "host",
        "keep-alive",
        "server",
        "transfer-encoding",
        "upgrade",
    }
)


async def forward(client: Any, url: str, request: Request, headers: dict[str, str]) -> Response:
    """Send a request on as it is, with further headers; return the answer as it is.

    Raises:
        ServiceUnavailable: nobody answers there.
    """
    sent = CIMultiDict((k, v) for k, v in request.headers.items() if _is_sent_on(k))
    sent.update(headers)
    try:
        async with client.request(
            request.method, url, data=await request.read(), headers=sent, allow_redirects=False
        ) as answer:
            response = Response(await answer.read(), status=answer.status, reason=answer.reason)
            kept = CIMultiDict((k, v) for k, v in answer.headers.items() if _is_sent_on(k))
    except (aiohttp.ClientError, OSError, TimeoutError) as exc:
        raise ServiceUnavailable(f"the worker at {url} does not answer: {exc!r}") from exc
    response.content_type = None  # it is among the headers
    response.headers = kept
    return response


def _is_sent_on(header: str) -> bool:
    return header.lower() not in _OF_THE_CONNECTION
