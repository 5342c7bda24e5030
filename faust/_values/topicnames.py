"""Which names a topic may have."""

from __future__ import annotations

import re

__all__ = ["legal_topic_name"]

#: Kafka's own limit.
MAX_NAME = 249
_LEGAL = re.compile(r"[a-zA-Z0-9._-]+")


def legal_topic_name(name: str) -> str:
    """Return a name that a topic may have.

    Raises:
        TypeError: it is no text.
        ValueError: it is too long, or has characters that are not allowed.
    """
    if not isinstance(name, str):
        raise TypeError(f"a topic's name is text, not {name!r}")
    if not _LEGAL.fullmatch(name) or name in (".", ".."):
        raise ValueError(
            f"illegal topic name {name!r}: letters, digits, '.', '_' and '-' are allowed"
        )
    if len(name) > MAX_NAME:
        raise ValueError(f"topic name of {len(name)} characters (at most {MAX_NAME}): {name!r}")
    return name
