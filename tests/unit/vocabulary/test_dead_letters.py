"""Events that fail for good are kept with what went wrong, and nothing else of them is left."""

from __future__ import annotations

from typing import Any

import pytest
from vocabulary_world import World, fails, send_all, until, virtual

import faust
from faust.exceptions import (
    AgentFailed,
    BrokerUnavailable,
    ImproperlyConfigured,
    PartitionsMismatch,
    TopicAuthorizationFailed,
)
from faust.types import TP

NUMBERS = TP("numbers", 0)
#: Its first record is the mark of who begins with it.
RETRIES = TP("shop-process-numbers-retry", 0)


def headers_of(record: Any) -> dict[str, str]:
    return {k: v.decode() for k, v in record.headers}


@virtual
async def test_a_dead_letter_is_the_original_with_what_went_wrong(world: World) -> None:
    app = world.app(agent_error_policy="dead_letter")
    topic = app.topic("numbers", partitions=1, internal=True, value_type=int)
    sums = app.Table("sums", default=int, key_type=str, value_type=int)

    @app.agent(topic, name="process")
    async def process(values: Any) -> None:
        async for value in values:
            sums["all"] += value
            if value == 3:
                raise ValueError("no threes")

    async with app:
        for n in range(6):
            await topic.send(n, key=f"k{n}", headers={"trace": b"\x00\xff"}, timestamp=1e9 + n)
        await until(lambda: app.committed_position(NUMBERS) == 6)
        assert dict(sums.items()) == {"all": 0 + 1 + 2 + 4 + 5}
        assert app.monitor.events_dead_lettered == {"process": 1}
        assert process.dead_lettered == 1
    (letter,) = world.records("shop-process-dead-letters")
    assert (letter.key, letter.value, letter.timestamp) == (b"k3", b"3", 1_000_000_003_000)
    headers = dict(letter.headers)
    assert headers.pop("trace") == b"\x00\xff"
    traceback = headers.pop("faust-dlq-traceback").decode()
    assert traceback.endswith("ValueError: no threes\n")
    assert headers.pop("faust-dlq-time").endswith(b"+00:00")
    assert headers == {
        "faust-dlq-app": b"shop",
        "faust-dlq-agent": b"process",
        "faust-dlq-topic": b"numbers",
        "faust-dlq-partition": b"0",
        "faust-dlq-offset": b"3",
        "faust-dlq-kind": b"agent",
        "faust-dlq-error": b"ValueError",
        "faust-dlq-message": b"no threes",
        "faust-dlq-attempts": b"1",
    }


@virtual
async def test_what_cannot_be_decoded_keeps_its_bytes(world: World) -> None:
    app, seen = world.app(), []
    topic = app.topic("numbers", partitions=1, internal=True, key_type=int, value_type=int)

    @app.agent(topic, name="process", decode_error_policy=faust.DeadLetter("broken"))
    async def process(stream: Any) -> None:
        async for event in stream.events():
            seen.append((event.key, event.value))

    async with app:
        await topic.send(1, key=1)
        await topic.send(b"{not json", key=2, value_serializer="raw")
        await topic.send(3, key=b"\xff", key_serializer="raw")
        await topic.send(4, key=4)
        await until(lambda: app.committed_position(NUMBERS) == 4)
    assert seen == [(1, 1), (4, 4)]
    value, key = sorted(world.records("broken"), key=lambda r: r.value)[::-1]
    assert (value.key, value.value) == (b"2", b"{not json")
    assert (key.key, key.value) == (b"\xff", b"3")
    assert headers_of(value)["faust-dlq-kind"] == "decode"
    assert headers_of(value)["faust-dlq-error"] == "faust.exceptions.ValueDecodeError"
    assert headers_of(key)["faust-dlq-error"] == "faust.exceptions.KeyDecodeError"


