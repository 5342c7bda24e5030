"""Tables over restarts: what was lost, kept, or never ended elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import faust
from faust._core.threads import LoopBridge
from faust.testing import run_virtual
from faust.testing.clock import VirtualClock
from faust.transport.drivers.memory import forget_broker

STORES = ["memory://", "rocksdb://"]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[str]:
    """The URL of a broker of this test's own."""
    name = f"on-disk-{tmp_path.name}"
    yield f"memory://{name}"
    forget_broker(name)


class Shop:
    """An app whose agent does to its tables what it is sent."""

    def __init__(self, broker: str, directory: Path, store: str) -> None:
        self.app = faust.App(
            "shop", broker=broker, store=store, datadir=str(directory), web_enabled=False,
            topic_partitions=1, broker_commit_interval=0.2,
        )  # fmt: skip
        self.app.clock = VirtualClock.current()
        self.app.make_bridge = LoopBridge
        self.one = self.app.Table("one", default=int, key_type=str, value_type=int)
        self.two = self.app.Table("two", default=int, key_type=str, value_type=int)
        self.todo = self.app.topic("todo", internal=True, partitions=1, value_type=str)
        self.done: list[str] = []

        @self.app.agent(self.todo, name="do")
        async def do(stream: Any) -> None:
            async for what in stream:
                self._do(what)
                self.done.append(what)

    def _do(self, what: str) -> None:
        if what == "clear":
            self.one.clear()
        elif what == "delete and set to nothing":
            del self.one["a"]
            self.one["a"] = 0
        else:
            self.one[what] += 1
            self.two[what] += 1

    async def tell(self, *what: str) -> None:
        """Send, and wait until it is done and committed."""
        wanted = len(self.done) + len(what)
        for each in what:
            await (await self.todo.send(each))
        await until(lambda: len(self.done) >= wanted)
        await asyncio.sleep(2)

    def contents(self) -> tuple[dict[str, int], dict[str, int]]:
        return self.one.as_dict(), self.two.as_dict()


async def until(condition: Callable[[], Any]) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + 60.0
    while not condition():
        assert loop.time() < deadline, "it did not come true"
        await asyncio.sleep(0.01)


async def runs_until_it_fails(app: faust.App) -> None:
    """Run an app; raise what it fails of."""
    async with app:
        await asyncio.wait_for(app.failed.wait(), 60)
        raise app.failure or AssertionError


@pytest.mark.parametrize("store", STORES)
def test_a_table_that_was_cleared_is_empty_after_a_restart_too(
    broker: str, tmp_path: Path, store: str
) -> None:
    """(pitfalls A5)"""

    async def main() -> None:
        shop = Shop(broker, tmp_path, store)
        async with shop.app:
            await shop.tell("a", "b", "b", "clear", "c")
            assert shop.contents() == ({"c": 1}, {"a": 1, "b": 2, "c": 1})
        for directory in (tmp_path, tmp_path / "elsewhere"):  # with what is on disk, and without
            again = Shop(broker, directory, store)
            async with again.app:
                assert again.contents() == ({"c": 1}, {"a": 1, "b": 2, "c": 1})

    run_virtual(main())


def test_forgetting_what_is_kept_of_one_table_leaves_the_others_on_disk(
    broker: str, tmp_path: Path
) -> None:
    """(pitfalls C25)"""

    def files(name: str) -> list[Path]:
        return [p for p in tmp_path.rglob("*") if p.is_dir() and p.name.startswith(f"{name}-")]

    async def main() -> None:
        shop = Shop(broker, tmp_path, "rocksdb://")
        async with shop.app:
            await shop.tell("a", "b")
            with pytest.raises(RuntimeError, match="table 'one' is in use"):
                shop.one.reset_state()
        assert files("one")
        kept = files("two")
        shop.one.reset_state()
        assert not files("one")
        assert files("two") == kept
        again = Shop(broker, tmp_path, "rocksdb://")
        async with again.app:
            assert again.contents() == ({"a": 1, "b": 1}, {"a": 1, "b": 1})

    run_virtual(main())


