"""Fields that convert and check: numbers, text, bytes, dates."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar, cast

import msgspec

from faust.exceptions import ValidationError
from faust.models.descriptors import FieldDescriptor

__all__ = [
    "BooleanField",
    "BytesField",
    "CharField",
    "DatetimeField",
    "DecimalField",
    "FieldDescriptor",
    "FloatField",
    "IntegerField",
    "NumberField",
    "StringField",
    "field_for_type",
]

T = TypeVar("T")


class BooleanField(FieldDescriptor[bool]):
    """True or false; coerced by truth, text by its words (``"false"``, ``"no"``, ``"0"``)."""

    def validate(self, value: Any) -> Iterable[ValidationError]:
        if type(value) is not bool:
            yield self.validation_error(f"must be true or false, not {value!r}")

    def prepare_value(self, value: Any, *, coerce: bool | None = None) -> bool | None:
        if not self.should_coerce(value, coerce):
            return cast(bool, value)
        if isinstance(value, str):
            return value.strip().lower() not in ("", "0", "false", "no", "off", "n", "f")
        return bool(value)


class NumberField(FieldDescriptor[T]):
    """A number.

    Arguments:
        max_value, min_value: Limits, themselves allowed.
    """

    def __init__(self, *, max_value: Any = None, min_value: Any = None, **kwargs: Any) -> None:
        self.max_value = max_value
        self.min_value = min_value
        super().__init__(**kwargs)

    def as_dict(self) -> Mapping[str, Any]:
        return {
            **super().as_dict(), "max_value": self.max_value, "min_value": self.min_value
        }  # fmt: skip

    def validate(self, value: T) -> Iterable[ValidationError]:
        number = cast(Any, value)
        if self.max_value is not None and number > self.max_value:
            yield self.validation_error(f"must not be above {self.max_value}, is {value}")
        if self.min_value is not None and number < self.min_value:
            yield self.validation_error(f"must not be below {self.min_value}, is {value}")


class IntegerField(NumberField[int]):
    """A whole number."""

    def prepare_value(self, value: Any, *, coerce: bool | None = None) -> int | None:
        return int(value) if self.should_coerce(value, coerce) else value


class FloatField(NumberField[float]):
    """A number."""

    def prepare_value(self, value: Any, *, coerce: bool | None = None) -> float | None:
        return float(value) if self.should_coerce(value, coerce) else value


class DecimalField(NumberField[Decimal]):
    """A decimal number.

    Arguments:
        max_digits: Most digits in all.
        max_decimal_places: Most digits behind the point.
    """

    def __init__(
        self,
        *,
        max_digits: int | None = None,
        max_decimal_places: int | None = None,
        **kwargs: Any,
    ) -> None:
        self.max_digits = max_digits
        self.max_decimal_places = max_decimal_places
        super().__init__(**kwargs)

    def as_dict(self) -> Mapping[str, Any]:
        return {
            **super().as_dict(),
            "max_digits": self.max_digits,
            "max_decimal_places": self.max_decimal_places,
        }

    def prepare_value(self, value: Any, *, coerce: bool | None = None) -> Decimal | None:
        if not self.should_coerce(value, coerce) or isinstance(value, Decimal):
            return cast(Decimal, value)
        return Decimal(repr(value) if isinstance(value, float) else value)

    def validate(self, value: Decimal) -> Iterable[ValidationError]:
        if not math.isfinite(value):
            yield self.validation_error(f"must be finite, is {value}")
            return
        yield from super().validate(value)
        _, digits, exponent = value.as_tuple()
        places = max(0, -cast(int, exponent))
        if self.max_decimal_places is not None and places > self.max_decimal_places:
            yield self.validation_error(
                f"must have at most {self.max_decimal_places} decimal places, has {places}"
            )
        count = max(len(digits) + max(0, cast(int, exponent)), places)
        if self.max_digits is not None and count > self.max_digits:
            yield self.validation_error(f"must have at most {self.max_digits} digits, has {count}")


class CharField(FieldDescriptor[T]):
    """Text or bytes.

    Arguments:
        max_length, min_length: Limits, themselves allowed.
        trim_whitespace: Strip it at both ends, where values are coerced.
        allow_blank: Whether it may be empty; 0 as ``min_length`` does not allow it by itself.
    """

    def __init__(
        self,
        *,
        max_length: int | None = None,
        min_length: int | None = None,
        trim_whitespace: bool = False,
        allow_blank: bool = False,
        **kwargs: Any,
    ) -> None:
        self.max_length = max_length
        self.min_length = min_length
        self.trim_whitespace = trim_whitespace
        self.allow_blank = allow_blank
        super().__init__(**kwargs)

    def as_dict(self) -> Mapping[str, Any]:
        names = ("max_length", "min_length", "trim_whitespace", "allow_blank")
        return {**super().as_dict(), **{name: getattr(self, name) for name in names}}

    def validate(self, value: T) -> Iterable[ValidationError]:
        length = len(cast(Any, value))
        if not length and not self.allow_blank:
            yield self.validation_error("must not be blank")
        elif self.min_length is not None and length < self.min_length:
            yield self.validation_error(f"must not be shorter than {self.min_length}, is {length}")
        if self.max_length is not None and length > self.max_length:
            yield self.validation_error(f"must not be longer than {self.max_length}, is {length}")


class StringField(CharField[str]):
    """Text."""

    def prepare_value(self, value: Any, *, coerce: bool | None = None) -> str | None:
        if not self.should_coerce(value, coerce):
            return cast(str, value)
        text = value.decode() if isinstance(value, bytes) else str(value)
        return text.strip() if self.trim_whitespace else text


class BytesField(CharField[bytes]):
    """Bytes; Base64 text in JSON.

    Arguments:
        encoding, errors: How text is encoded that is given where values are coerced.
    """

    def __init__(
        self, *, encoding: str | None = None, errors: str | None = None, **kwargs: Any
    ) -> None:
        self.encoding = encoding or "utf-8"
        self.errors = errors or "strict"
        super().__init__(**kwargs)

    def as_dict(self) -> Mapping[str, Any]:
        return {**super().as_dict(), "encoding": self.encoding, "errors": self.errors}

    def prepare_value(self, value: Any, *, coerce: bool | None = None) -> bytes | None:
        if not self.should_coerce(value, coerce):
            return cast(bytes, value)
        data = value.encode(self.encoding, self.errors) if isinstance(value, str) else bytes(value)
        return data.strip() if self.trim_whitespace else data


class DatetimeField(FieldDescriptor[datetime]):
    """A date with time; text is read by ``date_parser``, or as ISO 8601."""

    def prepare_value(self, value: Any, *, coerce: bool | None = None) -> datetime | None:
        if not self.should_coerce(value, coerce) or isinstance(value, datetime):
            return cast(datetime, value)
        if isinstance(value, str):
            return (self.date_parser or datetime.fromisoformat)(value)
        return msgspec.convert(value, datetime, strict=False)


_FIELDS: dict[Any, type[FieldDescriptor[Any]]] = {
    bool: BooleanField,
    int: IntegerField,
    float: FloatField,
    Decimal: DecimalField,
    str: StringField,
    bytes: BytesField,
    datetime: DatetimeField,
}


def field_for_type(annotation: Any) -> type[FieldDescriptor[Any]]:
    """Return the descriptor class for an annotation (``Optional`` looked through)."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        members = [arg for arg in typing.get_args(annotation) if arg is not type(None)]
        annotation = members[0] if len(members) == 1 else annotation
    return _FIELDS.get(annotation, FieldDescriptor)
