"""What the commits of a task say together, and when the next one is due.

The string that each commit carries is in `faust._machines.metadata`; its names can be had here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from faust._machines.metadata import (
    METADATA_LIMIT,
    TableMark,
    TaskEntry,
    decode,
    encode,
    worst_case_size,
)
from faust._machines.retry import backoff
from faust.exceptions import MetadataTooLarge

__all__ = [
    "METADATA_LIMIT",
    "Chosen",
    "CommitPolicy",
    "CommitState",
    "MetadataTooLarge",
    "TableMark",
    "TaskEntry",
    "absent_readers",
    "choose",
    "decode",
    "encode",
    "reader_positions",
    "without_tables",
    "worst_case_size",
]


# -- what a set of commits says --------------------------------------------------------


class Chosen(NamedTuple):
    """What the commits of a task's source partitions say together.

    Attributes:
        entry: The entry that holds; ``None`` if no partition has one of ours.
        positions: Topic -> committed offset, for exactly the topics that have a commit.
        agrees: Every partition carries this entry and the offset that it says.
    """

    entry: TaskEntry | None
    positions: dict[str, int]
    agrees: bool


def choose(commits: Mapping[str, tuple[int, str]]) -> Chosen:
    """Return what holds for a task: its entry, and where each source topic goes on.

    Arguments:
        commits: Topic -> (committed offset, metadata), for the task's partitions with a commit.

    1. *All agree*: the usual case.
    2. *A commit reached some partitions and not others*: the highest sequence number gives all
       positions, because the marks of the tables in it contain what lies below them.
    3. *A tool has moved one partition's offset*: its metadata is gone, so it has no entry of ours;
       it keeps its offset, for all readers: where one stood before means nothing any more.
    4. *A mirror has translated offsets and copied the metadata*: an offset that is not the one its
       own entry says was committed by somebody else; as 3.
    5. *A topic that the entry does not know* (dropped from the app since, or committed by a version
       that did not read it, or of another task until it, or the others, got more partitions): what
       such topics' own entries say together holds for them, and for all tables of which the entry
       knows nothing.
    6. *No partition has an entry of ours* (a new group, expired offsets, another library): every
       partition keeps its offset, and there is no entry.
    7. *A topic without a commit* (new in the app, or deleted by a tool) is not in ``commits`` and
       not in the answer: all its readers start where it starts.

    Two entries with the same number can be there only if a commit of a fenced owner went half
    through; the one that is further on is as good as the other, and all workers choose alike.
    """
    entries = {
        topic: entry
        for topic, (offset, metadata) in commits.items()
        if (entry := decode(metadata)) is not None and entry.positions.get(topic) == offset
    }
    own = {topic: offset for topic, (offset, _) in commits.items()}
    if not entries:
        return Chosen(None, own, not commits)
    best = max(entries.values(), key=_rank)
    positions = {
        topic: best.positions.get(topic, offset) if topic in entries else offset
        for topic, offset in own.items()
    }
    agrees = positions == own and all(entries.get(topic) == best for topic in commits)
    strange = {topic: commits[topic] for topic in entries if topic not in best.positions}
    moved = own.keys() - entries.keys()
    if not strange:
        entry = replace(best, readers=_kept(best.readers, moved)) if moved else best
        return Chosen(entry, positions, agrees)
    apart = choose(strange)
    assert apart.entry is not None
    return Chosen(_joined(best, apart.entry, strange, moved), positions | apart.positions, agrees)


def _rank(entry: TaskEntry) -> tuple[int, int, str]:
    return entry.sequence, sum(entry.positions.values()), entry.writer


def _joined(
    best: TaskEntry, apart: TaskEntry, strange: Collection[str], moved: Collection[str]
) -> TaskEntry:
    """Return the entry with what another says of the topics, and of all else, that it does not
    know itself (case 5), and without what it says of readers in topics that somebody has moved."""
    readers = _kept(best.readers, {*moved, *strange})
    for reader, offsets in apart.readers.items():
        known = {topic: at for topic, at in offsets.items() if topic in strange}
        if known:
            readers[reader] = {**readers.get(reader, {}), **known}
    names = {**apart.forwarded, **best.forwarded}
    return replace(
        best,
        readers=readers,
        tables={**apart.tables, **best.tables},
        forwarded={n: max(apart.forwarded.get(n, 0), best.forwarded.get(n, 0)) for n in names},
        watermarks={**apart.watermarks, **best.watermarks},
        closed={**apart.closed, **best.closed},
    )


def _kept(
    readers: Mapping[str, Mapping[str, int]], gone: Collection[str]
) -> dict[str, dict[str, int]]:
    """Return readers without these topics, and without those that read nothing else."""
    kept = {r: {t: at for t, at in found.items() if t not in gone} for r, found in readers.items()}
    return {reader: offsets for reader, offsets in kept.items() if offsets}


def without_tables(entry: TaskEntry, names: Collection[str]) -> TaskEntry:
    """Return the entry without what it says of some tables: they belong to another task by now.

    What it says would be carried on, and grow old, while that task's own entries are in force.
    """
    if entry.tables.keys().isdisjoint(names):
        return entry
    return replace(
        entry,
        tables={n: mark for n, mark in entry.tables.items() if n not in names},
        watermarks={n: at for n, at in entry.watermarks.items() if n not in names},
        closed={n: at for n, at in entry.closed.items() if n not in names},
    )


def reader_positions(entry: TaskEntry, offset: int, topic: str, reader: str) -> int:
    """Return where a reader goes on in a topic whose committed offset is ``offset``.

    That is its own position, where it is ahead; a reader that is new to the topic begins at
    ``offset``.
    """
    return max(offset, entry.readers.get(reader, {}).get(topic, offset))


def absent_readers(entry: TaskEntry, topic: str, present: Collection[str]) -> list[str]:
    """Return the readers that have an entry for ``topic`` and are not ``present``, by name."""
    return sorted(
        reader
        for reader, offsets in entry.readers.items()
        if topic in offsets and reader not in present
    )


# -- when ------------------------------------------------------------------------------


@dataclass(frozen=True)
class CommitPolicy:
    """How often to commit.

    Attributes:
        interval: Seconds between commits.
        dirty_keys: So many keys changed in a task are committed earlier.
    """

    interval: float = 3.0
    dirty_keys: int = 20_000


class CommitState:
    """When the next commit is due.

    Arguments:
        policy: How often.
        now: Seconds on a monotonic clock, as everywhere here.

    Attributes:
        failures: Commits that have failed since the last that did not.
        deadline: When the next is due, if there is something to commit.
    """

    #: Seconds before a failed commit is tried again: the first wait, and the longest.
    FIRST_DELAY, MAX_DELAY = 0.1, 2.0

    def __init__(self, policy: CommitPolicy, now: float = 0.0) -> None:
        self.policy = policy
        self.failures = 0
        self.deadline = now + policy.interval

    def due(self, now: float, dirty: int, moved: bool) -> bool:
        """Return whether to commit now.

        Arguments:
            dirty: Keys changed in the task that has most of them.
            moved: Is there anything else to commit?
        """
        if not dirty and not moved:
            return False
        early = not self.failures and dirty >= self.policy.dirty_keys
        return early or now >= self.deadline

    def committed(self, now: float) -> None:
        """A commit has succeeded."""
        self.failures = 0
        self.deadline = now + self.policy.interval

    def failed(self, now: float) -> None:
        """A commit has failed: the next attempt waits a little longer each time."""
        self.failures += 1
        self.deadline = now + backoff(self.failures, self.FIRST_DELAY, self.MAX_DELAY)

    def __repr__(self) -> str:
        return f"<CommitState due at {self.deadline} failures={self.failures}>"
