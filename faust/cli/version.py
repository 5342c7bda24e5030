"""Which version this is."""

from __future__ import annotations

import sys

__all__ = ["installed_version"]


def installed_version() -> str:
    """Return the version of Faust."""
    return str(sys.modules["faust"].__dict__["__version__"])
