"""The running instances of an agent: started, cancelled, started again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from faust._values import TP
from faust.agents.actor import Actor

if TYPE_CHECKING:
    from faust._context import AppContext
    from faust._feeds import Feed
    from faust.streams import Stream

__all__ = ["Instances"]


class Instances:
    """The part of `faust.Agent` that runs its function, as often as it is to run.

    Attributes:
        actors: The instances.
    """

    app: AppContext
    name: str
    stream: Callable[..., Stream[Any]]
    declare_topics: Callable[[list[Stream[Any]]], None]
    actors: list[Actor]
    _running: list[asyncio.Task[None]]

    def _start_isolated(self, tp: TP, feed: Feed) -> None:
        """The first batch of a partition has come: start the instance that has it for itself."""
        stream = self.stream(concurrency_index=tp.partition, feed=feed)
        self._start_actor(stream, tp.partition)

    def _start_actor(self, stream: Stream[Any], index: int | None) -> None:
        agent: Any = self
        actor = Actor(agent, stream, index)
        self.actors.append(actor)
        self._spawn(actor.run(), f"agent:{self.name}#{index or 0}")

    def add_forwarder(self, stream: Stream[Any]) -> None:
        """Run what a ``group_by`` or ``through`` of one of its streams forwards."""
        forward = stream.forward
        assert forward is not None
        if stream.forwarded_to is not None:
            self.declare_topics([stream.forwarded_to])
        clone = _Forwarder(self, stream, forward)
        self.actors.append(clone)
        self._spawn(clone.run(), f"agent:{self.name}:forward")

    def _spawn(self, coroutine: Any, name: str) -> None:
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._running.append(task)
        task.add_done_callback(self._actor_done)

    def _actor_done(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or task.exception() is None:
            return
        app: Any = self.app
        app.on_agent_crashed(self, task.exception())

    def cancel(self) -> None:
        """End its instances now; what they have in progress is not committed."""
        for task in self._running:
            task.cancel()

    async def _end_instances(self) -> None:
        self.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        self._running.clear()

    @property
    def settled(self) -> bool:
        """Have all its instances come to their first iteration?"""
        return all(actor.settled for actor in self.actors)

    def streams(self) -> list[Stream[Any]]:
        """Return the streams of its instances, those behind ``group_by`` included."""
        found: list[Stream[Any]] = []
        for actor in self.actors:
            found.append(actor.stream)
            if actor.stream.forwarded_to is not None:
                found.append(actor.stream.forwarded_to)
        return list(dict.fromkeys(found))

    def streams_in_progress(self) -> list[Stream[Any]]:
        """Return, for each of its instances, the stream whose event is being processed."""
        return [actor.current_stream() for actor in self.actors if not actor.ended]


class _Forwarder(Actor):
    """The part of an agent that forwards a stream to another topic."""

    def __init__(self, agent: Any, stream: Stream[Any], forward: Callable[[], Any]) -> None:
        super().__init__(agent, stream)
        self._forward = forward

    @property
    def settled(self) -> bool:
        return self.ended or self.stream.started_iteration

    def current_stream(self) -> Stream[Any]:
        return self.stream

    async def _run_once(self) -> None:
        await self._forward()
