"""What the oracle's commands do: send numbered events, and judge what came of them."""

from __future__ import annotations

import asyncio
import json
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from faust._values import TP
from faust.testing import outside, reliability
from faust.testing.truth import (
    Event,
    Sighting,
    Truth,
    check_sink,
    check_table,
    lost_ids,
    make_events,
    repeated_ids,
    wrong_keys,
)
from faust.transport.base import Transport

__all__ = ["check_judging", "check_sending", "judge", "send"]

#: What begins so names a topic, not a file.
TOPIC = "topic:"
INVARIANTS = ("I1 no loss", "I2 order", "I3 duplicates", "I4 tables", "I5 progress", "I6 commits")


def check_sending(given: Namespace) -> None:
    """Raise `ValueError` where the options of ``produce`` make no sense."""
    for name in ("count", "keys", "rate", "partitions"):
        value = getattr(given, name)
        if not value > 0:
            raise ValueError(f"--{name} must be above 0, not {value}")


def check_judging(given: Namespace) -> None:
    """Raise `ValueError` where nothing, or only half of something, is to be judged."""
    if bool(given.group) != bool(given.source):
        raise ValueError(
            "--group and --source belong together: what was sent there, and what the app has "
            "committed of it"
        )
    if not (given.sink or given.counts or given.last or given.group):
        raise ValueError("there is nothing to judge: give --sink, --counts, --last, or --group")


def send(given: Namespace) -> int:
    """Send events; note each that was acknowledged in a file."""
    events = make_events(given.count, given.keys, Random(given.seed))
    with open(given.log, "w") as log:

        def note(event: Event, partition: int, offset: int) -> None:
            placed = {**event.plain(), "partition": partition, "offset": offset}
            log.write(json.dumps(placed) + "\n")

        asyncio.run(_send(given, events, note))
    print(f"{len(events)} events are acknowledged")
    return 0


async def _send(
    given: Namespace, events: list[Event], note: Callable[[Event, int, int], None]
) -> None:
    async with outside.connected(given.broker, partitions=given.partitions) as transport:
        await outside.produce(
            transport, given.topic, events,
            rate=given.rate, partitions=given.partitions, note=note,
        )  # fmt: skip


@dataclass
class _Case:
    """What is known of a run.

    Attributes:
        sent: The events, as their file has them.
        looked: Invariants that were looked at -> what was found in words.
        findings: What is wrong.
    """

    given: Namespace
    sent: list[dict[str, Any]]
    truth: Truth
    looked: dict[str, str] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)
    sink: list[Sighting] = field(default_factory=list)
    wrong: int = 0
    longest: float = 0.0


def judge(given: Namespace) -> int:
    """Print a line for each invariant; return 1 if one does not hold."""
    sent = _lines(given.events)
    sent.sort(key=lambda each: (each["key"], each["seq"]))
    truth = Truth(Event(e["id"], e["key"], e["seq"], e["ts"]) for e in sent)
    case = _Case(given, sent, truth)
    asyncio.run(_look_everywhere(case))
    for name in INVARIANTS:
        wrong = [finding for finding in case.findings if finding.startswith(name[:2])]
        for line in wrong or [f"{name}: {case.looked.get(name, 'not asked for')}"]:
            print(line)
    _note(case)
    print(f"{len(truth.events)} events, {len(case.findings)} findings")
    return 1 if case.findings else 0


async def _look_everywhere(case: _Case) -> None:
    if not case.given.broker:
        await _look(case, None)
        return
    async with outside.connected(case.given.broker) as transport:
        await _look(case, transport)


async def _look(case: _Case, transport: Transport | None) -> None:
    given, truth = case.given, case.truth
    done: Mapping[TP, int] = {}
    if given.group and given.source:
        done = await _look_at_commits(case, _needed(transport))
    if given.sink:
        values = await _values(given, given.sink, transport)
        case.sink = [Sighting(v["id"], v["key"], v["seq"]) for v in values]
        case.findings += check_sink(
            truth, case.sink,
            ordered=not given.unordered, duplicates_allowed=not given.exactly_once,
        )  # fmt: skip
        twice = len(repeated_ids(case.sink))
        case.looked["I1 no loss"] = f"all {len(truth.ids)} are there"
        case.looked["I2 order"] = "not asked for" if given.unordered else "in order"
        case.looked["I3 duplicates"] = f"{twice} events are there twice" if twice else "none"
        _check_committed(case, done)
    for name, where, expected in (
        ("counts", given.counts, truth.counts()),
        ("last", given.last, truth.last()),
    ):
        if where:
            table = await _table(given, where, transport)
            case.findings += check_table(name, table, expected)
            case.wrong += len(wrong_keys(table, expected))
            case.looked["I4 tables"] = "equal to the truth"


