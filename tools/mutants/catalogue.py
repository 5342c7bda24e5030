"""The faults: what is replaced by what, and who must notice."""

from __future__ import annotations

from tools.mutants import exactly, planted
from tools.mutants.mutant import (
    COMMITTER,
    COURIER,
    OUTBOX,
    OVERLAY,
    PLANTED,
    SHARING,
    STREAMS,
    Mutant,
    effects,
    letters,
    sends,
)

__all__ = ["MUTANTS", "PLANTED", "Mutant"]

MUTANTS: tuple[Mutant, ...] = (
    *planted.MUTANTS,
    *exactly.MUTANTS,
    Mutant(
        "the watermark of the last commit is not restored",
        "faust/tables/base.py",
        "            self.expiry.restore(partition, value)\n",
        "            pass\n",
        scenario="closing",
        fault=10,
    ),
    # -- holes that were found --------------------------------------------------------------
    Mutant(
        "one reader finishes the event of another",
        "faust/_machines/effects.py",
        "        if found is not None and found.task is self:",
        "        if found is not None and found.task is None:",
        tests=effects("test_a_reader_that_finishes_leaves_the_event_of_another_undoable"),
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
        tests=effects("test_undo_after_a_failed_commit_gives_what_was_finished_since_the_cut"),
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
        tests=effects("test_what_is_released_under_an_event_in_progress_does_not_overwrite_it"),
    ),
    Mutant(
        "the cache is trimmed under an event that has read an object",
        OVERLAY,
        "        if self.loaded or any(",
        "        if any(",
        tests=effects("test_a_change_in_place_is_noticed_though_a_commit_came_in_between"),
    ),
    Mutant(
        "what the disk refused is lost",
        OVERLAY,
        "        self._unapplied += entries",
        "        self._unapplied = list(entries)",
        tests=effects("test_what_the_disk_refused_is_written_with_the_next_batch"),
    ),
    Mutant(
        "a forwarded record counts although its event can still fail",
        "faust/_machines/effects.py",
        "            for effectful in self.noted:\n                effectful.prepare()\n"
        "            for effectful in self.noted:\n                effectful.finish()",
        "            for effectful in self.noted:\n                effectful.finish()\n"
        "            for effectful in self.noted:\n                effectful.prepare()",
        tests=effects("test_a_value_that_cannot_be_encoded_leaves_no_mark_of_its_forwarded_record"),
    ),
    Mutant(
        "a forwarded record counts before it is acknowledged",
        "faust/_machines/effects.py",
        "            if effectful not in marks:\n                effectful.finish()",
        "            effectful.finish()",
        tests=effects("test_a_forwarded_record_counts_when_it_is_acknowledged_and_not_before"),
    ),
    Mutant(
        "a stream holds a queue that nobody fills",
        "faust/_feeds.py",
        "        self.queue.clear()\n        self.queue.extend(kept)",
        "        self.queue = deque(kept)",
        tests=sends("test_a_stream_finds_what_comes_after_one_of_its_tasks_has_gone"),
    ),
    Mutant(
        "a failed send is forgotten by the next commit",
        OUTBOX,
        "            error = self._failed\n",
        "            error, self._failed = self._failed, None\n",
        tests=sends("test_after_a_failed_send_no_barrier_ever_passes_again"),
    ),
    Mutant(
        "who asks for one record hides the loss of another",
        OUTBOX,
        "        if error is not None and delivery.claims < delivery.count:\n"
        "            self._failed",
        "        if error is not None and not delivery.claims:\n            self._failed",
        tests=sends("test_who_asks_for_one_record_does_not_hide_the_loss_of_another_in_its_batch"),
    ),
    Mutant(
        "a record overtakes one that is missing",
        COURIER,
        "            self._broken = self._broken or error",
        "            pass",
        tests=sends("test_nothing_overtakes_a_record_that_is_missing"),
    ),
    Mutant(
        "a commit outside of any generation",
        COMMITTER,
        "            if self._generation() < 0:",
        "            if self._generation() < -1:",
        tests=sends("test_outside_of_a_generation_nothing_is_committed"),
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
    # -- events that fail -------------------------------------------------------------------
    Mutant(
        "a dead letter is not waited for before the commit",
        "faust/agents/durable.py",
        "            sent.claim()\n            await sent\n",
        "            sent.claim()\n",
        tests=letters("test_a_topic_for_dead_letters_that_is_away_holds_the_event_back"),
    ),
    Mutant(
        "what a dead letter's event has written is kept",
        "faust/agents/actor.py",
        "        stream.undo()\n        if isinstance(step, Aside):",
        "        if isinstance(step, Aside):",
        tests=letters("test_a_dead_letter_is_the_original_with_what_went_wrong"),
    ),
    Mutant(
        "an event that was put aside is handled from its source again after a crash",
        "faust/agents/returns.py",
        "        return guarantee is not ProcessingGuarantee.EXACTLY_ONCE",
        "        return guarantee is None",
        tests=letters("test_an_event_is_not_handled_twice_that_was_put_aside_before_a_crash"),
    ),
    Mutant(
        "of a list that fails all events are dead letters",
        "faust/_failing.py",
        "        if len(self.taken) < 2:",
        "        if self.taken:",
        tests=letters("test_of_a_list_only_the_event_that_fails_is_a_dead_letter"),
    ),
    Mutant(
        "a task that was lost while it was given up is closed once more",
        "faust/_engine/task_manager.py",
        "                if self.tasks.get(task.id) is task:\n                    self._close(",
        "                if task.id:\n                    self._close(",
        tests=("tests/unit/engine/test_incarnations.py",),
    ),
)
