"""Files that are no broker of ours, or cannot be written: one sentence each, nothing lost."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlite_support import append, builder_of, new_transport, on_loop, opened, read_all

from faust._values import TP
from faust.exceptions import BrokerUnavailable, ImproperlyConfigured, StopError
from faust.transport.base import (
    ProducerOptions,
    ReaderOptions,
    TopicSpec,
    TransportOptions,
)
from faust.transport.drivers.sqlite import SQLiteTransport
from faust.utils.urls import broker_urls

TP0 = TP("t", 0)


async def refusal(path: Path | str, error: type[Exception]) -> str:
    broker = new_transport(path, request_timeout=1.0)
    with pytest.raises(error) as caught:
        await broker.open()
    await broker.close()
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


@on_loop
async def test_a_text_file_is_not_taken_for_a_broker(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("dear diary, " * 1000)
    assert "not a Faust broker" in await refusal(path, StopError)
    assert path.read_text() == "dear diary, " * 1000


@on_loop
async def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE theirs (x)")
    other.commit()
    other.close()
    before = path.read_bytes()
    assert "not a Faust broker" in await refusal(path, StopError)
    assert path.read_bytes() == before


@on_loop
async def test_an_empty_file_becomes_a_broker(tmp_path: Path) -> None:
    path = tmp_path / "empty.db"
    path.touch()
    async with opened(path) as broker:
        assert (await append(broker, TP0, b"v")).base_offset == 0


@on_loop
async def test_a_file_of_the_future_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "broker.db"
    async with opened(path):
        pass
    future = sqlite3.connect(path)
    future.execute("PRAGMA user_version = 99")
    future.close()
    assert "upgrade Faust" in await refusal(path, StopError)


@on_loop
async def test_a_damaged_file_is_called_damaged(tmp_path: Path) -> None:
    path = tmp_path / "broker.db"
    async with opened(path) as broker:
        for _ in range(20):
            await append(broker, TP0, b"v" * 5000)
    plain = sqlite3.connect(path)
    plain.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    plain.close()
    damaged = bytearray(path.read_bytes())
    damaged[200:] = b"\xff" * (len(damaged) - 200)
    path.write_bytes(bytes(damaged))
    assert "damaged" in await refusal(path, StopError)


@on_loop
async def test_a_damaged_batch_is_found_by_its_crc_and_those_before_it_are_read(
    tmp_path: Path,
) -> None:
    path = tmp_path / "broker.db"
    async with opened(path) as broker:
        for n in range(3):
            await append(broker, TP0, b"value %d" % n)

        await broker._connection.writer.call(
            lambda session: session.db.execute(
                "UPDATE batch SET data = CAST(substr(data, 1, length(data) - 2) || x'2121' AS BLOB)"
                " WHERE base_offset = 1"
            )
        )
        reader = broker.reader(ReaderOptions())
        reader.assign({TP0: 0})
        fetched = await reader.fetch(0)
        assert [b.base_offset for b in fetched.batches] == [0]
        assert "offset 1" in str(fetched.errors[TP0])
        reader.assign({TP0: 2})
        assert [b.base_offset for b in (await reader.fetch(0)).batches] == [2]
        await reader.close()


@on_loop
async def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "directory" in await refusal(tmp_path / "no" / "such" / "b.db", ImproperlyConfigured)


@on_loop
async def test_the_data_directory_is_made_on_first_use(tmp_path: Path) -> None:
    options = TransportOptions(base_directory=str(tmp_path / "app-data" / "v1"))
    broker = SQLiteTransport(broker_urls("sqlite://"), options)
    await broker.open()
    await broker.close()
    assert (tmp_path / "app-data" / "v1" / "broker.db").exists()


@on_loop
async def test_a_path_through_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    await refusal(tmp_path / "file" / "b.db", ImproperlyConfigured)


def as_nobody(check: Path, error: str) -> bool:
    """Open the file in a child process that is not root; did it fail as it should?"""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if os.geteuid() == 0:
                os.setgid(65534)
                os.setuid(65534)

            async def main() -> None:
                nonlocal code
                broker = new_transport(check, request_timeout=1.0)
                try:
                    await broker.open()
                except ImproperlyConfigured as caught:
                    code = 0 if error in str(caught) else 2
                await broker.close()

            on_loop(main)()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.fixture
def open_directory() -> Iterator[Path]:
    # Not pytest's own directories: those are for their owner only.
    directory = Path(tempfile.mkdtemp(prefix="faust-sqlite-"))
    directory.chmod(0o755)
    yield directory
    directory.chmod(0o755)
    shutil.rmtree(directory)


def test_a_read_only_file_is_refused(open_directory: Path) -> None:
    path = open_directory / "broker.db"

    async def create() -> None:
        async with opened(path) as broker:
            await append(broker, TP0, b"v")

    on_loop(create)()
    path.chmod(0o444)
    open_directory.chmod(0o555)
    assert as_nobody(path, "mode")


def test_a_directory_that_may_not_be_written_is_refused(open_directory: Path) -> None:
    open_directory.chmod(0o555)
    assert as_nobody(open_directory / "broker.db", "directory")


@on_loop
async def test_a_full_disk_stops_with_one_sentence_and_what_was_acknowledged_is_read(
    tmp_path: Path,
) -> None:
    path = tmp_path / "broker.db"
    async with opened(path) as broker:
        await append(broker, TP0, b"first")
        await broker._connection.writer.call(
            lambda session: session.db.execute("PRAGMA max_page_count = 60").fetchall()
        )
        producer = broker.producer(ProducerOptions())
        sent = [producer.produce(TP0, builder_of(b"%d" % n + b"x" * 20_000)) for n in range(40)]
        outcomes = [await outcome(future) for future in sent]
        placed = [o for o in outcomes if not isinstance(o, Exception)]
        failed = [o for o in outcomes if isinstance(o, Exception)]
        assert outcomes == placed + failed, "after a failed batch nothing may follow"
        assert failed
        assert all(isinstance(o, StopError) and "space" in str(o) for o in failed)
        assert len(await read_all(broker, TP0)) == 1 + len(placed)
        # Space again: the same producer goes on where the log ends.
        await broker._connection.writer.call(
            lambda session: session.db.execute("PRAGMA max_page_count = 100000").fetchall()
        )
        after = await producer.produce(TP0, builder_of(b"after"))
        assert after.base_offset == 1 + len(placed)
        await producer.close()


async def outcome(future: object) -> object:
    try:
        return await future  # type: ignore[misc]
    except Exception as error:
        return error


@on_loop
async def test_a_file_that_is_removed_while_in_use_is_noticed_before_anything_is_acknowledged(
    tmp_path: Path,
) -> None:
    path = tmp_path / "broker.db"
    broker = new_transport(path)
    await broker.open()
    await append(broker, TP0, b"v")
    path.unlink()
    with pytest.raises(StopError, match="removed or replaced"):
        await append(broker, TP0, b"lost")
    # Who only reads hears of it, too.
    reader = broker.reader(ReaderOptions())
    reader.assign({TP0: 1})
    with pytest.raises(StopError, match="removed or replaced"):
        await reader.fetch(30)
    await broker.close()


@on_loop
async def test_a_locked_file_is_waited_for_then_reported(tmp_path: Path) -> None:
    path = tmp_path / "broker.db"
    async with opened(path, request_timeout=0.3) as broker:
        await append(broker, TP0, b"v")
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(BrokerUnavailable, match=str(path)):
            await broker.create_topic(TopicSpec("late", 1))
        other.execute("ROLLBACK")
        other.close()
