"""Tables in boxes."""

import pytest

from faust.utils.terminal import table, text_width

#: As the application guide prints it.
GUIDE = """
┌Agents────┬───────────────────────────────────────┬────────────────┐
│ name     │ topic                                 │ help           │
├──────────┼───────────────────────────────────────┼────────────────┤
│ @myagent │ stream-example-examples.agent.myagent │ Example agent. │
└──────────┴───────────────────────────────────────┴────────────────┘
""".strip()


def test_the_table_is_that_of_the_guide_character_for_character() -> None:
    row = ("@myagent", "stream-example-examples.agent.myagent", "Example agent.")
    assert table([row], headers=["name", "topic", "help"], title="Agents") == GUIDE


def test_a_table_without_rows_has_its_header() -> None:
    assert table([], headers=["a"]) == "┌───┐\n│ a │\n├───┤\n└───┘"


def test_a_long_title_widens_the_last_column() -> None:
    lines = table([(1, 2)], headers=["a", "b"], title="A long title").splitlines()
    assert lines[0] == "┌A long title┐"
    assert {len(line) for line in lines} == {14}
    assert lines[3] == "│ 1 │ 2      │"


def test_a_cell_may_have_several_lines() -> None:
    assert table([("a\nb", "c")], headers=["x", "y"]).splitlines()[3:5] == [
        "│ a │ c │",
        "│ b │   │",
    ]


def test_wide_characters_are_aligned() -> None:
    lines = table([("日本", 1), ("ab", 2)], headers=["k", "v"]).splitlines()
    assert {text_width(line) for line in lines} == {text_width(lines[0])}
    assert text_width("e\u0301") == 1


def test_a_row_of_the_wrong_length_is_an_error() -> None:
    with pytest.raises(ValueError, match="1 cells in a table of 2 columns"):
        table([(1,)], headers=["a", "b"])
