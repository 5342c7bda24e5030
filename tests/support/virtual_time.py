"""What tests in virtual time share: running them, waiting, and sending."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from functools import wraps
from typing import Any

from faust.testing.clock import run_virtual

#: Virtual seconds after which what has not come is not expected any more.
PATIENCE = 120.0


def virtual(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an asynchronous test in virtual time."""

    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        run_virtual(test(*args, **kwargs))

    return run


async def until(condition: Callable[[], Any]) -> None:
    """Let virtual time pass until something is so."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    while not condition():
        assert loop.time() < deadline, "it did not come true"
        await asyncio.sleep(0.01)


async def send_all(topic: Any, values: Iterable[Any], **options: Any) -> None:
    """Send values, and wait until they are in the log."""
    for sent in [await topic.send(value, **options) for value in values]:
        await sent


async def watched(app: Any, seconds: float, step: float = 1.0) -> None:
    """Let virtual time pass while the app is watched, as the watchdog's thread does it."""
    for _ in range(round(seconds / step)):
        await asyncio.sleep(step)
        app.inspector.look(step)
