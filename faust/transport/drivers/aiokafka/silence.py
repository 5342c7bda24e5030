"""Since when nobody has answered a reader, and what went wrong last.

Two clocks, because two things can be wrong.  *Failing*: requests end with an error, or a partition
has no leader; after ``request_timeout`` of that, a reader that waits raises.  *Unheard*: nobody
answers at all, because a node hangs and neither refuses nor closes anything; whoever watches the
reader may ask.
"""

from __future__ import annotations

from faust._core.clock import Clock
from faust.exceptions import BrokerUnavailable
from faust.transport.drivers.aiokafka.under_way import UNANSWERED_SECONDS

__all__ = ["Silence"]


class Silence:
    """How long a reader has had no answer.

    Arguments:
        clock: Where the time comes from.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failing_since: float | None = None
        self._failure: BaseException | None = None
        #: When a broker last answered, or was not asked for anything.
        self._heard_at = clock.monotonic()

    def answered(self) -> None:
        """A node has answered."""
        self._failing_since = None
        self._heard_at = self._clock.monotonic()

    def failed(self, failure: BaseException) -> None:
        """A request has failed, or could not be made."""
        self._failure = failure
        if self._failing_since is None:
            self._failing_since = self._clock.monotonic()

    def nothing_asked(self) -> None:
        """Nobody has to answer anything at the moment."""
        self._heard_at = self._clock.monotonic()

    def unheard_since(self) -> float | None:
        """Return since when no node has answered, if that is longer than a fetch may wait."""
        silent = self._clock.monotonic() - self._heard_at > UNANSWERED_SECONDS
        return self._heard_at if silent else None

    def raise_after(self, seconds: float, partitions: int) -> None:
        """Give up on a reader of so many partitions if it has failed for so long.

        Raises:
            BrokerUnavailable: it has.
        """
        since = self._failing_since
        if since is not None and self._clock.monotonic() - since >= seconds:
            raise BrokerUnavailable(
                f"no leader of any of {partitions} partitions has answered for "
                f"{self._clock.monotonic() - since:.0f} s: {self._failure}"
            ) from self._failure
