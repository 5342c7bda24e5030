"""The names of `faust.contrib.asgi`, where applications with FastAPI look for them."""

from __future__ import annotations

from faust.contrib.asgi import FaustLifespanMiddleware, faust_app_running, faust_lifespan
from faust.contrib.asgi_server import AsgiService, serve_asgi

__all__ = [
    "AsgiService",
    "FaustLifespanMiddleware",
    "faust_app_running",
    "faust_lifespan",
    "serve_asgi",
]
