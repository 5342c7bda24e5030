"""The same works as a Bytewax dataflow; run by its own environment's Python.

Bytewax keeps no offsets in Kafka.  A plain consumer of the same client library commits, as the
group that is watched, the offsets that have come out of the dataflow's end.
"""

import json
import sys
import time

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.run import cli_main
from confluent_kafka import Consumer, TopicPartition

bootstrap, group, topic, out, work, commit_ms, directory = sys.argv[1:]


class _Committing(StatelessSinkPartition):
    def __init__(self):
        self.client = Consumer(
            {"bootstrap.servers": bootstrap, "group.id": group, "enable.auto.commit": False}
        )
        self.positions = {}
        self.due = time.monotonic()

    def write_batch(self, items):
        positions = self.positions
        for partition, offset in items:
            positions[partition] = offset + 1
        if time.monotonic() >= self.due:
            places = [TopicPartition(topic, p, offset) for p, offset in positions.items()]
            self.client.commit(offsets=places, asynchronous=True)
            self.due = time.monotonic() + int(commit_ms) / 1000


class Committing(DynamicSink):
    """Commits what has arrived."""

    def build(self, step_id, worker_index, worker_count):
        """Return the one worker's sink."""
        return _Committing()


def decode(message):
    """Return account and place of a message, its value decoded."""
    return json.loads(message.value)["account"], (message.partition, message.offset)


def count(state, place):
    """Count one more for the account."""
    return (state or 0) + 1, place


flow = Dataflow("benchmark")
messages = op.input("in", flow, KafkaSource([bootstrap], [topic]))
decoded = op.map("decode", messages, decode)
if work == "count":
    decoded = op.stateful_map("count", decoded, count)
op.output("out", op.map("place", decoded, lambda pair: pair[1]), Committing())

cli_main(flow)
