"""A world for tables: one app, and tasks whose events are processed by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from typing import Any

import pytest

from faust._inprogress import _current
from faust._machines.effects import Cursor, TaskRun
from faust._values import TP, Message
from faust.app.base import App
from faust.events import Event
from faust.stores.base import Checkpoint
from faust.stores.memory import MemoryPartition
from faust.stores.overlay import Slice
from faust.tables import Collection

START = 1_700_000_000.0


class ManualClock:
    """A clock that stands where it was set."""

    def __init__(self) -> None:
        self.now = START

    def time(self) -> float:
        return self.now

    def time_ms(self) -> int:
        return int(self.now * 1000)

    def time_ns(self) -> int:
        return int(self.now * 1e9)

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


class HandStream:
    """A stream as tables see it."""

    reader = "hand"
    record: Any = None
    enable_acks = True

    def __init__(self, task: TaskRun, event: Event[Any], may_write: bool) -> None:
        self.task = task
        self.cursor = task.cursors[0]
        self.inside = True
        self.may_write = may_write
        self.current_event = event

    @property
    def timestamp(self) -> float:
        return float(self.current_event.message.timestamp)

    def check_alive(self) -> None:
        assert self.task.alive


class Failed(Exception):
    """The event that is being processed fails."""


class World:
    """An app, its tables, and one task for each partition."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.app: Any = App("tables-world", store="memory://")
        self.app.clock = self.clock
        self.runs: dict[int, TaskRun] = {}
        self.logs: dict[tuple[str, int], list[tuple[bytes, bytes | None]]] = {}

    def run(self, partition: int = 0) -> TaskRun:
        run = self.runs.get(partition)
        if run is None:
            run = self.runs[partition] = TaskRun(f"t{partition}", partition, len(self.runs) + 1)
            Cursor(run, TP("source", partition), "hand", 0).heard = inf
        return run

    def add(self, table: Any, *partitions: int) -> Any:
        collection: Collection = getattr(table, "table", table)
        for partition in partitions or (0,):
            run = self.run(partition)
            piece = Slice(run, MemoryPartition(), collection.codec)
            log = self.logs.get((collection.name, partition), [])
            piece.store.apply(log, Checkpoint(len(log)))
            collection.add_slice(run, piece)
        return table

    @contextmanager
    def event(
        self,
        timestamp: float = START,
        value: Any = None,
        *,
        partition: int = 0,
        may_write: bool = True,
        key: Any = None,
    ) -> Iterator[Event[Any]]:
        """Process an event: it is finished at the end, or undone by any exception."""
        run = self.run(partition)
        message = Message("source", partition, 0, timestamp, 0, [], None, None)
        event = Event(self.app, key, value, [], message)
        stream = HandStream(run, event, may_write)
        token = _current.set(stream)  # type: ignore[arg-type]  # a stream as tables see it
        try:
            yield event
            run.current().finish()
            run.cursors[0].position += 1
            run.cursors[0].end = run.cursors[0].position
            run.cursors[0].heard = inf
        except BaseException:
            run.current().undo()
            raise
        finally:
            _current.reset(token)

    def fail(self, fun: Callable[[], None], timestamp: float = START, **options: Any) -> None:
        """Process an event that does this and then fails."""

        def process() -> None:
            with self.event(timestamp, **options):
                fun()
                raise Failed

        with pytest.raises(Failed):
            process()

    def commit(self, table: Any, partition: int = 0) -> list[tuple[bytes, bytes | None]]:
        """Cut, log and apply; return what went to the changelog."""
        collection: Collection = getattr(table, "table", table)
        piece = self.piece(table, partition)
        taken = piece.cut()
        entries = piece.encode_cut(taken)
        log = self.logs.setdefault((collection.name, partition), [])
        log.extend(entries)
        piece.apply(taken, entries, Checkpoint(len(log)))
        return entries

    def crash(self, *tables: Any, partition: int = 0) -> None:
        """Lose everything but the changelogs and the committed watermarks; restore from these."""
        run = self.runs.pop(partition)
        run.close()
        for table in tables:
            collection: Collection = getattr(table, "table", table)
            watermark = collection.watermarks.get(partition)
            collection.drop_slice(run)
            if watermark is not None:
                collection.restore_watermark(partition, watermark)
            self.add(table, partition)

    def piece(self, table: Any, partition: int = 0) -> Slice:
        collection: Collection = getattr(table, "table", table)
        return collection.slices[self.run(partition)]

    def log_state(self, table: Any, partition: int = 0) -> dict[bytes, bytes]:
        """What the changelog says after compaction."""
        name = getattr(table, "table", table).name
        state: dict[bytes, bytes] = {}
        for key, value in self.logs.get((name, partition), []):
            if value is None:
                state.pop(key, None)
            else:
                state[key] = value
        return state

    async def expire(self, table: Any, partition: int = 0) -> int:
        collection: Collection = getattr(table, "table", table)
        return await collection.expire(self.piece(table, partition), self.clock.now)
