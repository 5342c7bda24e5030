"""The descriptor of a field: what ``Order.account`` is on the class, and how values reach it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import InvalidOperation
from typing import Any, Generic, TypeVar, cast

import msgspec

from faust.exceptions import ValidationError
from faust.models.tags import Tag
from faust.models.typing import FieldType

__all__ = ["CONVERSION_ERRORS", "FieldDescriptor", "converts", "holds_mapping", "is_standard"]

T = TypeVar("T")

_SEQUENCES = (list, tuple, set, frozenset)

#: What conversions raise on values that they cannot convert (msgspec's error is a ValueError).
CONVERSION_ERRORS = (ValueError, TypeError, KeyError, InvalidOperation, OverflowError)


class FieldDescriptor(Generic[T]):
    """A field of a model.

    ``Order.account`` is the descriptor (``order.account`` the value): it names the field (`ident`)
    and reads it (`getattr`), also inside of nested models: ``Order.customer.name``.

    Arguments:
        field: Name of the attribute.
        input_name: Name in serialized form; the attribute's if not given.
        output_name: Name to write, where it is not the one to read.
        type: Its type.
        model: Its model class.
        required: Whether it must be given.
        default: What it is otherwise.
        parent: Descriptor of the field that holds ``model``, for nested fields.
        coerce: Convert to the type what is assigned.
        exclude: Leave it out when serializing.
        date_parser: Function from text to ``datetime``.
        tag: Tag class of its type.
        options: Whatever else a subclass wants to keep; in ``options``.

    Subclasses override `validate` and `prepare_value`, and pass their own arguments on to this
    constructor.
    """

    def __init__(
        self,
        *,
        field: str | None = None,
        input_name: str | None = None,
        output_name: str | None = None,
        type: Any = None,
        model: Any = None,
        required: bool = True,
        default: T | None = None,
        parent: FieldDescriptor[Any] | None = None,
        coerce: bool | None = None,
        exclude: bool | None = None,
        date_parser: Callable[[Any], datetime] | None = None,
        tag: type[Tag[Any]] | None = None,
        field_type: FieldType | None = None,
        **options: Any,
    ) -> None:
        self.field = field or ""
        self.input_name = input_name or self.field
        self.output_name = output_name or self.input_name
        self.type = type
        self.model = model
        self.required = required
        self.default = default
        self.parent = parent
        self.coerce = bool(coerce)
        self.exclude = bool(exclude)
        self.date_parser = date_parser
        self.tag = tag
        self.field_type = field_type
        self.options = options

    # -- what it is -----------------------------------------------------------------

    @property
    def ident(self) -> str:
        """The field's name with its model's: ``Order.account``, ``Order.customer.name``."""
        if self.parent is not None:
            return f"{self.parent.ident}.{self.field}"
        return f"{self.model.__name__}.{self.field}" if self.model is not None else self.field

    @property
    def related_models(self) -> frozenset[Any]:
        """Model classes in the field's type."""
        return frozenset(self.field_type.models if self.field_type else ())

    @property
    def lazy_coercion(self) -> bool:
        """Always false: values are converted when the model is made."""
        return False

    def getattr(self, obj: Any) -> T:
        """Return the field's value in a model instance."""
        if self.parent is not None:
            obj = self.parent.getattr(obj)
        return cast(T, getattr(obj, self.field))

    def __getattr__(self, name: str) -> Any:
        """Return the descriptor of a field of the model that this field holds."""
        if not name.startswith("_"):
            for model in self.related_models:
                descriptor = model._options.descriptors.get(name)
                if descriptor is not None:
                    return descriptor.clone(parent=self)
        raise AttributeError(f"{type(self).__name__} {self.ident} has no attribute {name!r}")

    def as_dict(self) -> Mapping[str, Any]:
        """Return the constructor's arguments."""
        names = (
            "field", "input_name", "output_name", "type", "model", "required", "default", "parent",
            "coerce", "exclude", "date_parser", "tag", "field_type",
        )  # fmt: skip
        return {**{name: getattr(self, name) for name in names}, **self.options}

    def clone(self, **kwargs: Any) -> FieldDescriptor[T]:
        """Return a copy with other arguments."""
        return type(self)(**{**self.as_dict(), **kwargs})

    def on_model_attached(self) -> None:
        """Do what there is to do once the field is part of its model."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.ident}>"

    # -- converting -----------------------------------------------------------------

    def should_coerce(self, value: Any, coerce: bool | None = None) -> bool:
        """Tell whether to convert a value; ``None`` in an optional field is not converted."""
        wanted = self.coerce if coerce is None else coerce
        return wanted and (value is not None or self.required)

    def prepare_value(self, value: Any, *, coerce: bool | None = None) -> T | None:
        """Return what the field will hold for a value; converts where it should."""
        if self.field_type is not None and self.should_coerce(value, coerce):
            return cast(T, self.field_type.decode(value, False))
        return cast(T, value)

    def to_python(self, value: Any) -> T | None:
        """Return what the field holds for a value from a decoded message.

        Raises:
            ValidationError: The value is not of the field's type.
        """
        try:
            return self._to_python(value)
        except ValidationError:
            raise
        except CONVERSION_ERRORS as exc:
            raise self.validation_error(str(exc)) from exc

    def _to_python(self, value: Any) -> T | None:
        if self.field_type is None:
            return self.prepare_value(value)
        if not self.coerce:
            return self.prepare_value(self.field_type.decode(value, True))
        try:
            value = self.field_type.decode(value, False)
        except CONVERSION_ERRORS:
            value = self.prepare_value(value)
            return cast(T, self.field_type.decode(value, True)) if value is not None else None
        return self.prepare_value(value)

    def prepare_assigned(self, value: Any) -> T | None:
        """Return what the field holds for a value given to the constructor or assigned.

        Raises:
            ValidationError: It was to be converted and cannot be.
        """
        try:
            if self.field_type is not None and self.field_type.adopts:
                value = self._adopted(value)
            return self.prepare_value(value)
        except ValidationError:
            raise
        except CONVERSION_ERRORS as exc:
            raise self.validation_error(str(exc)) from exc

    def adopt(self, value: Any) -> T | None:
        """Return `prepare_assigned` of a value, where only mappings and tags are converted."""
        if value is None or isinstance(value, msgspec.Struct):
            return cast(T, value)
        return self.prepare_assigned(value)

    def _adopted(self, value: Any) -> Any:
        """Return a value with models in the place of mappings, and tags around tagged values."""
        assert self.field_type is not None
        if value is None or (not self.field_type.tagged and not holds_mapping(value)):
            return value
        return self.field_type.decode(value, not self.coerce)

    # -- checking -------------------------------------------------------------------

    def validate_all(self, value: Any) -> Iterable[ValidationError]:
        """Return what is wrong with a value, ``None`` and tags considered."""
        if isinstance(value, Tag):
            value = value.get_value()
        if value is None:
            if self.required and not (self.field_type and self.field_type.optional):
                yield self.validation_error("is required, got None")
            return
        yield from self.validate(value)

    def validate(self, value: T) -> Iterable[ValidationError]:
        """Yield what is wrong with a value; override this."""
        return iter(())

    def validation_error(self, reason: str) -> ValidationError:
        """Return an error about this field."""
        return ValidationError(reason, field=self)


def converts(descriptor: FieldDescriptor[Any]) -> bool:
    """Tell whether a field converts values: it coerces, or the user's class says how."""
    return descriptor.coerce or not is_standard(descriptor)


def is_standard(descriptor: FieldDescriptor[Any]) -> bool:
    """Tell whether none of the methods that convert is the user's."""
    kind = type(descriptor)
    methods: tuple[Any, ...] = (kind.prepare_value, kind.to_python, kind._to_python)
    return all(method.__module__.startswith("faust.models.") for method in methods)


def holds_mapping(value: Any) -> bool:
    """Tell whether a mapping is in the place of a model: in ``value``, or in what it contains."""
    if isinstance(value, msgspec.Struct):
        return False
    if isinstance(value, _SEQUENCES):
        return any(map(holds_mapping, value))
    return isinstance(value, Mapping)
