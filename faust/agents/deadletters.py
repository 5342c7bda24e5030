"""Dead letters: events that an agent could not handle, kept with what went wrong.

A dead letter has the key, the value, the timestamp and the headers of the original, byte for byte,
and these headers beside them (text, UTF-8):

=======================  =======================================================================
``faust-dlq-app``        id of the app
``faust-dlq-agent``      the agent (or the name of another reader)
``faust-dlq-topic``      where the original is: topic,
``faust-dlq-partition``  partition,
``faust-dlq-offset``     and offset
``faust-dlq-kind``       ``agent``: it raised; ``decode``: key or value could not be decoded
``faust-dlq-error``      type of the exception, with its module unless it is built in
``faust-dlq-message``    its message (1,000 characters at most)
``faust-dlq-traceback``  the end of the traceback (4,000 characters at most)
``faust-dlq-attempts``   how often it was tried
``faust-dlq-time``       when it was given up, ISO 8601 in UTC
``faust-dlq-redriven``   how often it was sent back before; absent if never
=======================  =======================================================================
"""

from __future__ import annotations

from datetime import UTC, datetime
from traceback import format_exception
from typing import TYPE_CHECKING, Any

from faust._values import TP, Headers
from faust.agents.durable import put_durably, raw_topic

if TYPE_CHECKING:
    from faust._context import AppContext
    from faust.topics import Topic

__all__ = ["PREFIX", "REDRIVEN", "DeadLetters", "letter_headers", "without_letter_headers"]

#: What the names of our headers begin with.
PREFIX = "faust-dlq-"
#: Header that says how often an event was sent back; it stays on the event.
REDRIVEN = f"{PREFIX}redriven"
#: Longest message and traceback that are kept, in characters.
MOST_MESSAGE, MOST_TRACEBACK = 1_000, 4_000


class DeadLetters:
    """The dead letters of one agent.

    Arguments:
        app: The app.
        reader: The agent's name (or another reader's).
    """

    def __init__(self, app: AppContext, reader: str) -> None:
        self._app = app
        self._reader = reader
        self._topics: dict[str, Topic[Any]] = {}

    def topic(self, name: str | None) -> Topic[Any]:
        """Return the topic of that name, or the default one."""
        name = name or f"{self._app.conf.id}-{self._reader}-dead-letters"
        if name not in self._topics:
            self._topics[name] = raw_topic(self._app, name)
        return self._topics[name]

    async def put(
        self,
        topic: Topic[Any],
        record: Any,
        origin: tuple[TP, int],
        headers: Headers,
        error: BaseException,
        *,
        kind: str,
        attempts: int,
    ) -> None:
        """Put an event there; return when it cannot be lost any more.

        Arguments:
            record: Has its bytes.
            origin: Where it came from: partition and offset.
            headers: Its own headers.

        Raises:
            AgentFailed: the topic takes it neither now nor later.
            PartitionRevoked: the event is not ours any more.
        """
        tp, offset = origin
        texts = {
            "app": self._app.conf.id,
            "agent": self._reader,
            "topic": tp.topic,
            "partition": str(tp.partition),
            "offset": str(offset),
            "kind": kind,
            "attempts": str(attempts),
            "time": datetime.fromtimestamp(self._app.clock.time(), UTC).isoformat(
                timespec="milliseconds"
            ),
        }
        own = without_letter_headers(headers)
        await put_durably(
            self._app,
            topic,
            record,
            headers=own + letter_headers(texts, error),
            fewer=own + letter_headers({**texts, "error": type_name(error)}),
            what=f"the dead letter of agent {self._reader} for {tp.topic}-{tp.partition}@{offset}",
        )
        self._app.sensors.on_event_dead_lettered(self._reader, tp, str(topic))


def letter_headers(texts: dict[str, str], error: BaseException | None = None) -> Headers:
    """Return the headers that make a record a dead letter."""
    if error is not None:
        texts = {
            **texts,
            "error": type_name(error),
            "message": str(error)[:MOST_MESSAGE],
            "traceback": "".join(format_exception(error))[-MOST_TRACEBACK:],
        }
    return [(PREFIX + name, text.encode(errors="replace")) for name, text in texts.items()]


def without_letter_headers(headers: Headers) -> Headers:
    """Return headers without those of a dead letter (how often it was sent back stays)."""
    return [pair for pair in headers if not pair[0].startswith(PREFIX) or pair[0] == REDRIVEN]


def type_name(error: BaseException) -> str:
    kind = type(error)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return module + kind.__qualname__
