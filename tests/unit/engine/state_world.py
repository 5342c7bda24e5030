"""Workers that count words, on one memory broker, in virtual time."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from faust._core.threads import LoopBridge
from faust._machines import commits
from faust._values import TP
from faust.app.base import App
from faust.testing.broker import find_broker, forget_broker
from faust.testing.clock import VirtualClock
from faust.transport.base import TopicSpec
from faust.transport.records import new_builder

CHANGELOG = "words-counts-changelog"

_numbers = itertools.count()


class StateWorld:
    """One broker, a topic of words, and any number of workers that count them."""

    def __init__(self, directory: Path, partitions: int = 2) -> None:
        self._name = f"state-{next(_numbers)}"
        self.broker: Any = find_broker(self._name)
        self.directory = directory
        self.partitions = partitions
        self.broker.create_topic(TopicSpec("words", partitions))

    def forget(self) -> None:
        """Drop the broker."""
        forget_broker(self._name)

    def worker(self, name: str, *, store: str = "memory://", **settings: Any) -> App:
        """Make a worker with a data directory of its own; one of the same name has the same."""
        settings.setdefault("datadir", str(self.directory / name))
        app = App(
            "words",
            broker=self.broker.url,
            store=store,
            broker_commit_interval=0.1,
            broker_heartbeat_interval=0.1,
            web_enabled=False,
            **settings,
        )
        app.clock = VirtualClock.current()
        app.make_bridge = LoopBridge
        counts = app.Table("counts", key_type=str, value_type=int, default=int)

        @app.agent(app.topic("words", key_type=str, value_type=int), name="count")
        async def count(words: Any) -> None:
            async for key, number in words.items():
                counts[key] += number

        return app

    # -- what happens --------------------------------------------------------------------------

    async def send(self, first: int, last: int, *, number: int = 1) -> None:
        """Count the words with these numbers once (or another number of times) more."""
        for partition in range(self.partitions):
            builder = new_builder(1 << 20)
            for at, n in enumerate(range(first, last)):
                builder.append(at, 0, b"%d-%d" % (partition, n), b"%d" % number, [])
            self.broker.append(self.broker.log(TP("words", partition)), builder.build(), _NOBODY)

    def append_to_changelog(self, partition: int, entries: dict[bytes, bytes | None]) -> None:
        """Leave something there, as a worker does that dies before its commit."""
        builder = new_builder(1 << 20)
        for at, (key, value) in enumerate(entries.items()):
            builder.append(at, 0, key, value, [])
        self.broker.append(self.broker.log(TP(CHANGELOG, partition)), builder.build(), _NOBODY)

    # -- what is there -------------------------------------------------------------------------

    def committed(self, partition: int) -> int:
        """Return the changelog position that the last commit names."""
        found = self.broker.groups.committed("words", [TP("words", partition)])
        entry = commits.decode(found[TP("words", partition)].metadata)
        assert entry is not None
        return entry.tables["counts"].position

    def changelog_end(self, partition: int) -> int:
        """Return the offset after the changelog's last record."""
        end: int = self.broker.log(TP(CHANGELOG, partition)).state.end
        return end

    def all_committed(self) -> bool:
        """Is everything committed that was sent?"""
        tps = [TP("words", partition) for partition in range(self.partitions)]
        found = self.broker.groups.committed("words", tps) or {}
        return all(tp in found and found[tp].offset == self.end(tp) for tp in tps)

    def end(self, tp: TP) -> int:
        """Return the end of a log."""
        end: int = self.broker.log(tp).state.end
        return end


_NOBODY = (-1, -1, -1)


def counts_of(app: App) -> dict[str, int]:
    """Return what a worker's tasks have counted."""
    return dict(app.tables["counts"].raw_items())


def restored(app: App) -> int:
    """Return how many changelog records a worker has read to restore its tasks."""
    return int(app.monitor.records_restored["counts"])


def tasks_of(app: App) -> set[int]:
    """Return the partitions that a worker processes."""
    return {task.partition for task in app.engine.tasks} if app.engine is not None else set()


def copies_of(app: App) -> dict[int, Any]:
    """Return the copies that a worker keeps, by partition."""
    assert app.engine is not None
    standbys = app.engine.state.standbys._standbys
    return {task.partition: each.copies[0] for task, each in standbys.items()}


def up_to_date(world: StateWorld, *apps: App) -> Callable[[], bool]:
    """Return whether every partition is processed, and copied, as far as it is committed."""

    def said() -> bool:
        if not world.all_committed():
            return False
        owned = [partition for app in apps for partition in tasks_of(app)]
        copies = [(p, copy) for app in apps for p, copy in copies_of(app).items()]
        everything = list(range(world.partitions))
        return (
            sorted(owned) == everything
            and sorted({p for p, _ in copies}) == everything
            and all(copy.position == world.committed(p) for p, copy in copies)
        )

    return said


async def eventually(said: Callable[[], bool]) -> None:
    """Let virtual time pass until it is so."""
    async with asyncio.timeout(60):
        while not said():  # noqa: ASYNC110 - virtual time: nothing is polled
            await asyncio.sleep(0.02)


@contextmanager
def failing(store: Any, error: Exception) -> Iterator[None]:
    """Let every write to a store fail."""

    def fail(*args: Any) -> None:
        raise error

    store.apply = fail
    try:
        yield
    finally:
        del store.apply
