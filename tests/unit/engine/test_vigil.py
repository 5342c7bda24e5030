"""A changelog that changes under its owner: written to by somebody else, or made anew."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from state_world import CHANGELOG, StateWorld, counts_of, eventually, tasks_of

from faust._engine import vigil
from faust._engine.upkeep import VIGIL_INTERVAL
from faust._values import TP
from faust.app.base import App
from faust.exceptions import BrokerUnavailable
from faust.transport.base import TopicSpec
from tests.support.virtual_time import virtual

LOG = TP(CHANGELOG, 0)
GUARANTEES = ["at_least_once", "exactly_once"]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[StateWorld]:
    world = StateWorld(tmp_path, partitions=1)
    yield world
    world.forget()


async def counted(world: StateWorld, **settings: Any) -> App:
    """Start a worker and let it count 100 words."""
    app = world.worker("one", **settings)
    await app.start()
    await eventually(lambda: len(tasks_of(app)) == 1)
    await world.send(0, 100)
    await eventually(world.all_committed)
    return app


def make_anew(world: StateWorld) -> None:
    config = world.broker.topic(CHANGELOG).config
    world.broker.delete_topic(CHANGELOG)
    world.broker.create_topic(TopicSpec(CHANGELOG, 1, config=config))


def contents(world: StateWorld) -> dict[bytes, bytes]:
    """Return what a restore of the whole log would give."""
    found: dict[bytes, bytes] = {}
    batches, _ = world.broker.log(LOG).read(0, 1 << 24, committed=True)
    for record in (record for batch in batches for record in batch.records()):
        found.pop(record.key, None)
        if record.value is not None:
            found[record.key] = record.value
    return found


@pytest.mark.parametrize("guarantee", GUARANTEES)
@pytest.mark.parametrize("store", ["memory://", "rocksdb://"])
@virtual
async def test_a_log_that_is_made_anew_under_its_table_is_written_again(
    world: StateWorld, store: str, guarantee: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A later restore had only what was written since."""
    app = await counted(world, store=store, processing_guarantee=guarantee)
    make_anew(world)
    await world.send(0, 3)
    await eventually(world.all_committed)
    (said,) = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert "was deleted and made anew while its table is in use: all 100 keys" in said
    assert len(contents(world)) == 100
    await app.stop()
    heir = world.worker("two", store=store, processing_guarantee=guarantee)
    await heir.start()
    await eventually(lambda: len(tasks_of(heir)) == 1)
    assert counts_of(heir) == {f"0-{n}": 2 if n < 3 else 1 for n in range(100)}
    assert not [r for r in caplog.records if "another topic" in r.getMessage()]
    await heir.stop()


@pytest.mark.parametrize("guarantee", GUARANTEES)
@virtual
async def test_a_log_that_is_deleted_under_its_table_is_made_again_as_it_was(
    world: StateWorld, guarantee: str
) -> None:
    world.broker.auto_create = False
    app = await counted(world, processing_guarantee=guarantee)
    config = world.broker.topic(CHANGELOG).config
    world.broker.delete_topic(CHANGELOG)
    await world.send(0, 3)
    await eventually(world.all_committed)
    assert len(contents(world)) == 100
    assert world.broker.topic(CHANGELOG).config == config
    world.broker.delete_topic(CHANGELOG)
    await asyncio.sleep(2 * (VIGIL_INTERVAL + 60))
    assert len(contents(world)) == 100
    await app.stop()


@pytest.mark.parametrize("guarantee", GUARANTEES)
@virtual
async def test_a_log_that_is_made_anew_is_noticed_although_nothing_is_written(
    world: StateWorld, guarantee: str
) -> None:
    app = await counted(world, processing_guarantee=guarantee)
    make_anew(world)
    await asyncio.sleep(VIGIL_INTERVAL + 60)
    assert len(contents(world)) == 100
    assert world.committed(0) == 100
    await app.stop()


@virtual
async def test_a_table_that_was_written_again_in_part_is_written_again_whole(
    world: StateWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker that goes away in the middle of it must not make half of it count."""
    monkeypatch.setattr(vigil, "CHUNK", 40)
    app = await counted(world)
    make_anew(world)
    assert app.engine is not None
    changelogs: Any = app.engine.committer._vigil._changelogs
    append, calls = changelogs.append, []

    async def failing(*args: Any) -> Any:
        calls.append(args)
        if len(calls) in (2, 4, 6):  # until the new log is longer than the old one was
            raise BrokerUnavailable("on purpose")
        return await append(*args)

    changelogs.append = failing
    await world.send(0, 3)
    await eventually(world.all_committed)
    assert len(contents(world)) == 100
    assert contents(world)[b'"0-1"'] == b"2"
    await app.stop()


@virtual
async def test_what_a_zombie_writes_is_written_over_although_its_owner_writes_nothing(
    world: StateWorld,
) -> None:
    """After half of the compaction lag nobody could have told it from what counts."""
    app = await counted(world)
    world.append_to_changelog(0, {b'"0-1"': b"9", b'"strange"': b"9"})
    await asyncio.sleep(VIGIL_INTERVAL + 60)
    found = contents(world)
    assert found[b'"0-1"'] == b"1"
    assert b'"strange"' not in found
    assert world.committed(0) == world.changelog_end(0)
    await app.stop()
