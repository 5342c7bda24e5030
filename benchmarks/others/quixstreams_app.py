"""The same works as a Quix Streams application; run by its own environment's Python."""

import sys

from quixstreams import Application

bootstrap, group, topic, out, work, commit_ms, directory = sys.argv[1:]

app = Application(
    broker_address=bootstrap,
    consumer_group=group,
    auto_offset_reset="earliest",
    commit_interval=int(commit_ms) / 1000,
    state_dir=directory,
    loglevel="ERROR",
)
rows = app.dataframe(app.topic(topic, key_deserializer="str", value_deserializer="json"))

if work == "count-rocksdb":

    def count(row, state):
        """Count one more for the account (Quix keeps state per message key)."""
        total = state.get("total", 0) + 1
        state.set("total", total)
        return total

    rows = rows.apply(count, stateful=True)

app.run(rows)
