"""Putting an event where it is not lost, before its agent goes on without it.

Under at least once the event stays in progress until its copy is durable: a topic that cannot be
reached makes the agent wait, and nothing behind the event is handled or committed meanwhile.  Under
exactly once the copy is an effect of the event, part of the transaction that commits it; where that
cannot be, the transaction fails, and the event comes again.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from faust._machines.retry import backoff
from faust._values import Headers, ProcessingGuarantee
from faust.exceptions import (
    AgentFailed,
    BrokerError,
    FaustError,
    ImproperlyConfigured,
    MessageTooLarge,
    ProducerSendError,
    RetryableError,
)
from faust.serializers.schemas import Schema

if TYPE_CHECKING:
    from faust._context import AppContext
    from faust.topics import Topic

__all__ = ["put_durably", "raw_schema", "raw_topic"]

logger = logging.getLogger(__name__)

#: Longest pause between two attempts to reach a topic (seconds).
LONGEST_PAUSE = 5.0


def raw_schema() -> Schema[Any, Any]:
    """Return a schema that keeps bytes as they are."""
    return Schema(
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
        allow_empty=True,
    )


def raw_topic(app: AppContext, name: str, **options: Any) -> Topic[Any]:
    """Return a topic of the app's own that keeps bytes as they are, for ever."""
    topic: Topic[Any] = app.topic(
        name,
        schema=raw_schema(),
        internal=True,
        deleting=True,
        retention=-1,
        **options,
    )
    return topic


async def put_durably(
    app: AppContext,
    topic: Topic[Any],
    record: Any,
    *,
    headers: Headers,
    fewer: Headers,
    what: str,
    partition: int | None = None,
) -> None:
    """Send the bytes of a record to another topic; return when they cannot be lost any more.

    Arguments:
        headers: For the copy.
        fewer: The same without what could be spared, if the copy is too large otherwise.
        what: What it is, for messages.

    Raises:
        AgentFailed: the topic takes it neither now nor later.
        PartitionRevoked: the event is not ours any more.
    """
    failures = 0
    while True:
        try:
            sent = await topic.send(
                key=record.key,
                value=record.value,
                partition=partition,
                timestamp=record.timestamp / 1000.0,
                headers=headers,
            )
            if app.conf.processing_guarantee is ProcessingGuarantee.EXACTLY_ONCE:
                return
            sent.claim()
            await sent
            return
        except (BrokerError, ProducerSendError, ImproperlyConfigured) as exc:
            cause = _cause(exc)
            if isinstance(cause, MessageTooLarge) and headers != fewer:
                headers = fewer
                continue
            if not isinstance(cause, RetryableError):
                raise AgentFailed(
                    f"{what} cannot be put into topic {str(topic)!r}: {cause}. The event is not "
                    f"committed: see that the topic can be written, and start again"
                ) from exc
            failures += 1
            logger.warning(
                "%s cannot be put into topic %s yet, and the agent waits with its event: %s",
                what, topic, cause,
            )  # fmt: skip
            await app.clock.sleep(backoff(failures, 0.1, LONGEST_PAUSE))


def _cause(exc: FaustError) -> BaseException:
    """Return what the broker said, where sending says it in other words."""
    inner = exc.__cause__
    while isinstance(exc, ProducerSendError) and isinstance(inner, FaustError):
        exc, inner = inner, inner.__cause__
    return exc
