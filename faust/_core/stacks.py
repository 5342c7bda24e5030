"""Where an asyncio task waits: its stack, from its own coroutine down to the line that awaits.

``Task.get_stack`` knows only the outermost frame of a task that is suspended.  The others hang on
what each awaits: ``cr_await`` of a coroutine, ``ag_await`` of an asynchronous generator.  What
`async for` awaits (an ``asend``) does not say whose it is; the garbage collector knows.
"""

from __future__ import annotations

import asyncio
import gc
import traceback
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType
from typing import Any

__all__ = ["stack_of"]

#: Frames that are shown at most, the innermost ones.
LIMIT = 12
#: Steps after which it is given up: whatever waits for itself has no end.
MOST = 200


def stack_of(task: asyncio.Task[Any], limit: int = LIMIT) -> str:
    """Return the last ``limit`` frames of a task's stack, in words; "" if it is over.

    May be called from any thread: it only reads.
    """
    frames: list[tuple[str, int, str, None]] = []
    awaited: Any = task.get_coro()
    for _ in range(MOST):
        frame, inner = _step(awaited)
        if frame is not None:
            frames.append((frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name, None))
        if inner is None:
            break
        awaited = inner
    summary = traceback.StackSummary.from_list(frames[-limit:])
    return "".join(summary.format()).rstrip()


def _step(awaited: Any) -> tuple[FrameType | None, Any]:
    """Return the frame of something that is awaited, and what it awaits."""
    if isinstance(awaited, CoroutineType):
        return awaited.cr_frame, awaited.cr_await
    if isinstance(awaited, AsyncGeneratorType):
        return awaited.ag_frame, awaited.ag_await
    if isinstance(awaited, GeneratorType):
        return awaited.gi_frame, awaited.gi_yieldfrom
    if isinstance(awaited, asyncio.Task):
        return None, awaited.get_coro()
    if isinstance(awaited, asyncio.Future):
        return None, None
    wanted = (AsyncGeneratorType, CoroutineType, asyncio.Task)
    return None, next((x for x in gc.get_referents(awaited) if isinstance(x, wanted)), None)
