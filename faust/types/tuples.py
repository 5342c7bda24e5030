"""What is passed around for each message."""

from __future__ import annotations

from faust._engine.deliveries import FutureMessage
from faust._values import TP, Message, RecordMetadata

__all__ = ["TP", "FutureMessage", "Message", "PendingMessage", "RecordMetadata"]

#: A message that is being sent, as sensors are told of it.
PendingMessage = FutureMessage
