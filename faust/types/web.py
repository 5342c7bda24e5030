"""Requests, responses and views."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from faust.web import Request, ResourceOptions, Response, View

__all__ = ["Request", "ResourceOptions", "Response", "View", "ViewDecorator", "ViewHandlerFun"]

#: What answers a request: ``(view, request, **parameters of the path)``.
ViewHandlerFun: TypeAlias = Callable[..., Awaitable[Any]]
#: What makes one of another.
ViewDecorator: TypeAlias = Callable[[ViewHandlerFun], ViewHandlerFun]
