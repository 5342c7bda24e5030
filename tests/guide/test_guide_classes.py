"""Subclassing parameters: the class that the guide names is the one that works."""

from __future__ import annotations

from typing import Any

import pytest
from guide_snippets import SNIPPETS, shows
from guide_world import GuideWorld, send_all, until, virtual

import faust


class Calls:
    """Counts the calls of one method of one class, from when it is spied on."""

    def __init__(self, cls: type, method: str) -> None:
        self.cls, self.method, self.count = cls, method, 0
        original = getattr(cls, method)

        def spy(*args: Any, **kwargs: Any) -> Any:
            self.count += 1
            return original(*args, **kwargs)

        # Set on the subclass alone, as if its author had written it there.
        setattr(cls, method, spy)


async def orders(world: GuideWorld, app: faust.App) -> None:
    """Make a worker count orders, ask where a key is, and fetch a page; then stop it."""
    world.prepare(app)
    topic = app.topic("orders", key_type=str, value_type=int, internal=True, partitions=2)
    totals = app.Table("totals", default=int, key_type=str, value_type=int)
    seen = app.Set("seen", key_type=str)
    done: list[Any] = []

    @app.agent(topic, name="count")
    async def count(stream: Any) -> None:
        async for key, value in stream.items():
            totals[key] += value
            seen.add(key)
            done.append(value)

    @app.timer(1.0, on_leader=True)
    async def lead() -> None:
        done.append("led")

    async with app:
        await send_all(topic, [1, 2, 3], key="k")
        await until(lambda: {1, 2, 3, "led"} <= set(done))
        assert app.router.key_store("totals", "k") == app.conf.canonical_url
        await app.http_client.close()
        assert totals["k"] == 6
        assert "k" in seen


#: Setting -> a documented method of its class that such a run must call, and the module that the
#: guide's second snippet names.
CLASSES: dict[str, tuple[str, str]] = {
    "Agent": ("on_start", "faust.Agent"),
    "Stream": ("items", "faust.Stream"),
    "Table": ("on_key_set", "faust.Table"),
    "Set": ("add", "faust.Set"),
    "TableManager": ("on_start", "faust.tables.TableManager"),
    "Serializers": ("loads_value", "faust.serializers.Registry"),
    "PartitionAssignor": ("on_assignment", "faust.assignor.PartitionAssignor"),
    "LeaderAssignor": ("on_start", "faust.assignor.LeaderAssignor"),
    "Router": ("key_store", "faust.router.Router"),
    "TopicConductor": ("on_partitions_assigned", "faust.topics.TopicConductor"),
    "Topic": ("send", "faust.Topic"),
    "HttpClient": ("close", "aiohttp.client.ClientSession"),
    "Monitor": ("on_message_in", "faust.sensors.Monitor"),
}


def by_class(setting: str) -> faust.App:
    names = SNIPPETS[f"{setting}/1"].run(faust=faust, App=faust.App)
    return names["app"]


def by_path(world: GuideWorld, setting: str) -> faust.App:
    """Write the module whose path the guide prints, with a subclass in it, and run the snippet."""
    snippet = SNIPPETS[f"{setting}/2"]
    path = snippet.code.split(f"{setting}='")[1].split("'")[0]
    module, _, name = path.rpartition(".")
    base_module, _, base = CLASSES[setting][1].rpartition(".")
    world.module(
        module, f"from {base_module} import {base} as Base\n\n\nclass {name}(Base):\n    pass\n"
    )
    return snippet.run(faust=faust, App=faust.App)["app"]


@pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")  # aiohttp's own opinion
@pytest.mark.parametrize("setting", CLASSES)
@shows(*(f"{setting}/1" for setting in CLASSES))
@virtual
async def test_the_class_that_is_given_works(world: GuideWorld, setting: str) -> None:
    """A documented method overridden in the given class is called while a worker runs."""
    app = by_class(setting)
    # Three of the guide's snippets name the class that they import, instead of their own.
    given = getattr(app.conf, setting)
    subclass = type(given.__name__, (given,), {})
    setattr(app.conf, setting, subclass)
    calls = Calls(subclass, CLASSES[setting][0])
    await orders(world, app)
    assert calls.count > 0


@pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")  # aiohttp's own opinion
@pytest.mark.parametrize("setting", CLASSES)
@shows(*(f"{setting}/2" for setting in CLASSES))
@virtual
async def test_the_class_whose_path_is_given_works(world: GuideWorld, setting: str) -> None:
    """The class is imported from its path, and a documented method overridden in it is called."""
    app = by_path(world, setting)
    given = getattr(app.conf, setting)
    assert given.__module__.startswith("myproj.")
    calls = Calls(given, CLASSES[setting][0])
    await orders(world, app)
    assert calls.count > 0


@shows("Worker/1", "Worker/2")
def test_the_worker_of_the_app_is_of_the_class_that_is_given(world: GuideWorld) -> None:
    """``app.Worker()``, which the program calls, makes the given class; so does a path."""
    names = SNIPPETS["Worker/1"].run()
    assert type(names["app"].Worker()) is names["MyWorker"]
    world.module("myproj.workers", "import faust\n\n\nclass Worker(faust.Worker):\n    pass\n")
    worker = SNIPPETS["Worker/2"].run(faust=faust)["app"].Worker()
    assert (type(worker).__module__, type(worker).__name__) == ("myproj.workers", "Worker")
