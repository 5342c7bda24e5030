"""Real apps on a broker in this process, in virtual time, for tests of the engine."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping
from typing import Any

import faust
from faust._core.threads import LoopBridge
from faust.testing.clock import VirtualClock
from faust.transport.drivers.memory import MemoryBroker, find_broker, forget_broker
from faust.types import TP

__all__ = ["World"]
_numbers = itertools.count()


class World:
    """Apps of one test on one broker.

    Arguments:
        directory: For their data.
    """

    def __init__(self, directory: Any) -> None:
        self.directory = directory
        self.name = f"engine-{next(_numbers)}"

    def app(self, **settings: Any) -> faust.App:
        """Make an app in virtual time, both sides of it on one loop."""
        app = self.real_app(**settings)
        app.clock = VirtualClock.current()
        app.make_bridge = LoopBridge
        return app

    def real_app(self, **settings: Any) -> faust.App:
        """Make an app in real time, with its two threads."""
        given = {
            "broker": f"memory://{self.name}",
            "web_enabled": False,
            "topic_partitions": 1,
            "broker_commit_interval": 0.2,
            "datadir": str(self.directory / "data"),
            **settings,
        }
        return faust.App("shop", **given)

    @property
    def broker(self) -> MemoryBroker:
        return find_broker(self.name)

    def committed(self) -> Mapping[TP, int]:
        """Return the committed offsets of the apps' group."""
        found = self.broker.groups.committed("shop", None)
        return {tp: commit.offset for tp, commit in found.items()}

    @staticmethod
    def told(caplog: Any) -> list[str]:
        """Return what the inspector has said."""
        return [
            record.getMessage()
            for record in caplog.records
            if record.name == "faust._engine.inspector" and record.levelno >= logging.WARNING
        ]

    def close(self) -> None:
        forget_broker(self.name)
