"""The faults: what is replaced by what, and who must notice."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MUTANTS", "PLANTED", "Mutant"]

EFFECTS = "tests/unit/engine/test_effects.py"
SENDS = "tests/unit/engine/test_sends_and_commits.py"
RESTORE = "tests/machines/test_restore.py"


@dataclass(frozen=True)
class Mutant:
    """One fault.

    Attributes:
        name: What is wrong with it.
        file: Where it is planted.
        old, new: The text that is replaced, which must be there exactly once, and the fault.
        tests: Tests (pytest arguments) of which one must fail; empty for none.
        scenario: Scenario of the simulation that must have a finding within `seeds`; "" for none.
        seeds: How many seeds are tried.
        fault: Number of the fault in `PLANTED` that it is a form of; 0 for a hole found later.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...] = ()
    scenario: str = ""
    seeds: int = 60
    fault: int = 0


#: The faults that the oracle must know, whatever else it knows.
PLANTED = {
    1: "a cut inside an event",
    2: "a commit before the changelog is acknowledged",
    3: "positions without the readers' own",
    4: "a restore past the position",
    5: "no undo",
    6: "a commit sent again under a new generation",
    7: "a skipped batch prefix",
    8: "aliased mutable values",
    9: "outputs outside the transaction",
    10: "a watermark that is not restored",
    11: "a stale local store accepted",
    12: "expired offsets taken for a new group",
    13: "a forwarded record counted twice",
    14: "undo by reference",
    15: "an output outside its cut",
    16: "a stale incarnation's write accepted",
    17: "a commit with the same number by another writer taken for one's own",
}


def _effects(name: str) -> tuple[str, ...]:
    return (f"{EFFECTS}::{name}",)


def _sends(name: str) -> tuple[str, ...]:
    return (f"{SENDS}::{name}",)


OVERLAY = "faust/stores/overlay.py"
STREAMS = "faust/streams.py"
COMMITTER = "faust/_engine/committer.py"
RESTORER = "faust/_engine/restorer.py"
OUTBOX = "faust/_engine/outbox.py"
COURIER = "faust/_engine/courier.py"
MACHINE = "faust/_machines/restore.py"
SHARING = "faust/tables/sharing.py"

