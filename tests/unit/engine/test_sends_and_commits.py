"""A send that has failed, a generation that is gone: nothing may be committed then."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from faust._core.threads import LoopBridge
from faust._engine.committer import Committer
from faust._engine.outbox import Outbox
from faust._engine.targets import OutboxTarget
from faust._engine.tasks import ActiveTask
from faust._feeds import Feed
from faust._machines.commits import TaskEntry, encode
from faust._machines.effects import Cursor, TaskRun
from faust._values import TP
from faust.exceptions import BrokerUnavailable, ProducerSendError
from faust.sensors import Sensor, SensorDelegate
from faust.testing.clock import VirtualClock, run_virtual
from faust.transport.base import Commit, Placed


class FailingProducer:
    """Every batch fails."""

    def __init__(self) -> None:
        self.batches = 0

    def produce(self, tp: TP, builder: Any) -> asyncio.Future[Placed]:
        self.batches += 1
        future: asyncio.Future[Placed] = asyncio.get_running_loop().create_future()
        if self.batches == 1:
            future.set_exception(BrokerUnavailable("gone"))
        else:
            future.set_result(Placed(7))
        return future


async def new_outbox() -> tuple[Outbox, OutboxTarget, FailingProducer]:
    outbox = Outbox(
        VirtualClock.current(), linger=0.01, batch_size=1 << 12, compression=None, describe=str
    )
    producer = FailingProducer()
    bridge = LoopBridge()
    await bridge.start()
    outbox.losses.final = True
    outbox.start(bridge, producer)  # type: ignore[arg-type]  # as much of a producer as is needed
    target = outbox.target("t")
    target.partitions = 1
    return outbox, target, producer


def test_after_a_failed_send_no_barrier_ever_passes_again() -> None:
    async def main() -> None:
        outbox, target, _ = await new_outbox()
        outbox.append(target, 0, b"k", b"v", None, None)
        for _ in range(2):
            with pytest.raises(ProducerSendError):
                await outbox.barrier()

    run_virtual(main(), 1)


def test_who_asks_for_one_record_does_not_hide_the_loss_of_another_in_its_batch() -> None:
    async def main() -> None:
        outbox, target, _ = await new_outbox()
        asked = outbox.append(target, 0, b"a", b"v", None, None)
        outbox.append(target, 0, b"b", b"v", None, None)
        with pytest.raises(ProducerSendError):
            await asked
        with pytest.raises(ProducerSendError):
            await outbox.barrier()

    run_virtual(main(), 1)


def test_who_asks_for_all_that_failed_may_go_on() -> None:
    async def main() -> None:
        outbox, target, _ = await new_outbox()
        asked = outbox.append(target, 0, b"a", b"v", None, None)
        with pytest.raises(ProducerSendError):
            await asked
        await outbox.barrier()

    run_virtual(main(), 1)


def test_nothing_overtakes_a_record_that_is_missing() -> None:
    async def main() -> None:
        outbox, target, producer = await new_outbox()
        outbox.append(target, 0, b"a", b"first", None, None)
        with pytest.raises(ProducerSendError):
            await outbox.barrier()
        outbox.append(target, 0, b"a", b"second", None, None)
        with pytest.raises(ProducerSendError):
            await outbox.barrier()
        assert producer.batches == 1

    run_virtual(main(), 1)


def test_outside_of_a_generation_nothing_is_committed() -> None:
    async def main() -> None:
        outbox, _, producer = await new_outbox()
        bridge = LoopBridge()
        await bridge.start()
        run = TaskRun("t", 0, 1)
        cursor = Cursor(run, TP("a", 0), "r", 0)
        cursor.position = 5

        class Membership:
            asked = 0

            async def commit(self, offsets: Any, *, generation: int) -> dict[TP, Any]:
                self.asked += 1
                return {}

        membership = Membership()
        generation = -1
        committer = Committer(
            bridge=bridge,
            clock=VirtualClock.current(),
            transport=None,  # type: ignore[arg-type]  # never asked here
            producer=producer,  # type: ignore[arg-type]  # as much of one as is needed
            membership=membership,  # type: ignore[arg-type]  # as much of one as is needed
            outbox=outbox,
            group_id="g",
            cluster_id="",
            writer="w",
            interval=1.0,
            batch_size=1 << 12,
            tasks=list,
            generation=lambda: generation,
            sensors=SensorDelegate(None, Sensor()),
            consumer=None,
            on_committed=lambda offsets: None,
            vigil=None,  # type: ignore[arg-type]  # there are no changelogs
        )
        task = ActiveTask(run, (TP("a", 0),))
        assert not await committer.commit([task])
        assert membership.asked == 0
        generation = 1
        assert await committer.commit([task])
        assert membership.asked == 1

    run_virtual(main(), 1)


def test_a_stream_finds_what_comes_after_one_of_its_tasks_has_gone() -> None:
    feed = Feed("r", lambda tp, size: None)
    held = feed.queue
    feed.drop(TaskRun("t", 0, 1))
    assert feed.queue is held


class Broker:
    """A transport, a membership and a producer that do as they are told."""

    def __init__(self) -> None:
        self.commits: dict[TP, Commit] = {}
        self.sent: list[int] = []
        self.error: Exception | None = None
        self.generation = 1

    def produce(self, tp: TP, builder: Any) -> asyncio.Future[Placed]:
        future: asyncio.Future[Placed] = asyncio.get_running_loop().create_future()
        future.set_result(Placed(0))
        return future

    async def commit(self, offsets: Any, *, generation: int) -> dict[TP, Any]:
        self.sent.append(generation)
        if self.error is not None:
            raise self.error
        self.commits.update(offsets)
        return {}

    async def committed(self, group_id: str, tps: Any) -> dict[TP, Commit]:
        return {tp: self.commits[tp] for tp in tps if tp in self.commits}


async def new_committer(broker: Broker) -> tuple[Committer, ActiveTask, Cursor]:
    clock = VirtualClock.current()
    bridge = LoopBridge()
    await bridge.start()
    outbox = Outbox(clock, linger=0.01, batch_size=1 << 12, compression=None, describe=str)
    outbox.start(bridge, broker)  # type: ignore[arg-type]  # as much of a producer as is needed
    run = TaskRun("t", 0, 1)
    cursor = Cursor(run, TP("a", 0), "r", 0)
    committer = Committer(
        bridge=bridge,
        clock=clock,
        transport=broker,  # type: ignore[arg-type]  # as much of one as is needed
        producer=broker,  # type: ignore[arg-type]  # as much of one as is needed
        membership=broker,  # type: ignore[arg-type]  # as much of one as is needed
        outbox=outbox,
        group_id="g",
        cluster_id="",
        writer="me",
        interval=1.0,
        batch_size=1 << 12,
        tasks=list,
        generation=lambda: broker.generation,
        sensors=SensorDelegate(None, Sensor()),
        consumer=None,
        on_committed=lambda offsets: None,
        vigil=None,  # type: ignore[arg-type]  # there are no changelogs
    )
    return committer, ActiveTask(run, (TP("a", 0),)), cursor


def test_a_commit_whose_answer_is_lost_counts_if_it_is_found() -> None:
    async def main() -> None:
        broker = Broker()
        committer, task, cursor = await new_committer(broker)
        cursor.position = 5
        entry = TaskEntry("me", 1, {"a": 5}, {"r": {"a": 5}})
        broker.commits[TP("a", 0)] = Commit(5, encode(entry))
        broker.error = BrokerUnavailable("no answer")
        assert await committer.commit([task])
        assert task.committed == {TP("a", 0): 5}

    run_virtual(main(), 1)


def test_a_commit_with_our_number_by_another_writer_is_not_ours() -> None:
    async def main() -> None:
        broker = Broker()
        committer, task, cursor = await new_committer(broker)
        cursor.position = 5
        entry = TaskEntry("you", 1, {"a": 3}, {"r": {"a": 3}})
        broker.commits[TP("a", 0)] = Commit(3, encode(entry))
        broker.error = BrokerUnavailable("no answer")
        assert not await committer.commit([task])
        assert task.committed == {}

    run_virtual(main(), 1)


def test_a_cut_of_an_older_generation_is_not_sent_under_the_new_one() -> None:
    async def main() -> None:
        broker = Broker()
        committer, task, cursor = await new_committer(broker)
        cursor.position = 5

        def move(future: Any) -> None:
            broker.generation = 2

        asyncio.get_running_loop().call_soon(move, None)
        assert not await committer.commit([task])
        assert broker.sent == []
        assert await committer.commit([task])
        assert broker.sent == [2]

    run_virtual(main(), 1)


def test_a_barrier_waits_for_what_was_sent_to_a_topic_that_nobody_knows_yet() -> None:
    """A commit went past it, and a crash lost it."""

    async def main() -> None:
        outbox, _, producer = await new_outbox()
        producer.batches = 1  # the first one would fail
        asked = asyncio.get_running_loop().create_future()

        async def describe(topic: str) -> tuple[int, str]:
            await asked
            return 1, ""

        outbox._describe = describe
        sent = outbox.append_soon(outbox.target("new"), None, b"k", b"v", None, None)
        barrier = asyncio.ensure_future(outbox.barrier())
        await asyncio.sleep(5)
        assert not barrier.done()
        asked.set_result(None)
        await barrier
        assert sent.done()

    run_virtual(main(), 1)
