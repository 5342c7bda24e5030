"""A static member on a SQLite broker keeps its tasks over a restart."""

from __future__ import annotations

from pathlib import Path

from sqlite_support import on_loop, opened

from faust._core.clock import SystemClock
from tests.support.rebalancing import a_static_member_restarts


@on_loop
async def test_a_static_member_that_restarts_keeps_its_tasks_and_nobody_hears_of_it(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path / "log.db") as transport:
        await a_static_member_restarts(transport, SystemClock(), "group", "topic")
