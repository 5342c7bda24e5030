"""Exactly once: what an event sends counts with the event, or not at all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_world import World

from faust._values import TP
from faust.agents.replies import AgentError
from faust.exceptions import (
    BrokerUnavailable,
    ProducerFenced,
    ProducerSendError,
    RetryableError,
    TransactionAborted,
)
from tests.support.virtual_time import send_all, until, virtual


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def exact(world: World, **options: Any) -> Any:
    return world.app(
        processing_guarantee="exactly_once",
        **{"broker_commit_interval": 1.0, **options},
    )


def topics(app: Any) -> tuple[Any, Any]:
    source = app.topic("source", internal=True, partitions=1, value_type=str)
    sink = app.topic("sink", internal=True, partitions=1, value_type=str)
    return source, sink


def visible(world: World, topic: str = "sink", *, committed: bool = True) -> list[Any]:
    """Return what a reader of a topic sees that wants committed records only (or all)."""
    found: list[Any] = []
    if topic not in world.broker.describe(None):
        return found
    for log in world.broker.topic(topic).logs:
        batches, _ = log.read(0, 1 << 24, committed=committed)
        found += [json.loads(record.value) for batch in batches for record in batch.records()]
    return found


def committed(world: World, app: Any, topic: str = "source") -> int:
    commits = world.broker.groups.committed(app.conf.id, [TP(topic, 0)])
    return commits[TP(topic, 0)].offset if commits else -1


def forwarding(app: Any) -> Any:
    source, sink = topics(app)

    @app.agent(source, name="forwards")
    async def forwards(stream: Any) -> None:
        async for value in stream:
            await sink.send(value=value)

    return source


# -- what is visible, and when -----------------------------------------------------------------


@virtual
async def test_what_an_event_sends_is_invisible_until_its_position_is_committed(
    world: World,
) -> None:
    app = exact(world, broker_commit_interval=5.0)
    source = forwarding(app)
    async with app:
        await send_all(source, ["a", "b"])
        await until(lambda: app.monitor.events_total == 2)
        assert not visible(world)
        assert committed(world, app) == 0
        await until(lambda: visible(world))
        assert visible(world) == ["a", "b"]
        assert committed(world, app) == 2


@virtual
async def test_outputs_changelog_and_offsets_are_one_transaction(world: World) -> None:
    app = exact(world)
    source, sink = topics(app)
    table = app.Table("t", default=int, key_type=str, value_type=int, partitions=1)

    @app.agent(source, name="counts")
    async def counts(stream: Any) -> None:
        async for value in stream:
            table[value] += 1
            await sink.send(value=value)

    async with app:
        await send_all(source, ["a"])
        await until(lambda: visible(world))
        trace = world.broker.faults.trace = []
        await send_all(source, ["a"])
        await until(lambda: len(visible(world)) == 2)
        kinds = [request.kind for request in trace if request.kind.startswith("txn")]
        assert kinds == ["txn_offsets", "txn_commit"]
        changelog = table.changelog_topic_name
        assert visible(world, changelog) == [1, 2]
        assert "commit" not in [request.kind for request in trace]


@virtual
async def test_what_an_event_has_sent_that_fails_is_dropped_with_its_writes(world: World) -> None:
    app = exact(world, agent_error_backoff=0.1)
    source, sink = topics(app)
    failures = ["once"]

    @app.agent(source, name="fails")
    async def fails(stream: Any) -> None:
        async for value in stream:
            await sink.send(value=f"{value}1")
            sink.send_soon(value=f"{value}2")
            if failures:
                failures.pop()
                raise RuntimeError("on purpose")

    async with app:
        await send_all(source, ["a", "b"])
        await until(lambda: committed(world, app) == 2)
        assert visible(world, committed=False) == ["a1", "a2", "b1", "b2"]


@virtual
async def test_a_skipped_event_sends_nothing(world: World) -> None:
    app = exact(world)
    source, sink = topics(app)

    @app.agent(source, name="skips", error_policy="skip")
    async def skips(stream: Any) -> None:
        async for value in stream:
            await sink.send(value=value)
            if value == "bad":
                raise RuntimeError("on purpose")

    async with app:
        await send_all(source, ["a", "bad", "b"])
        await until(lambda: committed(world, app) == 3)
        assert visible(world) == ["a", "b"]


@virtual
async def test_what_sinks_get_counts_with_the_event(world: World) -> None:
    app = exact(world, broker_commit_interval=5.0)
    source, sink = topics(app)

    @app.agent(source, name="yields", sink=[sink])
    async def yields(stream: Any) -> Any:
        async for value in stream:
            yield value.upper()

    async with app:
        await send_all(source, ["a"])
        await until(lambda: app.monitor.events_total == 1)
        assert not visible(world)
        await until(lambda: visible(world) == ["A"])


def windows(app: Any, on_close: Any) -> Any:
    """Let an app count in windows of 10 s."""
    source = app.topic("source", internal=True, partitions=1, value_type=float)
    table = app.Table("sums", default=int, partitions=1, on_window_close=on_close)
    sums = table.tumbling(10.0, expires=1.0)

    @app.agent(source, name="sums")
    async def count(stream: Any) -> None:
        async for _ in stream:
            sums["all"] += 1

    return source


@virtual
async def test_what_is_sent_when_a_window_has_closed_counts_with_its_deletion(
    world: World,
) -> None:
    """It went out at once: a crash before the commit sent it again, one after it could lose it."""
    app = exact(world, broker_commit_interval=60.0, table_cleanup_interval=1.0)
    sink = app.topic("sink", internal=True, partitions=1, value_type=str)
    closed: list[Any] = []

    async def on_close(key: Any, value: Any) -> None:
        await sink.send(value=f"window {value}")
        sink.send_soon(value="soon")
        closed.append(key)

    source = windows(app, on_close)
    async with app:
        await send_all(source, [1.0, 2.0])
        await until(lambda: closed)
        await asyncio.sleep(5.0)
        assert not visible(world, committed=False)
        await until(lambda: visible(world) == ["window 2", "soon"])
        assert len(closed) == 1


@virtual
async def test_the_last_window_of_a_stream_that_stands_still_is_closed(world: World) -> None:
    """The broker in memory did not say again where a log ends that nothing is written to."""
    app = exact(world, table_cleanup_interval=1.0)
    sink = app.topic("sink", internal=True, partitions=1, value_type=str)

    async def on_close(key: Any, value: Any) -> None:
        await sink.send(value="closed")

    source = windows(app, on_close)
    async with app:
        await send_all(source, [1.0])
        await until(lambda: visible(world) == ["closed"])


@virtual
async def test_what_a_window_sends_whose_end_was_not_heard_of_well_is_not_sent(
    world: World,
) -> None:
    app = exact(world, table_cleanup_interval=1.0)
    sink = app.topic("sink", internal=True, partitions=1, value_type=str)

    async def on_close(key: Any, value: Any) -> None:
        await sink.send(value="half")
        raise ValueError("on purpose")

    source = windows(app, on_close)

    async def run() -> None:
        async with app:
            await send_all(source, [1.0, 2.0])
            await asyncio.sleep(60.0)

    with pytest.raises(ValueError, match="on purpose"):
        await run()
    assert not visible(world, committed=False)


@virtual
async def test_a_window_that_waits_for_its_own_message_is_told_at_once(world: World) -> None:
    app = exact(world, table_cleanup_interval=1.0)
    sink = app.topic("sink", internal=True, partitions=1, value_type=str)
    told: list[str] = []

    async def on_close(key: Any, value: Any) -> None:
        try:
            await (await sink.send(value="closed"))
        except RuntimeError as exc:
            told.append(str(exc))

    source = windows(app, on_close)
    async with app:
        await send_all(source, [1.0, 2.0])
        await until(lambda: visible(world) == ["closed"])
    assert "would wait for itself" in told[0]


@virtual
async def test_the_events_of_a_list_send_together(world: World) -> None:
    app = exact(world, broker_commit_interval=0.2)
    source, sink = topics(app)
    gate = asyncio.Event()

    @app.agent(source, name="takes")
    async def takes(stream: Any) -> None:
        async for values in stream.take(3, within=10.0):
            for value in values:
                await sink.send(value=value)
            await gate.wait()

    async with app:
        await send_all(source, ["a", "b", "c"])
        await asyncio.sleep(3.0)
        assert not visible(world, committed=False)
        gate.set()
        await until(lambda: visible(world) == ["a", "b", "c"])
        assert committed(world, app) == 3


@virtual
async def test_concurrent_instances_send_in_the_order_of_offsets(world: World) -> None:
    app = exact(world, broker_commit_interval=0.2)
    source, sink = topics(app)
    gates = {value: asyncio.Event() for value in "abc"}
    inside: list[str] = []

    @app.agent(source, name="concurrent", concurrency=3)
    async def concurrent(stream: Any) -> None:
        async for value in stream:
            await sink.send(value=value)
            inside.append(value)
            await gates[value].wait()

    async with app:
        await send_all(source, "abc")
        await until(lambda: len(inside) == 3)
        gates["b"].set()
        await asyncio.sleep(2.0)
        assert not visible(world, committed=False), "a is in progress, and nothing is committed"
        gates["a"].set()
        await until(lambda: committed(world, app) == 2)
        assert sorted(visible(world, committed=False)) == ["a", "b"]
        gates["c"].set()
        await until(lambda: committed(world, app) == 3)
        assert sorted(visible(world, committed=False)) == ["a", "b", "c"]


@virtual
async def test_what_counts_of_concurrent_instances_is_below_the_position(world: World) -> None:
    """Effects waited in the order in which events ended: b counted before a, and came again after
    a crash.  Found by seed 184 of the scenario concurrency."""
    app = exact(world, broker_commit_interval=0.2)
    source, sink = topics(app)
    gates = {value: asyncio.Event() for value in "abcd"}
    inside: list[str] = []

    @app.agent(source, name="concurrent", concurrency=4)
    async def concurrent(stream: Any) -> None:
        async for value in stream:
            await sink.send(value=value)
            inside.append(value)
            await gates[value].wait()

    async with app:
        await send_all(source, "abcd")
        await until(lambda: len(inside) == 4)
        for value in "bda":
            gates[value].set()
            await asyncio.sleep(1.0)
        assert committed(world, app) == 2
        assert sorted(visible(world)) == ["a", "b"]
        gates["c"].set()
        await until(lambda: committed(world, app) == 4)
        assert sorted(visible(world)) == ["a", "b", "c", "d"]


@virtual
async def test_what_one_of_several_instances_undoes_is_its_own(world: World) -> None:
    app = exact(world, broker_commit_interval=0.2, agent_error_backoff=0.1)
    source, sink = topics(app)
    inside = asyncio.Event()
    failures = ["once"]

    @app.agent(source, name="concurrent", concurrency=2)
    async def concurrent(stream: Any) -> None:
        async for value in stream:
            await sink.send(value=value)
            if value == "a":
                await inside.wait()
            elif failures:
                failures.pop()
                inside.set()
                raise RuntimeError("on purpose")

    async with app:
        await send_all(source, "ab")
        await until(lambda: committed(world, app) == 2)
        assert sorted(visible(world, committed=False)) == ["a", "b"]


@virtual
async def test_what_processors_send_counts_with_the_list_their_event_is_in(world: World) -> None:
    app = exact(world, broker_commit_interval=0.2, agent_error_backoff=0.1)
    source, sink = topics(app)
    failures = ["once"]
    lists: list[list[str]] = []

    @app.agent(source, name="echoes")
    async def echoes(stream: Any) -> None:
        async for values in stream.echo(sink).take(2, within=60.0):
            lists.append(values)
            if failures:
                failures.pop()
                raise RuntimeError("on purpose")

    async with app:
        await send_all(source, "abc")
        await until(lambda: committed(world, app) == 2)
        assert visible(world, committed=False) == ["a", "b"]
        await asyncio.sleep(2.0)
        assert visible(world, committed=False) == ["a", "b"]
        await send_all(source, "d")
        await until(lambda: committed(world, app) == 4)
        assert visible(world, committed=False) == ["a", "b", "c", "d"]
        assert lists == [["a", "b"], ["a", "b"], ["c", "d"]]


@virtual
async def test_a_list_of_an_agent_without_tables_is_of_one_task(world: World) -> None:
    app = exact(world, broker_commit_interval=0.2)
    source = app.topic("source", internal=True, partitions=2, value_type=str)
    lists: list[list[str]] = []

    @app.agent(source, name="takes", concurrency=2)
    async def takes(stream: Any) -> None:
        async for values in stream.take(2, within=1.0):
            lists.append(values)

    async with app:
        await send_all(source, ["a"], partition=0)
        await send_all(source, ["b"], partition=1)
        await until(lambda: len(lists) == 2)


@virtual
async def test_who_is_told_of_an_error_may_send_at_once(world: World) -> None:
    app = exact(world, broker_commit_interval=60.0)
    source, sink = topics(app)

    async def tell(agent: Any, exc: BaseException) -> None:
        await sink.send(value=str(exc))

    @app.agent(source, name="fails", on_error=tell, error_policy="skip")
    async def fails(stream: Any) -> None:
        async for _ in stream:
            raise RuntimeError("on purpose")

    async with app:
        await send_all(source, ["a"])
        await until(lambda: visible(world) == ["on purpose"])


@virtual
async def test_who_asks_hears_that_its_event_is_skipped(world: World) -> None:
    app = exact(world)
    source, _ = topics(app)

    @app.agent(source, name="fails", error_policy="skip")
    async def fails(stream: Any) -> Any:
        async for value in stream:
            if value:
                raise RuntimeError("on purpose")
            yield value

    async with app:
        with pytest.raises(AgentError, match="on purpose"):
            await fails.ask("a")


@virtual
async def test_what_is_acknowledged_by_hand_sends_in_the_order_of_offsets(world: World) -> None:
    app = exact(world, broker_commit_interval=0.2)
    source, sink = topics(app)
    events: list[Any] = []

    @app.agent(source, name="acks")
    async def acks(stream: Any) -> None:
        async for event in stream.noack().events():
            await sink.send(value=event.value)
            events.append(event)

    async with app:
        await send_all(source, ["a", "b", "c"])
        await until(lambda: len(events) == 3)
        events[1].ack()
        await asyncio.sleep(2.0)
        assert not visible(world, committed=False)
        assert committed(world, app) == 0
        events[0].ack()
        await until(lambda: committed(world, app) == 2)
        assert visible(world, committed=False) == ["a", "b"]
        events[2].ack()
        await until(lambda: visible(world) == ["a", "b", "c"])


@virtual
async def test_what_is_sent_outside_of_any_event_goes_out_at_once(world: World) -> None:
    app = exact(world, broker_commit_interval=60.0)
    _, sink = topics(app)
    forwarding(app)
    async with app:
        sent = await sink.send(value="now")
        assert (await sent).offset == 0
        assert visible(world) == ["now"]


@virtual
async def test_a_timer_sends_at_once(world: World) -> None:
    app = exact(world, broker_commit_interval=60.0)
    _, sink = topics(app)
    forwarding(app)

    @app.timer(1.0)
    async def tick() -> None:
        await sink.send(value="tick")

    async with app:
        await until(lambda: visible(world))


@virtual
async def test_an_agent_asks_at_once_and_is_answered_with_the_commit(world: World) -> None:
    app = exact(world, broker_commit_interval=0.2)
    source, sink = topics(app)
    asked = app.topic("asked", internal=True, partitions=1, value_type=str)

    @app.agent(asked, name="answers")
    async def answers(stream: Any) -> Any:
        async for value in stream:
            yield f"{value}!"

    @app.agent(source, name="asks")
    async def asks(stream: Any) -> None:
        async for value in stream:
            await sink.send(value=await answers.ask(value))

    async with app:
        await send_all(source, ["a"])
        await until(lambda: visible(world) == ["a!"])


# -- waiting for oneself ------------------------------------------------------------------------


@virtual
async def test_an_event_that_awaits_its_own_output_is_told_at_once(world: World) -> None:
    app = exact(world, agent_error_retries=0)
    source, sink = topics(app)
    told: list[str] = []

    @app.agent(source, name="waits")
    async def waits(stream: Any) -> None:
        async for value in stream:
            for sent in (await sink.send(value=value), sink.send_soon(value=value)):
                try:
                    await sent
                except RuntimeError as exc:
                    told.append(str(exc))
                with pytest.raises(RuntimeError, match="wait for itself"):
                    sent.result(1.0)

    async with app:
        await send_all(source, ["a"])
        await until(lambda: len(told) == 2)
        assert "exactly_once" in told[0]


@virtual
async def test_who_asks_after_the_event_hears_of_the_commit(world: World) -> None:
    app = exact(world)
    source, sink = topics(app)
    sent: list[Any] = []
    called: list[Any] = []

    @app.agent(source, name="sends")
    async def sends(stream: Any) -> None:
        async for value in stream:
            sent.append(await sink.send(value=value, callback=called.append))

    async with app:
        await send_all(source, ["a", "b"])
        await until(lambda: len(sent) == 2)
        first, second = [await each for each in sent]
        assert (first.offset, second.offset) == (0, 1)
        assert first.topic == "sink"
        assert called == sent


@virtual
async def test_who_waits_for_a_message_of_an_event_that_is_undone_is_told(world: World) -> None:
    app = exact(world)
    source, sink = topics(app)
    called: list[Any] = []

    @app.agent(source, name="fails", error_policy="skip")
    async def fails(stream: Any) -> None:
        async for value in stream:
            await sink.send(value=value, callback=called.append)
            raise RuntimeError("on purpose")

    async with app:
        await send_all(source, ["a"])
        await until(lambda: called)
        assert isinstance(called[0].exception(), ProducerSendError)


# -- what goes wrong -------------------------------------------------------------------------------


@virtual
async def test_a_commit_that_fails_is_put_back_and_sent_once(world: World) -> None:
    app = exact(world)
    source = forwarding(app)
    async with app:
        await until(lambda: committed(world, app) == 0)
        world.broker.faults.fail("txn_offsets", BrokerUnavailable("lost"), times=2)
        await send_all(source, ["a"])
        await until(lambda: app.monitor.events_total == 1)
        await asyncio.sleep(0.5)
        await send_all(source, ["b"])
        await until(lambda: committed(world, app) == 2)
        assert visible(world) == ["a", "b"]


@virtual
async def test_what_is_put_back_comes_before_what_was_sent_since(world: World) -> None:
    app = exact(world)
    source = forwarding(app)
    async with app:
        await until(lambda: committed(world, app) == 0)
        world.broker.faults.delay("txn_offsets", 3.0)
        world.broker.faults.fail("txn_commit", TransactionAborted("on purpose"))
        await send_all(source, ["a"])
        await asyncio.sleep(2.0)
        await send_all(source, ["b"])
        await until(lambda: committed(world, app) == 2)
        assert visible(world) == ["a", "b"]


@virtual
async def test_a_commit_under_way_is_decided_before_it_is_looked_up(world: World) -> None:
    app = exact(world)
    source = forwarding(app)
    async with app:
        await until(lambda: committed(world, app) == 0)
        trace = world.broker.faults.trace = []
        world.broker.faults.fail("txn_commit", BrokerUnavailable("lost"))
        await send_all(source, ["a"])
        await until(lambda: visible(world))
        kinds = [each.kind for each in trace if each.kind in ("begin", "txn_commit", "committed")]
        assert kinds[1:4] == ["txn_commit", "begin", "committed"]


@virtual
async def test_a_worker_that_stops_in_the_middle_of_a_commit_sends_nothing_twice(
    world: World,
) -> None:
    app = exact(world)
    source = forwarding(app)
    async with app:
        await until(lambda: committed(world, app) == 0)
        world.broker.faults.delay("txn_commit", 2.0)
        await send_all(source, ["a"])
        await until(lambda: app.engine.committer.trying)
        await asyncio.sleep(0.5)
    assert visible(world, committed=False) == ["a"]
    assert committed(world, app) == 1


@virtual
async def test_a_task_does_not_start_from_positions_that_are_being_replaced(world: World) -> None:
    dying = exact(world, broker_session_timeout=5.0, broker_heartbeat_interval=1.0)
    source = forwarding(dying)
    async with dying:
        await until(lambda: committed(world, dying) == 0)
        world.broker.faults.delay("txn_commit", 8.0)
        await send_all(source, ["a"])
        await until(lambda: dying.engine.committer.trying)
        world.broker.groups.group("shop").leave(
            dying.engine.membership.member_id, now=world.broker.now()
        )
        heir = exact(world)
        forwarding(heir)
        async with heir:
            await until(lambda: committed(world, heir) == 1)
            await asyncio.sleep(15.0)
            assert visible(world) == ["a"]


@virtual
async def test_a_commit_whose_answer_is_lost_counts_if_it_took_effect(world: World) -> None:
    app = exact(world)
    source = forwarding(app)
    async with app:
        await until(lambda: committed(world, app) == 0)
        world.broker.faults.fail("txn_commit", BrokerUnavailable("lost"), after=True)
        await send_all(source, ["a"])
        await until(lambda: visible(world))
        await send_all(source, ["b"])
        await until(lambda: committed(world, app) == 2)
        assert visible(world) == ["a", "b"]


@virtual
async def test_a_commit_that_took_effect_and_then_met_a_coordinator_that_moves_counts(
    world: World,
) -> None:
    """What was answered in the end said nothing of the attempt before, and it was sent twice."""
    app = exact(world)
    source = forwarding(app)
    async with app:
        await until(lambda: committed(world, app) == 0)
        world.broker.faults.fail("txn_commit", RetryableError("is moving"), after=True)
        await send_all(source, ["a"])
        await until(lambda: visible(world))
        await send_all(source, ["b"])
        await until(lambda: committed(world, app) == 2)
        assert visible(world) == ["a", "b"]


@virtual
async def test_a_commit_whose_answer_is_lost_is_put_back_if_it_did_not(world: World) -> None:
    app = exact(world)
    source = forwarding(app)
    async with app:
        await until(lambda: committed(world, app) == 0)
        world.broker.faults.fail("txn_commit", BrokerUnavailable("lost"))
        await send_all(source, ["a"])
        await until(lambda: visible(world))
        await asyncio.sleep(3.0)
        assert visible(world) == ["a"]
        assert committed(world, app) == 1


@virtual
async def test_as_long_as_nobody_knows_of_a_commit_nothing_else_is_committed(world: World) -> None:
    app = exact(world)
    source = forwarding(app)
    faults = world.broker.faults
    async with app:
        await until(lambda: committed(world, app) == 0)
        faults.fail("txn_commit", BrokerUnavailable("lost"), after=True)
        faults.fail("committed", BrokerUnavailable("lost"), times=3)
        await send_all(source, ["a"])
        await until(lambda: visible(world))
        await send_all(source, ["b"])
        await until(lambda: committed(world, app) == 2)
        assert visible(world) == ["a", "b"]


@virtual
async def test_a_transaction_that_was_open_for_too_long_is_sent_again(world: World) -> None:
    app = exact(world)
    source = forwarding(app)
    async with app:
        await until(lambda: committed(world, app) == 0)
        world.broker.faults.delay("txn_offsets", 15.0)
        await send_all(source, ["a"])
        await until(lambda: committed(world, app) == 1)
        assert visible(world) == ["a"]


@virtual
async def test_somebody_else_with_our_transactional_id_ends_the_worker_with_a_sentence(
    world: World,
) -> None:
    from faust.transport.base import ProducerOptions

    app = exact(world)
    source = forwarding(app)
    async with app:
        await until(lambda: committed(world, app) == 0)
        name = app.engine.exactly_once.name
        transport = app.connection.transport
        await transport.producer(ProducerOptions(transactional_id=name)).begin()
        await send_all(source, ["a"])
        await until(lambda: app.failure)
        assert isinstance(app.failure, ProducerFenced)
        assert "--datadir" in str(app.failure)
        assert not visible(world)


@virtual
async def test_many_outputs_do_not_wait_for_the_interval(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("faust._engine.outputs.PRESSING_RECORDS", 10)
    app = exact(world, broker_commit_interval=100.0)
    source = forwarding(app)
    async with app:
        await send_all(source, "abcdefghijkl")
        await asyncio.sleep(2.0)
        assert len(visible(world)) == 12


@virtual
async def test_senders_wait_while_too_much_waits_for_a_commit(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("faust._engine.outputs.MAX_UNDER_WAY", 200)
    monkeypatch.setattr("faust._engine.outbox.MAX_UNDER_WAY", 200)
    app = exact(world, broker_commit_interval=5.0)
    source = forwarding(app)
    async with app:
        await until(lambda: committed(world, app) == 0)
        producer = app.engine.exactly_once
        await send_all(source, "abcdefghijklmnopqrstuvwxyz")
        await asyncio.sleep(2.0)
        assert producer._outbox.kept < 15
        await until(lambda: len(visible(world)) == 26)
        assert visible(world) == list("abcdefghijklmnopqrstuvwxyz")


@virtual
async def test_an_output_that_cannot_be_delivered_ends_the_worker(world: World) -> None:
    app = exact(world, producer_max_request_size=2_000, producer_max_batch_size=1_000)
    source, sink = topics(app)

    @app.agent(source, name="large")
    async def large(stream: Any) -> None:
        async for value in stream:
            await sink.send(value=value * 5_000)

    async with app:
        await send_all(source, ["a"])
        await until(lambda: app.failure)
        assert isinstance(app.failure, ProducerSendError)
        assert committed(world, app) == 0


@virtual
async def test_an_output_whose_failure_somebody_deals_with_is_left_out(world: World) -> None:
    app = exact(world, producer_max_request_size=2_000, producer_max_batch_size=1_000)
    source, sink = topics(app)
    failed: list[Any] = []

    @app.agent(source, name="large")
    async def large(stream: Any) -> None:
        async for value in stream:
            await sink.send(value=value)
            sent = await sink.send(value=value * 5_000, callback=failed.append)
            sent.claim()

    async with app:
        await send_all(source, ["a"])
        await until(lambda: committed(world, app) == 1)
        assert visible(world) == ["a"]
        assert "2000" in str(failed[0].exception())


# -- stopping, and starting again ---------------------------------------------------------------


@virtual
async def test_a_worker_that_stops_commits_what_is_finished(world: World) -> None:
    app = exact(world, broker_commit_interval=60.0)
    source = forwarding(app)
    async with app:
        await send_all(source, ["a"])
        await until(lambda: app.monitor.events_total == 1)
    assert visible(world) == ["a"]
    assert committed(world, app) == 1


@pytest.mark.parametrize(
    ("fails", "hangs"),
    [
        ("", "txn_offsets"), ("", "txn_commit"),
        ("txn_offsets", "txn_abort"), ("txn_commit", "begin"), ("txn_commit", "committed"),
    ],
)  # fmt: skip
def test_who_waits_for_a_message_hears_of_it_when_the_worker_stops_before_its_commit_ends(
    world: World, fails: str, hangs: str
) -> None:
    """It waited for ever, as the commit did behind its shield, or what was in doubt."""

    @virtual
    async def flow() -> None:
        app = exact(world, broker_request_timeout=3600)
        source, sink = topics(app)
        sent: list[Any] = []

        @app.agent(source, name="sends")
        async def sends(stream: Any) -> None:
            async for value in stream:
                sent.append(await sink.send(value=value))

        await app.start()
        await until(lambda: committed(world, app) == 0)
        if fails:
            world.broker.faults.fail(fails, BrokerUnavailable("lost"))
        world.broker.faults.black_hole(hangs)
        await source.send(value="a")
        await until(lambda: sent and app.engine.committer.trying)
        await asyncio.sleep(10)
        await app.stop()
        assert isinstance(app.failure, BrokerUnavailable)
        async with asyncio.timeout(1):
            with pytest.raises(ProducerSendError):
                await sent[0]

    flow()


@virtual
async def test_a_worker_starts_again_with_the_same_transactional_id(world: World) -> None:
    names: list[str] = []
    for _ in range(2):
        app = exact(world)
        forwarding(app)
        async with app:
            names.append(app.engine.exactly_once.name)
    assert names[0] == names[1]
    assert names[0].startswith(app.conf.id)


@virtual
async def test_two_workers_of_one_data_directory_have_two_transactional_ids(world: World) -> None:
    first, second = exact(world), exact(world)
    forwarding(first)
    forwarding(second)
    async with first, second:
        assert first.engine.exactly_once.name != second.engine.exactly_once.name
