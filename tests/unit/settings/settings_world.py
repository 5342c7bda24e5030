"""Apps on a broker in memory, in virtual time, and classes that note which methods are called."""

from __future__ import annotations

import logging
import sys
import types
import warnings
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import pytest

import faust
from faust.transport.drivers.memory import MemoryTransport
from tests.unit.vocabulary.vocabulary_world import World, fails, send_all, until, virtual

__all__ = [
    "EFFECTS",
    "World",
    "as_path",
    "asked_for",
    "effect_of",
    "fails",
    "run_whole",
    "send_all",
    "spy_on",
    "until",
    "virtual",
    "warnings_in",
    "whole_app",
]

F = TypeVar("F", bound=Callable[..., Any])

#: A module in which classes are put, so that they have a path.
MODULE = "classes_of_these_tests"


def spy_on(base: type, method: str, called: list[str]) -> type:
    """Return a subclass that notes when one of its methods is called, and does the same."""

    def override(self: Any, *args: Any, **kwargs: Any) -> Any:
        called.append(method)
        return getattr(base, method)(self, *args, **kwargs)

    body: dict[str, Any] = {method: override, "__module__": MODULE, "abstract": False}
    with warnings.catch_warnings():
        # aiohttp would rather not have its client subclassed; the guide does it.
        warnings.simplefilter("ignore", DeprecationWarning)
        return type(f"My{base.__name__}", (base,), body)


def as_path(cls: type, sep: str = ":") -> str:
    """Put a class into a module, and return its path."""
    module = sys.modules.setdefault(MODULE, types.ModuleType(MODULE))
    setattr(module, cls.__name__, cls)
    return f"{MODULE}{sep}{cls.__name__}"


def whole_app(world: World, **settings: Any) -> faust.App:
    """Return an app that has one of everything."""
    app = world.app(**settings)
    orders = app.topic("orders", key_type=str, value_type=str, internal=True, partitions=2)
    counts = app.Table("counts", default=int)
    tags = app.SetTable("tags")
    customers = app.Set("customers", key_type=str)
    rates = app.GlobalTable("rates")
    groups = app.SetGlobalTable("groups")

    @app.agent(orders, name="count")
    async def count(stream: Any) -> Any:
        async for event in stream.events():
            counts[event.key] += 1
            tags[event.key].add(event.value)
            customers.add(event.key)
            rates[event.key] = event.value
            groups[event.key].add(event.value)
            await event.ack()
            yield event.value

    return app


async def run_whole(world: World, app: faust.App) -> None:
    """Start it, send something, wait until that was committed, stop."""
    async with app:
        await send_all(app.topic("orders", key_type=str), ["a", "b"], key="k")
        await app.agents["count"].ask("c", key="k")
        await until(lambda: sum(o for tp, o in world.committed().items() if "orders" in tp) == 3)


def warnings_in(caplog: pytest.LogCaptureFixture) -> str:
    """Return all that was warned of in the log."""
    return "\n".join(r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING)


# -- which test shows the effect of which setting ------------------------------------------------

#: Setting -> names of the tests that show its effect.
EFFECTS: dict[str, list[str]] = {}


def effect_of(*names: str) -> Callable[[F], F]:
    """Note that a test shows the effect of these settings."""

    def note(test: F) -> F:
        for name in names:
            EFFECTS.setdefault(name, []).append(test.__name__)
        return test

    return note


class SpyingTransport(MemoryTransport):
    """The broker in memory; notes what it is made with, and asked for."""

    made_with: ClassVar[dict[str, Any]] = {}

    def __init__(self, urls: Any, options: Any) -> None:
        super().__init__(urls, options)
        self.made_with["transport"] = options

    def reader(self, options: Any) -> Any:
        self.made_with["reader"] = options
        return super().reader(options)

    def producer(self, options: Any) -> Any:
        self.made_with.setdefault("producer", options)  # another one may be for changelogs
        return super().producer(options)

    def membership(self, options: Any) -> Any:
        self.made_with["membership"] = options
        return super().membership(options)


async def asked_for(world: World, **settings: Any) -> dict[str, Any]:
    """Start an app with a transport that spies, and return what it was asked for."""
    SpyingTransport.made_with.clear()
    scheme = as_path(SpyingTransport, ".")
    app = whole_app(world, broker=f"{scheme}://{world.name}", **settings)
    async with app:
        pass
    return dict(SpyingTransport.made_with)
