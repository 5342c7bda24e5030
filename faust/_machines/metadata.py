"""What is true of a task as of one commit, and the string that says it in 4,096 bytes.

Every commit of a task carries the same string on each of its source partitions, so any one of them
tells which positions, tables and readers belong together.  What the string is written as::

    F2 <mode> <CRC-32 of the body, 5 characters> <body>

The body is JSON in ASCII (mode ``j``), or, where it is long and that is shorter, the same deflated
and in base 85 (mode ``z``).  Names are written once, in ``n``; everything else refers to them by
index.  The first names are those of the source topics, whose positions are ``p`` in the same order.

=====  =============================================================================================
``w``  writer
``s``  sequence number
``n``  names
``p``  positions of the source topics
``r``  for each reader ``[name, item, ...]``; an item is a topic (the reader stands at its
       position), or ``[topic, distance from its position]``, or ``[other topic, offset]``
``t``  for each table ``[name, commits since it was written, changelog position, topic id?]``
``f``  forwarded: ``[topic id, first partition, offset, offset, ...]`` for consecutive partitions;
       with -1 for the partition, the name is a whole key
``m``  watermarks: ``[name, time, name, time, ...]``
``c``  last closed windows, likewise
``k``  cluster id
=====  =============================================================================================

Empty parts are left out.  Any other key is an entry that a later version has made: it is carried
through untouched.  So a later version adds keys, and never changes what these mean.
"""

from __future__ import annotations

import json
import zlib
from base64 import b85decode, b85encode
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from faust.exceptions import MetadataTooLarge

__all__ = ["METADATA_LIMIT", "TableMark", "TaskEntry", "decode", "encode", "worst_case_size"]

#: Kafka's default ``offset.metadata.max.bytes``.
METADATA_LIMIT = 4_096

_MAGIC = "F2"
_HEAD = len(_MAGIC) + 1 + 5
#: Bodies are never larger: whatever says so is damaged, or meant to hurt.
_MAX_BODY = 1 << 20
#: Bodies up to this length are not deflated: there is room, tools can show them, and writing them
#: takes a fifth of the time.
_SHORT = 1_024
#: More than a partition gets in 30 years at a million records a second.
_LARGEST_OFFSET = 10**15
#: More than ten commits a second make in 30 years.
_LARGEST_SEQUENCE = 10**10
_DAMAGE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)

_dump = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class TableMark:
    """How far a table's changelog goes with a commit.

    Attributes:
        sequence: Sequence number of the commit that last wrote the table.
        position: Next changelog offset: what lies below it is committed.
        topic_id: Id of the changelog topic; "" where it is not known.
    """

    sequence: int
    position: int
    topic_id: str = ""


@dataclass(frozen=True, slots=True)
class TaskEntry:
    """What is true of a task as of one commit.

    Attributes:
        writer: Unique id of the process that committed.
        sequence: Counts the commits of the task, across its owners.
        positions: Source topic -> next offset (the partition is the task's).
        readers: Reader -> topic -> next offset of that reader.
        tables: Table -> its mark.
        forwarded: ``"topic id:partition"`` of a source -> highest forwarded offset seen.
        watermarks: Topic -> Unix time in seconds.
        closed: Table -> end of the last window that was closed (Unix time in seconds).
        cluster_id: The cluster it was committed to; "" where it is not known.
        extra: Entries that this version does not know, as plain JSON data.
    """

    writer: str
    sequence: int
    positions: Mapping[str, int]
    readers: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    tables: Mapping[str, TableMark] = field(default_factory=dict)
    forwarded: Mapping[str, int] = field(default_factory=dict)
    watermarks: Mapping[str, float] = field(default_factory=dict)
    closed: Mapping[str, float] = field(default_factory=dict)
    cluster_id: str = ""
    extra: Mapping[str, object] = field(default_factory=dict)


# -- the string ------------------------------------------------------------------------


def encode(entry: TaskEntry) -> str:
    """Return the metadata string of a commit (ASCII; at most `METADATA_LIMIT` bytes).

    Raises:
        MetadataTooLarge: it does not fit.
        ValueError: a key of ``extra`` means something in this version.
    """
    text = _encode(entry)
    if len(text) > METADATA_LIMIT:
        raise MetadataTooLarge(len(text), METADATA_LIMIT)
    return text


