"""``faust reset``: delete the local state of tables."""

from __future__ import annotations

from faust.cli.base import AppCommand

__all__ = ["reset"]


class reset(AppCommand):
    """Delete what is kept of tables on this machine (the changelogs stay)."""

    abstract = False

    async def run(self) -> None:
        """Delete it, table by table."""
        for table in self.app.tables.values():
            self.say(f"Removing database for table {table.name}...")
            self.app.tables.store_for(table).destroy(table.name)
        self.app.tables.close_stores()
