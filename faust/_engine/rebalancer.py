"""Membership: joins rounds, heartbeats, and turns assignments into differences.

It lives on the I/O loop, so that a user's code that blocks the main loop for minutes costs us no
membership.  A rebalance is a difference: kept tasks never stop; revoked ones are handed to the main
loop to be cut, committed and closed (for at most the grace period, while heartbeats go on), and
then the group is joined again without them; added ones are handed over to be restored and started.

The order of one round::

    join with what we own -> sync -> revoke what is not ours any more -> (join again if any)
                                  -> add what is new -> heartbeat until the next round
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from faust._machines.copartition import TaskId
from faust._machines.retry import backoff
from faust._values import TP
from faust.exceptions import (
    BrokerError,
    BrokerUnavailable,
    MemberIdRequired,
    RebalanceInProgress,
    RejoinError,
    RetryableError,
)

if TYPE_CHECKING:
    from faust._core.clock import Clock
    from faust._core.threads import Bridge
    from faust.assignor.partition_assignor import Assignment, PartitionAssignor
    from faust.transport.base import Membership, Transport

__all__ = ["Rebalancer", "Subscription"]

logger = logging.getLogger(__name__)

#: How often it is looked whether topics came, went or grew (seconds).
LOOK_INTERVAL = 30.0


class Subscription(NamedTuple):
    """What this worker reads: names, and a function for its patterns."""

    topics: frozenset[str]
    patterns: bool
    matching: Callable[[Any], set[str]]


class Callbacks(NamedTuple):
    """What the main loop does about a rebalance: coroutine functions there.

    ``begun`` and ``planned`` (seconds that the leader's plan took, error) are functions there;
    ``disown`` alone is called on the I/O loop: it says that nothing of some tasks counts any more.
    """

    revoke: Callable[[frozenset[TaskId], str], Coroutine[Any, Any, None]]
    assign: Callable[[frozenset[TaskId], Assignment, int], Coroutine[Any, Any, None]]
    lost: Callable[[str], Coroutine[Any, Any, None]]
    crash: Callable[[BaseException], Coroutine[Any, Any, None]]
    disown: Callable[[frozenset[TaskId]], None]
    begun: Callable[[], None]
    planned: Callable[[float, BaseException | None], None]


class Rebalancer:
    """One worker's membership.

    Attributes:
        owned: The tasks that are ours now.
        generation: The generation we are in; -1 outside of any.
        rounds: Rebalances so far.
        last_heartbeat: When one last succeeded (monotonic).
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
        heartbeat_interval: float,
        session_timeout: float,
        revoke_patience: float,
        cap: Callable[[Mapping[str, int]], dict[str, int]],
        callbacks: Callbacks,
    ) -> None:
        self._bridge = bridge
        self._clock = clock
        self._transport = transport
        self._membership = membership
        self._assignor = assignor
        self._subscription = subscription
        self._url = url
        self._app_version = app_version
        self._heartbeat_interval = heartbeat_interval
        self._session_timeout = session_timeout
        self._revoke_patience = revoke_patience
        self._late: set[asyncio.Future[None]] = set()
        self._cap = cap
        self._callbacks = callbacks
        self.owned: frozenset[TaskId] = frozenset()
        self.lags: Mapping[TaskId, int] = {}
        self.generation = -1
        self.rounds = 0
        #: Since which generation each of our tasks has been ours.
        self._since: dict[TaskId, int] = {}
        self._standbys: frozenset[TaskId] = frozenset()
        self.last_heartbeat = clock.monotonic()
        self._owned_partitions: frozenset[TP] = frozenset()
        self._joining = False
        self._member_id = ""
        self._gone: str = ""
        self._wake = asyncio.Event()
        self._rejoin_reason = "starting"
        self._seen_counts: dict[str, int] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False
        #: Has the main loop heard of the rebalance that is under way?
        self._begun = False

    # -- from the main loop (through the bridge) --------------------------------------------

    def begin(self) -> None:
        """Join, and stay a member."""
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._run(), name="faust-rebalancer"),
            loop.create_task(self._heartbeats(), name="faust-heartbeats"),
            loop.create_task(self._look_at_topics(), name="faust-topics"),
        ]

    def running(self) -> list[asyncio.Task[None]]:
        """Return the task that joins, if it does."""
        return self._tasks[:1]

    def request_rejoin(self, reason: str) -> None:
        """What we read has changed: join again."""
        self._rejoin_reason = reason
        self._wake.set()

    async def end(self, *, leave: bool = True) -> None:
        """Stop; leave the group (what was ours must have been committed and closed)."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if leave and self._membership.member_id:
            await self._membership.leave()
        await self._membership.close()
        self.owned, self.generation = frozenset(), -1

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
                self._check_session()
                if self._gone:
                    await self._lose(self._gone)
                await self._clock.sleep(backoff(attempt, 0.1, 5.0))
            except asyncio.CancelledError:
                raise
            except BaseException as exc:
                await self._bridge.call_main(self._callbacks.crash, exc)
                return

    async def _one_round(self) -> None:
        began = self._clock.monotonic()
        reason, self._rejoin_reason = self._rejoin_reason, ""
        self._wake.clear()
        if not self._begun:
            self._begun = True
            self._bridge.post_main(self._callbacks.begun)
        assignment, generation = await self._join()
        revoked = self.owned - assignment.tasks
        added = assignment.tasks - self.owned
        self.rounds += 1
        self.generation = generation
        self._assignor.on_assignment(assignment)
        logger.info(
            "Rebalance %d: generation %d in %.2f s (%s): %d tasks, %d kept, %d given up, %d new",
            self.rounds, generation, self._clock.monotonic() - began, reason or "the group moved",
            len(assignment.tasks), len(self.owned & assignment.tasks), len(revoked), len(added),
        )  # fmt: skip
        if revoked:
            await self._revoke(revoked)
            self.owned -= revoked
        self.owned |= added
        self._owned_partitions = assignment.partitions
        self._standbys = assignment.standbys
        self._since = {task: self._since.get(task, generation) for task in self.owned}
        self._begun = False
        await self._bridge.call_main(self._callbacks.assign, added, assignment, generation)
        if revoked:
            self.request_rejoin("tasks were given up")

    async def _revoke(self, revoked: frozenset[TaskId]) -> None:
        """Let the main loop give tasks up; if it is blocked, take them away from it.

        An event of ten minutes must not hold the group: what it does afterwards does not count, and
        will be done by whoever has the task then.
        """
        giving_up = asyncio.ensure_future(
            self._bridge.call_main(self._callbacks.revoke, revoked, "rebalance")
        )
        waiting = asyncio.ensure_future(self._clock.sleep(self._revoke_patience))
        await asyncio.wait({giving_up, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if giving_up.done():
            giving_up.result()
            return
        logger.error(
            "The event loop is blocked: %d tasks are given up without it. Events in progress there "
            "do not count, and will be processed by other workers", len(revoked),
        )  # fmt: skip
        self._callbacks.disown(revoked)
        self._late.add(giving_up)
        giving_up.add_done_callback(self._late.discard)

    async def _join(self) -> tuple[Assignment, int]:
        self._joining = True
        try:
            topics = await self._subscribed()
            self._seen_counts = await self._counts(topics)
            metadata = self._assignor.subscription(
                topics,
                url=self._url,
                app_version=self._app_version,
                owned=self.owned,
                partitions=self._owned_partitions,
                generation=self.generation,
                since={task: self._since.get(task, self.generation) for task in self.owned},
                standbys=self._standbys,
                lags=self.lags,
            )
            joined = await self._membership.join([(self._assignor.name, metadata)])
            await self._check_identity(joined.member_id)
            plan = None
            if joined.is_leader and not joined.skip_assignment:
                plan = await self._plan(joined.members)
            data = await self._membership.sync(joined.generation, plan)
            self.last_heartbeat = self._clock.monotonic()
            self._gone = ""
            return self._assignor.assignment(data), joined.generation
        finally:
            self._joining = False

    async def _check_identity(self, member_id: str) -> None:
        """Whoever joins under a new id has been out of the group: others had its tasks since.

        That may never have been said to us: a commit or a heartbeat of somebody else here has heard
        it, or the answer got lost.
        """
        known, self._member_id = self._member_id, member_id
        if self.owned and member_id != known:
            await self._lose("the group had forgotten us")

    async def _subscribed(self) -> frozenset[str]:
        subscription = self._subscription()
        if not subscription.patterns:
            return subscription.topics
        found = await self._transport.topics(None)
        names = [name for name, info in found.items() if not info.internal]
        return subscription.topics | subscription.matching(names)

    async def _counts(self, names: frozenset[str]) -> dict[str, int]:
        """Return how many partitions the topics have that are read."""
        infos = await self._transport.topics(names)
        return dict(self._cap({name: info.partitions for name, info in infos.items()}))

    async def _plan(self, members: Any) -> Any:
        names = self._assignor.subscribed_topics(members)
        infos = await self._transport.topics(names)
        counts = {name: info.partitions for name, info in infos.items()}
        began = time.perf_counter()
        error: BaseException | None = None
        try:
            return self._assignor.plan(members, self._cap(counts))
        except BaseException as exc:
            error = exc
            raise
        finally:
            seconds = time.perf_counter() - began
            self._bridge.post_main(self._callbacks.planned, seconds, error)

    async def _wait_for_next_round(self) -> None:
        while not self._wake.is_set():
            await self._wake.wait()
        if self._gone:
            reason, self._gone = self._gone, ""
            await self._lose(reason)

    async def _lose(self, reason: str) -> None:
        """Whatever was ours is not ours any more: nothing of it may be committed."""
        lost, self.owned, self.generation = self.owned, frozenset(), -1
        self._owned_partitions = frozenset()
        self._rejoin_reason = self._rejoin_reason or reason
        if lost:
            logger.warning("Lost %d tasks: %s", len(lost), reason)
        await self._bridge.call_main(self._callbacks.lost, reason)

    # -- heartbeats -----------------------------------------------------------------------

    async def _heartbeats(self) -> None:
        while True:
            await self._clock.sleep(self._heartbeat_interval)
            if self._joining or self.generation < 0:
                continue
            try:
                await self._membership.heartbeat()
                self.last_heartbeat = self._clock.monotonic()
            except RebalanceInProgress:
                self.last_heartbeat = self._clock.monotonic()
                self.request_rejoin("others joined or left")
            except RejoinError as exc:
                if not self._joining:
                    self._gone = f"the group no longer knows us ({exc})"
                    self._wake.set()
            except BrokerUnavailable:
                self._check_session()
            except BrokerError as exc:
                await self._bridge.call_main(self._callbacks.crash, exc)
                return

    def _check_session(self) -> None:
        silent = self._clock.monotonic() - self.last_heartbeat
        if silent > self._session_timeout and not self._gone and self.owned:
            self._gone = f"no heartbeat has succeeded for {silent:.0f} s"
            self._wake.set()

    # -- topics that come, go or grow ---------------------------------------------------------

    async def _look_at_topics(self) -> None:
        while True:
            await self._clock.sleep(LOOK_INTERVAL)
            if self.generation < 0:
                continue
            try:
                counts = await self._counts(await self._subscribed())
            except RetryableError:
                continue
            if counts != self._seen_counts:
                changed = sorted(
                    name
                    for name in {*counts, *self._seen_counts}
                    if counts.get(name) != self._seen_counts.get(name)
                )
                self.request_rejoin(f"topics changed: {', '.join(changed)}")
            self._seen_counts = counts

    def __repr__(self) -> str:
        return (
            f"<Rebalancer generation={self.generation} rounds={self.rounds} "
            f"owned={len(self.owned)}>"
        )
