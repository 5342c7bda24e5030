"""Faults of exactly once: what an event sends counts with it, or not at all."""

from __future__ import annotations

from tools.mutants.mutant import ACKING, COMMITTER, Mutant

__all__ = ["MUTANTS"]

EXACT = "faust/_engine/exactlyonce.py"
OUTPUTS = "faust/_engine/outputs.py"
KEPT = "faust/_machines/outputs.py"
TESTS = "tests/unit/engine/test_exactly_once.py"


def _exact(name: str) -> tuple[str, ...]:
    return (f"{TESTS}::{name}",)


MUTANTS = (
    Mutant(
        "what concurrent instances do counts in the order in which they end",
        ACKING,
        "            self._withheld.hold(needs, self.effects.hold(), by_offset=self.shared)",
        "            self._withheld.hold(needs, self.effects.hold())",
        tests=_exact("test_what_counts_of_concurrent_instances_is_below_the_position"),
    ),
    Mutant(
        "what a closed window sends does not wait for its deletion",
        "faust/tables/expiry.py",
        "        if sent is not None:\n            sent.finish()\n        return True",
        "        return True",
        tests=_exact("test_what_is_sent_when_a_window_has_closed_counts_with_its_deletion"),
    ),
    Mutant(
        "what a window sends whose callback fails counts",
        "faust/tables/expiry.py",
        "            sent.undo()\n            raise",
        "            sent.finish()\n            raise",
        tests=_exact("test_what_a_window_sends_whose_end_was_not_heard_of_well_is_not_sent"),
    ),
    Mutant(
        "an output goes out before its event is committed",
        OUTPUTS,
        "        if stream is None or not stream.inside or stream.cursor is None or is_at_once():\n"
        "            gathered = gathering()\n"
        "            if gathered is None or is_at_once():\n",
        "        if stream is None or stream.inside:\n            if True:\n",
        tests=_exact("test_what_an_event_sends_is_invisible_until_its_position_is_committed"),
    ),
    Mutant(
        "an output counts before its event does",
        OUTPUTS,
        "        event.items.append(output)\n",
        "        event.run.outputs.append(output)\n",
        tests=_exact("test_the_events_of_a_list_send_together"),
    ),
    Mutant(
        "an output stays when its event is undone",
        KEPT,
        '        """Nothing of it is sent."""\n',
        '        """Nothing of it is sent."""\n        self.finish()\n',
        tests=_exact("test_what_an_event_has_sent_that_fails_is_dropped_with_its_writes"),
    ),
    Mutant(
        "the positions are committed outside of the transaction",
        EXACT,
        "                await transaction.commit_offsets("
        "self._membership, offsets, generation=generation)",
        "                await self._membership.commit(offsets, generation=generation)",
        tests=_exact("test_outputs_changelog_and_offsets_are_one_transaction"),
    ),
    Mutant(
        "a start does not wait for a transaction that is under way",
        "faust/_engine/startpoints.py",
        "        stable = self._stable and tps is not None",
        "        stable = self._stable and tps is None",
        tests=_exact("test_a_task_does_not_start_from_positions_that_are_being_replaced"),
    ),
    Mutant(
        "an abort that does not put back",
        KEPT,
        "    run.outputs[:0] = outputs",
        "    run.outputs[:0] = []",
        tests=_exact("test_a_commit_that_fails_is_put_back_and_sent_once"),
    ),
    Mutant(
        "what is put back comes after what was sent since",
        KEPT,
        "    run.outputs[:0] = outputs",
        "    run.outputs += outputs",
        tests=_exact("test_what_is_put_back_comes_before_what_was_sent_since"),
    ),
    Mutant(
        "a commit whose outcome is unknown is taken for a failure",
        COMMITTER,
        "                if not self._doubt:\n                    await self._undo(cuts)",
        "                if cuts:\n                    await self._undo(cuts)",
        tests=_exact("test_as_long_as_nobody_knows_of_a_commit_nothing_else_is_committed"),
    ),
    Mutant(
        "an unknown outcome is looked up before it is decided",
        EXACT,
        "        if self._transaction is None:\n            await self._begin()\n",
        "",
        tests=_exact("test_a_commit_under_way_is_decided_before_it_is_looked_up"),
    ),
    Mutant(
        "who is cancelled puts a commit back that is under way",
        COMMITTER,
        "        return await asyncio.shield(work)",
        "        return await work",
        tests=_exact("test_a_worker_that_stops_in_the_middle_of_a_commit_sends_nothing_twice"),
    ),
    Mutant(
        "concurrent instances share what they undo",
        "faust/_inprogress.py",
        "        if self.shared:\n            return self.own_effects",
        "        if self.cursor is None:\n            return self.own_effects",
        tests=_exact("test_what_one_of_several_instances_undoes_is_its_own"),
    ),
    Mutant(
        "concurrent instances do not wait for each other's acknowledgements",
        "faust/_succession.py",
        "            self._withheld = self._feed.withheld\n",
        "            pass\n",
        tests=_exact("test_concurrent_instances_send_in_the_order_of_offsets"),
    ),
    Mutant(
        "an event waits for its own output",
        OUTPUTS,
        "        if not self.event.in_progress or self.done():",
        "        if self.event.in_progress or self.done():",
        tests=_exact("test_an_event_that_awaits_its_own_output_is_told_at_once"),
    ),
    Mutant(
        "an agent's question waits for the commit of the event that asks",
        "faust/agents/requests.py",
        "                with at_once():",
        "                if True:",
        tests=_exact("test_an_agent_asks_at_once_and_is_answered_with_the_commit"),
    ),
)
