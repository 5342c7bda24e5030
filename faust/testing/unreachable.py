"""Crash points where the simulation never finds anybody, each with its reason.

A test says when an entry is about a line that is not there any more.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["UNREACHABLE"]

#: Crash point, as it is printed -> why nobody ever stands there.
UNREACHABLE: Mapping[str, str] = {}
