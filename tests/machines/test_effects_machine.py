"""Effects of events against a model: however events end, a cut has what its position says.

The sentence that must never be false: the store holds exactly what the events below the committed
position have written, in their order.  And the same of what they have sent: the outputs in commits
that succeeded are exactly those of the events below the committed position, in their order, once.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from faust._machines.acks import Acks
from faust._machines.effects import Cursor, ForwardMark, Refusal, TaskRun
from faust._machines.outputs import EventOutputs, put_back, take
from faust._machines.withheld import Withheld
from faust._values import TP
from faust.stores.base import Checkpoint
from faust.stores.memory import MemoryPartition
from faust.stores.overlay import ABSENT, DELETED, Slice, SliceCodec

KEYS = st.sampled_from("abc")
#: What an event does to a key: add a number, append to a list in place, or delete it.
CHANGES = st.one_of(st.integers(-9, 9), st.just("append"), st.just("delete"))

#: How many messages an event sends, and what it changes.
EVENTS = st.tuples(st.integers(0, 2), st.lists(st.tuples(KEYS, CHANGES), max_size=3))

CODEC = SliceCodec(str.encode, bytes.decode, lambda value: json.dumps(value).encode(), json.loads)


class Kept:
    """What waits for a commit, as the outputs of finished events tell."""

    def __init__(self) -> None:
        self.records = self.size = 0

    def keep(self, records: int, size: int) -> None:
        self.records += records
        self.size += size


class Sent:
    """A message that an event has sent."""

    def __init__(self, event: EventOutputs, text: str) -> None:
        self.event = event
        self.text = text
        self.size = len(text)
        self.dropped = 0

    def drop(self) -> None:
        self.dropped += 1
        self.event.forget(self)

    def __repr__(self) -> str:
        return self.text


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
        #: Offset -> what the event there has sent, in order; all that was sent; what has arrived.
        self.sent: dict[int, list[Sent]] = {}
        self.ever: list[Sent] = []
        self.arrived: list[Sent] = []
        #: Offsets at which a forwarded record was handed out, which has the same source offset.
        self.forwarded: set[int] = set()

    @initialize()
    def start(self) -> None:
        """A new incarnation begins at what was committed."""
        self.run = TaskRun("t", 0, 1)
        self.cursor = Cursor(self.run, TP("a", 0), "reader", self.committed)
        self.run.whose = lambda: self.cursor
        self.piece = Slice(self.run, self.store, CODEC, 2)
        self.withheld = Withheld()
        self.kept = Kept()
        #: A cut that is under way: the position it commits, and what it took.
        self.cut: tuple[int, dict[Any, Any], list[Any]] | None = None
        if self.by_hand:
            self.cursor.acks = Acks(self.committed)
            self.cursor.by_hand = True
        self.done = {o: d for o, d in self.done.items() if o < self.committed}
        self.sent = {o: sent for o, sent in self.sent.items() if o < self.committed}
        self.forwarded = {o for o in self.forwarded if o < self.committed}
        self.run.seen = {"s/0": max(self.forwarded, default=-1)}
        self.run.forwarded = dict(self.run.seen)
        self.acked = set(self.done)
        self.next, self.inside = self.committed, None
        self.outputs: EventOutputs | None = None

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
    @rule(count=st.integers(1, 3))
    def send(self, count: int) -> None:
        if self.outputs is None:
            self.outputs = EventOutputs(self.run, self.kept)
            self.run.note(self.outputs)
            self.sent[self.next] = []
        for _ in range(count):
            sent = Sent(self.outputs, f"{self.next}/{len(self.sent[self.next])}")
            self.outputs.items.append(sent)
            self.outputs.size += sent.size
            self.sent[self.next].append(sent)
            self.ever.append(sent)
        assert self.outputs.in_progress

    @precondition(lambda self: self.inside is not None and self.next not in self.forwarded)
    @rule()
    def was_forwarded(self) -> None:
        self.run.note(ForwardMark(self.run, "s/0", self.next))
        self.forwarded.add(self.next)

    @precondition(lambda self: self.inside is not None)
    @rule()
    def finish(self) -> None:
        """The reader comes back for the next event."""
        assert self.inside is not None
        outputs, self.outputs = self.outputs, None
        self.done[self.next] = self.inside
        if self.by_hand:
            self.withheld.hold([(self.cursor, self.next)], self.cursor.hold())
        else:
            self.cursor.finish()
            self.cursor.position = self.next + 1
            self.acked.add(self.next)
        assert outputs is None or not outputs.in_progress
        self.next, self.inside = self.next + 1, None

    @precondition(lambda self: self.inside is None)
    @rule(events=st.lists(EVENTS, min_size=1, max_size=4))
    def handle(self, events: list[tuple[int, list[tuple[str, Any]]]]) -> None:
        """Some events, one after the other."""
        for sends, changes in events:
            self.begin()
            for key, change in changes:
                self.write(key, change, written=True)
            if sends:
                self.send(sends)
            self.finish()

    @precondition(lambda self: self.inside is not None)
    @rule(refused=st.booleans())
    def fail(self, refused: bool) -> None:
        """It is tried again; where events are acknowledged by hand, while it has its offset."""
        if refused:
            self.run.note(Refusal(KeyError("it")))
            with pytest.raises(KeyError):
                self.cursor.hold() if self.by_hand else self.cursor.finish()
        self.cursor.undo()
        assert not self.cursor.has_effects
        dropped = self.sent.pop(self.next, [])
        assert [sent.dropped for sent in dropped] == [1] * len(dropped)
        assert self.outputs is None or not self.outputs.in_progress
        self.forwarded.discard(self.next)
        self.inside, self.outputs = [] if self.by_hand else None, None

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

    @precondition(lambda self: self.cut is None)
    @rule()
    def begin_commit(self) -> None:
        position, forwarded = self.cursor.committable, self.run.forwarded["s/0"]
        assert position == self.expected_position()
        assert forwarded == max((o for o in self.forwarded if o < position), default=-1)
        self.cut = position, self.piece.cut(), take(self.run)

    @precondition(lambda self: self.cut is not None)
    @rule(succeeds=st.sampled_from([True, True, False]))
    def end_commit(self, succeeds: bool) -> None:
        assert self.cut is not None
        (position, taken, outputs), self.cut = self.cut, None
        if not succeeds:
            self.piece.uncut(taken)
            put_back(self.run, outputs)
            return
        self.position += 1
        entries = self.piece.encode_cut(taken)
        self.piece.apply(taken, entries, Checkpoint(self.position))
        self.committed = position
        self.store_is_what_the_position_says()
        self.arrived += outputs
        for output in outputs:
            output.event.forget(output)
        assert self.arrived == self.expected_outputs(0, position)

    @rule(
        before=st.lists(EVENTS, min_size=1, max_size=2),
        meanwhile=st.lists(EVENTS, max_size=2),
        unfinished=st.lists(st.tuples(KEYS, CHANGES), max_size=2),
        succeeds=st.sampled_from([True, True, False]),
        data=st.data(),
    )
    def handle_and_commit(
        self, before: list[Any], meanwhile: list[Any], unfinished: list[Any],
        succeeds: bool, data: st.DataObject,
    ) -> None:  # fmt: skip
        """Events before the cut, while it is under way, and one that is not over at its end."""
        if self.inside is not None:
            self.finish()
        if self.cut is not None:
            self.end_commit(succeeds)
        self.handle(before)
        if self.by_hand and data.draw(st.booleans()):
            self.acknowledge_all(data)
        self.begin_commit()
        self.handle(meanwhile)
        if self.by_hand and set(self.done) - self.acked and data.draw(st.booleans()):
            self.acknowledge_all(data)
        if unfinished:
            self.begin()
            self.send(1)
            for key, change in unfinished:
                self.write(key, change, written=True)
        self.end_commit(succeeds)

    @precondition(lambda self: self.next > self.committed + 2)
    @rule()
    def crash(self) -> None:
        self.withheld.drop(self.run)
        self.run.close()
        if self.cut is not None:
            for output in self.cut[2]:
                output.drop()
        assert len(self.withheld) == 0
        assert (self.kept.records, self.kept.size) == (0, 0)
        assert all(sent.dropped == (sent not in self.arrived) for sent in self.ever)
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

    def expected_outputs(self, first: int, below: int) -> list[Sent]:
        """What the events have sent whose offsets are in [first, below)."""
        found = sorted(offset for offset in self.sent if first <= offset < below)
        return [sent for offset in found for sent in self.sent[offset]]

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

    @invariant()
    def what_waits_for_a_commit_is_what_the_events_have_sent_that_count(self) -> None:
        counting = self.expected_outputs(self.committed, self.expected_position())
        in_cut = [] if self.cut is None else self.cut[2]
        assert in_cut + self.run.outputs == counting
        assert self.kept.records == len(counting)
        assert self.kept.size == sum(sent.size for sent in counting)
        assert not any(sent.dropped for sent in self.expected_outputs(0, self.next + 1))

    @invariant()
    def forwarded_records_are_seen_at_once_and_count_with_their_events(self) -> None:
        assert self.run.seen["s/0"] == max(self.forwarded, default=-1)
        below = [o for o in self.forwarded if o < self.expected_position()]
        assert self.run.forwarded["s/0"] == max(below, default=-1)


class ByHandAgainstModel(EffectsAgainstModel):
    """The same where events are acknowledged in any order, while later ones are handled."""

    by_hand = True


TestEffectsAgainstModel = EffectsAgainstModel.TestCase
TestByHandAgainstModel = ByHandAgainstModel.TestCase
TestEffectsAgainstModel.settings = settings(max_examples=60, stateful_step_count=40)
TestByHandAgainstModel.settings = settings(max_examples=60, stateful_step_count=40)


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
