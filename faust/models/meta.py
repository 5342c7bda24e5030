"""The metaclass of models: classes with annotations become C structs with field descriptors.

Every model is a ``msgspec.Struct``: its instances are decoded, made, compared and read by C code,
with nothing of ours in the way.  What cannot be had that way is put where it costs only those who
use it:

* ``Order.account`` is a descriptor, ``order.account`` the value.  Class attributes are looked up
  by the metaclass (`ModelMeta.__getattribute__`), instance attributes by the slots of the struct.
* A class whose constructor has something to convert or to check (nested models given as dicts,
  tags, ``coerce``, ``validation``) is given the metaclass `ConvertingMeta`, whose ``__call__`` does
  it.  Decoding does not go through ``__call__``.
* Annotations are read when the class is made.  One that names something not yet defined is read
  when the class is first used.
"""

from __future__ import annotations

import builtins
import copy
import dataclasses
import sys
import types
import typing
from collections import ChainMap, deque
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar, dataclass_transform

import msgspec

from faust._values.modelproto import registry
from faust.exceptions import ImproperlyConfigured
from faust.models.descriptors import FieldDescriptor, converts
from faust.models.fields import field_for_type
from faust.models.naming import canonical_name
from faust.models.options import ModelOptions, own_keywords
from faust.models.typing import TypeContext, analyze

__all__ = ["ConvertingMeta", "ModelMeta", "complete"]

_type_getattribute = type.__getattribute__
_struct_call: Any = msgspec.StructMeta.__call__
C = TypeVar("C")

#: Defaults of these types are copied for each instance.
_MUTABLE = (list, dict, set, bytearray, deque)


@dataclass_transform(
    eq_default=True, order_default=True, field_specifiers=(FieldDescriptor, msgspec.field)
)
class ModelMeta(msgspec.StructMeta):
    """Makes model classes."""

    def __new__(
        mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], /, **kwargs: Any
    ) -> Any:
        if not any(isinstance(base, ModelMeta) for base in bases):
            return super().__new__(mcls, name, bases, namespace, **kwargs)
        return _make_class(mcls, super().__new__, name, bases, namespace, kwargs)

    @property
    def __match_args__(cls) -> tuple[str, ...]:
        """Names for patterns by position."""
        found: tuple[str, ...] = msgspec.StructMeta.__match_args__.__get__(cls)  # type: ignore[attr-defined]  # a descriptor in C
        return found

    @__match_args__.setter
    def __match_args__(cls, value: tuple[str, ...]) -> None:
        """`dataclasses.dataclass` says what is known already: models may be passed to it."""

    def __getattribute__(cls, name: str) -> Any:
        if name[0] != "_":
            options = _type_getattribute(cls, "__dict__").get("_options")
            if options is not None and name in options.descriptors:
                return options.descriptors[name]
        return msgspec.StructMeta.__getattribute__(cls, name)


class ConvertingMeta(ModelMeta):
    """Makes model classes whose constructor converts or checks its arguments."""

    def __call__(cls: Any, *args: Any, **kwargs: Any) -> Any:
        complete(cls)
        options: ModelOptions = _type_getattribute(cls, "_options")
        if options.abstract:
            raise NotImplementedError(f"{cls.__name__} is abstract: make one of its subclasses")
        if args:
            _bind_positionals(cls, options, args, kwargs)
        for name, convert in options.converters.items():
            if name in kwargs:
                kwargs[name] = convert(kwargs[name])
        instance = _struct_call(cls, **kwargs)
        if options.validation:
            instance.validate_or_raise()
        return instance


