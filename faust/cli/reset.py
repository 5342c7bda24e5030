"""``faust reset``: delete the local state of tables."""

from __future__ import annotations

import shutil
from pathlib import Path

from faust.cli.base import AppCommand

__all__ = ["reset"]


class reset(AppCommand):
    """Delete what is kept of tables on this machine.

    That of all workers of `worker --processes` is deleted, too. The changelogs stay: the next
    worker restores from them. No worker may be running.
    """

    abstract = False

    async def run(self) -> None:
        """Delete it, table by table."""
        for table in self.app.tables.values():
            self.say(f"Removing database for table {table.name}...")
            self.app.tables.store_for(table).destroy(table.name)
        self.app.tables.close_stores()
        tables = Path(self.app.conf.tabledir)
        for directory in sorted(tables.parent.glob(f"{tables.name}-[0-9]*")):
            self.say(f"Removing {directory}...")
            shutil.rmtree(directory)
