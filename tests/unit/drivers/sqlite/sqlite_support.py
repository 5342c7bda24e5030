"""Short words for the tests of the embedded broker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import wraps
from pathlib import Path
from typing import Any

from faust._values import TP
from faust.transport.base import Placed, ProducerOptions, ReaderOptions, TransportOptions
from faust.transport.drivers.sqlite import SQLiteTransport
from faust.transport.records import Builder, new_builder
from faust.utils.urls import broker_urls


def on_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a coroutine test on a loop of its own."""

    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(asyncio.wait_for(test(*args, **kwargs), 110))

    return run


def new_transport(path: Path | str, query: str = "", **options: Any) -> SQLiteTransport:
    options = {"default_partitions": 2, "request_timeout": 10.0, **options}
    return SQLiteTransport(broker_urls(f"sqlite://{path}{query}"), TransportOptions(**options))


@asynccontextmanager
async def opened(
    path: Path | str, query: str = "", **options: Any
) -> AsyncIterator[SQLiteTransport]:
    broker = new_transport(path, query, **options)
    await broker.open()
    try:
        yield broker
    finally:
        await broker.close()


def builder_of(*values: bytes | None, key: bytes = b"k", timestamp: int | None = None) -> Builder:
    builder = new_builder(1 << 20)
    for number, value in enumerate(values):
        builder.append(number, timestamp or int(time.time() * 1000), key, value, [])
    return builder


async def append(broker: SQLiteTransport, tp: TP, *values: bytes | None, **options: Any) -> Placed:
    producer = broker.producer(ProducerOptions())
    placed = await producer.produce(tp, builder_of(*values, **options))
    await producer.close()
    return placed


async def read_all(broker: SQLiteTransport, tp: TP, position: int = 0) -> list[bytes | None]:
    reader = broker.reader(ReaderOptions())
    reader.assign({tp: position})
    found: list[bytes | None] = []
    while True:
        fetched = await reader.fetch(0)
        for error in fetched.errors.values():
            raise error
        found += [r.value for b in fetched.batches for r in b.records() if r.offset >= position]
        if not fetched.positions:
            await reader.close()
            return found