async def refuse(event: Any) -> None:
    raise KeyError("broken on purpose")


@pytest.mark.parametrize("store", STORES)
def test_sets_come_back_from_disk_and_from_the_changelog(
    broker: str, tmp_path: Path, store: str
) -> None:
    """(pitfalls C24)"""

    async def main() -> None:
        for directory, found in (("one", {}), ("one", {"k": ["a", "b"]}), ("two", {"k": ["a"]})):
            shop = Shop(broker, tmp_path / directory, store)
            tags = shop.app.SetTable("tags", key_type=str, value_type=str)

            @shop.app.agent(shop.app.topic("tag", internal=True, value_type=str), name="tag")
            async def tag(stream: Any, tags: Any = tags) -> None:
                async for words in stream:
                    for word in words.split():
                        tags["k"].discard(word[1:]) if word[0] == "-" else tags["k"].add(word)

            async with shop.app:
                assert {key: sorted(value) for key, value in tags.as_dict().items()} == found
                await (await shop.app.topic("tag", value_type=str).send("a -b" if found else "a b"))
                await asyncio.sleep(2)

    run_virtual(main())


@pytest.mark.parametrize("store", STORES)
def test_a_key_that_is_deleted_and_set_to_zero_in_one_event_is_there(
    broker: str, tmp_path: Path, store: str
) -> None:
    """(pitfalls C33)"""

    async def main() -> None:
        shop = Shop(broker, tmp_path, store)
        async with shop.app:
            await shop.tell("a", "delete and set to nothing")
            assert shop.one.as_dict() == {"a": 0}
        for directory in (tmp_path, tmp_path / "elsewhere"):
            again = Shop(broker, directory, store)
            async with again.app:
                assert again.one.as_dict() == {"a": 0}

    run_virtual(main())


def test_a_changelog_that_goes_wrong_while_it_is_restored_stops_the_worker_and_says_where(
    broker: str, tmp_path: Path
) -> None:
    """(pitfalls C34)"""

    async def main() -> None:
        shop = Shop(broker, tmp_path / "one", "memory://")
        async with shop.app:
            await shop.tell("a")
        again = Shop(broker, tmp_path / "two", "memory://")
        again.one.on_changelog_event_callback = refuse
        with pytest.raises(KeyError, match="broken on purpose"):
            await runs_until_it_fails(again.app)

    run_virtual(main())


def test_a_changelog_with_fewer_partitions_than_its_table_is_named_and_changes_nothing(
    broker: str, tmp_path: Path
) -> None:
    """(pitfalls C35)"""

    async def main() -> None:
        shop = Shop(broker, tmp_path, "memory://")
        other = faust.App(
            "shop", broker=broker, web_enabled=False, topic_partitions=2, datadir=str(tmp_path)
        )
        other.clock, other.make_bridge = shop.app.clock, LoopBridge
        async with shop.app:
            await shop.tell("a")
        total = other.GlobalTable("one", default=int, key_type=str, value_type=int, partitions=2)

        @other.agent(other.topic("wide", internal=True, partitions=2))
        async def count(stream: Any) -> None:
            async for value in stream:
                total[value] += 1

        with pytest.raises(faust.exceptions.FaustError, match="shop-one-changelog"):
            await runs_until_it_fails(other)

    run_virtual(main())


def test_a_global_table_whose_changelog_is_not_there_yet_begins_empty(
    broker: str, tmp_path: Path
) -> None:
    """(pitfalls C35)"""

    async def main() -> None:
        shop = Shop(broker, tmp_path, "memory://")
        total = shop.app.GlobalTable("total", default=int, key_type=str, standby_buffer_size=10)
        async with shop.app:
            assert total.as_dict() == {}
            await shop.tell("a")

    run_virtual(main())
