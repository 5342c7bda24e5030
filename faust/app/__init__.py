"""The application."""

from faust.app.base import App
from faust.app.boot import BootStrategy

__all__ = ["App", "BootStrategy"]
