"""Transactions that carry many, idempotence, order, time-outs."""

from __future__ import annotations

import asyncio
import sqlite3
from functools import partial
from pathlib import Path

import pytest
from sqlite_support import append, builder_of, on_loop, opened, read_all

from faust._values import TP
from faust.exceptions import (
    BrokerUnavailable,
    ImproperlyConfigured,
    MessageTooLarge,
    StopError,
    UnknownTopic,
)
from faust.transport.base import ProducerOptions, TopicSpec
from faust.transport.drivers.sqlite.log import Session

TP0 = TP("t", 0)


@on_loop
async def test_what_arrives_during_a_transaction_goes_into_the_next_one_together(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path / "b.db") as broker:
        await append(broker, TP0, b"first")
        transactions = 0
        begin = broker._connection.writer.session.begin

        def counted() -> None:
            nonlocal transactions
            transactions += 1
            begin()

        broker._connection.writer.session.begin = counted  # type: ignore[method-assign]
        producer = broker.producer(ProducerOptions())
        sent = [producer.produce(TP("t", n % 2), builder_of(b"%d" % n)) for n in range(100)]
        await producer.flush()
        assert transactions < 50
        assert [f.result().base_offset for f in sent[1::2]] == list(range(50))
        await producer.close()


@on_loop
async def test_a_batch_sent_again_as_it_was_is_there_once(tmp_path: Path) -> None:
    path = tmp_path / "b.db"
    builder = builder_of(b"a", b"b")
    builder.set_producer_state(7, 0, 0)
    data = bytes(builder.build())

    def again(session: Session) -> int:
        return session.append(TP0, bytearray(data)).base_offset

    async with opened(path) as broker:
        await append(broker, TP0, b"before")
        assert await broker._connection.writer.call(again) == 1
        assert await broker._connection.writer.call(again) == 1
    # Also when another process has to find out.
    async with opened(path) as broker:
        assert await broker._connection.writer.call(again) == 1
        assert await read_all(broker, TP0) == [b"before", b"a", b"b"]


def append_to(data: bytearray, session: Session) -> int:
    return session.append(TP0, data).base_offset


@on_loop
async def test_a_gap_in_the_sequence_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path / "b.db") as broker:
        for sequence in (0, 5):
            builder = builder_of(b"v")
            builder.set_producer_state(7, 0, sequence)
            data = builder.build()
            call = broker._connection.writer.call(partial(append_to, data))
            if sequence == 0:
                await call
            else:
                with pytest.raises(StopError, match="sequence"):
                    await call


@on_loop
async def test_after_a_failed_batch_those_behind_it_fail_and_new_ones_do_not(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path / "b.db") as broker:
        await broker.create_topic(TopicSpec("t", 1, config={"max.message.bytes": "1000"}))
        producer = broker.producer(ProducerOptions())
        futures = [
            producer.produce(TP0, builder_of(value)) for value in (b"1", b"x" * 2000, b"3", b"4")
        ]
        outcomes = await asyncio.gather(*futures, return_exceptions=True)
        assert [type(o) for o in outcomes[1:]] == [MessageTooLarge] * 3
        assert (await producer.produce(TP0, builder_of(b"5"))).base_offset == 1
        assert await read_all(broker, TP0) == [b"1", b"5"]
        await producer.close()


@on_loop
async def test_a_topic_is_created_when_it_is_first_sent_to_unless_that_is_turned_off(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path / "b.db", default_partitions=3) as broker:
        await append(broker, TP("new", 2), b"v")
        assert (await broker.topics())["new"].partitions == 3
        with pytest.raises(UnknownTopic):
            await append(broker, TP("new", 3), b"v")
    async with opened(tmp_path / "b.db", "?auto_create=0") as broker:
        with pytest.raises(UnknownTopic):
            await append(broker, TP("other", 0), b"v")
        assert "other" not in await broker.topics()


@on_loop
async def test_a_batch_that_cannot_be_delivered_in_time_fails_and_is_not_sent_later(
    tmp_path: Path,
) -> None:
    path = tmp_path / "b.db"
    async with opened(path) as broker:
        await append(broker, TP0, b"before")
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        producer = broker.producer(ProducerOptions(delivery_timeout=0.1))
        late = [producer.produce(TP0, builder_of(b"%d" % n)) for n in range(2)]
        outcomes = await asyncio.gather(*late, return_exceptions=True)
        assert [type(o) for o in outcomes] == [BrokerUnavailable] * 2
        other.execute("ROLLBACK")
        other.close()
        patient = broker.producer(ProducerOptions())
        await patient.produce(TP0, builder_of(b"after"))
        assert await read_all(broker, TP0) == [b"before", b"after"]
        await patient.close()
        await producer.close()


@pytest.mark.parametrize(("query", "synchronous"), [("", 1), ("?durability=full", 2)])
def test_durability_is_as_the_url_says(tmp_path: Path, query: str, synchronous: int) -> None:
    async def main() -> None:
        async with opened(tmp_path / "b.db", query) as broker:
            found = await broker._connection.writer.call(
                lambda session: session.db.execute("PRAGMA synchronous").fetchone()
            )
            assert found == (synchronous,)

    on_loop(main)()


@on_loop
async def test_without_acks_nobody_waits(tmp_path: Path) -> None:
    async with opened(tmp_path / "b.db") as broker:
        producer = broker.producer(ProducerOptions(acks=0, idempotent=False))
        future = producer.produce(TP0, builder_of(b"v"))
        assert future.done()
        assert future.result().base_offset == -1
        assert producer.producer_id == -1
        await producer.close()
        assert await read_all(broker, TP0) == [b"v"]


@on_loop
async def test_producers_that_cannot_work_are_refused(tmp_path: Path) -> None:
    async with opened(tmp_path / "b.db") as broker:
        with pytest.raises(ImproperlyConfigured, match="transactional_id"):
            await broker.producer(ProducerOptions()).begin()
        for wrong in (
            ProducerOptions(transactional_id="x", idempotent=False),
            ProducerOptions(transactional_id="x", acks=1),
        ):
            with pytest.raises(ImproperlyConfigured, match="acks"):
                broker.producer(wrong)
        with pytest.raises(ImproperlyConfigured, match="inside a transaction"):
            broker.producer(ProducerOptions(transactional_id="x")).produce(TP0, builder_of(b"v"))


@on_loop
async def test_an_operation_that_breaks_takes_nobody_with_it(tmp_path: Path) -> None:
    async with opened(tmp_path / "b.db") as broker:
        await append(broker, TP0, b"before")

        def broken(session: Session) -> None:
            session.db.execute("UPDATE topic SET name = 'spoilt'")
            raise ZeroDivisionError("a bug")

        producer = broker.producer(ProducerOptions())
        hold = asyncio.ensure_future(
            broker._connection.writer.call(lambda session: session.flush())
        )
        bug = asyncio.ensure_future(broker._connection.writer.call(broken))
        await asyncio.sleep(0)
        sent = producer.produce(TP0, builder_of(b"after"))
        outcomes = await asyncio.gather(hold, bug, sent, return_exceptions=True)
        assert isinstance(outcomes[1], ZeroDivisionError)
        assert await read_all(broker, TP0) == [b"before", b"after"]
        await producer.close()
