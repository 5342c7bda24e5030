"""What a simulation runs: an app whose results are known."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from faust.testing.oracle import Sighting, Truth

if TYPE_CHECKING:
    from faust.app.base import App
    from faust.testing.harness import Harness, WorkerEnvironment

__all__ = ["APP_ID", "Scenario"]

#: Id of the app of every scenario: the group, and the prefix of changelogs.
APP_ID = "counting"


class Scenario(ABC):
    """What runs, and what must come out of it.

    Attributes:
        name: What it is called on the command line.
        partitions: Of the source topic.
        topics: All topics to be made beforehand: name -> partitions.
        committing: Topics whose commits must reach the end.
        ordered: Is I2 demanded of the sink?
        repeats_when_moved: Are events handled again when a task moves in an orderly way?
        tables: Tables whose contents are compared.
        fatal: Exceptions that may end a worker; anything else is a finding.
        settings: Further settings of the app.
    """

    name: ClassVar[str] = ""
    ordered: ClassVar[bool] = True
    repeats_when_moved: ClassVar[bool] = False
    tables: ClassVar[tuple[str, ...]] = ("count", "last")
    fatal: ClassVar[tuple[str, ...]] = ()
    settings: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, partitions: int = 4) -> None:
        self.partitions = partitions
        self.topics = {"events": partitions, "sink": 2}
        self.committing = ["events"]

    @abstractmethod
    def make_app(self, env: WorkerEnvironment) -> App:
        """Return the app of one worker."""

    def expected(self, truth: Truth) -> dict[str, dict[str, Any]]:
        """Return what each table must hold."""
        return {"count": truth.counts(), "last": truth.last()}

    def skips(self, id: int) -> bool:
        """Is an event to be left out by the app?"""
        return False

    def routing_key(self, key: str, id: int) -> str:
        """Return the key that an event of that id is sent with."""
        return key

    def sightings(self, harness: Harness) -> list[Sighting]:
        """Return the records of the sink."""
        return [
            Sighting(value["id"], value["key"], value["seq"])
            for _, record in harness.records("sink")
            for value in [json.loads(record.value)]
        ]

    def contents(self, name: str, found: dict[Any, Any]) -> dict[Any, Any]:
        """Return a table's contents in the form of `expected`."""
        return found

    # -- for subclasses ----------------------------------------------------------------------

    def new_app(self, env: WorkerEnvironment) -> tuple[App, Any, Any]:
        """Return an app, its source and its sink."""
        from faust.app import App

        app = App(
            APP_ID,
            broker=env.broker_url,
            datadir=env.datadir,
            **{**env.settings, **self.settings},
        )
        source = app.topic("events", key_type=str, value_type=dict)
        sink = app.topic("sink", key_type=str, value_type=dict)
        return app, source, sink
