"""Tables."""

from __future__ import annotations

from faust.tables.base import Collection as CollectionT
from faust.tables.globaltable import GlobalTable as GlobalTableT
from faust.tables.manager import TableManager as TableManagerT
from faust.tables.table import Table as TableT
from faust.tables.windowset import WindowSet as WindowSetT
from faust.tables.wrappers import WindowWrapper as WindowWrapperT

__all__ = ["CollectionT", "GlobalTableT", "TableManagerT", "TableT", "WindowSetT", "WindowWrapperT"]
