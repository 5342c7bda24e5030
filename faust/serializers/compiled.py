"""Functions between bytes and values, made once for a type and a codec.

The common cases end in one call to a C function: a model in JSON is its own decoder, text is
``bytes.decode``.  The rest is composed of closures.  Nothing here catches an error in order to
explain it; that is the registry's part.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from faust._values.modelproto import (
    METADATA_KEY,
    CodecProto,
    is_model,
    maybe_model,
    namespace_of,
    registry,
)
from faust.exceptions import ImproperlyConfigured
from faust.serializers.codecs import json, raw
from faust.utils import json as _json

__all__ = [
    "decode",
    "decode_leniently",
    "encode",
    "encode_key",
    "hashable",
    "key_dumper",
    "key_loader",
    "refuse_none",
    "type_name",
    "value_dumper",
    "value_loader",
]

#: Read from JSON text as well as from JSON numbers, as such values have always been.
_LAX = frozenset({int, float, bool})


def type_name(typ: Any) -> str:
    """Return how a type is called in messages."""
    if typ is None:
        return "an untyped payload"
    return typ.__qualname__ if isinstance(typ, type) else str(typ)


# -- the complete way ------------------------------------------------------------------------------


def decode(typ: Any, codec: CodecProto, data: bytes) -> Any:
    """Decode bytes with a codec, as this type."""
    payload = codec.loads(data)
    if typ is None:
        return maybe_model(payload)
    if is_model(typ):
        return typ.from_data(payload, preferred_type=typ)
    return _convert(typ, payload)


def decode_leniently(codec: CodecProto, data: bytes) -> Any:
    """Decode bytes; return them where they are not what the codec reads."""
    try:
        payload = codec.loads(data)
    except Exception:
        return data
    named = registry.get(namespace_of(payload) or "")
    return payload if named is None else named.from_data(payload)


def encode(value: Any, codec: CodecProto) -> bytes:
    """Encode a value with a codec; a model in JSON with its own function."""
    if is_model(type(value)):
        if _is_json(codec):
            dump: Callable[[Any], bytes] = type(value).__model_dumper__()
            return dump(value)
        return codec.dumps(_json.plain(value))
    return codec.dumps(value)


def encode_key(key: Any, codec: CodecProto) -> bytes:
    """Encode a key so that equal keys give equal bytes."""
    if _is_json(codec):
        if not is_model(type(key)):
            return _json.dumps_sorted(key)
        dump: Callable[[Any], bytes] = type(key).__model_key_dumper__()
        return dump(key)
    return encode(key, codec)


def hashable(key: Any) -> Any:
    """Return a decoded key with its lists as tuples, so that it can be a key of a table."""
    if type(key) is list:
        return tuple([hashable(item) if type(item) is list else item for item in key])
    return key


def _convert(typ: Any, payload: Any) -> Any:
    if typ is str and isinstance(payload, bytes):
        return payload.decode()
    if isinstance(typ, type) and type(payload) is typ:
        return payload
    return msgspec.convert(payload, typ, strict=typ not in _LAX, dec_hook=_nested)


def _nested(typ: Any, obj: Any) -> Any:
    raise TypeError(f"{type_name(typ)} cannot be read from {type(obj).__name__}")


# -- made once: bytes to values --------------------------------------------------------------------


def key_loader(typ: Any, codec: CodecProto, *, as_is: bool) -> Callable[[bytes | None], Any]:
    """Return the function for keys: ``None`` stays ``None``, lists become tuples."""
    if as_is or (typ is bytes and type(codec) is raw):
        return _same
    load = _loader(typ, codec)
    if typ is str or is_model(typ):
        return lambda data: None if data is None else load(data)

    def load_key(data: bytes | None) -> Any:
        if data is None:
            return None
        key = load(data)
        return hashable(key) if type(key) is list else key

    return load_key


def value_loader(
    typ: Any, codec: CodecProto, *, lenient: bool, allow_empty: bool
) -> Callable[[bytes | None], Any]:
    """Return the function for values."""
    if lenient:
        return _lenient_loader(codec)
    load = _loader(typ, codec)
    if is_model(typ) and not allow_empty and _is_json(codec):
        return load  # the C decoder itself refuses None
    return refuse_none(load, allow=allow_empty or typ is None)


def refuse_none(load: Callable[[Any], Any], *, allow: bool) -> Callable[[bytes | None], Any]:
    """Return ``load``, with ``None`` let through or refused."""
    if allow:
        return lambda data: None if data is None else load(data)

    def load_something(data: bytes | None) -> Any:
        if data is None:
            raise ValueError("the value is empty")
        return load(data)

    return load_something


def _lenient_loader(codec: CodecProto) -> Callable[[bytes | None], Any]:
    if not _is_json(codec):
        return lambda data: None if data is None else decode_leniently(codec, data)
    loads = _json.loads

    def load(data: bytes | None) -> Any:
        if data is None:
            return None
        try:
            payload = loads(data)
        except Exception:
            return data
        if type(payload) is dict and METADATA_KEY in payload:
            named = registry.get(namespace_of(payload) or "")
            return payload if named is None else named.__model_loader__()(data)
        return payload

    return load


def _loader(typ: Any, codec: CodecProto) -> Callable[[Any], Any]:
    """Return the function from bytes to a value of this type, the codec being known."""
    if _is_json(codec):
        return _json_loader(typ)
    if type(codec) is raw and typ is str:
        return bytes.decode
    _json_loader(typ)  # complains now about a type that cannot be decoded
    return lambda data: decode(typ, codec, data)


def _json_loader(typ: Any) -> Callable[[Any], Any]:
    if typ is None:
        return lambda data: maybe_model(_json.loads(data))
    if is_model(typ):
        return typ.__model_loader__()
    return _decoder(typ)


def _decoder(typ: Any) -> Callable[[Any], Any]:
    try:
        decoder = msgspec.json.Decoder(typ, strict=typ not in _LAX, dec_hook=_nested)
    except TypeError as exc:
        raise ImproperlyConfigured(
            f"keys or values of type {type_name(typ)} cannot be decoded: {exc}"
        ) from exc
    return decoder.decode


# -- made once: values to bytes --------------------------------------------------------------------


def key_dumper(
    codec: CodecProto, text_is_raw: bool, slow: Callable[[Any], bytes | None]
) -> Callable[[Any], bytes | None]:
    """Return the function for keys; ``slow`` does what is not common."""

    def choose(kind: type) -> Callable[[Any], bytes | None]:
        if kind is str and text_is_raw:
            return str.encode
        if issubclass(kind, _AS_IS) or not _is_json(codec):
            return slow
        if is_model(kind):
            return slow if kind.__model_serializer__() else kind.__model_key_dumper__()
        return slow if issubclass(kind, str) and text_is_raw else _json.dumps_sorted

    return _by_type(choose)


def value_dumper(
    codec: CodecProto, text_is_raw: bool, slow: Callable[[Any], bytes | None]
) -> Callable[[Any], bytes | None]:
    """Return the function for values; ``slow`` does what is not common."""
    encode_plain = msgspec.json.Encoder().encode

    def choose(kind: type) -> Callable[[Any], bytes | None]:
        if issubclass(kind, _AS_IS) or not _is_json(codec):
            return slow
        if issubclass(kind, str) and text_is_raw:
            return slow
        if is_model(kind):
            return slow if kind.__model_serializer__() else kind.__model_dumper__()
        return encode_plain if kind in _PLAIN else _json.dumps

    return _by_type(choose)


#: Types that JSON writes without asking anybody.
_PLAIN = frozenset({int, float, str, bool})
#: Types that are written without a codec.
_AS_IS = (bytes, type(None))


def _by_type(
    choose: Callable[[type], Callable[[Any], bytes | None]],
) -> Callable[[Any], bytes | None]:
    """Return a function that writes each type as ``choose`` says; asked once for each."""
    chosen: dict[type, Callable[[Any], bytes | None]] = {}
    known = chosen.get

    def dump(value: Any) -> bytes | None:
        kind = type(value)
        write = known(kind)
        if write is None:
            write = chosen[kind] = choose(kind)
        return write(value)

    #: For who wants to save the call: type -> what writes it, filled in as types come.
    dump.chosen = chosen  # type: ignore[attr-defined]  # functions have attributes
    return dump


def _same(data: bytes | None) -> Any:
    return data


def _is_json(codec: CodecProto) -> bool:
    """Tell whether this is the json codec of this library, alone."""
    return type(codec) is json and len(codec.nodes) == 1
