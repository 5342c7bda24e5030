"""Anybody's app as a scenario of the simulation: a factory, an app in a module, or its name.

Several workers of one app in one process need several `App` objects.  A factory makes one each
time.  An app that stands in a module is made again by importing its module (and the rest of its
package) anew for each worker; what was imported before is put back, so that the test goes on with
the app that it knows.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from random import Random
from typing import TYPE_CHECKING, Any

from faust.sensors.base import Sensor
from faust.testing.oracle import Event, Truth
from faust.testing.scenario import Scenario

if TYPE_CHECKING:
    from faust.app import App
    from faust.testing.harness import Harness, WorkerEnvironment

__all__ = ["AppScenario", "Outcome", "Sent", "factory_of"]

#: What a caller sends: (topic, key, value).
Sent = tuple[Any, Any, Any]


class Outcome:
    """What a simulation has come to, for whoever checks it.

    Attributes:
        events: What was sent: (topic, key, value).
        workers: The apps that are running.
    """

    def __init__(self, scenario: AppScenario, harness: Harness) -> None:
        self.events = scenario.events
        self.workers = [w.live_app for w in harness.workers if w.live_app is not None]
        self._scenario = scenario
        self._harness = harness
        self.findings: list[str] = []

    def table(self, name: str) -> dict[Any, Any]:
        """Return what a table holds, over all workers.

        Raises:
            KeyError: the app has no such table.
        """
        if name not in self._scenario.probe.tables:
            known = ", ".join(sorted(self._scenario.probe.tables)) or "none"
            raise KeyError(f"the app has no table {name!r}; its tables: {known}")
        found, twice = self._harness.table(name)
        self.findings += twice
        return found

    def records(self, topic: str) -> list[tuple[Any, Any]]:
        """Return the records of a topic as (key, value), each partition's in order: what a reader
        of committed records sees.

        Topics that agents read are decoded as the app declares them, others as JSON (or text).
        """
        decode = self._scenario.decoder(topic)
        if topic not in self._harness.broker.describe(None):
            return []
        return [decode(record) for _, record in self._harness.records(topic)]


class AppScenario(Scenario):
    """An app, what is sent to it, and who checks what comes of it.

    Arguments:
        what: The app: see `factory_of`.
        events: What is sent.
        check: Called with the `Outcome` when all is done, and again after all workers have
            started anew; raises, or returns sentences that say what is wrong.
    """

    name = "app"
    tables = ()
    has_sink = False

    def __init__(
        self,
        what: Any,
        events: Sequence[Sent],
        check: Callable[[Outcome], Any] | None,
        partitions: int = 4,
    ) -> None:
        super().__init__(partitions)
        self._make = factory_of(what)
        self.events = list(events)
        for each in self.events:
            if not isinstance(each, tuple | list) or len(each) != 3:
                raise TypeError(f"each of the events is (topic, key, value), not {each!r}")
        self._check = check
        self._probe: App | None = None
        self._before: dict[str, dict[Any, Any]] = {}
        self.app_id = self.probe.conf.id
        self.guarantees = (self.probe.conf.processing_guarantee.value,)
        self.topics = dict.fromkeys((self.topic_name(each[0]) for each in self.events), partitions)
        self.committing = [name for name in self.topics if self.probe.topics.readers_of(name)]

    # -- the app -----------------------------------------------------------------------------

    @property
    def probe(self) -> App:
        """An app that never runs: it knows how its topics are encoded."""
        if self._probe is None:
            self._probe = self._make(None)
            for agent in self._probe.agents.values():
                self._probe.topics.subscribe(agent.channel, agent.name)
        return self._probe

    def make_app(self, env: WorkerEnvironment) -> App:
        """Return one more of them, on the simulation's broker."""
        from faust.transport.base import TransportOptions
        from faust.transport.drivers.memory import MemoryTransport
        from faust.utils.urls import broker_urls

        app = self._make(env)
        conf = app.conf
        conf.datadir = env.datadir
        conf.topic_partitions = self.partitions
        for name, value in env.settings.items():
            setattr(conf, name, value)
        options = TransportOptions(default_partitions=self.partitions, clock=env.clock)
        app.make_transport = lambda: MemoryTransport(broker_urls(env.broker_url), options)
        app.sensors.add(_Watch(env))
        return app

    # -- what is sent, and what has come -----------------------------------------------------

    def topic_name(self, topic: Any) -> str:
        """Return the name of a topic, a topic object, or an agent's topic."""
        return str(getattr(topic, "channel", topic))

    def encode(self, sent: Sent) -> tuple[str, bytes, bytes | None]:
        """Return topic, key and value as they are sent."""
        topic, key, value = sent
        declared = self._declared(self.topic_name(topic))
        if declared is None:
            return self.topic_name(topic), str(key).encode(), json.dumps(value).encode()
        data, _ = declared.prepare_key(key, None)
        payload, _ = declared.prepare_value(value, None)
        return self.topic_name(topic), data, payload

    def decoder(self, name: str) -> Callable[[Any], tuple[Any, Any]]:
        """Return what makes (key, value) of a record of a topic."""
        topic: Any = self._declared(name)
        if topic is None:
            return lambda record: (_plain(record.key), _plain(record.value))
        schema = topic.schema

        def decode(record: Any) -> tuple[Any, Any]:
            key = None if record.key is None else schema.loads_key(self.probe, record)
            value = None if record.value is None else schema.loads_value(self.probe, record)
            return key, value

        return decode

    def _declared(self, name: str) -> Any:
        for topic in self.probe.topics.topic_objects():
            if topic.matches(name):
                return topic
        return None

    def outgoing(
        self, events: Sequence[Event], random: Random, start: float, seconds: float
    ) -> list[tuple[float, str, bytes, bytes | None]]:
        """Return what was given, in that order, at random times."""
        times = sorted(start + random.random() * seconds for _ in self.events)
        return [(at, *self.encode(sent)) for at, sent in zip(times, self.events, strict=True)]

    def expected(self, truth: Truth) -> dict[str, dict[str, Any]]:
        """Nothing is known of tables."""
        return {}

    def judge(self, harness: Harness) -> list[str]:
        """Ask whoever checks; and tables must be what they were before everybody started anew."""
        outcome = Outcome(self, harness)
        findings: list[str] = []
        if self._check is not None:
            try:
                findings += self._check(outcome) or ()
            except Exception as exc:
                findings.append(f"the check raised {type(exc).__name__}: {exc}")
        findings += outcome.findings
        for name in self._lasting(outcome):
            found, _ = harness.table(name)
            if found != self._before.setdefault(name, found):
                findings.append(f"I4 tables: {name} is not what it was before the restart")
        return findings

    @staticmethod
    def _lasting(outcome: Outcome) -> list[str]:
        """Names of tables that time does not change."""
        tables = outcome.workers[0].tables.values() if outcome.workers else ()
        return [t.name for t in tables if getattr(t, "window", None) is None and not t.is_global]


