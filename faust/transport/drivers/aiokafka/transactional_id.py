"""Who a transactional producer is at its coordinator: id, epoch, and what is open there.

Theory (KIP-98, KIP-360, KIP-447).  The coordinator keeps one state for each transactional id, with
a producer id and an epoch.  InitProducerId raises the epoch, which fences whoever had the one
before; it ends what that one had left open.  Since a producer names itself there (KIP-360), it can
get a new epoch for itself without taking the id away from a successor.

* **Unknown outcome.**  An EndTxn whose answer is lost is sent again: for one epoch it is
  idempotent.  If nobody answers in time, `TransactionalId.prepare` asks for an *abort* before
  anything else: either that ends the transaction, or the answer says that none is open (it was
  committed, or is just being committed).  Both ways it is decided, and a new epoch shuts out what
  may still be under way.
* **Fenced, or timed out?**  A coordinator ends a transaction that is open for too long as a
  successor would: by raising the epoch; and then it answers us as if there were one.  So we look:
  after a time-out of ours the id stands at our epoch plus one, aborted.  A successor that finds our
  transaction open raises the epoch once to end it and once more for itself; it can be at our epoch
  plus one only where we had nothing open, and then we do not look at all.  What was found is taken
  over with the epoch that was found as a condition, so that a successor that comes between wins.
* **Never from a successor.**  The coordinator does not compare epochs when it is asked for a new
  one while a transaction is open: it would end that of a successor.  So before we ask, an abort
  (whose epoch it does compare) finds out whether the id is still ours; and once it is lost, nothing
  is asked any more.
* **Late batches.**  A batch of ours whose answer was lost must not get into the log behind the
  marker.  New epochs see to that once they are known at the partition, brokers from Kafka 3.6 on
  always (KIP-890: they ask the coordinator whether the transaction is open).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any, NoReturn

from aiokafka.protocol.transaction import (
    AddOffsetsToTxnRequest,
    AddPartitionsToTxnRequest,
    EndTxnRequest,
)

from faust._values import TP
from faust.exceptions import (
    BrokerUnavailable,
    ProducerFenced,
    RetryableError,
    StopError,
    TransactionAborted,
)
from faust.transport.drivers.aiokafka.cluster import Cluster
from faust.transport.drivers.aiokafka.coordinator import TRANSACTION, Coordinator
from faust.transport.drivers.aiokafka.errors import (
    CONCURRENT_TRANSACTIONS,
    FENCED_PRODUCER,
    FORGOTTEN_PRODUCER,
    INVALID_TXN_STATE,
    NO_ERROR,
    NOT_ATTEMPTED,
    TOPIC_GONE,
    TRANSACTIONAL_ID_NOT_FOUND,
    error_for,
    may_be_retried,
    name_of,
)
from faust.transport.drivers.aiokafka.patience import Patience
from faust.transport.drivers.aiokafka.transaction_requests import (
    DescribeTransactionRequest,
    InitProducerIdRequest,
)

__all__ = ["TransactionalId"]

#: The coordinator is still writing the markers of the transaction before: a matter of milliseconds.
_FIRST_PAUSE = 0.005
#: What the coordinator says of a transaction that it has ended because of its age.
_ABORTED = frozenset({"PrepareAbort", "CompleteAbort", "PrepareEpochFence", "Dead"})
#: Clocks differ; an abort before this part of the time-out is none of the broker's own.
_SURELY_YOUNG = 0.9


class TransactionalId:
    """One transactional id, as one producer holds it.

    Arguments:
        cluster: Where its coordinator is.
        name: The id.
        timeout: Seconds after which the coordinator aborts an open transaction.
        lane: Name of the connection that requests go by.

    Attributes:
        producer_id, epoch: Who we are; -1 before the first `prepare`.
    """

    def __init__(self, cluster: Cluster, name: str, timeout: float, lane: str) -> None:
        self._cluster = cluster
        self._clock = cluster.options.clock
        self._timeout = timeout
        self._coordinator = Coordinator(cluster, name, lane, kind=TRANSACTION)
        self.name = name
        self.producer_id = self.epoch = -1
        self._needs_epoch = True
        self._open_since: float | None = None  # it may be open at the coordinator
        self._surely_opened = False
        self._was_asking = False
        self._lost: ProducerFenced | None = None  # to a later producer, for good

    def __repr__(self) -> str:
        state = "idle" if self._open_since is None else "open"
        return f"<TransactionalId {self.name!r} [{self.producer_id}:{self.epoch} | {state}]>"

    def need_epoch(self) -> None:
        """Ask for a new epoch before the next transaction: sequence numbers have to start again."""
        self._needs_epoch = True

    def close(self) -> None:
        """Ask for nothing any more."""
        self._coordinator.close()

    # -- between transactions ----------------------------------------------------

    async def prepare(self) -> bool:
        """Make sure that nothing is open and our epoch is good; return whether it is a new one.

        Raises:
            ProducerFenced, BrokerUnavailable, StopError: see `Producer.begin`.
        """
        if self._lost is not None:
            raise self._lost
        if self._open_since is None and not self._needs_epoch:
            return False
        if self.producer_id >= 0 and not self._was_asking:
            with suppress(TransactionAborted):  # by the coordinator; decided all the same
                await self._end(commit=False)
        await self._initialize()
        self._open_since, self._needs_epoch = None, False
        return True

    async def _initialize(self) -> None:
        while True:
            concurrent: list[int] = []
            # An answer that is lost may be asked for again: then, too, the epoch is ours.
            self._was_asking = True
            answer = await self._ask(
                InitProducerIdRequest(
                    self.name, int(self._timeout * 1000), self.producer_id, self.epoch
                ),
                "getting an epoch",
                on_retry=concurrent.append,
            )
            self._was_asking = False
            code = answer.error_code
            if code == NO_ERROR:
                self.producer_id, self.epoch = answer.producer_id, answer.producer_epoch
                return
            if code in FORGOTTEN_PRODUCER and self.producer_id >= 0:
                await self._start_anew(code)
            elif code in FENCED_PRODUCER and CONCURRENT_TRANSACTIONS in concurrent:
                # A request of ours that was late has opened a transaction, and this one ended it.
                await self._take_over(code)
            else:
                self._refuse(code, "getting an epoch")

    # -- inside of a transaction ---------------------------------------------------

    async def add_partitions(self, tps: Collection[TP]) -> None:
        """Take partitions into the transaction, before anything is appended to them."""
        topics: dict[str, list[int]] = {}
        for tp in tps:
            topics.setdefault(tp.topic, []).append(tp.partition)
        request = AddPartitionsToTxnRequest(
            self.name, self.producer_id, self.epoch, list(topics.items())
        )
        what = "adding partitions"
        patience = Patience(
            self._told(what), self._cluster.options.request_timeout, self._clock, _FIRST_PAUSE
        )
        while True:
            answer = await self._ask_opening(request, what, _code_of_partitions)
            code = _code_of_partitions(answer)
            if code not in TOPIC_GONE:
                break
            # Its leader is known to us, so it only has not got round yet; else `produce` gives up.
            await patience.after(RetryableError(f"{self._told(what)}: topics not known yet"))
        await self._check(code, what)

    async def add_offsets(self, group_id: str) -> None:
        """Take the offsets of a group into the transaction, before any are given."""
        request = AddOffsetsToTxnRequest(self.name, self.producer_id, self.epoch, group_id)
        what = "adding offsets"
        answer = await self._ask_opening(request, what, _own_code)
        await self._check(answer.error_code, what)

    async def _ask_opening(self, request: Any, what: str, code_of: Callable[[Any], int]) -> Any:
        if self._open_since is None:
            self._open_since, self._surely_opened = self._clock.monotonic(), False
        answer = await self._ask(request, what, code_of=code_of)
        if code_of(answer) == NO_ERROR:
            self._surely_opened = True
        return answer

    async def end(self, *, commit: bool) -> None:
        """Commit or abort what is open; nothing is asked if nothing is.

        Raises as `Transaction.commit`; after `BrokerUnavailable` it may still be open.
        """
        if self._open_since is not None:
            await self._end(commit=commit)

    async def _end(self, *, commit: bool) -> None:
        what = "committing" if commit else "aborting"
        attempts: list[int] = []
        request = EndTxnRequest(self.name, self.producer_id, self.epoch, commit)
        answer = await self._ask(request, what, on_retry=attempts.append)
        code = answer.error_code
        if code == NO_ERROR:
            self._open_since = None
        elif code == INVALID_TXN_STATE:
            # None is open: it was ended the other way, or (an abort) never begun.
            self._settled()
            if commit:
                self._refuse(code, what)
        else:
            try:
                await self._check(code, what)
            except TransactionAborted as aborted:
                if commit and attempts:
                    # It may have been committed by an attempt whose answer was lost.
                    raise BrokerUnavailable(
                        f"{self._told(what)}: the answer was lost; the outcome is unknown"
                    ) from aborted
                raise

    # -- what errors mean ------------------------------------------------------------

    async def fenced(self, code: int, what: str) -> NoReturn:
        """Find out why we are refused, and raise it.

        Raises:
            TransactionAborted: the coordinator has ended our transaction, and the id is ours.
            ProducerFenced: it belongs to a later producer.
        """
        await self._take_over(code, at_age=True)
        raise TransactionAborted(
            f"{self._told(what)}: it was open for more than {self._timeout:g} s, "
            "and the broker has aborted it"
        )

    async def _check(self, code: int, what: str) -> None:
        if code in FENCED_PRODUCER:
            await self.fenced(code, what)
        if code in FORGOTTEN_PRODUCER:
            await self._start_anew(code)
        if code != NO_ERROR:
            self._refuse(code, what)

    def _refuse(self, code: int, what: str) -> NoReturn:
        error = error_for(code, self._told(what))
        if isinstance(error, ProducerFenced):
            self._lost = error
        raise error

    async def _start_anew(self, code: int) -> None:
        """Return if the coordinator has forgotten the id: then nothing of ours is open.

        Raises:
            ProducerFenced: it knows it under another producer id.
        """
        found = await self._look()
        if found is None or found[0] != TRANSACTIONAL_ID_NOT_FOUND:
            self._lose(code)
        self._settled()
        self.producer_id = self.epoch = -1

    async def _take_over(self, code: int, *, at_age: bool = False) -> None:
        """Return if the coordinator itself has fenced us; the next epoch is asked for from there.

        Raises:
            ProducerFenced: somebody else has, or it cannot be told.
        """
        found = None
        if not at_age or self._may_be_too_old():
            found = await self._look()
        if found is None:
            self._lose(code)
        state, producer_id, epoch = found[2], found[5], found[6]
        if (producer_id, epoch) != (self.producer_id, self.epoch + 1) or state not in _ABORTED:
            self._lose(code)
        self.epoch = epoch
        self._settled()

    async def _look(self) -> Any:
        """Return what the coordinator says of the id; brokers before Kafka 3.0 do not tell."""
        request = DescribeTransactionRequest(self.name)
        try:
            answer = await self._ask(request, "looking", code_of=_code_of_described)
        except StopError:
            return None
        return answer.transactions[0]

    def _lose(self, code: int) -> NoReturn:
        told = f"the transactional id {self.name!r} has a later producer"
        self._lost = ProducerFenced(f"{told}: {name_of(code)}")
        raise self._lost

    def _may_be_too_old(self) -> bool:
        since = self._open_since
        if since is None or not self._surely_opened:
            return False
        return self._clock.monotonic() - since >= self._timeout * _SURELY_YOUNG

    def _settled(self) -> None:
        self._open_since = None
        self._needs_epoch = True

    def _told(self, what: str) -> str:
        return f"{what} (transaction of {self.name!r})"

    async def _ask(
        self,
        request: Any,
        what: str,
        *,
        code_of: Callable[[Any], int] | None = None,
        on_retry: Callable[[int], object] | None = None,
    ) -> Any:
        return await self._coordinator.ask(
            request,
            self._told(what),
            code_of=code_of or _own_code,
            on_retry=on_retry,
            first_pause=_FIRST_PAUSE,
        )


def _own_code(answer: Any) -> int:
    code: int = answer.error_code
    return code


def _code_of_described(answer: Any) -> int:
    code: int = answer.transactions[0][0]
    return code


def _code_of_partitions(answer: Any) -> int:
    """The first error there is, those that pass first; a refused request says so of each."""
    codes = [code for _, partitions in answer.errors for _, code in partitions]
    real = [code for code in codes if code not in (NO_ERROR, NOT_ATTEMPTED)]
    return next((code for code in real if may_be_retried(code)), real[0] if real else NO_ERROR)
