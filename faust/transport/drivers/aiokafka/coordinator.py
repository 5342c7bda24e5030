"""The broker that keeps a group: found, asked, and found again when it moves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiokafka.protocol.coordination import FindCoordinatorRequest

from faust.exceptions import BrokerError
from faust.transport.drivers.aiokafka.cluster import Cluster
from faust.transport.drivers.aiokafka.errors import (
    COORDINATOR_MOVED,
    FOREIGN,
    NO_ERROR,
    error_for,
    may_be_retried,
)
from faust.transport.drivers.aiokafka.patience import Patience

__all__ = ["Coordinator"]

_GROUP = 0


def _own_code(answer: Any) -> int:
    code: int = answer.error_code
    return code


class Coordinator:
    """The coordinator of one group.

    Arguments:
        cluster: Where to look for it.
        group_id: The group.
        lane: Name of the connection that its requests go by.
    """

    def __init__(self, cluster: Cluster, group_id: str, lane: str = "groups") -> None:
        self._cluster = cluster
        self._group_id = group_id
        self._lane = lane
        self._node: int | None = None

    async def ask(
        self,
        request: Any,
        what: str,
        *,
        lane: str | None = None,
        waits_seconds: float = 0.0,
        seconds: float | None = None,
        code_of: Callable[[Any], int] = _own_code,
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

        Raises:
            BrokerUnavailable: nobody took it in time.
        """
        timeout = seconds or self._cluster.options.request_timeout
        patience = Patience(
            f"{what} of group {self._group_id!r}", timeout, self._cluster.options.clock
        )
        while True:
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
                await patience.after(exc)
                continue
            code = code_of(answer)
            if code == NO_ERROR or not may_be_retried(code):
                return answer
            if code in COORDINATOR_MOVED:
                self._node = None
            await patience.after(error_for(code, what))

    async def _find(self, patience: Patience) -> int:
        while self._node is None:
            try:
                self._node = await self._find_once()
            except (*FOREIGN, BrokerError, NotImplementedError) as exc:
                await patience.after(exc)
        return self._node

    async def _find_once(self) -> int:
        connections = self._cluster.connections
        failure: BaseException = ConnectionError("no node is known")
        for node in connections.likely_nodes():
            try:
                answer = await connections.send(
                    node, FindCoordinatorRequest(self._group_id, _GROUP), timeout=10.0
                )
            except FOREIGN as exc:
                failure = exc
                continue
            if answer.error_code != NO_ERROR:
                raise error_for(answer.error_code, f"finding the group {self._group_id!r}")
            connections.learn_node(answer.coordinator_id, (answer.host, answer.port))
            found: int = answer.coordinator_id
            return found
        raise failure
