"""`faust.testing.running`: a whole app in a test."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import faust
from faust.testing import VirtualClock, memory_broker, run_virtual, running


def counting_app() -> tuple[faust.App, Any, Any]:
    app = faust.App("counted", broker="kafka://nowhere.invalid", store="rocksdb://", web_port=1)
    numbers = app.topic("numbers", key_type=str, value_type=int, internal=True, partitions=2)
    sums = app.Table("sums", key_type=str, value_type=int, default=int)

    @app.agent(numbers)
    async def add(stream: faust.Stream[int]) -> None:
        async for key, number in stream.items():
            sums[key] += number

    @app.timer(60.0)
    async def every_minute() -> None:
        await numbers.send(1, key="minutes")

    return app, numbers, sums


def settings_of(app: faust.App) -> list[Any]:
    conf = app.conf
    told = [conf.datadir, conf.tabledir, conf.store, conf.web_enabled]
    return [app.clock, app.make_bridge, app.make_transport, *told]


def test_an_app_runs_in_virtual_time_whatever_its_settings_say_and_is_as_before_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    app, numbers, sums = counting_app()
    before = settings_of(app)

    async def scenario() -> None:
        async with running(app):
            assert app.clock is VirtualClock.current()
            await numbers.send(5, key="a")
            await asyncio.sleep(3605)
            assert (sums["a"], sums["minutes"]) == (5, 60)

    run_virtual(scenario())
    assert settings_of(app) == before
    assert list(tmp_path.iterdir()) == []


def test_an_app_that_runs_twice_on_one_broker_finds_its_tables_and_on_another_it_does_not() -> None:
    app, numbers, sums = counting_app()

    async def scenario() -> None:
        async with memory_broker(clock=VirtualClock.current()) as broker:
            async with running(app, broker=broker):
                await numbers.send(5, key="a")
                await asyncio.sleep(1)
            async with running(app, broker=broker):
                assert sums["a"] == 5
        async with running(app):
            assert "a" not in sums

    run_virtual(scenario())


def test_what_is_raised_in_the_block_comes_out_of_it_and_the_app_is_as_before() -> None:
    app, _numbers, _sums = counting_app()
    before = settings_of(app)

    async def scenario() -> None:
        with pytest.raises(ZeroDivisionError):
            async with running(app):
                raise ZeroDivisionError

    run_virtual(scenario())
    assert settings_of(app) == before
