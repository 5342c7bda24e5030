"""Stores of tables."""

from __future__ import annotations

from faust.stores.base import Store as StoreT

__all__ = ["StoreT"]
