"""Names for who reads a topic without being an agent: each asyncio task reads it for itself."""

from __future__ import annotations

import asyncio
from weakref import ref

__all__ = ["TaskReaders"]


class TaskReaders:
    """Names the readers of the streams that no agent owns.

    The first task that reads a topic is ``stream:TOPIC``, the next ``stream:TOPIC#2``, and so on; a
    reader's position is committed under its name.  A task keeps its name, whichever streams of the
    topic it opens, and that of a task that has ended is free for the next.
    """

    def __init__(self) -> None:
        self._owners: dict[str, list[ref[asyncio.Task[object]]]] = {}

    def name(self, topic: str) -> str:
        """Return the name under which this asyncio task reads a topic."""
        task = asyncio.current_task() if asyncio._get_running_loop() else None
        if task is None:
            return _name(topic, 0)
        owners = self._owners.setdefault(topic, [])
        tasks = [owner() for owner in owners]
        if task in tasks:
            return _name(topic, tasks.index(task))
        free = (n for n, owner in enumerate(tasks) if owner is None or owner.done())
        number = next(free, len(owners))
        owners[number : number + 1] = [ref(task)]
        return _name(topic, number)


def _name(topic: str, number: int) -> str:
    return f"stream:{topic}#{number + 1}" if number else f"stream:{topic}"
