"""Windows."""

from __future__ import annotations

from faust.windows import Window as WindowT

__all__ = ["WindowT"]
