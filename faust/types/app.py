"""The app, and what decides on its parts, as annotations name them."""

from __future__ import annotations

from faust.app.base import App as AppT
from faust.app.boot import BootStrategy as BootStrategyT

__all__ = ["AppT", "BootStrategyT"]
