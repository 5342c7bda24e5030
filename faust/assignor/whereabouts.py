"""Where tasks are, by the assignment in force: what is ours, and which worker has what else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from faust._core.partitioner import partition_for
from faust._machines.copartition import TaskId
from faust._values import TP
from faust.assignor.assignments import Assignment
from faust.utils.urls import parse_address, to_url

if TYPE_CHECKING:
    from yarl import URL

__all__ = ["Whereabouts"]


class Whereabouts:
    """Answers questions about the assignment in force.

    Arguments:
        app: The app: its tables say which tasks a changelog belongs to.
    """

    def __init__(self, app: Any = None) -> None:
        self.app = app
        self._assignment = Assignment()

    # -- what is ours ----------------------------------------------------------

    def on_assignment(self, assignment: Assignment) -> None:
        """Remember the assignment that is in force, for the questions below."""
        self._assignment = assignment

    def assigned_actives(self) -> set[TP]:
        """Return the source partitions that are ours."""
        return set(self._assignment.partitions)

    def assigned_standbys(self) -> set[TP]:
        """Return the partitions of tables (of their changelogs) of which we keep a copy."""
        groups = self._changelogs_by_group()
        return {
            TP(topic, task.partition)
            for task in self._assignment.standbys
            for topic in groups.get(task.group, ())
        }

    def is_active(self, tp: TP) -> bool:
        """Whether a source partition is ours."""
        return tp in self.assigned_actives()

    def is_standby(self, tp: TP) -> bool:
        """Whether we keep a copy of a table's partition (of its changelog)."""
        return tp in self.assigned_standbys()

    # -- who has what ------------------------------------------------------------

    def group_for_topic(self, topic: str) -> int:
        """Return the group of a source topic or changelog: its number of partitions.

        Raises:
            KeyError: it is unknown.
        """
        group = self._assignment.topics.get(topic)
        if group is None:
            group = self._groups_of_changelogs()[topic]
        return int(group)

    def key_store(self, topic: str, key: bytes) -> URL:
        """Return the URL of the worker that has a key of a source topic or changelog.

        Raises:
            KeyError: no worker is known to have it.
        """
        count = self.group_for_topic(topic)
        partition = self._partition_for(key, count)
        return to_url(parse_address(self._assignment.owners[TaskId(str(count), partition)]))

    def table_metadata(self, topic: str) -> dict[str, dict[str, list[int]]]:
        """Return who has a changelog: URL -> topic -> partitions."""
        every = self.tables_metadata()
        return {url: {topic: found[topic]} for url, found in every.items() if topic in found}

    def tables_metadata(self) -> dict[str, dict[str, list[int]]]:
        """Return who has the changelogs of all tables: URL -> topic -> partitions."""
        return self._places_of(self._groups_of_changelogs())

    def external_topics_metadata(self) -> dict[str, dict[str, list[int]]]:
        """Return who has the source topics: URL -> topic -> partitions."""
        return self._places_of(self._assignment.topics)

    def _groups_of_changelogs(self) -> dict[str, str]:
        tables = {} if self.app is None else self.app.tables
        return {
            table.changelog_topic_name: str(table.partitions)
            for table in list(tables.values())
            if table.partitions
        }

    def _changelogs_by_group(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for topic, group in sorted(self._groups_of_changelogs().items()):
            found.setdefault(group, []).append(topic)
        return found

    def _places_of(self, groups: Mapping[str, str]) -> dict[str, dict[str, list[int]]]:
        found: dict[str, dict[str, list[int]]] = {}
        for task, url in sorted(self._assignment.owners.items()):
            for topic, group in sorted(groups.items()):
                if group == task.group:
                    found.setdefault(url, {}).setdefault(topic, []).append(task.partition)
        return found

    def _partition_for(self, key: bytes, count: int) -> int:
        """The partition that a key is sent to: by ``producer_partitioner`` where there is one."""
        own = None if self.app is None else self.app.conf.producer_partitioner
        everyone = list(range(count))
        return partition_for(key, count) if own is None else int(own(key, everyone, everyone))
