"""What the measured apps share: the record, and an app told by the environment where to run.

Default settings but the commit interval; monitor and web are on, as they are for a user.
"""

from __future__ import annotations

import os

import faust


class Payment(faust.Record):
    """The record of four fields that every contender decodes."""

    account: str
    amount: float
    country: str
    number: int


def make_app() -> faust.App:
    """Return an app configured by the variables that `benchmarks.contenders` sets."""
    return faust.App(
        os.environ["BENCHMARK_GROUP"],
        broker=os.environ["BENCHMARK_BROKER"],
        store=os.environ.get("BENCHMARK_STORE", "memory://"),
        broker_commit_interval=float(os.environ["BENCHMARK_COMMIT_SECONDS"]),
        topic_partitions=int(os.environ["BENCHMARK_PARTITIONS"]),
    )


app = make_app()
source = app.topic(os.environ["BENCHMARK_TOPIC"], key_type=str, value_type=Payment)
