"""The transactional producer of the embedded broker (see `transactions` on how that works).

It is the idempotent producer with an id from the file; each append first asks whether the
transaction may go on.  All that it asks goes through the one writing thread of its process, in the
order in which it was asked: what comes later decides what became of what came before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from faust._values import TP
from faust.exceptions import (
    BrokerError,
    BrokerUnavailable,
    ImproperlyConfigured,
    TransactionAborted,
)
from faust.transport.drivers.sqlite import transactions
from faust.transport.drivers.sqlite.log import Session
from faust.transport.drivers.sqlite.membership import SQLiteMembership
from faust.transport.drivers.sqlite.producer import Append, SQLiteProducer
from faust.transport.membership import Commit, Membership
from faust.transport.producer import Placed, ProducerOptions, Transaction
from faust.transport.records import Builder
from faust.transport.transactions import OneTransaction

if TYPE_CHECKING:
    from faust.transport.drivers.sqlite.connection import Connection

__all__ = ["SQLiteTransactionalProducer"]

R = TypeVar("R")

#: Seconds that closing waits for the abort of an open transaction.
_CLOSE_TIMEOUT = 5.0


class SQLiteTransactionalProducer(SQLiteProducer):
    """Appends inside of transactions, one at a time.

    Attributes:
        name: The transactional id.
        epoch: Ours; -1 before the first transaction.
    """

    def __init__(self, connection: Connection, options: ProducerOptions) -> None:
        super().__init__(connection, options)
        self.name = options.transactional_id or ""
        if not self.name or not options.idempotent or options.acks != -1:
            raise ImproperlyConfigured(
                "transactions need a transactional_id, idempotent=True and acks=-1"
            )
        self.epoch = -1
        self._needs_epoch = True
        self._transaction: SQLiteTransaction | None = None
        self._beginning = False

    def produce(self, tp: TP, builder: Builder) -> asyncio.Future[Placed]:
        raise ImproperlyConfigured("a transactional producer produces inside a transaction")

    async def begin(self) -> Transaction:
        if self._transaction is not None or self._beginning:
            raise ImproperlyConfigured(f"a transaction of {self.name!r} is open already")
        if self._closed:
            raise BrokerUnavailable("this producer is closed")
        self._beginning = True
        try:
            if self._needs_epoch:
                await self._prepare()
        finally:
            self._beginning = False
        self._transaction = SQLiteTransaction(self)
        return self._transaction

    async def _prepare(self) -> None:
        if self._producer_id >= 0:
            epoch = self.epoch
            with suppress(TransactionAborted):  # the file has forgotten us
                self.epoch = await self.ask(
                    lambda session: transactions.renew(session, self.name, epoch)
                )
                self._needs_epoch = False
                return
        process = self._connection.bell.name
        timeout = self.options.transaction_timeout
        self._producer_id, self.epoch = await self.ask(
            lambda session: transactions.initialize(session, self.name, timeout, process)
        )
        self._needs_epoch = False

    async def close(self) -> None:
        transaction = self._transaction
        if transaction is not None and not self._closed:
            with suppress(BrokerError, TimeoutError):
                async with asyncio.timeout(_CLOSE_TIMEOUT):
                    await transaction.abort()
        await super().close()

    # -- for the transaction -----------------------------------------------------------------

    async def ask(self, run: Callable[[Session], R]) -> R:
        """Do something on the writing thread, behind all that was handed over."""
        return await self._connection.writer.call(run)

    def hand_over(self, tp: TP, builder: Builder) -> asyncio.Future[Placed]:
        """Append a batch inside of the open transaction."""
        return super().produce(tp, builder)

    def discard(self) -> None:
        """Give up what is not appended."""
        for append in list(self._waiting):
            self._give_up(append, TransactionAborted("the transaction was aborted"))

    def over(self, transaction: SQLiteTransaction) -> None:
        """Forget the transaction; `begin` may be called again."""
        self.discard()  # who waited for them was cancelled
        self._needs_epoch = self._needs_epoch or transaction.failure is not None
        self._transaction = None

    def delivered(self, append: Append) -> None:
        error = append.error
        if append in self._waiting and error is not None and self._transaction is not None:
            self._transaction.fail(error)
            append.future.exception()  # the transaction itself will tell
        super().delivered(append)

    # -- on the writer's thread ----------------------------------------------------------------

    def append(self, session: Session, tp: TP, data: bytearray) -> Placed:
        session.find_or_create(tp)
        transactions.add_partition(session, self.name, self.epoch, tp)
        return super().append(session, tp, data)


class SQLiteTransaction(OneTransaction):
    """One open transaction."""

    def __init__(self, producer: SQLiteTransactionalProducer) -> None:
        super().__init__(producer.name)
        self._producer = producer
        self._epoch = producer.epoch

    def hand_over(self, tp: TP, builder: Builder) -> asyncio.Future[Placed]:
        return self._producer.hand_over(tp, builder)

    async def add_offsets(
        self, membership: Membership, offsets: Mapping[TP, Commit], generation: int | None
    ) -> None:
        if not isinstance(membership, SQLiteMembership):
            raise ImproperlyConfigured("the membership is of another transport")

        def run(session: Session) -> None:
            transactions.check(session, self.name, self._epoch)
            group_id = membership.check_transactional(session, generation)
            transactions.add_offsets(session, self.name, self._epoch, group_id, offsets)

        with membership.noticing():
            await self._producer.ask(run)

    async def flush(self) -> None:
        await self._producer.flush()

    async def discard(self) -> None:
        self._producer.discard()

    async def end(self, *, commit: bool) -> None:
        await self._producer.ask(
            lambda session: transactions.end(session, self.name, self._epoch, commit=commit)
        )

    def on_over(self) -> None:
        self._producer.over(self)
