"""Topic partitions and the enums that go with records."""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import NamedTuple, TypeAlias

__all__ = ["TP", "Offset", "ProcessingGuarantee", "TimestampType"]

#: The position of a record in its partition.  Wherever an offset is stored or committed it means
#: the *next* record to read.
Offset: TypeAlias = int


class TP(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}"


class TimestampType(IntEnum):
    """Who set a record's timestamp."""

    CREATE_TIME = 0
    LOG_APPEND_TIME = 1


class ProcessingGuarantee(Enum):
    """What a crash may do to an event's effects."""

    AT_LEAST_ONCE = "at_least_once"
    EXACTLY_ONCE = "exactly_once"
