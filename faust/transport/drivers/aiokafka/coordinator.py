"""The broker that keeps a group or a transactional id: found, asked, found again when it moves."""

from __future__ import annotations

from collections.abc import Callable
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
        connections = self._cluster.connections
        failure: BaseException = ConnectionError("no node is known")
        for node in connections.likely_nodes():
            try:
                # No single node may use up the time of them all; nor may all of them exceed it.
                answer = await connections.send(
                    node,
                    FindCoordinatorRequest(self._key, self._kind),
                    timeout=min(10.0, patience.remaining),
                )
            except FOREIGN as exc:
                failure = exc
                continue
            if answer.error_code != NO_ERROR:
                raise error_for(answer.error_code, f"finding the {self.what}")
            connections.learn_node(answer.coordinator_id, (answer.host, answer.port))
            found: int = answer.coordinator_id
            return found
        raise failure
