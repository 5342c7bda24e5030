"""What the transactions of all drivers have in common: how errors inside add up, and how they end.

A driver says how to hand over, to wait, to end and to discard; that a transaction is over however
it ends, that one with a failure inside can only be aborted, and who hears of what, is decided here.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Mapping
from contextlib import suppress

from faust._values import TP
from faust.exceptions import (
    BrokerError,
    BrokerUnavailable,
    ImproperlyConfigured,
    ProducerFenced,
    RetryableError,
    TransactionAborted,
)
from faust.transport.membership import Commit, Membership
from faust.transport.producer import Placed, Transaction
from faust.transport.records import Builder

__all__ = ["OneTransaction"]


class OneTransaction(Transaction):
    """One open transaction.

    Arguments:
        name: The transactional id.

    Attributes:
        failure: The first error inside of it: it can only be aborted.
        is_over: There is nothing more to be done with it.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.failure: BaseException | None = None
        self.is_over = False

    def __repr__(self) -> str:
        state = "over" if self.is_over else "failed" if self.failure else "open"
        return f"<{type(self).__name__} of {self.name!r} [{state}]>"

    # -- what a driver says --------------------------------------------------------

    @abstractmethod
    def hand_over(self, tp: TP, builder: Builder) -> asyncio.Future[Placed]:
        """Append a batch; what fails is told to `fail`."""

    @abstractmethod
    async def add_offsets(
        self, membership: Membership, offsets: Mapping[TP, Commit], generation: int | None
    ) -> None:
        """See `Transaction.commit_offsets`."""

    @abstractmethod
    async def flush(self) -> None:
        """Wait until everything handed over is appended or has failed."""

    @abstractmethod
    async def discard(self) -> None:
        """Give up what is not appended."""

    @abstractmethod
    async def end(self, *, commit: bool) -> None:
        """Let the broker end it; raises as `Transaction.commit`."""

    @abstractmethod
    def on_over(self) -> None:
        """It is over: cleanly, if `failure` is ``None``."""

    # -- the port --------------------------------------------------------------------

    def fail(self, error: BaseException) -> None:
        """Note that something inside has failed."""
        self.failure = self.failure or error

    def produce(self, tp: TP, builder: Builder) -> asyncio.Future[Placed]:
        self._check_open()
        if self.failure is None:
            return self.hand_over(tp, builder)
        future: asyncio.Future[Placed] = asyncio.get_running_loop().create_future()
        future.set_exception(self.failure)
        future.exception()  # the transaction itself will tell
        return future

    async def commit_offsets(
        self,
        membership: Membership,
        offsets: Mapping[TP, Commit],
        *,
        generation: int | None = None,
    ) -> None:
        self._check_open()
        if self.failure is not None:
            raise self._aborted() from self.failure
        try:
            await self.add_offsets(membership, offsets, generation)
        except BrokerError as error:
            self.fail(error)
            raise
        except asyncio.CancelledError:
            self.fail(BrokerUnavailable("committing offsets was cancelled"))
            raise

    async def commit(self) -> None:
        self._check_open()
        try:
            await self.flush()
            if self.failure is None:
                await self._end_well()
                return
            with suppress(RetryableError, TransactionAborted):  # `Producer.begin` makes sure
                await self._drop()
        except BaseException as error:
            self.fail(error)
            raise
        finally:
            self._finish()
        if isinstance(self.failure, ProducerFenced):
            raise self.failure
        raise self._aborted() from self.failure

    async def abort(self) -> None:
        if self.is_over:
            return
        try:
            await self._drop()
        except (TransactionAborted, ProducerFenced) as error:
            self.fail(error)  # `Producer.begin` will say who has the id now
        except BaseException as error:
            self.fail(error)
            raise
        finally:
            self._finish()

    # -- inside ----------------------------------------------------------------------

    async def _end_well(self) -> None:
        """Let the broker commit.

        Whatever it answered in the end, an earlier attempt whose answer was lost may have taken
        effect: but for what says that nothing counts, nobody knows.
        """
        try:
            await self.end(commit=True)
        except BrokerUnavailable:
            raise
        except RetryableError as error:
            raise BrokerUnavailable(f"whether a transaction is committed: {error}") from error

    async def _drop(self) -> None:
        await self.discard()
        await self.end(commit=False)

    def _finish(self) -> None:
        self.is_over = True
        self.on_over()

    def _aborted(self) -> TransactionAborted:
        return TransactionAborted(f"the transaction of {self.name!r} failed: {self.failure}")

    def _check_open(self) -> None:
        if self.is_over:
            raise ImproperlyConfigured(f"the transaction of {self.name!r} is over: begin another")
