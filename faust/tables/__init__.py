"""Tables: state that is spread over the workers and kept in changelogs."""

from faust.tables.base import Collection
from faust.tables.manager import TableManager
from faust.tables.table import Table

__all__ = ["Collection", "Table", "TableManager"]
