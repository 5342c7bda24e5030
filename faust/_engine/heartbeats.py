"""Signs of life: a member says that it is there, and hears that a round has begun or it is out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from faust.exceptions import BrokerError, BrokerUnavailable, RebalanceInProgress, RejoinError

if TYPE_CHECKING:
    from faust._core.clock import Clock
    from faust.transport.membership import Membership

__all__ = ["Heartbeats"]


class Heartbeats:
    """Sends a heartbeat every so often, on the I/O loop.

    Arguments:
        clock: The time.
        membership: Of what it speaks.
        interval: Seconds between two.
        session_timeout: Seconds after which a member that is not heard of is out.
        is_due: Returns whether there is a membership that nothing else speaks for (while a round is
            joined, the join does).
        on_round: Called when a round has begun.
        on_gone: Called, with a reason, when we are out of the group.
        on_silence: Called, with a reason, when we have not been heard of for so long that we are.
        on_error: Awaited with an error that heartbeats do not survive.

    Attributes:
        last: When we were last heard of (monotonic).
    """

    def __init__(
        self,
        clock: Clock,
        membership: Membership,
        interval: float,
        session_timeout: float,
        *,
        is_due: Callable[[], bool],
        on_round: Callable[[], None],
        on_gone: Callable[[str], None],
        on_silence: Callable[[str], None],
        on_error: Callable[[BaseException], Awaitable[None]],
    ) -> None:
        self._clock = clock
        self._membership = membership
        self._interval = interval
        self._session_timeout = session_timeout
        self._is_due = is_due
        self._on_round = on_round
        self._on_gone = on_gone
        self._on_silence = on_silence
        self._on_error = on_error
        self.last = clock.monotonic()

    def heard(self) -> None:
        """The group has heard of us otherwise."""
        self.last = self._clock.monotonic()

    async def run(self) -> None:
        """Go on for ever, or until there is an error."""
        while True:
            await self._clock.sleep(self._interval)
            if not self._is_due():
                continue
            try:
                await self._membership.heartbeat()
                self.heard()
            except RebalanceInProgress:
                self.heard()
                self._on_round()
            except RejoinError as exc:
                if self._is_due():
                    self._on_gone(f"the group no longer knows us ({exc})")
            except BrokerUnavailable:
                self.check()
            except BrokerError as exc:
                await self._on_error(exc)
                return

    def check(self) -> None:
        """Notice that we have not been heard of for so long that we are out."""
        silent = self._clock.monotonic() - self.last
        if silent > self._session_timeout:
            self._on_silence(f"no heartbeat has succeeded for {silent:.0f} s")
