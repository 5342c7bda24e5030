"""Tags: field types for values that must not be shown by accident.

``name: Secret[str]`` holds a `Secret`: printed, it is a mask.  `Sensitive` and `Personal` raise
when they are printed or formatted.  ``get_value()`` gives what is inside.  Serialized, a tag is its
value: the record on its way to its topic is whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ClassVar, Generic, TypeVar

from faust.exceptions import SecurityError

__all__ = [
    "OpaqueTag",
    "Personal",
    "Secret",
    "Sensitive",
    "Tag",
    "TransparentTag",
    "allow_protected_vars",
]

T = TypeVar("T")

_protected_allowed: ContextVar[bool] = ContextVar("faust_protected_allowed", default=False)


@contextmanager
def allow_protected_vars() -> Iterator[None]:
    """Let opaque tags be printed inside of the ``with`` block (in this task)."""
    token = _protected_allowed.set(True)
    try:
        yield
    finally:
        _protected_allowed.reset(token)


class Tag(Generic[T]):
    """A value with a promise about showing it.

    Arguments:
        value: What is inside.
        field: Name of the model's field, for messages.
    """

    is_secret: ClassVar[bool] = False
    is_sensitive: ClassVar[bool] = False
    is_personal: ClassVar[bool] = False

    __slots__ = ("field", "value")

    value: T
    field: str | None

    def __init__(self, value: T, *, field: str | None = None) -> None:
        self.value = value.value if isinstance(value, Tag) else value
        self.field = field

    def get_value(self) -> T:
        """Return what is inside."""
        return self.value

    def __json__(self) -> T:
        return self.value

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and bool(self.value == other.value)

    def __hash__(self) -> int:
        return hash((type(self), self.value))

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.field or '?'}>"


class TransparentTag(Tag[T]):
    """A tag that can be printed, masked."""

    mask: ClassVar[str] = "***********"

    __slots__ = ()

    def __str__(self) -> str:
        return self.mask

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.mask}>"

    def __format__(self, format_spec: str) -> str:
        return format(self.mask, format_spec)


class OpaqueTag(Tag[T]):
    """A tag that raises when it is printed or formatted.

    Raises:
        SecurityError: By ``str()`` and ``format()``, outside of `allow_protected_vars`.
    """

    __slots__ = ()

    def __str__(self) -> str:
        if _protected_allowed.get():
            return str(self.value)
        raise SecurityError(
            f"{type(self).__name__.lower()} field {self.field or ''} was about to be shown: "
            f"use get_value() where that is meant"
        )

    def __format__(self, format_spec: str) -> str:
        return format(str(self), format_spec)


class Secret(TransparentTag[T]):
    """Passwords and tokens: printed as a mask."""

    is_secret = True
    __slots__ = ()


class Sensitive(OpaqueTag[T]):
    """What must not be shown, such as payment data."""

    is_sensitive = True
    __slots__ = ()


class Personal(OpaqueTag[T]):
    """Data about a person."""

    is_personal = True
    __slots__ = ()


def tag_of(annotation: Any) -> type[Tag[Any]] | None:
    """Return the tag class of an annotation such as ``Secret[str]``, or ``None``."""
    origin = getattr(annotation, "__origin__", annotation)
    return origin if isinstance(origin, type) and issubclass(origin, Tag) else None
