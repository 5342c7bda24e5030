"""The port for fixups."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = ["Fixup"]


class Fixup:
    """Adapts the worker to another framework.

    Arguments:
        app: The app that a worker, or another command, is started for.
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    def enabled(self) -> bool:
        """Is that framework in use in this process?"""
        return False

    def autodiscover_modules(self) -> Iterable[str]:
        """Return further packages to scan where ``autodiscover`` is True."""
        return []

    def on_worker_init(self) -> None:
        """A worker, or another command, begins."""