async def _look_at_commits(case: _Case, transport: Transport) -> Mapping[TP, int]:
    given = case.given
    done, ends, case.longest = await outside.watch(
        transport, given.group, given.source, given.patience
    )
    behind = [f"{tp} {done[tp]}<{end}" for tp, end in ends.items() if done[tp] < end]
    ahead = [f"{tp} {done[tp]}>{end}" for tp, end in ends.items() if done[tp] > end]
    if behind:
        case.findings.append(f"I5 progress: after {given.patience} s still {', '.join(behind)}")
    if ahead:
        case.findings.append(f"I6 commits: above the end: {', '.join(ahead)}")
    case.looked["I5 progress"] = (
        f"all is committed; the longest that a partition stood still was {case.longest:.1f} s"
    )
    return done


def _check_committed(case: _Case, done: Mapping[TP, int]) -> None:
    """What lies below a commit must be in the sink."""
    seen = {sighting.id for sighting in case.sink}
    topic = case.given.source
    gone = [
        each["id"]
        for each in case.sent
        if "offset" in each
        and each["offset"] < done.get(TP(topic, each["partition"]), 0)
        and each["id"] not in seen
    ]
    if gone:
        case.findings.append(f"I6 commits: {len(gone)} events are committed and not in the sink")
    if done:
        case.looked["I6 commits"] = "all that is committed is in the sink"


def _needed(transport: Transport | None) -> Transport:
    if transport is None:
        raise ValueError("--broker says where topics and commits are: it is missing")
    return transport


async def _values(given: Namespace, where: str, transport: Transport | None) -> list[Any]:
    if not where.startswith(TOPIC):
        return _lines(where)
    records = outside.read_all(
        _needed(transport), where.removeprefix(TOPIC), committed=not given.read_uncommitted
    )
    return [json.loads(record.value) async for _, record in records if record.value]


async def _table(given: Namespace, where: str, transport: Transport | None) -> dict[str, Any]:
    """Return a table: from a file, or what its changelog says."""
    if not where.startswith(TOPIC):
        return _object(where)
    table: dict[str, Any] = {}
    async for _, record in outside.read_all(_needed(transport), where.removeprefix(TOPIC)):
        key = _plain_key(record.key)
        if record.value is None:
            table.pop(key, None)
        else:
            table[key] = json.loads(record.value)
    return table


def _object(path: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(path).read_text())
    return found


def _plain_key(data: bytes) -> str:
    try:
        return str(json.loads(data))
    except ValueError:
        return data.decode(errors="replace")


def _note(case: _Case) -> None:
    given = case.given
    scheme = (given.broker or "file").partition(":")[0]
    twice = len(repeated_ids(case.sink))
    reliability.note(
        reliability.Run(
            number=given.scenario,
            driver=scheme,
            guarantee="exactly_once" if given.exactly_once else "at_least_once",
            id=given.events,
            events=len(case.truth.events),
            lost=len(lost_ids(case.truth, case.sink)) if given.sink else 0,
            duplicates=twice,
            excess=twice if given.exactly_once else 0,
            wrong_keys=case.wrong,
            longest_pause=case.longest,
            findings=tuple(case.findings),
        )
    )


def _lines(path: str) -> list[dict[str, Any]]:
    text = sys.stdin.read() if path == "-" else Path(path).read_text()
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                each = json.loads(line)
                found.append({**each, "id": each["id"], "key": each["key"], "seq": each["seq"]})
            except (ValueError, TypeError, KeyError):
                raise ValueError(
                    f"{path}, line {number} is no JSON object with id, key and seq: {line[:80]!r}"
                ) from None
    return found
