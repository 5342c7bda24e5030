"""The tables of the embedded broker, and how a connection to them is opened.

Theory.  One database in WAL mode: any number of readers beside one writer, each reader on a
snapshot.  A record batch is one row, and its key says where it is::

    batch.id = partition id << 43 | offset of the last record

so one b-tree, without any further index, answers "the first batch that ends at or after this
position", and reads on in log order.  Ids of partitions are never used twice, so what is left of a
deleted topic can be cleared away later, in small pieces.

``batch.bytes_before`` is the batch's place in the log in bytes.  With it one statement reads "about
a megabyte from here", and hands it over as *one* value (batches of format v2 say their own length).
That is not for SQLite's sake: Python's module gives up the interpreter lock around every row, and
with a busy main thread getting it back takes up to `sys.getswitchinterval`.  Measured on two cores
with 64 KiB batches and a busy main thread: 160,000 records/s row by row, 900,000 this way.  For the
same reason many rows are inserted by one statement (100,000 against 500,000).

8 KiB pages: 4 KiB ones append 64 KiB batches 15 % slower, 16 KiB ones halve the rate of small
commits (a commit writes whole pages to the WAL).

The format is versioned (``user_version``) and says whose it is (``application_id``).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
import uuid

from faust.exceptions import ImproperlyConfigured, StopError
from faust.transport.drivers.sqlite.errors import NEWER, NO_WAL, NOT_OURS, is_passing, translate
from faust.transport.drivers.sqlite.location import Location

__all__ = ["FORMAT", "OFFSET_BITS", "batch_key", "connect", "open_reader", "open_writer"]

#: "Fst2"
APPLICATION_ID = 0x46737432
#: Version of the tables below.
FORMAT = 1
PAGE_SIZE = 8192
#: 8.8e12 records in a partition, 1,048,576 partitions ever created in one file.
OFFSET_BITS = 43
LAST_PARTITION_ID = (1 << 20) - 1

#: A writer checkpoints by itself when the WAL has this many pages (64 MiB): only where
#: `maintenance`, which does so once a second in the background, cannot keep up.
_AUTOCHECKPOINT_PAGES = (64 << 20) // PAGE_SIZE
_JOURNAL_SIZE_LIMIT = 64 << 20

_TABLES = """
CREATE TABLE setting (name TEXT PRIMARY KEY, value) WITHOUT ROWID;

