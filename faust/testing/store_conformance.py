"""What every store must do, as a test class to inherit from; needs pytest and hypothesis.

A store of your own is held to it so::

    from faust.testing.store_conformance import StoreConformance

    class TestMyStore(StoreConformance):
        url = "mypackage.stores.MyStore://"

The class covers `faust.stores.base` sentence by sentence.  Persistent stores are also killed
(SIGKILL) in the middle of writing, in a process of their own, which this module is the program of.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faust.stores import Checkpoint, PartitionStore, Store, StoreLocked, store_by_url

__all__ = ["StoreConformance"]

#: Few different keys, so that they meet; the empty one and such as stores may use for themselves.
KEYS = st.sampled_from(
    (
        *(b"", b"\x00", b"\x00\x00", b"\x00\x00faust\x00", b"\x00\x00faust\x00\x00format"),
        *(b"a", b"a\x00", b"b", b"key-1", b"key-2", b"__faust\x00offset__", b"\xff", b"\xff" * 6),
    )
)
ENTRIES = st.lists(st.tuples(KEYS, st.none() | st.binary(max_size=20)), max_size=12)
CHECKPOINTS = st.none() | st.builds(
    Checkpoint,
    position=st.integers(0, 2**63 - 1),
    topic_id=st.text(st.characters(codec="utf-8"), max_size=10),
    crc=st.integers(0, 2**32 - 1),
    wall_time=st.floats(0, 1e10),
    sequence=st.integers(0, 2**63 - 1),
)
STEPS = st.lists(
    st.tuples(st.just("apply"), ENTRIES, CHECKPOINTS)
    | st.sampled_from([("wipe",), ("flush",), ("reopen",)]),
    max_size=15,
)

_KILLED_KEYS = 50
_KILLS = 6


class StoreConformance:
    """Inherit, set `url`, and pytest runs it all."""

    #: The store under test, as `faust.stores.store_by_url` takes it.
    url: ClassVar[str]
    #: Options to make it with.
    options: ClassVar[Mapping[str, Any]] = {}

    def make_store(self, directory: Path) -> Store:
        """Return a new store over ``directory``; override where a URL is not enough."""
        return store_by_url(self.url, directory, self.options)

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        """A store over an empty directory."""
        store = self.make_store(tmp_path)
        yield store
        store.close()

    # -- reading and writing ---------------------------------------------------

    def test_a_new_partition_is_empty(self, store: Store) -> None:
        partition = store.open("table", 0)
        assert partition.get(b"a") is None
        assert list(partition.items()) == []
        assert len(partition) == 0
        assert partition.checkpoint is None

    def test_what_was_applied_is_read(self, store: Store) -> None:
        partition = store.open("table", 0)
        partition.apply([(b"a", b"1"), (b"b", b"")], Checkpoint(2))
        assert partition.get(b"a") == b"1"
        assert partition.get(b"b") == b"", "an empty value is a value"
        assert partition.checkpoint == Checkpoint(2)
        assert len(partition) == 2

    def test_none_deletes(self, store: Store) -> None:
        partition = store.open("table", 0)
        partition.apply([(b"a", b"1"), (b"b", b"2")], None)
        partition.apply([(b"a", None), (b"never there", None)], None)
        assert partition.get(b"a") is None
        assert list(partition.items()) == [(b"b", b"2")]

    def test_of_a_keys_entries_in_one_batch_the_last_wins(self, store: Store) -> None:
        partition = store.open("table", 0)
        partition.apply([(b"a", b"1"), (b"b", b"1"), (b"a", None), (b"b", None), (b"a", b"")], None)
        assert list(partition.items()) == [(b"a", b"")]

    def test_without_a_checkpoint_the_old_one_stays(self, store: Store) -> None:
        partition = store.open("table", 0)
        checkpoint = Checkpoint(7, "topic-id", 2**32 - 1, 1.5, 9)
        partition.apply([], checkpoint)
        partition.apply([(b"a", b"1")], None)
        assert partition.checkpoint == checkpoint

    def test_a_batch_whose_entries_fail_half_way_leaves_nothing(self, store: Store) -> None:
        partition = store.open("table", 0)
        partition.apply([(b"a", b"1")], Checkpoint(1))

        def entries() -> Iterator[tuple[bytes, bytes | None]]:
            yield b"a", b"2"
            yield b"b", b"2"
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            partition.apply(entries(), Checkpoint(2))
        assert list(partition.items()) == [(b"a", b"1")]
        assert partition.checkpoint == Checkpoint(1)

    def test_items_come_in_key_order_as_they_were_at_the_call(self, store: Store) -> None:
        partition = store.open("table", 0)
        keys = [b"%d" % n for n in range(2000)]
        partition.apply([(key, key) for key in keys], None)
        items = partition.items()
        first = next(items)
        partition.apply([(key, None) for key in keys], None)
        partition.apply([(b"new", b"")], None)
        assert [first, *items] == sorted((key, key) for key in keys)
        assert list(partition.items()) == [(b"new", b"")]

    def test_wiping_forgets_entries_and_checkpoint(self, store: Store) -> None:
        partition = store.open("table", 0)
        partition.apply([(b"a", b"1")], Checkpoint(1))
        begun = partition.items()
        partition.wipe()
        del begun
        assert list(partition.items()) == []
        assert partition.checkpoint is None
        partition.apply([(b"b", b"2")], Checkpoint(2))
        assert list(partition.items()) == [(b"b", b"2")]
        assert partition.checkpoint == Checkpoint(2)

    # -- partitions ------------------------------------------------------------

    def test_partitions_do_not_see_each_other(self, store: Store) -> None:
        names = [("table", 0), ("table", 1), ("table-1", 0), ("table-1.db", 0), ("a/ü b", 0)]
        partitions = [store.open(*name) for name in names]
        for n, partition in enumerate(partitions):
            partition.apply([(b"a", b"%d" % n)], Checkpoint(n))
        assert [p.get(b"a") for p in partitions] == [b"%d" % n for n in range(len(names))]

    def test_a_partition_that_is_open_cannot_be_opened_again(self, store: Store) -> None:
        partition = store.open("table", 0)
        partition.apply([(b"a", b"1")], Checkpoint(1))
        with pytest.raises(StoreLocked):
            store.open("table", 0)
        assert partition.get(b"a") == b"1"
        partition.close()
        partition.close()
        store.open("table", 0)

    def test_destroying_deletes_that_partition_only(self, store: Store) -> None:
        names = [("t", 0), ("t", 1), ("t-1", 0), ("t-1", 1)]
        for n, name in enumerate(names):
            store.open(*name).apply([(b"a", b"%d" % n)], Checkpoint(n))
        store.destroy("t", 0)
        assert store.open("t", 0).checkpoint is None
        store.destroy("t")
        store.destroy("never there")
        if store.persistent:
            store.close()
            assert [store.open(*name).get(b"a") for name in names] == [None, None, b"2", b"3"]

    def test_it_behaves_like_a_dict(self) -> None:
        @settings(deadline=None, max_examples=40)
        @given(steps=STEPS)
        def run(steps: list[tuple[Any, ...]]) -> None:
            with tempfile.TemporaryDirectory() as directory, self._stores(directory) as make:
                _run_against_a_dict(steps, make)

        run()

    @contextmanager
    def _stores(self, directory: str) -> Iterator[Callable[[], Store]]:
        made: list[Store] = []

        def make() -> Store:
            made.append(self.make_store(Path(directory)))
            return made[-1]

        try:
            yield make
        finally:
            for store in made:
                store.close()

    # -- what outlives the process ---------------------------------------------

    def test_a_persistent_store_is_there_again(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path)
        checkpoint = Checkpoint(7, "topic-id", 5, 1.5, 9)
        store.open("table", 3).apply([(b"a", b"1")], checkpoint)
        store.close()
        again = self.make_store(tmp_path)
        partition = again.open("table", 3)
        expected = (b"1", checkpoint) if again.persistent else (None, None)
        assert (partition.get(b"a"), partition.checkpoint) == expected
        again.close()

    def test_another_process_finds_it_locked_until_its_owner_is_gone(self, tmp_path: Path) -> None:
        if not self.make_store(tmp_path).persistent:
            return
        with _writer(self.url, tmp_path) as process:
            _wait_until_written(process, 1)
            with pytest.raises(StoreLocked):
                self.make_store(tmp_path).open("table", 0)
            process.kill()
            process.wait()
        store = self.make_store(tmp_path)
        assert store.open("table", 0).checkpoint is not None
        store.close()

    def test_killed_in_the_middle_of_writing_it_holds_whole_batches(self, tmp_path: Path) -> None:
        if not self.make_store(tmp_path).persistent:
            return
        for kill in range(_KILLS):
            with _writer(self.url, tmp_path) as process:
                _wait_until_written(process, 3 + 40 * kill)
                process.kill()
                acknowledged = _last_written(process)
            store = self.make_store(tmp_path)
            _check_whole(store.open("table", 0), acknowledged)
            store.close()


class _Model:
    """A dict and a checkpoint: what the store must look like."""

    def __init__(self, persistent: bool) -> None:
        self._persistent = persistent
        self._data: dict[bytes, bytes] = {}
        self._checkpoint: Checkpoint | None = None

    def take(self, step: tuple[Any, ...], partition: PartitionStore) -> None:
        """Do ``step`` in the model and, where it is not a reopening, in the store."""
        if step[0] == "apply":
            partition.apply(step[1], step[2])
            for key, value in step[1]:
                self._data.pop(key, None)
                if value is not None:
                    self._data[key] = value
            self._checkpoint = step[2] or self._checkpoint
        elif step[0] == "flush":
            partition.flush()
        elif step[0] == "wipe" or not self._persistent:
            partition.wipe()
            self._data, self._checkpoint = {}, None

    def check(self, partition: PartitionStore) -> None:
        """Compare everything that can be seen."""
        assert list(partition.items()) == sorted(self._data.items())
        assert len(partition) == len(self._data)
        assert partition.checkpoint == self._checkpoint
        for key in (b"", b"a", b"\x00\x00faust\x00", *self._data):
            assert partition.get(key) == self._data.get(key)


def _run_against_a_dict(steps: list[tuple[Any, ...]], make: Callable[[], Store]) -> None:
    store = make()
    model, partition = _Model(store.persistent), store.open("table", 0)
    for step in steps:
        if step == ("reopen",):
            store.close()
            store = make()
            partition = store.open("table", 0)
        model.take(step, partition)
        model.check(partition)


# -- the process that is killed ------------------------------------------------


@contextmanager
def _writer(url: str, directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that writes batch after batch, each with a number, and prints the number."""
    command = [sys.executable, "-m", __name__, url, str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def _wait_until_written(process: subprocess.Popen[bytes], batches: int) -> None:
    assert process.stdout is not None
    for _ in range(batches):
        assert process.stdout.readline(), "the writing process has ended by itself"


def _last_written(process: subprocess.Popen[bytes]) -> int:
    """The last number that the process has printed whole."""
    assert process.stdout is not None
    lines = process.stdout.read().split(b"\n")[:-1]
    return int(lines[-1]) if lines else 0


def _check_whole(partition: PartitionStore, acknowledged: int) -> None:
    checkpoint = partition.checkpoint
    assert checkpoint is not None
    assert checkpoint.position >= acknowledged, "an acknowledged batch is gone"
    number = b"%d" % checkpoint.position
    expected = {b"key-%d" % n: number for n in range(_KILLED_KEYS)}
    expected[b"only-%d" % (checkpoint.position % 2)] = number
    assert dict(partition.items()) == expected


def _write_for_ever(url: str, directory: str) -> None:
    partition = store_by_url(url, directory).open("table", 0)
    position = partition.checkpoint.position if partition.checkpoint else 0
    while True:
        position += 1
        number = b"%d" % position
        entries: list[tuple[bytes, bytes | None]] = [
            (b"key-%d" % n, number) for n in range(_KILLED_KEYS)
        ]
        entries += [(b"only-%d" % (position % 2), number), (b"only-%d" % (1 - position % 2), None)]
        partition.apply(entries, Checkpoint(position))
        print(position, flush=True)


if __name__ == "__main__":
    _write_for_ever(*sys.argv[1:])
