"""End-to-end latency: 1,000 events/s through one agent to a second topic, commits going on.

The same process sends and receives, so one clock serves both; its own share (about a millisecond)
is in every contender's figure alike.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from benchmarks.contenders import Contender
from benchmarks.load import create_topic, partition_of, payment
from benchmarks.session import PARTITIONS, START_SECONDS, Session

EVENTS_PER_SECOND = 1_000
#: Until the contender has started, compiled and settled.
WARM_UP_SECONDS = 5.0


class _Numbered(msgspec.Struct):
    """What is needed of an event, whatever else a contender writes into it."""

    number: int


_NUMBER = msgspec.json.Decoder(_Numbered)


@dataclass(frozen=True)
class Latency:
    """Milliseconds from the sending of an event to its arrival in the second topic."""

    p50: float
    p99: float
    events: int


@dataclass
class _Clock:
    """When each event was sent, by number, and how long those that arrived took."""

    sent: dict[int, float] = field(default_factory=dict)
    took: list[float] = field(default_factory=list)
    measuring: bool = False
    first: asyncio.Event = field(default_factory=asyncio.Event)

    def arrived(self, value: bytes, now: float) -> None:
        number = _NUMBER.decode(value).number
        began = self.sent.pop(number, None)
        if began is not None and self.measuring:
            self.took.append((now - began) * 1000)
        self.first.set()


async def measure_latency(session: Session, contender: Contender, turn: int) -> Latency:
    """Run ``contender`` forwarding for the session's seconds and return its percentiles.

    Raises:
        RuntimeError: nothing arrived.
    """
    topic = f"ticks-{contender.name}-{turn}"
    await create_topic(session.bootstrap, topic, partitions=PARTITIONS)
    clock = _Clock()
    async with session.running(contender, "forward", topic) as (run, _process):
        producer = AIOKafkaProducer(bootstrap_servers=session.bootstrap, linger_ms=0)
        consumer = AIOKafkaConsumer(bootstrap_servers=session.bootstrap, fetch_max_wait_ms=100)
        await producer.start()
        await consumer.start()
        consumer.assign([TopicPartition(run.out, n) for n in range(PARTITIONS)])
        await consumer.seek_to_beginning()
        tasks = [
            asyncio.create_task(_send(producer, topic, clock)),
            asyncio.create_task(_receive(consumer, clock)),
        ]
        try:
            await _let_run(clock, session.seconds)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await producer.stop()
            await consumer.stop()
    cuts = statistics.quantiles(clock.took, n=100)
    return Latency(cuts[49], cuts[98], len(clock.took))


async def _let_run(clock: _Clock, seconds: float) -> None:
    try:
        async with asyncio.timeout(START_SECONDS):
            await clock.first.wait()
    except TimeoutError:
        raise RuntimeError("no event arrived in the second topic") from None
    await asyncio.sleep(WARM_UP_SECONDS)
    clock.measuring = True
    await asyncio.sleep(seconds)
    clock.measuring = False


async def _send(producer: Any, topic: str, clock: _Clock) -> None:
    # A timer of 1 ms is beyond an event loop under load: what is due is sent every 2 ms.
    number, began = 0, time.perf_counter()
    while True:
        due = int((time.perf_counter() - began) * EVENTS_PER_SECOND)
        while number < due:
            key, value = payment(number, number % 1_000, "NO")
            clock.sent[number] = time.perf_counter()
            await producer.send(topic, value, key, partition=partition_of(key, PARTITIONS))
            number += 1
        await asyncio.sleep(0.002)


async def _receive(consumer: Any, clock: _Clock) -> None:
    while True:
        fetched = await consumer.getmany(timeout_ms=1000)
        now = time.perf_counter()
        for records in fetched.values():
            for record in records:
                clock.arrived(record.value, now)
