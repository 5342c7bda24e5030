"""The oracle says what is wrong, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest

from faust.testing.oracle import Sighting, Truth, check_sink, check_table, main, make_events

EVENTS = make_events(30, 3, Random(1), seconds=10.0)
TRUTH = Truth(EVENTS)
SINK = [Sighting(event.id, event.key, event.seq) for event in EVENTS]


def test_what_came_out_as_it_went_in_is_right() -> None:
    assert check_sink(TRUTH, SINK, duplicates_allowed=False) == []
    assert check_table("count", TRUTH.counts(), TRUTH.counts()) == []


def test_a_lost_event_is_named() -> None:
    assert check_sink(TRUTH, SINK[:7] + SINK[8:])[0].startswith("I1 no loss: 1 events")


def test_a_record_of_no_event_is_named() -> None:
    assert "999" in check_sink(TRUTH, [*SINK, Sighting(999, "k0", 99)])[0]


def test_a_late_event_is_named_and_a_repeated_one_is_not_late() -> None:
    key = SINK[0].key
    first, second = [s for s in SINK if s.key == key][:2]
    swapped = [second, first, *(s for s in SINK if s not in (first, second))]
    assert check_sink(TRUTH, swapped)[0].startswith("I2 order: 1 ")
    assert check_sink(TRUTH, [*SINK, SINK[0]]) == []


def test_a_duplicate_is_named_where_there_may_be_none() -> None:
    assert check_sink(TRUTH, [*SINK, SINK[0]], duplicates_allowed=False)[0].startswith("I3")


@pytest.mark.parametrize("change", [{"k0": -1}, {"strange": 1}])
def test_a_wrong_table_is_named(change: dict[str, int]) -> None:
    assert check_table("count", {**TRUTH.counts(), **change}, TRUTH.counts())[0].startswith("I4")


def test_a_skipped_event_must_not_come_out() -> None:
    truth = Truth(EVENTS, skipped=[EVENTS[0].id])
    assert "of no event" in check_sink(truth, SINK)[0]


def test_files_are_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events, sink, counts = tmp_path / "events", tmp_path / "sink", tmp_path / "counts"
    events.write_text("\n".join(json.dumps(event.plain()) for event in EVENTS))
    sink.write_text("\n".join(json.dumps(s._asdict()) for s in SINK))
    counts.write_text(json.dumps({**TRUTH.counts(), "k0": 0}))
    assert main([str(events), "--sink", str(sink)]) == 0
    assert main([str(events), "--counts", str(counts)]) == 1
    assert "I4 tables: counts" in capsys.readouterr().out
