"""Which event loop a process runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from faust.exceptions import ImproperlyConfigured

__all__ = ["LoopFactory", "loop_factory_for"]

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def loop_factory_for(name: str | None) -> LoopFactory | None:
    """Return what makes an event loop: ``aio`` (also ``None``) or ``uvloop``.

    Raises:
        ImproperlyConfigured: there is no such loop, or it is not installed.
    """
    if name in (None, "", "aio"):
        return None
    if name != "uvloop":
        raise ImproperlyConfigured(f"there is no event loop {name!r}: use aio or uvloop")
    try:
        import uvloop
    except ImportError as exc:
        raise ImproperlyConfigured(
            "the event loop uvloop is not installed: pip install 'faust[uvloop]', or leave out -L"
        ) from exc
    factory: LoopFactory = uvloop.new_event_loop
    return factory
