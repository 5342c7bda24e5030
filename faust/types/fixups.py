"""Fixups for other frameworks."""

from __future__ import annotations

from faust.fixups.base import Fixup as FixupT

__all__ = ["FixupT"]
