"""Faults on demand: clients that die, requests that fail or hang, hooks between any two requests.

A *client* is one opened transport; `Client.name` is its ``client_id`` and a number.  Wherever a
client is asked for, ``None`` means all of them.  A fault acts where the port is: what `Faults.fail`
plans is raised to the caller, as by a driver that has given up trying.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from faust._values import TP
from faust.exceptions import BrokerUnavailable
from faust.transport.drivers.memory.client import Client

__all__ = ["Faults", "Planned", "Request"]

#: Seconds between two looks at whether an unreachable broker can be reached again.
RETRY_PAUSE = 0.1


class Request(NamedTuple):
    """What a client asks of the broker.

    Attributes:
        kind: ``open``, ``produce``, ``fetch``, ``join``, ``sync``, ``heartbeat``, ``commit``,
        ``leave``,
            ``begin``, ``txn_offsets``, ``txn_commit``, ``txn_abort``, ``topics``, ``create_topic``,
            ``create_partitions``, ``delete_topic``, ``topic_config``, ``alter_topic_config``,
            ``offsets``, ``delete_records``, ``groups``, ``committed``, ``commit_offsets``.
        client: Name of the client.
        subject: What it is about: a `TP`, a topic, a group id, a transactional id, or "".
    """

    kind: str
    client: str
    subject: object


@dataclass
class Planned:
    """A fault that waits for its requests (see `Faults.fail`, `Faults.delay`)."""

    kind: str
    client: str | None
    left: int
    error: Exception | None = None
    is_after: bool = False
    delay: float = 0.0

    def takes(self, request: Request, *, is_after: bool) -> bool:
        """Is this request one of them?  Counts it if so."""
        if self.left <= 0 or self.is_after is not is_after or self.kind not in ("*", request.kind):
            return False
        if self.client not in (None, request.client):
            return False
        self.left -= 1
        return True


class Faults:
    """What goes wrong with one broker.

    Attributes:
        before: Called with each `Request` before it takes effect; may raise, or call `kill`.
        after: The same after it has taken effect, before the client hears of it.
        trace: If it is a list, each request is appended to it.
    """

    def __init__(self, clients: list[Client], corrupt: Callable[[TP, int], None]) -> None:
        self._all_clients = clients
        self._corrupt = corrupt
        self._planned: list[Planned] = []
        self._black_holes: list[tuple[str, str | None]] = []
        self._is_down = False
        self._before: Callable[[Request], None] | None = None
        self._after: Callable[[Request], None] | None = None
        self._trace: list[Request] | None = None
        #: Is anything planned at all?  If not, requests take the short way.
        self.is_armed = False

    # -- plans ---------------------------------------------------------------------

    def fail(
        self,
        kind: str,
        error: Exception,
        *,
        times: int = 1,
        client: str | None = None,
        after: bool = False,
    ) -> None:
        """Let the next ``times`` requests of a kind (``*``: any) raise ``error``.

        ``after``: they take effect first, and nobody hears of it.
        """
        self._plan(Planned(kind, client, times, error, after))

    def delay(
        self, kind: str, seconds: float, *, times: int = 1, client: str | None = None
    ) -> None:
        """Let the next ``times`` requests of a kind wait that long before they take effect."""
        self._plan(Planned(kind, client, times, delay=seconds))

    def black_hole(self, kind: str = "*", *, client: str | None = None) -> None:
        """Let requests of a kind go unanswered until `heal`: they end by their own time-out."""
        self._black_holes.append((kind, client))
        self._arm()

    def make_unavailable(self) -> None:
        """Let nobody reach the broker until `heal`; waiting requests go on by themselves then."""
        self._is_down = True
        self._arm()

    def heal(self) -> None:
        """End `black_hole` and `make_unavailable`, forget what `fail` and `delay` have planned."""
        self._is_down = False
        self._black_holes.clear()
        self._planned.clear()
        self._arm()

    def kill(self, client: str) -> None:
        """Let a client die: its requests, waiting ones too, never return; its session runs out."""
        for found in self._clients(client):
            found.is_killed = True
            found.wake()
        self._arm()

    def cut(self, client: str) -> None:
        """Let every further request of a client raise `BrokerUnavailable`, until `mend`."""
        for found in self._clients(client):
            found.is_cut = True
            found.wake()
        self._arm()

    def mend(self, client: str) -> None:
        """Undo `cut`."""
        for found in self._clients(client):
            found.is_cut = False
        self._arm()

    def corrupt(self, tp: TP, offset: int) -> None:
        """Damage the stored batch that holds an offset: its CRC no longer matches."""
        self._corrupt(tp, offset)

    @property
    def before(self) -> Callable[[Request], None] | None:
        """Hook before a request takes effect."""
        return self._before

    @before.setter
    def before(self, hook: Callable[[Request], None] | None) -> None:
        self._before = hook
        self._arm()

    @property
    def after(self) -> Callable[[Request], None] | None:
        """Hook after a request has taken effect."""
        return self._after

    @after.setter
    def after(self, hook: Callable[[Request], None] | None) -> None:
        self._after = hook
        self._arm()

    @property
    def trace(self) -> list[Request] | None:
        """Where requests are noted, or ``None``."""
        return self._trace

    @trace.setter
    def trace(self, trace: list[Request] | None) -> None:
        self._trace = trace
        self._arm()

    # -- what happens to a request -----------------------------------------------------

    async def admit(self, client: Client, request: Request, timeout: float) -> None:
        """Let a request through, late or never.

        Raises:
            BrokerUnavailable: it could not be sent within ``timeout`` seconds.
        """
        if self._trace is not None:
            self._trace.append(request)
        if self._before is not None:
            self._before(request)
        await client.hang_if_dead()
        await self._wait_until_reachable(client, request, timeout)
        await self._apply(client, request, is_after=False)

    async def release(self, client: Client, request: Request) -> None:
        """Let a request's answer through, or not."""
        if self._after is not None:
            self._after(request)
        await client.hang_if_dead()
        await self._apply(client, request, is_after=True)

    async def _wait_until_reachable(self, client: Client, request: Request, timeout: float) -> None:
        deadline = client.clock.monotonic() + timeout
        while self._is_unreachable(request):
            if client.clock.monotonic() >= deadline:
                raise BrokerUnavailable(f"no answer to {request.kind} within {timeout} s")
            await client.clock.sleep(min(RETRY_PAUSE, timeout))
            await client.hang_if_dead()

    def _is_unreachable(self, request: Request) -> bool:
        return self._is_down or any(
            kind in ("*", request.kind) and client in (None, request.client)
            for kind, client in self._black_holes
        )

    async def _apply(self, client: Client, request: Request, *, is_after: bool) -> None:
        planned = next((p for p in self._planned if p.takes(request, is_after=is_after)), None)
        if planned is None:
            return
        if planned.left <= 0:
            self._planned.remove(planned)
            self._arm()
        if planned.error is not None:
            raise planned.error
        await client.clock.sleep(planned.delay)
        await client.hang_if_dead()

    def _plan(self, planned: Planned) -> None:
        self._planned.append(planned)
        self._arm()

    def _clients(self, name: str) -> list[Client]:
        found = [c for c in self._all_clients if name in (c.name, c.client_id)]
        if not found:
            raise ValueError(f"no client {name!r}; there are {[c.name for c in self._all_clients]}")
        return found

    def _arm(self) -> None:
        self.is_armed = bool(
            self._planned
            or self._black_holes
            or self._is_down
            or self._before
            or self._after
            or self._trace is not None
            or any(client.is_killed or client.is_cut for client in self._all_clients)
        )
