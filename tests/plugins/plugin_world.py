"""Servers that the plugins talk to, on this machine: a schema registry, and S3."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import faust

#: Seconds after which what has not come is not expected any more.
PATIENCE = 30.0


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serve on a free port until the block ends; gives the URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Quiet(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(self, status: int, body: bytes = b"", kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def registry() -> type[BaseHTTPRequestHandler]:
    """A schema registry: subjects are given numbers, and schemas are found by them."""
    schemas: dict[int, str] = {}

    class Registry(_Quiet):
        def do_POST(self) -> None:
            schema = json.loads(self.body())["schema"]
            known = [number for number, text in schemas.items() if text == schema]
            if self.path.endswith("/versions") and not known:
                known = [len(schemas) + 1]
                schemas[known[0]] = schema
            if not known:
                self.answer(404, b'{"error_code": 40403}')
                return
            told = {"id": known[0], "version": 1, "subject": "s", "schema": schema}
            self.answer(200, json.dumps(told).encode())

        def do_GET(self) -> None:
            number = int(self.path.partition("/schemas/ids/")[2].partition("?")[0])
            self.answer(200, json.dumps({"schema": schemas[number]}).encode())

    return Registry


def bucket(objects: dict[str, bytes]) -> type[BaseHTTPRequestHandler]:
    """S3, as far as putting and getting objects goes."""

    class Bucket(_Quiet):
        def do_PUT(self) -> None:
            data = self.body()
            if "aws-chunked" in (self.headers.get("Content-Encoding") or ""):
                data = _unchunked(data)
            objects[self.path.partition("?")[0]] = data
            self.answer(200, kind="application/xml")

        def do_GET(self) -> None:
            self.answer(200, objects[self.path.partition("?")[0]], "application/octet-stream")

    return Bucket


def _unchunked(data: bytes) -> bytes:
    found = b""
    while data:
        head, _, data = data.partition(b"\r\n")
        size = int(head.split(b";")[0], 16)
        if not size:
            return found
        found, data = found + data[:size], data[size + 2 :]
    return found


async def until(condition: Callable[[], Any]) -> None:
    """Wait until something is so."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "it did not come true"
        await asyncio.sleep(0.01)


async def through(app: faust.App, topic: Any, *values: Any) -> list[Any]:
    """Send values to a topic; return what an agent gets from it."""
    seen: list[Any] = []

    @app.agent(topic, name="reader")
    async def read(stream: Any) -> None:
        async for value in stream:
            seen.append(value)

    async with app:
        for value in values:
            await topic.send(value=value)
        await until(lambda: len(seen) == len(values))
    return seen
