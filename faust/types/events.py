"""Events."""

from __future__ import annotations

from faust.events import Event as EventT

__all__ = ["EventT"]
