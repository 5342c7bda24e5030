"""Every pitfall that is known has a test, or a reason why it needs none."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.compat.pitfalls import PITFALLS

TESTS = Path(__file__).parents[1]

#: How many there are of each kind.
COUNTS = {"A": 20, "B": 19, "C": 75, "D": 16}

_MENTION = re.compile(r"\(pitfalls ([^)]*)\)")


@cache
def names_in(file: str) -> frozenset[str]:
    """Names of the test functions of a file, methods included."""
    tree = ast.parse((TESTS / file).read_text())
    return frozenset(
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name[:5] == "test_"
    )


def mentions() -> dict[str, set[str]]:
    """What docstrings of tests say: pitfall -> files."""
    found: dict[str, set[str]] = {}
    for path in TESTS.rglob("test_*.py"):
        for said in _MENTION.findall(path.read_text()):
            for name in re.findall(r"\b[A-D]\d+\b", said):
                found.setdefault(name, set()).add(str(path.relative_to(TESTS)))
    return found


def test_every_pitfall_is_in_the_list() -> None:
    assert set(PITFALLS) == {f"{kind}{n + 1}" for kind, most in COUNTS.items() for n in range(most)}


@pytest.mark.parametrize("name", PITFALLS)
def test_a_pitfall_has_tests_that_are_there_or_a_reason(name: str) -> None:
    pitfall = PITFALLS[name]
    assert bool(pitfall.tests) != bool(pitfall.because)
    for test in pitfall.tests:
        file, _, function = test.partition("::")
        assert (TESTS / file).exists(), test
        assert function in names_in(file), test


def test_what_tests_say_of_pitfalls_is_in_the_list() -> None:
    found = mentions()
    assert set(found) <= set(PITFALLS)
    assert [name for name in found if PITFALLS[name].because] == []
