"""Which tables an agent's code refers to, wherever it keeps them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from faust.agents.hints import tables_named_by


class Table:
    """Only its identity counts."""


ONE, OTHER = Table(), Table()
TABLES = {"one": ONE, "other": OTHER}
WRAPPED = SimpleNamespace(table=ONE)


def uses(kept: Any) -> Any:
    def agent() -> Any:
        return kept

    return agent


def names_a_global() -> Any:
    return OTHER


@pytest.mark.parametrize(
    "kept",
    [
        ONE,
        WRAPPED,
        [ONE],
        (WRAPPED, 3),
        {"day": ONE},
        {ONE},
        SimpleNamespace(totals=ONE),
    ],
)
def test_a_table_is_found_where_the_code_keeps_it(kept: Any) -> None:
    assert tables_named_by(uses(kept), TABLES) == {"one"}


def test_a_table_of_a_function_that_is_called_is_found() -> None:
    assert tables_named_by(uses(names_a_global), TABLES) == {"other"}


def test_what_is_no_table_is_none() -> None:
    assert tables_named_by(uses([1, "one"]), TABLES) == set()
