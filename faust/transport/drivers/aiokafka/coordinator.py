"""The broker that keeps a group or a transactional id: found, asked, found again when it moves.

**A coordinator that hangs** says nothing at all, and after some nine seconds the cluster has
another one.  So while an answer is waited for, other nodes are asked every few seconds who the
coordinator is; when they name another node, the request is given up, its connection is closed, and
the same request goes to the other node.  Whether the first one took effect is unknown then, as
after a broken connection, and that is all that callers have to cope with:

* What a coordinator has answered, or done that others can see, was in the replicated log (of
  offsets, of transactions) before; the next coordinator reads it there.  What was not in that log
  has not happened, and never will: a coordinator that has lost its partition cannot append to it,
  and the markers it might still send are refused (they carry its epoch).
* One that wakes up reads old requests at once, and coordinates again (if at all) minutes later.
  Should it do both at a time, it takes them as repeated ones: those of a former generation or
  epoch are refused, others change nothing that was decided.  Only offsets have no sequence number.
  Outside of transactions they are at most older than what was committed since (at least once);
  inside they could get into the *next* transaction of the same epoch, so a producer asks for a new
  epoch after a transaction whose offsets may have been sent twice (`transactions`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.protocol.coordination import FindCoordinatorRequest

from faust.exceptions import BrokerError, BrokerUnavailable
from faust.transport.drivers.aiokafka.cluster import Cluster
from faust.transport.drivers.aiokafka.errors import (
    COORDINATOR_MOVED,
    FOREIGN,
    NO_ERROR,
    error_for,
    may_be_retried,
)
from faust.transport.drivers.aiokafka.patience import Patience

__all__ = ["GROUP", "TRANSACTION", "Coordinator"]

#: Kinds of coordinators, as the protocol numbers them.
GROUP, TRANSACTION = 0, 1
_NAMES = {GROUP: "group", TRANSACTION: "transactional id"}
#: Given to ``on_retry`` for an attempt that got no answer.
NO_ANSWER = -2
#: Seconds without an answer after which it is asked whether the coordinator is another node, and
#: seconds between two such questions.
LOOK_SECONDS, LOOK_AGAIN_SECONDS = 2.0, 1.0


def _own_code(answer: Any) -> int:
    code: int = answer.error_code
    return code


class Coordinator:
    """The coordinator of one group, or of one transactional id.

    Arguments:
        cluster: Where to look for it.
        key: The group's id, or the transactional id.
        lane: Name of the connection that its requests go by.
        kind: `GROUP` or `TRANSACTION`.
    """

    def __init__(self, cluster: Cluster, key: str, lane: str = "groups", kind: int = GROUP) -> None:
        self._cluster = cluster
        self._key, self._kind = key, kind
        self._lane = lane
        self._node: int | None = None
        self._closed = False

    @property
    def what(self) -> str:
        """Whose it is, for messages."""
        return f"{_NAMES[self._kind]} {self._key!r}"

    def close(self) -> None:
        """Send nothing any more; who asks hears `BrokerUnavailable`."""
        self._closed = True

    async def ask(
        self,
        request: Any,
        what: str,
        *,
        lane: str | None = None,
        waits_seconds: float = 0.0,
        seconds: float | None = None,
        code_of: Callable[[Any], int] = _own_code,
        on_retry: Callable[[int], object] | None = None,
        first_pause: float = 0.1,
    ) -> Any:
        """Send a request to the coordinator until it takes it; return its answer.

        Arguments:
            request: What to send; it may arrive twice.
            what: For messages.
            lane: Another connection, for a request that waits at the broker.
            waits_seconds: For how long it may wait there.
            seconds: How long to try; the transport's ``request_timeout`` by default.
            code_of: Finds the error code in an answer.  Codes that do not pass by themselves are
                left to the caller.
            on_retry: Told of each attempt that has to be made again: its error code, or
                `NO_ANSWER`.
            first_pause: Seconds before the second attempt; then they double.

        Raises:
            BrokerUnavailable: nobody took it in time.
        """
        timeout = seconds or self._cluster.options.request_timeout
        patience = Patience(
            f"{what} of {self.what}", timeout, self._cluster.options.clock, first_pause
        )
        while True:
            if self._closed:
                raise BrokerUnavailable(f"{what} of {self.what}: closed")
            try:
                node = await self._find(patience)
                async with self._until_moved(node, lane or self._lane):
                    answer = await self._cluster.connections.send(
                        node,
                        request,
                        lane=lane or self._lane,
                        timeout=patience.remaining + waits_seconds,
                    )
            except (*FOREIGN, NotImplementedError) as exc:
                self._node = None
                if on_retry is not None:
                    on_retry(NO_ANSWER)
                await patience.after(exc)
                continue
            code = code_of(answer)
            if code == NO_ERROR or not may_be_retried(code):
                return answer
            if code in COORDINATOR_MOVED:
                self._node = None
            if on_retry is not None:
                on_retry(code)
            await patience.after(error_for(code, what))

    async def _find(self, patience: Patience) -> int:
        while self._node is None:
            try:
                self._node = await self._find_once(patience)
            except (*FOREIGN, BrokerError, NotImplementedError) as exc:
                await patience.after(exc)
        return self._node

    async def _find_once(self, patience: Patience) -> int:
        # No single node may use up the time of them all; nor may all of them exceed it.
        seconds = min(10.0, patience.remaining)
        connections = self._cluster.connections
        request = FindCoordinatorRequest(self._key, self._kind)
        answer = await connections.send_to_any(request, timeout=seconds)
        if answer.error_code != NO_ERROR:
            raise error_for(answer.error_code, f"finding the {self.what}")
        connections.learn_node(answer.coordinator_id, (answer.host, answer.port))
        found: int = answer.coordinator_id
        return found

    @asynccontextmanager
    async def _until_moved(self, node: int, lane: str) -> AsyncIterator[None]:
        """Bound what is waited for at a node: it ends when another node is the coordinator.

        Raises:
            TimeoutError: it is.
        """
        moved = False
        looking: asyncio.Task[None] | None = None

        async def look(limit: asyncio.Timeout) -> None:
            nonlocal moved
            while not moved:
                moved = await self._is_elsewhere(node)
                await asyncio.sleep(0 if moved else LOOK_AGAIN_SECONDS)
            limit.reschedule(asyncio.get_running_loop().time())

        def start() -> None:
            nonlocal looking
            looking = asyncio.create_task(look(limit), name=f"kafka coordinator of {self.what}")

        try:
            async with asyncio.timeout(None) as limit:
                timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, start)
                try:
                    yield
                finally:
                    timer.cancel()
                    if looking is not None:
                        looking.cancel()
        finally:
            if moved:  # what lies in its buffer must not go out later
                self._cluster.connections.drop(node, lane)
                self._cluster.refresh_soon()  # it may have led partitions, too

    async def _is_elsewhere(self, node: int) -> bool:
        patience = Patience("looking for it", LOOK_SECONDS, self._cluster.options.clock)
        try:
            return await self._find_once(patience) != node
        except (*FOREIGN, BrokerError, NotImplementedError):
            return False  # nobody knows at the moment
