"""Requests, responses and views."""

from __future__ import annotations

from faust.web import Request, ResourceOptions, Response, View

__all__ = ["Request", "ResourceOptions", "Response", "View"]
