"""Sends every payment on to a second topic, under its account."""

from __future__ import annotations

import os

import faust
from benchmarks.apps.payments import Payment, app, source

out = app.topic(os.environ["BENCHMARK_OUT"], key_type=str, value_type=Payment)


@app.agent(source)
async def forward(payments: faust.Stream[Payment]) -> None:
    """Send each payment on."""
    async for payment in payments:
        await out.send(key=payment.account, value=payment)
