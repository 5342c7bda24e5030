"""How fast the Kafka driver is: ``python -m tests.kafka.driver_speed [bootstrap]``.

Records of 100 bytes in batches of 64 KiB, uncompressed, through `Producer.produce` and
`Reader.fetch`, in one event loop.  Without an address it starts a node of its own.  Building the
batches is not counted.
"""

from __future__ import annotations

import asyncio
import sys
import time
import uuid

from yarl import URL

from faust._values import TP
from faust.transport.base import ProducerOptions, ReaderOptions, TopicSpec, TransportOptions
from faust.transport.drivers.aiokafka.driver import KafkaTransport
from faust.transport.records import Builder, new_builder
from tools.kafka import KafkaNode
from tools.kafka.node import BENCHMARK_JVM

_BATCHES = 4000
_BATCH_BYTES = 1 << 16
_WINDOW = 100


def _builder() -> tuple[Builder, int]:
    builder, number = new_builder(_BATCH_BYTES), 0
    while builder.append(number, 1_700_000_000_000, None, b"x" * 100, []) is not None:
        number += 1
    return builder, number


async def _produce(transport: KafkaTransport, topic: str, partitions: int) -> int:
    producer = transport.producer(ProducerOptions())
    builders = [_builder() for _ in range(_BATCHES)]
    started, cpu = time.perf_counter(), time.process_time()
    waiting = set()
    for number, (builder, _) in enumerate(builders):
        waiting.add(producer.produce(TP(topic, number % partitions), builder))
        if len(waiting) >= _WINDOW:
            _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    await producer.flush()
    records = sum(count for _, count in builders)
    _print("produced", partitions, records, started, cpu)
    await producer.close()
    return records


async def _fetch(
    transport: KafkaTransport, topic: str, partitions: int, records: int, *, check_crcs: bool
) -> None:
    reader = transport.reader(ReaderOptions(check_crcs=check_crcs))
    reader.assign({TP(topic, number): 0 for number in range(partitions)})
    started, cpu = time.perf_counter(), time.process_time()
    seen = answers = 0
    while seen < records:
        fetched = await reader.fetch(1.0)
        seen += sum(batch.count for batch in fetched.batches)
        answers += 1
    name = "fetched, CRCs checked" if check_crcs else "fetched"
    _print(f"{name}, {answers} answers", partitions, records, started, cpu)
    await reader.close()


def _print(what: str, partitions: int, records: int, started: float, cpu: float) -> None:
    seconds, used = time.perf_counter() - started, time.process_time() - cpu
    print(
        f"{records:,} records {what}, {partitions} partitions: {records / seconds:,.0f}/s "
        f"({records / used:,.0f} per CPU second of ours)",
        flush=True,
    )


async def _measure(bootstrap: str) -> None:
    transport = KafkaTransport([URL(f"kafka://{bootstrap}")], TransportOptions())
    await transport.open()
    for partitions in (1, 4):
        for _ in range(2):  # the first round warms up the JVM
            topic = f"speed-{uuid.uuid4().hex[:8]}"
            await transport.create_topic(TopicSpec(topic, partitions))
            records = await _produce(transport, topic, partitions)
            await _fetch(transport, topic, partitions, records, check_crcs=True)
            await _fetch(transport, topic, partitions, records, check_crcs=False)
            await transport.delete_topic(topic)
    await transport.close()


def main() -> None:
    """Measure, against the node named on the command line or one of our own."""
    if len(sys.argv) > 1:
        asyncio.run(_measure(sys.argv[1]))
    else:
        with KafkaNode(jvm=BENCHMARK_JVM) as node:
            asyncio.run(_measure(node.bootstrap))


if __name__ == "__main__":
    main()
