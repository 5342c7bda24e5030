"""The same works as a faust-streaming app; run by its own environment's Python."""

import sys

import faust

bootstrap, group, topic, out, work, commit_ms, directory = sys.argv[1:]


class Payment(faust.Record):
    """The record of four fields."""

    account: str
    amount: float
    country: str
    number: int


app = faust.App(
    group,
    broker=f"kafka://{bootstrap}",
    broker_commit_interval=int(commit_ms) / 1000,
    topic_partitions=4,
    datadir=directory,
    web_enabled=False,
    consumer_auto_offset_reset="earliest",
)
source = app.topic(topic, key_type=str, value_type=Payment)

if work == "count":
    counts = app.Table("counts", default=int)

    @app.agent(source)
    async def count(payments):
        """Count one more for each account."""
        async for payment in payments:
            counts[payment.account] += 1

else:

    @app.agent(source)
    async def look(payments):
        """Decode and do nothing."""
        async for _ in payments:
            pass


sys.argv = [sys.argv[0], "worker", "-l", "warn"]
app.main()