MUTANTS = (
    Mutant(
        "the watermark of the last commit is not restored",
        "faust/tables/base.py",
        "            self.expiry.restore(partition, value)\n",
        "            pass\n",
        scenario="closing",
        fault=10,
    ),
    # -- what `design.md` was broken with --------------------------------------------------
    Mutant(
        "a cut takes what an event in progress has written",
        OVERLAY,
        "        taken, self.dirty = self.dirty, {}\n"
        "        for effects in self.task.in_progress():",
        "        taken, self.dirty = self.dirty, {}\n        for effects in ():",
        scenario="counting",
        fault=1,
    ),
    Mutant(
        "a commit before the changelog is acknowledged",
        "faust/_engine/atleastonce.py",
        "                await self._bridge.call_io(self._append_all, tables)\n",
        "                for each in tables:\n"
        "                    each.position = each.piece.expected + len(each.entries)\n"
        "                asyncio.ensure_future(self._append_all(tables))\n",
        scenario="counting",
        fault=2,
    ),
    Mutant(
        "positions without the readers' own",
        "faust/_engine/tasks.py",
        "            if cursor.commits:\n                found.setdefault",
        "            if not cursor.commits:\n                found.setdefault",
        scenario="sharing",
        fault=3,
    ),
    Mutant(
        "a restore past the position",
        RESTORER,
        "await self._apply(copy, plan.start, plan.boundary)",
        "await self._apply(copy, plan.start, plan.end)",
        scenario="counting",
        fault=4,
    ),
    Mutant(
        "no undo of what was not committed",
        RESTORER,
        "            position = await self._take_back(copy, plan)",
        "            position = plan.end",
        scenario="counting",
        fault=5,
    ),
    Mutant(
        "a commit is sent again under a new generation",
        COMMITTER,
        "        if generations or generation != self._generation():",
        "        generation = self._generation()\n        if generations:",
        tests=_sends("test_a_cut_of_an_older_generation_is_not_sent_under_the_new_one"),
        fault=6,
    ),
    Mutant(
        "the records of a batch below the position are not skipped",
        STREAMS,
        "                    if offset < position:",
        "                    if offset < 0:",
        scenario="counting",
        fault=7,
    ),
    Mutant(
        "values that can change are kept as they are",
        OVERLAY,
        "                live[key] = dirty[key] = Encoded(dump(value))",
        "                dump(value)",
        tests=_effects("test_an_object_that_was_changed_and_given_up_leaves_nothing_behind"),
        fault=8,
    ),
    Mutant(
        "undo by reference",
        OVERLAY,
        "        self.loaded[key] = (value, encoded)",
        "        self.live[key] = value",
        tests=_effects("test_an_object_that_was_changed_and_given_up_leaves_nothing_behind"),
        fault=14,
    ),
    Mutant(
        "a stale local store is accepted",
        MACHINE,
        '        return "it is ahead of the commit"',
        '        return ""',
        tests=(RESTORE,),
        fault=11,
    ),
    Mutant(
        "expired offsets are taken for a new group",
        MACHINE,
        '        return None, "no commit tells how much of it counts"',
        '        return 0, ""',
        tests=(RESTORE,),
        fault=12,
    ),
    Mutant(
        "a forwarded record is counted twice",
        STREAMS,
        "        if int(offset) <= max(run.seen.get(mark, -1), run.forwarded.get(mark, -1)):",
        "        if int(offset) < 0:",
        scenario="group_by",
        fault=13,
    ),
    Mutant(
        "a forwarded record in a list is counted twice",
        "faust/_takes.py",
        "        if items and stream.sees_forwarded:",
        "        if not items and stream.sees_forwarded:",
        scenario="group_by_take",
    ),
    Mutant(
        "what was fetched for an older incarnation is accepted",
        "faust/conductor.py",
        "cursor.task.incarnation == incarnation and batch",
        "cursor.task.incarnation and batch",
        tests=("tests/unit/engine/test_incarnations.py",),
        fault=16,
    ),
    Mutant(
        "a write of an older incarnation is accepted",
        "faust/_engine/task_manager.py",
        "            table.drop_slice(run)",
        "            table.slices.get(run)",
        tests=("tests/unit/engine/test_incarnations.py",),
        fault=16,
    ),
    Mutant(
        "a commit with the same number by another writer is taken for ours",
        COMMITTER,
        "e is not None and (e.writer, e.sequence) == (entry.writer, entry.sequence)",
        "e is not None and e.sequence == entry.sequence",
        tests=_sends("test_a_commit_with_our_number_by_another_writer_is_not_ours"),
        fault=17,
    ),
    Mutant(
        "the outcome of a commit is taken for a failure although it is found",
        COMMITTER,
        "                ours[cut] = entry",
        "                pass",
        tests=_sends("test_a_commit_whose_answer_is_lost_counts_if_it_is_found"),
    ),
    # -- holes that were found --------------------------------------------------------------
    Mutant(
        "one reader finishes the event of another",
        "faust/_machines/effects.py",
        "        if found is not None and found.task is self:",
        "        if found is not None and found.task is None:",
        tests=_effects("test_a_reader_that_finishes_leaves_the_event_of_another_undoable"),
    ),
    Mutant(
        "readers that share a table are inside events at once",
        "faust/_machines/effects.py",
        "        if self.inside - {reader}:",
        "        if reader in self.inside - {reader}:",
        scenario="sharing",
    ),
    Mutant(
        "nobody learns who shares a table",
        SHARING,
        "    if in_the_way := _in_the_way(",
        "    if in_the_way := set() and _in_the_way(",
        scenario="learning",
    ),
    Mutant(
        "an event that has learned that it shares counts if its agent catches the error",
        SHARING,
        "    cursor.note(Refusal(error))\n",
        "",
        scenario="learning",
    ),
    Mutant(
        "who is inside when its gate is made is not waited for",
        "faust/_engine/sharing.py",
        "gate.extend(new, {each.reader for each in inside} & new)",
        "gate.extend(new, set())",
        tests=("tests/unit/vocabulary/test_shared_tables.py",),
    ),
    Mutant(
        "who was inside together with others writes on what it has read before",
        "faust/_machines/effects.py",
        "        return (others - self.readers) | self.together.get(reader, set())",
        "        return others - self.readers",
        scenario="learning",
    ),
    Mutant(
        "who has a gate shares with a stranger",
        "faust/_machines/effects.py",
        "        return (others - self.readers) | self.together.get(reader, set())",
        "        return self.together.get(reader, set())",
        scenario="learning",
    ),
    Mutant(
        "a reader asks for nothing more when all its requests end at once",
        "faust/transport/drivers/aiokafka/fetch.py",
        "        del self._requests[task]\n        self._schedule_soon()",
        "        del self._requests[task]\n        # self._schedule_soon()",
        tests=("tests/unit/drivers/aiokafka/test_kafka_reader.py",),
    ),
    Mutant(
        "a failed commit brings back what is older than what came since",
        OVERLAY,
        "if piece is self and before_dirty is ABSENT and key in taken:",
        "if piece is self and key in taken:",
        tests=_effects("test_undo_after_a_failed_commit_gives_what_was_finished_since_the_cut"),
    ),
    Mutant(
        "a failed commit forgets what it had cut",
        OVERLAY,
        "        self.dirty = {**taken, **self.dirty}",
        "        self.dirty = {**self.dirty}",
        scenario="counting",
    ),
    Mutant(
        "what is released overwrites the event in progress",
        OVERLAY,
        "            if key in over:",
        "            if key is over:",
        tests=_effects("test_what_is_released_under_an_event_in_progress_does_not_overwrite_it"),
    ),
    Mutant(
        "the cache is trimmed under an event that has read an object",
        OVERLAY,
        "        if self.loaded or any(",
        "        if any(",
        tests=_effects("test_a_change_in_place_is_noticed_though_a_commit_came_in_between"),
    ),
    Mutant(
        "what the disk refused is lost",
        OVERLAY,
        "        self._unapplied += entries",
        "        self._unapplied = list(entries)",
        tests=_effects("test_what_the_disk_refused_is_written_with_the_next_batch"),
    ),
    Mutant(
        "a forwarded record counts although its event can still fail",
        "faust/_machines/effects.py",
        "            for effectful in self.noted:\n                effectful.prepare()\n"
        "            for effectful in self.noted:\n                effectful.finish()",
        "            for effectful in self.noted:\n                effectful.finish()\n"
        "            for effectful in self.noted:\n                effectful.prepare()",
        tests=_effects(
            "test_a_value_that_cannot_be_encoded_leaves_no_mark_of_its_forwarded_record"
        ),
    ),
    Mutant(
        "a forwarded record counts before it is acknowledged",
        "faust/_machines/effects.py",
        "            if effectful not in marks:\n                effectful.finish()",
        "            effectful.finish()",
        tests=_effects("test_a_forwarded_record_counts_when_it_is_acknowledged_and_not_before"),
    ),
    Mutant(
        "a stream holds a queue that nobody fills",
        "faust/_feeds.py",
        "        self.queue.clear()\n        self.queue.extend(kept)",
        "        self.queue = deque(kept)",
        tests=_sends("test_a_stream_finds_what_comes_after_one_of_its_tasks_has_gone"),
    ),
    Mutant(
        "a failed send is forgotten by the next commit",
        OUTBOX,
        "            error = self._failed\n",
        "            error, self._failed = self._failed, None\n",
        tests=_sends("test_after_a_failed_send_no_barrier_ever_passes_again"),
    ),
    Mutant(
        "who asks for one record hides the loss of another",
        OUTBOX,
        "        if error is not None and delivery.claims < delivery.count:\n"
        "            self._failed",
        "        if error is not None and not delivery.claims:\n            self._failed",
        tests=_sends("test_who_asks_for_one_record_does_not_hide_the_loss_of_another_in_its_batch"),
    ),
    Mutant(
        "a record overtakes one that is missing",
        COURIER,
        "            self._broken = self._broken or error",
        "            pass",
        tests=_sends("test_nothing_overtakes_a_record_that_is_missing"),
    ),
    Mutant(
        "a commit outside of any generation",
        COMMITTER,
        "            if self._generation() < 0:",
        "            if self._generation() < -1:",
        tests=_sends("test_outside_of_a_generation_nothing_is_committed"),
    ),
    Mutant(
        "foreign records in a changelog are not seen",
        "faust/_engine/changelogs.py",
        "            if at.base_offset > end:",
        "            if at.base_offset < end:",
        tests=("tests/unit/engine/test_changelogs.py",),
    ),
    Mutant(
        "an event is handed out again while its task is being given back",
        STREAMS,
        "                if not task.open:\n                    # It is being",
        "                if task is None:\n                    # It is being",
        tests=("tests/unit/engine/test_incarnations.py",),
    ),
    Mutant(
        "who was forgotten by the group keeps its tasks",
        "faust/_engine/rebalancer.py",
        "        if self.owned and member_id != known:",
        "        if self.owned and not member_id:",
        tests=("tests/unit/engine/test_rebalancer.py",),
    ),
)
