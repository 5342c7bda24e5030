"""The oracle: what must come out, known from what went in; and what to call it when it does not.

It knows nothing of drivers or of simulations: it compares events, records of a sink and the
contents of tables, wherever they come from.  What I1 to I6 are, `faust.testing.oracle` says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from random import Random
from typing import Any, NamedTuple

__all__ = [
    "Event",
    "Sighting",
    "Truth",
    "check_sink",
    "check_table",
    "lost_ids",
    "make_events",
    "repeated_ids",
    "wrong_keys",
]

#: So many examples are named in a finding.
EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the workload.

    Attributes:
        id: Unique number.
        key: Its key.
        seq: Number among the events of its key, from 0.
        ts: Unix time in seconds.
    """

    id: int
    key: str
    seq: int
    ts: float

    def plain(self) -> dict[str, Any]:
        """Return it as plain data for JSON."""
        return asdict(self)


class Sighting(NamedTuple):
    """One record of the sink, in the order of its partition."""

    id: int
    key: str
    seq: int


def make_events(
    count: int, keys: int, random: Random, *, start: float = 0.0, seconds: float = 60.0
) -> list[Event]:
    """Return ``count`` events of ``keys`` keys, spread over some seconds, in the order of time."""
    times = sorted(random.random() * seconds for _ in range(count))
    seqs: Counter[str] = Counter()
    events: list[Event] = []
    for number, offset in enumerate(times):
        key = f"k{random.randrange(keys)}"
        events.append(Event(number, key, seqs[key], round(start + offset, 3)))
        seqs[key] += 1
    return events


class Truth:
    """What must come out of some events.

    Arguments:
        events: All that were sent, in order for each key.
        skipped: Ids of those that the app is to leave out.
    """

    def __init__(self, events: Iterable[Event], skipped: Collection[int] = ()) -> None:
        self.events = [event for event in events if event.id not in set(skipped)]
        self.skipped = frozenset(skipped)
        self.ids = {event.id for event in self.events}

    def fold(self, start: Any, step: Callable[[Any, Event], Any]) -> dict[str, Any]:
        """Return key -> the value that ``step(value, event)`` makes of ``start``, event by
        event."""
        values: dict[str, Any] = {}
        for event in self.events:
            values[event.key] = step(values.get(event.key, start), event)
        return values

    def counts(self) -> dict[str, int]:
        """Return how many events each key has."""
        return self.fold(0, lambda value, _: value + 1)

    def last(self) -> dict[str, int]:
        """Return the last ``seq`` of each key."""
        return self.fold(-1, lambda _, event: event.seq)


def check_sink(
    truth: Truth,
    sink: Sequence[Sighting],
    *,
    ordered: bool = True,
    duplicates_allowed: bool = True,
) -> list[str]:
    """Return what is wrong with a sink's records (each key's in the order of the log).

    Arguments:
        ordered: Demand I2.
        duplicates_allowed: Do not demand that there are none.
    """
    found: list[str] = []
    seen = Counter(sighting.id for sighting in sink)
    missing = sorted(truth.ids - seen.keys())
    if missing:
        found.append(f"I1 no loss: {len(missing)} events are not in the sink: {_some(missing)}")
    strange = sorted(seen.keys() - truth.ids)
    if strange:
        found.append(f"I1 no loss: {len(strange)} records of no event: {_some(strange)}")
    if ordered:
        found.extend(_check_order(sink))
    twice = sorted(id for id, times in seen.items() if times > 1)
    if twice and not duplicates_allowed:
        found.append(f"I3 duplicates: {len(twice)} events are there twice: {_some(twice)}")
    return found


def lost_ids(truth: Truth, sink: Iterable[Sighting]) -> list[int]:
    """Return the ids that are not in the sink (I1)."""
    return sorted(truth.ids - {each.id for each in sink})


def repeated_ids(sink: Iterable[Sighting]) -> list[int]:
    """Return the ids that are in the sink more than once."""
    return sorted(id for id, times in Counter(each.id for each in sink).items() if times > 1)


def wrong_keys(found: Mapping[Any, Any], expected: Mapping[Any, Any]) -> list[Any]:
    """Return the keys of a table that are not as expected: missing, too many, or with another
    value (I4)."""
    return [
        key
        for key in sorted({*found, *expected}, key=str)
        if key not in found or key not in expected or found[key] != expected[key]
    ]


def _check_order(sink: Sequence[Sighting]) -> list[str]:
    highest: dict[str, int] = {}
    seen: set[int] = set()
    wrong: list[int] = []
    for sighting in sink:
        if sighting.id in seen:
            continue
        seen.add(sighting.id)
        if sighting.seq < highest.get(sighting.key, -1):
            wrong.append(sighting.id)
        highest[sighting.key] = max(sighting.seq, highest.get(sighting.key, -1))
    return [f"I2 order: {len(wrong)} events came late: {_some(wrong)}"] if wrong else []


def check_table(name: str, found: Mapping[Any, Any], expected: Mapping[Any, Any]) -> list[str]:
    """Return what is wrong with a table's contents."""
    wrong = [
        f"{key}: {found.get(key, 'nothing')!r} instead of {expected.get(key, 'nothing')!r}"
        for key in wrong_keys(found, expected)
    ]
    return [f"I4 tables: {name}: {len(wrong)} keys are wrong: {_some(wrong)}"] if wrong else []


def _some(items: Sequence[Any]) -> str:
    shown = ", ".join(map(str, items[:EXAMPLES]))
    return shown + (", ..." if len(items) > EXAMPLES else "")
