"""``/stats/`` and ``/assignment/``: what the sensors count, and which partitions are here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from faust._values import TP
from faust.web.apps.status import steady
from faust.web.base import Page
from faust.web.messages import Request, Response
from faust.web.views import View

__all__ = ["PAGES"]


class Stats(View):
    """What the sensors count."""

    in_server = True

    async def get(self, request: Request, **params: Any) -> Response:
        """Answer with the figures of each sensor: ``{"Sensor0": {...}, ...}``."""
        sensors = list(self.app.sensors)
        return self.json({f"Sensor{n}": steady(each.asdict) for n, each in enumerate(sensors)})


class Assignment(View):
    """Which partitions this worker has."""

    in_server = True

    async def get(self, request: Request, **params: Any) -> Response:
        """Answer with topic -> partitions, for those processed and those kept as a standby."""
        assignor = self.app.assignor
        return self.json(
            {
                "actives": _by_topic(steady(assignor.assigned_actives)),
                "standbys": _by_topic(steady(assignor.assigned_standbys)),
            }
        )


def _by_topic(tps: Iterable[TP]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for tp in sorted(tps):
        found.setdefault(tp.topic, []).append(tp.partition)
    return found


PAGES = [
    Page("/stats/", Stats, "stats:index"),
    Page("/assignment/", Assignment, "stats:assignment"),
]
