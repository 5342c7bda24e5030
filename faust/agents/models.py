"""The wire form of requests to agents and of their replies.

Headers of a request say where the reply goes; the reply carries the request's correlation id.
"""

from __future__ import annotations

from typing import Any

from faust.models import Record

__all__ = ["CORRELATION_HEADER", "REPLY_HEADER", "ReqRepRequest", "ReqRepResponse"]

#: Header of a request: name of the topic for the reply.
REPLY_HEADER = "Faust-Ag-ReplyTo"
#: Header of a request: id by which the caller knows the reply.
CORRELATION_HEADER = "Faust-Ag-CorrelationId"


class ReqRepRequest(Record, serializer="json", namespace="@ReqRepRequest"):
    """A request that carries its reply address in its value (``use_reply_headers=False``)."""

    value: Any
    reply_to: str
    correlation_id: str


class ReqRepResponse(Record, serializer="json", namespace="@ReqRepResponse"):
    """A reply.

    ``error`` is ``[exception type, message]`` where the agent raised instead of answering.
    """

    key: Any
    value: Any
    correlation_id: str
    error: Any = None