@virtual
async def test_of_a_list_only_the_event_that_fails_is_a_dead_letter(world: World) -> None:
    app, seen = world.app(), []
    topic = app.topic("numbers", partitions=1, internal=True, value_type=int)

    @app.agent(topic, name="process", error_policy=faust.Retry(2, 0.1, then="dead_letter"))
    async def process(stream: Any) -> None:
        async for values in stream.take(4, within=1):
            seen.append(values)
            if 2 in values:
                raise ValueError("no twos")

    async with app:
        await send_all(topic, range(6), partition=0)
        await until(lambda: app.committed_position(NUMBERS) == 6)
    assert seen == [[0, 1, 2, 3]] * 3 + [[0], [1]] + [[2]] * 3 + [[3], [4, 5]]
    (letter,) = world.records("shop-process-dead-letters")
    assert letter.value == b"2"
    assert headers_of(letter)["faust-dlq-attempts"] == "3"


@virtual
async def test_an_event_that_hangs_is_cancelled_and_goes_the_way_of_an_exception(
    world: World,
) -> None:
    import asyncio

    app, seen = world.app(), []
    topic = app.topic("numbers", partitions=1, internal=True, value_type=int)

    @app.agent(topic, name="process", error_policy="dead_letter", event_timeout=30)
    async def process(values: Any) -> None:
        async for value in values:
            if value == 2:
                await asyncio.Event().wait()
            seen.append(value)

    async with app:
        await send_all(topic, range(5), partition=0)
        await until(lambda: app.committed_position(NUMBERS) == 5)
    assert seen == [0, 1, 3, 4]
    (letter,) = world.records("shop-process-dead-letters")
    assert headers_of(letter)["faust-dlq-error"] == "faust.exceptions.EventTimeout"


@virtual
async def test_an_event_comes_back_from_a_retry_topic_while_others_go_on(world: World) -> None:
    app, seen, tried = world.app(), [], []
    topic = app.topic("numbers", partitions=1, internal=True, value_type=int)
    sums = app.Table("sums", default=int, key_type=str, value_type=int)
    policy = faust.Retry(3, 60, topic=True, then="dead_letter")

    @app.agent(topic, name="process", error_policy=policy)
    async def process(values: Any) -> None:
        async for value in values:
            sums["all"] += value
            if value in (1, 2):
                tried.append((value, round(app.clock.monotonic())))
                if value == 1 or len([v for v, _ in tried if v == 2]) < 3:
                    raise ValueError(value)
            seen.append(value)

    async with app:
        began = round(app.clock.monotonic())
        await send_all(topic, range(5), partition=0)
        await until(lambda: len(seen) == 3)
        assert seen == [0, 3, 4]
        assert app.clock.monotonic() - began < 10
        await until(lambda: len(seen) == 4)
        await until(lambda: process.dead_lettered)
        await until(lambda: app.committed_position(RETRIES) == 6)
        assert dict(sums.items()) == {"all": 0 + 2 + 3 + 4}
    assert [when - began for value, when in tried if value == 1] == [0, 60, 120, 180]
    (letter,) = world.records("shop-process-dead-letters")
    headers = headers_of(letter)
    assert (letter.value, headers["faust-dlq-attempts"]) == (b"1", "4")
    assert (headers["faust-dlq-topic"], headers["faust-dlq-offset"]) == ("numbers", "1")
    assert not any(name.startswith("faust-retry") for name in headers)


def produce_faults(world: World, topic: str, error: Exception) -> Any:
    """Let every batch for a topic fail until the fault is taken away."""

    def before(request: Any) -> None:
        if request.kind == "produce" and getattr(request.subject, "topic", "") == topic:
            raise error

    world.broker.faults.before = before
    return before


@virtual
async def test_a_topic_for_dead_letters_that_is_away_holds_the_event_back(world: World) -> None:
    app, seen = world.app(agent_error_policy="dead_letter"), []
    topic = app.topic("numbers", partitions=1, internal=True, value_type=int)

    @app.agent(topic, name="process", event_timeout=5)
    async def process(values: Any) -> None:
        async for value in values:
            if value == 2:
                raise ValueError("no twos")
            seen.append(value)

    async with app:
        produce_faults(world, "shop-process-dead-letters", BrokerUnavailable("no leader"))
        await send_all(topic, range(5), partition=0)
        await until(lambda: len(seen) == 2)
        await app.clock.sleep(60)
        assert seen == [0, 1]
        assert app.committed_position(NUMBERS) == 2
        assert world.records("shop-process-dead-letters") == []
        assert app.failure is None
        world.broker.faults.before = None
        await until(lambda: app.committed_position(NUMBERS) == 5)
    assert seen == [0, 1, 3, 4]
    assert [r.value for r in world.records("shop-process-dead-letters")] == [b"2"]


