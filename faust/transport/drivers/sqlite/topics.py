"""Topics and their partitions: functions over a connection (inside a transaction, to write)."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Collection, Mapping

from faust._machines.topicrules import DEFAULTS, check_config, check_name, check_partitions
from faust._values import TP
from faust.exceptions import InvalidTopic, TopicExists, UnknownTopic
from faust.transport.base import TopicInfo
from faust.transport.drivers.sqlite.schema import LAST_PARTITION_ID

__all__ = [
    "alter_config",
    "config_of",
    "create",
    "create_partitions",
    "delete",
    "describe",
    "exists",
    "partition_ids",
]


def exists(db: sqlite3.Connection, name: str) -> bool:
    """Is there a topic of that name?"""
    return db.execute("SELECT 1 FROM topic WHERE name = ?", (name,)).fetchone() is not None


def describe(db: sqlite3.Connection, names: Collection[str] | None = None) -> dict[str, TopicInfo]:
    """Return these topics, or all; missing ones are left out."""
    statement = (
        "SELECT t.name, t.topic_id, count(p.id), t.internal"
        " FROM topic t JOIN partition p ON p.topic = t.id"
    )
    if names is None:
        rows = db.execute(f"{statement} GROUP BY t.id ORDER BY t.name").fetchall()
    else:
        where = "WHERE t.name IN (SELECT value FROM json_each(?))"
        rows = db.execute(
            f"{statement} {where} GROUP BY t.id", (json.dumps(list(names)),)
        ).fetchall()
    return {row[0]: TopicInfo(row[0], row[1], row[2], bool(row[3])) for row in rows}


def create(db: sqlite3.Connection, name: str, partitions: int, config: Mapping[str, str]) -> None:
    """Create a topic.

    Raises:
        TopicExists, InvalidTopic: nothing has changed.
    """
    check_name(name)
    check_partitions(name, partitions)
    check_config(name, config)
    if exists(db, name):
        raise TopicExists(f"there is a topic {name!r} already")
    cursor = db.execute(
        "INSERT INTO topic (name, topic_id, config) VALUES (?, ?, ?)",
        (name, uuid.uuid4().hex, json.dumps(dict(config))),
    )
    assert cursor.lastrowid is not None
    _add_partitions(db, name, cursor.lastrowid, range(partitions))


def create_partitions(db: sqlite3.Connection, name: str, total: int) -> None:
    """Raise the number of partitions to ``total``.

    Raises:
        UnknownTopic; InvalidTopic: not more than there are.
    """
    topic = _id_of(db, name)
    (count,) = db.execute("SELECT count(*) FROM partition WHERE topic = ?", (topic,)).fetchone()
    if total <= count:
        raise InvalidTopic(f"topic {name!r} has {count} partitions: {total} would not be more")
    _add_partitions(db, name, topic, range(count, total))


def delete(db: sqlite3.Connection, name: str) -> None:
    """Delete a topic with what is known of its partitions; its batches become garbage.

    Raises:
        UnknownTopic.
    """
    topic = _id_of(db, name)
    ids = "SELECT id FROM partition WHERE topic = ?"
    for statement in (
        f"INSERT INTO garbage {ids}",
        f"DELETE FROM producer WHERE partition IN ({ids})",
        f"DELETE FROM committed WHERE partition IN ({ids})",
        f"DELETE FROM aborted WHERE partition IN ({ids})",
        "DELETE FROM partition WHERE topic = ?",
        "DELETE FROM topic WHERE id = ?",
    ):
        db.execute(statement, (topic,))


def config_of(db: sqlite3.Connection, name: str) -> dict[str, str]:
    """Return a topic's effective configuration.

    Raises:
        UnknownTopic.
    """
    return {**DEFAULTS, **_config_set(db, name)}


def alter_config(db: sqlite3.Connection, name: str, config: Mapping[str, str]) -> None:
    """Set these entries; others stay.

    Raises:
        UnknownTopic, InvalidTopic: nothing has changed.
    """
    changed = {**_config_set(db, name), **config}
    check_config(name, config)
    db.execute("UPDATE topic SET config = ? WHERE name = ?", (json.dumps(changed), name))


def partition_ids(db: sqlite3.Connection, tps: Collection[TP]) -> dict[TP, int]:
    """Return the partitions that are there, each with its row's id."""
    rows = db.execute(
        "SELECT t.name, p.number, p.id FROM json_each(?) j"
        " JOIN topic t ON t.name = json_extract(j.value, '$[0]')"
        " JOIN partition p ON p.topic = t.id AND p.number = json_extract(j.value, '$[1]')",
        (json.dumps(list(tps)),),
    ).fetchall()
    return {TP(name, number): row_id for name, number, row_id in rows}


def _config_set(db: sqlite3.Connection, name: str) -> dict[str, str]:
    row = db.execute("SELECT config FROM topic WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise UnknownTopic(f"there is no topic {name!r}")
    found: dict[str, str] = json.loads(row[0])
    return found


def _id_of(db: sqlite3.Connection, name: str) -> int:
    row = db.execute("SELECT id FROM topic WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise UnknownTopic(f"there is no topic {name!r}")
    return int(row[0])


def _add_partitions(db: sqlite3.Connection, name: str, topic: int, numbers: range) -> None:
    (last,) = db.execute(
        "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'partition'"
    ).fetchone()
    if last + len(numbers) > LAST_PARTITION_ID:
        raise InvalidTopic(
            f"topic {name!r}: one broker file holds {LAST_PARTITION_ID} partitions, deleted ones "
            "included; start a new file"
        )
    db.executemany(
        "INSERT INTO partition (topic, number) VALUES (?, ?)", ((topic, n) for n in numbers)
    )
