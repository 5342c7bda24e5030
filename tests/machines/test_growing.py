"""Topics that get more partitions: a source partition is read by one worker at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from faust._engine.holdings import Difference, Holdings
from faust._machines.assignment import MemberState, plan
from faust._machines.copartition import TaskGroup, TaskId, copartition
from faust._values import TP
from faust.assignor.partition_assignor import Assignment, PartitionAssignor

TOPICS = ("a", "b", "c")


def group(size: int, *topics: str) -> TaskGroup:
    return TaskGroup(str(size), size, topics)


def member(groups: Iterable[TaskGroup], *owned: TaskId) -> MemberState:
    """A member that was given these tasks when the groups were so."""
    groups = list(groups)
    topics = {g.name: g.topics for g in groups}
    partitions = {TP(topic, n) for name, n in owned for topic in topics[name]}
    known = frozenset(topic for g in groups for topic in g.topics)
    return MemberState(
        topics=known, owned=frozenset(owned), partitions=frozenset(partitions), generation=1
    )


def numbers(tasks: Iterable[TaskId], size: int) -> set[int]:
    return {task.partition for task in tasks if task.group == str(size)}


def test_a_partition_of_a_topic_that_has_grown_waits_until_its_old_task_is_given_up() -> None:
    """It was another task already, and two workers read it: under exactly once, too."""
    before, now = [group(4, "a")], [group(8, "a")]
    members = {
        "x": member(before, TaskId("4", 0), TaskId("4", 1)),
        "y": member(before, TaskId("4", 2), TaskId("4", 3)),
    }
    result = plan(members, now)
    assert not numbers(result.now["x"], 8) & {2, 3}
    assert not numbers(result.now["y"], 8) & {0, 1}
    assert result.another_round


def test_it_waits_as_well_where_its_old_task_goes_on_with_other_topics() -> None:
    """Task 0/4 was still one of the app's, and what it had held until then was not looked at."""
    before, now = [group(4, "a", "b")], [group(4, "b"), group(8, "a")]
    members = {
        "x": member(before, *(TaskId("4", n) for n in range(4))),
        "y": member(now),
    }
    result = plan(members, now)
    assert numbers(result.target["y"], 8), "it gets some of them"
    assert numbers(result.now["y"], 8) <= {4, 5, 6, 7}
    assert result.another_round


def test_a_task_that_gains_a_topic_waits_until_nobody_else_reads_that() -> None:
    before, now = [group(2, "a"), group(4, "b")], [group(4, "a", "b")]
    members = {
        "x": member(before, TaskId("4", 0), TaskId("4", 2)),
        "y": member(before, TaskId("2", 0), TaskId("2", 1), TaskId("4", 1), TaskId("4", 3)),
    }
    result = plan(members, now)
    assert result.now["x"] == {TaskId("4", 2)}
    assert result.now["y"] == {TaskId("4", 1), TaskId("4", 3)}
    assert result.withheld == {TaskId("4", 0)}


def test_who_has_both_the_old_and_the_new_task_does_not_wait_for_itself() -> None:
    before, now = [group(4, "a", "b")], [group(4, "b"), group(8, "a")]
    members = {"x": member(before, *(TaskId("4", n) for n in range(4)))}
    result = plan(members, now)
    assert result.now["x"] == {task for g in now for task in g.tasks()}
    assert not result.another_round


def test_who_has_lost_a_partition_and_keeps_its_task_asks_for_the_round_that_others_wait_for() -> (
    None
):
    task, kept = TaskId("4", 0), frozenset({TP("b", 0)})
    before = Assignment(frozenset({task}), kept | {TP("a", 0)}, topics={"a": "4", "b": "4"})
    after = Assignment(frozenset({task}), kept, another_round=True, topics={"a": "8", "b": "4"})
    holdings = Holdings()
    holdings.take(before, 1, kept=False)
    difference = holdings.difference(after)
    assert (difference.kept, difference.reduced) == ({task}, {task})
    assert difference.given_up == difference.begun == {task}
    assert difference.asks_again(after)
    assert not difference.asks_again(replace(after, another_round=False)), "nobody waits for it"
    assert str(difference) == "0 stay, 0 went, 0 came, 1 read less (0 of 4)"
    holdings.take(after, 2, kept=False)
    assert holdings.told({})["partitions"] == kept
    assert not holdings.difference(after).given_up


