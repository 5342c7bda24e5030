"""The app, as annotations name it."""

from __future__ import annotations

from faust.app.base import App as AppT

__all__ = ["AppT"]
