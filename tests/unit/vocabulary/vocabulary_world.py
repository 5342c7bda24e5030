"""Real apps on a broker in this process, in virtual time."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import faust
from faust._core.threads import LoopBridge
from faust.testing.clock import VirtualClock
from faust.transport.base import TopicSpec
from faust.transport.drivers.memory import MemoryBroker, find_broker, forget_broker
from faust.types import TP
from tests.support.virtual_time import send_all, until, virtual

__all__ = ["World", "fails", "send_all", "until", "virtual"]
_numbers = itertools.count()


class World:
    """Apps of one test, and their brokers.

    Arguments:
        directory: For their data.
    """

    def __init__(self, directory: Any) -> None:
        self.directory = directory
        self.name = f"vocabulary-{next(_numbers)}"

    def app(self, id: str = "shop", **settings: Any) -> faust.App:
        """Make an app; apps of one world share a broker unless told otherwise."""
        given = {
            "broker": f"memory://{self.name}",
            "web_enabled": False,
            "topic_partitions": 2,
            "broker_commit_interval": 0.2,
            "datadir": str(self.directory / id),
            **settings,
        }
        app = faust.App(id, **given)
        app.clock = VirtualClock.current()
        app.make_bridge = LoopBridge
        return app

    @property
    def broker(self) -> MemoryBroker:
        return find_broker(self.name)

    def create(self, topic: str, partitions: int = 2, **config: str) -> None:
        self.broker.create_topic(TopicSpec(topic, partitions, 1, config))

    def committed(self, group: str = "shop") -> Mapping[TP, int]:
        """Return the committed offsets of a group."""
        found = self.broker.groups.committed(group, None)
        return {tp: commit.offset for tp, commit in found.items()}

    def records(self, topic: str) -> list[Any]:
        """Return all records of a topic, partition by partition."""
        found = []
        for partition in range(self.broker.describe([topic])[topic].partitions):
            log = self.broker.log(TP(topic, partition))
            for batch in log.batches:
                found.extend(batch.records())
        return found

    def close(self) -> None:
        forget_broker(self.name)


async def fails(app: faust.App) -> BaseException:
    """Wait until a running app has failed; return why."""
    await app.failed.wait()
    assert app.failure is not None
    return app.failure