@dataclass
class Worker:
    """One worker as its rebalancer is: what it has, and an assignment that it has not done yet."""

    topics: frozenset[str]
    holdings: Holdings = field(default_factory=Holdings)
    #: What streams here really read.
    reads: set[TP] = field(default_factory=set)
    given: tuple[Assignment, int] | None = None
    difference: Difference | None = None
    #: Why it asks for a round; "" if it does not.
    asks: str = "starting"

    def joins(self, assignor: PartitionAssignor) -> bytes:
        return assignor.subscription(sorted(self.topics), **self.holdings.told({}))

    def stop(self) -> None:
        """Give up what the assignment takes; as far as the rebalancer knows, it is still here."""
        assert self.given is not None
        if self.difference is None:
            assignment, generation = self.given
            self.difference = self.holdings.difference(assignment)
            self.holdings.generation = generation
            for task in self.difference.given_up:
                self.reads -= self.holdings.sources[task]

    def begin(self) -> None:
        """Start what the assignment brings."""
        self.stop()
        assert self.given is not None
        assert self.difference is not None
        assignment, generation = self.given
        self.holdings.take(assignment, generation, kept=False)
        self.reads |= assignment.partitions
        self.asks = self.difference.asks_again(assignment)
        self.given = self.difference = None
        assert self.reads == self.holdings.partitions


class Growing(RuleBasedStateMachine):
    """Topics grow while workers come, go, die, and are at different steps of different rounds."""

    def __init__(self) -> None:
        super().__init__()
        self.assignor = PartitionAssignor()
        self.workers: dict[str, Worker] = {}
        self.generation = 0
        self.started = 0
        self.counts: dict[str, int] = {}
        self.before: dict[str, int] = {}

    @initialize(counts=st.tuples(*[st.integers(1, 4)] * len(TOPICS)))
    def topics_are_made(self, counts: tuple[int, ...]) -> None:
        self.counts = self.before = dict(zip(TOPICS, counts, strict=True))

    @precondition(lambda self: len(self.workers) < 4)
    @rule(lacks=st.sets(st.sampled_from(TOPICS), max_size=1))
    def a_worker_starts(self, lacks: set[str]) -> None:
        """One of another version of the app knows fewer topics."""
        self.started += 1
        self.workers[f"w{self.started}"] = Worker(frozenset(TOPICS) - lacks)

    @precondition(lambda self: self.workers)
    @rule(data=st.data())
    def a_worker_is_gone(self, data: st.DataObject) -> None:
        """It has left, or the group has forgotten it: nothing that it does counts any more."""
        del self.workers[data.draw(st.sampled_from(sorted(self.workers)))]

    @rule(topic=st.sampled_from(TOPICS), more=st.integers(1, 4))
    def a_topic_grows(self, topic: str, more: int) -> None:
        self.before = dict(self.counts)
        self.counts = {**self.counts, topic: min(8, self.counts[topic] + more)}

    @rule(knows=st.booleans(), late=st.sets(st.integers(0, 3)))
    def a_round_is_played(self, knows: bool, late: set[int]) -> None:
        """All join: the answer to some has been lost; the leader may not have heard of a growth."""
        for number, worker in enumerate(self.workers.values()):
            if worker.given is not None:
                if worker.difference is None and number in late:
                    worker.given = None
                else:
                    worker.begin()
                    self.nobody_reads_what_another_reads()
        self.play(self.counts if knows else self.before)

    def play(self, counts: dict[str, int]) -> None:
        self.generation += 1
        joined = {name: worker.joins(self.assignor) for name, worker in self.workers.items()}
        answers = self.assignor.plan(joined, counts)
        for name, worker in self.workers.items():
            worker.given = self.assignor.assignment(answers[name]), self.generation

    @precondition(lambda self: any(w.given for w in self.workers.values()))
    @rule(data=st.data(), begin=st.booleans())
    def a_worker_does_what_it_was_told(self, data: st.DataObject, begin: bool) -> None:
        waiting = sorted(name for name, worker in self.workers.items() if worker.given)
        worker = self.workers[data.draw(st.sampled_from(waiting))]
        if begin:
            worker.begin()
        else:
            worker.stop()

    @invariant()
    def nobody_reads_what_another_reads(self) -> None:
        read = Counter(tp for worker in self.workers.values() for tp in worker.reads)
        assert not [tp for tp, times in read.items() if times > 1]

    def teardown(self) -> None:
        """Nobody waits for ever: rounds are played only as long as somebody asks."""
        if not self.workers:
            return
        self.settle()
        for topic in TOPICS:
            self.counts = {**self.counts, topic: self.counts[topic] + 1}
            self.settle()

    def settle(self) -> None:
        known = frozenset().union(*(worker.topics for worker in self.workers.values()))
        for _ in range(4):
            for worker in self.workers.values():
                if worker.given is not None:
                    worker.begin()
                    self.nobody_reads_what_another_reads()
            self.play(self.counts)
            for worker in self.workers.values():
                worker.begin()
                self.nobody_reads_what_another_reads()
            if not any(worker.asks for worker in self.workers.values()):
                break
        else:
            raise AssertionError("they are still asking")
        wanted = {
            TP(topic, n)
            for g in copartition({topic: self.counts[topic] for topic in known})
            for topic in g.topics
            for n in range(g.partitions)
            if any(set(g.topics) & known <= worker.topics for worker in self.workers.values())
        }
        read = {tp for worker in self.workers.values() for tp in worker.reads}
        assert wanted <= read


TestGrowing = Growing.TestCase
TestGrowing.settings = settings(
    max_examples=50,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
