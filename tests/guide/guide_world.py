"""Where the guide's snippets run: a broker in this process, virtual time, no web server.

A snippet says ``faust.App('example', broker='kafka://')``; the environment says where that is here,
as it would for a deployment, and beats the keyword.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

import faust
from faust._core.threads import LoopBridge
from faust.testing.clock import VirtualClock
from faust.transport.base import TopicSpec
from faust.transport.drivers.memory import MemoryBroker, find_broker, forget_broker
from tests.support.virtual_time import send_all, until, virtual

__all__ = ["GuideWorld", "Printed", "send_all", "until", "virtual"]
_numbers = itertools.count()


class GuideWorld:
    """The surroundings of one test.

    Arguments:
        directory: For data, and for modules that the test writes.
        environment: Sets an environment variable until the test ends.
    """

    def __init__(self, directory: Path, environment: Callable[[str, str], None]) -> None:
        self.directory = directory
        self.name = f"guide-{next(_numbers)}"
        environment("BROKER_URL", f"memory://{self.name}")
        environment("WEB_ENABLED", "false")
        environment("APP_DATADIR", str(directory / "data"))
        environment("BROKER_COMMIT_INTERVAL", "0.2")
        environment("TOPIC_PARTITIONS", "2")

    @property
    def broker(self) -> MemoryBroker:
        return find_broker(self.name)

    def create(self, topic: str, partitions: int = 2) -> None:
        """Make a source topic, as whoever writes to it would."""
        self.broker.create_topic(TopicSpec(topic, partitions, 1, {}))

    def prepare(self, app: faust.App) -> faust.App:
        """Let an app live in virtual time."""
        app.clock = VirtualClock.current()
        app.make_bridge = LoopBridge
        return app

    def module(self, path: str, text: str) -> None:
        """Write a module that can be imported (``myproj.agents``)."""
        file = self.directory.joinpath(*path.split(".")).with_suffix(".py")
        for package in reversed(file.relative_to(self.directory).parents[:-1]):
            (self.directory / package).mkdir(exist_ok=True)
            (self.directory / package / "__init__.py").touch()
        file.write_text(text, encoding="utf-8")

    def close(self) -> None:
        forget_broker(self.name)


class Printed:
    """What has been printed so far in a test."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self._text = ""

    def __call__(self) -> list[str]:
        self._text += self._capsys.readouterr().out
        return self._text.splitlines()