def _bind_positionals(
    cls: type, options: ModelOptions, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    if len(args) > len(options.fieldpos):
        raise TypeError(f"{cls.__name__} takes at most {len(options.fieldpos)} arguments")
    for name, value in zip(options.fieldpos.values(), args, strict=False):
        if name in kwargs:
            raise TypeError(f"{cls.__name__}: argument {name!r} given by name and position")
        kwargs[name] = value


def _assign(self: Any, name: str, value: Any) -> None:
    """Set an attribute; what a field converts is converted (``__setattr__`` of such classes)."""
    descriptor = type(self)._options.descriptors.get(name)
    if descriptor is not None:
        value = descriptor.prepare_assigned(value)
    msgspec.Struct.__setattr__(self, name, value)


# -- making a class --------------------------------------------------------------------------------


def _make_class(
    mcls: Any,
    make: Any,
    name: str,
    bases: tuple[type, ...],
    namespace: dict[str, Any],
    kwargs: dict[str, Any],
) -> Any:
    if "__init__" in namespace:
        raise ImproperlyConfigured(
            f"class {name} defines __init__, which models do not call: define __post_init__(self), "
            f"which runs after the fields are set"
        )
    base_options = next((b._options for b in bases if isinstance(b, ModelMeta)), None)
    inner = namespace.get("Options")
    given = {k: v for k, v in vars(inner).items() if k[0] != "_"} if inner is not None else {}
    own_kwargs = own_keywords(bases, kwargs)
    kwargs = {keyword: value for keyword, value in kwargs.items() if keyword not in own_kwargs}
    options = ModelOptions.derived(name, base_options, {**given, **kwargs})
    names = _Names(name, namespace)
    own = {
        field: annotation
        for field, annotation in namespace.get("__annotations__", {}).items()
        if not names.is_class_variable(annotation)
    }
    descriptors = {field: _declare(field, own[field], namespace, names) for field in own}
    _check_order(name, descriptors, namespace)
    inherited = _inherited(bases)
    merged = {**inherited, **descriptors}
    namespace["_options"] = options
    namespace["_pending"] = names
    _set_struct_defaults(namespace, descriptors)
    if options.coerce or any(converts(d) for d in descriptors.values()):
        namespace.setdefault("__setattr__", _assign)
    keywords_only = _needs_keywords(inherited, descriptors)
    cls = make(mcls, name, bases, namespace, **({"kw_only": True} if keywords_only else {}))
    if own_kwargs:  # structs do not pass keywords on: it has been called without them
        super(cls, cls).__init_subclass__(**own_kwargs)
    options.namespace = options.namespace or canonical_name(cls)
    options.descriptors = {f: d.clone(model=cls) for f, d in merged.items()}
    _fill_tables(options)
    # Record itself is abstract too, but what all models inherit must not slow them down.
    abstract = options.abstract and base_options is not None and base_options.namespace
    if keywords_only or abstract or options.coerce:
        cls.__class__ = ConvertingMeta
    registry[options.namespace] = cls
    if not options.lazy_creation:
        complete(cls, may_wait=True)
    return cls


def _declare(
    field: str, annotation: Any, namespace: Mapping[str, Any], names: _Names
) -> FieldDescriptor[Any]:
    """Return the descriptor for a field of the class's own, its type not yet read."""
    default = namespace.get(field, msgspec.NODEFAULT)
    if isinstance(default, FieldDescriptor):
        optional = not default.required or default.default is not None
        value = default.default
        return default.clone(
            field=field,
            input_name=default.input_name or field,
            output_name=default.output_name or default.input_name or field,
            required=not (optional or names.may_be_none(annotation)),
            default=value,
            type=annotation,
        )
    if isinstance(default, dataclasses.Field):
        default = _default_of(default)
    if default is msgspec.NODEFAULT:
        required, value = not names.may_be_none(annotation), None
    else:
        required, value = False, default
    resolved = names.resolve(annotation, annotation)
    return field_for_type(resolved)(field=field, type=annotation, required=required, default=value)


def _default_of(field: dataclasses.Field[Any]) -> Any:
    """Return what a field of `dataclasses` says of the default: itself where it makes it."""
    if field.default_factory is not dataclasses.MISSING:
        return field
    return msgspec.NODEFAULT if field.default is dataclasses.MISSING else field.default


def _inherited(bases: tuple[type, ...]) -> dict[str, FieldDescriptor[Any]]:
    merged: dict[str, FieldDescriptor[Any]] = {}
    for base in reversed(bases):
        if isinstance(base, ModelMeta):
            options: ModelOptions = base._options
            merged.update(options.descriptors)
    return merged


def _check_order(
    name: str, descriptors: Mapping[str, FieldDescriptor[Any]], namespace: Mapping[str, Any]
) -> None:
    """Refuse a required field behind one with a default (``Optional`` alone is none)."""
    seen = ""
    for field, descriptor in descriptors.items():
        if not descriptor.required:
            seen = field if field in namespace else seen
        elif seen:
            raise TypeError(
                f"class {name}: the required field {field!r} follows {seen!r}, which has a default"
            )


def _needs_keywords(
    inherited: Mapping[str, FieldDescriptor[Any]], own: Mapping[str, FieldDescriptor[Any]]
) -> bool:
    """Tell whether a required field comes behind an optional one of a base."""
    in_order = [d.required for d in {**inherited, **own}.values()]
    return in_order != sorted(in_order, reverse=True)


def _set_struct_defaults(
    namespace: dict[str, Any], descriptors: Mapping[str, FieldDescriptor[Any]]
) -> None:
    """Say to the struct what it must know: defaults, and names in serialized form."""
    for field, descriptor in descriptors.items():
        name = descriptor.input_name if descriptor.input_name != field else None
        default = descriptor.default
        if descriptor.required:
            namespace.pop(field, None)
            if name:
                namespace[field] = msgspec.field(name=name)
        elif isinstance(default, dataclasses.Field):
            make: Any = default.default_factory
            namespace[field] = msgspec.field(default_factory=make, name=name)
        elif isinstance(default, _MUTABLE) or isinstance(type(default), ModelMeta):
            namespace[field] = msgspec.field(default_factory=_copier(default), name=name)
        else:
            namespace[field] = msgspec.field(default=default, name=name)


def _copier(default: Any) -> Any:
    if not isinstance(type(default), ModelMeta) and not default and type(default) in _MUTABLE:
        return type(default)
    return lambda: copy.deepcopy(default)


def _fill_tables(options: ModelOptions) -> None:
    by_need = sorted(options.descriptors.values(), key=lambda d: not d.required)
    options.fieldpos = {position: d.field for position, d in enumerate(by_need)}
    options.fields = {d.field: d.type for d in options.descriptors.values()}
    options.fieldset = frozenset(options.descriptors)
    options.optionalset = frozenset(d.field for d in by_need if not d.required)
    options.renamed = any(d.exclude or d.output_name != d.field for d in by_need)
    options.defaults = {d.field: d.default for d in by_need if not d.required}


# -- reading its annotations -----------------------------------------------------------------------


def complete(cls: Any, *, may_wait: bool = False) -> None:
    """Read the annotations of a class, if that has not been done.

    Raises:
        ImproperlyConfigured: A type that cannot be handled, or a name that is not defined.
    """
    names = _type_getattribute(cls, "_pending")
    if names is None:
        return
    options: ModelOptions = cls._options
    try:
        resolved = {f: names.resolve_for(cls, d) for f, d in options.descriptors.items()}
    except NameError as exc:
        if may_wait:
            cls.__class__ = ConvertingMeta
            return
        raise ImproperlyConfigured(f"class {cls.__name__}: {exc}") from exc
    cls._pending = None
    _read_types(cls, options, resolved)


def _read_types(cls: Any, options: ModelOptions, resolved: Mapping[str, Any]) -> None:
    _tell_msgspec(cls, options, resolved)
    for field, annotation in resolved.items():
        descriptor = options.descriptors[field]
        parser = descriptor.date_parser or options.date_parser
        context = TypeContext(
            cls.__name__, field, options.coercions, parser, options.polymorphic_fields
        )
        descriptor.field_type = read = analyze(annotation, context)
        descriptor.type = options.fields[field] = annotation
        descriptor.date_parser = parser
        descriptor.coerce = descriptor.coerce or options.coerce
        descriptor.tag = descriptor.tag or read.tag
        if read.adopts or converts(descriptor):
            own_way = converts(descriptor)
            options.converters[field] = descriptor.prepare_assigned if own_way else descriptor.adopt
            cls.__class__ = ConvertingMeta
        descriptor.on_model_attached()
    _fill_tags(options)


def _tell_msgspec(cls: Any, options: ModelOptions, resolved: Mapping[str, Any]) -> None:
    """Put resolved types where msgspec looks for them, which it does once."""
    own = _type_getattribute(cls, "__dict__").get("__annotations__", {})
    for field, annotation in resolved.items():
        if field in own:
            null = _may_be_null(options.descriptors[field])
            own[field] = typing.Union[annotation, None] if null else annotation  # noqa: UP007


def _may_be_null(descriptor: FieldDescriptor[Any]) -> bool:
    """Tell whether ``null`` must be read although the type does not say so (``x: str = None``)."""
    return not descriptor.required and descriptor.default is None


def _fill_tags(options: ModelOptions) -> None:
    tags = {f: d.tag for f, d in options.descriptors.items() if d.tag is not None}
    options.tagged_fields = frozenset(tags)
    options.secret_fields = frozenset(f for f, tag in tags.items() if tag.is_secret)
    options.sensitive_fields = frozenset(f for f, tag in tags.items() if tag.is_sensitive)
    options.personal_fields = frozenset(f for f, tag in tags.items() if tag.is_personal)


class _Names:
    """The names that a class's annotations may use: its module's, and those around it."""

    def __init__(self, name: str, namespace: Mapping[str, Any]) -> None:
        self.name = name
        module = sys.modules.get(namespace.get("__module__", ""))
        self.globals = vars(module) if module is not None else {}
        self.locals = _surrounding(self.globals)

    def resolve(self, annotation: Any, default: Any) -> Any:
        """Return the type, or ``default`` where it names something that is not defined yet."""
        try:
            return self.evaluate(annotation, {self.name: type(self.name, (), {})})
        except (NameError, TypeError):
            return default

    def resolve_for(self, cls: Any, descriptor: FieldDescriptor[Any]) -> Any:
        """Return a descriptor's type, the class itself being defined now."""
        return self.evaluate(descriptor.type, {self.name: cls})

    def evaluate(self, annotation: Any, extra: dict[str, Any]) -> Any:
        names = ChainMap(extra, dict(self.locals), self.globals, vars(builtins))
        if isinstance(annotation, str):
            annotation = eval(annotation, {}, names)
        return _without_forward_references(annotation, names)

    def may_be_none(self, annotation: Any) -> bool:
        resolved = self.resolve(annotation, None)
        if resolved is None:
            return isinstance(annotation, str) and (
                "Optional[" in annotation or "None" in annotation
            )
        return resolved is not Any and type(None) in typing.get_args(resolved)

    def is_class_variable(self, annotation: Any) -> bool:
        if isinstance(annotation, str) and annotation.startswith(("ClassVar", "typing.ClassVar")):
            return True
        return annotation is ClassVar or typing.get_origin(annotation) is ClassVar


def _without_forward_references(annotation: Any, names: Mapping[str, Any]) -> Any:
    """Return the type with the names quoted in it (``list["Node"]``) resolved."""
    if isinstance(annotation, typing.ForwardRef):
        return eval(annotation.__forward_arg__, {}, names)
    if isinstance(annotation, str):
        return eval(annotation, {}, names)
    args = typing.get_args(annotation)
    if not args or typing.get_origin(annotation) in (typing.Literal, typing.Annotated):
        return annotation
    resolved = tuple(
        arg if arg is Ellipsis else _without_forward_references(arg, names) for arg in args
    )
    if all(new is old for new, old in zip(resolved, args, strict=True)):
        return annotation
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return typing.Union[resolved]  # noqa: UP007 - of as many as there are
    if hasattr(annotation, "copy_with"):
        return annotation.copy_with(resolved)
    return typing.get_origin(annotation)[resolved]


def _surrounding(module_globals: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the local names where the class statement stands (a function's, mostly)."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__") == __name__:
        frame = frame.f_back  # type: ignore[assignment]
    if frame is None or frame.f_locals is frame.f_globals or frame.f_globals is not module_globals:
        return {}
    return dict(frame.f_locals)
