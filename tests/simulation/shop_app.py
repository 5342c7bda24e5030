"""An app as users have them: in a module, with models, two agents and a ``group_by``."""

from __future__ import annotations

from typing import Any

import faust

app = faust.App("shop", broker="sqlite://", topic_partitions=4, broker_commit_interval=1.0)


class Order(faust.Record):
    """What is ordered."""

    account: str
    amount: int


orders = app.topic("orders", key_type=str, value_type=Order)
large = app.topic("large", key_type=str, value_type=Order, internal=True)
totals = app.Table("totals", key_type=str, value_type=int, default=int)
sizes = app.Table("sizes", key_type=int, value_type=int, default=int)


@app.agent(orders)
async def add_up(stream: Any) -> None:
    """Add up, and say what is large."""
    async for order in stream:
        totals[order.account] += order.amount
        if order.amount > 5:
            await large.send(key=order.account, value=order)


@app.agent(large)
async def count_sizes(stream: Any) -> None:
    """Count the large ones by their size."""
    async for order in stream.group_by(Order.amount):
        sizes[order.amount] += 1
