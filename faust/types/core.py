"""Headers, and adding to them."""

from __future__ import annotations

from faust._values import HeadersArg, merge_headers

__all__ = ["HeadersArg", "merge_headers"]
