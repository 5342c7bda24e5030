"""Connections to the nodes of a cluster, one for each node and lane.

A broker answers the requests of one connection one after the other, so whatever may wait at the
broker (a fetch, a join) has a lane of its own, and nothing else ever waits behind it.

What any node can answer is asked of one after the other, and of the next one without waiting for
long: a node that hangs refuses nothing.  Who was late is asked last, until it answers something.

We stand on ``aiokafka.conn.AIOKafkaConnection`` (framing, version negotiation, TLS, SASL) and not
on ``AIOKafkaClient``: the client connects to all nodes under one lock (a node that swallows packets
would stop everything for a whole time-out), reads no topic ids, asks for the metadata of all
topics, and logs an error at every attempt.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka.conn import AIOKafkaConnection, CloseReason

from faust.transport.base import TransportOptions
from faust.transport.drivers.aiokafka.errors import FOREIGN, may_be_retried
from faust.transport.drivers.aiokafka.security import connection_arguments

__all__ = ["Address", "Connections", "NodeUnknown"]

log = logging.getLogger(__name__)

Address = tuple[str, int]

#: A node that does not even accept a connection in this time is treated as down.
CONNECT_SECONDS = 10.0
#: Requests have their own time-outs; aiokafka's must never be the first to fire.
_NEVER_MS = 24 * 3600 * 1000
_CLOSE_SECONDS = 2.0
#: Without an answer from one node for so long, `Connections.send_to_any` asks the next one, too.
HEDGE_SECONDS = 1.5
#: And for so long it waits for each.
_ANSWER_SECONDS = 10.0
#: aiokafka's stream stops reading at twice its limit (64 KiB); answers here are megabytes.
_READ_LIMIT_BYTES = 1 << 20


class _Once(logging.Filter):
    """Lets a warning through once: aiokafka repeats that of clear passwords at each connection."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Has this warning not been seen yet?"""
        if record.levelno != logging.WARNING:
            return True
        message = record.getMessage()
        new = message not in self._seen
        self._seen.add(message)
        return new


class NodeUnknown(ConnectionError):
    """The metadata names no such node (any more)."""


