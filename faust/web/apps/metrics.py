"""``/metrics``: for Prometheus, where its client is installed."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from faust.web.base import Page
from faust.web.messages import Request, Response
from faust.web.views import View

__all__ = ["PAGES", "available"]


def available() -> bool:
    """Is the Prometheus client installed?"""
    return find_spec("prometheus_client") is not None


class Metrics(View):
    """What the monitor counts, in Prometheus' text format."""

    in_server = True

    async def get(self, request: Request, **params: Any) -> Response:
        """Answer with all metrics."""
        from faust.sensors.prometheus import CONTENT_TYPE, render

        response = self.bytes(render(self.app), content_type="text/plain")
        response.headers["Content-Type"] = CONTENT_TYPE
        response.content_type = None
        return response


PAGES = [Page("/metrics", Metrics, "metrics")]
