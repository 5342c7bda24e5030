"""The log of runs under faults, and the table that is made of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from faust.testing.reliability import LOG, Run, note, read
from tools.reliability import BEGIN, END, PAGE, load, merge, page_with, table

RUN = Run(
    number=7,
    driver="memory",
    guarantee="exactly_once",
    id="3",
    events=250,
    seconds=61.5,
    faults={"kill": 2},
    longest_pause=4.25,
    commit="abc",
)


def test_a_run_that_is_noted_is_one_line_and_comes_back_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "runs.jsonl"
    monkeypatch.setenv(LOG, str(log))
    bad = Run(number=1, driver="kafka", lost=1, findings=("I1 no loss: 1 events",), commit="abc")
    note(RUN)
    note(bad)
    assert len(log.read_text().splitlines()) == 2
    assert list(read([log])) == [RUN, bad]


def test_without_a_log_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LOG, raising=False)
    monkeypatch.chdir(tmp_path)
    note(RUN)
    assert list(tmp_path.iterdir()) == []


def test_a_run_of_no_scenario_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no scenario 17"):
        Run(number=17, driver="memory")


def test_runs_of_one_scenario_driver_and_guarantee_are_one_row_with_sums() -> None:
    later = Run(
        number=7,
        driver="memory",
        guarantee="exactly_once",
        faults={"kill": 1, "freeze": 1},
        events=50,
        longest_pause=2.0,
    )
    rows = merge({}, [RUN, later, Run(number=7, driver="sqlite")])
    assert len(rows) == 2
    (row, _) = rows.values()
    assert (row.runs, row.events, row.faults) == (2, 300, {"freeze": 1, "kill": 3})
    assert row.longest_pause == 4.2
    assert "| 7. exactly once | memory | exactly once | 2 | 300 | 4 |" in table(rows.values())


def test_new_runs_take_the_place_of_a_rows_older_ones_unless_they_are_added() -> None:
    kept = merge({}, [RUN])
    assert [row.runs for row in merge(kept, [RUN]).values()] == [1]
    assert [row.runs for row in merge(merge({}, [RUN]), [RUN], add=True).values()] == [2]


def test_the_table_of_the_page_is_what_its_data_says() -> None:
    page = PAGE.read_text()
    assert page.count(BEGIN) == page.count(END) == 1
    assert page == page_with(page, load().values()), "run python -m tools.reliability"


def test_the_page_shows_no_run_in_which_anything_was_lost_wrong_or_stuck() -> None:
    for row in load().values():
        assert (row.lost, row.excess, row.wrong_keys, row.failed) == (0, 0, 0, 0), row
