"""`faust.testing.simulate` with apps as users have them."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import shop_app

import faust
from faust.testing import Outcome, Plan, seeds, simulate
from faust.testing.report import SEED

EVENTS = [
    ("orders", f"a{n % 5}", shop_app.Order(account=f"a{n % 5}", amount=n % 8)) for n in range(120)
]


def check_totals(outcome: Outcome) -> None:
    """The truth, from what was sent."""
    expected: dict[str, int] = {}
    for _, account, order in outcome.events:
        expected[account] = expected.get(account, 0) + order.amount
    assert outcome.table("totals") == expected


def make_counter() -> faust.App:
    """An app from a function."""
    app = faust.App("counter")
    topic = app.topic("numbers", key_type=str, value_type=int)
    out = app.topic("seen", key_type=str, value_type=int)
    sums = app.Table("sums", key_type=str, value_type=int, default=int)

    async def add(stream: Any) -> None:
        async for key, number in stream.items():
            sums[key] += number
            await out.send(key=key, value=number)

    app.agent(topic, name="add")(add)
    return app


NUMBERS = [("numbers", f"k{n % 3}", n) for n in range(60)]


@pytest.mark.parametrize("seed", seeds(2))
def test_an_app_in_a_module_is_exact_whatever_goes_wrong(seed: int) -> None:
    before = sys.modules["shop_app"]
    simulate(shop_app.app, seed, events=EVENTS, check=check_totals).verify()
    assert sys.modules["shop_app"] is before
    assert not shop_app.totals.slices


def test_an_app_by_its_name_is_the_same() -> None:
    one = simulate(shop_app.app, 3, events=EVENTS, check=check_totals)
    other = simulate("shop_app:app", 3, events=EVENTS, check=check_totals)
    assert one.digest == other.digest
    assert one.events == 120


def test_what_the_check_says_is_a_finding_with_the_command_that_repeats_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def check(outcome: Outcome) -> list[str]:
        return [f"{len(outcome.records('seen'))} records"]

    report = simulate(make_counter, 5, events=NUMBERS, check=check, plan=Plan.calm(2.0))
    assert report.findings[0] == "60 records"
    with pytest.raises(AssertionError, match=rf"(?s)60 records.*again: {SEED}=5 python -m pytest"):
        report.verify()


def test_what_the_check_raises_is_a_finding() -> None:
    def check(outcome: Outcome) -> None:
        assert outcome.table("sums") == {}, "no sums"

    report = simulate(make_counter, 5, events=NUMBERS, check=check, plan=Plan.calm(2.0))
    assert "the check raised AssertionError: no sums" in report.findings[0]


def test_an_agent_that_keeps_its_sums_elsewhere_is_found_out() -> None:
    def make() -> faust.App:
        app = make_counter()
        sums: dict[str, int] = {}
        table = app.tables["sums"]

        async def forgetful(stream: Any) -> None:
            async for key, number in stream.items():
                table[key] = sums[key] = sums.get(key, 0) + number

        app.agents.clear()
        app.agent(app.topic("numbers", key_type=str, value_type=int), name="add")(forgetful)
        return app

    def check(outcome: Outcome) -> None:
        assert outcome.table("sums") == {"k0": 570, "k1": 590, "k2": 610}

    found = [simulate(make, seed, events=NUMBERS, check=check).findings for seed in range(4)]
    assert any(found)


def test_only_the_seed_that_is_asked_for_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(seeds(3, first=5)) == [5, 6, 7]
    monkeypatch.setenv(SEED, "77")
    assert list(seeds(3)) == [77]


def test_an_app_in_no_module_is_refused_with_a_sentence() -> None:
    with pytest.raises(ValueError, match="give simulate\\(\\) a function that makes one"):
        simulate(make_counter(), 1, events=NUMBERS)


def test_an_app_without_events_is_refused_with_a_sentence() -> None:
    with pytest.raises(ValueError, match="says what is sent to your app"):
        simulate(make_counter, 1)


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        ({"seed": "1"}, TypeError, "seed"),
        ({"check": 3}, TypeError, "check"),
        ({"plan": 3}, TypeError, "faust.testing.Plan"),
        ({"events": []}, ValueError, "says what is sent to your app"),
        ({"events": [1]}, TypeError, r"\(topic, key, value\), not 1"),
    ],
)
def test_what_cannot_be_simulated_is_one_sentence(
    wrong: dict[str, Any], error: Any, words: str
) -> None:
    with pytest.raises(error, match=words):
        simulate(make_counter, **{"events": EVENTS, **wrong})


def test_a_test_with_no_seed_tried_nothing() -> None:
    with pytest.raises(ValueError, match="at least 1, not 0"):
        seeds(0)


def test_a_check_that_names_no_table_is_told_which_there_are() -> None:
    report = simulate(
        make_counter,
        1,
        events=[("numbers", "k", 1)],
        check=lambda outcome: outcome.table("totals"),
        plan=Plan.calm(),
    )
    assert "the app has no table 'totals'; its tables: sums" in report.findings[0]
