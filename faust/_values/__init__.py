"""The nouns: partitions, messages, record metadata, headers, enums."""

from faust._values.messages import (
    Headers,
    HeadersArg,
    Message,
    RecordMetadata,
    headers_as_list,
    headers_as_mapping,
    merge_headers,
)
from faust._values.tuples import TP, Offset, ProcessingGuarantee, TimestampType

__all__ = [
    "TP",
    "Headers",
    "HeadersArg",
    "Message",
    "Offset",
    "ProcessingGuarantee",
    "RecordMetadata",
    "TimestampType",
    "headers_as_list",
    "headers_as_mapping",
    "merge_headers",
]
