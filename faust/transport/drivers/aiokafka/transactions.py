"""The transactional producer (KIP-98, KIP-447): one transaction at a time, all of it or nothing.

It is the idempotent producer with three differences: who we are comes from the transaction
coordinator (`transactional_id`), a partition must be known to the coordinator before the first
batch goes to its leader, and no batch is given up alone: a failure fails the whole transaction,
with everything that was handed over.  The next one starts with a new epoch then, and all sequence
numbers anew; after a clean end they go on.

When a node hangs in the middle of a transaction (`under_way`, `coordinator`), nothing is different:
batches go to the new leader with the same epoch and sequence numbers, requests to the coordinator
of the transaction or of the group are made again at the next one.  The producer state that makes
the leader take a batch once is in the log that it has inherited; partitions that were added stay
added, in the log of transactions.  A batch that its former leader reads late is behind the marker
only if that node leads again, and then it is either one of the last five, acknowledged once more
without being appended, or out of sequence, or of an epoch that is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine, Iterable, Mapping
from contextlib import suppress
from typing import Any

from faust._values import TP
from faust.exceptions import (
    BrokerError,
    BrokerUnavailable,
    ImproperlyConfigured,
    TransactionAborted,
)
from faust.transport.drivers.aiokafka.cluster import Cluster
from faust.transport.drivers.aiokafka.coordinator import NO_ANSWER
from faust.transport.drivers.aiokafka.errors import FENCED_PRODUCER, error_for
from faust.transport.drivers.aiokafka.group import KafkaMembership
from faust.transport.drivers.aiokafka.lines import Line, Pending
from faust.transport.drivers.aiokafka.produce import KafkaProducer
from faust.transport.drivers.aiokafka.transactional_id import TransactionalId
from faust.transport.membership import Commit, Membership
from faust.transport.producer import Placed, ProducerOptions, Transaction
from faust.transport.records import Builder
from faust.transport.transactions import OneTransaction

__all__ = ["TransactionalProducer"]

#: An abort waits this long for answers to what is under way; a new epoch shuts out the rest.
_SETTLE_SECONDS = 1.0
#: What `close` waits for the abort of an open transaction.
_CLOSE_SECONDS = 5.0


class TransactionalProducer(KafkaProducer):
    """See `faust.transport.producer.Producer`."""

    def __init__(self, cluster: Cluster, options: ProducerOptions) -> None:
        name = options.transactional_id or ""
        if not name or not options.idempotent:
            raise ImproperlyConfigured("transactions need a transactional_id and idempotent=True")
        super().__init__(cluster, options)
        self._id_lane = f"{self._lane}-txn"
        self.id = TransactionalId(cluster, name, options.transaction_timeout, self._id_lane)
        self._transaction: KafkaTransaction | None = None
        self._added: set[TP] = set()
        self._adding: asyncio.Task[None] | None = None
        self._beginning = False

    # -- the port --------------------------------------------------------------

    def produce(self, tp: TP, builder: Builder) -> asyncio.Future[Placed]:
        raise ImproperlyConfigured("a transactional producer produces inside a transaction")

    async def begin(self) -> Transaction:
        if self._transaction is not None or self._beginning:
            raise ImproperlyConfigured(f"a transaction of {self.id.name!r} is open already")
        if self._closed:
            raise BrokerUnavailable("the producer is closed")
        self._beginning = True
        try:
            if await self.id.prepare():
                self._identity = (self.id.producer_id, self.id.epoch)
                self._lines.clear()
        finally:
            self._beginning = False
        self._added.clear()
        self._transaction = KafkaTransaction(self)
        return self._transaction

    async def close(self) -> None:
        transaction = self._transaction
        if transaction is not None and not self._closed:
            with suppress(BrokerError, TimeoutError):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await transaction.abort()
        await super().close()

    def abandon(self) -> None:
        self.id.close()
        super().abandon()
        self._cluster.connections.drop_lane(self._id_lane, abort=True)

    # -- for the transaction ---------------------------------------------------

    def hand_over(self, tp: TP, builder: Builder) -> asyncio.Future[Placed]:
        """Append a batch inside of the open transaction."""
        return super().produce(tp, builder)

    async def see_through(self, request: Coroutine[Any, Any, int]) -> int:
        """Await a request of the transaction; it goes on if who waits for it is cancelled.

        `discard` waits for it: brokers before KIP-890 take offsets that arrive behind the end of
        their transaction, and hold them as undecided for good.
        """
        task = asyncio.ensure_future(request)
        self._tasks.add(task)
        task.add_done_callback(self._over)
        await asyncio.wait([task])
        if task.cancelled():
            raise BrokerUnavailable("the producer was closed")
        return task.result()

    def _over(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waits has it; nobody does who was cancelled

    async def discard(self) -> None:
        """Forget what is not acknowledged; wait a moment for what is under way."""
        if self._busy:
            self._fail_all(TransactionAborted("the transaction was aborted"))
        if self._adding is not None:
            self._adding.cancel()
        under_way = [task for task in self._tasks if not task.done()]
        if under_way:
            self.id.need_epoch()
            _, late = await asyncio.wait(under_way, timeout=_SETTLE_SECONDS)
            if late:
                self._cluster.connections.drop_lane(self._lane, abort=True)

    def over(self, transaction: KafkaTransaction) -> None:
        """Forget the transaction; `begin` may be called again."""
        if self._busy:  # who waited for them was cancelled
            self._fail_all(TransactionAborted("the transaction was given up"))
        if transaction.failure is not None:
            self.id.need_epoch()
        self._transaction = None

    # -- differences in sending --------------------------------------------------

    def _ready(self) -> Iterable[tuple[TP, Line]]:
        if self._adding is None:
            missing = [tp for tp in self._busy if tp not in self._added and self._is_led(tp)]
            if missing:
                self._adding = self._spawn(self._add(missing), f"kafka {self._id_lane} add")
        return [item for item in self._busy.items() if item[0] in self._added]

    def _is_led(self, tp: TP) -> bool:
        if self._cluster.leader(tp) is not None:
            return True
        self._cluster.refresh_soon()
        return False

    async def _add(self, tps: Collection[TP]) -> None:
        transaction = self._transaction
        try:
            await self.id.add_partitions(tps)
        except BrokerError as exc:
            if transaction is self._transaction:
                self._fail_all(exc)
        else:
            if transaction is self._transaction:
                self._added.update(tps)
        finally:
            self._adding = None
            self._schedule_soon()

    def _out_of_sequence(self, pending: Pending, code: int) -> None:
        what = f"producing to {pending.line.tp}"
        if code in FENCED_PRODUCER:
            # By whom, only the coordinator knows: the transaction asks when it ends.
            self._fail(pending, TransactionAborted(f"{what}: {error_for(code, 'refused')}"))
        elif pending.line.is_first(pending):
            self._fail(pending, TransactionAborted(f"{what}: the broker lost track of us"))
        else:
            self._again(pending, in_doubt=False)

    def _fail(self, pending: Pending, error: Exception) -> None:
        if self._lines.get(pending.line.tp) is pending.line:
            self._fail_all(error)

    def _fail_all(self, error: Exception) -> None:
        """Fail the transaction: with one batch missing, nothing of it may count."""
        if self._transaction is not None:
            self._transaction.fail(error)
        oldest = [line.oldest for line in self._busy.values()]
        failed = [lost for first in oldest if first is not None for lost in first.line.fail(first)]
        self._busy.clear()
        self._lines.clear()
        self.id.need_epoch()
        for pending in failed:
            if not pending.future.done():
                pending.future.set_exception(error)
                pending.future.exception()  # the transaction itself will tell


class KafkaTransaction(OneTransaction):
    """One open transaction."""

    def __init__(self, producer: TransactionalProducer) -> None:
        super().__init__(producer.id.name)
        self._producer = producer
        self._groups: set[str] = set()

    def hand_over(self, tp: TP, builder: Builder) -> asyncio.Future[Placed]:
        return self._producer.hand_over(tp, builder)

    async def add_offsets(
        self, membership: Membership, offsets: Mapping[TP, Commit], generation: int | None
    ) -> None:
        if not isinstance(membership, KafkaMembership):
            raise ImproperlyConfigured("the membership is of another transport")
        own = self._producer.id
        if membership.group_id not in self._groups:
            await own.add_offsets(membership.group_id)
            self._groups.add(membership.group_id)
        code = await self._producer.see_through(
            membership.commit_in_transaction(
                own.name, (own.producer_id, own.epoch), offsets, generation, self._sent_again
            )
        )
        if code in FENCED_PRODUCER:
            await own.fenced(code, "committing offsets")

    def _sent_again(self, code: int) -> None:
        """Offsets whose answer was lost must not be taken for those of the next transaction."""
        if code == NO_ANSWER:
            self._producer.id.need_epoch()

    async def flush(self) -> None:
        await self._producer.flush()

    async def discard(self) -> None:
        await self._producer.discard()

    async def end(self, *, commit: bool) -> None:
        await self._producer.id.end(commit=commit)

    def on_over(self) -> None:
        self._producer.over(self)
