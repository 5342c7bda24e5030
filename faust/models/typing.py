"""What a field's annotation means: how a decoded value becomes what the field holds.

An annotation is read once, when the class is made, into a `FieldType`.  It is *native* when
msgspec's C decoder can do all of it; a model all of whose fields are native is decoded by one call
and never comes here again.  The rest (unions that JSON alone cannot tell apart, subclasses chosen
by ``__faust``, types that the user's functions make) has a ``decode`` closure.  The closures of the
native types serve the complete way, which explains errors and forgives ``null`` where there is a
default.
"""

from __future__ import annotations

import types
import typing
from collections import deque
from collections.abc import (
    Callable,
    Iterable,
    Mapping,
    MutableMapping,
    MutableSequence,
    MutableSet,
    Sequence,
    Set,
)
from dataclasses import dataclass, is_dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec

from faust._values.modelproto import is_model, namespace_of, registry
from faust.exceptions import ImproperlyConfigured
from faust.models.tags import Tag, tag_of

__all__ = ["FieldType", "TypeContext", "analyze", "decode_hook", "rebuild"]

#: Turns a decoded value into a field's; the flag forbids conversions between JSON types.
Decode = Callable[[Any, bool], Any]

_LEAVES = frozenset(
    {str, int, float, bool, bytes, bytearray, datetime, date, time, timedelta, Decimal, UUID}
) | {type(None)}

#: Containers by what ``get_origin`` gives for them: what they become.
_SEQUENCES: dict[Any, Callable[[Iterable[Any]], Any]] = {
    list: list,
    Sequence: list,
    MutableSequence: list,
    set: set,
    Set: set,
    MutableSet: set,
    frozenset: frozenset,
    deque: deque,
}
_MAPPINGS = (dict, Mapping, MutableMapping)


@dataclass(frozen=True)
class TypeContext:
    """What an annotation is read for: the class and field (for messages) and their options."""

    model: str
    field: str
    coercions: Mapping[Any, Callable[[Any], Any]]
    date_parser: Callable[[Any], datetime] | None
    polymorphic: bool


@dataclass(frozen=True)
class FieldType:
    """An annotation, read.

    Attributes:
        annotation: As it was written, names resolved.
        decode: From a decoded value to the field's; raises what conversions raise.
        native: Whether msgspec's decoder does the same.
        leaf: Whether its values hold no others, so that equal ones are written alike.
        optional: Whether ``None`` is one of its values.
        models: Model classes in it.
        opaque: Whether it may hold models without saying so (``Any``).
        tag: Tag class, if it is a tag.
        tagged: Whether there is a tag in it.
        adopts: Whether a constructor's argument may have to be converted (models, tags).
    """

    annotation: Any
    decode: Decode
    native: bool = True
    leaf: bool = False
    optional: bool = False
    models: tuple[Any, ...] = ()
    opaque: bool = False
    tag: type[Tag[Any]] | None = None
    tagged: bool = False
    adopts: bool = False


def analyze(annotation: Any, context: TypeContext) -> FieldType:
    """Read an annotation.

    Raises:
        ImproperlyConfigured: It cannot be handled; the message names class, field and type.
    """
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if _in_coercions(annotation, context):
        return _coerced(annotation, context)
    if annotation is None:
        return _leaf(type(None))
    if annotation in (Any, object) or isinstance(annotation, typing.TypeVar):
        return FieldType(annotation, _unchanged, opaque=True)
    if origin is typing.Annotated:
        return replace(analyze(args[0], context), annotation=annotation)
    if hasattr(annotation, "__supertype__"):
        return analyze(annotation.__supertype__, context)
    if is_model(origin or annotation):
        return _model(annotation, origin or annotation, context)
    if tag_of(annotation) is not None:
        return _tag(annotation, args, context)
    if origin in (typing.Union, types.UnionType):
        return _union(annotation, args, context)
    if origin is tuple or annotation is tuple:
        return _tuple(annotation, args, context)
    if (origin or annotation) in _SEQUENCES:
        return _sequence(annotation, _SEQUENCES[origin or annotation], args, context)
    if (origin or annotation) in _MAPPINGS:
        return _mapping(annotation, args, context)
    if annotation is datetime:
        return _datetime(context)
    return _other(annotation, origin, context)


