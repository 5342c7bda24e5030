"""Tables shown in a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import Any

from faust.utils import terminal

__all__ = ["ansitable"]


def ansitable(
    items: Iterable[tuple[Any, Any]],
    *,
    title: str,
    key: str = "Key",
    value: str = "Value",
    sort: bool = False,
    sortkey: Callable[[Any], Any] = itemgetter(0),
) -> str:
    """Return keys and values in a box of two columns.

    Arguments:
        items: The keys and values.
        title: Shown in the upper border.
        key, value: Names of the columns.
        sort: Sort the rows.
        sortkey: By what of (key, value) they are sorted.
    """
    rows = sorted(items, key=sortkey) if sort else items
    return terminal.table(rows, headers=(key, value), title=title)
