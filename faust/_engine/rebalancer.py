"""Membership: joins rounds, heartbeats, and turns assignments into differences.

It lives on the I/O loop, so that a user's code that blocks the main loop for minutes costs us no
membership.  A rebalance is a difference: kept tasks never stop; revoked ones are handed to the main
loop to be cut, committed and closed (for at most the grace period, while heartbeats go on), and
then the group is joined again without them; added ones are handed over to be restored and started.

The order of one round::

    join with what we own -> sync -> revoke what is not ours any more -> (join again if any)
                                  -> add what is new -> heartbeat until the next round

A task that stays and has lost a source partition (its topic has grown) is revoked and added: what
we say that we read when we join is what we read, and others get the rest.

A *static* member (KIP-345) does not leave when it stops: whoever starts under its name within the
session time-out is given what it had, without a round.  To the new process all of that is new.  It
joins once more where the plan was not made for it: it reads other topics or is of another version
(KAFKA-12759), or its predecessor had given up tasks and others still wait for it to say so.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from faust._core.background import in_background
from faust._engine.callbacks import Callbacks
from faust._engine.heartbeats import Heartbeats
from faust._engine.holdings import Holdings, sentence
from faust._engine.subscribed import Subscribed, Subscription
from faust._machines.causes import STARTING
from faust._machines.copartition import TaskId
from faust._machines.retry import backoff
from faust.exceptions import (
    MemberIdRequired,
    RebalanceInProgress,
    RejoinError,
    RetryableError,
)

if TYPE_CHECKING:
    from faust._core.clock import Clock
    from faust._core.threads import Bridge
    from faust.assignor.partition_assignor import Assignment, PartitionAssignor
    from faust.transport.base import Transport
    from faust.transport.membership import Membership, Round

__all__ = ["Callbacks", "Rebalancer", "Subscription"]

logger = logging.getLogger(__name__)

#: How often it is looked whether topics came, went or grew (seconds).
LOOK_INTERVAL = 30.0

#: A member that waits for a copy to catch up says so when it has.  Should that be missed, the group
#: looks again after so many seconds (KIP-441: ``probing.rebalance.interval.ms``).
PROBING_INTERVAL = 600.0

#: Which part of the session time-out a leader may take for its plan; the double, and so on, where
#: it has not been enough.
SYNC_PATIENCE = 0.2


class Rebalancer:
    """One worker's membership.

    Attributes:
        rounds: Rebalances so far.
        lags: For each task of which there is local state here, how many changelog records that is
            behind what is committed; told whenever the group is joined.  To be replaced as a whole,
            from any thread, by whoever keeps these copies; tasks that are active here are left out.
    """

    def __init__(
        self,
        *,
        bridge: Bridge,
        clock: Clock,
        transport: Transport,
        membership: Membership,
        assignor: PartitionAssignor,
        subscription: Callable[[], Subscription],
        url: str,
        app_version: str,
        static: bool = False,
        heartbeat_interval: float,
        session_timeout: float,
        revoke_patience: float,
        cap: Callable[[Mapping[str, int]], dict[str, int]],
        callbacks: Callbacks,
    ) -> None:
        self._bridge = bridge
        self._clock = clock
        self._membership = membership
        self._assignor = assignor
        self._subscribed = Subscribed(transport, subscription, cap)
        self._url = url
        self._app_version = app_version
        self._static = static
        self._session_timeout = session_timeout
        self._revoke_patience = revoke_patience
        #: Calls to the main loop that let it give tasks up; a blocked one answers late.
        self._giving_up: set[asyncio.Future[None]] = set()
        self._callbacks = callbacks
        self._holdings = Holdings()
        self.lags: Mapping[TaskId, int] = {}
        self.rounds = 0
        self._wake = asyncio.Event()
        self._heartbeats = Heartbeats(
            clock,
            membership,
            heartbeat_interval,
            session_timeout,
            is_due=lambda: not self._joining and self.generation >= 0,
            on_round=self._wake.set,
            on_gone=self._is_out,
            on_silence=lambda reason: self._is_out(reason) if self.owned else None,
            on_error=lambda exc: self._bridge.call_main(self._callbacks.crash, exc),
        )
        #: Tells us from an earlier process of the same static member.
        self._process = uuid4().hex[:8]
        #: What we read, as we joined with it.
        self._digest = ""
        self._joining = False
        self._member_id = ""
        self._gone: str = ""
        #: Why we have asked for a round ("" if others have), and how often.
        self._reason = STARTING
        self._asks = 0
        #: How often in a row a leader has given no plan in time.
        self._slow_plans = 0
        self._began: float | None = None
        self._probing_at = 0.0
        self._tasks: list[asyncio.Task[None]] = []
        self._failing: asyncio.Future[None] | None = None
        self._stopping = False
        #: Has the main loop heard of the rebalance that is under way?
        self._begun = False

    @property
    def owned(self) -> frozenset[TaskId]:
        """The tasks that are ours now."""
        return self._holdings.tasks

    @property
    def heard_of(self) -> float:
        """When the group has last heard of us (monotonic)."""
        return self._heartbeats.last

    @property
    def generation(self) -> int:
        """The generation we are in; -1 outside of any."""
        return self._holdings.generation

    # -- from the main loop (through the bridge) --------------------------------------------

    def begin(self) -> None:
        """Join, and stay a member."""
        self._tasks = [
            in_background(self._run(), "faust-rebalancer", self._fail),
            in_background(self._heartbeats.run(), "faust-heartbeats", self._fail),
            in_background(self._look_now_and_then(), "faust-topics", self._fail),
        ]

    def _fail(self, error: BaseException) -> None:
        """One of our tasks has ended by what nobody expected: the worker cannot go on."""
        self._failing = asyncio.ensure_future(self._bridge.call_main(self._callbacks.crash, error))

    def running(self) -> list[asyncio.Task[None]]:
        """Return the task that joins, if it does."""
        return self._tasks[:1]

    def request_rejoin(self, reason: str) -> None:
        """Ask for another round: something has changed here (a clause that says what)."""
        self._reason = reason
        self._asks += 1
        self._wake.set()

    async def end(self) -> None:
        """Stop; what was ours must have been committed and closed.

        A dynamic member leaves the group, and others have its tasks at once.  A static one does
        not: it is expected back.
        """
        self._stopping = True
        running = [*self._tasks, *self._giving_up]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        if self._static and self.owned:
            logger.info(
                "A static member does not leave the group: its %d tasks wait for it for %.0f s "
                "(broker_session_timeout), and go to other workers then",
                len(self.owned), self._session_timeout,
            )  # fmt: skip
        elif self._membership.member_id and not self._static:
            await self._membership.leave()
        await self._membership.close()
        self._holdings.lose()

    # -- the life of a membership --------------------------------------------------------

    async def _run(self) -> None:
        attempt = 0
        while not self._stopping:
            try:
                await self._one_round()
                attempt = 0
                await self._wait_for_next_round()
            except MemberIdRequired:
                continue
            except RebalanceInProgress as exc:
                logger.debug("The round was overtaken: %s", exc)
            except RejoinError as exc:
                await self._lose(f"the group no longer knows us ({exc})")
                attempt += 1
                await self._clock.sleep(backoff(attempt, 0.05, 2.0))
            except RetryableError as exc:
                if attempt == 0:
                    logger.warning("The group waits for the broker: %s", exc)
                attempt += 1
                self._heartbeats.check()
                if self._gone:
                    await self._lose(self._gone)
                await self._clock.sleep(backoff(attempt, 0.1, 5.0))

    async def _one_round(self) -> None:
        self._began = began = self._clock.monotonic() if self._began is None else self._began
        reason, asks = self._reason, self._asks
        self._wake.clear()
        if not self._begun:
            self._begun = True
            self._bridge.post_main(self._callbacks.begun)
        assignment, generation = await self._join(reason)
        if self._asks == asks:
            self._reason = ""
        kept = assignment.process not in ("", self._process)
        difference = self._holdings.difference(assignment)
        self.rounds += 1
        self._assignor.on_assignment(assignment)
        self._holdings.generation = generation
        if difference.given_up:
            await self._revoke(difference.given_up)
        self._holdings.take(assignment, generation, kept=kept)
        self._begun = False
        begun = difference.begun
        await self._bridge.call_main(self._callbacks.assign, begun, assignment, generation)
        now, self._began = self._clock.monotonic(), None
        self._probing_at = now + PROBING_INTERVAL
        logger.info(
            "Rebalance %d: generation %d in %.2f s, because %s",
            self.rounds, generation, now - began,
            sentence(difference, assignment, kept=kept),
        )  # fmt: skip
        if reason := difference.asks_again(assignment):
            self.request_rejoin(reason)
        elif kept:
            self._look_at_kept(assignment)

    def _look_at_kept(self, assignment: Assignment) -> None:
        """What an earlier process of this static member was given may not be right for us."""
        if assignment.subscription != self._digest:
            self.request_rejoin("what was planned for it was planned for another version of it")
        elif assignment.another_round:
            self.request_rejoin("tasks wait that an earlier process of it has given up")

    async def _revoke(self, revoked: frozenset[TaskId]) -> None:
        """Let the main loop give tasks up; if it is blocked, take them away from it.

        An event of ten minutes must not hold the group: what it does afterwards does not count, and
        will be done by whoever has the task then.
        """
        giving_up = asyncio.ensure_future(
            self._bridge.call_main(self._callbacks.revoke, revoked, "rebalance")
        )
        self._giving_up.add(giving_up)
        giving_up.add_done_callback(self._giving_up.discard)
        waiting = asyncio.ensure_future(self._clock.sleep(self._revoke_patience))
        try:
            await asyncio.wait({giving_up, waiting}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if giving_up.done():
            giving_up.result()
            return
        logger.error(
            "The event loop is blocked: %d tasks are given up without it. Events in progress there "
            "do not count, and will be processed by other workers", len(revoked),
        )  # fmt: skip
        self._callbacks.disown(revoked)

    async def _join(self, reason: str) -> tuple[Assignment, int]:
        self._joining = True
        try:
            topics = await self._subscribed.topics()
            self._digest = self._assignor.subscription_digest(topics, self._app_version)
            metadata = self._assignor.subscription(
                topics,
                url=self._url,
                app_version=self._app_version,
                process=self._process,
                reason=reason,
                asks=self._asks,
                **self._holdings.told(self.lags),
            )
            joined = await self._membership.join([(self._assignor.name, metadata)])
            await self._check_identity(joined.member_id)
            plan = None
            if joined.is_leader and not joined.skip_assignment:
                plan = await self._plan(joined.members)
            if self.owned:
                # What stays goes on committing, also should this generation never get a plan: the
                # leader has seen in our claim what is open here, and withholds it from others.
                self._holdings.generation = joined.generation
            data = await self._sync(joined, plan)
            self._heartbeats.heard()
            self._gone = ""
            return self._assignor.assignment(data), joined.generation
        finally:
            self._joining = False

    async def _sync(self, joined: Round, plan: Any) -> bytes:
        """Wait for the plan; ask for another round where it does not come.

        A leader that dies here is missed only when its session times out, and until then a broker
        takes no commits of anybody.  While a round is prepared, it takes them.
        """
        syncing = asyncio.ensure_future(self._membership.sync(joined.generation, plan))
        patience = self._session_timeout * SYNC_PATIENCE * 2**self._slow_plans
        waiting = asyncio.ensure_future(self._clock.sleep(patience))
        try:
            await asyncio.wait({syncing, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if syncing.done() or joined.is_leader:
                data = await syncing
                self._slow_plans = 0
                return data
        finally:
            waiting.cancel()
            syncing.cancel()
        await asyncio.gather(syncing, return_exceptions=True)
        self._slow_plans += 1
        self.request_rejoin(f"the leader has given no plan for {patience:.1f} s")
        raise RebalanceInProgress(self._reason)

    async def _check_identity(self, member_id: str) -> None:
        """Whoever joins under a new id has been out of the group: others had its tasks since.

        That may never have been said to us: a commit or a heartbeat of somebody else here has heard
        it, or the answer got lost.
        """
        known, self._member_id = self._member_id, member_id
        if self.owned and member_id != known:
            await self._lose("the group had forgotten us")

    async def _plan(self, members: Any) -> Any:
        counts = await self._subscribed.counts(self._assignor.subscribed_topics(members))
        began = time.perf_counter()
        error: BaseException | None = None
        try:
            return self._assignor.plan(members, counts)
        except BaseException as exc:
            error = exc
            raise
        finally:
            seconds = time.perf_counter() - began
            self._bridge.post_main(self._callbacks.planned, seconds, error)

    def _is_out(self, reason: str) -> None:
        self._gone = self._gone or reason
        self._wake.set()

    async def _wait_for_next_round(self) -> None:
        while not self._wake.is_set():
            await self._wake.wait()
        if self._gone:
            reason, self._gone = self._gone, ""
            await self._lose(reason)

    async def _lose(self, reason: str) -> None:
        """Whatever was ours is not ours any more: nothing of it may be committed."""
        lost = self._holdings.lose()
        self._reason = self._reason or reason
        if lost:
            logger.warning("Lost %d tasks: %s", len(lost), reason)
        await self._bridge.call_main(self._callbacks.lost, reason)

    # -- what others have changed ----------------------------------------------------------

    async def _look_now_and_then(self) -> None:
        while True:
            await self._clock.sleep(LOOK_INTERVAL)
            if self.generation < 0:
                continue
            try:
                changed = await self._subscribed.changed()
            except RetryableError:
                continue
            if changed:
                self.request_rejoin(f"topics changed: {', '.join(changed)}")
            elif self._holdings.warming and self._clock.monotonic() > self._probing_at:
                self.request_rejoin("it is looked again whether copies have caught up")

    def __repr__(self) -> str:
        return (
            f"<Rebalancer generation={self.generation} rounds={self.rounds} "
            f"owned={len(self.owned)}>"
        )
