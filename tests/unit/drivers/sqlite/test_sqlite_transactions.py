"""Transactions in the file: who ends them, what is kept of them, and for how long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlite_support import append, new_transport, on_loop, opened, read_all

from faust._values import TP
from faust.exceptions import (
    BrokerUnavailable,
    ImproperlyConfigured,
    ProducerFenced,
    TransactionAborted,
)
from faust.transport.base import (
    EARLIEST,
    LATEST,
    Commit,
    GroupOptions,
    Membership,
    Producer,
    ProducerOptions,
    ReaderOptions,
    TopicSpec,
)
from faust.transport.drivers.sqlite import SQLiteTransport, transactions
from faust.transport.drivers.sqlite.log import Session
from faust.transport.records import Builder, new_builder

TP0, TP1 = TP("t", 0), TP("t", 1)


def batch(value: bytes, key: bytes = b"k", *, timestamp: int | None = None) -> Builder:
    builder = new_builder(1 << 20, transactional=True)
    builder.append(0, timestamp or int(time.time() * 1000), key, value, [])
    return builder


def transactional(broker: SQLiteTransport, name: str = "x", **options: float) -> Producer:
    return broker.producer(
        ProducerOptions(
            transactional_id=name, transaction_timeout=options.get("transaction_timeout", 60.0)
        )
    )


async def rows(broker: SQLiteTransport, table: str) -> int:
    (count,) = await broker._connection.read(
        lambda db: db.execute(f"SELECT count(*) FROM {table}").fetchone()
    )
    return int(count)


async def write(
    producer: Producer, value: bytes, *, commit: bool = True, key: bytes = b"k"
) -> None:
    transaction = await producer.begin()
    await transaction.produce(TP0, batch(value, key))
    await (transaction.commit() if commit else transaction.abort())


async def joined(broker: SQLiteTransport) -> Membership:
    member = broker.membership(GroupOptions(group_id="g"))
    found = await member.join([("plan", b"")])
    await member.sync(found.generation, {member.member_id: b""})
    return member


@on_loop
async def test_what_another_process_has_open_is_ended_by_its_successor(tmp_path: Path) -> None:
    async with opened(tmp_path / "b.db") as here, opened(tmp_path / "b.db") as there:
        old, new = transactional(here), transactional(there)
        transaction = await old.begin()
        await transaction.produce(TP0, batch(b"old"))
        await write(new, b"new")
        assert await read_all(there, TP0) == [b"new"]
        with pytest.raises(ProducerFenced):
            await transaction.commit()
        with pytest.raises(ProducerFenced):
            await old.begin()


@on_loop
async def test_a_process_whose_file_is_read_by_others_ends_all_at_once(tmp_path: Path) -> None:
    async with opened(tmp_path / "b.db") as here, opened(tmp_path / "b.db") as there:
        member = await joined(here)
        reader = there.reader(ReaderOptions())
        transaction = await transactional(here).begin()
        for tp in (TP0, TP1):
            await transaction.produce(tp, batch(b"v"))
        await transaction.commit_offsets(member, {TP0: Commit(7, "inside")})
        reader.assign({TP0: 0, TP1: 0})
        assert not (await reader.fetch(0.05)).batches
        assert await there.committed("g") == {}
        await transaction.commit()
        assert {found.tp for found in (await reader.fetch(60.0)).batches} == {TP0, TP1}
        assert await there.committed("g", stable=True) == {TP0: Commit(7, "inside")}
        await reader.close()


@on_loop
async def test_a_stable_look_from_another_process_is_woken_by_the_end(tmp_path: Path) -> None:
    path = tmp_path / "b.db"
    async with opened(path) as here, opened(path, request_timeout=60.0) as there:
        member = await joined(here)
        await append(here, TP0, b"v")
        transaction = await transactional(here).begin()
        await transaction.commit_offsets(member, {TP0: Commit(1)})
        looking = asyncio.create_task(there.committed("g", [TP0], stable=True))
        await asyncio.sleep(0.1)
        assert not looking.done()
        await transaction.abort()
        assert await looking == {}


@on_loop
async def test_a_stable_look_that_takes_too_long_says_so(tmp_path: Path) -> None:
    path = tmp_path / "b.db"
    async with opened(path) as broker, opened(path, request_timeout=0.5) as hasty:
        member = await joined(broker)
        await append(broker, TP0, b"v")
        transaction = await transactional(broker).begin()
        await transaction.commit_offsets(member, {TP0: Commit(1)})
        with pytest.raises(BrokerUnavailable, match="held"):
            await hasty.committed("g", [TP0], stable=True)
        assert await hasty.committed("g", [TP1], stable=True) == {}
        await transaction.commit()


@on_loop
async def test_only_time_in_which_the_judge_could_write_counts(tmp_path: Path) -> None:
    async with opened(tmp_path / "b.db") as broker:
        transaction = await transactional(broker, transaction_timeout=100.0).begin()
        await transaction.produce(TP0, batch(b"v"))
        now = broker.options.clock.monotonic()

        def tick(at: float, since: float) -> Callable[[Session], None]:
            def run(session: Session) -> None:
                clock, session.clock = session.clock, Later(at)  # type: ignore[assignment]
                session.writable_since = since
                try:
                    transactions.tick_all(session)
                finally:
                    session.clock = clock

            return run

        call = broker._connection.writer.call
        await call(tick(now + 300, now + 250))  # nobody could write for most of it
        await transaction.produce(TP0, batch(b"w"))
        await call(tick(now + 50, now - 1000))  # not long enough yet
        await transaction.produce(TP0, batch(b"x"))
        await call(tick(now + 101, now - 1000))
        with pytest.raises(TransactionAborted):
            await transaction.commit()
        assert await read_all(broker, TP0) == []


class Later:
    """A clock that stands still."""

    def __init__(self, now: float) -> None:
        self._now = now

    def monotonic(self) -> float:
        return self._now

    def time(self) -> float:
        return time.time()


@on_loop
async def test_what_a_dead_process_has_open_is_ended_when_its_death_is_certain(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path / "b.db") as here, opened(tmp_path / "b.db") as there:
        transaction = await transactional(there).begin()
        await transaction.produce(TP0, batch(b"v"))
        name = there._connection.bell.name
        await here._connection.writer.call(lambda session: transactions.end_dead(session, ["no"]))
        assert await rows(here, "aborted") == 1
        await here._connection.writer.call(lambda session: transactions.end_dead(session, [name]))
        assert await read_all(here, TP0) == []
        (stable,) = await here._connection.read(
            lambda db: db.execute("SELECT max(stable_offset) FROM partition").fetchone()
        )
        assert stable is None
        with pytest.raises(TransactionAborted):
            await transaction.commit()


@on_loop
async def test_compaction_drops_what_was_aborted_and_forgets_it(tmp_path: Path) -> None:
    config = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.01"}
    async with opened(tmp_path / "b.db") as broker:
        await broker.create_topic(TopicSpec("t", 1, config=config))
        producer = transactional(broker)
        await write(producer, b"kept", key=b"a")
        await write(producer, b"dropped", key=b"a", commit=False)
        await write(producer, b"dropped", key=b"b", commit=False)
        await write(producer, b"first", key=b"c")
        await write(producer, b"second", key=b"c")
        open_one = await producer.begin()
        await open_one.produce(TP0, batch(b"open", b"a"))
        await append(broker, TP0, b"behind", key=b"z")
        await broker.maintain()
        # Only the open one is left of what is not committed.
        assert await rows(broker, "aborted") == 1
        everything = broker.reader(ReaderOptions(read_committed=False))
        everything.assign({TP0: 0})
        seen = [r.value for b in (await everything.fetch(1.0)).batches for r in b.records()]
        assert seen == [b"kept", b"second", b"open", b"behind"]
        assert await read_all(broker, TP0) == [b"kept", b"second"]
        await open_one.commit()
        assert await read_all(broker, TP0) == [b"kept", b"second", b"open", b"behind"]
        await everything.close()


@on_loop
async def test_retention_keeps_open_transactions_and_forgets_old_aborted_ones(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path / "b.db") as broker:
        await broker.create_topic(TopicSpec("t", 1, config={"retention.ms": "600000"}))
        producer = transactional(broker)
        old = int(time.time() * 1000) - 3_600_000
        transaction = await producer.begin()
        await transaction.produce(TP0, batch(b"dropped", timestamp=old))
        await transaction.abort()
        await broker.maintain()
        assert await broker.offsets([TP0], EARLIEST) == {TP0: 1}  # the marker is young
        assert await rows(broker, "aborted") == 1
        open_one = await producer.begin()
        await open_one.produce(TP0, batch(b"open", timestamp=old))
        await broker.maintain()
        assert await broker.offsets([TP0], EARLIEST) == {TP0: 1}
        await open_one.commit()
        assert await read_all(broker, TP0, 1) == [b"open"]
        await broker.delete_records({TP0: 2})
        await broker.maintain()
        assert await rows(broker, "aborted") == 0


@on_loop
async def test_a_topic_that_is_deleted_meanwhile_is_left_out_of_the_end(tmp_path: Path) -> None:
    async with opened(tmp_path / "b.db") as broker:
        transaction = await transactional(broker).begin()
        await transaction.produce(TP0, batch(b"v"))
        await transaction.produce(TP("other", 0), batch(b"v"))
        await broker.delete_topic("t")
        await append(broker, TP0, b"another topic of the same name")
        await transaction.commit()
        assert await broker.offsets([TP0, TP("other", 0)], LATEST) == {TP0: 1, TP("other", 0): 2}
        assert await rows(broker, "aborted") == 0


@on_loop
async def test_an_id_that_nobody_uses_for_a_week_is_forgotten_and_can_be_used_again(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path / "b.db") as broker:
        idle, busy = transactional(broker, "idle"), transactional(broker, "busy")
        await write(idle, b"1")
        open_one = await busy.begin()
        await open_one.produce(TP1, batch(b"open"))
        await broker._connection.writer.call(
            lambda session: session.db.execute(
                "UPDATE transaction_state SET state = json_set(state, '$.used_ms', 1)"
            )
        )
        await broker.maintain()
        assert await rows(broker, "transaction_state") == 1
        lost = await idle.begin()
        with pytest.raises(TransactionAborted):
            await lost.produce(TP0, batch(b"2"))
        await lost.abort()
        await write(idle, b"3")
        await open_one.commit()
        assert await read_all(broker, TP0) == [b"1", b"3"]


@on_loop
async def test_a_commit_that_is_cancelled_is_decided_by_begin(tmp_path: Path) -> None:
    async with opened(tmp_path / "b.db") as broker:
        member = await joined(broker)
        await append(broker, TP0, b"v")
        producer = transactional(broker)
        kept = []
        for number in range(1, 15):
            transaction = await producer.begin()
            await transaction.produce(TP1, batch(b"%d" % number))
            await transaction.commit_offsets(member, {TP0: Commit(number)})
            committing = asyncio.create_task(transaction.commit())
            for _ in range(1 + number % 5):
                await asyncio.sleep(0)
            committing.cancel()
            await asyncio.gather(committing, return_exceptions=True)
            await (await producer.begin()).abort()
            if (await broker.committed("g", stable=True)).get(TP0) == Commit(number):
                kept.append(b"%d" % number)
        await write(producer, b"last")
        assert await read_all(broker, TP1) == kept


@on_loop
async def test_a_builder_of_the_wrong_kind_is_refused_by_name(tmp_path: Path) -> None:
    async with opened(tmp_path / "b.db") as broker:
        transaction = await transactional(broker).begin()
        with pytest.raises(ImproperlyConfigured, match="transactional=True"):
            await transaction.produce(TP0, new_builder(100))
        with pytest.raises(TransactionAborted):
            await transaction.commit()
        plain = broker.producer(ProducerOptions())
        with pytest.raises(ImproperlyConfigured, match="transactional=True"):
            await plain.produce(TP0, batch(b"v"))
        await plain.close()


@on_loop
async def test_times_from_before_a_restart_of_the_machine_count_from_now(tmp_path: Path) -> None:
    broker = new_transport(tmp_path / "b.db")
    await broker.open()
    transaction = await transactional(broker, transaction_timeout=60.0).begin()
    await transaction.produce(TP0, batch(b"v"))
    await broker._connection.writer.call(
        lambda session: session.db.execute(
            "UPDATE transaction_state SET state = json_set(state, '$.since', 1e12)"
        )
    )
    async with opened(tmp_path / "b.db") as other:
        far = other.options.clock.monotonic() + 61.0

        def tick(session: Session) -> None:
            clock, session.clock = session.clock, Later(far)  # type: ignore[assignment]
            session.writable_since = 0.0
            try:
                transactions.tick_all(session)
            finally:
                session.clock = clock

        # Read while time is ours, judged a minute later.
        await other._connection.writer.call(lambda session: transactions.check(session, "x", 0))
        await other._connection.writer.call(tick)
        assert await rows(other, "aborted") == 1
        assert await read_all(other, TP0) == []
    await broker.close()
