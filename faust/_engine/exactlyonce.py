"""How a cut is sent under exactly once: outputs, changelogs and offsets in one transaction.

One transactional producer for each worker (KIP-98), beside the plain one.  A transaction is open
only while a commit is under way; its offsets are fenced by member and generation (KIP-447).

*It fails*: it is aborted, and nothing of it was ever visible to who reads what is committed.  The
cut goes back where it was taken from, and is cut again, under a new generation if there is one.
Putting back is as exact as rewinding as long as this process lives and owns the task: nothing
outside of it has seen the effects, and inside the events are finished.  A lost task is dropped with
its outputs.

*Its outcome is unknown*: the next `begin` of the same producer decides it, and then the commit is
looked up.  Until that is known the cut is neither committed nor put back, and nothing else is.

*The worker stops before it has ended*: `end`.  It is aborted if that can be said in time, and
otherwise by the broker's time-out, or by whoever begins next with the same transactional id.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple, Unpack

from faust._engine.changelogs import ChangelogReplaced, Changelogs, Watched
from faust.exceptions import (
    BrokerError,
    BrokerUnavailable,
    MessageTooLarge,
    ProducerFenced,
    ProducerSendError,
    RetryableError,
    TransactionAborted,
    UnknownTopic,
)

if TYPE_CHECKING:
    from faust._core.threads import Bridge
    from faust._engine.deliveries import Delivery
    from faust._engine.outputs import ExactOutbox, Output, Packed
    from faust._engine.tasks import Cut, TableCut
    from faust._values import TP
    from faust.settings import Settings
    from faust.transport.base import Transport
    from faust.transport.membership import Commit, Membership
    from faust.transport.producer import Placed, Producer, Transaction

__all__ = ["ExactlyOnce"]

logger = logging.getLogger(__name__)

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

#: Seconds after which the broker aborts an open transaction.
TRANSACTION_TIMEOUT = 10.0


class ExactlyOnce:
    """Sends cuts in transactions (on the main loop, where nothing else is said).

    Arguments:
        producer: A transactional one, for nothing else.
        name: Its transactional id.
    """

    def __init__(
        self,
        *,
        bridge: Bridge,
        transport: Transport,
        producer: Producer,
        name: str,
        membership: Membership,
        outbox: ExactOutbox,
        group_id: str,
        batch_size: int,
        now: Callable[[], float],
    ) -> None:
        self._bridge = bridge
        self._transport = transport
        self._producer = producer
        self.name = name
        self._membership = membership
        self._outbox = outbox
        self._group_id = group_id
        self._changelogs = Changelogs(
            transport, producer, batch_size=batch_size, now=now, transactional=True
        )
        self._transaction: Transaction | None = None
        self._packed: Packed | None = None
        self._placed: list[Placed] = []
        #: On the I/O loop: one step at a time, also where whoever has asked for it is cancelled.
        self._step = asyncio.Lock()
        self._ended = False

    #: May a cut be undone whose outcome is not known?  (Its outputs would be there twice.)
    forgiving = False

    @property
    def pressing(self) -> bool:
        """Should a commit not wait for its interval?"""
        return self._outbox.pressing

    async def start(self) -> None:
        """End what a predecessor with our transactional id has left open.

        Raises:
            BrokerUnavailable: the broker does not answer.
            StopError: it has no transactions, or we may not use them.
        """
        await self._call_io(self._begin)
        await self.abandon()

    def end(self) -> None:
        """From now on what is given up is not aborted by whoever gives it up, but by `close`."""
        self._ended = True

    async def close(self) -> None:
        """End the producer; an open transaction is aborted."""
        self.end()
        await self.abandon()
        await self._call_io(self._close)

    async def _close(self) -> None:
        await self._abort()
        await self._producer.close()

    def drop(self) -> None:
        """There is no time left: whatever is still to be sent is not sent any more."""
        self._bridge.post_io(self._producer.abandon)

    async def _call_io(self, fun: Callable[[Unpack[Ts]], Coroutine[Any, Any, T]], *args: *Ts) -> T:
        return await self._bridge.call_io(self._alone, fun, args)

    async def _alone(
        self, fun: Callable[[Unpack[Ts]], Coroutine[Any, Any, T]], args: tuple[*Ts]
    ) -> T:
        async with self._step:
            return await fun(*args)

    def check(self) -> None:
        """Look whether anything that was sent outside of events is lost.

        Raises:
            ProducerSendError: it is, and nobody has asked for it.
        """
        self._outbox.losses.check()

    # -- the commit --------------------------------------------------------------------------

    async def produce(self, cuts: Sequence[Cut]) -> None:
        """Begin a transaction; put the outputs and the changelogs of the cuts into it.

        Raises:
            ChangelogReplaced: a changelog was made anew.
            ProducerFenced: another process has our transactional id.
            ProducerSendError: an output cannot be delivered, and nobody deals with that.
            TransactionAborted: outputs whose failure somebody deals with were left out, or the
                transaction was open for too long: cut again.
            RetryableError: the broker does not answer.
        """
        self.check()
        tables = [table for cut in cuts for table in cut.tables if table.entries]
        outputs = [output for cut in cuts for output in cut.outputs]
        lost = await self._outbox.find_topics(outputs)
        if lost:
            self._leave_out(cuts, lost)
        packed = self._packed = self._outbox.pack(outputs)
        failed = await self._call_io(self._append, packed.deliveries, tables)
        if failed:
            self._leave_out(cuts, packed.failed(failed))

    def _leave_out(self, cuts: Sequence[Cut], lost: dict[Output, BaseException]) -> None:
        """Some outputs cannot be delivered: the rest of the cut goes again, without them."""
        for output, error in lost.items():
            if not output.claimed:
                raise ProducerSendError(
                    f"messages to {output.target.name!r} could not be delivered: {error}"
                ) from error
        for cut in cuts:
            cut.outputs = [output for output in cut.outputs if output not in lost]
        for output, error in lost.items():
            output.fail(error)
        raise TransactionAborted(f"{len(lost)} messages could not be delivered and are left out")

    async def _begin(self) -> None:
        """On the I/O loop: open a transaction; decides the one before, if it is in doubt."""
        try:
            self._transaction = await self._producer.begin()
        except ProducerFenced as exc:
            raise self._fenced() from exc

    async def _append(
        self, deliveries: Sequence[Delivery], tables: Sequence[TableCut]
    ) -> dict[Delivery, BaseException]:
        """On the I/O loop: begin, produce; return the batches that can never be delivered."""
        await self._begin()
        transaction = self._transaction
        assert transaction is not None
        sent = [transaction.produce(d.tp, d.builder) for d in deliveries]
        appended = [
            self._changelogs.append_in(transaction, table.changelog, table.entries)
            for table in tables
        ]
        try:
            results: list[Any] = await asyncio.gather(*sent, *appended, return_exceptions=True)
        finally:
            for delivery in deliveries:
                delivery.builder = None
        self._look_at(results[len(sent) :])
        failed: dict[Delivery, BaseException] = {
            delivery: result
            for delivery, result in zip(deliveries, results, strict=False)
            if isinstance(result, MessageTooLarge | UnknownTopic)
        }
        if failed:
            return failed
        self._look_at(results[: len(sent)])
        self._placed = results[: len(sent)]
        ends = list(zip(tables, results[len(sent) :], strict=True))
        replaced = [
            Watched(table.changelog, table.piece)
            for table, end in ends
            if end < table.piece.position + len(table.entries)
        ]
        if replaced:
            raise ChangelogReplaced(replaced)
        for table, end in ends:
            table.position = end
        return {}

    def _look_at(self, results: Sequence[Any]) -> None:
        errors = [result for result in results if isinstance(result, BaseException)]
        for error in errors:
            if isinstance(error, ProducerFenced):
                raise self._fenced() from error
        for error in errors:
            raise error

    async def commit(self, offsets: dict[TP, Commit], generation: int) -> dict[TP, BrokerError]:
        """Commit the offsets, and with them all that was produced.

        Raises:
            RejoinError, FencedMember, ProducerFenced, TransactionAborted: nothing was committed.
            BrokerUnavailable: the outcome is unknown.
        """
        await self._call_io(self._commit, offsets, generation)
        return {}

    async def _commit(self, offsets: dict[TP, Commit], generation: int) -> None:
        transaction = self._transaction
        assert transaction is not None
        try:
            if offsets:
                await transaction.commit_offsets(self._membership, offsets, generation=generation)
        except ProducerFenced as exc:
            raise self._fenced() from exc
        except (BrokerUnavailable, UnknownTopic, MessageTooLarge) as exc:
            raise TransactionAborted(f"the offsets were not taken: {exc}") from exc
        self._transaction = None
        try:
            await transaction.commit()
        except ProducerFenced as exc:
            raise self._fenced() from exc

    async def committed(self, tps: list[TP]) -> dict[TP, Commit]:
        """Decide what is in doubt; return what is committed then.

        Raises:
            RetryableError: the broker does not answer; it is still in doubt.
        """
        return await self._call_io(self._decide, tps)

    async def _decide(self, tps: list[TP]) -> dict[TP, Commit]:
        if self._transaction is None:
            await self._begin()
        found = await self._transport.committed(self._group_id, tps, stable=True)
        await self._abort()
        return found

    def succeeded(self) -> None:
        """What was produced and committed last counts: tell who waits for it."""
        packed, self._packed = self._packed, None
        if packed is not None:
            self._outbox.delivered(packed, self._placed)

    async def abandon(self) -> None:
        """What was produced last does not count: abort it."""
        packed, self._packed = self._packed, None
        if packed is not None:
            packed.unpack()
        if not self._ended:
            await self._call_io(self._abort)
        elif packed is not None:
            unknown = ProducerSendError("the app was stopped, and whether it was sent is unknown")
            for output in packed.outputs:
                output.fail(unknown)

    async def _abort(self) -> None:
        transaction, self._transaction = self._transaction, None
        if transaction is not None:
            with suppress(RetryableError):  # the next one ends it, or the broker's time-out
                await transaction.abort()

    def _fenced(self) -> ProducerFenced:
        return ProducerFenced(
            f"another process uses our transactional id {self.name!r}, and nothing of ours is "
            f"committed any more: give each worker a data directory (--datadir), or a "
            f"consumer_group_instance_id, of its own, and start this one again"
        )


async def new_producer(transport: Transport, conf: Settings, name: str) -> Producer:
    """On the I/O loop: make a producer for transactions."""
    from faust.transport.producer import ProducerOptions

    return transport.producer(
        ProducerOptions(
            max_request_bytes=conf.producer_max_request_size,
            delivery_timeout=conf.producer_request_timeout,
            transactional_id=name,
            transaction_timeout=TRANSACTION_TIMEOUT,
        )
    )
