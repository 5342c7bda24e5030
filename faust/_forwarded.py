"""Forwarded records: where each came from, and whether it was handled before.

A record that `Stream.group_by` forwards carries its source in a header.  Whoever forwards may crash
after the record was appended and before it has committed; then it forwards the same record again,
and who reads drops what it has seen.
"""

from __future__ import annotations

from typing import Any

from faust._machines.effects import Cursor, Effects, ForwardMark
from faust._values import Headers

__all__ = ["SOURCE_HEADER", "was_seen", "with_source"]

#: Header of a forwarded record: where it came from, ``topic-id:partition@offset``.
SOURCE_HEADER = "faust-source"


def with_source(message: Any, topic: str | None) -> Headers:
    """Return a message's headers for forwarding it.

    Arguments:
        message: What is forwarded.
        topic: Identity of the topic it was read from; ``None`` if it is not from a topic.
    """
    headers: Headers = [pair for pair in message.headers if pair[0] != SOURCE_HEADER]
    if topic is not None:
        source = f"{topic}:{message.partition}@{message.offset}"
        headers.append((SOURCE_HEADER, source.encode()))
    return headers


def was_seen(reader: str, cursor: Cursor, record: Any, effects: Effects) -> bool:
    """Is this a forwarded record that was handled before its forwarder crashed?

    If it was not, that it is seen now belongs to ``effects``.
    """
    source = next((v for k, v in record.headers if k == SOURCE_HEADER), None)
    if source is None:
        return False
    name, _, offset = source.decode().rpartition("@")
    run, mark = cursor.task, f"{reader}|{name}"
    if int(offset) <= max(run.seen.get(mark, -1), run.forwarded.get(mark, -1)):
        return True
    effects.note(ForwardMark(run, mark, int(offset)))
    return False
