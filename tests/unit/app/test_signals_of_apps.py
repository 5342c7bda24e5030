"""Signals: who is called, in which order, for how long, and what is refused."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

import faust
from faust.exceptions import ImproperlyConfigured

SYNC = ["on_before_configured", "on_configured", "on_after_configured", "on_worker_init",
        "on_produce_message"]  # fmt: skip
ASYNC = ["on_partitions_assigned", "on_partitions_revoked", "on_rebalance_complete",
         "on_before_shutdown"]  # fmt: skip


class MyApp(faust.App):
    """A class of the tests' own, so that its signals are, too."""


def send(app: faust.App, name: str, *args: Any) -> None:
    result = getattr(app, name).send(app, *args)
    if result is not None:
        asyncio.run(result)


@pytest.mark.parametrize("name", [*SYNC, *ASYNC])
def test_the_class_is_told_before_the_instance_and_in_order_of_connection(name: str) -> None:
    class Own(MyApp):
        pass

    app, told = Own("a", web_enabled=False), []
    getattr(app, name).connect(lambda sender, *args, **kw: told.append("instance"))
    getattr(Own, name)(lambda sender, *args, **kw: told.append("first of class"))
    getattr(Own, name).connect(lambda sender, *args, **kw: told.append("second of class"))
    send(app, name, {})
    assert told == ["first of class", "second of class", "instance"]


@pytest.mark.parametrize("name", ASYNC)
def test_an_asynchronous_signal_waits_for_functions_of_both_kinds(name: str) -> None:
    app, told = MyApp("a", web_enabled=False), []

    async def slow(sender: Any, *args: Any, **kwargs: Any) -> None:
        await asyncio.sleep(0)
        told.append("slow")

    def quick(sender: Any, *args: Any, **kwargs: Any) -> None:
        told.append("quick")

    getattr(app, name).connect(slow)
    getattr(app, name).connect(quick)
    send(app, name, set())
    assert told == ["slow", "quick"]


@pytest.mark.parametrize("name", SYNC)
def test_a_synchronous_signal_refuses_an_async_handler_when_it_is_connected(name: str) -> None:
    async def handler(sender: Any, *args: Any, **kwargs: Any) -> None: ...

    with pytest.raises(ImproperlyConfigured, match=f"{name} is a synchronous signal.*'def'"):
        getattr(MyApp("a"), name).connect(handler)


@pytest.mark.parametrize("name", [*SYNC, *ASYNC])
def test_a_handler_without_kwargs_is_told_what_to_add_when_it_is_connected(name: str) -> None:
    def handler(sender: Any) -> None: ...

    with pytest.raises(ImproperlyConfigured, match=r"handler.*must accept \*\*kwargs"):
        getattr(MyApp("a"), name).connect(handler)


def test_a_weak_handler_is_called_for_as_long_as_it_lives() -> None:
    app, told = MyApp("a"), []

    class Listener:
        def hear(self, sender: Any, **kwargs: Any) -> None:
            told.append(sender)

    listener, other = Listener(), Listener()
    app.on_worker_init.connect(listener.hear, weak=True)
    app.on_worker_init.connect(other.hear, weak=True, sender=app)
    send(app, "on_worker_init")
    assert told == [app, app]
    del listener
    gc.collect()
    send(app, "on_worker_init")
    assert told == [app, app, app]
    del other
    gc.collect()
    send(app, "on_worker_init")
    assert len(told) == 3
    assert app.on_worker_init.handlers() == []


def test_a_strong_handler_is_called_though_nobody_else_holds_it() -> None:
    app, told = MyApp("a"), []
    app.on_worker_init.connect(lambda sender, **kwargs: told.append(1))
    gc.collect()
    send(app, "on_worker_init")
    assert told == [1]


def test_who_is_disconnected_is_not_called_also_a_method() -> None:
    app, told = MyApp("a"), []

    class Listener:
        def hear(self, sender: Any, **kwargs: Any) -> None:
            told.append("method")

    def function(sender: Any, **kwargs: Any) -> None:
        told.append("function")

    listener = Listener()
    for handler in (listener.hear, function):
        app.on_worker_init.connect(handler)
    app.on_worker_init.disconnect(listener.hear)
    send(app, "on_worker_init")
    assert told == ["function"]
    app.on_worker_init.disconnect(function)
    app.on_worker_init.disconnect(function)  # is no error
    send(app, "on_worker_init")
    assert told == ["function"]


def test_who_is_connected_twice_is_called_once() -> None:
    app, told = MyApp("a"), []

    def handler(sender: Any, **kwargs: Any) -> None:
        told.append(1)

    assert app.on_worker_init.connect(handler) is handler
    assert app.on_worker_init(handler) is handler
    send(app, "on_worker_init")
    assert told == [1]


def test_a_handler_of_the_class_may_be_for_one_sender() -> None:
    class Own(MyApp):
        pass

    one, other, told = Own("one"), Own("other"), []
    Own.on_worker_init.connect(lambda sender, **kwargs: told.append(sender), sender=one)
    send(other, "on_worker_init")
    send(one, "on_worker_init")
    assert told == [one]


def test_what_a_handler_raises_reaches_who_sends() -> None:
    """And those behind it are not called: the app is not configured by half."""
    app, told = MyApp("a"), []

    def refuse(sender: Any, **kwargs: Any) -> None:
        raise RuntimeError("not this one")

    app.on_after_configured.connect(refuse)
    app.on_after_configured.connect(lambda sender, **kwargs: told.append(1))
    with pytest.raises(RuntimeError, match="not this one"):
        _ = app.conf.id
    assert told == []


def test_a_handler_that_raises_while_partitions_are_assigned_ends_the_worker(
    tmp_path: Any,
) -> None:
    app = MyApp("a", broker="memory://signals-raise", web_enabled=False, datadir=tmp_path)

    @app.agent(app.topic("t", internal=True, partitions=1))
    async def read(stream: Any) -> None:
        async for _ in stream:
            pass

    @app.on_partitions_assigned.connect
    async def refuse(sender: Any, assigned: Any, **kwargs: Any) -> None:
        raise RuntimeError("no partitions, please")

    async def main() -> None:
        async with app:
            await asyncio.wait_for(app.failed.wait(), 90)

    with pytest.raises(RuntimeError, match="no partitions, please"):
        asyncio.run(main())


def test_the_signal_itself_is_told_to_its_handlers() -> None:
    app, told = MyApp("a"), []
    app.on_worker_init.connect(lambda sender, *, signal, **kwargs: told.append(signal))
    send(app, "on_worker_init")
    assert told == [app.on_worker_init]
