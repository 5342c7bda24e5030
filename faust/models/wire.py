"""A model class's way to and from JSON, chosen once: in C where nothing speaks against it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import structs

from faust._values.modelproto import METADATA_KEY, namespace_of, registry
from faust.models.descriptors import FieldDescriptor, converts, is_standard
from faust.models.meta import complete
from faust.models.options import ModelOptions
from faust.models.typing import decode_hook, rebuild
from faust.utils import json as _json

__all__ = ["dumper", "form", "from_mapping", "is_native", "key_dumper", "loader"]

_encode = msgspec.json.Encoder(enc_hook=_json.default).encode

#: What, overridden in a subclass, makes JSON go through it.
_WRITERS = ("to_representation", "asdict", "_prepare_dict", "__json__")

#: A class method by which packages that know another form of data return the class method
#: ``(cls, data)`` that changes a payload into ours before it is read.
_TRANSLATES = "_BUILD_input_translate_fields"


def is_native(cls: Any, base: Any) -> bool:
    """Tell whether the C decoder makes the same instances as ``from_data`` would."""
    options: ModelOptions = cls._options
    if options.native is not None:
        return options.native
    complete(cls, may_wait=True)
    if cls._pending is not None:
        return False
    native = (
        not options.coerce
        and not cls.__model_dispatches__()
        and not hasattr(cls, _TRANSLATES)
        and _same(cls, base, "from_data")
        and all(_is_plain(d) for d in options.descriptors.values())
    )
    if all(d.field_type is not None for d in options.descriptors.values()):
        options.native = native
    return native


def _is_plain(descriptor: FieldDescriptor[Any]) -> bool:
    """Tell whether a field takes values as the decoder gives them."""
    read = descriptor.field_type
    return not converts(descriptor) and (read is None or read.native)


def _same(cls: Any, base: Any, method: str) -> bool:
    mine, theirs = getattr(cls, method), getattr(base, method)
    return getattr(mine, "__func__", mine) is getattr(theirs, "__func__", theirs)


# -- reading ---------------------------------------------------------------------------------------


def loader(cls: Any, base: Any) -> Callable[[Any], Any]:
    """Return the function from JSON bytes to an instance of ``cls``."""
    complete(cls)
    if is_native(cls, base):
        return msgspec.json.Decoder(cls, dec_hook=decode_hook).decode
    loads, from_data = _json.loads, cls.from_data

    def load(data: Any) -> Any:
        return from_data(loads(data), preferred_type=cls)

    return _lax_loader(cls, load) if _is_native_but_lax(cls, base) else load


def _is_native_but_lax(cls: Any, base: Any) -> bool:
    """Tell whether the lax C decoder, where it succeeds, makes what coercing would make."""
    options: ModelOptions = cls._options
    return (
        options.coerce
        and not cls.__model_dispatches__()
        and not hasattr(cls, _TRANSLATES)
        and _same(cls, base, "from_data")
        and all(_is_lax(d) for d in options.descriptors.values())
    )


def _is_lax(descriptor: FieldDescriptor[Any]) -> bool:
    read = descriptor.field_type
    standard = is_standard(descriptor) and not getattr(descriptor, "trim_whitespace", False)
    return standard and read is not None and read.native and not read.models


def _lax_loader(cls: Any, complete_load: Callable[[Any], Any]) -> Callable[[Any], Any]:
    decode = msgspec.json.Decoder(cls, strict=False, dec_hook=decode_hook).decode
    validation = cls._options.validation

    def load(data: Any) -> Any:
        try:
            instance = decode(data)
        except msgspec.ValidationError:
            return complete_load(data)
        if validation:
            instance.validate_or_raise()
        return instance

    return load


def from_mapping(cls: Any, base: Any, data: Any) -> Any:
    """Return an instance from what a codec decoded.

    Raises:
        TypeError: It is no mapping, or names a class that may not be in this place.
        ValidationError: A field is missing or not of its type.
    """
    complete(cls)
    if not isinstance(data, Mapping):
        raise TypeError(f"{cls.__name__} cannot be made from {type(data).__name__}")
    if cls.__model_dispatches__():
        named = registry.get(namespace_of(data) or "")
        if named is not cls and (named is not None or cls._options.abstract):
            return _dispatched(cls, data)
    if hasattr(cls, _TRANSLATES):
        data = _translated(cls, data)
    if is_native(cls, base):
        try:
            return msgspec.convert(data, cls, dec_hook=decode_hook, str_keys=True)
        except msgspec.ValidationError:
            pass  # what follows explains it, or forgives a null
    return cls(**_field_values(cls, data))


def _translated(cls: Any, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the payload as the class's own function changes it, by the names it came with."""
    if "_input_translate_fields" not in vars(cls):
        cls._input_translate_fields = getattr(cls, _TRANSLATES)()
    changed = dict(data)
    cls._input_translate_fields(changed)
    for name, descriptor in cls._options.descriptors.items():
        if descriptor.input_name != name and name in changed:
            changed[descriptor.input_name] = changed.pop(name)
    return changed