# -- kinds of types --------------------------------------------------------------------------------


def _unchanged(value: Any, strict: bool) -> Any:
    return value


def _leaf(annotation: Any) -> FieldType:
    def decode(value: Any, strict: bool) -> Any:
        return msgspec.convert(
            value, annotation, strict=strict, dec_hook=decode_hook, str_keys=True
        )

    return FieldType(annotation, decode, leaf=True, optional=annotation is type(None))


def _in_coercions(annotation: Any, context: TypeContext) -> bool:
    return isinstance(annotation, type) and annotation in context.coercions


def _coerced(annotation: Any, context: TypeContext) -> FieldType:
    handler = context.coercions[annotation]

    def decode(value: Any, strict: bool) -> Any:
        return value if isinstance(value, annotation) else handler(value)

    return FieldType(annotation, decode, native=False)


def _datetime(context: TypeContext) -> FieldType:
    plain = _leaf(datetime)
    parse = context.date_parser or datetime.fromisoformat

    def decode(value: Any, strict: bool) -> Any:
        if isinstance(value, str) and context.date_parser is not None:
            return parse(value)
        try:
            return plain.decode(value, strict)
        except msgspec.ValidationError:
            if not isinstance(value, str):
                raise
        return parse(value)

    return replace(plain, decode=decode, native=context.date_parser is None)


def _model(annotation: Any, model: Any, context: TypeContext) -> FieldType:
    chosen = context.polymorphic or model.__model_dispatches__()

    def decode(value: Any, strict: bool) -> Any:
        return rebuild(model, value) if chosen else model.from_data(value, preferred_type=model)

    native = not chosen and model.__model_native__()
    return FieldType(annotation, decode, native=native, models=(model,), adopts=True)


def rebuild(model: Any, value: Any) -> Any:
    """Return a model, or the subclass of it that ``__faust`` names.

    Raises:
        TypeError: It names a model that is unknown, or that is none of ``model``.
    """
    namespace = namespace_of(value)
    if namespace is None:
        return model.from_data(value)
    target = registry.get(namespace)
    if target is None:
        raise TypeError(f"the payload names a model that is not known here: {namespace!r}")
    if not issubclass(target, model):
        raise TypeError(f"the payload names {namespace!r}, which is no {model.__name__}")
    return target.from_data(value)


def _tag(annotation: Any, args: tuple[Any, ...], context: TypeContext) -> FieldType:
    tag = tag_of(annotation)
    assert tag is not None
    inner = analyze(args[0] if args else Any, context)
    if not inner.native:
        raise _unsupported(annotation, context)

    def decode(value: Any, strict: bool) -> Any:
        if isinstance(value, tag):
            return value
        return tag(inner.decode(value, strict), field=context.field)

    return replace(inner, annotation=annotation, decode=decode, tag=tag, tagged=True, adopts=True)


def decode_hook(annotation: Any, value: Any) -> Any:
    """Make what msgspec does not know: tags.  The decoder calls it with the annotation."""
    tag, args = tag_of(annotation), typing.get_args(annotation)
    if tag is None:
        raise TypeError(f"cannot make {annotation} from {type(value).__name__}")
    return tag(msgspec.convert(value, args[0], dec_hook=decode_hook) if args else value)


def _union(annotation: Any, args: tuple[Any, ...], context: TypeContext) -> FieldType:
    members = [analyze(arg, context) for arg in args if arg is not type(None)]
    optional = len(members) < len(args)

    def decode(value: Any, strict: bool) -> Any:
        if value is None and optional:
            return None
        if len(members) == 1:
            return members[0].decode(value, strict)
        return _first_that_fits(members, value, strict)

    return FieldType(
        annotation,
        decode,
        native=all(m.native for m in members) and _decodable(annotation),
        leaf=all(m.leaf for m in members),
        optional=optional or any(m.optional for m in members),
        models=tuple(model for m in members for model in m.models),
        opaque=any(m.opaque for m in members),
        tag=next((m.tag for m in members if m.tag), None),
        tagged=any(m.tagged for m in members),
        adopts=any(m.adopts for m in members),
    )


