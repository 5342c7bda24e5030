"""Which worker holds a key: for pages that are to be answered by the worker that has the state."""

from __future__ import annotations

from typing import Any

from faust._core.partitioner import partition_for
from faust._machines.copartition import TaskId
from faust.exceptions import SameNode

__all__ = ["Router"]


class Router:
    """Finds the worker for a key.

    Arguments:
        app: The app.
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    def partition(self, topic: str, key: bytes) -> int:
        """Return the partition that a key of a topic is sent to."""
        return partition_for(key, self.app.outbox.target(topic).partitions or 1)

    def owner(self, topic: str, partition: int) -> str | None:
        """Return the URL of the worker that has a source partition; ``None`` if nobody is known."""
        engine = self.app.engine
        if engine is None or engine.assignment is None:
            return None
        url: str | None = engine.assignment.owner_url(topic, partition)
        return url

    def key_store(self, topic: str, key: bytes) -> str | None:
        """Return the URL of the worker that has a key's partition; ``None`` if nobody is known.

        Raises:
            SameNode: it is this one.
        """
        url = self.owner(topic, self.partition(topic, key))
        if url == str(self.app.conf.canonical_url):
            raise SameNode
        return url

    def table_owner(self, table: Any, key: Any) -> str | None:
        """Return the URL of the worker that has a key of a table; ``None`` if nobody is known.

        Raises:
            SameNode: it is this one.
        """
        partitions = table.partitions
        engine = self.app.engine
        if not partitions or engine is None or engine.assignment is None:
            return None
        task = TaskId(str(partitions), partition_for(table.codec.dump_key(key), partitions))
        url: str | None = engine.assignment.owners.get(task)
        if url == str(self.app.conf.canonical_url):
            raise SameNode
        return url
