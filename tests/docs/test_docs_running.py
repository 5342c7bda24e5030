"""What runs the documents notices when they are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from docs_blocks import blocks_of
from docs_running import Page, matches


def page(tmp_path: Path, text: str) -> Page:
    document = tmp_path / "page.md"
    document.write_text(text)
    return Page(document, tmp_path)


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        ("a\n", "a\n"),
        ("a ... d\n", "a b c d\n"),
        ("a\n...\nd\n", "a\nb\nc\nd\n"),
        ("a\n...\nd\n", "a\nd\n"),
        ("", "\n"),
        ("(1) [2] ...\n", "(1) [2] 3\n"),
    ],
)
def test_an_output_is_as_shown_and_dots_stand_for_anything(expected: str, found: str) -> None:
    assert matches(expected, found)


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        ("a\n", "b\n"),
        ("a\n", "a\nb\n"),
        ("a ... d\n", "a b\nc d\n"),
        ("", "a\n"),
        ("a.c\n", "abc\n"),
    ],
)
def test_another_output_is_noticed(expected: str, found: str) -> None:
    assert not matches(expected, found)


def test_what_a_program_prints_is_compared(tmp_path: Path) -> None:
    page(tmp_path, "```python\nprint(1)\n```\n\n```text\n1\n```\n").run()
    with pytest.raises(AssertionError, match=r"page\.md:2 prints"):
        page(tmp_path, "```python\nprint(1)\n```\n\n```text\n2\n```\n").run()
    with pytest.raises(AssertionError, match=r"page\.md:2 prints"):
        page(tmp_path, "```python\nprint(1)\n```\n").run()
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        page(tmp_path, "```python\n1 / 0\n```\n").run()


def test_a_session_is_compared(tmp_path: Path) -> None:
    page(tmp_path, "```pycon\n>>> 1 + 1\n2\n```\n").run()
    with pytest.raises(AssertionError, match="Expected"):
        page(tmp_path, "```pycon\n>>> 1 + 1\n3\n```\n").run()


def test_a_command_that_nobody_runs_must_not_be_shown_as_run(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="show it as `sh`"):
        page(tmp_path, "```console\n$ rm -rf build\n```\n").run()


def test_a_file_must_begin_before_it_is_continued(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="begins twice, or never"):
        page(tmp_path, "```python\n# a.py, continued\n```\n").run()


def test_blocks_have_languages_lines_and_neighbours(tmp_path: Path) -> None:
    found = page(tmp_path, "a\n\n```python\n# x.py\nx = 1\n```\n\n    ```\n    y\n    ```\n").blocks
    assert [(b.line, b.language, b.code) for b in found] == [
        (4, "python", "# x.py\nx = 1\n"), (9, "", "y\n"),
    ]  # fmt: skip
    assert found[0].file == "x.py"
    assert found[1].follows is found[0]
    assert blocks_of(tmp_path / "page.md") == found
