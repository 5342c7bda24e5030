"""Tasks that run for as long as a worker does: one that ends by an exception is not silent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

__all__ = ["in_background"]


def in_background(
    work: Coroutine[Any, Any, None], name: str, on_failure: Callable[[BaseException], object]
) -> asyncio.Task[None]:
    """Start a task; call ``on_failure`` with the exception that ends it, should one do so.

    Nobody awaits such a task before the worker stops: without this, what it was for would simply
    not be done any more.
    """
    task = asyncio.get_running_loop().create_task(work, name=name)

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            on_failure(error)

    task.add_done_callback(ended)
    return task
