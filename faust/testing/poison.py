"""The scenario of bad events: some go to dead letters, some come back from a retry topic."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, Any

from faust._values.policies import Retry
from faust.testing.oracle import Event, Truth
from faust.testing.scenario import APP_ID, Scenario

if TYPE_CHECKING:
    from faust.app.base import App
    from faust.testing.harness import Harness, WorkerEnvironment

__all__ = ["Poison"]

NAME = "poisoned"
LETTERS = f"{APP_ID}-{NAME}-dead-letters"
RETRIES = f"{APP_ID}-{NAME}-events-retry"


class BadEvent(Exception):
    """Raised by the agent for events that it cannot handle, or not yet."""


class Poison(Scenario):
    """Some events cannot be decoded, some always fail, some fail now and then.

    An event that fails is tried again in place, then by way of a retry topic, then it is a dead
    letter.  Whether one that fails now and then does so is drawn anew each time, so that what is
    read again after a crash may succeed although it was put aside before.
    """

    name = "poison"
    number = 6
    ordered = False
    tables = ("count",)

    def __init__(self, partitions: int = 4) -> None:
        super().__init__(partitions)
        self.topics = {**self.topics, RETRIES: partitions, LETTERS: 2}
        self.committing = ["events", RETRIES]

    def skips(self, id: int) -> bool:
        return id % 23 in (3, 12)

    def expected(self, truth: Truth) -> dict[str, dict[str, Any]]:
        return {"count": truth.counts()}

    def outgoing(
        self, events: Sequence[Event], random: Random, start: float, seconds: float
    ) -> list[tuple[float, str, bytes, bytes | None]]:
        sent = super().outgoing(events, random, start, seconds)
        return [
            (when, topic, key, _undecodable(event.id) if event.id % 23 == 3 else value)
            for event, (when, topic, key, value) in zip(events, sent, strict=True)
        ]

    def make_app(self, env: WorkerEnvironment) -> App:
        app, source, sink = self.new_app(env)
        count = app.Table("count", default=int, key_type=str, value_type=int)

        async def poisoned(stream: Any) -> None:
            async for event in stream.events():
                env.begin(event)
                try:
                    value = event.value
                    count[value["key"]] += 1
                    await env.work()
                    if self.skips(value["id"]):
                        raise BadEvent
                    fails_now = event.tp.topic == "events" and env.random.random() < 0.7
                    if value["id"] % 5 == 4 and fails_now:
                        raise BadEvent
                    await sink.send(key=value["key"], value=value)
                finally:
                    env.end(event)

        policy = Retry(1, 0.1, then=Retry(1, 2.0, topic=True, then="dead_letter"))
        app.agent(source, name=NAME, error_policy=policy, decode_error_policy="dead_letter")(
            poisoned
        )
        return app

    def judge(self, harness: Harness) -> list[str]:
        """Each event that cannot be handled is a dead letter, and no other is."""
        found = Counter(_id_of(record.value) for _, record in harness.records(LETTERS))
        sent = {_id_of(record.value) for _, record in harness.records("events")}
        wanted = {id for id in sent if self.skips(id)}
        findings = []
        if missing := sorted(wanted - found.keys()):
            findings.append(f"events that cannot be handled are no dead letters: {missing}")
        if others := sorted(id for id in found if not self.skips(id)):
            findings.append(f"events that can be handled are dead letters: {others}")
        return findings


def _undecodable(id: int) -> bytes:
    return b"\xff%d" % id


def _id_of(value: bytes) -> int:
    return int(value[1:]) if value[:1] == b"\xff" else int(json.loads(value)["id"])