def decode(text: str) -> TaskEntry | None:
    """Return what a metadata string says; ``None`` if it is empty, damaged, or not ours."""
    if text[: len(_MAGIC)] != _MAGIC:
        return None
    try:
        body = _unpack(text[len(_MAGIC)], text[_HEAD:])
        if _checksum(body) != text[len(_MAGIC) + 1 : _HEAD]:
            return None
        return _read(json.loads(body))
    except (*_DAMAGE, zlib.error):
        return None


def worst_case_size(
    topics: Collection[str],
    readers: Mapping[str, Collection[str]] | Collection[str],
    tables: Collection[str],
    forwarded_partitions: Mapping[str, int] | int = 0,
) -> int:
    """Return how many bytes the metadata of a task of this app may come to need.

    Arguments:
        topics: Source topics of the task.
        readers: Reader -> the topics it reads; names alone count as readers of all.
        tables: Names of its tables.
        forwarded_partitions: Partitions of the sources of forwarded records: how many, or for each
            source topic.
    """
    noise = _Noise()
    reads = readers if isinstance(readers, Mapping) else dict.fromkeys(readers, topics)
    sources = (
        forwarded_partitions
        if isinstance(forwarded_partitions, Mapping)
        else {"": forwarded_partitions}
    )
    ids = {source: noise.topic_id() for source in sources}
    entry = TaskEntry(
        writer=noise.topic_id() + noise.topic_id(),
        sequence=noise.sequence(),
        positions={topic: noise.offset() for topic in topics},
        readers={r: {topic: noise.offset() for topic in read} for r, read in reads.items()},
        tables={t: TableMark(noise.sequence(), noise.offset(), noise.topic_id()) for t in tables},
        forwarded={
            f"{ids[source]}:{n}": noise.offset()
            for source, count in sources.items()
            for n in range(count)
        },
        watermarks={topic: noise.time() for topic in topics},
        closed={table: noise.time() for table in tables},
        cluster_id=noise.topic_id(),
    )
    # Other numbers of the same length may deflate a little less well; shorter ones, not at all.
    return max(len(_encode(entry)) * 21 // 20 + 32, _HEAD + _SHORT)


class _Noise:
    """Numbers and ids that are as long as they get, and cannot be compressed."""

    def __init__(self) -> None:
        self._state = 1

    def _bits(self) -> int:
        # Knuth's MMIX generator; its upper bits are the good ones.
        self._state = (self._state * 6364136223846793005 + 1442695040888963407) % 2**64
        return self._state >> 11

    def offset(self) -> int:
        return _LARGEST_OFFSET - self._bits() % (_LARGEST_OFFSET * 9 // 10)

    def sequence(self) -> int:
        return _LARGEST_SEQUENCE - self._bits() % (_LARGEST_SEQUENCE * 9 // 10)

    def time(self) -> float:
        return 1e9 + self._bits() / 2**53

    def topic_id(self) -> str:
        raw = b"".join(self._bits().to_bytes(8, "big")[2:] for _ in range(3))
        return b85encode(raw).decode()[:22]


def _encode(entry: TaskEntry) -> str:
    body = _dump(_plain(entry)).encode("ascii")
    packed = _deflate(body) if len(body) > _SHORT else body
    mode, shorter = ("z", packed) if len(packed) < len(body) else ("j", body)
    return _MAGIC + mode + _checksum(body) + shorter.decode("ascii")


def _deflate(body: bytes) -> bytes:
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    return b85encode(deflater.compress(body) + deflater.flush())


def _unpack(mode: str, text: str) -> bytes:
    if mode == "j":
        return text.encode("ascii")
    if mode != "z":
        raise ValueError(mode)
    inflater = zlib.decompressobj(-15)
    body = inflater.decompress(b85decode(text), _MAX_BODY)
    if not inflater.eof:
        raise ValueError("cut off")
    return body


def _checksum(body: bytes) -> str:
    return b85encode(zlib.crc32(body).to_bytes(4, "big")).decode()


# -- its parts -------------------------------------------------------------------------


class _Names:
    """The names of one entry, each with its index."""

    def __init__(self, names: Collection[str]) -> None:
        self.index = {name: number for number, name in enumerate(names)}

    def __call__(self, name: str) -> int:
        return self.index.setdefault(name, len(self.index))


def _plain(entry: TaskEntry) -> dict[str, Any]:
    names = _Names(entry.positions)
    parts: dict[str, Any] = {
        "p": list(entry.positions.values()),
        "r": [
            [names(reader), *_reader_items(names, entry.positions, own)]
            for reader, own in entry.readers.items()
        ],
        "t": [_table(names, table, mark, entry) for table, mark in entry.tables.items()],
        "f": _runs(names, entry.forwarded),
        "m": _times(names, entry.watermarks),
        "c": _times(names, entry.closed),
        "k": entry.cluster_id,
    }
    known = {"w": entry.writer, "s": entry.sequence, "n": list(names.index), **parts}
    clash = (known.keys() | {"w"}) & entry.extra.keys()
    if clash:
        raise ValueError(f"extra entries {sorted(clash)} mean something in this version")
    return {key: part for key, part in known.items() if part or part == 0} | dict(entry.extra)


def _reader_items(
    names: _Names, positions: Mapping[str, int], own: Mapping[str, int]
) -> list[int | list[int]]:
    items: list[int | list[int]] = []
    for topic, offset in own.items():
        here = positions.get(topic)
        items.append(names(topic) if offset == here else [names(topic), offset - (here or 0)])
    return items


def _table(names: _Names, table: str, mark: TableMark, entry: TaskEntry) -> list[int]:
    row = [names(table), entry.sequence - mark.sequence, mark.position]
    return [*row, names(mark.topic_id)] if mark.topic_id else row


def _times(names: _Names, times: Mapping[str, float]) -> list[float]:
    return [
        item
        for name, time in times.items()
        for item in (names(name), int(time) if time == time // 1 and abs(time) < 2**53 else time)
    ]


def _runs(names: _Names, forwarded: Mapping[str, int]) -> list[list[int]]:
    runs: list[list[int]] = []
    last: tuple[str, int] | None = None
    for source, partition, key in sorted(_split(key) for key in forwarded):
        if partition < 0 or (source, partition - 1) != last:
            runs.append([names(source), partition])
        runs[-1].append(forwarded[key])
        last = source, partition
    return runs


def _split(key: str) -> tuple[str, int, str]:
    """Return source, partition and the key itself; a key of another form is its own source."""
    source, _, digits = key.rpartition(":")
    if digits.isdecimal() and key == f"{source}:{int(digits)}":
        return source, int(digits), key
    return key, -1, key


def _read(parts: dict[str, Any]) -> TaskEntry:
    names: list[str] = parts.pop("n", [])
    positions: dict[str, int] = dict(zip(names, parts.pop("p", []), strict=False))
    sequence = int(parts.pop("s"))
    return TaskEntry(
        writer=str(parts.pop("w", "")),
        sequence=sequence,
        positions=positions,
        readers={names[row[0]]: _read_reader(names, positions, row) for row in parts.pop("r", [])},
        tables={
            names[row[0]]: TableMark(
                sequence - row[1], row[2], names[row[3]] if len(row) > 3 else ""
            )
            for row in parts.pop("t", [])
        },
        forwarded={
            names[run[0]] if partition < 0 else f"{names[run[0]]}:{partition}": offset
            for run in parts.pop("f", [])
            for partition, offset in enumerate(run[2:], run[1])
        },
        watermarks=_read_times(names, parts.pop("m", [])),
        closed=_read_times(names, parts.pop("c", [])),
        cluster_id=str(parts.pop("k", "")),
        extra=parts,
    )


def _read_reader(
    names: Sequence[str], positions: Mapping[str, int], row: Sequence[Any]
) -> dict[str, int]:
    own: dict[str, int] = {}
    for item in row[1:]:
        index, distance = item if isinstance(item, list) else (item, 0)
        own[names[index]] = positions.get(names[index], 0) + distance
    return own


def _read_times(names: Sequence[str], flat: Sequence[Any]) -> dict[str, float]:
    return {names[index]: float(time) for index, time in zip(flat[::2], flat[1::2], strict=True)}
