"""``/table/``: tables, and their values by key, as JSON.

What is shown is the live table of this worker.  A key whose partition another worker has is
answered with a redirect to that worker, where it is known.
"""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote

from faust.exceptions import SameNode
from faust.utils import json as _json
from faust.web.base import Page
from faust.web.exceptions import NotFound, ServiceUnavailable, ValidationError
from faust.web.messages import Request, Response
from faust.web.views import View

__all__ = ["PAGES", "keys_from_text"]

_MISSING = object()


class TableList(View):
    """All tables."""

    in_server = True

    async def get(self, request: Request, **params: Any) -> Response:
        """Answer with name and help of each table."""
        return self.json([_described(table) for table in self.app.tables.values()])


class TableDetail(View):
    """One table."""

    in_server = True

    async def get(self, request: Request, name: str) -> Response:
        """Answer with name, help, and the partitions that are here."""
        table = _table(self.app, name)
        return self.json({**_described(table), "partitions": _partitions(table)})


class TableKey(View):
    """One key of a table."""

    in_server = True

    async def get(self, request: Request, name: str, key: str) -> Response:
        """Answer with the value; with its current windows where the table has windows."""
        table = _table(self.app, name)
        for candidate in keys_from_text(table.key_type, key):
            value = _look_up(table, candidate)
            if value is not _MISSING:
                return self.json(value)
        return self._elsewhere(table, key)

    def _elsewhere(self, table: Any, key: str) -> Response:
        for candidate in keys_from_text(table.key_type, key):
            url = _owner(self.app, table, candidate)
            if url:
                path = self.path_for("table:key", name=table.name, key=key)
                return Response(
                    status=307,
                    content_type=None,
                    headers={"Location": f"{url.rstrip('/')}{path}"},
                )
        if _is_incomplete(self.app, table):
            raise ServiceUnavailable(f"table {table.name!r} is not restored on this worker yet")
        raise NotFound(f"table {table.name!r} has no key {key!r} here", table=table.name, key=key)


def keys_from_text(key_type: Any, text: str) -> list[Any]:
    """Return the keys that a path may mean, the likeliest first.

    Raises:
        ValidationError: it cannot be a key of that type.
    """
    try:
        return _keys_from_text(key_type, text)
    except (ValueError, TypeError) as exc:
        kind = getattr(key_type, "__name__", key_type)
        raise ValidationError(f"{text!r} is no key of type {kind}") from exc


def _keys_from_text(key_type: Any, text: str) -> list[Any]:
    if key_type is None:
        try:
            decoded = _json.loads(text)
        except ValueError:
            return [text]
        return [text] if decoded == text or isinstance(decoded, dict | list) else [text, decoded]
    if key_type is str:
        return [text]
    if key_type is bytes:
        return [text.encode()]
    if key_type in (int, float):
        return [key_type(text)]
    if hasattr(key_type, "loads"):
        return [key_type.loads(text.encode(), serializer="json")]
    return [_json.loads(text)]


def _look_up(table: Any, key: Any) -> Any:
    window = table.window
    if window is not None:
        found = [
            {"start": span[0], "end": span[1], "value": value}
            for span in window.ranges(time.time())
            if (value := table.get((key, tuple(span)), _MISSING)) is not _MISSING
        ]
        return found or _MISSING
    if hasattr(table, "get"):
        return table.get(key, _MISSING)
    return True if key in table else _MISSING


def _is_incomplete(app: Any, table: Any) -> bool:
    """Are partitions still to come that this worker has, or does it not know yet which?"""
    places = app.router.table_metadata(table.name)
    mine = places.get(str(app.conf.canonical_url), {}).get(table.changelog_topic_name, ())
    here = _partitions(table)
    return not places or any(partition not in here for partition in mine)


def _owner(app: Any, table: Any, key: Any) -> str | None:
    """Return the URL of the other worker that has a key, if there is one."""
    try:
        url: str | None = app.router.table_owner(table, key)
    except SameNode:
        return None
    return url


def _table(app: Any, name: str) -> Any:
    if name not in app.tables:
        known = ", ".join(sorted(app.tables)) or "none"
        raise NotFound(f"there is no table {name!r} (there are: {known})", table=name)
    return app.tables[name]


def _described(table: Any) -> dict[str, Any]:
    return {"name": table.name, "help": table.help, "url": f"/table/{quote(table.name)}/"}


def _partitions(table: Any) -> list[int]:
    return sorted(run.partition for run in list(table.slices))


PAGES = [
    Page("/table/", TableList, "table:list"),
    Page("/table/{name}/", TableDetail, "table:detail"),
    Page("/table/{name}/{key:.+}/", TableKey, "table:key"),
]
