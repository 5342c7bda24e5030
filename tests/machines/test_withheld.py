"""Effects that wait for acknowledgements count in the order of events, over all of a task."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from faust._machines.acks import Acks
from faust._machines.effects import Cursor, Held, Mark, TaskRun
from faust._machines.withheld import Withheld
from faust._values import TP

TOPICS = "abc"


class Effect(Mark):
    """What one event, or list of them, has done."""

    def __init__(self, needs: list[tuple[int, int]]) -> None:
        self.needs = needs
        self.fate: list[str] = []

    def finish(self) -> None:
        self.fate.append("counts")

    def take_back(self) -> None:
        self.fate.append("taken back")


def cursor_of(run: TaskRun, topic: str, *, by_hand: bool = True) -> Cursor:
    cursor = Cursor(run, TP(topic, 0), "reader", 0)
    if by_hand:
        cursor.acks = Acks(0)
    return cursor


class WithheldAgainstModel(RuleBasedStateMachine):
    """A stream of two topics of one task, and of one of another, in lists of any size.

    The model: an entry counts when all events of it and of all entries before it are acknowledged,
    and with them all that is below in their partitions.
    """

    def __init__(self) -> None:
        super().__init__()
        self.withheld = Withheld()

    @initialize()
    def start(self) -> None:
        self.runs = [TaskRun("t", 0, 1), TaskRun("u", 1, 2)]
        self.cursors = [cursor_of(self.runs[n == 2], topic) for n, topic in enumerate(TOPICS)]
        self.next = [0, 0, 0]
        self.outstanding: list[set[int]] = [set(), set(), set()]
        #: For each task its entries, of which the first so many count.
        self.entries: list[list[Effect]] = [[], []]
        self.count = [0, 0]

    @rule(task=st.integers(0, 1), topics=st.lists(st.integers(0, 1), min_size=1, max_size=4))
    def handle(self, task: int, topics: list[int]) -> None:
        numbers = topics if task == 0 else [2] * len(topics)
        needs = []
        for number in numbers:
            offset = self.next[number]
            acks = self.cursors[number].acks
            assert acks is not None
            acks.handed(offset)
            self.next[number] += 1
            self.outstanding[number].add(offset)
            needs.append((number, offset))
        effect = Effect(needs)
        pairs = [(self.cursors[number], offset) for number, offset in needs]
        self.withheld.hold(pairs, Held([], [effect]))
        self.entries[task].append(effect)

    @precondition(lambda self: any(self.outstanding))
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        left = [(n, offset) for n in range(3) for offset in sorted(self.outstanding[n])]
        for number, offset in data.draw(st.lists(st.sampled_from(left), min_size=1, unique=True)):
            acks = self.cursors[number].acks
            assert acks is not None
            assert acks.done(offset)
            self.outstanding[number].discard(offset)
        if data.draw(st.booleans()):
            self.settle(0)

    @precondition(lambda self: len(self.withheld) > 0)
    @rule(task=st.integers(0, 1))
    def settle(self, task: int) -> None:
        self.withheld.settle(self.runs[task])
        for effect in self.entries[task][self.count[task] :]:
            lowest = [min(left, default=10**9) for left in self.outstanding]
            if any(offset >= lowest[number] for number, offset in effect.needs):
                break
            self.count[task] += 1

    @precondition(lambda self: len(self.withheld) > 0)
    @rule()
    def acknowledge_and_settle_all(self) -> None:
        for number in range(3):
            acks = self.cursors[number].acks
            assert acks is not None
            for offset in self.outstanding[number]:
                acks.done(offset)
            self.outstanding[number].clear()
        self.settle(0)
        self.settle(1)
        assert len(self.withheld) == 0

    @precondition(lambda self: sum(map(len, self.entries)) > 6)
    @rule()
    def lose_the_task(self) -> None:
        """The other one goes on."""
        self.withheld.drop(self.runs[0])
        assert all(e.fate == ["taken back"] for e in self.entries[0][self.count[0] :])
        assert len(self.withheld) == len(self.entries[1]) - self.count[1]
        self.withheld.drop(self.runs[1])
        self.start()

    @invariant()
    def entries_count_in_order_and_once(self) -> None:
        for entries, count in zip(self.entries, self.count, strict=True):
            assert [effect.fate for effect in entries[:count]] == [["counts"]] * count
            assert not any(effect.fate for effect in entries[count:])
        waiting = sum(map(len, self.entries)) - sum(self.count)
        assert len(self.withheld) == waiting

    @invariant()
    def nothing_is_committed_whose_effects_do_not_count(self) -> None:
        floors: list[int | None] = [None, None, None]
        for entries, count in zip(self.entries, self.count, strict=True):
            for effect in entries[count:]:
                for number, offset in effect.needs:
                    floor = floors[number]
                    floors[number] = offset if floor is None else min(floor, offset)
        assert [cursor.floor for cursor in self.cursors] == floors
        for number, floor in enumerate(floors):
            lowest = min(self.outstanding[number], default=self.next[number])
            wanted = lowest if floor is None else min(floor, lowest)
            assert self.cursors[number].committable == wanted


TestWithheldAgainstModel = WithheldAgainstModel.TestCase


def test_an_event_that_is_not_acknowledged_by_hand_holds_back_nothing() -> None:
    run, withheld, effect = TaskRun("t", 0, 1), Withheld(), Effect([])
    withheld.hold([(cursor_of(run, "a", by_hand=False), 0)], Held([], [effect]))
    withheld.settle(run)
    assert effect.fate == ["counts"]


def test_a_task_of_which_nothing_is_held_back_has_nothing_to_settle_or_to_drop() -> None:
    withheld = Withheld()
    withheld.settle(TaskRun("t", 0, 1))
    withheld.drop(TaskRun("t", 0, 1))
    assert len(withheld) == 0