@virtual
async def test_a_topic_for_dead_letters_that_may_not_be_written_stops_the_worker(
    world: World,
) -> None:
    app = world.app(agent_error_policy="dead_letter")
    topic = app.topic("numbers", partitions=1, internal=True, value_type=int)

    @app.agent(topic, name="process")
    async def process(values: Any) -> None:
        async for _ in values:
            raise ValueError("no")

    async with app:
        produce_faults(world, "shop-process-dead-letters", TopicAuthorizationFailed("not yours"))
        await send_all(topic, [1], partition=0)
        failure = await fails(app)
    assert isinstance(failure, AgentFailed)
    assert "the dead letter of agent process for numbers-0@0 cannot be put into topic" in str(
        failure
    )
    assert "not yours" in str(failure)
    assert world.committed().get(NUMBERS, 0) == 0


@virtual
async def test_a_letter_that_is_too_large_goes_without_its_traceback(world: World) -> None:
    app = world.app(
        agent_error_policy="dead_letter",
        producer_max_request_size=20_000,
        producer_max_batch_size=19_000,
    )
    topic = app.topic("numbers", partitions=1, internal=True, value_serializer="raw")

    @app.agent(topic, name="process")
    async def process(values: Any) -> None:
        async for value in values:
            raise ValueError("x" * 900 if value else "")

    async with app:
        await topic.send(bytes(19_000), partition=0)
        await until(lambda: app.committed_position(NUMBERS) == 1)
    (letter,) = world.records("shop-process-dead-letters")
    headers = headers_of(letter)
    assert letter.value == bytes(19_000)
    assert headers["faust-dlq-error"] == "ValueError"
    assert "faust-dlq-traceback" not in headers


@virtual
async def test_an_event_is_not_handled_twice_that_was_put_aside_before_a_crash(
    world: World,
) -> None:
    """Put aside, not committed, and read again by the next worker, for which it would succeed."""
    world.create("numbers", 1)

    def new_app(broken: bool) -> tuple[faust.App, Any]:
        app = world.app(broker_commit_interval=1000.0 if broken else 0.2)
        sums = app.Table("sums", default=int, key_type=str, value_type=int)
        topic = app.topic("numbers", value_type=int)
        policy = faust.Retry(3, 20, topic=True)

        @app.agent(topic, name="process", error_policy=policy)
        async def process(values: Any) -> None:
            async for value in values:
                sums["all"] += value
                if broken and value in (10, 1000):
                    raise ValueError(value)

        return app, sums

    app, _ = new_app(broken=True)
    await app.start()
    await send_all(app.topic("numbers", value_type=int), [1, 10, 100, 1000], partition=0)
    await until(lambda: len(world.records(RETRIES.topic)) == 3)
    for client in list(world.broker.clients):
        world.broker.faults.kill(client.name)
    again, sums = new_app(broken=False)
    async with again:
        await until(lambda: again.committed_position(RETRIES) == 4)
        assert dict(sums.items()) == {"all": 1111}


@virtual
async def test_what_was_put_aside_twice_because_an_answer_was_lost_comes_back_once(
    world: World,
) -> None:
    """(simulation: scenario poison, seed 19)"""
    app = world.app()
    topic = app.topic("numbers", partitions=1, internal=True, value_type=int)
    sums = app.Table("sums", default=int, key_type=str, value_type=int)
    failing = [True]

    @app.agent(topic, name="process", error_policy=faust.Retry(2, 10, topic=True))
    async def process(values: Any) -> None:
        async for value in values:
            sums["all"] += value
            if value and failing[0]:
                raise ValueError(value)

    def after(request: Any) -> None:
        if request.kind == "produce" and request.subject == RETRIES:
            world.broker.faults.after = None
            raise BrokerUnavailable("the answer is lost")

    async with app:
        await send_all(topic, [0], partition=0)
        await until(lambda: app.committed_position(RETRIES) == 1)
        world.broker.faults.after = after
        await send_all(topic, [7], partition=0)
        await until(lambda: len(world.records(RETRIES.topic)) == 3)
        failing[0] = False
        await until(lambda: app.committed_position(RETRIES) == 3)
        assert dict(sums.items()) == {"all": 7}


