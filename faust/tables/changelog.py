"""A table's changelog: what the topic is like, and how keys and values are written in it.

The store on disk keeps the same bytes.  In a log no value at all deletes a key, so ``None`` as a
value is JSON's null, and ``None`` as a key is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from faust.exceptions import DecodeError
from faust.stores.overlay import SliceCodec
from faust.tables.ranges import ranged_dump, ranged_load

if TYPE_CHECKING:
    from faust._context import AppContext
    from faust.topics import Topic
    from faust.windows import Window

__all__ = ["Changelogged", "codec_for", "topic_for"]

#: Stamped by the broker's clock, which tells the age of what a dead worker left; not compacted
#: while that may still have to be taken back.
_CONFIG = {
    "message.timestamp.type": "LogAppendTime",
    "min.compaction.lag.ms": str(24 * 3600 * 1000),
}


class Changelogged(Protocol):
    """A table, as it is seen here: `faust.tables.base.Collection`."""

    app: AppContext
    name: str
    key_type: Any
    value_type: Any
    key_serializer: Any
    value_serializer: Any
    partitions: int | None
    window: Window | None
    extra_topic_configs: dict[str, Any]

    @property
    def changelog_topic_name(self) -> str: ...


def topic_for(table: Changelogged) -> Topic[Any]:
    """Return the description of a table's changelog topic.

    Compacted and nothing else: retention would delete live values while a source is silent.
    """
    made: Topic[Any] = table.app.topic(
        table.changelog_topic_name,
        key_type=table.key_type,
        value_type=table.value_type,
        partitions=table.partitions,
        compacting=True,
        deleting=False,
        acks=False,
        internal=True,
        allow_empty=True,
        has_prefix=True,
        config={**_CONFIG, **table.extra_topic_configs},
    )
    return made


def codec_for(table: Changelogged) -> SliceCodec:
    """Return how a table's keys and values are encoded: by its types and serializers."""
    registry = table.app.serializers
    key_codec = table.key_serializer or "json"
    value_codec = table.value_serializer or "json"
    if table.key_type is bytes:
        key_codec = table.key_serializer or "raw"
    if table.value_type is bytes:
        value_codec = table.value_serializer or "raw"
    dump_value = registry.value_dumper(table.value_type, value_codec)
    load_value = registry.value_loader(table.value_type, value_codec)
    untyped = table.key_type is None and table.key_serializer is None
    dump_key: Callable[[Any], bytes] = _only_keys(
        registry.key_dumper(table.key_type, key_codec),
        table.name,
        no_bytes=key_codec == "json" and not untyped,
    )
    load_key: Callable[[bytes], Any] = registry.key_loader(table.key_type, key_codec)
    if untyped:  # keys of a topic without a type are bytes
        load_key = _or_bytes(load_key)
    if table.window is not None:
        dump_key, load_key = ranged_dump(dump_key), ranged_load(load_key)
    return SliceCodec(
        dump_key, load_key, _none_as_null(dump_value, table.name), _null_as_none(load_value)
    )


def _only_keys(
    dump: Callable[[Any], bytes | None], table: str, *, no_bytes: bool
) -> Callable[[Any], bytes]:
    """Refuse ``None``, and where keys are JSON of a type, bytes: they could not be read back."""

    def checked(key: Any) -> bytes:
        data = dump(key)
        if data is None:
            raise ValueError(f"table {table!r}: None cannot be a key")
        if data is key and no_bytes:  # bytes are not encoded
            raise TypeError(
                f"table {table!r} keeps its keys as JSON, which has no bytes like {key!r}: decode "
                "the key, or define the table with key_type=bytes"
            )
        return data

    return checked


def _or_bytes(load: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """Read JSON where it is JSON; what is not stays bytes."""

    def lenient(data: bytes) -> Any:
        try:
            return load(data)
        except (ValueError, DecodeError):
            return data

    return lenient


def _none_as_null(dump: Callable[[Any], bytes | None], table: str) -> Callable[[Any], bytes]:
    """In a changelog no value at all deletes a key, so ``None`` is written as JSON's null."""

    def checked(value: Any) -> bytes:
        data = dump(value)
        return b"null" if data is None else data

    return checked


def _null_as_none(load: Callable[[bytes | None], Any]) -> Callable[[bytes], Any]:
    def checked(data: bytes) -> Any:
        return None if data == b"null" else load(data)

    return checked
