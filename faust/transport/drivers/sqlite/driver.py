"""The embedded broker as a transport: ``sqlite://``."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from yarl import URL

from faust._values import TP
from faust.exceptions import (
    BrokerUnavailable,
    ImproperlyConfigured,
    TopicExists,
    UnknownMember,
    UnknownTopic,
)
from faust.transport.base import EARLIEST, LATEST, TopicInfo, TopicSpec, Transport, TransportOptions
from faust.transport.drivers.sqlite import groups, topics, transactions
from faust.transport.drivers.sqlite.connection import Connection
from faust.transport.drivers.sqlite.location import Location
from faust.transport.drivers.sqlite.log import Session
from faust.transport.drivers.sqlite.maintenance import Maintenance
from faust.transport.drivers.sqlite.membership import SQLiteMembership
from faust.transport.drivers.sqlite.producer import SQLiteProducer
from faust.transport.drivers.sqlite.reader import SQLiteReader
from faust.transport.drivers.sqlite.schema import OFFSET_BITS, batch_key
from faust.transport.drivers.sqlite.transactional import SQLiteTransactionalProducer
from faust.transport.membership import Commit, GroupOptions
from faust.transport.producer import ProducerOptions
from faust.transport.reader import ReaderOptions
from faust.transport.records import Batch

__all__ = ["SQLiteTransport"]


class SQLiteTransport(Transport):
    """A broker in one SQLite file, shared by any number of processes on one machine.

    Options in the URL: ``durability=full`` also survives a power loss (the default, ``normal``,
    survives ``kill -9``); ``auto_create=0`` turns off that a topic is created, with
    `TransportOptions.default_partitions`, when somebody first sends to it.
    """

    driver_version = f"sqlite={sqlite3.sqlite_version}"

    def __init__(self, urls: Sequence[URL], options: TransportOptions) -> None:
        super().__init__(urls, options)
        if len(self.urls) != 1:
            raise ImproperlyConfigured(f"sqlite:// is one file, not {len(self.urls)}")
        self.location = Location.from_url(self.urls[0], options.base_directory)
        self._connection = Connection(self.location, options)
        self._maintenance: Maintenance | None = None

    def __repr__(self) -> str:
        return f"<SQLiteTransport {self.location.path}>"

    async def open(self) -> None:
        await self._connection.open()
        self._maintenance = Maintenance(self._connection)
        self._maintenance.start()

    async def close(self) -> None:
        if self._maintenance is not None:
            await self._maintenance.close()
            self._maintenance = None
        await self._connection.close()

    def reader(self, options: ReaderOptions) -> SQLiteReader:
        return SQLiteReader(self._connection, options)

    def producer(self, options: ProducerOptions) -> SQLiteProducer:
        if options.transactional_id is not None:
            return SQLiteTransactionalProducer(self._connection, options)
        return SQLiteProducer(self._connection, options)

    def membership(self, options: GroupOptions) -> SQLiteMembership:
        return SQLiteMembership(self._connection, options)

    async def maintain(self) -> None:
        """Do now what maintenance does from time to time, whoever holds the lease."""
        if self._maintenance is not None:
            await self._maintenance.sweep(thorough=True)

    # -- topics ------------------------------------------------------------------------------

    async def cluster_id(self) -> str:
        statement = "SELECT value FROM setting WHERE name = 'cluster_id'"
        (found,) = await self._connection.read(lambda db: db.execute(statement).fetchone())
        return str(found)

    async def topics(self, names: Collection[str] | None = None) -> dict[str, TopicInfo]:
        return await self._connection.read(lambda db: topics.describe(db, names))

    async def create_topic(self, spec: TopicSpec) -> None:
        await self._change(
            lambda session: topics.create(session.db, spec.name, spec.partitions, spec.config)
        )

    async def auto_create(self, topic: str) -> bool:
        if topic in await self.topics([topic]):
            return True
        if not self.location.auto_create:
            return False
        with contextlib.suppress(TopicExists):
            await self.create_topic(TopicSpec(topic, self.options.default_partitions))
        return True

    async def create_partitions(self, topic: str, total: int) -> None:
        await self._change(lambda session: topics.create_partitions(session.db, topic, total))

    async def delete_topic(self, topic: str) -> None:
        await self._change(lambda session: topics.delete(session.db, topic))

    async def topic_config(self, topic: str) -> dict[str, str]:
        return await self._connection.read(lambda db: topics.config_of(db, topic))

    async def alter_topic_config(self, topic: str, config: Mapping[str, str]) -> None:
        await self._change(lambda session: topics.alter_config(session.db, topic, config))

    async def _change(self, run: Callable[[Session], None]) -> None:
        def change(session: Session) -> None:
            session.flush()
            try:
                run(session)
            finally:
                session.forget()
            session.touched = True

        await self._connection.writer.call(change)

    # -- offsets -----------------------------------------------------------------------------

    async def offsets(self, tps: Iterable[TP], at: int) -> dict[TP, int]:
        wanted = list(tps)

        def look(db: sqlite3.Connection) -> dict[TP, int]:
            ids = topics.partition_ids(db, wanted)
            return {tp: _offset_at(db, tp, ids[tp], at) for tp in wanted if tp in ids}

        return await self._connection.read(look)

    async def delete_records(self, before: Mapping[TP, int]) -> dict[TP, int]:
        def delete(session: Session, tp: TP, offset: int) -> int:
            log = session.find(tp)
            if log is None:
                raise UnknownTopic(f"there is no partition {tp}")
            start = log.state.delete_records(tp, offset)
            session.start_at(log, start)
            return start

        return {
            tp: await self._connection.writer.call(
                lambda session, tp=tp, at=offset: delete(session, tp, at)  # type: ignore[misc]
            )
            for tp, offset in before.items()
        }

    # -- groups, from outside ------------------------------------------------------------------

    async def groups(self) -> list[str]:
        return await self._connection.read(groups.names)

    async def committed(
        self, group_id: str, tps: Collection[TP] | None = None, *, stable: bool = False
    ) -> dict[TP, Commit]:
        if stable:
            await self._until_stable(group_id, tps)
        return await self._connection.read(lambda db: groups.committed(db, group_id, tps))

    async def _until_stable(self, group_id: str, tps: Collection[TP] | None) -> None:
        clock, bell = self.options.clock, self._connection.bell
        seconds = self.options.request_timeout
        deadline = clock.monotonic() + seconds
        while True:
            ticket = bell.ticket()
            unstable = await self._connection.read(
                lambda db: transactions.is_unstable(db, group_id, tps)
            )
            left = deadline - clock.monotonic()
            if not unstable or left <= 0:
                bell.drop(ticket)
                break
            bell.drain()
            await bell.wait(ticket, left)
        if unstable:
            raise BrokerUnavailable(
                f"a transaction has held offsets of group {group_id!r} for {seconds:g} s"
            )

    async def commit_offsets(self, group_id: str, offsets: Mapping[TP, Commit]) -> None:
        def run(session: Session) -> None:
            group = groups.load(session, group_id)
            group.tick(session.clock.monotonic())
            groups.save(session, group)
            if group.members:
                raise UnknownMember(
                    f"group {group_id} has {len(group.members)} members: stop them first"
                )
            for error in groups.commit(session, group_id, offsets).values():
                raise error

        await self._connection.writer.call(run)


def _offset_at(db: sqlite3.Connection, tp: TP, row_id: int, at: int) -> int:
    start, end = db.execute(
        "SELECT start_offset, next_offset FROM partition WHERE id = ?", (row_id,)
    ).fetchone()
    if at == EARLIEST:
        return int(start)
    if at == LATEST:
        return int(end)
    rows = db.execute(
        "SELECT data FROM batch WHERE id >= ? AND id < ? AND max_timestamp >= ? ORDER BY id",
        (batch_key(row_id, start), (row_id + 1) << OFFSET_BITS, at),
    )
    for (data,) in rows:
        batch = Batch(tp, data)
        for record in () if batch.is_control else batch.records():
            if record.timestamp >= at and record.offset >= start:
                return record.offset
    return int(end)