def _first_that_fits(members: list[FieldType], value: Any, strict: bool) -> Any:
    """Decode as the model that the value names, or else as the first type that takes it."""
    named = registry.get(namespace_of(value) or "")
    for member in members:
        if named is not None and named in member.models:
            return member.decode(value, strict)
    reasons = []
    for member in members:
        try:
            return member.decode(value, strict)
        except (ValueError, TypeError) as exc:
            reasons.append(str(exc))
    raise TypeError("; ".join(reasons))


def _decodable(annotation: Any) -> bool:
    try:
        msgspec.json.Decoder(annotation, dec_hook=decode_hook)
    except TypeError:
        return False
    return True


def _sequence(
    annotation: Any,
    make: Callable[[Iterable[Any]], Any],
    args: tuple[Any, ...],
    context: TypeContext,
) -> FieldType:
    item = analyze(args[0] if args else Any, context)

    def decode(value: Any, strict: bool) -> Any:
        if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
            raise TypeError(f"expected a list, got {type(value).__name__}")
        return make([item.decode(member, strict) for member in value])

    return replace(item, annotation=annotation, decode=decode, leaf=False, optional=False, tag=None)


def _tuple(annotation: Any, args: tuple[Any, ...], context: TypeContext) -> FieldType:
    if not args or args[-1] is Ellipsis:
        return _sequence(annotation, tuple, args[:1], context)
    items = [analyze(arg, context) for arg in args]

    def decode(value: Any, strict: bool) -> Any:
        if not isinstance(value, list | tuple) or len(value) != len(items):
            raise TypeError(f"expected a list of {len(items)}")
        return tuple(item.decode(v, strict) for item, v in zip(items, value, strict=True))

    return FieldType(
        annotation,
        decode,
        native=all(item.native for item in items),
        models=tuple(model for item in items for model in item.models),
        opaque=any(item.opaque for item in items),
        tagged=any(item.tagged for item in items),
        adopts=any(item.adopts for item in items),
    )


def _mapping(annotation: Any, args: tuple[Any, ...], context: TypeContext) -> FieldType:
    key = analyze(args[0] if args else Any, context)
    item = analyze(args[1] if args else Any, context)
    keys = _leaf(dict[args[0] if args and key.native else Any, Any])  # type: ignore[misc]

    def decode(value: Any, strict: bool) -> Any:
        if not isinstance(value, Mapping):
            raise TypeError(f"expected a mapping, got {type(value).__name__}")
        return {k: item.decode(v, strict) for k, v in keys.decode(value, strict).items()}

    native = key.native and item.native and _decodable(annotation)
    return replace(
        item, annotation=annotation, decode=decode, native=native, optional=False, tag=None
    )


def _other(annotation: Any, origin: Any, context: TypeContext) -> FieldType:
    """Leaves, enums, literals, and the other record types that msgspec knows."""
    if annotation in _LEAVES or origin is typing.Literal:
        return _leaf(annotation)
    if not isinstance(annotation, type) and origin is None:
        raise _unsupported(annotation, context)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return _enum(annotation)
    kind = origin or annotation
    known = is_dataclass(kind) or hasattr(kind, "__annotations__")
    if not known or not _decodable(annotation) or _has_custom(annotation):
        raise _unsupported(annotation, context)
    return replace(_leaf(annotation), leaf=False, opaque=True)


def _enum(annotation: type[Enum]) -> FieldType:
    def decode(value: Any, strict: bool) -> Any:
        return annotation(value)

    return FieldType(annotation, decode, native=_decodable(annotation), leaf=True)


def _has_custom(annotation: Any) -> bool:
    """Tell whether msgspec would ask somebody else for this type."""
    info = msgspec.inspect.type_info(annotation)
    return isinstance(info, msgspec.inspect.CustomType) or any(
        isinstance(field.type, msgspec.inspect.CustomType) for field in getattr(info, "fields", ())
    )


def _unsupported(annotation: Any, context: TypeContext) -> ImproperlyConfigured:
    shown = annotation.__qualname__ if isinstance(annotation, type) else str(annotation)
    return ImproperlyConfigured(
        f"class {context.model}, field {context.field!r}: the type {shown} cannot be handled. "
        f"Use a type that JSON can be read as (another Record, a dataclass, str, int, float, bool, "
        f"bytes, datetime, Decimal, UUID, an Enum, and lists, sets, tuples, dicts and unions of "
        f"them), or say how to make it: coercions={{{shown}: function}}"
    )
