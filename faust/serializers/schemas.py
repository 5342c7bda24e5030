"""Schemas: the types and codecs of a topic's keys and values in one object that can be shared."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable
from typing import Any, Generic, Protocol, TypeVar, cast

from faust._values import Message
from faust._values.modelproto import CodecArg, ModelArg
from faust.exceptions import DecodeError, KeyDecodeError
from faust.serializers.registry import Dumper, Loader, Registry

__all__ = ["Schema", "SchemaApp"]

KT = TypeVar("KT")
VT = TypeVar("VT")

OnDecodeError = Callable[[Exception, Message], Awaitable[None]]


class SchemaApp(Protocol):
    """What a schema asks of the app."""

    @property
    def serializers(self) -> Registry:
        """The registry in use."""

    def create_event(self, key: Any, value: Any, headers: Any, message: Message) -> Any:
        """Return an event for a decoded message."""


async def _ignore(exc: Exception, message: Message) -> None:
    """Do nothing about a message that cannot be decoded."""


class Schema(Generic[KT, VT]):
    """How the keys and values of a topic are typed and encoded.

    Arguments:
        key_type, value_type: A model, ``str``, ``bytes``, or any type that JSON can be read as.
        key_serializer, value_serializer: Codecs, or their names.
        allow_empty: Let messages without a value through, as ``None``, where there is a type.

    Subclasses may override ``loads_key``, ``loads_value``, ``dumps_key`` and ``dumps_value``, and
    the two ``on_dumps_..._prepare_headers``.  A schema may be shared: what a topic wants to say
    otherwise it says in a copy (`derive`).
    """

    def __init__(
        self,
        *,
        key_type: ModelArg = None,
        value_type: ModelArg = None,
        key_serializer: CodecArg = None,
        value_serializer: CodecArg = None,
        allow_empty: bool | None = None,
    ) -> None:
        self.key_type: ModelArg = None
        self.value_type: ModelArg = None
        self.key_serializer: CodecArg = None
        self.value_serializer: CodecArg = None
        self.allow_empty = False
        self.update(
            key_type=key_type,
            value_type=value_type,
            key_serializer=key_serializer,
            value_serializer=value_serializer,
            allow_empty=allow_empty,
        )

    def update(
        self,
        *,
        key_type: ModelArg = None,
        value_type: ModelArg = None,
        key_serializer: CodecArg = None,
        value_serializer: CodecArg = None,
        allow_empty: bool | None = None,
    ) -> None:
        """Change this very schema, for all who share it; ``None`` leaves a part as it is."""
        if key_type is not None:
            self.key_type = key_type
        if value_type is not None:
            self.value_type = value_type
        if key_serializer is not None:
            self.key_serializer = key_serializer
        if value_serializer is not None:
            self.value_serializer = value_serializer
        if allow_empty is not None:
            self.allow_empty = allow_empty

    def derive(self, **changes: Any) -> Schema[KT, VT]:
        """Return a copy with the changes that `update` would make; this one stays as it is."""
        derived = copy.copy(self)
        derived.update(**changes)
        return derived

    # -- reading ------------------------------------------------------------------

    def loads_key(
        self,
        app: SchemaApp,
        message: Message,
        *,
        loads: Callable[..., Any] | None = None,
        serializer: CodecArg = None,
    ) -> KT:
        """Decode a message's key.

        Raises:
            KeyDecodeError: It cannot be decoded.
        """
        loads = loads or app.serializers.loads_key
        chosen = serializer or self.key_serializer
        return cast(KT, loads(self.key_type, message.key, serializer=chosen))

    def loads_value(
        self,
        app: SchemaApp,
        message: Message,
        *,
        loads: Callable[..., Any] | None = None,
        serializer: CodecArg = None,
    ) -> VT:
        """Decode a message's value.

        Raises:
            ValueDecodeError: It cannot be decoded, or is empty and may not be.
        """
        chosen = serializer or self.value_serializer
        if message.value is None and self.value_type is not None and not self.allow_empty:
            error = ValueError("the value is empty")
            app.serializers.retry_value(self.value_type, None, error, serializer=chosen)
        loads = loads or app.serializers.loads_value
        return cast(VT, loads(self.value_type, message.value, serializer=chosen))

    def key_loader(self, app: SchemaApp) -> Loader | None:
        """Return `Registry.key_loader`; ``None`` where `loads_key` is overridden."""
        if self._overrides("loads_key"):
            return None
        return app.serializers.key_loader(self.key_type, self.key_serializer)

    def value_loader(self, app: SchemaApp) -> Loader | None:
        """Return `Registry.value_loader`; ``None`` where `loads_value` is overridden."""
        if self._overrides("loads_value"):
            return None
        return app.serializers.value_loader(
            self.value_type, self.value_serializer, allow_empty=self.allow_empty
        )

    # -- writing ------------------------------------------------------------------

    def dumps_key(
        self, app: SchemaApp, key: Any, *, serializer: CodecArg = None, headers: Any
    ) -> tuple[Any, Any]:
        """Encode a key; return the bytes and the headers to send."""
        payload = app.serializers.dumps_key(
            self.key_type, key, serializer=serializer or self.key_serializer
        )
        return payload, self._prepared(self.on_dumps_key_prepare_headers(key, headers), headers)

    def dumps_value(
        self, app: SchemaApp, value: Any, *, serializer: CodecArg = None, headers: Any
    ) -> tuple[Any, Any]:
        """Encode a value; return the bytes and the headers to send."""
        payload = app.serializers.dumps_value(
            self.value_type, value, serializer=serializer or self.value_serializer
        )
        return payload, self._prepared(self.on_dumps_value_prepare_headers(value, headers), headers)

    def on_dumps_key_prepare_headers(self, key: Any, headers: Any) -> Any:
        """Return the headers to send with a key (or change them in place and return nothing)."""
        return headers

    def on_dumps_value_prepare_headers(self, value: Any, headers: Any) -> Any:
        """Return the headers to send with a value (or change them in place and return nothing)."""
        return headers

    def key_dumper(self, app: SchemaApp) -> Dumper | None:
        """Return `Registry.key_dumper`; ``None`` where writing a key is overridden here."""
        if self._overrides("dumps_key") or self._overrides("on_dumps_key_prepare_headers"):
            return None
        return app.serializers.key_dumper(self.key_type, self.key_serializer)

    def value_dumper(self, app: SchemaApp) -> Dumper | None:
        """Return `Registry.value_dumper`; ``None`` where writing a value is overridden here."""
        if self._overrides("dumps_value") or self._overrides("on_dumps_value_prepare_headers"):
            return None
        return app.serializers.value_dumper(self.value_type, self.value_serializer)

    # -- whole messages -----------------------------------------------------------

    def compile(
        self,
        app: SchemaApp,
        *,
        on_key_decode_error: OnDecodeError = _ignore,
        on_value_decode_error: OnDecodeError = _ignore,
        default_propagate: bool = False,
    ) -> Callable[..., Awaitable[Any]]:
        """Return a coroutine function from a message to an event.

        What cannot be decoded goes to the callbacks and gives ``None``, or is raised where
        ``propagate`` is true.
        """

        async def decode(message: Message, *, propagate: bool = default_propagate) -> Any:
            try:
                key = self.loads_key(app, message)
                value = self.loads_value(app, message)
            except DecodeError as exc:
                if propagate:
                    raise
                failed = (
                    on_key_decode_error
                    if isinstance(exc, KeyDecodeError)
                    else on_value_decode_error
                )
                await failed(exc, message)
                return None
            return app.create_event(key, value, message.headers, message)

        return decode

    async def decode(self, app: SchemaApp, message: Message, *, propagate: bool = False) -> Any:
        """Return the event for a message; see `compile` for what cannot be decoded."""
        return await self.compile(app)(message, propagate=propagate)

    def _prepared(self, returned: Any, headers: Any) -> Any:
        return headers if returned is None else returned

    def _overrides(self, method: str) -> bool:
        return getattr(type(self), method) is not getattr(Schema, method)

    def __repr__(self) -> str:
        parts = (
            ("KT", self.key_type, self.key_serializer),
            ("VT", self.value_type, self.value_serializer),
        )
        shown = ", ".join(f"{name}={_shown(typ)} ({codec})" for name, typ, codec in parts)
        return f"<{type(self).__name__}: {shown}>"


def _shown(typ: Any) -> str:
    return typ.__qualname__ if isinstance(typ, type) else str(typ)
