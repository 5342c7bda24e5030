"""The pages that every worker has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from faust.web.apps import health, metrics, router, stats, status, tables
from faust.web.base import Page

__all__ = ["built_in_pages"]


def built_in_pages(app: Any) -> Iterator[Page]:
    """Iterate over the built-in pages that the settings ask for."""
    conf = app.conf
    yield from health.PAGES
    yield from status.PAGES
    if conf.web_stats_enabled:
        yield from stats.PAGES
    if conf.web_tables_enabled:
        yield from tables.PAGES
    if conf.web_router_enabled:
        yield from router.PAGES
    if conf.web_metrics_enabled and metrics.available():
        yield from metrics.PAGES
