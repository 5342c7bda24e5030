"""The Kafka driver's reader, producer and topics, against a real broker."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka import AIOKafkaProducer

from faust._values import TP
from faust.exceptions import (
    ImproperlyConfigured,
    InvalidTopic,
    MessageTooLarge,
    OffsetOutOfRange,
    TopicExists,
    UnknownTopic,
)
from faust.transport.base import (
    EARLIEST,
    LATEST,
    Fetched,
    ProducerOptions,
    Reader,
    ReaderOptions,
    TopicSpec,
)
from tests.kafka.driver_support import (
    batch,
    new_topic,
    opened,
    read_all,
    run,
    unique,
    until,
    values,
)
from tools.kafka import KafkaNode

pytestmark = pytest.mark.kafka


async def next_error(reader: Reader, tp: TP) -> Exception:
    while True:
        fetched = await reader.fetch(5.0)
        if tp in fetched.errors:
            return fetched.errors[tp]


@pytest.mark.parametrize("codec", [None, "gzip", "snappy", "lz4", "zstd"])
def test_batches_come_back_as_they_were_sent_in_every_codec(
    kafka: KafkaNode, codec: str | None
) -> None:
    async def work() -> None:
        async with opened(kafka.bootstrap) as transport:
            tp = TP(await new_topic(transport), 0)
            producer = transport.producer(ProducerOptions())
            words = [f"value-{n}" * 5 for n in range(100)]
            placed = await producer.produce(tp, batch(*words, compression=codec))
            assert placed.base_offset == 0
            reader = transport.reader(ReaderOptions())
            reader.assign({tp: 0})
            fetched = await reader.fetch(60.0)
            assert values(fetched) == words
            (found,) = fetched.batches
            assert found.producer_id == producer.producer_id >= 0
            assert (found.base_offset, found.next_offset, found.count) == (0, 100, 100)
            assert fetched.positions == {tp: 100} == reader.positions()
            assert fetched.ends[tp] == 100
            await producer.close()
            await reader.close()

    run(work())


def test_many_partitions_are_written_and_read_in_order(kafka: KafkaNode) -> None:
    async def work() -> None:
        async with opened(kafka.bootstrap) as transport:
            topic = await new_topic(transport, 5)
            producer = transport.producer(ProducerOptions(max_request_bytes=50_000))
            for n in range(500):
                producer.produce(TP(topic, n % 5), batch(*(f"{n}.{i}" * 50 for i in range(10))))
            await producer.flush()
            reader = transport.reader(ReaderOptions(max_partition_bytes=20_000, max_bytes=50_000))
            reader.assign({TP(topic, p): 0 for p in range(5)})
            found: dict[int, list[str]] = {p: [] for p in range(5)}
            while sum(map(len, found.values())) < 5000:
                fetched = await reader.fetch(5.0)
                for p in range(5):
                    found[p] += values(fetched, TP(topic, p))
            for p in range(5):
                expected = [f"{n}.{i}" * 50 for n in range(p, 500, 5) for i in range(10)]
                assert found[p] == expected
            await producer.close()
            await reader.close()

    run(work())


def test_a_paused_partition_is_silent_and_goes_on_where_it_was(kafka: KafkaNode) -> None:
    async def work() -> None:
        async with opened(kafka.bootstrap) as transport:
            topic = await new_topic(transport, 2)
            a, b = TP(topic, 0), TP(topic, 1)
            producer = transport.producer(ProducerOptions())
            reader = transport.reader(ReaderOptions())
            reader.assign({a: 0, b: 0})
            reader.pause([a])
            await producer.produce(a, batch("a1"))
            await producer.produce(b, batch("b1"))
            assert await read_all(reader, 1) == ["b1"]
            waiting = asyncio.create_task(reader.fetch(30.0))
            await asyncio.sleep(0)
            reader.resume([a])
            assert values(await waiting) == ["a1"]
            await producer.produce(a, batch("a2"))
            assert await read_all(reader, 1) == ["a2"]
            await producer.close()
            await reader.close()

    run(work())


def test_what_is_dropped_of_paused_partitions_to_save_memory_comes_when_they_are_resumed(
    kafka: KafkaNode,
) -> None:
    async def work() -> None:
        async with opened(kafka.bootstrap) as transport:
            topic = await new_topic(transport, 6)
            tps = [TP(topic, n) for n in range(6)]
            producer = transport.producer(ProducerOptions())
            for n, tp in enumerate(tps):
                await producer.produce(tp, batch(*(f"{n}.{i}" + "x" * 500 for i in range(100))))
            reader = transport.reader(ReaderOptions(max_bytes=10_000, max_partition_bytes=60_000))
            found: dict[TP, list[str]] = {tp: [] for tp in tps}
            reader.assign(dict.fromkeys(tps, 0))
            while any(len(words) < 100 for words in found.values()):
                fetched = await reader.fetch(0.2)
                for tp in tps:
                    found[tp] += values(fetched, tp)
                reader.pause(tps)
                assert not (await reader.fetch(0.02)).batches
                reader.resume(tps)
            for n, tp in enumerate(tps):
                assert found[tp] == [f"{n}.{i}" + "x" * 500 for i in range(100)]
            await producer.close()
            await reader.close()

    run(work())


def test_a_fetch_that_is_cancelled_loses_nothing(kafka: KafkaNode) -> None:
    async def work() -> None:
        async with opened(kafka.bootstrap) as transport:
            tp = TP(await new_topic(transport), 0)
            producer = transport.producer(ProducerOptions())
            reader = transport.reader(ReaderOptions())
            reader.assign({tp: 0})
            sent = [f"v{n}" for n in range(50)]
            found: list[str] = []
            for word in sent:
                waiting = asyncio.create_task(reader.fetch(10.0))
                await asyncio.sleep(0)
                producer.produce(tp, batch(word))
                await asyncio.sleep(0.001)
                waiting.cancel()
                outcome = (await asyncio.gather(waiting, return_exceptions=True))[0]
                if isinstance(outcome, Fetched):
                    found += values(outcome)
            await producer.flush()
            found += await read_all(reader, len(sent) - len(found))
            assert found == sent
            await producer.close()
            await reader.close()

    run(work())


def test_read_committed_skips_aborted_records_and_markers_and_stops_at_an_open_transaction(
    kafka: KafkaNode,
) -> None:
    async def work() -> None:
        async with opened(kafka.bootstrap) as transport:
            topic = await new_topic(transport)
            tp = TP(topic, 0)
            foreign = AIOKafkaProducer(
                bootstrap_servers=kafka.bootstrap, transactional_id=unique("txn")
            )
            other = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap)
            await foreign.start()
            await other.start()
            for number in range(6):
                await foreign.begin_transaction()
                for part in "ab":
                    await foreign.send_and_wait(topic, f"t{number}{part}".encode(), partition=0)
                    await other.send_and_wait(topic, f"plain{number}{part}".encode(), partition=0)
                await (foreign.abort_transaction() if number % 2 else foreign.commit_transaction())
            await foreign.begin_transaction()
            await foreign.send_and_wait(topic, b"open", partition=0)
            await other.send_and_wait(topic, b"behind", partition=0)

            reader = transport.reader(ReaderOptions())
            reader.assign({tp: 0})
            expected = [
                word
                for number in range(6)
                for part in "ab"
                for word in (f"t{number}{part}", f"plain{number}{part}")
                if number % 2 == 0 or word.startswith("plain")
            ]
            assert await read_all(reader, len(expected)) == expected
            # The position has passed the last abort marker, and stands at the open transaction.
            await until(lambda: _position_is(reader, tp, 30))
            fetched = await reader.fetch(1.0)
            assert not fetched.batches
            assert (await transport.offsets([tp], LATEST))[tp] == 32

            everything = transport.reader(ReaderOptions(read_committed=False))
            everything.assign({tp: 0})
            assert len(await read_all(everything, 26)) == 26
            await foreign.commit_transaction()
            assert await read_all(reader, 2) == ["open", "behind"]
            await foreign.stop()
            await other.stop()
            await reader.close()
            await everything.close()

    run(work())


async def _position_is(reader: Reader, tp: TP, position: int) -> bool:
    if reader.positions()[tp] != position:
        await reader.fetch(0.1)
    return reader.positions()[tp] == position


def test_a_position_outside_of_the_log_is_told_with_both_ends(kafka: KafkaNode) -> None:
    async def work() -> None:
        async with opened(kafka.bootstrap) as transport:
            tp = TP(await new_topic(transport), 0)
            producer = transport.producer(ProducerOptions())
            for word in "abcdef":
                await producer.produce(tp, batch(word))
            assert await transport.delete_records({tp: 4}) == {tp: 4}
            assert await transport.offsets([tp], EARLIEST) == {tp: 4}
            reader = transport.reader(ReaderOptions())
            for lost in (1, 100):
                reader.assign({tp: lost})
                error = await next_error(reader, tp)
                assert isinstance(error, OffsetOutOfRange)
                assert (error.tp, error.position, error.first, error.end) == (tp, lost, 4, 6)
                assert not (await reader.fetch(0.3)).errors
            reader.assign({tp: 4})
            assert await read_all(reader, 2) == ["e", "f"]
            with pytest.raises(OffsetOutOfRange):
                await transport.delete_records({tp: 7})
            await producer.close()
            await reader.close()

    run(work())


def test_a_topic_that_is_deleted_while_it_is_read_is_unknown(kafka: KafkaNode) -> None:
    async def work() -> None:
        async with opened(kafka.bootstrap) as transport:
            gone, stays = TP(await new_topic(transport), 0), TP(await new_topic(transport), 0)
            producer = transport.producer(ProducerOptions())
            reader = transport.reader(ReaderOptions())
            await producer.produce(gone, batch("x"))
            reader.assign({gone: 0, stays: 0})
            assert await read_all(reader, 1) == ["x"]
            await transport.delete_topic(gone.topic)
            assert isinstance(await next_error(reader, gone), UnknownTopic)
            with pytest.raises(UnknownTopic):
                await producer.produce(gone, batch("y"))
            await producer.produce(stays, batch("z"))
            assert await read_all(reader, 1) == ["z"]
            await producer.close()
            await reader.close()

    run(work())


def test_a_position_never_slips_into_a_new_topic_of_the_same_name(kafka: KafkaNode) -> None:
    async def work() -> None:
        async with opened(kafka.bootstrap) as transport, opened(kafka.bootstrap) as other:
            topic = await new_topic(transport)
            tp = TP(topic, 0)
            producer, successor = (t.producer(ProducerOptions()) for t in (transport, other))
            reader = transport.reader(ReaderOptions())
            await producer.produce(tp, batch("old"))
            reader.assign({tp: 0})
            assert await read_all(reader, 1) == ["old"]
            before = (await transport.topics([topic]))[topic].topic_id
            await other.delete_topic(topic)
            await other.create_topic(TopicSpec(topic, 1))
            await successor.produce(tp, batch("new1", "new2"))
            assert isinstance(await next_error(reader, tp), UnknownTopic)
            assert (await transport.topics([topic]))[topic].topic_id != before
            reader.assign({tp: 0})
            assert await read_all(reader, 2) == ["new1", "new2"]
            await producer.close()
            await successor.close()
            await reader.close()

    run(work())


def test_partitions_that_are_added_can_be_written_and_read_at_once(kafka: KafkaNode) -> None:
    async def work() -> None:
        async with opened(kafka.bootstrap) as transport:
            topic = await new_topic(transport)
            producer, reader = (
                transport.producer(ProducerOptions()),
                transport.reader(ReaderOptions()),
            )
            reader.assign({TP(topic, 0): 0})
            await producer.produce(TP(topic, 0), batch("a"))
            await transport.create_partitions(topic, 3)
            assert (await transport.topics([topic]))[topic].partitions == 3
            reader.assign({TP(topic, 2): 0})
            await producer.produce(TP(topic, 2), batch("b"))
            assert sorted(await read_all(reader, 2)) == ["a", "b"]
            with pytest.raises(InvalidTopic):
                await transport.create_partitions(topic, 2)
            with pytest.raises(UnknownTopic):
                await transport.create_partitions(unique("missing"), 2)
            await producer.close()
            await reader.close()

    run(work())


def test_a_topic_that_appears_later_is_read_when_it_is_there(kafka: KafkaNode) -> None:
    async def work() -> None:
        async with opened(kafka.bootstrap) as transport, opened(kafka.bootstrap) as other:
            topic = unique()
            reader = transport.reader(ReaderOptions())
            reader.assign({TP(topic, 0): 0})
            assert isinstance(await next_error(reader, TP(topic, 0)), UnknownTopic)
            await other.create_topic(TopicSpec(topic, 1))
            producer = other.producer(ProducerOptions())
            await producer.produce(TP(topic, 0), batch("a"))
            reader.assign({TP(topic, 0): 0})
            assert await read_all(reader, 1) == ["a"]
            await producer.close()
            await reader.close()

    run(work())


def test_a_batch_that_is_refused_takes_those_behind_it_along_and_the_next_one_is_appended(
    kafka: KafkaNode,
) -> None:
    async def work() -> None:
        async with opened(kafka.bootstrap) as transport:
            topic = await new_topic(transport, max_message_bytes="2000")
            tp = TP(topic, 0)
            producer = transport.producer(ProducerOptions())
            outcomes = await asyncio.gather(
                producer.produce(tp, batch("first")),
                producer.produce(tp, batch("x" * 5000)),
                producer.produce(tp, batch("behind")),
                return_exceptions=True,
            )
            assert not isinstance(outcomes[0], BaseException)
            assert isinstance(outcomes[1], MessageTooLarge)
            assert isinstance(outcomes[2], MessageTooLarge)
            assert (await producer.produce(tp, batch("next"))).base_offset == 1
            small = transport.producer(ProducerOptions(max_request_bytes=1000))
            with pytest.raises(MessageTooLarge, match="producer_max_request_size"):
                await small.produce(tp, batch("x" * 1500))
            assert (await small.produce(tp, batch("small"))).base_offset == 2
            await small.close()
            await producer.close()

    run(work())


@pytest.mark.parametrize("acks", [0, 1, -1])
def test_a_producer_without_idempotence_appends_in_order(kafka: KafkaNode, acks: int) -> None:
    async def work() -> None:
        async with opened(kafka.bootstrap) as transport:
            tp = TP(await new_topic(transport), 0)
            producer = transport.producer(ProducerOptions(acks=acks, idempotent=False))
            futures = [producer.produce(tp, batch(str(n))) for n in range(20)]
            placed = await asyncio.gather(*futures)
            expected = [-1] * 20 if acks == 0 else list(range(20))
            assert [p.base_offset for p in placed] == expected
            assert producer.producer_id == -1
            reader = transport.reader(ReaderOptions())
            reader.assign({tp: 0})
            assert await read_all(reader, 20) == [str(n) for n in range(20)]
            await producer.close()
            await reader.close()

    run(work())


def test_the_broker_s_own_clock_is_told_where_the_topic_stamps_by_it(kafka: KafkaNode) -> None:
    async def work() -> None:
        async with opened(kafka.bootstrap) as transport:
            topic = await new_topic(transport, message_timestamp_type="LogAppendTime")
            producer = transport.producer(ProducerOptions())
            placed = await producer.produce(TP(topic, 0), batch("a"))
            assert placed.append_time > 1_750_000_000_000
            assert placed.start_offset == 0
            await producer.close()

    run(work())


def test_producers_that_cannot_work_are_refused(kafka: KafkaNode) -> None:
    async def work() -> None:
        async with opened(kafka.bootstrap) as transport:
            producer = transport.producer(ProducerOptions())
            with pytest.raises(ImproperlyConfigured, match="transactional_id"):
                await producer.begin()
            for wrong in (
                ProducerOptions(acks=1),
                ProducerOptions(acks=1, transactional_id=unique("txn")),
                ProducerOptions(idempotent=False, transactional_id=unique("txn")),
            ):
                with pytest.raises(ImproperlyConfigured, match=r"acks|idempotent"):
                    transport.producer(wrong)
            transactional = transport.producer(ProducerOptions(transactional_id=unique("txn")))
            with pytest.raises(ImproperlyConfigured, match="inside a transaction"):
                transactional.produce(TP("anywhere", 0), batch("a"))
            for opened_ in (producer, transactional):
                await opened_.close()

    run(work())


def test_topics_are_created_described_and_configured(kafka: KafkaNode) -> None:
    async def work() -> None:
        async with opened(kafka.bootstrap) as transport:
            topic = unique()
            spec = TopicSpec(topic, 3, config={"cleanup.policy": "compact"})
            await transport.create_topic(spec)
            info = (await transport.topics([topic, unique("missing")]))[topic]
            assert (info.name, info.partitions, info.internal) == (topic, 3, False)
            assert info.topic_id
            assert (await transport.topics())[topic] == info
            with pytest.raises(TopicExists):
                await transport.create_topic(spec)
            with pytest.raises(InvalidTopic, match=r"no\.such"):
                await transport.create_topic(TopicSpec(unique(), 1, config={"no.such": "1"}))
            await transport.alter_topic_config(topic, {"retention.ms": "12345"})
            config = await transport.topic_config(topic)
            assert (config["retention.ms"], config["cleanup.policy"]) == ("12345", "compact")
            with pytest.raises(UnknownTopic):
                await transport.topic_config(unique("missing"))
            with pytest.raises(InvalidTopic):
                await transport.alter_topic_config(topic, {"retention.ms": "soon"})
            await transport.delete_topic(topic)
            assert await transport.topics([topic]) == {}
            with pytest.raises(UnknownTopic):
                await transport.delete_topic(topic)

    run(work())


def test_offsets_are_found_by_time_and_the_end_stands_for_no_later_record(kafka: KafkaNode) -> None:
    async def work() -> None:
        async with opened(kafka.bootstrap) as transport:
            topic = await new_topic(transport, 2)
            producer = transport.producer(ProducerOptions())
            await producer.produce(TP(topic, 0), batch("a", "b", "c"))
            tps = [TP(topic, 0), TP(topic, 1), TP(topic, 7), TP(unique("missing"), 0)]
            assert await transport.offsets(tps, LATEST) == {TP(topic, 0): 3, TP(topic, 1): 0}
            by_time = await transport.offsets(tps, 1_700_000_000_001)
            assert by_time == {TP(topic, 0): 1, TP(topic, 1): 0}
            late = await transport.offsets(tps, 1_800_000_000_000)
            assert late == {TP(topic, 0): 3, TP(topic, 1): 0}
            await producer.close()

    run(work())
