"""What a simulation runs: an app whose results are known."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar

from faust.serializers.codecs import dumps
from faust.testing.oracle import Event, Sighting, Truth

if TYPE_CHECKING:
    from faust.app.base import App
    from faust.testing.harness import Harness, WorkerEnvironment

__all__ = ["APP_ID", "Scenario"]

#: Id of the app of every scenario of ours.
APP_ID = "counting"


class Scenario(ABC):
    """What runs, and what must come out of it.

    Attributes:
        name: What it is called on the command line.
        number: Which of the scenarios of `faust.testing.reliability` it belongs to.
        app_id: Id of the app: its group, and the prefix of its changelogs.
        partitions: Of the source topic.
        topics: All topics to be made beforehand: name -> partitions.
        committing: Topics whose commits must reach the end.
        ordered: Is I2 demanded of the sink?
        committed_view: Are tables compared as they are committed, and not as agents see them (under
            exactly once)?
        repeats_when_moved: Are events handled again when a task moves in an orderly way?
        tables: Tables whose contents are compared.
        has_sink: Is each event sent to the topic ``sink``?
        grows: May the source get further partitions meanwhile?
        favours: Faults that happen here in any case, and how likely they are among the others.
        guarantees: The processing guarantees that it can run under.
        settings: Further settings of the app.
        faults: Faults that only this app bears, and how likely each is among the others.
        excused: What may end a worker besides what the broker and the disk are to blame for.
        shares_disk: Do all workers keep their tables in one directory?
    """

    name: ClassVar[str] = ""
    number: ClassVar[int] = 1
    app_id: str = APP_ID
    ordered: ClassVar[bool] = True
    committed_view: ClassVar[bool] = False
    repeats_when_moved: ClassVar[bool] = False
    tables: ClassVar[tuple[str, ...]] = ("count", "last")
    has_sink: ClassVar[bool] = True
    grows: ClassVar[bool] = False
    favours: ClassVar[Mapping[str, float]] = {}
    guarantees: tuple[str, ...] = ("at_least_once", "at_least_once", "exactly_once")
    settings: ClassVar[Mapping[str, Any]] = {}
    faults: ClassVar[Mapping[str, float]] = {}
    excused: ClassVar[tuple[type[Exception], ...]] = ()
    shares_disk: ClassVar[bool] = False

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

    def draw_settings(self, random: Random) -> dict[str, Any]:
        """Draw further settings of a run."""
        return {}

    def outgoing(
        self, events: Sequence[Event], random: Random, start: float, seconds: float
    ) -> list[tuple[float, str, bytes, bytes | None]]:
        """Return what the producer sends: when, topic, key, value."""
        return [
            (
                event.ts,
                "events",
                self.routing_key(event.key, event.id).encode(),
                dumps("json", event.plain()) or b"",
            )
            for event in events
        ]

    async def outside(self, harness: Harness, events: Sequence[Event]) -> list[str]:
        """Whatever else happens while things go wrong; return findings."""
        return []

    def waiting(self, harness: Harness) -> dict[str, str]:
        """Return what else is not as it must become: what, and how far it is."""
        return {}

    def judge(self, harness: Harness) -> list[str]:
        """Return findings of a scenario's own, once all is settled."""
        return []

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