def _plain(data: bytes | None) -> Any:
    try:
        return None if data is None else json.loads(data)
    except ValueError:
        return data.decode(errors="replace") if data else data


class _Watch(Sensor):
    """Tells the journal of events, for agents that do not do it themselves."""

    def __init__(self, env: WorkerEnvironment) -> None:
        super().__init__()
        self._journal = env.journal

    def on_stream_event_in(self, tp: Any, offset: int, stream: Any, event: Any) -> Any:
        """An event is about to be handed out."""
        self._journal.begin(stream.reader, tp, offset, event.message.generation_id)

    def on_stream_event_out(
        self, tp: Any, offset: int, stream: Any, event: Any, state: Any = None
    ) -> None:
        """It is over."""
        self._journal.end(stream.reader, tp, offset, event.message.generation_id)


# -- where apps come from ------------------------------------------------------------------


def factory_of(what: Any) -> Callable[[WorkerEnvironment | None], App]:
    """Return what makes an app for a worker.

    Arguments:
        what: A function that makes an app, and may take a `WorkerEnvironment`; or an app that is
            an attribute of an imported module; or its name, ``module:attribute``.

    Raises:
        ValueError: the app is in no module that can be imported again.
    """
    from faust.app import App

    if isinstance(what, str):
        module, _, attribute = what.partition(":")
        return _importing(module, attribute or "app")
    if isinstance(what, App):
        return _importing(*_home_of(what))
    if inspect.signature(what).parameters:
        return lambda env: what(env)
    return lambda env: what()


def _home_of(app: Any) -> tuple[str, str]:
    """Return the module that makes an app, and the app's name in it."""
    found = {
        name: attribute
        for name, module in list(sys.modules.items())
        if name != "__main__" and getattr(module, "__spec__", None) is not None
        for attribute, value in list(vars(module).items())
        if value is app
    }
    # Others have imported it from there; its agents have not.
    agents = {agent.fun.__module__ for agent in app.agents.values()}
    packages = {name.partition(".")[0] for name in agents}
    for name in sorted(found, key=lambda n: (n not in agents, n.partition(".")[0] not in packages)):
        return name, found[name]
    raise ValueError(
        f"{app!r} is in no module that can be imported again, as each worker needs an app of its "
        f"own: give simulate() a function that makes one"
    )


def _importing(name: str, attribute: str) -> Callable[[WorkerEnvironment | None], App]:
    def make(env: WorkerEnvironment | None) -> App:
        with _forgotten(name):
            found: App = getattr(import_module(name), attribute)
        return found

    return make


@contextmanager
def _forgotten(name: str) -> Iterator[None]:
    """Let a module, and the rest of its package, be imported anew; put the old ones back."""
    top = name.partition(".")[0]
    mine = [n for n in sys.modules if n == top or n.startswith(f"{top}.")]
    if top == "faust":
        mine = [n for n in mine if n == name]
    before = {n: sys.modules.pop(n) for n in mine}
    try:
        yield
    finally:
        for n in [n for n in sys.modules if n in before or n.startswith(f"{top}.")]:
            if top != "faust" or n == name:
                del sys.modules[n]
        sys.modules.update(before)
