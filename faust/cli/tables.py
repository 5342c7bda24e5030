"""``faust tables``: list the tables."""

from __future__ import annotations

from typing import ClassVar

from faust.cli.base import AppCommand

__all__ = ["tables"]


class tables(AppCommand):
    """List tables."""

    abstract = False
    title: ClassVar[str] = "Tables"

    async def run(self) -> None:
        """Print the table."""
        missing = 'Missing description: use Table(.., help="str")'
        rows = [[table.name, table.help or missing] for table in self.app.tables.values()]
        self.say(self.tabulate(rows, headers=["name", "help"], title=self.title))
