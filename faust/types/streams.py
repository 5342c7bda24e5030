"""Streams."""

from __future__ import annotations

from faust.streams import Stream as StreamT

__all__ = ["StreamT"]
