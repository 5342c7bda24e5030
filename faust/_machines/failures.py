"""What becomes of an event that failed: what users wrote, resolved; and the next step, decided."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from faust._machines.retry import Attempts, RetryPolicy
from faust._values.policies import DeadLetter, Policy, Retry
from faust.utils.times import want_seconds

__all__ = ["Again", "Aside", "Detour", "Failures", "Fate", "Plan", "Step", "plan_for"]

#: Seconds until an event comes back from a retry topic, unless said otherwise.
DETOUR_PAUSE = 60.0


class Fate(Enum):
    """How it ends with an event that kept failing."""

    #: The worker stops, and the event is not committed: nothing is lost.
    CRASH = "crash"
    #: It is logged and counted, and left out: it counts as finished, without effects.
    SKIP = "skip"
    #: It goes to a topic of dead letters, and is left out.
    DEAD_LETTER = "dead_letter"


@dataclass(frozen=True)
class Detour:
    """Attempts by way of a retry topic.

    Attributes:
        times: How often.
        pause: Seconds from each failure until the event comes back, at least.
        topic: The topic's name, where one was given.
    """

    times: int
    pause: float
    topic: str | None = None


@dataclass(frozen=True)
class Plan:
    """A policy, resolved.

    Attributes:
        in_place: Attempts while others wait, at each visit.
        detour: Attempts by way of a topic, after those.
        fate: What comes when all have failed.
        letters: Name of the topic for dead letters, where one was given.
    """

    in_place: RetryPolicy
    detour: Detour | None
    fate: Fate
    letters: str | None = None


@dataclass(frozen=True)
class Again:
    """Hand the event out again after ``delay`` seconds."""

    delay: float


@dataclass(frozen=True)
class Aside:
    """Put the event into the retry topic.

    Attributes:
        number: Which of its detours this is, from 1.
        pause: Seconds until it may come back.
    """

    number: int
    pause: float


Step: TypeAlias = Again | Aside | Fate


def plan_for(policy: Policy, crash: RetryPolicy) -> Plan:
    """Resolve a policy.

    Arguments:
        crash: How often, and when, an event is tried again under the bare word ``crash``; its
            delays are the defaults of `Retry`, too.
    """
    if policy == "crash":
        return Plan(crash, None, Fate.CRASH)
    in_place, detour = RetryPolicy(retries=0), None
    end: Policy = policy
    if isinstance(end, Retry) and not end.topic:
        in_place, end = _in_place(end, crash), end.then
    if isinstance(end, Retry):
        detour, end = _detour(end), end.then
    if isinstance(end, DeadLetter):
        return Plan(in_place, detour, Fate.DEAD_LETTER, end.topic)
    assert isinstance(end, str)
    return Plan(in_place, detour, Fate(end))


def _in_place(retry: Retry, defaults: RetryPolicy) -> RetryPolicy:
    given, longest = retry.backoff, retry.max_backoff
    first = defaults.first_delay if given is None else want_seconds(given)
    most = max(first, defaults.max_delay) if longest is None else want_seconds(longest)
    return RetryPolicy(retries=retry.retries, first_delay=first, max_delay=most)


def _detour(retry: Retry) -> Detour:
    pause = DETOUR_PAUSE if retry.backoff is None else want_seconds(retry.backoff)
    return Detour(retry.retries, pause, retry.topic if isinstance(retry.topic, str) else None)


class Failures:
    """The failures of one event at one visit, and what comes next.

    Attributes:
        plan: What was resolved.
        count: Attempts that have failed since the event came.
    """

    __slots__ = ("_attempts", "plan")

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._attempts = Attempts(plan.in_place)

    @property
    def count(self) -> int:
        """Attempts that have failed at this visit."""
        return self._attempts.failures

    def failed(self, detours: int = 0) -> Step:
        """An attempt has failed: return what is to be done.

        Arguments:
            detours: How often the event has come by the retry topic already.
        """
        delay = self._attempts.failed()
        if delay is not None:
            return Again(delay)
        detour = self.plan.detour
        if detour is not None and detours < detour.times:
            return Aside(detours + 1, detour.pause)
        return self.plan.fate

    def __repr__(self) -> str:
        return f"<Failures {self.count} of {self.plan}>"