def _dispatched(cls: Any, data: Mapping[str, Any]) -> Any:
    if namespace_of(data) is None:
        raise TypeError(f"{cls.__name__} is abstract, and the payload names no subclass of it")
    return rebuild(cls, data)


def _field_values(cls: Any, data: Mapping[str, Any]) -> dict[str, Any]:
    values = {}
    for name, descriptor in cls._options.descriptors.items():
        if descriptor.input_name not in data:
            if descriptor.required:
                raise descriptor.validation_error("is required, but missing")
            continue
        value = data[descriptor.input_name]
        optional = descriptor.field_type.optional
        if value is not None or optional or descriptor.required:
            values[name] = None if value is None and optional else descriptor.to_python(value)
    return values


# -- writing ---------------------------------------------------------------------------------------


def dumper(cls: Any, base: Any) -> Callable[[Any], bytes]:
    """Return the function from an instance of ``cls`` to JSON bytes."""
    complete(cls)
    if _is_written_by_user(cls, base) or not _is_flat(cls._options):
        return lambda obj: _encode(_json.plain(obj))
    if not cls._options.include_metadata:
        return _encode
    return _with_metadata(cls)


def key_dumper(cls: Any, base: Any) -> Callable[[Any], bytes]:
    """Return the function from an instance to JSON bytes that are equal for equal instances.

    Fields keep their order; dicts and sets in them are sorted.
    """
    complete(cls)
    if all(d.field_type.leaf for d in cls._options.descriptors.values()):
        return dumper(cls, base)
    write = _json.dumps_sorted

    def dump(obj: Any) -> bytes:
        items = _json.plain(obj).items()
        return b"{%s}" % b",".join(b"%s:%s" % (write(k), write(v)) for k, v in items)

    return dump


def _is_flat(options: ModelOptions) -> bool:
    """Tell whether the struct is written as it is: no models inside, no names of its own."""
    return not any(
        d.exclude
        or d.output_name != d.input_name
        or d.field_type is None
        or d.field_type.models
        or d.field_type.opaque
        for d in options.descriptors.values()
    )


def _with_metadata(cls: Any) -> Callable[[Any], bytes]:
    """Return the function that puts ``__faust`` behind the fields that C code has written."""
    encode = _encode
    metadata = _encode({METADATA_KEY: {"ns": cls._options.namespace}})
    if not cls._options.descriptors:
        return lambda obj: metadata
    suffix = b"," + metadata[1:]
    return lambda obj: encode(obj)[:-1] + suffix


def _is_written_by_user(cls: Any, base: Any) -> bool:
    return not all(_same(cls, base, method) for method in _WRITERS)


def form(cls: Any, base: Any) -> Callable[[Any], Any]:
    """Return the function from an instance to plain data that JSON knows, all the way down."""
    complete(cls)
    options: ModelOptions = cls._options
    if _is_written_by_user(cls, base) or options.renamed:
        return lambda obj: _json.plain(obj.__json__())
    deep = [name for name, d in options.descriptors.items() if _is_deep(d)]
    metadata = {"ns": options.namespace} if options.include_metadata else None
    asdict, plain = structs.asdict, _json.plain

    def represent(obj: Any) -> dict[str, Any]:
        data = asdict(obj)
        for name in deep:
            data[name] = plain(data[name])
        if metadata is not None:
            data[METADATA_KEY] = metadata
        return data

    return represent


def _is_deep(descriptor: FieldDescriptor[Any]) -> bool:
    """Tell whether a field's value may be, or contain, what must be asked for its form."""
    read = descriptor.field_type
    return read is None or read.opaque or bool(read.models) or not read.native
