"""Fields of a multipart form, read from bytes: aiohttp itself reads them from the socket."""

from __future__ import annotations

import asyncio
from io import BytesIO
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.base_protocol import BaseProtocol

__all__ = ["fields_of"]


async def fields_of(carrier: web.Request, body: bytes) -> list[tuple[str, Any]]:
    """Return the fields of a form whose bytes have been read: they may have to be sent on."""
    # What makes its chunks, and would be told to pause, has done its work.
    content = aiohttp.StreamReader(
        BaseProtocol(asyncio.get_running_loop()), 2**16, loop=asyncio.get_running_loop()
    )
    content.feed_data(body)
    content.feed_eof()
    reader = aiohttp.MultipartReader(carrier.headers, content)
    try:
        return [await _field_of(part) async for part in reader]
    except ValueError as exc:
        raise web.HTTPBadRequest(text=f"the form cannot be read: {exc}") from exc


async def _field_of(part: Any) -> tuple[str, Any]:
    if isinstance(part, aiohttp.MultipartReader):
        raise ValueError("a form in a form")
    name = part.name or ""
    content = bytes(await part.read(decode=True))
    if part.filename is None:
        return name, content.decode(part.get_charset("utf-8"))
    kind = part.headers.get("Content-Type", "application/octet-stream")
    return name, web.FileField(name, part.filename, BytesIO(content), kind, part.headers)
