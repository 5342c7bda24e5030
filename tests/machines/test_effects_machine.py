"""Effects of events against a model: however events end, a cut has what its position says.

The sentence that must never be false: the store holds exactly what the events below the committed
position have written, in their order.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from faust._machines.acks import Acks
from faust._machines.effects import Cursor, ForwardMark, TaskRun
from faust._machines.withheld import Withheld
from faust._values import TP
from faust.stores.base import Checkpoint
from faust.stores.memory import MemoryPartition
from faust.stores.overlay import ABSENT, DELETED, Slice, SliceCodec

KEYS = st.sampled_from("abc")
#: What an event does to a key: add a number, append to a list in place, or delete it.
CHANGES = st.one_of(st.integers(-9, 9), st.just("append"), st.just("delete"))

CODEC = SliceCodec(str.encode, bytes.decode, lambda value: json.dumps(value).encode(), json.loads)


def changed(value: Any, change: Any, number: int) -> Any:
    """Return what a change makes of a value (``None`` for no value)."""
    if change == "delete":
        return None
    if change == "append":
        return [*(value if isinstance(value, list) else []), number]
    return (value if isinstance(value, int) else 0) + change


class EffectsAgainstModel(RuleBasedStateMachine):
    """One reader, one slice.  The model replays the log of what events have done."""

    by_hand: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryPartition()
        #: Offset -> what the event there has changed, in order; those that failed are given again.
        self.done: dict[int, list[tuple[str, Any]]] = {}
        self.next = 0
        self.inside: list[tuple[str, Any]] | None = None
        self.acked: set[int] = set()
        self.committed = 0
        self.position = 0

    @initialize()
    def start(self) -> None:
        """A new incarnation begins at what was committed."""
        self.run = TaskRun("t", 0, 1)
        self.cursor = Cursor(self.run, TP("a", 0), "reader", self.committed)
        self.run.whose = lambda: self.cursor
        self.piece = Slice(self.run, self.store, CODEC, 2)
        self.withheld = Withheld()
        self.releases: dict[int, Callable[[], None]] = {}
        if self.by_hand:
            self.cursor.acks = Acks(self.committed)
            self.cursor.by_hand = True
        self.done = {o: d for o, d in self.done.items() if o < self.committed}
        self.acked = set(self.done)
        self.next, self.inside = self.committed, None

    # -- events --------------------------------------------------------------------------

    @precondition(lambda self: self.inside is None)
    @rule()
    def begin(self) -> None:
        self.inside = []
        if self.cursor.acks is not None:
            self.cursor.acks.handed(self.next)

    @precondition(lambda self: self.inside is not None)
    @rule(key=KEYS, change=CHANGES, written=st.booleans())
    def write(self, key: str, change: Any, written: bool) -> None:
        assert self.inside is not None
        before = self.piece.get(key)
        if change == "delete":
            if before is not ABSENT:
                self.piece.set(key, DELETED)
        elif change == "append" and isinstance(before, list):
            before.append(self.next)  # in place; noticed whether or not it is written as well
            if written:
                self.piece.set(key, before)
        else:
            value = changed(None if before is ABSENT else before, change, self.next)
            self.piece.set(key, value)
        self.inside.append((key, change))

    @precondition(lambda self: self.inside is not None)
    @rule()
    def finish(self) -> None:
        """The reader comes back for the next event."""
        assert self.inside is not None
        self.done[self.next] = self.inside
        if self.by_hand:
            self.withheld.hold([(self.cursor, self.next)], self.cursor.hold())
        else:
            self.cursor.finish()
            self.cursor.position = self.next + 1
            self.acked.add(self.next)
        self.next, self.inside = self.next + 1, None

    @precondition(lambda self: self.inside is None)
    @rule(events=st.lists(st.lists(st.tuples(KEYS, CHANGES), max_size=3), min_size=1, max_size=4))
    def handle(self, events: list[list[tuple[str, Any]]]) -> None:
        """Some events, one after the other."""
        for changes in events:
            self.begin()
            for key, change in changes:
                self.write(key, change, written=True)
            self.finish()

    @precondition(lambda self: self.inside is not None and not self.by_hand)
    @rule()
    def fail(self) -> None:
        self.cursor.undo()
        self.inside = None

    @precondition(lambda self: self.by_hand and set(self.done) - self.acked)
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        assert self.cursor.acks is not None
        offset = data.draw(st.sampled_from(sorted(set(self.done) - self.acked)))
        self.acked.add(offset)
        assert self.cursor.acks.done(offset)
        self.withheld.settle(self.run)
        assert len(self.withheld) == len([o for o in self.done if o >= self.expected_position()])

    @precondition(lambda self: self.by_hand and set(self.done) - self.acked)
    @rule(data=st.data())
    def acknowledge_all(self, data: st.DataObject) -> None:
        for _ in range(len(set(self.done) - self.acked)):
            self.acknowledge(data)

    # -- commits -------------------------------------------------------------------------

    @rule(succeeds=st.booleans(), data=st.data())
    def commit(self, succeeds: bool, data: st.DataObject) -> None:
        position = self.cursor.committable
        taken = self.piece.cut()
        assert position == self.expected_position()
        if not succeeds:
            self.piece.uncut(taken)
            return
        self.position += 1
        entries = self.piece.encode_cut(taken)
        self.piece.apply(taken, entries, Checkpoint(self.position))
        self.committed = position
        self.store_is_what_the_position_says()

    @precondition(lambda self: self.next > self.committed + 2)
    @rule()
    def crash(self) -> None:
        self.withheld.drop(self.run)
        self.run.close()
        assert len(self.withheld) == 0
        self.start()

    # -- what must hold ------------------------------------------------------------------

    def expected_position(self) -> int:
        left = sorted(set(range(self.next)) - self.acked)
        return left[0] if left else self.next

    def expected(self, below: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for offset in sorted(self.done):
            if offset < below:
                for key, change in self.done[offset]:
                    values[key] = changed(values.get(key), change, offset)
        return {key: value for key, value in values.items() if value is not None}

    def store_is_what_the_position_says(self) -> None:
        found = {raw.decode(): json.loads(data) for raw, data in self.store.items()}
        assert found == self.expected(self.committed)

    @invariant()
    def the_table_is_what_all_events_have_written(self) -> None:
        values = self.expected(self.next)
        for key, change in self.inside or ():
            value = changed(values.pop(key, None), change, self.next)
            if value is not None:
                values[key] = value
        found = {key: self.piece.peek(key) for key in "abc"}
        if self.inside is None:
            assert {k: v for k, v in found.items() if v is not ABSENT} == values


class ByHandAgainstModel(EffectsAgainstModel):
    """The same where events are acknowledged in any order, while later ones are handled."""

    by_hand = True


TestEffectsAgainstModel = EffectsAgainstModel.TestCase
TestByHandAgainstModel = ByHandAgainstModel.TestCase


def test_a_forwarded_record_that_failed_is_not_taken_for_seen() -> None:
    run = TaskRun("t", 0, 1)
    cursor = Cursor(run, TP("a", 0), "reader", 0)
    run.whose = lambda: cursor
    run.note(ForwardMark(run, "s/0", 7))
    assert run.seen == {"s/0": 7}
    cursor.undo()
    assert (run.seen, run.forwarded) == ({"s/0": -1}, {})
    run.note(ForwardMark(run, "s/0", 7))
    cursor.finish()
    assert (run.seen, run.forwarded) == ({"s/0": 7}, {"s/0": 7})
