"""Which worker holds a key: for pages that are to be answered by the worker that has the state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faust.exceptions import SameNode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from yarl import URL

    from faust.web.messages import Request, Response

__all__ = ["ROUTED", "Router"]

#: Marks a request that another worker sent on: it is answered here, whatever we think.
ROUTED = "X-Faust-Routed"


class Router:
    """Finds the worker for a key, and sends requests on to it.

    Arguments:
        app: The app; its assignor knows who has what.

    Name your subclass with the setting ``Router``; what it says counts for ``@app.table_route``,
    ``@app.topic_route``, and the pages below ``/router/`` and ``/table/``.
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    # -- keys ----------------------------------------------------------------------------------

    def key_store(self, table_name: str, key: Any) -> URL:
        """Return the URL of the worker that has a key of a table (this one's own, if it has it).

        Raises:
            KeyError: there is no such table, or no worker is known to have the key.
        """
        table = self.app.tables[table_name]
        encoded = self._key_of_messages(table, key)
        url: URL = self.app.assignor.key_store(table.changelog_topic_name, encoded)
        return url

    def _key_of_messages(self, table: Any, key: Any) -> bytes:
        """Return a key as the messages have it that change the table: they chose its partition.

        The changelog has it in another form: text in JSON has quotes there, and none in messages.
        """
        encoded: bytes = table.changelog_topic.prepare_key(key, None)[0]
        return encoded

    def external_topic_key_store(self, topic: Any, key: Any) -> URL:
        """Return the URL of the worker that has a key of a topic that agents read.

        Raises:
            KeyError: no worker is known to have it.
        """
        if isinstance(topic, str):
            topic = self.app.topic(topic)
        encoded, _ = topic.prepare_key(key, None)
        url: URL = self.app.assignor.key_store(topic.get_topic_name(), encoded)
        return url

    # -- all of it -----------------------------------------------------------------------------

    def table_metadata(self, table_name: str) -> Mapping[str, Mapping[str, list[int]]]:
        """Return who has a table: URL -> changelog topic -> partitions."""
        table = self.app.tables[table_name]
        found: Mapping[str, Mapping[str, list[int]]]
        found = self.app.assignor.table_metadata(table.changelog_topic_name)
        return found

    def tables_metadata(self) -> Mapping[str, Mapping[str, list[int]]]:
        """Return who has all tables: URL -> changelog topic -> partitions."""
        found: Mapping[str, Mapping[str, list[int]]] = self.app.assignor.tables_metadata()
        return found

    def external_topics_metadata(self) -> Mapping[str, Mapping[str, list[int]]]:
        """Return who has the topics that agents read: URL -> topic -> partitions."""
        found: Mapping[str, Mapping[str, list[int]]]
        found = self.app.assignor.external_topics_metadata()
        return found

    # -- requests --------------------------------------------------------------------------------

    async def route_req(self, table_name: str, key: Any, web: Any, request: Request) -> Response:
        """Let the worker that has a key of a table answer a request; return its answer.

        Raises:
            SameNode: it is this one.
            ServiceUnavailable: no worker is known to have the key, or it does not answer.
        """
        try:
            url = self.key_store(table_name, key)
        except KeyError:
            raise _nobody(key, f"table {table_name!r}") from None
        return await self._send_on(url, request)

    async def route_topic_req(self, topic: Any, key: Any, web: Any, request: Request) -> Response:
        """Let the worker that has a key of a topic answer a request; return its answer.

        Raises:
            SameNode: it is this one.
            ServiceUnavailable: no worker is known to have the key, or it does not answer.
        """
        try:
            url = self.external_topic_key_store(topic, key)
        except KeyError:
            raise _nobody(key, f"topic {topic!s}") from None
        return await self._send_on(url, request)

    def table_owner(self, table: Any, key: Any) -> str | None:
        """Return the URL of the worker that has a key of a table; ``None`` if nobody is known.

        Raises:
            SameNode: it is this one.
        """
        try:
            url = self.key_store(table.name, key)
        except KeyError:
            return None
        self._check_other(url)
        return str(url)

    def _check_other(self, url: URL) -> None:
        if url == self.app.conf.canonical_url:
            raise SameNode

    async def _send_on(self, url: URL, request: Request) -> Response:
        from faust.web.drivers.forwarding import forward

        self._check_other(url)
        target = f"{str(url).rstrip('/')}{request.rel_url}"
        return await forward(self.app.http_client, target, request, {ROUTED: "1"})


def _nobody(key: Any, where: str) -> Exception:
    from faust.web.exceptions import ServiceUnavailable

    return ServiceUnavailable(f"no worker is known to have {key!r} of {where}")
