"""Small tools without state; each file stands alone, and users may import them."""

from __future__ import annotations

__all__ = ["uuid"]


def uuid() -> str:
    """Return a new random id (UUID4) as text, ``"8c1f…-…"``."""
    from uuid import uuid4

    return str(uuid4())
