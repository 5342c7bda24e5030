"""What finds the worker for a key."""

from __future__ import annotations

from faust.router import Router as RouterT

__all__ = ["RouterT"]
