"""Channels whose messages are bytes: how a topic's keys and values are decoded and encoded.

Each way has two roads.  Where nothing is overridden, a schema is compiled into one function for
keys and one for values, made once and kept here; `Topic.send` and the streams call them directly.
Where a subclass or a schema of the user's has methods of its own, or an argument names another
codec, or somebody wants to see what is sent, each message takes the road that goes through these
methods, with headers and all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from faust._inprogress import current_stream
from faust._values import HeadersArg, Message, headers_as_list
from faust.channels import Channel
from faust.exceptions import DecodeError
from faust.serializers.schemas import Schema

if TYPE_CHECKING:
    from faust._context import AppContext

__all__ = ["SerializedChannel"]

T = TypeVar("T")


class SerializedChannel(Channel[T], Generic[T]):
    """A channel that knows how its messages are written (see `faust.Schema`).

    Arguments:
        app: The app.
        schema: What it is derived from (default: the setting ``Schema``).
        key_type, value_type, key_serializer, value_serializer, allow_empty: What is different.
        maxsize: As of any channel.

    Subclasses may override `prepare_key`, `prepare_value` and `prepare_headers`.
    """

    schema: Schema[Any, Any]

    def __init__(
        self,
        app: AppContext,
        *,
        schema: Schema[Any, Any] | None = None,
        key_type: Any = None,
        value_type: Any = None,
        key_serializer: Any = None,
        value_serializer: Any = None,
        allow_empty: bool | None = None,
        maxsize: int | None = None,
        loop: Any = None,
    ) -> None:
        base = schema if schema is not None else app.conf.Schema()
        made: Schema[Any, Any] = base.derive(
            key_type=key_type,
            value_type=value_type,
            key_serializer=key_serializer,
            value_serializer=value_serializer,
            allow_empty=allow_empty,
        )
        super().__init__(
            app,
            schema=made,
            key_type=made.key_type,
            value_type=made.value_type,
            maxsize=maxsize,
            loop=loop,
        )
        self._dump_key: Callable[[Any], bytes | None] | None = None
        self._dump_value: Callable[[Any], bytes | None] | None = None
        #: Type -> what writes it: saves a call for each record.
        self._key_writers: dict[type, Callable[[Any], bytes | None]] = {}
        self._value_writers: dict[type, Callable[[Any], bytes | None]] = {}
        self._load_key: Callable[[bytes | None], Any] | None = None
        self._load_value: Callable[[bytes | None], Any] | None = None

    # -- decoding ----------------------------------------------------------------------

    def value_loader(self) -> Callable[[bytes | None], Any]:
        """Return what decodes a value (compiled where nothing is overridden)."""
        if self._load_value is None:
            schema = self.schema
            app: Any = self.app
            loader = schema.value_loader(app)
            self._load_value = loader or _by_message(schema.loads_value, app)
        return self._load_value

    def decode_key(self, record: Any, message: Message) -> Any:
        """Decode a record's key.

        Raises:
            KeyDecodeError: it cannot be decoded.
        """
        if record.key is None:
            return None
        schema = self.schema
        app: Any = self.app
        if self._load_key is None:
            loader = schema.key_loader(app)
            self._load_key = loader or _by_message(schema.loads_key, app)
        try:
            return self._load_key(record.key)
        except Exception:
            return schema.loads_key(app, message)

    async def decode_again(self, cursor: Any, record: Any) -> Any:
        """Decode a value the complete way.

        Raises:
            DecodeError: it cannot be decoded; `on_value_decode_error` was told.
        """
        message = Message.of_record(cursor.tp, record)
        app: Any = self.app
        try:
            return self.schema.loads_value(app, message)
        except DecodeError as error:
            await self.on_value_decode_error(error, message)
            raise

    # -- encoding -----------------------------------------------------------------------

    def _write_key(self, key: Any) -> bytes | None:
        assert self._dump_key is not None
        return None if key is None else self._dump_key(key)

    def _write_value(self, value: Any) -> bytes | None:
        assert self._dump_value is not None
        return self._dump_value(value)

    def _encode(
        self,
        key: Any,
        value: Any,
        partition: int | None,
        timestamp: float | None,
        headers: HeadersArg,
        schema: Schema[Any, Any] | None,
        key_serializer: Any,
        value_serializer: Any,
    ) -> tuple[bytes | None, bytes | None, list[tuple[str, bytes]] | None]:
        hook = self.app.produce_hook()
        if (
            schema is None
            and key_serializer is None
            and value_serializer is None
            and hook is None
            and self._compiled_dumpers()
        ):
            dump_key, dump_value = self._dump_key, self._dump_value
            assert dump_key is not None
            assert dump_value is not None
            pairs = None if headers is None else headers_as_list(headers)
            return (None if key is None else dump_key(key)), dump_value(value), pairs
        pairs = self.prepare_headers(headers)
        if hook is not None:
            hook(key, value, partition, timestamp, pairs)
        raw_key, pairs = self._prepare_key(key, key_serializer, schema, pairs)
        raw_value, pairs = self._prepare_value(value, value_serializer, schema, pairs)
        return raw_key, raw_value, headers_as_list(pairs)

    def _compiled_dumpers(self) -> bool:
        if self._dump_value is None:
            overridden = (
                type(self).prepare_key is not SerializedChannel.prepare_key
                or type(self).prepare_value is not SerializedChannel.prepare_value
                or type(self).prepare_headers is not SerializedChannel.prepare_headers
            )
            if overridden:
                return False
            app: Any = self.app
            self._dump_key = self.schema.key_dumper(app)
            self._dump_value = self.schema.value_dumper(app)
            self._key_writers = getattr(self._dump_key, "chosen", {})
            self._value_writers = getattr(self._dump_value, "chosen", {})
        return self._dump_value is not None and self._dump_key is not None

    def prepare_key(
        self, key: Any, key_serializer: Any, schema: Any = None, headers: Any = None
    ) -> tuple[Any, Any]:
        """Encode a key; return the bytes and the headers to send."""
        app: Any = self.app
        used: Any = self.schema if schema is None else schema
        payload: tuple[Any, Any] = used.dumps_key(
            app, key, serializer=key_serializer, headers=headers
        )
        return payload

    def prepare_value(
        self, value: Any, value_serializer: Any, schema: Any = None, headers: Any = None
    ) -> tuple[Any, Any]:
        """Encode a value; return the bytes and the headers to send.  ``None`` stays a tombstone."""
        app: Any = self.app
        used: Any = self.schema if schema is None else schema
        payload: tuple[Any, Any] = used.dumps_value(
            app, value, serializer=value_serializer, headers=headers
        )
        return payload

    def prepare_headers(self, headers: HeadersArg) -> list[tuple[str, bytes]]:
        """Return headers as a list of pairs."""
        return headers_as_list(headers)

    def _prepare_key(self, key: Any, serializer: Any, schema: Any, headers: Any) -> tuple[Any, Any]:
        payload, changed = self.prepare_key(key, serializer, schema, headers)
        return payload, headers if changed is None else changed

    def _prepare_value(
        self, value: Any, serializer: Any, schema: Any, headers: Any
    ) -> tuple[Any, Any]:
        payload, changed = self.prepare_value(value, serializer, schema, headers)
        return payload, headers if changed is None else changed


def _by_message(loads: Callable[..., Any], app: Any) -> Callable[[bytes | None], Any]:
    """Return a loader that goes through a user's own `Schema.loads_...` method."""

    def load(data: bytes | None) -> Any:
        stream = current_stream()
        record, cursor = (None, None) if stream is None else (stream.record, stream.cursor)
        if record is None or cursor is None:
            message = Message("", 0, -1, 0.0, 0, [], data, data)
        else:
            message = Message.of_record(cursor.tp, record)
        return loads(app, message)

    return load
