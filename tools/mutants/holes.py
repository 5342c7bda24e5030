"""Faults that a review found in the commit, in restores and in what the log may do under them."""

from __future__ import annotations

from tools.mutants.mutant import ACKING, COMMITTER, MACHINE, Mutant

__all__ = ["MUTANTS"]

RETURNS = "tests/unit/vocabulary/test_dead_letters.py"
LISTS = "tests/unit/vocabulary/test_lists_of_take.py"

RESTORES = "tests/unit/engine/test_restores.py"

VIGIL = "tests/unit/engine/test_vigil.py"

MUTANTS = (
    Mutant(
        "changelogs are written as carelessly as messages",
        "faust/_engine/connection.py",
        "self.producer if acks == -1 else self._new_producer(-1)",
        "self.producer",
        tests=(f"{RESTORES}::test_tables_are_exact_although_messages_are_not_acknowledged",),
    ),
    Mutant(
        "a changelog that was made anew is not written again",
        "faust/_engine/atleastonce.py",
        "            if end < table.piece.expected + len(table.entries)",
        "            if end < 0",
        tests=(f"{VIGIL}::test_a_log_that_is_made_anew_under_its_table_is_written_again",),
    ),
    Mutant(
        "a changelog that was made anew is not written again under exactly once",
        "faust/_engine/exactlyonce.py",
        "            if end < table.piece.position + len(table.entries)",
        "            if end < 0",
        tests=(f"{VIGIL}::test_a_log_that_is_made_anew_under_its_table_is_written_again",),
    ),
    Mutant(
        "a table that was written again in part counts",
        "faust/_engine/vigil.py",
        "            each.piece.replaced = True\n",
        "            pass\n",
        tests=(f"{VIGIL}::test_a_table_that_was_written_again_in_part_is_written_again_whole",),
    ),
    Mutant(
        "nobody looks at a changelog that is not written to",
        "faust/_engine/vigil.py",
        "elif not self._exact and end > piece.expected:",
        "elif not self._exact and end < piece.expected:",
        tests=(
            f"{VIGIL}::test_what_a_zombie_writes_is_written_over_although_its_owner_writes_nothing",
        ),
    ),
    Mutant(
        "a local store of which the log has lost records is used",
        MACHINE,
        "    if differs:\n        return _DIFFERS\n",
        "",
        tests=(
            f"{RESTORES}::"
            "test_a_log_that_has_lost_what_the_local_store_has_is_read_anew_and_that_is_said",
        ),
    ),
    Mutant(
        "what a commit writes to a store cannot be compared with the log",
        COMMITTER,
        "record_crc(*table.entries[-1]) if table.entries",
        "record_crc(*table.entries[0]) if table.entries",
        tests=(f"{RESTORES}::test_after_a_stop_in_good_order_nothing_is_read_again",),
    ),
    Mutant(
        "the position goes past an event of a list that is in progress",
        ACKING,
        "        if self.taken and self.is_in_list(cursor, offset):",
        "        if self.taken is None:",
        tests=(
            f"{LISTS}::test_an_acknowledgement_inside_of_a_list_counts_when_the_list_is_finished",
        ),
    ),
    Mutant(
        "what was acknowledged of a list that failed stays acknowledged",
        "faust/_failing.py",
        "        self.acked.clear()\n        self._records = None",
        "        self.acknowledge_list()\n        self._records = None",
        tests=(f"{LISTS}::test_what_was_acknowledged_of_a_list_that_fails_is_not_acknowledged",),
    ),
    Mutant(
        "a commit that met another error after a lost answer is taken for refused",
        "faust/transport/transactions.py",
        '            raise BrokerUnavailable(f"whether a transaction is committed: {error}")',
        "            raise\n            raise error",
        tests=(
            "tests/unit/engine/test_exactly_once.py::"
            "test_a_commit_that_took_effect_and_then_met_a_coordinator_that_moves_counts",
        ),
    ),
    Mutant(
        "a task of the engine that dies is silent",
        "faust/_core/background.py",
        "            on_failure(error)\n",
        "            pass\n",
        tests=(
            "tests/unit/engine/test_fetcher.py::test_what_ends_fetching_for_good_ends_the_worker",
        ),
    ),
    Mutant(
        "windows of a stream close although the broker does not answer",
        "faust/tables/expiry.py",
        "        known = min([now, *(cursor.heard for cursor in cursors)])\n",
        "        known = now\n",
        tests=(
            "tests/unit/tables/test_window_expiry.py::"
            "test_a_broker_that_is_away_makes_no_stream_idle",
        ),
    ),
    Mutant(
        "what a replaced worker puts into a retry topic late is handled",
        "faust/_machines/copies.py",
        "            if generation < self.generation:\n",
        "            if generation < -1:\n",
        tests=(f"{RETURNS}::test_a_copy_that_a_replaced_worker_sends_late_is_not_counted_again",),
    ),
    Mutant(
        "whoever begins with a task does not say so in its retry topics",
        "faust/agents/returns.py",
        "                await mark_beginning(\n",
        "                _ = (\n",
        tests=(f"{RETURNS}::test_a_copy_that_a_replaced_worker_sends_late_is_not_counted_again",),
    ),
    Mutant(
        "who gets a task does not wait for those who read a partition of it",
        "faust/_machines/assignment.py",
        "readers.get(TP(topic, task.partition), name) != name",
        "not name",
        tests=("tests/machines/test_growing.py",),
        scenario="growth",
        seeds=100,
    ),
    Mutant(
        "who keeps a task says that it has given up what has grown, and reads on",
        "faust/_engine/holdings.py",
        "        return self.revoked | self.reduced\n",
        "        return self.revoked\n",
        tests=("tests/machines/test_growing.py",),
    ),
    Mutant(
        "the commit with the higher number says all of tasks that have come together",
        "faust/_machines/commits.py",
        "        tables={**apart.tables, **best.tables},\n",
        "        tables=best.tables,\n",
        tests=(
            "tests/machines/test_commits.py::"
            "test_what_two_tasks_have_committed_holds_when_their_topics_come_together",
        ),
    ),
)
