"""Copies of events that are put aside into a retry topic: what their headers say.

The record has the event's bytes and timestamp, its headers, and these:

============================  ==================================================================
``faust-retry-topic``         where the event first was: topic,
``faust-retry-partition``     partition,
``faust-retry-offset``        and offset
``faust-retry-from``          where this record was written: ``topic@offset``, same partition
``faust-retry-number``        how often it has come by the retry topic, this time included
``faust-retry-attempts``      how often it was tried so far
``faust-retry-not-before``    milliseconds since the epoch: it is not handed out earlier
``faust-retry-forwarded``     what the header ``faust-source`` was, where it had one
``faust-retry-group``         the group of the app that wrote it (its id)
``faust-retry-generation``    the group's, in which its writer began with the task
============================  ==================================================================

Records with nothing but the last two of these are marks: somebody has begun with the task in that
generation, and what earlier ones put there from then on does not count (`faust._machines.copies`).
Under exactly once the broker fences who was replaced, and no record names a generation.  What
names no group was written before records did, and is taken for our own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from faust._forwarded import SOURCE_HEADER
from faust._values import TP, Headers
from faust.agents.durable import put_durably

if TYPE_CHECKING:
    from faust._context import AppContext
    from faust.topics import Topic

__all__ = [
    "FORWARDED",
    "PREFIX",
    "Visit",
    "generation_of",
    "group_of",
    "mark_beginning",
    "not_before",
    "put_aside_at",
    "visit_of",
]

PREFIX = "faust-retry-"
FORWARDED = f"{PREFIX}forwarded"
_GENERATION = f"{PREFIX}generation"
_GROUP = f"{PREFIX}group"


class Visit(NamedTuple):
    """What an event has been through.

    Attributes:
        origin: Where it first was: partition and offset.
        headers: Its own headers.
        number: How often it came by a retry topic.
        attempts: How often it was tried before this visit.
    """

    origin: tuple[TP, int]
    headers: Headers
    number: int = 0
    attempts: int = 0


def visit_of(headers: Headers, tp: TP, offset: int) -> Visit:
    """Read what the headers of a record say (those of a source topic say nothing)."""
    ours = {name: value for name, value in headers if name.startswith(PREFIX)}
    if f"{PREFIX}number" not in ours:
        return Visit((tp, offset), headers)
    text = {name[len(PREFIX) :]: value.decode() for name, value in ours.items()}
    own = [pair for pair in headers if not pair[0].startswith(PREFIX)]
    if FORWARDED in ours:
        own.append((SOURCE_HEADER, ours[FORWARDED]))
    return Visit(
        (TP(text["topic"], int(text["partition"])), int(text["offset"])),
        own,
        int(text["number"]),
        int(text["attempts"]),
    )


def not_before(headers: Headers) -> float:
    """Return the seconds since the epoch before which an event is not handed out."""
    found = next((value for name, value in headers if name == f"{PREFIX}not-before"), None)
    return 0.0 if found is None else int(found) / 1000.0


def put_aside_at(headers: Headers) -> tuple[str, int] | None:
    """Return where an event was when it was put aside: topic and offset."""
    found = next((value for name, value in headers if name == f"{PREFIX}from"), None)
    if found is None:
        return None
    topic, _, offset = found.decode().rpartition("@")
    return topic, int(offset)


def generation_of(headers: Headers) -> int | None:
    """Return the generation in which a record's writer began with the task, if it says so."""
    found = next((value for name, value in headers if name == _GENERATION), None)
    return None if found is None else int(found)


def group_of(headers: Headers) -> str | None:
    """Return the group whose app wrote a record, if it says so."""
    found = next((value for name, value in headers if name == _GROUP), None)
    return None if found is None else found.decode()


async def mark_beginning(
    app: AppContext, topic: Topic[Any], partition: int, generation: int
) -> None:
    """Say in a retry partition that somebody begins with its task; return when that is durable.

    Raises:
        AgentFailed: the retry topic takes it neither now nor later.
    """
    headers = [(_GROUP, app.conf.id.encode()), (_GENERATION, str(generation).encode())]
    await put_durably(
        app,
        topic,
        _Mark(int(app.clock.time() * 1000)),
        headers=headers,
        fewer=headers,
        partition=partition,
        what=f"the mark with which a worker begins with partition {partition}",
    )


class _Mark(NamedTuple):
    """A record without contents."""

    timestamp: int
    key: None = None
    value: None = None
