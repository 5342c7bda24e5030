"""What was done to a real Kafka when its answers were recorded, and is done to a driver again."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

__all__ = [
    "ABORTS",
    "COMPACTED",
    "DELETIONS",
    "ERRORS",
    "TIMES",
    "TIME_QUERIES",
    "TRANSACTIONAL_OFFSETS",
    "answers",
]

#: Milliseconds: 2023-11-14 22:13:20 UTC.
BASE_MS = 1_700_000_000_000

#: Batches of one partition, each a list of record timestamps (not in order, as senders' are not).
TIMES = [[0, 10, 20], [5, 15], [30, 30, 25], [60, 40]]
#: Timestamps to look up, relative to `BASE_MS`.
TIME_QUERIES = [-5, 0, 1, 5, 10, 12, 15, 20, 21, 25, 28, 30, 31, 45, 60, 61]

#: Offsets given to DeleteRecords, one after another, of a log of three batches of three records.
DELETIONS = [0, 4, 2, 100, 4, 6, -1, 9, -2]

#: Batches of a compacted topic, a second apart, each a list of (key, value).  The last two keep the
#: batches before them out of Kafka's active segment; what becomes of the last one is not compared.
COMPACTED: list[list[tuple[str | None, str | None]]] = [
    [("a", "1"), ("b", "1"), ("c", "1")],
    [("a", "2"), ("d", "1")],
    [("e", "1"), ("e", "2"), ("e", "3")],
    [("b", None), ("f", "1"), ("d", None)],
    [("d", "2"), ("c", "2")],
    [("g", None)],
    [("h", "1")],
    [("tail", "1")],
]

#: Batches of one partition: "plain", or a transaction that ends by "commit", "abort" or not
#: ("open"), and how many records it has.
ABORTS = [
    ("plain", 2),
    ("commit", 2),
    ("abort", 3),
    ("plain", 1),
    ("commit", 1),
    ("open", 2),
    ("plain", 1),
]

#: Wrong uses, by name: what Kafka answers is in ``answers/errors.json``; `errors` does the same.
ERRORS = [
    "create a topic that is there",
    "create a topic with a bad name",
    "create a topic without partitions",
    "create a topic with an unknown entry",
    "create a topic with a bad value",
    "delete a topic that is not there",
    "fewer partitions",
    "as many partitions",
    "partitions of a topic that is not there",
    "configuration of a topic that is not there",
    "alter a topic that is not there",
    "alter an entry to a bad value",
    "delete records of a topic that is not there",
    "delete records beyond the end",
    "heartbeat of an unknown member",
    "heartbeat of an old generation",
    "heartbeat while a round is prepared",
    "sync of an old generation",
    "commit of an unknown member",
    "commit of an old generation",
    "commit while a round is prepared",
    "commit before syncing",
    "commit from outside of a group with members",
    "commit from outside of an empty group",
    "commit with too much metadata",
    "commit of a topic that is not there",
    "join with another kind of protocol",
]

#: Offsets given to a transaction, by whom and when: ``answers/transactional_offsets.json``.
TRANSACTIONAL_OFFSETS = [
    "offsets of a member",
    "offsets of an unknown member",
    "offsets of an old generation",
    "offsets of a generation to come",
    "offsets while a round is prepared",
    "offsets before syncing",
    "offsets with too much metadata",
    "offsets with as much metadata as fits",
    "offsets of a topic that is not there",
    "offsets by a fenced producer",
]


def answers(name: str) -> Any:
    """Return what Kafka answered in the scenarios of that name."""
    path = files("faust.testing.conformance") / "answers" / f"{name}.json"
    return json.loads(path.read_text())["answers"]