@virtual
async def test_a_copy_that_a_replaced_worker_sends_late_is_not_counted_again(world: World) -> None:
    """(simulation: scenario poison, seed 41074)

    A worker was suspended past its session while it put an event aside; its successor had looked
    into the retry topic by then, and had handled the event itself.
    """
    app, copy = world.app(), {"topic": "numbers", "partition": "0", "from": "numbers@0"}
    topic = app.topic("numbers", partitions=1, internal=True, value_type=int)
    sums = app.Table("sums", default=int, key_type=str, value_type=int)

    @app.agent(topic, name="process", error_policy=faust.Retry(2, 10, topic=True))
    async def process(values: Any) -> None:
        async for value in values:
            sums["all"] += value

    async with app:
        await send_all(topic, [7], partition=0)
        await until(lambda: app.committed_position(NUMBERS) == 1)
        copy |= {"offset": "0", "number": "1", "attempts": "1", "not-before": "0"}
        copy["generation"] = str(app.consumer_generation_id - 1)
        headers = {f"faust-retry-{name}": text.encode() for name, text in copy.items()}
        await send_all(app.topic(RETRIES.topic, value_type=int), [7], partition=0, headers=headers)
        await until(lambda: app.committed_position(RETRIES) == 2)
        assert dict(sums.items()) == {"all": 7}