class Connections:
    """All connections of one transport.

    Arguments:
        bootstrap: Where to ask first; these get negative node ids.
        options: Client id, credentials, time-outs.
    """

    def __init__(self, bootstrap: Iterable[Address], options: TransportOptions) -> None:
        self.bootstrap: dict[int, Address] = {-1 - n: a for n, a in enumerate(bootstrap)}
        self._nodes: dict[int, Address] = {}
        self._options = options
        self._security = connection_arguments(options.credentials)
        self._open: dict[tuple[int, str], Any] = {}
        self._locks: dict[tuple[int, str], asyncio.Lock] = {}
        self._down: set[Address] = set()
        self._late: set[Address] = set()
        self._asking: set[asyncio.Task[Any]] = set()
        self._closed = True
        self._filter = _Once()

    def __repr__(self) -> str:
        return f"<Connections [{len(self._open)} open | {len(self._nodes)} nodes]>"

    @property
    def nodes(self) -> Mapping[int, Address]:
        """The nodes that the metadata names."""
        return self._nodes

    def open(self) -> None:
        """Allow connections, until `close`."""
        self._closed = False
        logging.getLogger("aiokafka.conn").addFilter(self._filter)

    def update_nodes(self, nodes: Mapping[int, Address]) -> None:
        """Take over what the metadata says of the nodes."""
        self._nodes = dict(nodes)

    def learn_node(self, node: int, address: Address) -> None:
        """Take over one node that another answer named."""
        self._nodes[node] = address

    def likely_nodes(self) -> list[int]:
        """Return all nodes, the bootstrap ones last, those down or late after the others."""
        everyone = [*self._nodes.items(), *self.bootstrap.items()]
        away = self._down | self._late
        everyone.sort(key=lambda item: (item[1] in away, item[0] < 0))
        return [node for node, _ in everyone]

    async def send(
        self, node: int, request: Any, *, lane: str = "main", timeout: float | None = None
    ) -> Any:
        """Send a request and return the answer.

        A request that is late costs the connection: what else waits on it is as late.

        Raises:
            OSError, aiokafka.errors.KafkaError: see `errors.FOREIGN`.
        """
        connection = await self.connection(node, lane)
        try:
            async with asyncio.timeout(timeout or self._options.request_timeout):
                answer = await connection.send(request)
        except TimeoutError:
            self._late.add((connection.host, connection.port))
            connection.close(reason=CloseReason.CONNECTION_TIMEOUT)
            raise
        if self._late:
            self._late.discard((connection.host, connection.port))
        return answer

    async def send_to_any(
        self, request: Any, *, lane: str = "main", timeout: float = _ANSWER_SECONDS
    ) -> Any:
        """Send a request that every node can answer, and return the first answer.

        The next node is asked as soon as one fails, or has not answered within 1.5 seconds; each
        of them has ``timeout`` seconds.

        Raises:
            OSError, aiokafka.errors.KafkaError: see `errors.FOREIGN`; the last failure of all.
        """
        timeout = min(timeout, self._options.request_timeout)
        failure: BaseException | None = None
        nodes = self.likely_nodes()
        waiting: set[asyncio.Task[Any]] = set()
        while nodes or waiting:
            if nodes:
                waiting.add(self._ask_aside(nodes.pop(0), request, lane, timeout))
            patience = HEDGE_SECONDS if nodes else None
            done, waiting = await asyncio.wait(
                waiting, timeout=patience, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                failure = _failure_of(task)
                if failure is None:
                    return task.result()
                if not may_be_retried(failure):
                    raise failure
        raise failure or ConnectionError("no node is known")

    def _ask_aside(self, node: int, request: Any, lane: str, timeout: float) -> asyncio.Task[Any]:
        """Ask a node in a task that outlives who wants to know.

        So a node that was late is heard when it answers after all, and if it never does, this
        costs the connection.
        """

        async def ask() -> Any:
            late = asyncio.get_running_loop().call_later(HEDGE_SECONDS, self._note_late, node)
            try:
                return await self.send(node, request, lane=lane, timeout=timeout)
            finally:
                late.cancel()

        task = asyncio.create_task(ask(), name=f"kafka {lane} {node} ask")
        self._asking.add(task)
        task.add_done_callback(self._asked)
        return task

    def _asked(self, task: asyncio.Task[Any]) -> None:
        self._asking.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waits for it hears of it

    def _note_late(self, node: int) -> None:
        address = self._nodes.get(node) or self.bootstrap.get(node)
        if address is not None:
            self._late.add(address)

    async def send_unanswered(self, node: int, request: Any, *, lane: str) -> None:
        """Send a request that gets no answer (Produce with ``acks=0``)."""
        connection = await self.connection(node, lane)
        await connection.send(request, expect_response=False)

    def supports(self, node: int, lane: str, api_key: int, version: int) -> bool:
        """Does the node speak this version?  Known once it is connected."""
        connection = self._open.get((node, lane))
        low, high = connection._versions.get(api_key, (0, -1)) if connection else (0, -1)
        return bool(low <= version <= high)

    async def connection(self, node: int, lane: str) -> Any:
        """Return the open connection to a node, or open one."""
        key = (node, lane)
        address = self._address(node)
        ready = self._open.get(key)
        if ready is not None and ready.connected() and (ready.host, ready.port) == address:
            return ready
        async with self._locks.setdefault(key, asyncio.Lock()):
            ready = self._open.get(key)
            if ready is not None and ready.connected() and (ready.host, ready.port) == address:
                return ready
            if ready is not None:
                ready.close()
            self._open[key] = connection = await self._connect(address)
            return connection

    def drop_lane(self, lane: str, *, abort: bool = False) -> None:
        """Close a lane's connections; ``abort`` throws away what is still to be sent."""
        for key in [key for key in self._open if key[1] == lane]:
            connection = self._open.pop(key)
            self._locks.pop(key, None)
            if abort and connection._writer is not None:
                connection._writer.transport.abort()
            connection.close()

    def drop(self, node: int, lane: str) -> None:
        """Close one connection, if it is there; what waits on it fails."""
        connection = self._open.pop((node, lane), None)
        if connection is not None:
            if connection._writer is not None:
                connection._writer.transport.abort()
            connection.close()

    async def close(self) -> None:
        """Close all connections."""
        self._closed = True
        for task in self._asking:
            task.cancel()
        if self._asking:
            await asyncio.wait(self._asking)
        logging.getLogger("aiokafka.conn").removeFilter(self._filter)
        closing = [c.close(reason=CloseReason.SHUTDOWN) for c in self._open.values()]
        self._open.clear()
        futures = [future for future in closing if future is not None]
        if futures:
            await asyncio.wait(futures, timeout=_CLOSE_SECONDS)

    # -- inside ----------------------------------------------------------------

    def _address(self, node: int) -> Address:
        address = self._nodes.get(node) or self.bootstrap.get(node)
        if self._closed:
            raise ConnectionError("the transport is closed")
        if address is None:
            raise NodeUnknown(f"node {node} is not (or no longer) part of the cluster")
        return address

    async def _connect(self, address: Address) -> Any:
        options = self._options
        connection = AIOKafkaConnection(
            *address,
            client_id=options.client_id,
            request_timeout_ms=_NEVER_MS,
            max_idle_ms=int(options.connections_max_idle * 1000),
            **({"security_protocol": "PLAINTEXT"} | self._security),
        )
        try:
            async with asyncio.timeout(min(CONNECT_SECONDS, options.request_timeout)):
                await connection.connect()
        except FOREIGN as exc:
            self._note_down(address, exc)
            raise
        self._note_up(address)
        reader: Any = connection._reader
        if reader is not None:
            reader._limit = _READ_LIMIT_BYTES
        return connection

    def _note_down(self, address: Address, exc: BaseException) -> None:
        if address not in self._down and may_be_retried(exc):
            self._down.add(address)
            reason = str(exc) or type(exc).__name__
            log.warning("Kafka at %s:%s cannot be reached; trying again: %s", *address, reason)

    def _note_up(self, address: Address) -> None:
        if address in self._down:
            self._down.discard(address)
            log.warning("Kafka at %s:%s is reached again", *address)


def _failure_of(task: asyncio.Task[Any]) -> BaseException | None:
    return ConnectionError("the transport is closed") if task.cancelled() else task.exception()
