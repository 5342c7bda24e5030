"""Decodes every record and does nothing with it."""

from __future__ import annotations

import faust
from benchmarks.apps.payments import Payment, app, source


@app.agent(source)
async def look(payments: faust.Stream[Payment]) -> None:
    """Take each payment as its object."""
    async for _payment in payments:
        pass
