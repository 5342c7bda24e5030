import json
import logging
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from faust.exceptions import RestoreError
from faust.stores import Checkpoint, StoreLocked
from faust.stores.files import PartitionFiles
from faust.stores.locks import FileLock
from faust.stores.rocksdb import RocksDBStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RocksDBStore]:
    store = RocksDBStore(tmp_path)
    yield store
    store.close()


def fill(store: RocksDBStore, entries: int = 3) -> None:
    partition = store.open("t", 0)
    noise = random.Random(1).randbytes
    partition.apply([(b"%05d" % n, noise(100)) for n in range(entries)], Checkpoint(entries))
    partition.close()


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


# -- files ---------------------------------------------------------------------


def test_a_partition_is_a_directory_and_a_lock_file(store: RocksDBStore) -> None:
    fill(store)
    assert names(store.directory) == {"t-0.db", "t-0.lock"}
    store.destroy("t")
    assert names(store.directory) == set()


def test_a_name_that_is_no_file_name_is_one_all_the_same(store: RocksDBStore) -> None:
    for name in ("../up", "a b", ".", "..", "%2F"):
        store.open(name, 0).apply([(b"a", name.encode())], None)
    store.close()
    assert len(names(store.directory)) == 10
    for name in ("../up", "a b", ".", "..", "%2F"):
        assert store.open(name, 0).get(b"a") == name.encode()


def test_what_a_wipe_left_when_it_was_killed_is_deleted_by_the_next_open(
    store: RocksDBStore,
) -> None:
    fill(store)
    (store.directory / "t-0.db").rename(store.directory / "t-0.db.gone-0")
    (store.directory / "t-0.db.gone-mine").mkdir()
    assert store.open("t", 0).checkpoint is None
    assert names(store.directory) == {"t-0.db", "t-0.lock", "t-0.db.gone-mine"}


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file/tables"):
        RocksDBStore(tmp_path / "file" / "tables").open("t", 0)
    (tmp_path / "t-0.db").touch()
    with pytest.raises(OSError, match=r"t-0\.db"):
        RocksDBStore(tmp_path).open("t", 0)
    FileLock(tmp_path / "t-0.lock").release()


# -- what is on disk cannot be used --------------------------------------------


def assert_made_anew(store: RocksDBStore, caplog: pytest.LogCaptureFixture) -> None:
    caplog.clear()
    with caplog.at_level(logging.ERROR):
        partition = store.open("t", 0)
    assert partition.checkpoint is None
    assert list(partition.items()) == []
    (line,) = caplog.messages
    assert "t-0.db" in line
    assert "set aside as t-0.db.corrupt-" in line
    partition.close()


def test_a_corrupt_database_is_set_aside_and_made_anew(
    store: RocksDBStore, caplog: pytest.LogCaptureFixture
) -> None:
    for n in range(2):
        fill(store)
        (store.directory / "t-0.db" / "CURRENT").write_text("gibberish")
        assert_made_anew(store, caplog)
        assert f"t-0.db.corrupt-{n}" in names(store.directory)
    store.destroy("t", 0)
    assert names(store.directory) == set()


@pytest.mark.parametrize("victim", ["MANIFEST-*", "*.sst", "CURRENT"])
def test_a_damaged_file_is_noticed_at_the_open(
    store: RocksDBStore, caplog: pytest.LogCaptureFixture, victim: str
) -> None:
    fill(store)
    for path in (store.directory / "t-0.db").glob(victim):
        path.write_bytes(b"")
    assert_made_anew(store, caplog)


