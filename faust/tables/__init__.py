"""Tables: state that is spread over the workers and kept in changelogs."""

from faust.tables.base import Collection
from faust.tables.globaltable import GlobalTable
from faust.tables.manager import TableManager
from faust.tables.sets import Set, SetGlobalTable, SetTable
from faust.tables.table import Table
from faust.tables.wrappers import WindowSet, WindowWrapper

__all__ = [
    "Collection",
    "GlobalTable",
    "Set",
    "SetGlobalTable",
    "SetTable",
    "Table",
    "TableManager",
    "WindowSet",
    "WindowWrapper",
]
