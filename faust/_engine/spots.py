"""What of an app could move now: events, partitions, tasks, rebalances, commits, timers.

Each is a *spot* with a state that changes when it moves (`faust._machines.alarms`), a sentence for
when it does not, and the asyncio tasks whose stacks then say where they wait.  Everything here only
reads, and is called by the watchdog's thread: also while the app's own loop is blocked.

Waits that a deadline ends are not here; `docs/reliability.md` has the table of both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterator
from functools import partial
from typing import Any, NamedTuple

from faust._machines.alarms import Seen

__all__ = ["COMMIT", "FETCH", "STALL", "Spot", "place_of", "sentence_for", "spots"]

#: Seconds without an answer to a fetch, or without a commit, that make a stall: a probe sees it
#: within 30.
STALL = 25.0
#: Seconds for which restoring a task, or the end of a stop, may show no progress.
RESTORE_PATIENCE = 60.0
#: Seconds beyond the group's own time-outs that a rebalance may take.
REBALANCE_MARGIN = 60.0

FETCH = ("fetch",)
COMMIT = ("commit",)


class Spot(NamedTuple):
    """Something that could move.

    Attributes:
        seen: Its state, and how long it may stay so.
        say: Returns a sentence, given the seconds for which it has stood still.
        tasks: Returns the asyncio tasks that are concerned.
        blocks: Is the worker not ready while it stands still?
    """

    seen: Seen
    say: Callable[[float], str]
    tasks: Callable[[], list[asyncio.Task[Any]]]
    blocks: bool = False


Spots = Iterator[tuple[Hashable, Spot]]


def spots(host: Any, patience: float) -> Spots:
    """Iterate over all spots of an app but its partitions (there may be thousands: see below)."""
    yield from _events(host, patience)
    yield from _timers(host, patience)
    engine = host.engine
    if engine is not None and engine.is_made:
        yield from _restoring(engine)
        yield from _stalls(engine)
        yield from _rebalance(host, engine)


# -- events --------------------------------------------------------------------------------------


def place_of(stream: Any) -> Any:
    """Return (partition, first offset, last offset) of what a stream is inside of, or ``None``."""
    if not stream.inside:
        return None
    cursor, record = stream.cursor, stream.record
    if cursor is not None and record is not None:
        taken = list(stream.taken)
        first = taken[0][1].offset if taken else record.offset
        return (cursor.tp, first, record.offset)
    return None if stream.is_topic else (str(stream.channel), stream.events_total)


def spot_text(place: Any) -> str:
    """Return a place in words."""
    if len(place) == 2:
        return f"of {place[0]}"
    tp, first, last = place
    offsets = f"offset {last}" if first == last else f"offsets {first} to {last}"
    return f"at topic {tp.topic} partition {tp.partition} {offsets}"


def sentence_for(stream: Any, place: Any, seconds: float) -> str:
    """Say how long an agent has been inside an event."""
    name = stream.reader or "a stream"
    return f"agent {name} has been inside the event {spot_text(place)} for {seconds:.0f} s"


def _events(host: Any, patience: float) -> Spots:
    for stream in list(host.streams()):
        place = place_of(stream)
        if place is not None:
            yield ("event", stream), _event(stream, place, patience)


def _event(stream: Any, place: Any, patience: float) -> Spot:
    def say(seconds: float) -> str:
        return (
            f"{sentence_for(stream, place, seconds)}; it is not committed until the agent comes "
            f"back for the next event"
        )

    return Spot(Seen(place, patience), say, partial(_tasks, stream.asyncio_task), blocks=True)


# -- partitions ------------------------------------------------------------------------------------


def partitions(host: Any, patience: float) -> Spots:
    """Iterate over the partitions in which something waits that its reader has not been handed."""
    if host.engine is None:
        return
    streams: dict[str, list[Any]] = {}
    for stream in list(host.streams()):
        streams.setdefault(stream.reader, []).append(stream)
    for cursor in host.topics.cursors():
        at = cursor.next_offset
        readers = streams.get(cursor.reader, [])
        if cursor.end > at and cursor.task.open and not any(s.inside for s in readers):
            yield ("partition", cursor.tp, cursor.reader), _partition(cursor, at, readers, patience)


def _partition(cursor: Any, at: int, streams: list[Any], patience: float) -> Spot:
    def say(seconds: float) -> str:
        tp, held = cursor.tp, 0 if cursor.acks is None else cursor.acks.outstanding
        holds = f"; it holds {held} events that are not acknowledged" if held else ""
        return (
            f"agent {cursor.reader} has taken nothing from topic {tp.topic} partition "
            f"{tp.partition} for {seconds:.0f} s, at offset {at}, although {cursor.end - at} more "
            f"are there{holds}"
        )

    def tasks() -> list[asyncio.Task[Any]]:
        return _tasks(*(stream.asyncio_task for stream in streams))

    return Spot(Seen(at, patience), say, tasks, blocks=True)


# -- what the engine does --------------------------------------------------------------------------


def _restoring(engine: Any) -> Spots:
    lagging = dict(engine.lagging)
    for task_id, task in list(engine.starting.items()):
        left = sum(n for (_, partition), n in lagging.items() if partition == task_id.partition)

        def say(seconds: float, task_id: Any = task_id, left: int = left) -> str:
            return (
                f"task {task_id} is being started, and has made no progress for {seconds:.0f} s "
                f"({left} records are left to restore)"
            )

        seen = Seen((id(task), left), RESTORE_PATIENCE)
        yield ("task", task_id), Spot(seen, say, partial(_tasks, task))


def _stalls(engine: Any) -> Spots:
    fetcher, committer = engine.fetcher, engine.committer
    if not fetcher.idle:
        yield FETCH, Spot(Seen(fetcher.last_answer, STALL), _no_answer, fetcher.running)
    if committer.trying:

        def no_commit(seconds: float) -> str:
            trouble = f": {committer.trouble}" if committer.trouble else ""
            return f"no commit has succeeded for {seconds:.0f} s{trouble}"

        seen = Seen(committer.last_progress, STALL)
        yield COMMIT, Spot(seen, no_commit, engine.background_tasks)


def _no_answer(seconds: float) -> str:
    return f"no answer from the broker to a fetch for {seconds:.0f} s"


def _rebalance(host: Any, engine: Any) -> Spots:
    if not host.rebalancing:
        return
    conf, rounds = host.conf, engine.rebalancer.rounds

    def say(seconds: float) -> str:
        return f"a rebalance has been under way for {seconds:.0f} s (after {rounds} rounds)"

    patience = conf.broker_rebalance_timeout + conf.broker_rebalance_grace + REBALANCE_MARGIN
    yield ("rebalance",), Spot(Seen(rounds, patience), say, engine.rebalance_tasks)


# -- timers ----------------------------------------------------------------------------------------


def _timers(host: Any, patience: float) -> Spots:
    background = host.background
    for task, began in list(background.busy.items()) if background is not None else ():

        def say(seconds: float, task: asyncio.Task[Any] = task) -> str:
            return (
                f"{task.get_name()} has been running for {seconds:.0f} s: its next turns are left "
                f"out until it returns"
            )

        yield ("timer", task), Spot(Seen(began, patience), say, partial(_tasks, task))


def _tasks(*tasks: asyncio.Task[Any] | None) -> list[asyncio.Task[Any]]:
    return [task for task in tasks if task is not None]
