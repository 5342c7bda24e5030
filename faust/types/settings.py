"""Settings."""

from __future__ import annotations

from faust.settings import Settings

__all__ = ["Settings"]
