"""The application."""

from faust.app.base import App

__all__ = ["App"]
