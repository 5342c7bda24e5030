"""Global tables: read everywhere, written where the key belongs."""

from __future__ import annotations

from typing import Any

import pytest
from tables_world import World

from faust.exceptions import ConsistencyError
from faust.tables import GlobalTable, SetGlobalTable
from faust.tables.globaltable import Replica


def elsewhere(table: Any, data: dict[str, int]) -> Replica:
    """A partition that another worker writes."""
    codec = table.codec
    replica = Replica(codec)
    replica.apply([(codec.dump_key(k), codec.dump_value(v)) for k, v in data.items()], len(data))
    return replica


@pytest.fixture
def world() -> World:
    return World()


def make(world: World, *partitions: int, **options: Any) -> Any:
    return world.add(
        GlobalTable(world.app, name="g", key_type=str, value_type=int, **options), *partitions
    )


def test_an_event_reads_what_other_partitions_have(world: World) -> None:
    table = make(world, 0, 1)
    table.followed[2] = elsewhere(table, {"c": 3})
    with world.event(partition=0):
        table["a"] = 1
    with world.event(partition=1):
        table["b"] = 2
        assert (table["a"], table["b"], table["c"]) == (1, 2, 3)
        assert "c" in table
        assert "d" not in table
        assert table.get("d") is None
    assert dict(table.items()) == {"a": 1, "b": 2, "c": 3}
    assert len(table) == 3
    assert table["c"] == table.committed["c"] == 3
    with pytest.raises(KeyError):
        table["d"]


def test_a_key_belongs_to_the_partition_that_wrote_it_first(world: World) -> None:
    table = make(world, 0, 1)
    table.followed[2] = elsewhere(table, {"c": 3})
    with world.event(partition=0):
        table["a"] = 1
    with world.event(partition=1):
        with pytest.raises(ConsistencyError, match=r"'a' belongs to partition 0, .* partition 1"):
            table["a"] = 2
        with pytest.raises(ConsistencyError, match=r"'c' belongs to partition 2"):
            table["c"] += 1
        with pytest.raises(ConsistencyError):
            del table["a"]
    with world.event(partition=0):
        table["a"] += 1
        del table["a"]
    with world.event(partition=1):
        table["a"] = 5
    assert table["a"] == 5


def test_a_default_is_added_only_where_no_partition_has_the_key(world: World) -> None:
    table = make(world, 0, 1, default=int)
    table.followed[2] = elsewhere(table, {"c": 3})
    with world.event(partition=0):
        assert table["c"] == 3
        assert table["new"] == 0
        assert "new" in table
    assert table["unknown"] == 0
    assert "unknown" not in table


def test_windows_of_a_global_table_belong_to_a_partition_too(world: World) -> None:
    table = make(world, 0, 1, default=int).tumbling(10)
    for run in list(table.table.slices):
        table.table.drop_slice(run)
    world.add(table, 0, 1)
    with world.event(1000.0, partition=0):
        table["k"] += 1
    with world.event(1001.0, partition=1):
        assert table["k"].value() == 1
        with pytest.raises(ConsistencyError):
            table["k"] += 1


def test_a_set_of_a_global_set_table_belongs_to_a_partition(world: World) -> None:
    table = world.add(SetGlobalTable(world.app, name="s", key_type=str, value_type=int), 0, 1)
    with world.event(partition=0):
        table["k"].add(1)
    with world.event(partition=1):
        with pytest.raises(ConsistencyError):
            table["k"].add(2)
        with pytest.raises(ConsistencyError):
            table["k"] = [2]
    assert table["k"] == {1}


def test_a_partition_that_goes_leaves_what_was_committed(world: World) -> None:
    table = make(world, 0)
    with world.event():
        table["a"] = 1
    world.commit(table)
    with world.event():
        table["b"] = 2
    table.drop_slice(world.run())
    assert dict(table.items()) == {"a": 1}
    assert table.followed[0].position == 1
    world.runs.clear()
    world.add(table, 0)
    assert table.followed == {}


def test_a_copy_is_global(world: World) -> None:
    copy = make(world).clone(name="copy")
    assert type(copy) is GlobalTable
    assert copy.is_global
