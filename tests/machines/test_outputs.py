"""What one event sends: kept with it, then with its task's run, then with a cut."""

from __future__ import annotations

from faust._machines.effects import TaskRun
from faust._machines.outputs import EventOutputs, put_back, take


class Kept:
    """What waits for a commit: records and bytes."""

    def __init__(self) -> None:
        self.told: list[tuple[int, int]] = []

    def keep(self, records: int, size: int) -> None:
        self.told.append((records, size))


class Sent:
    """A message of a few bytes."""

    def __init__(self, size: int = 1) -> None:
        self.size = size
        self.dropped = 0

    def drop(self) -> None:
        self.dropped += 1


def event(*sizes: int) -> tuple[TaskRun, Kept, EventOutputs, list[Sent]]:
    run, kept = TaskRun("t", 0, 1), Kept()
    outputs, sent = EventOutputs(run, kept), [Sent(size) for size in sizes]
    for each in sent:
        outputs.items.append(each)
        outputs.size += each.size
    return run, kept, outputs, sent


def test_nothing_waits_for_a_commit_before_the_event_counts() -> None:
    run, kept, outputs, sent = event(3, 4)
    assert (run.outputs, kept.told, outputs.size, outputs.items) == ([], [], 7, sent)
    assert (outputs.in_progress, outputs.counts) == (True, False)
    outputs.forget(sent[0])
    assert kept.told == []
    outputs.finish()
    outputs.forget_event()
    assert (run.outputs, kept.told, outputs.items) == (sent, [(2, 7)], [])
    assert (outputs.in_progress, outputs.counts) == (False, True)


def test_what_counts_is_not_dropped_with_its_event_and_leaves_one_by_one() -> None:
    run, kept, outputs, sent = event(3, 4)
    outputs.finish()
    outputs.take_back()
    assert [each.dropped for each in sent] == [0, 0]
    outputs.forget(sent[1])
    assert kept.told[1:] == [(-1, -4)]
    assert run.outputs == sent


def test_an_event_that_is_undone_drops_what_it_has_sent_once() -> None:
    run, kept, outputs, sent = event(3, 4)
    outputs.take_back()
    outputs.take_back()
    assert [each.dropped for each in sent] == [1, 1]
    assert (run.outputs, kept.told, outputs.counts, outputs.items) == ([], [], False, [])


def test_a_failed_commit_puts_back_what_it_had_taken_before_what_came_since() -> None:
    run, _, outputs, sent = event(1, 2)
    outputs.finish()
    taken = take(run)
    assert (taken, run.outputs) == (sent, [])
    later = Sent()
    run.outputs.append(later)
    put_back(run, taken)
    assert run.outputs == [*sent, later]
    assert taken == sent


def test_a_task_that_is_over_drops_what_waits_in_it() -> None:
    run, _, outputs, sent = event(1, 2)
    outputs.finish()
    run.close()
    assert [each.dropped for each in sent] == [1, 1]
    assert run.outputs == []
    assert not run.alive
