"""JSON, one implementation on all platforms (msgspec).

What is beyond plain JSON: ``Decimal`` and ``UUID`` become text, ``datetime`` and ``date`` RFC 3339
text (UTC ends with ``Z``), ``Enum`` its value, tuples, sets and deques lists, bytes Base64 text,
NaN and infinities ``null``.  Objects with a ``__json__()`` method are asked for their form, also
inside of dicts and lists.  Dicts keep their order in `dumps`; `dumps_sorted` orders dicts and sets,
so that equal objects always give equal bytes.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Set
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any, TypeAlias
from uuid import UUID

import msgspec

__all__ = ["default", "dumps", "dumps_sorted", "loads", "plain"]

#: Types that cannot hold an object with ``__json__``; looking no further is what keeps dumps fast.
_SCALARS = frozenset(
    {str, int, float, bool, type(None), bytes, Decimal, UUID, datetime, date, time, timedelta}
)
_SEQUENCES = frozenset({list, tuple, set, frozenset})
_CONTAINERS = _SEQUENCES | {dict}
#: From an object to what JSON knows, all the way down.
Form: TypeAlias = Callable[[Any], Any]
#: The form of each type met so far.  A class may have a ``__json_form__()`` that makes a fast one.
_FORMS: dict[type, Form | None] = {}


def default(obj: Any) -> Any:
    """Return a form that JSON knows for an object that it does not know.

    Raises:
        TypeError: There is none.
    """
    if hasattr(obj, "__json__"):
        return obj.__json__()
    if isinstance(obj, Enum):
        return obj.value
    if isinstance(obj, Mapping):
        return dict(obj)
    if isinstance(obj, Set | deque):
        return list(obj)
    if isinstance(obj, PurePath):
        return str(obj)
    raise TypeError(
        f"an object of type {type(obj).__module__}.{type(obj).__qualname__} cannot be written as "
        f"JSON: give it a __json__() method, or use another serializer"
    )


_encode = msgspec.json.Encoder(enc_hook=default).encode
_encode_sorted = msgspec.json.Encoder(enc_hook=default, order="deterministic").encode

#: Decode JSON bytes or text to plain Python objects.
loads: Callable[[bytes | str], Any] = msgspec.json.Decoder().decode


def dumps(obj: Any) -> bytes:
    """Encode an object as JSON, without spaces; dicts keep their order.

    Raises:
        TypeError: Something in it has no form in JSON.
    """
    if type(obj) in _SCALARS:
        return _encode(obj)
    return _encode(plain(obj) if _must_ask(obj) else obj)


def dumps_sorted(obj: Any) -> bytes:
    """Encode an object as JSON so that equal objects give equal bytes, in every process.

    Raises:
        TypeError: Something in it has no form in JSON.
    """
    if type(obj) in _SCALARS:
        return _encode_sorted(obj)
    return _encode_sorted(plain(obj) if _must_ask(obj) else obj)


def plain(obj: Any) -> Any:
    """Return ``obj`` with every object that has ``__json__`` replaced by what that returns."""
    kind = type(obj)
    if kind in _SCALARS:
        return obj
    if kind in _SEQUENCES:
        return [plain(item) for item in obj]
    if kind is dict or kind is Counter:
        return {key: plain(value) for key, value in obj.items()}
    form = _form(kind)
    return obj if form is None else form(obj)


def _must_ask(obj: Any) -> bool:
    """Tell whether an object with ``__json__`` is somewhere in ``obj``."""
    kind = type(obj)
    if kind not in _CONTAINERS:
        return _form(kind) is not None
    values: Iterable[Any] = obj.values() if kind is dict else obj
    for value in values:  # noqa: SIM110 - half the cost of any() with a generator
        if type(value) not in _SCALARS and _must_ask(value):
            return True
    return False


def _form(kind: type) -> Form | None:
    """Return the function that gives the JSON form of a type's instances, if they have one."""
    try:
        return _FORMS[kind]
    except KeyError:
        form = _FORMS[kind] = _find_form(kind)
        return form


def _find_form(kind: type) -> Form | None:
    make = getattr(kind, "__json_form__", None)
    if make is not None:
        form: Form = make()
        return form
    return (lambda obj: plain(obj.__json__())) if hasattr(kind, "__json__") else None
