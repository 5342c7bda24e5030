"""What type checkers know of apps, agents, topics, streams and events; checked, never run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, assert_type

import faust
from faust.types import AgentT, AppT, ChannelT, EventT, StreamT, TableT, TopicT
from faust.types.tuples import TP, Message, RecordMetadata


class Order(faust.Record):
    account: str
    amount: int = 0


app = faust.App("typed", broker="memory://")
assert_type(app, faust.App)
same_app: AppT = app

orders = app.topic("orders", value_type=Order)
assert_type(orders, faust.Topic[Any])
same_topic: TopicT[Order] = orders
assert_type(app.channel(), faust.Channel[Any])
same_channel: ChannelT[Any] = orders

counts = app.Table("counts", default=int)
assert_type(counts, faust.Table[Any, Any])
same_table: TableT[str, int] = counts


@app.agent(orders)
async def process(stream: StreamT[Order]) -> AsyncIterator[int]:
    async for order in stream:
        assert_type(order, Order)
        yield order.amount
    async for event in stream.events():
        assert_type(event, faust.Event[Order])
        assert_type(event.value, Order)
        assert_type(event.tp, TP)
        assert_type(event.message, Message)
        same_event: EventT[Order] = event
        await same_event.ack()
    async for batch in stream.take(10, within=5):
        assert_type(batch, list[Order])
    async for at, value in stream.enumerate():
        assert_type(at, int)
        assert_type(value, Order)
    async for key, item in stream.items():
        assert_type(key, Any)
        assert_type(item, Order)
    assert_type(stream.filter(lambda value: value.amount > 3), faust.Stream[Order])
    assert_type(stream.group_by(Order.account), faust.Stream[Order])
    assert_type(stream.through("other"), faust.Stream[Order])


assert_type(process, faust.Agent)
same_agent: AgentT = process


@app.agent
async def bare(stream: StreamT[int]) -> None:
    async for value in stream:
        assert_type(value, int)


assert_type(bare, faust.Agent)


@app.timer(interval=5.0)
async def send_orders() -> None:
    sent = await orders.send(value=Order("a"), key="a")
    assert_type(await sent, RecordMetadata)
    assert_type(sent.result(timeout=3), RecordMetadata)
    assert_type(faust.current_event(), faust.Event[Any] | None)
    assert_type(await process.ask(Order("a"), timeout=3), Any)


@app.task
async def once(app: AppT) -> None:
    await app.send("orders", value=Order("b"))


@app.task(on_leader=True)
async def once_on_the_leader() -> None: ...


@app.crontab("0 9 * * *", tz="Europe/Oslo")
async def at_nine() -> None: ...


@app.on_configured.connect
def configure(app: AppT, conf: faust.Settings, **kwargs: Any) -> None:
    conf.broker_url = "memory://"
