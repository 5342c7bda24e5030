"""What becomes of an event that failed: policies as they are written, resolved, and followed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from faust._machines.failures import Again, Aside, Failures, Fate, Plan, plan_for
from faust._machines.retry import RetryPolicy
from faust._values.policies import DeadLetter, Retry, check_policy

#: The same, for arguments that a type checker would refuse.
AnyRetry: Any = Retry
AnyLetter: Any = DeadLetter

CRASH = RetryPolicy(retries=2, first_delay=0.1, max_delay=5.0)


def life(policy: Any) -> list[Any]:
    """Return all steps of an event that always fails, up to its end."""
    plan, steps, detours = plan_for(policy, CRASH), [], 0
    failures = Failures(plan)
    while True:
        step = failures.failed(detours)
        steps.append(step)
        if isinstance(step, Fate):
            return steps
        if isinstance(step, Aside):
            detours, failures = step.number, Failures(plan)


@pytest.mark.parametrize(
    ("policy", "steps"),
    [
        ("crash", [Again(0.1), Again(0.2), Fate.CRASH]),
        ("skip", [Fate.SKIP]),
        ("dead_letter", [Fate.DEAD_LETTER]),
        (DeadLetter("shared"), [Fate.DEAD_LETTER]),
        (Retry(2), [Again(0.1), Again(0.2), Fate.CRASH]),
        (Retry(3, 4, then="skip"), [Again(4), Again(5), Again(5), Fate.SKIP]),
        (Retry(2, 10, then="skip"), [Again(10), Again(10), Fate.SKIP]),
        (Retry(2, 1, max_backoff=1.5), [Again(1), Again(1.5), Fate.CRASH]),
        (Retry(2, topic=True), [Aside(1, 60), Aside(2, 60), Fate.CRASH]),
        (
            Retry(1, 1, then=Retry(1, 9, topic="later", then="dead_letter")),
            [Again(1), Aside(1, 9), Again(1), Fate.DEAD_LETTER],
        ),
    ],
)
def test_an_event_that_always_fails_goes_this_way(policy: Any, steps: list[Any]) -> None:
    assert life(policy) == steps


def test_the_topics_that_were_given_are_in_the_plan() -> None:
    plan = plan_for(Retry(1, topic="later", then=DeadLetter("given-up")), CRASH)
    assert plan.detour is not None
    assert (plan.detour.topic, plan.letters) == ("later", "given-up")
    unnamed = plan_for(Retry(1, topic=True, then="dead_letter"), CRASH)
    assert unnamed.detour is not None
    assert (unnamed.detour.topic, unnamed.letters) == (None, None)
    assert repr(Failures(Plan(RetryPolicy(retries=0), None, Fate.SKIP))).startswith("<Failures 0")


@given(st.integers(1, 5), st.integers(1, 5))
def test_attempts_are_those_of_each_visit(in_place: int, by_topic: int) -> None:
    policy = Retry(in_place, 1, then=Retry(by_topic, 1, topic=True, then="skip"))
    steps = life(policy)
    assert sum(isinstance(step, Aside) for step in steps) == by_topic
    assert sum(isinstance(step, Again) for step in steps) == in_place * (by_topic + 1)


class OneEvent(RuleBasedStateMachine):
    """An event fails in place, goes aside and comes back, and does not live for ever."""

    @initialize(
        in_place=st.integers(0, 3),
        aside=st.integers(0, 3),
        end=st.sampled_from(["crash", "skip", "dead_letter"]),
    )
    def comes(self, in_place: int, aside: int, end: Any) -> None:
        policy: Any = Retry(aside, 7, topic=True, then=end) if aside else end
        if in_place:
            policy = Retry(in_place, 1, max_backoff=4, then=policy)
        elif policy == "crash":
            in_place = CRASH.retries
        self.plan = plan_for(policy, CRASH)
        self.in_place, self.aside, self.end = in_place, aside, Fate(end)
        self.failures, self.detours = Failures(self.plan), 0
        self.here = 0
        self.over = False

    @precondition(lambda self: not self.over)
    @rule()
    def fails(self) -> None:
        step = self.failures.failed(self.detours)
        self.here += 1
        assert self.failures.count == self.here
        if self.here <= self.in_place:
            assert isinstance(step, Again)
            assert 0 < step.delay <= 5
        elif self.detours < self.aside:
            assert step == Aside(self.detours + 1, 7)
            self.detours, self.here, self.failures = step.number, 0, Failures(self.plan)
        else:
            assert step is self.end
            self.over = True

    @precondition(lambda self: not self.over)
    @rule()
    def is_handed_out_anew(self) -> None:
        """By another worker, which does not know how often it has failed here."""
        self.failures, self.here = Failures(self.plan), 0

    @precondition(lambda self: self.over)
    @rule()
    def stays_what_it_is(self) -> None:
        assert self.failures.failed(self.detours) is self.end


TestOneEvent = OneEvent.TestCase
TestOneEvent.settings = settings(max_examples=50, stateful_step_count=25)


@given(st.integers(0, 9), st.integers(0, 9))
def test_an_event_that_has_had_its_detours_is_not_put_aside_again(had: int, times: int) -> None:
    """A policy may be changed while events wait in the retry topic."""
    plan = plan_for(Retry(times, topic=True, then="skip") if times else "skip", CRASH)
    step = Failures(plan).failed(had)
    assert step == (Aside(had + 1, 60.0) if had < times else Fate.SKIP)


def test_an_event_that_comes_from_its_own_topic_has_had_no_detour_yet() -> None:
    failures = Failures(plan_for(Retry(1, topic=True, then="skip"), CRASH))
    assert failures.failed() == Aside(1, 60.0)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: AnyRetry(0), ValueError, "at least 1"),
        (lambda: AnyRetry(True), TypeError, "whole number"),
        (lambda: AnyRetry(2.5), TypeError, "whole number"),
        (lambda: AnyRetry(1, -1), ValueError, "backoff"),
        (lambda: AnyRetry(1, topic=""), TypeError, "topic"),
        (lambda: AnyRetry(1, topic=3), TypeError, "topic"),
        (lambda: AnyRetry(1, topic=True, max_backoff=3), ValueError, "max_backoff"),
        (lambda: AnyRetry(1, "soon"), ValueError, r"Retry\(backoff\) must be .*'soon'"),
        (lambda: AnyRetry(1, []), TypeError, r"Retry\(backoff\) must be .*\[\]"),
        (lambda: AnyRetry(1, 5, max_backoff=0.1), ValueError, "longest pause"),
        (lambda: AnyRetry(1, topic="a b"), ValueError, r"Retry\(topic\): illegal topic name"),
        (lambda: AnyRetry(1, then="retry"), ValueError, "several attempts"),
        (lambda: AnyRetry(1, then=None), TypeError, "then"),
        (lambda: AnyRetry(1, then=Retry(1)), ValueError, "topic=True"),
        (lambda: AnyRetry(1, topic=True, then=Retry(1)), ValueError, "in place first"),
        (lambda: AnyLetter(""), TypeError, "name of a topic"),
        (lambda: AnyLetter(3), TypeError, "name of a topic"),
        (lambda: AnyLetter("a b"), ValueError, r"DeadLetter\(topic\): illegal topic name"),
        (lambda: check_policy("retry", "it", decoding=True), ValueError, "not decoded by trying"),
        (lambda: check_policy(Retry(1), "it", decoding=True), ValueError, "not decoded by trying"),
        (lambda: check_policy("shrug", "it"), ValueError, "it must be one of crash, skip"),
        (lambda: check_policy(7, "it"), TypeError, "faust.Retry"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_sentence(make: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        make()
    assert "\n" not in str(caught.value)