@virtual
async def test_a_retry_topic_that_is_older_than_the_group_loses_nothing(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Generations begin at 1 again when a group was deleted."""
    world.create("numbers", 1)
    world.create(RETRIES.topic, 1)
    app = world.app()
    topic = app.topic("numbers", value_type=int)
    sums = app.Table("sums", default=int, key_type=str, value_type=int)
    failing = {1, 2, 3}

    @app.agent(topic, name="process", error_policy=faust.Retry(2, 10, topic=True))
    async def process(values: Any) -> None:
        async for value in values:
            sums["all"] += value
            if value in failing:
                failing.discard(value)
                raise ValueError(value)

    sender, mark = world.app("sender"), {"faust-retry-generation": b"99"}
    await sender.start_client()
    await send_all(sender.topic(RETRIES.topic, value_type=int), [0], partition=0, headers=mark)
    await sender.stop()
    async with app:
        await send_all(topic, [1, 2, 3], partition=0)
        await until(lambda: app.committed_position(RETRIES) == 5)
        assert dict(sums.items()) == {"all": 6}
    said = [r.getMessage() for r in caplog.records if "generation 99" in r.getMessage()]
    assert len(said) == 2, said
    assert "it waits until the group of shop has told whether the task is still ours" in said[0]
    assert "was it deleted?" in said[1]


@virtual
async def test_a_generation_that_one_retry_topic_tells_of_is_not_held_against_another(
    world: World,
) -> None:
    """An agent with `group_by` has two: what it wrote into the first was void by its own number."""
    world.create("numbers", 1)
    world.create(RETRIES.topic, 1)
    app = world.app(topic_partitions=1)
    topic, failing, seen = app.topic("numbers", value_type=int), {1, 2}, []

    def key_of(value: int) -> int:
        if value in failing:
            failing.discard(value)
            raise ValueError(value)
        return value

    @app.agent(topic, name="process", error_policy=faust.Retry(2, 10, topic=True))
    async def process(values: Any) -> None:
        async for value in values.group_by(key_of, name="k"):
            seen.append(value)

    sender, mark = world.app("sender"), {"faust-retry-generation": b"99"}
    await sender.start_client()
    await send_all(sender.topic(RETRIES.topic, value_type=int), [0], partition=0, headers=mark)
    await sender.stop()
    async with app:
        await send_all(topic, [3], partition=0)
        await until(lambda: seen == [3])  # by then it has looked into both of them
        await send_all(topic, [1, 2], partition=0)
        await until(lambda: app.committed_position(RETRIES) == 4)
        await app.clock.sleep(1)
    assert sorted(seen) == [1, 2, 3]


LATER = TP("later", 0)


def adding_up(world: World, id: str, failing: set[int], **settings: Any) -> tuple[faust.App, Any]:
    """An app that adds up numbers, and puts aside into one topic what fails for the first time."""
    app = world.app(id, **settings)
    sums = app.Table("sums", default=int, key_type=str, value_type=int)
    policy = faust.Retry(2, 10, topic=LATER.topic)

    @app.agent(app.topic("numbers", value_type=int), name="process", error_policy=policy)
    async def process(values: Any) -> None:
        async for value in values:
            sums["all"] += value
            if value in failing:
                failing.discard(value)
                raise ValueError(value)

    return app, sums


@virtual
async def test_the_marks_of_another_app_hid_what_was_put_aside(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Generations of two groups were compared, where both were given one retry topic."""
    world.create("numbers", 1)
    world.create("later", 1)
    app, sums = adding_up(world, "shop", {1, 2, 3})
    async with app:
        await send_all(app.topic("numbers"), [0], partition=0)
        await until(lambda: app.committed_position(NUMBERS) == 1)  # it has looked by then
        mark = {"faust-retry-group": b"till", "faust-retry-generation": b"99"}
        await send_all(app.topic("later", value_type=int), [0], partition=0, headers=mark)
        await send_all(app.topic("numbers"), [1, 2, 3], partition=0)
        await until(lambda: app.committed_position(LATER) == 5)
        assert dict(sums.items()) == {"all": 6}
    said = [r.getMessage() for r in caplog.records if "'till'" in r.getMessage()]
    assert len(said) == 1, said
    assert "app 'till' puts events into retry topic later, too (later-0@1)" in said[0]


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])
def test_apps_with_one_retry_topic_handled_what_the_other_had_put_aside(
    world: World, guarantee: str
) -> None:
    @virtual
    async def run() -> None:
        world.create("numbers", 1)
        world.create("later", 1)
        shop, of_shop = adding_up(world, "shop", {1, 2, 3}, processing_guarantee=guarantee)
        till, of_till = adding_up(world, "till", {3, 4}, processing_guarantee=guarantee)
        async with shop, till:
            await send_all(shop.topic("numbers"), [1, 2, 3, 4], partition=0)
            await until(lambda: (dict(of_shop.items()), dict(of_till.items())) == (
                {"all": 10}, {"all": 10},
            ))  # fmt: skip
            await shop.clock.sleep(30)
            assert (dict(of_shop.items()), dict(of_till.items())) == ({"all": 10}, {"all": 10})
            end = len(world.records("later"))
            assert end >= 5
            await until(lambda: shop.committed_position(LATER) == till.committed_position(LATER))

    run()


@virtual
async def test_events_that_were_put_aside_before_records_named_their_group_come_back(
    world: World,
) -> None:
    world.create("numbers", 1)
    world.create("later", 1)
    sender = world.app("sender")
    await sender.start_client()
    topic, copy = sender.topic("later", value_type=int), {"topic": "numbers", "partition": "0"}
    await send_all(topic, [0], partition=0, headers={"faust-retry-generation": b"1"})
    copy |= {"from": "numbers@0", "offset": "0", "number": "1", "attempts": "1"}
    copy |= {"not-before": "0", "generation": "1"}
    headers = {f"faust-retry-{name}": text.encode() for name, text in copy.items()}
    await send_all(topic, [7], partition=0, headers=headers)
    await sender.stop()
    app, sums = adding_up(world, "shop", set())
    async with app:
        await send_all(app.topic("numbers"), [7], partition=0)  # the event itself, not committed
        await until(lambda: app.committed_position(LATER) == 3)
        assert dict(sums.items()) == {"all": 7}


