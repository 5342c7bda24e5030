"""What is sent where there is no event, and counts with something else that is done there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

__all__ = ["Gathering", "gather", "gathering"]


class Gathering:
    """Where it is kept.

    Attributes:
        run: The task's run that it belongs to.
        effects: What it is kept with (`faust._machines.effects.Effects`).
        open: Is it still going on?  Tasks that were started meanwhile inherit it for longer.
    """

    __slots__ = ("effects", "open", "run")

    def __init__(self, run: Any, effects: Any) -> None:
        self.run = run
        self.effects = effects
        self.open = True


_gathering: ContextVar[Gathering | None] = ContextVar("faust_gathering", default=None)


def gathering() -> Gathering | None:
    """Return where what is sent here and now is kept, if anywhere."""
    found = _gathering.get()
    return found if found is not None and found.open else None


@contextmanager
def gather(run: Any, effects: Any) -> Iterator[None]:
    """Under exactly once, what is sent in here is kept with these effects of a task."""
    found = Gathering(run, effects)
    token = _gathering.set(found)
    try:
        yield
    finally:
        found.open = False
        _gathering.reset(token)
