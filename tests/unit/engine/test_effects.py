"""Effects of events: whose they are, when they count, and how they are taken back."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from faust._machines.effects import Cursor, ForwardMark, Gate, TaskRun
from faust._values import TP
from faust.stores.base import Checkpoint
from faust.stores.memory import MemoryPartition
from faust.stores.overlay import ABSENT, Slice, SliceCodec


def dumps(value: Any) -> bytes:
    return json.dumps(value).encode()


CODEC = SliceCodec(lambda key: str(key).encode(), bytes.decode, dumps, json.loads)


class World:
    """A task with two readers and one slice."""

    def __init__(self, cache_size: int = 100, store: MemoryPartition | None = None) -> None:
        self.run = TaskRun("t", 0, 1)
        self.first = Cursor(self.run, TP("a", 0), "first", 0)
        self.second = Cursor(self.run, TP("a", 0), "second", 0)
        self.inside: Cursor = self.first
        self.run.whose = lambda: self.inside
        self.store = MemoryPartition() if store is None else store
        self.piece = Slice(self.run, self.store, CODEC, cache_size)

    def write(self, key: str, value: Any, cursor: Cursor | None = None) -> None:
        self.inside = cursor or self.first
        self.piece.set(key, value)

    def handle(self, key: str, value: Any) -> None:
        self.write(key, value)
        self.first.finish()

    def commit(self, taken: dict[Any, Any], position: int = 1) -> None:
        self.piece.apply(taken, self.piece.encode_cut(taken), Checkpoint(position))


def test_a_reader_that_finishes_leaves_the_event_of_another_undoable() -> None:
    world = World()
    world.write("k", 1, world.first)
    world.write("other", 2, world.second)
    world.second.finish()
    world.first.undo()
    assert world.piece.get("k") is ABSENT
    assert world.piece.get("other") == 2


def test_a_cut_leaves_out_what_every_reader_has_in_progress() -> None:
    world = World()
    world.write("k", 1, world.first)
    world.write("other", 2, world.second)
    assert world.piece.cut() == {}
    world.first.finish()
    assert world.piece.cut() == {"k": 1}


def test_a_cut_in_the_middle_of_an_event_takes_the_value_from_before_it() -> None:
    world = World()
    world.handle("k", 1)
    world.write("k", 2)
    world.write("k", 3)
    assert world.piece.cut() == {"k": 1}
    world.first.finish()
    assert world.piece.cut() == {"k": 3}


def test_undo_after_a_failed_commit_gives_what_was_finished_since_the_cut() -> None:
    world = World()
    world.handle("k", 1)
    taken = world.piece.cut()
    world.handle("k", 2)
    world.write("k", 3)
    world.piece.uncut(taken)
    world.first.undo()
    assert world.piece.cut() == {"k": 2}


def test_undo_after_a_failed_commit_gives_what_the_cut_had_taken() -> None:
    world = World()
    world.handle("k", 1)
    world.write("k", 2)
    world.piece.uncut(world.piece.cut())
    world.first.undo()
    assert world.piece.cut() == {"k": 1}


def test_what_is_released_under_an_event_in_progress_does_not_overwrite_it() -> None:
    world = World()
    world.write("k", 1)
    release = world.first.hold()
    world.write("k", 2)
    release()
    assert world.piece.cut() == {"k": 1}
    world.first.finish()
    assert world.piece.cut() == {"k": 2}


def test_what_is_held_back_is_in_no_cut() -> None:
    world = World()
    world.write("k", 1)
    release = world.first.hold()
    assert world.piece.get("k") == 1
    assert world.piece.cut() == {}
    release()
    assert world.piece.cut() == {"k": 1}


def test_an_object_that_was_changed_and_given_up_leaves_nothing_behind() -> None:
    world = World()
    world.handle("k", [1])
    found = world.piece.get("k")
    found.append(2)
    world.write("k", found)
    world.first.undo()
    assert world.piece.get("k") == [1]


def test_a_change_in_place_is_noticed_when_the_event_finishes() -> None:
    world = World()
    world.handle("k", [1])
    world.commit(world.piece.cut())
    world.piece.get("k").append(2)
    world.first.finish()
    assert [value.data for value in world.piece.cut().values()] == [b"[1, 2]"]


def test_a_change_in_place_is_noticed_though_a_commit_came_in_between() -> None:
    world = World(cache_size=2)
    for key in "abcdef":
        world.handle(key, [1])
    taken = world.piece.cut()
    world.piece.get("a").append(2)
    world.commit(taken)
    world.first.finish()
    assert world.piece.get("a") == [1, 2]


def test_a_value_that_cannot_be_encoded_leaves_no_mark_of_its_forwarded_record() -> None:
    world = World()
    world.first.note(ForwardMark(world.run, "m", 5))
    world.write("k", object())
    with pytest.raises(TypeError):
        world.first.finish()
    world.first.undo()
    assert world.run.forwarded == {}
    assert world.run.seen == {"m": -1}


def test_a_forwarded_record_counts_when_it_is_acknowledged_and_not_before() -> None:
    world = World()
    world.first.note(ForwardMark(world.run, "m", 5))
    release = world.first.hold()
    assert world.run.forwarded == {}
    release()
    assert world.run.forwarded == {"m": 5}


def test_what_the_disk_refused_is_written_with_the_next_batch() -> None:
    class Full(MemoryPartition):
        full = True

        def apply(
            self, entries: Iterable[tuple[bytes, bytes | None]], checkpoint: Checkpoint | None
        ) -> None:
            if self.full:
                raise OSError(28, "full")
            super().apply(entries, checkpoint)

    store = Full()
    world = World(store=store)
    world.handle("a", 1)
    with pytest.raises(OSError, match="full"):
        world.commit(world.piece.cut(), 1)
    assert world.piece.committed_bytes(b"a") == b"1"
    store.full = False
    world.handle("b", 2)
    world.commit(world.piece.cut(), 2)
    assert dict(store.items()) == {b"a": b"1", b"b": b"2"}
    assert world.piece.uncommitted == 0


def test_a_task_that_is_over_lets_everybody_into_its_gate() -> None:
    run = TaskRun("t", 0, 1)
    run.gate = Gate()
    assert run.gate.try_enter("a")
    run.close()
    assert run.gate.try_enter("b")


def test_a_gap_behind_what_waits_is_passed_when_that_is_used_up() -> None:
    """A transaction's marker came with the batch, and its reader stayed one behind for ever."""
    run = TaskRun("t", 0, 1)
    cursor = Cursor(run, TP("t", 0), "reader", 0)
    cursor.waiting, cursor.end = 2, 11
    cursor.skip_gap(11)
    cursor.position = 5
    cursor.used_up()
    assert (cursor.position, cursor.lag) == (5, 6)
    cursor.position = 10
    cursor.used_up()
    assert (cursor.position, cursor.lag) == (11, 0)


def test_a_gap_is_not_passed_when_what_waits_is_thrown_away() -> None:
    run = TaskRun("t", 0, 1)
    cursor = Cursor(run, TP("t", 0), "reader", 0)
    cursor.waiting = 1
    cursor.skip_gap(11)
    run.open = False
    cursor.used_up()
    assert cursor.position == 0