# -- what does not go together ----------------------------------------------------------------


async def _does_nothing(stream: Any) -> None:
    async for _ in stream:
        pass


@pytest.mark.parametrize(
    ("channel", "options", "words"),
    [
        ("channel", {"error_policy": "dead_letter"}, "reads a channel in memory"),
        ("pattern", {"error_policy": faust.Retry(1, topic=True)}, "by pattern"),
        (
            "numbers",
            {"error_policy": faust.Retry(1, topic=True), "isolated_partitions": True},
            "isolated_partitions",
        ),
        ("numbers", {"error_policy": faust.DeadLetter("numbers")}, "fail again for ever"),
        ("numbers", {"decode_error_policy": faust.DeadLetter("numbers")}, "fail again for ever"),
        ("numbers", {"error_policy": faust.Retry(1, topic="numbers")}, "each needs its own"),
        ("both", {"error_policy": faust.Retry(1, topic="later")}, "each needs its own"),
    ],
)
def test_what_does_not_go_together_is_refused_at_the_start(
    world: World, channel: str, options: dict[str, Any], words: str
) -> None:
    @virtual
    async def run() -> None:
        world.create("numbers")
        world.create("others")
        app = world.app()
        channels: dict[str, Any] = {
            "channel": lambda: app.channel(),
            "pattern": lambda: app.topic(pattern="numb.*"),
            "numbers": lambda: app.topic("numbers"),
            "both": lambda: app.topic("numbers", "others"),
        }
        app.agent(channels[channel](), name="process", **options)(_does_nothing)
        with pytest.raises(ImproperlyConfigured, match=words):
            await app.start()
        await app.stop()

    run()


@virtual
async def test_two_agents_of_an_app_with_one_retry_topic_were_not_refused(world: World) -> None:
    """Each handled what the other had put aside."""
    world.create("numbers")
    world.create("others")
    app = world.app(agent_error_policy=faust.Retry(1, topic="later"))
    app.agent(app.topic("numbers"), name="one")(_does_nothing)
    app.agent(app.topic("others"), name="two")(_does_nothing)
    words = r"agents 'one' and 'two' have one retry topic, 'later'.*faust\.Retry\(n, topic=True\)"
    with pytest.raises(ImproperlyConfigured, match=words):
        await app.start()
    await app.stop()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"error_policy": "shrug"}, ValueError, "agent 'process': error_policy must be one of"),
        ({"error_policy": 3}, TypeError, "agent 'process': error_policy must be one of"),
        ({"decode_error_policy": faust.Retry(1)}, ValueError, "decode_error_policy"),
        ({"event_timeout": 0}, ImproperlyConfigured, "event_timeout must be above 0"),
        ({"event_timeout": "x"}, ImproperlyConfigured, "event_timeout must be above 0"),
    ],
)
def test_a_wrong_argument_is_named_where_the_agent_is_defined(
    options: dict[str, Any], error: type[Exception], words: str
) -> None:
    app = faust.App("shop", broker="memory://never")
    with pytest.raises(error, match=words):
        app.agent(name="process", **options)(_does_nothing)


@virtual
async def test_a_retry_topic_with_other_partitions_than_its_source_is_refused(
    world: World,
) -> None:
    world.create("numbers", 2)
    world.create("shop-process-numbers-retry", 3)
    app = world.app()
    policy = faust.Retry(1, topic=True)
    app.agent(app.topic("numbers"), name="process", error_policy=policy)(_does_nothing)
    with pytest.raises(PartitionsMismatch, match="has 3 partitions, but must have 2"):
        await app.start()
    await app.stop()


@virtual
async def test_what_fails_in_memory_counts_as_crash_where_the_app_wants_dead_letters(
    world: World,
) -> None:
    app = world.app(agent_error_policy="dead_letter", agent_error_retries=1)
    channel = app.channel()

    @app.agent(channel, name="process")
    async def process(values: Any) -> None:
        async for _ in values:
            raise ValueError("no")

    async with app:
        await channel.send(value=1)
        failure = await fails(app)
    assert "failed 2 times" in str(failure)
