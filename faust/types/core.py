"""Keys, values, headers, and adding to them."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, TypeAlias

from faust._values import HeadersArg, merge_headers

__all__ = ["HeadersArg", "K", "OpenHeadersArg", "V", "merge_headers"]

#: A key, and a value, before they are encoded or after they were decoded.
K: TypeAlias = Any
V: TypeAlias = Any
#: Headers that may be added to.
OpenHeadersArg: TypeAlias = list[tuple[str, bytes]] | MutableMapping[str, bytes]