CREATE TABLE topic (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    topic_id TEXT NOT NULL,
    config TEXT NOT NULL,            -- JSON of what was set, without defaults
    internal INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE partition (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    topic INTEGER NOT NULL REFERENCES topic (id),
    number INTEGER NOT NULL,
    start_offset INTEGER NOT NULL DEFAULT 0,
    next_offset INTEGER NOT NULL DEFAULT 0,
    stable_offset INTEGER,           -- first offset of the first open transaction, if there is one
    bytes INTEGER NOT NULL DEFAULT 0,   -- ever appended
    batches INTEGER NOT NULL DEFAULT 0, -- ever appended
    cleaned_offset INTEGER NOT NULL DEFAULT 0,  -- compacted up to here
    UNIQUE (topic, number)
);
CREATE TABLE batch (
    id INTEGER PRIMARY KEY,
    base_offset INTEGER NOT NULL,
    bytes_before INTEGER NOT NULL,
    max_timestamp INTEGER NOT NULL,
    horizon_ms INTEGER,              -- when its tombstones may go, once compaction has seen them
    data BLOB NOT NULL
);
CREATE TABLE garbage (partition INTEGER PRIMARY KEY);  -- deleted topics whose batches remain

CREATE TABLE producer (
    partition INTEGER NOT NULL,
    producer_id INTEGER NOT NULL,
    state TEXT NOT NULL,             -- JSON of the log machine
    last_timestamp INTEGER NOT NULL,
    PRIMARY KEY (partition, producer_id)
) WITHOUT ROWID;

CREATE TABLE consumer_group (
    name TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    deadline REAL,
    state TEXT NOT NULL              -- JSON of the group machine
) WITHOUT ROWID;
CREATE TABLE committed (
    group_name TEXT NOT NULL,
    partition INTEGER NOT NULL,
    next_offset INTEGER NOT NULL,
    metadata TEXT NOT NULL,
    PRIMARY KEY (group_name, partition)
) WITHOUT ROWID;

-- Transactional ids: who has which, what is open of it, which offsets wait for its end.
CREATE TABLE transaction_state (
    transactional_id TEXT PRIMARY KEY,
    producer_id INTEGER NOT NULL,
    state TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE aborted (
    partition INTEGER NOT NULL,
    last_offset INTEGER NOT NULL,    -- of the marker, or infinity: still open
    first_offset INTEGER NOT NULL,
    producer_id INTEGER NOT NULL,
    PRIMARY KEY (partition, last_offset, producer_id)
) WITHOUT ROWID;

CREATE TABLE lease (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,            -- a process, as its wake-up pipe is called
    until REAL NOT NULL
) WITHOUT ROWID;
"""


def batch_key(partition_id: int, offset: int) -> int:
    """Return the key of the batch whose last record has this offset."""
    return (partition_id << OFFSET_BITS) | offset


def open_writer(location: Location, *, timeout: float) -> sqlite3.Connection:
    """Open the database for writing, creating it where there is none.

    Any number of processes may do so at the same instant.

    Raises:
        StopError: the file is not ours, damaged, or from the future.
        ImproperlyConfigured: it, or its directory, cannot be written.
        BrokerUnavailable: it stayed locked for ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            return _open_writer(location, timeout)
        except sqlite3.Error as error:
            # A database that another process is turning into WAL mode is "locked" at once.
            if not is_passing(error) or time.monotonic() >= deadline:
                raise translate(location.path, error) from error
            time.sleep(0.02)


def open_reader(location: Location, *, query_only: bool = True) -> sqlite3.Connection:
    """Open another connection, for reading (and checkpoints, unless ``query_only``).

    Raises:
        StopError, ImproperlyConfigured, BrokerUnavailable: as by `open_writer`.
    """
    try:
        connection = connect(location)
        try:
            # Reads run on the event loop: a lock (recovery after a crash) is waited for elsewhere.
            connection.execute("PRAGMA busy_timeout = 100")
            connection.execute(f"PRAGMA query_only = {int(query_only)}")
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise translate(location.path, error) from error
    return connection


def connect(location: Location) -> sqlite3.Connection:
    """Open a plain connection with our settings."""
    connection = sqlite3.connect(
        location.path,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=512,
        timeout=5.0,
    )
    connection.execute("PRAGMA cache_size = -16384")
    return connection


def _open_writer(location: Location, timeout: float) -> sqlite3.Connection:
    existed = os.path.exists(location.path)
    connection = connect(location)
    try:
        connection.execute(f"PRAGMA busy_timeout = {int(min(timeout, 5.0) * 1000)}")
        _check(connection, location.path, may_be_empty=True)
        if not existed or _pragma(connection, "user_version") == 0:
            connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise ImproperlyConfigured(NO_WAL.format(path=location.path))
        connection.execute(f"PRAGMA synchronous = {'FULL' if location.full else 'NORMAL'}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_AUTOCHECKPOINT_PAGES}").fetchall()
        connection.execute(f"PRAGMA journal_size_limit = {_JOURNAL_SIZE_LIMIT}").fetchall()
        _create_if_empty(connection, location.path)
    except BaseException:
        connection.close()
        raise
    return connection


def _create_if_empty(connection: sqlite3.Connection, path: str) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        if _is_empty(connection):
            for statement in _TABLES.split(";"):
                connection.execute(statement)
            cluster_id = uuid.uuid4().hex
            connection.execute("INSERT INTO setting VALUES ('cluster_id', ?)", (cluster_id,))
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {FORMAT}")
        else:
            _check(connection, path, may_be_empty=False)
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _check(connection: sqlite3.Connection, path: str, *, may_be_empty: bool) -> None:
    if not (
        _is_ours(connection)
        or (may_be_empty and _is_empty(connection))
        or _is_ours(connection)  # another process may have made it ours between the two looks
    ):
        raise StopError(NOT_OURS.format(path=path))
    found = _pragma(connection, "user_version")
    if found > FORMAT:
        raise StopError(NEWER.format(path=path, found=found, known=FORMAT))


def _is_ours(connection: sqlite3.Connection) -> bool:
    return _pragma(connection, "application_id") == APPLICATION_ID


def _is_empty(connection: sqlite3.Connection) -> bool:
    marks = _pragma(connection, "application_id"), _pragma(connection, "user_version")
    if marks != (0, 0):
        return False
    return bool(connection.execute("SELECT NOT EXISTS (SELECT 1 FROM sqlite_master)").fetchone()[0])


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])
