"""Every error this library raises, grouped by what happens next.

==================  ===========================================================
group               consequence
==================  ===========================================================
`RetryableError`    the same request may be sent again, after a pause
`RejoinError`       our membership or generation is gone: join the group again
`RestoreError`      local or overlaid state cannot be trusted: restore the task
`StopError`         the app must stop; the message says what to do
the rest            tell the user: something was called or configured wrongly
==================  ===========================================================

Errors carry data (``tp``, ``offset``, ``generation``), not only words.  This module imports
nothing of ours but the nouns it names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from faust._values import TP

__all__ = [
    "AgentFailed",
    "AlreadyConfiguredWarning",
    "BrokerError",
    "BrokerUnavailable",
    "ConsistencyError",
    "CorruptRecord",
    "DecodeError",
    "EventTimeout",
    "FaustError",
    "FaustPredicate",
    "FaustWarning",
    "FencedMember",
    "GroupAuthorizationFailed",
    "IllegalGeneration",
    "ImproperlyConfigured",
    "InvalidTopic",
    "KeyDecodeError",
    "MemberIdRequired",
    "MessageTooLarge",
    "MetadataTooLarge",
    "NotReady",
    "OffsetOutOfRange",
    "PartitionRevoked",
    "PartitionsMismatch",
    "ProducerFenced",
    "ProducerSendError",
    "RebalanceInProgress",
    "RejoinError",
    "RestoreError",
    "RetryableError",
    "SameNode",
    "SecurityError",
    "SecurityWarning",
    "SharedTable",
    "Skip",
    "StopError",
    "TopicAuthorizationFailed",
    "TopicExists",
    "TransactionAborted",
    "UnknownMember",
    "UnknownTopic",
    "ValidationError",
    "ValueDecodeError",
]


class FaustError(Exception):
    """Base of all errors."""


class FaustWarning(UserWarning):
    """Base of all warnings."""


class FaustPredicate(Exception):
    """Base of exceptions that steer, and are no errors."""


# -- what steers ---------------------------------------------------------------


class Skip(FaustPredicate):
    """Raised by a stream processor: leave this event out (it counts as handled)."""


class SameNode(FaustPredicate):
    """Raised by the router: the request is for this very worker."""


class SharedTable(FaustPredicate):
    """Two agents write one table, and it has just been noticed: the event is handed out again.

    Its writes are undone; from now on only one of these agents is inside an event at a time.
    """


class NotReady(FaustPredicate):
    """The service that was asked has not started yet."""


# -- tell the user -------------------------------------------------------------


class ImproperlyConfigured(FaustError):
    """A setting, a definition or their combination cannot work; the message says which."""


class SecurityError(FaustError):
    """A value marked as sensitive was about to be shown."""


class DecodeError(FaustError):
    """A key or value could not be decoded."""


class KeyDecodeError(DecodeError):
    """A message key could not be decoded."""


class ValueDecodeError(DecodeError):
    """A message value could not be decoded."""


class ValidationError(FaustError, ValueError):
    """A model's field does not hold what it may hold.

    Attributes:
        field: The field's descriptor.
    """

    def __init__(self, reason: str, *, field: Any) -> None:
        self.reason = reason
        self.field = field
        super().__init__(reason, field)

    def __str__(self) -> str:
        name = getattr(self.field, "ident", None) or getattr(self.field, "field", self.field)
        return f"{name}: {self.reason}"


class SecurityWarning(FaustWarning):
    """Something that was configured is known to be unsafe."""


class AlreadyConfiguredWarning(FaustWarning):
    """A setting was changed after it had been read."""


class PartitionsMismatch(FaustError):
    """Topics or tables that must have the same number of partitions do not."""


class MetadataTooLarge(FaustError):
    """What must be committed with a task's positions does not fit.

    Attributes:
        size: Bytes needed.
        limit: Bytes there are.
    """

    def __init__(self, size: int, limit: int) -> None:
        self.size, self.limit = size, limit
        super().__init__(
            f"the metadata of a commit needs {size} bytes, and brokers take {limit}: let the app "
            f"have fewer agents on one topic, fewer tables, or shorter names"
        )


class ConsistencyError(FaustError):
    """Local state contradicts the log."""


class AgentFailed(FaustError):
    """An agent raised, and kept raising after its retries; the worker stops."""


class EventTimeout(FaustError):
    """An agent was inside one event for longer than its ``event_timeout``."""


class ProducerSendError(FaustError):
    """A message could not be delivered, and will not be."""


class PartitionRevoked(FaustError):
    """The task that this event belongs to is no longer ours: its writes and sends do not count."""

    def __init__(self, message: str, *, tp: TP | None = None) -> None:
        self.tp = tp
        super().__init__(message)


# -- what brokers answer -------------------------------------------------------


class BrokerError(FaustError):
    """Base of everything that a broker, or the way to it, answered."""


class RetryableError(BrokerError):
    """The same request may be sent again after a pause."""


class BrokerUnavailable(RetryableError):
    """No broker could be reached, or it did not answer in time."""


class RejoinError(BrokerError):
    """Our membership is void: join the group again."""


class RebalanceInProgress(RejoinError):
    """A new round has begun: join it.  Our generation still holds for commits until then."""


class IllegalGeneration(RejoinError):
    """The request carried a generation that is over."""


class UnknownMember(RejoinError):
    """The group does not know this member (any more)."""


class MemberIdRequired(RejoinError):
    """Join again with the member id given (KIP-394).

    Attributes:
        member_id: The id to join with.
    """

    def __init__(self, member_id: str) -> None:
        self.member_id = member_id
        super().__init__(f"join again as member {member_id!r}")


class RestoreError(BrokerError):
    """State cannot be trusted: restore it before going on."""


class OffsetOutOfRange(RestoreError):
    """A position lies outside of the log.

    Attributes:
        tp: The partition.
        position: The offset that was asked for.
        first: The first offset there is, if known.
        end: The offset after the last one, if known.
    """

    def __init__(
        self, tp: TP, position: int, *, first: int | None = None, end: int | None = None
    ) -> None:
        self.tp, self.position, self.first, self.end = tp, position, first, end
        super().__init__(
            f"offset {position} of {tp.topic}-{tp.partition} is outside of the log "
            f"(first {first}, end {end})"
        )


class CorruptRecord(RestoreError):
    """A record batch is damaged (its CRC does not match, or it cannot be parsed)."""


class TransactionAborted(RestoreError):
    """The transaction was aborted: nothing of it counts."""


class StopError(BrokerError):
    """Going on would be wrong: the app stops."""


class FencedMember(StopError):
    """Another process with the same static member id has taken our place."""


class ProducerFenced(StopError):
    """Another producer has taken over our transactional id."""


class UnknownTopic(BrokerError):
    """There is no such topic or partition."""


class TopicExists(BrokerError):
    """A topic of that name is there already."""


class InvalidTopic(StopError):
    """The broker refuses the topic's name, partitions, replicas or configuration."""


class MessageTooLarge(StopError):
    """A record or batch is larger than the broker accepts."""


class TopicAuthorizationFailed(StopError):
    """We may not do this to that topic."""


class GroupAuthorizationFailed(StopError):
    """We may not do this with that group."""
