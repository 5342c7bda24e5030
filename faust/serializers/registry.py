"""The registry: which codec and which type a key or value is written and read with.

Who decides the codec, first one that says something: the model's own ``serializer`` option, the
``serializer`` argument (a topic, schema or table has been asked for one), the type (``bytes`` is
raw; a key of type ``str`` too), the registry's default.

There are two ways to the same result.  ``loads_key``, ``loads_value``, ``dumps_key`` and
``dumps_value`` are complete, can be overridden, and say in their errors what was wrong.
``key_loader``, ``value_loader``, ``key_dumper`` and ``value_dumper`` return a function made once
for a type and a codec, as close to the C decoder as it gets, that may raise anything; whoever calls
it hands the error to `Registry.retry_key` or `Registry.retry_value`, which take the complete way.
Where a subclass overrides a complete method, its compiled twin goes through it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, cast

from faust._values.modelproto import CodecArg, CodecProto, ModelArg, is_model, registry
from faust.exceptions import DecodeError, KeyDecodeError, ValueDecodeError
from faust.serializers import compiled
from faust.serializers.codecs import get_codec

__all__ = ["Dumper", "Loader", "Registry"]

Loader = Callable[[bytes | None], Any]
Dumper = Callable[[Any], bytes | None]


class Registry:
    """Serializes and deserializes the keys and values of messages.

    Arguments:
        key_serializer: Codec for keys for which nobody named one.
        value_serializer: Codec for values for which nobody named one.
    """

    def __init__(
        self, key_serializer: CodecArg = "json", value_serializer: CodecArg = "json"
    ) -> None:
        self.key_serializer = key_serializer
        self.value_serializer = value_serializer
        self._codecs: dict[str, CodecProto] = {}

    @property
    def Model(self) -> Any:
        """The models known in this process, by namespace."""
        return registry

    # -- bytes to objects, the complete way ---------------------------------------

    def loads_key(self, typ: ModelArg, key: bytes | None, *, serializer: CodecArg = None) -> Any:
        """Decode a key; ``None`` stays ``None``.

        Raises:
            KeyDecodeError: It cannot be decoded, or is not of this type.
        """
        if key is None:
            return None
        if serializer is None and typ is None:
            return key
        codec = self._reading(self._codec_for_key(typ, serializer))
        try:
            return compiled.hashable(compiled.decode(typ, codec, key))
        except Exception as exc:
            self._fail(KeyDecodeError, "key", typ, key, exc)

    def loads_value(
        self, typ: ModelArg, value: bytes | None, *, serializer: CodecArg = None
    ) -> Any:
        """Decode a value; ``None`` (a tombstone) stays ``None``.

        Without a type and a serializer, JSON is decoded and what is not JSON is handed over as
        bytes; a payload that names a known model is rebuilt as that model.

        Raises:
            ValueDecodeError: It cannot be decoded, or is not of this type.
        """
        if value is None:
            return None
        codec = self._reading(self._codec_for_value(typ, serializer))
        if typ is None and serializer is None:
            return compiled.decode_leniently(codec, value)
        try:
            return compiled.decode(typ, codec, value)
        except Exception as exc:
            self._fail(ValueDecodeError, "value", typ, value, exc)

    def retry_key(
        self, typ: ModelArg, key: bytes | None, error: Exception, *, serializer: CodecArg = None
    ) -> Any:
        """Decode again, the complete way, what a `key_loader` failed on with ``error``.

        Raises:
            KeyDecodeError: It cannot be decoded that way either.
        """
        if isinstance(error, KeyDecodeError):
            raise error
        return self.loads_key(typ, key, serializer=serializer)

    def retry_value(
        self,
        typ: ModelArg,
        value: bytes | None,
        error: Exception,
        *,
        serializer: CodecArg = None,
        allow_empty: bool = False,
    ) -> Any:
        """Decode again, the complete way, what a `value_loader` failed on with ``error``.

        Succeeds where only the complete way does (JSON ``null`` for a field that has a default).

        Raises:
            ValueDecodeError: It cannot be decoded that way either, or is empty and may not be.
        """
        if isinstance(error, ValueDecodeError):
            raise error
        if value is None and typ is not None and not allow_empty:
            raise ValueDecodeError(
                f"the value is empty (a tombstone) where {compiled.type_name(typ)} was expected; "
                f"allow_empty=True lets it through as None"
            ) from error
        return self.loads_value(typ, value, serializer=serializer)

    # -- objects to bytes, the complete way ---------------------------------------

    def dumps_key(
        self,
        typ: ModelArg,
        key: Any,
        *,
        serializer: CodecArg = None,
        skip: tuple[type, ...] = (bytes,),
    ) -> bytes | None:
        """Encode a key; ``None`` and instances of ``skip`` stay as they are."""
        if key is None or isinstance(key, skip):
            return cast(bytes | None, key)
        if isinstance(key, str) and serializer is None and typ in (None, str, bytes):
            return key.encode()
        return compiled.encode_key(key, self._codec_for_key(type(key), serializer))

    def dumps_value(
        self,
        typ: ModelArg,
        value: Any,
        *,
        serializer: CodecArg = None,
        skip: tuple[type, ...] = (bytes,),
    ) -> bytes | None:
        """Encode a value; ``None`` (a tombstone) and instances of ``skip`` stay as they are."""
        if value is None or isinstance(value, skip):
            return cast(bytes | None, value)
        if isinstance(value, str) and serializer is None and typ is bytes:
            return value.encode()
        return compiled.encode(value, self._codec_for_value(type(value), serializer))

    # -- the same, made once for a topic ------------------------------------------

    def key_loader(self, typ: ModelArg, serializer: CodecArg = None) -> Loader:
        """Return a function from a raw key (or ``None``) to the key.

        Raises:
            ImproperlyConfigured: No such codec, or a type that cannot be decoded.
        """
        codec = self._codec_for_key(typ, serializer)
        if self._overrides("loads_key") or self._overrides("_loads"):
            return lambda key: self.loads_key(typ, key, serializer=serializer)
        return compiled.key_loader(typ, codec, as_is=typ is None and serializer is None)

    def value_loader(
        self, typ: ModelArg, serializer: CodecArg = None, *, allow_empty: bool = False
    ) -> Loader:
        """Return a function from a raw value (or ``None``) to the value.

        ``None`` gives ``None`` where there is no type or ``allow_empty`` is set, and raises
        otherwise.

        Raises:
            ImproperlyConfigured: No such codec, or a type that cannot be decoded.
        """
        codec = self._codec_for_value(typ, serializer)
        lenient = typ is None and serializer is None
        if self._overrides("loads_value") or self._overrides("_loads"):
            return compiled.refuse_none(
                lambda value: self.loads_value(typ, value, serializer=serializer),
                allow=allow_empty or typ is None,
            )
        return compiled.value_loader(typ, codec, lenient=lenient, allow_empty=allow_empty)

    def key_dumper(self, typ: ModelArg, serializer: CodecArg = None) -> Dumper:
        """Return a function from a key to its bytes; equal keys give equal bytes everywhere."""
        if self._overrides("dumps_key"):
            return lambda key: self.dumps_key(typ, key, serializer=serializer)
        # The codec for what is no model: a model that has its own goes the complete way.
        return compiled.key_dumper(
            self._codec_for_key(None, serializer),
            serializer is None and typ in (None, str, bytes),
            lambda key: self.dumps_key(typ, key, serializer=serializer),
        )

    def value_dumper(self, typ: ModelArg, serializer: CodecArg = None) -> Dumper:
        """Return a function from a value to its bytes; ``None`` (a tombstone) stays ``None``."""
        if self._overrides("dumps_value"):
            return lambda value: self.dumps_value(typ, value, serializer=serializer)
        return compiled.value_dumper(
            self._codec_for_value(None, serializer),
            serializer is None and typ is bytes,
            lambda value: self.dumps_value(typ, value, serializer=serializer),
        )

    # -- who decides --------------------------------------------------------------

    def _codec_for_key(self, typ: ModelArg, serializer: CodecArg) -> CodecProto:
        named = self._named(typ, serializer)
        if named is None and (typ is bytes or typ is str):
            named = "raw"
        return self._codec(named or self.key_serializer)

    def _codec_for_value(self, typ: ModelArg, serializer: CodecArg) -> CodecProto:
        named = self._named(typ, serializer)
        if named is None and typ is bytes:
            named = "raw"
        return self._codec(named or self.value_serializer)

    def _named(self, typ: ModelArg, serializer: CodecArg) -> CodecArg:
        own = typ.__model_serializer__() if is_model(typ) else None
        return own or serializer

    def _codec(self, serializer: CodecArg) -> CodecProto:
        """Return a codec; by name, the one found first (so a warning is given once)."""
        if not isinstance(serializer, str):
            return get_codec(serializer)
        if serializer not in self._codecs:
            self._codecs[serializer] = get_codec(serializer)
        return self._codecs[serializer]

    def _loads(self, serializer: CodecArg, data: bytes) -> Any:
        """Decode with a codec; override it to see, or to change, all that is read."""
        return self._codec(serializer).loads(data)

    def _reading(self, codec: CodecProto) -> CodecProto:
        return _Through(self._loads, codec) if self._overrides("_loads") else codec

    def _overrides(self, method: str) -> bool:
        return getattr(type(self), method) is not getattr(Registry, method)

    def _fail(
        self, error: type[DecodeError], what: str, typ: ModelArg, data: bytes, exc: Exception
    ) -> NoReturn:
        shown = data[:80] + b"..." if len(data) > 80 else data
        raise error(
            f"cannot decode the {what} as {compiled.type_name(typ)}: {exc} ({what}: {shown!r})"
        ) from exc


class _Through:
    """A codec that is read through a subclass's `Registry._loads`."""

    def __init__(self, loads: Callable[[CodecArg, bytes], Any], codec: CodecProto) -> None:
        self._loads = loads
        self._codec = codec

    def loads(self, data: bytes) -> Any:
        return self._loads(self._codec, data)

    def dumps(self, obj: Any) -> bytes:
        return self._codec.dumps(obj)
