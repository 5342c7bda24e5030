"""What the driver's tests share: an open transport, names, batches, and a proxy that cuts."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

from yarl import URL

from faust._values import TP
from faust.transport.base import Fetched, Reader, TopicSpec, TransportOptions
from faust.transport.drivers.aiokafka.driver import KafkaTransport
from faust.transport.records import Builder, new_builder


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run a test's coroutine; a test that hangs fails."""

    async def bounded() -> None:
        async with asyncio.timeout(115):
            await work

    asyncio.run(bounded())


def unique(name: str = "topic") -> str:
    return f"{name}-{uuid.uuid4().hex[:10]}"


def options(**changes: Any) -> TransportOptions:
    return TransportOptions(**({"request_timeout": 15.0} | changes))


@asynccontextmanager
async def opened(*bootstrap: str, **changes: Any) -> AsyncIterator[KafkaTransport]:
    transport = KafkaTransport([URL(f"kafka://{b}") for b in bootstrap], options(**changes))
    await transport.open()
    try:
        yield transport
    finally:
        await transport.close()


async def new_topic(transport: KafkaTransport, partitions: int = 1, **config: str) -> str:
    name = unique()
    spec = TopicSpec(name, partitions, config={k.replace("_", "."): v for k, v in config.items()})
    await transport.create_topic(spec)
    return name


def batch(*values: str, compression: str | None = None, size: int = 1 << 20) -> Builder:
    builder = new_builder(size, compression)
    for number, value in enumerate(values):
        assert builder.append(number, 1_700_000_000_000 + number, b"k", value.encode(), [])
    return builder


def values(fetched: Fetched, tp: TP | None = None, *, since: int = 0) -> list[str]:
    return [
        (record.value or b"").decode()
        for b in fetched.batches
        if tp is None or b.tp == tp
        for record in b.records()
        if record.offset >= since
    ]


async def read_all(reader: Reader, count: int, *, since: int = 0) -> list[str]:
    """Fetch until there are ``count`` values."""
    found: list[str] = []
    while len(found) < count:
        fetched = await reader.fetch(5.0)
        assert not fetched.errors, fetched.errors
        found += values(fetched, since=since)
    return found


async def until(condition: Callable[[], Awaitable[Any]]) -> Any:
    """Ask until the answer is true."""
    while True:
        answer = await condition()
        if answer:
            return answer
        await asyncio.sleep(0.02)


class Proxy:
    """Stands between client and broker; may cut connections, or swallow answers.

    Attributes:
        swallow: Throw away what the broker answers: requests take effect, and nobody hears of it.
        refuse: Close new connections at once.
        seen: Bytes that the client has sent.
    """

    def __init__(self, port: int, target: int) -> None:
        self.port, self.target = port, target
        self.swallow = self.refuse = False
        self.seen = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._server.wait_closed()

    def cut(self) -> None:
        """Break every connection that is open now."""
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self.refuse:
            writer.transport.abort()
            return
        back, forth = await asyncio.open_connection("127.0.0.1", self.target)
        self._writers |= {writer, forth}
        try:
            with suppress(ConnectionError, asyncio.CancelledError):
                await asyncio.gather(self._pump(reader, forth, up=True), self._pump(back, writer))
        finally:
            for end in (writer, forth):
                self._writers.discard(end)
                end.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, up: bool = False
    ) -> None:
        while data := await reader.read(1 << 16):
            if up:
                self.seen += len(data)
            elif self.swallow:
                continue
            writer.write(data)
            await writer.drain()
        writer.transport.abort()
