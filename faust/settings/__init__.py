"""What can be configured: each setting defined once, and the flat view that an app reads."""

from __future__ import annotations

from faust.settings.params import Setting, setting
from faust.settings.settings import Settings
from faust.settings.sources import Source

__all__ = ["Setting", "Settings", "Source", "setting"]
