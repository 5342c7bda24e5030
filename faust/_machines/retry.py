"""Trying again: how often, and how far apart."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Attempts", "RetryPolicy", "backoff"]


@dataclass(frozen=True)
class RetryPolicy:
    """How an event is tried again.

    Attributes:
        retries: Attempts after the first one; 0 for none.
        first_delay: Seconds before the first of them.
        factor: Each delay is so many times the one before it; at least 1.
        max_delay: No delay is longer (seconds).

    Raises:
        ValueError: a value makes no sense; the message names it.
    """

    retries: int = 5
    first_delay: float = 0.1
    factor: float = 2.0
    max_delay: float = 5.0

    def __post_init__(self) -> None:
        if self.retries < 0:
            raise ValueError(f"retries must be 0 or more, not {self.retries}")
        if not (self.first_delay >= 0 and self.max_delay >= 0):
            raise ValueError(
                f"delays must be 0 or more, not {self.first_delay} and {self.max_delay}"
            )
        if not self.factor >= 1:
            raise ValueError(f"factor must be 1 or more, not {self.factor}")


class Attempts:
    """The attempts at one event.

    Attributes:
        policy: How often, and how far apart.
        failures: Attempts that have failed.
    """

    __slots__ = ("_delay", "failures", "policy")

    def __init__(self, policy: RetryPolicy) -> None:
        self.policy = policy
        self.failures = 0
        self._delay = policy.first_delay

    def failed(self) -> float | None:
        """An attempt has failed: return the seconds until the next, ``None`` if there is none."""
        self.failures += 1
        if self.failures > self.policy.retries:
            return None
        delay = min(self._delay, self.policy.max_delay)
        self._delay = delay * self.policy.factor
        return delay

    def reset(self) -> None:
        """The next event begins with all its attempts."""
        self.failures = 0
        self._delay = self.policy.first_delay

    def __repr__(self) -> str:
        return f"<Attempts {self.failures} of {self.policy.retries + 1} failed>"


def backoff(attempt: int, first: float, cap: float, jitter: float = 0.0) -> float:
    """Return the seconds to wait before a request to a broker is sent again.

    The wait doubles with each attempt from ``first`` up to ``cap``; jitter takes up to half of it
    away, so that workers that lost a broker together do not come back together.

    Arguments:
        attempt: Failures so far, from 1.
        first: Seconds after the first failure, before jitter.
        cap: Never more than this.
        jitter: A random number in [0, 1); 0 for none.
    """
    # Doubling 64 times leaves any cap behind; beyond 1,023 a float could not hold the power.
    doublings = min(max(attempt - 1, 0), 64)
    return min(cap, first * 2.0**doublings) * (1.0 - jitter / 2.0)
