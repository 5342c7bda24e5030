"""Requests under way at nodes, and which of them are held by a node that has lost its leadership.

Decisions only: no socket, no clock.

A node that hangs (its process is stopped, or the network swallows packets) answers nothing and
refuses nothing, and the cluster does without it after some nine seconds.  So what is under way
there must not wait for its time-out (90 seconds):

* Who has been waiting for an answer for `UNANSWERED_SECONDS` asks for metadata, again and again.
* When these name another leader for a partition, its batch is *given up*: it is taken out of its
  request, so that nothing that this request may still be answered counts.  The batch is in doubt
  then, as after a broken connection, and `lines` sends it again with the same numbers: a leader
  that has it in its log acknowledges it again, and one that has not appends it (KIP-98).
* A request that nothing is left of counts no longer.  What it carried may still be read by its
  node, when that wakes up: a former leader cannot commit it, and one that leads again finds that
  its sequence number is not the next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["UNANSWERED_SECONDS", "Request", "UnderWay", "has_moved"]

#: Without an answer for so long, it is asked whether others have taken over from the node.
UNANSWERED_SECONDS = 2.0

Part = TypeVar("Part")
LeaderOf = Callable[[Part], int | None]


class Request(Generic[Part]):
    """One request.

    Attributes:
        node: Where it is.
        lane: The connection it went by.
        since: When it was sent, on the transport's clock.
        parts: What it asks for, without what was given up.
        task: Who waits for the answer.
    """

    __slots__ = ("lane", "node", "parts", "since", "task")

    def __init__(self, node: int, lane: str, since: float, parts: list[Part]) -> None:
        self.node, self.lane, self.since = node, lane, since
        self.parts = parts
        self.task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Request [node {self.node} | {len(self.parts)} partitions]>"


class UnderWay(Generic[Part]):
    """All requests of one producer, or of one reader."""

    def __init__(self) -> None:
        self._requests: dict[Request[Part], None] = {}
        self._counts: dict[int, int] = {}

    def __repr__(self) -> str:
        return f"<UnderWay [{len(self._requests)} requests]>"

    def __len__(self) -> int:
        return len(self._requests)

    def at(self, node: int) -> int:
        """Return how many requests are under way at a node."""
        return self._counts.get(node, 0)

    def add(self, request: Request[Part]) -> None:
        """Note that a request is under way."""
        self._requests[request] = None
        self._counts[request.node] = self.at(request.node) + 1

    def remove(self, request: Request[Part]) -> None:
        """Note that it is over; once it is, nothing changes."""
        if request in self._requests:
            del self._requests[request]
            self._counts[request.node] -= 1

    def lanes_at(self, node: int) -> set[str]:
        """Return which connections to a node are in use."""
        return {request.lane for request in self._requests if request.node == node}

    def __contains__(self, request: Request[Part]) -> bool:
        return request in self._requests

    def tasks(self) -> list[asyncio.Task[None]]:
        """Return who waits for answers."""
        return [request.task for request in self._requests if request.task is not None]

    def unanswered(self, now: float) -> list[Request[Part]]:
        """Return those that have been waiting for too long."""
        return [r for r in self._requests if now - r.since >= UNANSWERED_SECONDS]

    def give_up(self, leader_of: LeaderOf[Part]) -> tuple[list[Part], list[Request[Part]]]:
        """Take out what is led by another node by now.

        Returns:
            What was taken out, in the order it was sent, and the requests that nothing is left of,
            which are not under way any more.
        """
        lost: list[Part] = []
        empty: list[Request[Part]] = []
        for request in list(self._requests):
            kept: list[Part] = []
            for part in request.parts:
                (lost if _is_elsewhere(part, request, leader_of) else kept).append(part)
            request.parts = kept
            if not kept:
                self.remove(request)
                empty.append(request)
        return lost, empty


def has_moved(request: Request[Part], leader_of: LeaderOf[Part]) -> bool:
    """Is anything that a request asks for led by another node by now?"""
    return any(_is_elsewhere(part, request, leader_of) for part in request.parts)


def _is_elsewhere(part: Part, request: Request[Part], leader_of: LeaderOf[Part]) -> bool:
    return leader_of(part) not in (request.node, None)
