"""What is sent on behalf of an event, and must not wait for it (see `faust._machines.outputs`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["at_once", "is_at_once"]

_at_once: ContextVar[bool] = ContextVar("faust_at_once", default=False)

#: Is what is sent here and now to go out now?
is_at_once = _at_once.get


@contextmanager
def at_once() -> Iterator[None]:
    """What is sent in here goes out now, also under exactly once: it does not belong to the event
    in progress, and is not taken back with it."""
    token = _at_once.set(True)
    try:
        yield
    finally:
        _at_once.reset(token)
