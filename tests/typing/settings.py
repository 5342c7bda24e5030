"""What type checkers know of settings: names and types of `App(...)`; checked, never run.

Each ignore is an error that must be there: mypy tells of ignores that ignore nothing.
"""

from __future__ import annotations

import logging
import os
from datetime import timedelta
from pathlib import Path
from typing import Any, assert_type

from yarl import URL

import faust
from faust.settings import setting
from faust.settings.kinds import Int

# -- right ---------------------------------------------------------------------------------------

app = faust.App(
    "typed",
    broker=["kafka://a", URL("kafka://b")],
    broker_url=os.environ.get("BROKER"),
    store="rocksdb://",
    version=2,
    datadir=Path("data"),
    autodiscover=lambda: ["proj_orders"],
    topic_partitions=12,
    broker_commit_interval=timedelta(seconds=1),
    reply_expires=60,
    producer_acks="all",
    consumer_auto_offset_reset="latest",
    processing_guarantee="at_least_once",
    loghandlers=[logging.NullHandler()],
    Agent=faust.Agent,
    Monitor="faust.sensors:Monitor",
    env={},
)
assert_type(app.conf, faust.Settings)
assert_type(app.conf.broker, list[URL])
assert_type(app.conf.broker_commit_interval, float)
app.conf = faust.Settings("typed", web_port=6067)


class MySettings(faust.Settings):
    """Settings of ours."""

    my_limit = setting(Int(1), default=5, text="A limit of ours.")


class MyApp(faust.App):
    """An app that has them."""

    Settings = MySettings

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)


MyApp("mine", my_limit=6)

# -- wrong ---------------------------------------------------------------------------------------

faust.App("x", brokr="kafka://")  # type: ignore[call-arg]  # no such setting
faust.App("x", topic_partitions="many")  # type: ignore[arg-type]  # a number
faust.App("x", web_enabled="yes")  # type: ignore[arg-type]  # true or false
faust.App("x", consumer_auto_offset_reset="newest")  # type: ignore[arg-type]  # one of two words
faust.App("x", loghandlers=["console"])  # type: ignore[list-item]  # handlers
faust.App("x", commit_interval=1.0)  # type: ignore[call-arg]  # is broker_commit_interval now
faust.App(3)  # type: ignore[arg-type]  # the id is text
app.conf.topic_partitions = [1]  # type: ignore[assignment]  # a number
app.conf.brokr = "kafka://"  # type: ignore[attr-defined]  # no such setting
app.conf = {"broker": "kafka://"}  # type: ignore[assignment]  # settings
