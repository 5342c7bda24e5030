"""What other frameworks need done when a worker starts."""

from __future__ import annotations

from typing import Any

from faust.fixups.base import Fixup
from faust.fixups.django import DjangoFixup

__all__ = ["Fixup", "fixups_for"]


def fixups_for(app: Any) -> list[Fixup]:
    """Return the fixups that are in use here: our own, and the entry points ``faust.fixups``."""
    from importlib.metadata import entry_points

    offered = [point.load() for point in entry_points(group="faust.fixups")]
    made: list[Fixup] = [cls(app) for cls in (DjangoFixup, *offered)]
    return [fixup for fixup in made if fixup.enabled()]