def test_damage_found_by_a_read_is_an_error_and_sets_the_store_aside_at_the_next_open(
    store: RocksDBStore, caplog: pytest.LogCaptureFixture
) -> None:
    fill(store, 10_000)
    for path in (store.directory / "t-0.db").glob("*.sst"):
        with path.open("r+b") as file:
            file.seek(path.stat().st_size // 2)
            file.write(b"?" * 10_000)
    partition = store.open("t", 0)
    with pytest.raises(RestoreError, match=r"t-0\.db is damaged"):
        list(partition.items())
    with pytest.raises(RestoreError):
        len(partition)
    with pytest.raises(RestoreError):
        [partition.get(b"%05d" % n) for n in range(10_000)]
    partition.close()
    assert_made_anew(store, caplog)


def test_a_database_of_another_program_is_set_aside(
    store: RocksDBStore, caplog: pytest.LogCaptureFixture
) -> None:
    fill(store)
    program = "import sys, rocksdict; db = rocksdict.Rdict(sys.argv[1]); db['k'] = 'v'; db.close()"
    other = store.directory / "other"
    subprocess.run([sys.executable, "-c", program, str(other)], check=True, timeout=60)
    assert "raw_mode" in json.loads((other / "rocksdict-config.json").read_text())
    store.destroy("t")
    other.rename(store.directory / "t-0.db")
    assert_made_anew(store, caplog)


# -- a full disk ---------------------------------------------------------------

FULL_DISK = """
import resource, signal, sys
from faust.stores import Checkpoint, store_by_url
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = store_by_url('rocksdb://', sys.argv[1])
partition = store.open('t', 0)
partition.apply([(b'a', b'1')], Checkpoint(1))
unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, unlimited[1]))
for attempt in range(2):
    try:
        partition.apply([(b'%d' % n, b'x' * 100) for n in range(2000)], Checkpoint(2))
    except OSError as exc:
        assert exc.filename.endswith('t-0.db'), exc
        print('refused')
    assert list(partition.items()) == [(b'a', b'1')]
    assert partition.checkpoint == Checkpoint(1)
if sys.argv[2] == 'freed':
    resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    partition.apply([(b'b', b'2')], Checkpoint(2))
store.close()
"""


@pytest.mark.parametrize("after", ["freed", "still full"])
def test_a_full_disk_is_an_error_with_the_path_and_writes_nothing(
    store: RocksDBStore, after: str
) -> None:
    command = [sys.executable, "-c", FULL_DISK, str(store.directory), after]
    done = subprocess.run(command, check=True, timeout=60, capture_output=True, text=True)
    assert done.stdout == "refused\nrefused\n"
    partition = store.open("t", 0)
    expected = {b"a": b"1", b"b": b"2"} if after == "freed" else {b"a": b"1"}
    assert dict(partition.items()) == expected
    assert partition.checkpoint == Checkpoint(len(expected))


# -- iterators and locks -------------------------------------------------------


def test_an_iteration_over_a_store_that_was_closed_says_so(store: RocksDBStore) -> None:
    partition = store.open("t", 0)
    partition.apply([(b"%05d" % n, b"") for n in range(5000)], None)
    items = partition.items()
    next(items)
    partition.close()
    with pytest.raises(RuntimeError, match="closed or wiped"):
        list(items)
    with pytest.raises(RuntimeError, match="is closed"):
        partition.get(b"a")
    assert len(store.open("t", 0)) == 5000


def test_a_mistake_of_the_caller_is_not_taken_for_damage(store: RocksDBStore) -> None:
    partition = store.open("t", 0)
    with pytest.raises((TypeError, AttributeError)):
        partition.get("text")  # type: ignore[arg-type]
    assert not PartitionFiles(store.directory, "t", 0).damaged


def test_a_lock_names_its_holder_and_can_be_taken_again(tmp_path: Path) -> None:
    import os

    lock = FileLock(tmp_path / "a.lock")
    with pytest.raises(StoreLocked, match=rf"a\.lock is locked by process {os.getpid()}"):
        FileLock(tmp_path / "a.lock")
    lock.release()
    lock.release()
    FileLock(tmp_path / "a.lock").release(remove=True)
    assert names(tmp_path) == set()


def test_hand_overs_from_one_owner_to_the_next_meet_no_lock(store: RocksDBStore) -> None:
    other = RocksDBStore(store.directory)
    for n in range(100):
        owner = (store, other)[n % 2]
        partition = owner.open("t", 0)
        assert partition.checkpoint == (Checkpoint(n) if n else None)
        partition.apply([(b"a", b"%d" % n)], Checkpoint(n + 1))
        partition.close()


def test_how_far_what_lies_on_the_disk_has_come_is_known_without_opening_it(
    store: RocksDBStore,
) -> None:
    for partition in range(3):
        opened = store.open("table", partition)
        opened.apply([(b"key", b"value")], Checkpoint(10 + partition, "id"))
        if partition != 1:
            opened.close()
    store.open("other", 0).close()
    (store.directory / "table-2.db" / "CURRENT").write_bytes(b"damaged")
    assert store.checkpoints("table") == {0: Checkpoint(10, "id")}  # 1 is open, 2 is damaged
    assert store.checkpoints("other") == {}
    assert store.checkpoints("none") == {}
    assert store.open("table", 0).checkpoint == Checkpoint(10, "id")


def test_who_has_a_store_open_can_be_asked_for_it(store: RocksDBStore) -> None:
    opened = store.open("table", 0)
    assert not opened.is_asked_for
    with pytest.raises(StoreLocked):
        store.open("table", 0)
    store.ask_for("table", 0)
    assert opened.is_asked_for
    opened.close()
    again = store.open("table", 0)
    assert not again.is_asked_for
