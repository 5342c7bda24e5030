"""Counts payments per account in a table with its changelog; memory or RocksDB."""

from __future__ import annotations

import faust
from benchmarks.apps.payments import Payment, app, source

counts = app.Table("counts", default=int, key_type=str, value_type=int)


@app.agent(source)
async def count(payments: faust.Stream[Payment]) -> None:
    """Count one more for the account of each payment."""
    async for payment in payments:
        counts[payment.account] += 1
