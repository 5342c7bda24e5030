"""The names of `faust.contrib.asgi`, where applications with FastAPI look for them."""

from __future__ import annotations

from faust.contrib.asgi import FaustLifespanMiddleware, faust_app_running, faust_lifespan

__all__ = ["FaustLifespanMiddleware", "faust_app_running", "faust_lifespan"]
