"""The router, under the name that settings use."""

from faust.router import Router

__all__ = ["Router"]
