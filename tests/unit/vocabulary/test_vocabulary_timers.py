"""Timers, crontabs and tasks as they run: pace, drift, failures, and who leads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from vocabulary_world import World, fails, send_all, until, virtual

import faust
from faust._engine.registry import TimerSpec
from faust._engine.timers import Background
from faust.exceptions import ImproperlyConfigured
from faust.testing.clock import EPOCH, VirtualClock


class Bench:
    """What runs timers, alone, in virtual time."""

    def __init__(self) -> None:
        self.clock = VirtualClock.current()
        self.crashes: list[BaseException] = []
        self.background = Background(self, self.clock, lambda: True, self.crashes.append)

    async def run(self, seconds: float, *specs: TimerSpec) -> None:
        """Run timers for that long."""
        self.background.start([], list(specs))
        await self.clock.sleep(seconds)
        await self.background.stop()

    def set_clock(self, local: str, zone: ZoneInfo) -> None:
        """Set the wall clock."""
        wanted = datetime.fromisoformat(local).replace(tzinfo=zone).timestamp()
        self.clock.jump(wanted - self.clock.time())


# -- timers ----------------------------------------------------------------------------------


@virtual
async def test_over_hours_a_timer_runs_exactly_as_often_as_the_interval_says() -> None:
    """Each wake-up is late and each run takes time: neither adds up."""
    turns: list[float] = []
    bench = Bench()

    async def work() -> None:
        turns.append(bench.clock.monotonic())
        await bench.clock.sleep(0.013 + (len(turns) % 7) * 0.1)

    begin = bench.clock.monotonic()
    await bench.run(7200.5, TimerSpec(work, "work", interval=0.9))
    assert len(turns) == 8000
    assert turns[-1] - begin == pytest.approx(8000 * 0.9, abs=1e-4)
    assert max(b - a for a, b in pairwise(turns)) == pytest.approx(0.9, abs=1e-4)


@virtual
async def test_a_late_run_is_made_up_for_by_as_much_as_max_drift_correction_at_a_time() -> None:
    turns: list[float] = []
    bench = Bench()
    sleeper = bench.clock.sleep

    async def late_once(seconds: float) -> None:
        await sleeper(seconds + (0.25 if len(turns) == 1 else 0.0))

    bench.clock.sleep = late_once  # type: ignore[method-assign]

    async def work() -> None:
        turns.append(bench.clock.monotonic())

    spec = TimerSpec(work, "work", interval=10.0, max_drift_correction=0.1)
    bench.background.start([], [spec])
    await sleeper(65)
    await bench.background.stop()
    assert turns == pytest.approx([10, 20.25, 30.15, 40.05, 50, 60], abs=1e-3)


@virtual
async def test_runs_of_a_timer_never_overlap() -> None:
    bench, under_way, most = Bench(), 0, 0

    async def work() -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await bench.clock.sleep(3.3)
        under_way -= 1

    await bench.run(60, TimerSpec(work, "work", interval=1.0))
    assert most == 1


@virtual
async def test_a_timer_takes_an_interval_of_any_kind_a_name_and_the_app(world: World) -> None:
    runs: list[Any] = []
    app = world.app()

    @app.timer(timedelta(minutes=1), name="minutely")
    async def minutely(given: faust.App) -> None:
        runs.append((given, round(app.clock.monotonic() - began)))

    @app.timer(interval=90.0)
    def not_async() -> None:
        runs.append((None, round(app.clock.monotonic() - began)))

    async with app:
        began = app.clock.monotonic()
        assert "timer:minutely" in {task.get_name() for task in asyncio.all_tasks()}
        await asyncio.sleep(125)
    assert runs == [(app, 60), (None, 90), (app, 120)]


@pytest.mark.parametrize("what", ["task", "timer", "crontab"])
@pytest.mark.parametrize("how", ["raises", "is cancelled"])
@virtual
async def test_what_fails_in_the_background_stops_the_worker(
    world: World, caplog: pytest.LogCaptureFixture, what: str, how: str
) -> None:
    app = world.app()
    given = {"task": app.task, "timer": app.timer(1.0), "crontab": app.crontab("* * * * *")}

    @given[what]
    async def broken() -> None:
        if how == "raises":
            raise KeyError("broken")
        waited_for = asyncio.get_running_loop().create_future()
        waited_for.cancel()
        await waited_for

    async with app:
        error = await fails(app)
    assert "broken" in str(error)
    assert isinstance(error, KeyError if how == "raises" else RuntimeError)
    assert any("broken failed" in record.message for record in caplog.records)


@virtual
async def test_nothing_runs_before_the_tables_are_restored(world: World) -> None:
    """Task, timer and crontab find in the table what an earlier run wrote."""
    app = world.app()
    table = app.Table("sums", default=int, partitions=2)

    @app.agent(app.topic("numbers", internal=True, partitions=2, value_type=int))
    async def add(numbers: Any) -> None:
        async for number in numbers:
            table["sum"] += number

    found: list[Any] = []
    reading = False

    @app.task
    async def task() -> None:
        if reading:
            found.append(("task", table["sum"], app.not_ready_because()))

    @app.timer(1.0)
    async def timer() -> None:
        if reading:
            found.append(("timer", table["sum"], app.not_ready_because()))

    async with app:
        await send_all(app.topic("numbers", value_type=int), [1, 2, 3], key="sum")
        await until(lambda: table.get("sum") == 6)
    reading = True
    async with app:
        await until(lambda: len(found) >= 2)
    assert [each[:2] for each in found[:2]] == [("task", 6), ("timer", 6)]
    assert found[1][2] == ""


# -- crontabs --------------------------------------------------------------------------------

BERLIN = ZoneInfo("Europe/Berlin")  # 31 March 2024: 02:00 -> 03:00; 27 October: 03:00 -> 02:00


@pytest.mark.parametrize(
    ("entry", "begin", "expected"),
    [
        ("30 2 * * *", "2024-03-30T00:00", ["30 02:30", "31 03:00", "01 02:30"]),
        ("30 2 * * *", "2024-10-26T00:00", ["26 02:30", "27 02:30", "28 02:30"]),
        ("0 12 * * *", "2024-10-26T00:00", ["26 12:00", "27 12:00", "28 12:00"]),
        ("0 12 * * * 30", "2024-10-26T00:00", ["26 12:00", "27 12:00", "28 12:00"]),  # :30 s
    ],
)
@virtual
async def test_over_a_change_of_the_clocks_a_daily_crontab_runs_once_a_day(
    entry: str, begin: str, expected: list[str]
) -> None:
    bench, seen = Bench(), []
    bench.set_clock(begin, BERLIN)

    async def work() -> None:
        seen.append(datetime.fromtimestamp(bench.clock.time(), BERLIN).strftime("%d %H:%M"))

    await bench.run(3 * 86_400, TimerSpec(work, "work", cron=entry, timezone=BERLIN))
    assert seen == expected


@pytest.mark.parametrize(("begin", "hours"), [("2024-03-31T00:00", 23), ("2024-10-27T00:00", 25)])
@virtual
async def test_a_crontab_of_every_half_hour_runs_in_every_half_hour_that_there_is(
    begin: str, hours: int
) -> None:
    bench, seen = Bench(), []
    bench.set_clock(begin, BERLIN)

    async def work() -> None:
        seen.append(bench.clock.time())

    first = bench.clock.time()
    await bench.run(hours * 3600 + 1, TimerSpec(work, "w", cron="*/30 * * * *", timezone=BERLIN))
    offsets = [round(each - first) for each in seen]
    assert offsets == [1800 * n for n in range(1, 2 * hours + 1)]


@virtual
async def test_a_wall_clock_that_is_set_forward_is_noticed_and_back_runs_nothing_twice() -> None:
    bench, seen = Bench(), []
    bench.set_clock("2024-06-01T08:00", BERLIN)

    async def work() -> None:
        seen.append(datetime.fromtimestamp(bench.clock.time(), BERLIN).strftime("%d %H:%M"))

    bench.background.start([], [TimerSpec(work, "w", cron="0 12 * * *", timezone=BERLIN)])
    await bench.clock.sleep(60)
    bench.clock.jump(3.5 * 3600)  # to 11:31
    await bench.clock.sleep(1800)
    assert seen == ["01 12:00"]
    bench.clock.jump(-3600)
    await bench.clock.sleep(86_400)
    await bench.background.stop()
    assert seen == ["01 12:00"]


@virtual
async def test_a_crontab_that_runs_too_long_leaves_out_what_it_missed() -> None:
    bench, seen = Bench(), []
    bench.set_clock("2024-06-01T08:00:30", BERLIN)

    async def work() -> None:
        seen.append(datetime.fromtimestamp(bench.clock.time(), BERLIN).strftime("%H:%M"))
        await bench.clock.sleep(150 if len(seen) == 1 else 1)

    await bench.run(400, TimerSpec(work, "w", cron="* * * * *", timezone=BERLIN))
    assert seen == ["08:01", "08:04", "08:05", "08:06", "08:07"]


@pytest.mark.parametrize(
    ("options", "hour"),
    [
        ({"tz": "Asia/Tokyo"}, 0),
        ({"timezone": "Asia/Tokyo"}, 0),
        ({"tz": ZoneInfo("Asia/Tokyo")}, 0),
        ({}, 7),
        ({"timezone": "UTC"}, 9),
    ],
)
@virtual
async def test_a_crontab_means_its_own_zone_or_that_of_the_app(
    world: World, options: dict[str, Any], hour: int
) -> None:
    """(pitfalls C55, D)"""
    app, hours = world.app(timezone="Europe/Berlin"), []
    VirtualClock.current().jump(
        datetime.fromisoformat("2024-06-01T00:00+09:00").timestamp() - EPOCH
    )

    @app.crontab("0 9 * * *", **options)
    async def at_nine() -> None:
        hours.append(datetime.fromtimestamp(app.clock.time(), ZoneInfo("UTC")).hour)

    async with app:
        await asyncio.sleep(86_400)
    assert hours == [hour]


def test_a_crontab_that_cannot_be_is_refused_with_the_reason() -> None:
    app = faust.App("shop", broker="memory://never")
    with pytest.raises(ImproperlyConfigured, match=r"'61 \* \* \* \*' .*out of range"):
        app.crontab("61 * * * *")
    with pytest.raises(ImproperlyConfigured, match="it has 3 fields"):
        app.crontab("* * *")
    with pytest.raises(ImproperlyConfigured, match="no time zone 'Mars'"):
        app.crontab("* * * * *", timezone="Mars")
    with pytest.raises(ImproperlyConfigured, match="a tzinfo or the name of a zone"):
        app.crontab("* * * * *", timezone=3)
    with pytest.raises(TypeError, match="either timezone or tz"):
        app.crontab("* * * * *", timezone="UTC", tz="UTC")


# -- leadership ------------------------------------------------------------------------------


def _declare(app: faust.App, ran: Callable[[str], None]) -> None:
    @app.task(on_leader=True)
    async def once() -> None:
        ran("task")

    @app.timer(10.0, on_leader=True)
    async def timer() -> None:
        assert app.is_leader()
        ran("timer")

    @app.crontab("* * * * *", on_leader=True)
    async def crontab() -> None:
        assert app.is_leader()
        ran("crontab")


@virtual
async def test_what_runs_on_the_leader_goes_with_leadership(world: World) -> None:
    runs: dict[str, list[str]] = {"one": [], "two": []}
    one, two = world.app(), world.app()
    _declare(one, runs["one"].append)
    _declare(two, runs["two"].append)
    async with one:
        async with two:
            await until(lambda: one.is_leader() or two.is_leader())
            await asyncio.sleep(125)
            assert [one.is_leader(), two.is_leader()].count(True) == 1
            leading, following = ("one", "two") if one.is_leader() else ("two", "one")
            assert runs[leading].count("timer") in (11, 12, 13)
            assert runs[leading].count("crontab") == 2
            assert runs[following] == []
            leader, other = (one, two) if leading == "one" else (two, one)
            await leader.stop()
            await until(other.is_leader)
            before = len(runs[leading])
            await asyncio.sleep(125)
        assert len(runs[leading]) == before
        assert runs[following].count("timer") in (11, 12, 13)
        assert runs[following].count("crontab") == 2
        assert "task" not in runs[following]


@virtual
async def test_a_worker_without_leader_topic_never_leads(world: World) -> None:
    runs: list[str] = []
    app = world.app(topic_disable_leader=True)
    _declare(app, runs.append)
    async with app:
        await asyncio.sleep(125)
        assert not app.is_leader()
    assert runs == []
    assert app.leader.topic_name not in world.broker.describe([app.leader.topic_name])
