"""Every snippet of the guide has a test, and a table in the documents says which."""

from __future__ import annotations

from guide_readings import missing_tests
from guide_snippets import GUIDE, SNIPPETS
from guide_table import TABLE, rendered, shown_by_snippet


def test_every_snippet_of_the_guide_is_shown_by_a_test() -> None:
    missing = [name for name in SNIPPETS if not shown_by_snippet().get(name)]
    assert missing == []


def test_no_code_of_the_guide_is_overlooked() -> None:
    """Each directive of code is a snippet; literal blocks come on top."""
    lines = GUIDE.read_text("utf-8").splitlines()
    directives = {at for at, line in enumerate(lines, 1) if ".. sourcecode::" in line}
    assert directives
    assert directives <= {snippet.line for snippet in SNIPPETS.values()}


def test_the_table_in_the_documents_is_the_one_that_is_made_from_the_tests() -> None:
    assert TABLE.read_text("utf-8") == rendered(), "run: python tests/guide/guide_table.py"


def test_the_tests_that_show_what_the_guide_leaves_open_are_there() -> None:
    assert missing_tests() == []
