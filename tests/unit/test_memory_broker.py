"""The memory broker beyond the port: sharing, faults, hooks, maintenance, threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from yarl import URL

from faust._values import TP
from faust.exceptions import (
    BrokerUnavailable,
    CorruptRecord,
    ImproperlyConfigured,
    ProducerFenced,
    RebalanceInProgress,
    TransactionAborted,
    UnknownTopic,
)
from faust.testing.broker import MemoryBroker, Request, find_broker, forget_broker, memory_broker
from faust.testing.clock import VirtualClock, run_virtual
from faust.transport.base import (
    EARLIEST,
    LATEST,
    Commit,
    GroupOptions,
    ProducerOptions,
    ReaderOptions,
    TopicSpec,
    TransportOptions,
)
from faust.transport.drivers.memory import MemoryTransport
from faust.transport.records import Builder, new_builder

HERE = TP("topic", 0)
PLAIN = [("range", b"")]
Test = Callable[[MemoryBroker], Coroutine[Any, Any, None]]


def virtual(test: Test) -> Callable[[], None]:
    """Run a test in virtual time with a broker of its own; its transports are closed."""

    def run() -> None:
        async def main() -> None:
            async with memory_broker(clock=VirtualClock.current()) as broker:
                await test(broker)

        run_virtual(main(), time_limit=10_000.0)

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


async def connect(broker: MemoryBroker, client_id: str = "app", **options: Any) -> MemoryTransport:
    given = TransportOptions(client_id=client_id, clock=VirtualClock.current(), **options)
    transport = MemoryTransport([URL(broker.url)], given)
    await transport.open()
    return transport


def batch(*values: bytes, transactional: bool = False) -> Builder:
    builder = new_builder(1 << 20, transactional=transactional)
    for number, value in enumerate(values):
        builder.append(number, 1_700_000_000_000, b"k", value, [])
    return builder


async def values(transport: MemoryTransport, tp: TP = HERE) -> list[bytes | None]:
    reader = transport.reader(ReaderOptions())
    first = (await transport.offsets([tp], EARLIEST))[tp]
    reader.assign({tp: first})
    fetched = await reader.fetch(0.0)
    await reader.close()
    return [record.value for found in fetched.batches for record in found.records()]


# -- sharing ---------------------------------------------------------------------------------


@virtual
async def test_transports_of_one_name_share_a_log(broker: MemoryBroker) -> None:
    one, other = await connect(broker), await connect(broker)
    await one.producer(ProducerOptions()).produce(HERE, batch(b"v"))
    assert await values(other) == [b"v"]
    assert await one.cluster_id() == await other.cluster_id()
    assert one.broker is other.broker is find_broker(broker.name)


def test_a_forgotten_broker_is_another_one_the_next_time() -> None:
    before = find_broker("forgotten")
    forget_broker("forgotten")
    after = find_broker("forgotten")
    forget_broker("forgotten")
    assert before is not after
    assert before.cluster_id != after.cluster_id


@virtual
async def test_a_reader_that_may_not_create_a_topic_does_not(broker: MemoryBroker) -> None:
    transport = await connect(broker)
    reader = transport.reader(ReaderOptions(auto_create=False))
    reader.assign({HERE: 0})
    assert isinstance((await reader.fetch(0.0)).errors[HERE], UnknownTopic)
    assert await transport.topics() == {}


@virtual
async def test_unknown_topics_are_errors_without_auto_creation(broker: MemoryBroker) -> None:
    broker.auto_create = False
    transport = await connect(broker)
    with pytest.raises(UnknownTopic):
        await transport.producer(ProducerOptions()).produce(HERE, batch(b"v"))
    reader = transport.reader(ReaderOptions())
    reader.assign({HERE: 0})
    assert isinstance((await reader.fetch(0.0)).errors[HERE], UnknownTopic)
    assert await transport.topics() == {}


def test_the_url_can_turn_auto_creation_off() -> None:
    transport = MemoryTransport([URL("memory://no-auto?auto_create=0")], TransportOptions())
    forget_broker("no-auto")
    assert not transport.broker.auto_create


@virtual
async def test_the_same_bytes_are_handed_to_every_reader(broker: MemoryBroker) -> None:
    transport = await connect(broker)
    await transport.producer(ProducerOptions()).produce(HERE, batch(b"v"))
    found = []
    for _ in range(2):
        reader = transport.reader(ReaderOptions())
        reader.assign({HERE: 0})
        found += (await reader.fetch(0.0)).batches
    assert found[0].data is found[1].data


@virtual
async def test_an_answer_for_what_was_given_up_and_taken_again_meanwhile_is_dropped(
    broker: MemoryBroker,
) -> None:
    """It was taken for one of the new assignment, and the reader failed with a `KeyError`."""
    transport = await connect(broker)
    reader = transport.reader(ReaderOptions())
    reader.assign({HERE: 0})
    await reader.fetch(0.0)
    await transport.producer(ProducerOptions()).produce(HERE, batch(b"v"))

    def once(request: Request) -> None:
        if request.kind == "fetch":
            broker.faults.after = None
            reader.unassign([HERE])
            reader.assign({HERE: 0})

    broker.faults.after = once
    assert len((await reader.fetch(1.0)).batches) == 1


def test_two_event_loops_in_two_threads_share_a_broker() -> None:
    def connect_really() -> MemoryTransport:
        return MemoryTransport([URL("memory://threads")], TransportOptions(default_partitions=1))

    async def write() -> None:
        transport = connect_really()
        await transport.open()
        producer = transport.producer(ProducerOptions())
        for number in range(200):
            await producer.produce(HERE, batch(b"%d" % number))
            await asyncio.sleep(0)
        await transport.close()

    async def read() -> list[bytes | None]:
        transport = connect_really()
        await transport.open()
        reader = transport.reader(ReaderOptions())
        reader.assign({HERE: 0})
        found: list[bytes | None] = []
        writer = threading.Thread(target=lambda: asyncio.run(write()))
        writer.start()
        while len(found) < 200:
            fetched = await reader.fetch(10.0)
            found += [record.value for b in fetched.batches for record in b.records()]
        await asyncio.to_thread(writer.join)
        await reader.close()
        await transport.close()
        return found

    assert asyncio.run(read()) == [b"%d" % n for n in range(200)]
    forget_broker("threads")


# -- faults --------------------------------------------------------------------------------------


@virtual
async def test_planned_failures_reach_the_caller_before_or_after_the_effect(
    broker: MemoryBroker,
) -> None:
    transport = await connect(broker)
    await transport.create_topic(TopicSpec("topic", 1))
    broker.faults.fail("commit_offsets", BrokerUnavailable("before"))
    broker.faults.fail("commit_offsets", BrokerUnavailable("after"), after=True)
    with pytest.raises(BrokerUnavailable, match="before"):
        await transport.commit_offsets("g", {HERE: Commit(1)})
    assert await transport.committed("g") == {}
    with pytest.raises(BrokerUnavailable, match="after"):
        await transport.commit_offsets("g", {HERE: Commit(2)})
    assert await transport.committed("g") == {HERE: Commit(2)}
    assert not broker.faults.is_armed


@virtual
async def test_a_fetch_whose_answer_is_lost_loses_nothing(broker: MemoryBroker) -> None:
    transport = await connect(broker)
    await transport.producer(ProducerOptions()).produce(HERE, batch(b"v"))
    reader = transport.reader(ReaderOptions())
    reader.assign({HERE: 0})
    broker.faults.fail("fetch", BrokerUnavailable("lost"), after=True)
    with pytest.raises(BrokerUnavailable):
        await reader.fetch(0.0)
    assert reader.positions() == {HERE: 0}
    assert len((await reader.fetch(0.0)).batches) == 1


@virtual
async def test_a_position_past_a_marker_is_told_though_the_next_request_fails(
    broker: MemoryBroker,
) -> None:
    transport = await connect(broker)
    transaction = await transport.producer(ProducerOptions(transactional_id="t")).begin()
    await transaction.produce(HERE, batch(b"v", transactional=True))
    await transaction.commit()
    reader = transport.reader(ReaderOptions())
    reader.assign({HERE: 1})
    task = asyncio.ensure_future(reader.fetch(1.0))
    await asyncio.sleep(0.5)
    broker.faults.fail("fetch", BrokerUnavailable("lost"))
    assert (await task).positions == {HERE: 2}


@virtual
async def test_what_was_paused_or_moved_while_its_answer_was_delayed_is_dropped(
    broker: MemoryBroker,
) -> None:
    transport = await connect(broker)
    await transport.producer(ProducerOptions()).produce(HERE, batch(b"1", b"2"))
    reader = transport.reader(ReaderOptions())
    reader.assign({HERE: 0})
    broker.faults.after = lambda request: reader.pause([HERE])
    assert (await reader.fetch(0.0)).batches == []
    assert reader.positions() == {HERE: 0}
    reader.resume([HERE])
    broker.faults.after = lambda request: reader.assign({HERE: 1})
    assert (await reader.fetch(0.0)).positions == {}
    broker.faults.after = None
    assert (await reader.fetch(0.0)).positions == {HERE: 2}


@virtual
async def test_a_failed_batch_takes_the_later_ones_of_its_partition_with_it(
    broker: MemoryBroker,
) -> None:
    transport = await connect(broker, default_partitions=2)
    producer = transport.producer(ProducerOptions())
    broker.faults.delay("produce", 1.0)
    broker.faults.fail("produce", BrokerUnavailable("gone"))
    other = TP("topic", 1)
    futures = [producer.produce(tp, batch(b"x")) for tp in (HERE, other, HERE, other)]
    outcomes = await asyncio.gather(*futures, return_exceptions=True)
    assert [isinstance(outcome, BrokerUnavailable) for outcome in outcomes] == [
        False,
        True,
        False,
        True,
    ]
    assert (await producer.produce(other, batch(b"y"))).base_offset == 0


@virtual
async def test_an_unreachable_broker_fails_requests_after_their_time_out(
    broker: MemoryBroker,
) -> None:
    transport = await connect(broker, request_timeout=30.0)
    clock = VirtualClock.current()
    broker.faults.make_unavailable()
    started = clock.monotonic()
    with pytest.raises(BrokerUnavailable):
        await transport.topics()
    assert clock.monotonic() - started == pytest.approx(30.0, abs=0.2)
    producer = transport.producer(ProducerOptions(delivery_timeout=100.0))
    future = producer.produce(HERE, batch(b"v"))
    await clock.sleep(50.0)
    broker.faults.heal()
    assert (await future).base_offset == 0


@virtual
async def test_black_holes_swallow_one_kind_of_request(broker: MemoryBroker) -> None:
    transport = await connect(broker, request_timeout=5.0)
    broker.faults.black_hole("topics", client=transport.client.name)
    with pytest.raises(BrokerUnavailable):
        await transport.topics()
    assert await transport.groups() == []
    broker.faults.heal()
    assert await transport.topics() == {}


@virtual
async def test_a_killed_client_hears_nothing_more_and_its_member_expires(
    broker: MemoryBroker,
) -> None:
    dying, living = await connect(broker, "dying"), await connect(broker, "living")
    victim = dying.membership(GroupOptions(group_id="g", session_timeout=10.0))
    joined = await victim.join(PLAIN)
    await victim.sync(joined.generation, {})
    reader = dying.reader(ReaderOptions())
    reader.assign({HERE: 0})
    waiting = asyncio.create_task(reader.fetch(5.0))
    heir = living.membership(GroupOptions(group_id="g", session_timeout=10.0))
    joining = asyncio.create_task(heir.join(PLAIN))
    await asyncio.sleep(1.0)
    broker.faults.kill("dying")
    beating = asyncio.create_task(victim.heartbeat())
    again = await joining
    assert set(again.members) == {heir.member_id}
    await asyncio.sleep(60.0)
    assert not waiting.done()
    assert not beating.done()
    for task in (waiting, beating):
        task.cancel()


@virtual
async def test_a_member_killed_while_it_joins_does_not_hold_the_round_for_ever(
    broker: MemoryBroker,
) -> None:
    dying, living = await connect(broker, "dying"), await connect(broker, "living")
    member = living.membership(GroupOptions(group_id="g", session_timeout=10.0))
    await member.sync((await member.join(PLAIN)).generation, {})
    victim = dying.membership(GroupOptions(group_id="g", session_timeout=10.0))
    joining = asyncio.create_task(victim.join(PLAIN))
    await asyncio.sleep(1.0)
    with pytest.raises(RebalanceInProgress):
        await member.heartbeat()
    broker.faults.kill("dying")
    joined = await member.join(PLAIN)
    await member.sync(joined.generation, {})
    for _ in range(15):
        await asyncio.sleep(1.0)
        try:
            await member.heartbeat()
        except RebalanceInProgress:
            joined = await member.join(PLAIN)
            await member.sync(joined.generation, {})
    assert set(joined.members) == {member.member_id}
    joining.cancel()


@virtual
async def test_a_cut_client_raises_until_it_is_mended(broker: MemoryBroker) -> None:
    transport = await connect(broker, "lonely")
    broker.faults.cut("lonely")
    with pytest.raises(BrokerUnavailable):
        await transport.topics()
    broker.faults.mend("lonely")
    assert await transport.topics() == {}
    assert not broker.faults.is_armed
    with pytest.raises(ValueError, match="lonely"):
        broker.faults.kill("nobody")


@virtual
async def test_hooks_see_each_request_and_may_kill_between_two(broker: MemoryBroker) -> None:
    transport = await connect(broker, "app")
    await transport.create_topic(TopicSpec("topic", 1))
    seen: list[Request] = []
    trace: list[Request] = []
    broker.faults.trace = trace

    def after(request: Request) -> None:
        seen.append(request)
        if request.kind == "commit_offsets":
            broker.faults.kill("app")

    broker.faults.after = after
    await transport.topics()
    committing = asyncio.create_task(transport.commit_offsets("g", {HERE: Commit(3)}))
    await asyncio.sleep(10.0)
    assert not committing.done()
    committing.cancel()
    assert [request.kind for request in seen] == ["topics", "commit_offsets"]
    assert trace == seen
    assert broker.groups.committed("g", None) == {HERE: Commit(3)}


@virtual
async def test_damaged_bytes_are_found_by_their_crc(broker: MemoryBroker) -> None:
    transport = await connect(broker)
    await transport.producer(ProducerOptions()).produce(HERE, batch(b"v"))
    broker.faults.corrupt(HERE, 0)
    reader = transport.reader(ReaderOptions())
    reader.assign({HERE: 0})
    assert isinstance((await reader.fetch(0.0)).errors[HERE], CorruptRecord)
    blind = transport.reader(ReaderOptions(check_crcs=False))
    blind.assign({HERE: 0})
    assert len((await blind.fetch(0.0)).batches) == 1


# -- time ----------------------------------------------------------------------------------------


@virtual
async def test_maintenance_runs_by_itself_while_somebody_is_connected(
    broker: MemoryBroker,
) -> None:
    transport = await connect(broker)
    await transport.create_topic(TopicSpec("topic", 1, config={"retention.ms": "60000"}))
    await transport.producer(ProducerOptions()).produce(HERE, batch(b"v"))
    await asyncio.sleep(30.0)
    assert await values(transport) == [b"v"]
    await asyncio.sleep(200.0)
    assert await transport.offsets([HERE], EARLIEST) == {HERE: 1}
    await transport.close()


@virtual
async def test_tombstones_go_after_their_retention(broker: MemoryBroker) -> None:
    transport = await connect(broker)
    config = {"cleanup.policy": "compact", "delete.retention.ms": "1000"}
    await transport.create_topic(TopicSpec("topic", 1, config=config))
    producer = transport.producer(ProducerOptions())
    for value in (b"1", None, b"end"):
        builder = new_builder(1 << 10)
        builder.append(0, 1_600_000_000_000, b"end" if value == b"end" else b"k", value, [])
        await producer.produce(HERE, builder)
    broker.run_maintenance()
    assert await values(transport) == [None, b"end"]
    await asyncio.sleep(2.0)
    broker.run_maintenance()
    assert await values(transport) == [b"end"]
    assert await transport.offsets([HERE], LATEST) == {HERE: 3}


@virtual
async def test_compaction_drops_aborted_records_and_keeps_offsets_and_headers(
    broker: MemoryBroker,
) -> None:
    transport = await connect(broker)
    await transport.create_topic(TopicSpec("topic", 1, config={"cleanup.policy": "compact"}))
    plain = transport.producer(ProducerOptions())
    builder = new_builder(1 << 10, "gzip")
    builder.append(0, 1_600_000_000_000, b"k", b"old", [])
    builder.append(1, 1_600_000_000_007, b"kept", b"v", [("h", b"1")])
    builder.append(2, 1_600_000_000_000, b"k", b"older", [])
    await plain.produce(HERE, builder)
    producer = transport.producer(ProducerOptions(transactional_id="t"))
    transaction = await producer.begin()
    await transaction.produce(HERE, batch(b"aborted", transactional=True))
    await transaction.abort()
    await plain.produce(HERE, batch(b"new"))
    await plain.produce(HERE, batch(b"tail"))
    broker.run_maintenance()
    reader = transport.reader(ReaderOptions(read_committed=False))
    reader.assign({HERE: 0})
    batches = (await reader.fetch(0.0)).batches
    assert [(b.base_offset, b.next_offset, b.validate_crc()) for b in batches] == [
        (0, 3, True),
        (5, 6, True),  # of what may be cleaned, this is the last of its key
        (6, 7, True),
    ]
    (record,) = batches[0].records()
    assert (record.offset, record.key, record.timestamp) == (1, b"kept", 1_600_000_000_007)
    assert list(record.headers) == [("h", b"1")]


# -- producers -------------------------------------------------------------------------------------


@virtual
async def test_a_producer_goes_on_after_its_transaction_was_timed_out(
    broker: MemoryBroker,
) -> None:
    transport = await connect(broker)
    options = ProducerOptions(transactional_id="t", transaction_timeout=5.0)
    producer = transport.producer(options)
    transaction = await producer.begin()
    await transaction.produce(HERE, batch(b"late", transactional=True))
    await asyncio.sleep(6.0)
    with pytest.raises(TransactionAborted):
        await transaction.commit()
    transaction = await producer.begin()
    await transaction.produce(HERE, batch(b"good", transactional=True))
    await transaction.commit()
    assert await values(transport) == [b"good"]


@virtual
async def test_a_failed_batch_fails_its_transaction_and_the_next_one_works(
    broker: MemoryBroker,
) -> None:
    transport = await connect(broker)
    producer = transport.producer(ProducerOptions(transactional_id="t"))
    transaction = await producer.begin()
    await transaction.produce(HERE, batch(b"1", transactional=True))
    broker.faults.fail("produce", BrokerUnavailable("no answer"), after=True)
    transaction.produce(HERE, batch(b"2", transactional=True))
    with pytest.raises(TransactionAborted):
        await transaction.commit()
    transaction = await producer.begin()
    await transaction.produce(HERE, batch(b"3", transactional=True))
    await transaction.commit()
    assert await values(transport) == [b"3"]


@virtual
async def test_a_commit_of_unknown_outcome_is_decided_when_the_next_begins(
    broker: MemoryBroker,
) -> None:
    transport = await connect(broker)
    producer = transport.producer(ProducerOptions(transactional_id="t"))
    transaction = await producer.begin()
    await transaction.produce(HERE, batch(b"v", transactional=True))
    broker.faults.fail("txn_commit", BrokerUnavailable("no answer"), after=True)
    with pytest.raises(BrokerUnavailable):
        await transaction.commit()
    await producer.begin()
    assert await values(transport) == [b"v"]


@virtual
async def test_a_fenced_producer_stays_fenced(broker: MemoryBroker) -> None:
    transport = await connect(broker)
    old = transport.producer(ProducerOptions(transactional_id="t"))
    await (await old.begin()).commit()
    await transport.producer(ProducerOptions(transactional_id="t")).begin()
    with pytest.raises(ProducerFenced):
        await old.begin()


@virtual
async def test_wrong_uses_of_producers_are_named(broker: MemoryBroker) -> None:
    transport = await connect(broker)
    plain = transport.producer(ProducerOptions())
    with pytest.raises(ImproperlyConfigured, match="transactional_id"):
        await plain.begin()
    with pytest.raises(ImproperlyConfigured, match="transactional=True"):
        plain.produce(HERE, batch(b"v", transactional=True))
    producer = transport.producer(ProducerOptions(transactional_id="t"))
    with pytest.raises(ImproperlyConfigured, match="inside a transaction"):
        producer.produce(HERE, batch(b"v", transactional=True))
    transaction = await producer.begin()
    with pytest.raises(ImproperlyConfigured, match="open already"):
        await producer.begin()
    await transaction.commit()
    with pytest.raises(ImproperlyConfigured, match="is over"):
        await transaction.commit()


@virtual
async def test_closing_sends_what_was_handed_over_and_abandoning_does_not(
    broker: MemoryBroker,
) -> None:
    transport = await connect(broker)
    for is_orderly in (True, False):
        producer = transport.producer(ProducerOptions())
        broker.faults.delay("produce", 1.0)
        future = producer.produce(HERE, batch(b"closed" if is_orderly else b"abandoned"))
        await asyncio.sleep(0.5)
        if is_orderly:
            await producer.close()
            assert (await future).base_offset == 0
        else:
            producer.abandon()
            with pytest.raises(BrokerUnavailable):
                await future
        broker.faults.heal()
    await asyncio.sleep(5.0)
    assert await values(transport) == [b"closed"]


def test_the_same_seed_gives_the_same_trace() -> None:
    def traced(seed: int) -> list[Request]:
        trace: list[Request] = []

        async def work(transport: MemoryTransport, number: int) -> None:
            member = transport.membership(GroupOptions(group_id="g", session_timeout=10.0))
            producer = transport.producer(ProducerOptions())
            for _ in range(5):
                await producer.produce(TP("topic", number), batch(b"v"))
                joining = asyncio.create_task(member.join(PLAIN))
                await asyncio.wait([joining], timeout=3.0)
                joining.cancel()

        async def main() -> None:
            broker = find_broker("traced")
            broker.faults.trace = trace
            transports = [await connect(broker, f"app{n}") for n in range(3)]
            await asyncio.gather(*(work(t, n) for n, t in enumerate(transports)))

        run_virtual(main(), seed)
        forget_broker("traced")
        return trace

    assert traced(5) == traced(5)
    assert len({tuple(traced(seed)) for seed in range(4)}) > 1
