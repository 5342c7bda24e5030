"""A changelog that becomes another one while it is read."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from faust._engine.replay import Replay
from faust._values import TP
from faust.exceptions import OffsetOutOfRange, RetryableError
from faust.testing.clock import VirtualClock, run_virtual
from faust.transport.base import Fetched

LOG = TP("counting-last-changelog", 1)


class Made:
    """A reader of a log that was deleted and made anew, with fewer records."""

    def assign(self, positions: Any) -> None: ...

    async def fetch(self, max_wait: float) -> Fetched:
        await asyncio.sleep(0)
        return Fetched([], {}, {}, {}, {LOG: OffsetOutOfRange(LOG, 8, first=0, end=3)})

    async def close(self) -> None: ...


class Transport:
    def reader(self, options: Any) -> Made:
        return Made()


def test_a_changelog_that_was_made_anew_while_it_was_read_is_looked_at_again() -> None:
    async def read() -> None:
        replay = Replay(None, VirtualClock.current(), Transport(), None)  # type: ignore[arg-type]
        async for _ in replay.read(LOG, 8, 12):
            raise AssertionError("there is nothing to be read")

    with pytest.raises(RetryableError, match="made anew"):
        run_virtual(read())
