"""The catalogue of planted faults is complete, and its faults can be planted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.mutants.catalogue import MUTANTS, PLANTED, Mutant

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_what_a_mutant_replaces_is_there_once(mutant: Mutant) -> None:
    assert (ROOT / mutant.file).read_text().count(mutant.old) == 1
    assert mutant.old != mutant.new
    assert mutant.tests or mutant.scenario


def test_mutants_have_names_of_their_own() -> None:
    names = [mutant.name for mutant in MUTANTS]
    assert len(names) == len(set(names))


def test_each_fault_that_the_oracle_must_know_is_planted() -> None:
    assert PLANTED.keys() - {mutant.fault for mutant in MUTANTS} == set()
