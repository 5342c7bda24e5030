"""``/router/``: which worker has which partition, and which key.

``/router/`` is about tables, ``/router/topics/`` about what agents read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from faust.exceptions import SameNode
from faust.web.apps.tables import keys_from_text
from faust.web.base import Page
from faust.web.exceptions import NotFound
from faust.web.messages import Request, Response
from faust.web.views import View

__all__ = ["PAGES"]


class EveryTableOwners(View):
    """Who has the partitions of all tables."""

    in_server = True

    async def get(self, request: Request, **params: Any) -> Response:
        """Answer with changelog topic -> partition -> URL of the worker."""
        return self.json(_by_topic(self.app.router.tables_metadata()))


class TopicOwners(View):
    """Who has the partitions of the topics that agents read."""

    in_server = True

    async def get(self, request: Request, **params: Any) -> Response:
        """Answer with topic -> partition -> URL of the worker."""
        return self.json(_by_topic(self.app.router.external_topics_metadata()))


class TableOwners(View):
    """Who has the partitions of a table."""

    in_server = True

    async def get(self, request: Request, name: str) -> Response:
        """Answer with partition -> URL of the worker."""
        table = _table(self.app, name)
        found = _by_topic(self.app.router.table_metadata(table.name))
        return self.json(found.get(table.changelog_topic_name, {}))


class KeyOwner(View):
    """Who has a key of a table."""

    in_server = True

    async def get(self, request: Request, name: str, key: str) -> Response:
        """Answer with the URL of the worker."""
        table = _table(self.app, name)
        try:
            url = self.app.router.table_owner(table, keys_from_text(table.key_type, key)[0])
        except SameNode:
            url = str(self.app.conf.canonical_url)
        if url is None:
            raise NotFound(f"no worker is known to have key {key!r} of table {name!r}")
        return self.json({"table": name, "key": key, "url": url})


def _table(app: Any, name: str) -> Any:
    if name not in app.tables:
        raise NotFound(f"there is no table {name!r}")
    return app.tables[name]


def _by_topic(places: Mapping[str, Mapping[str, list[int]]]) -> dict[str, dict[str, str]]:
    """Turn URL -> topic -> partitions into topic -> partition -> URL."""
    owners: dict[str, dict[int, str]] = {}
    for url, topics in places.items():
        for topic, partitions in topics.items():
            owners.setdefault(topic, {}).update(dict.fromkeys(partitions, url))
    return {t: {str(n): url for n, url in sorted(o.items())} for t, o in sorted(owners.items())}


PAGES = [
    Page("/router/", EveryTableOwners, "router:list"),
    Page("/router/topics/", TopicOwners, "router:topics"),
    Page("/router/{name}/", TableOwners, "router:detail"),
    Page("/router/{name}/{key:.+}/", KeyOwner, "router:key"),
]
