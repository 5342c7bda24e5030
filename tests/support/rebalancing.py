"""Members of a group without an app: what they hear of it, on any broker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import SimpleNamespace

import pytest

from faust._core.clock import Clock
from faust._core.threads import LoopBridge
from faust._engine.rebalancer import Callbacks, Rebalancer
from faust._engine.subscribed import Subscription
from faust._machines.copartition import TaskId
from faust.assignor import Assignment, PartitionAssignor
from faust.exceptions import RebalanceInProgress, RejoinError
from faust.transport.base import Commit, GroupOptions, TopicSpec, Transport

__all__ = [
    "Party",
    "a_leader_dies_before_it_plans",
    "a_static_member_restarts",
    "settled",
    "wait",
]


class Party:
    """One member.

    Attributes:
        heard: What its callbacks were told, one word for each.
        assignments: What it was assigned.
    """

    def __init__(
        self,
        transport: Transport,
        clock: Clock,
        group: str,
        name: str,
        *,
        topic: str,
        static: bool = False,
        version: str = "1",
        replicas: int = 0,
        tables: Mapping[str, int] | None = None,
    ) -> None:
        self.name = name
        self.heard: list[str] = []
        self.assignments: list[Assignment] = []
        self.crashed: list[BaseException] = []
        self.topics = {topic}
        made = {n: SimpleNamespace(changelog_topic_name=n, partitions=size)
                for n, size in (tables or {}).items()}  # fmt: skip
        app = SimpleNamespace(tables=made)
        options = GroupOptions(
            group_id=group,
            instance_id=name if static else None,
            session_timeout=10.0,
            rebalance_timeout=10.0,
        )
        self.bridge = LoopBridge()
        self.membership = transport.membership(options)
        self.rebalancer = Rebalancer(
            bridge=self.bridge,
            clock=clock,
            transport=transport,
            membership=self.membership,
            assignor=PartitionAssignor(app, replicas),
            subscription=lambda: Subscription(frozenset(self.topics), False, set),
            url=f"http://{name}:6066",
            app_version=version,
            static=static,
            heartbeat_interval=0.2,
            session_timeout=10.0,
            revoke_patience=10.0,
            cap=dict,
            callbacks=Callbacks(
                self._revoke,
                self._assign,
                self._lost,
                self._crash,
                lambda tasks: None,
                lambda: None,
                lambda seconds, error: None,
            ),
        )

    async def _revoke(self, tasks: frozenset[TaskId], reason: str) -> None:
        self.heard.append(f"revoke {len(tasks)}")

    async def _assign(self, added: frozenset[TaskId], assignment: Assignment, _: int) -> None:
        self.heard.append(f"assign {len(added)}")
        self.assignments.append(assignment)

    async def _lost(self, reason: str) -> None:
        self.heard.append("lost")

    async def _crash(self, error: BaseException) -> None:
        self.crashed.append(error)

    @property
    def owned(self) -> frozenset[TaskId]:
        """What it has."""
        return self.rebalancer.owned

    async def start(self) -> Party:
        """Join, and stay."""
        await self.bridge.start()
        self.rebalancer.begin()
        return self

    async def stop(self) -> None:
        """Stop in good order."""
        await self.rebalancer.end()


def settled(tasks: int, *parties: Party) -> Callable[[], bool]:
    """Do all of them together have so many tasks, about as many each, in one generation?"""

    def look() -> bool:
        counts = [len(party.owned) for party in parties]
        generations = {party.rebalancer.generation for party in parties}
        return sum(counts) == tasks and max(counts) - min(counts) <= 1 and len(generations) == 1

    return look


async def wait(condition: Callable[[], bool], step: float = 0.02, patience: float = 60.0) -> None:
    """Wait until something is so."""
    deadline = asyncio.get_running_loop().time() + patience
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "it did not come true"
        await asyncio.sleep(step)


async def a_static_member_restarts(
    transport: Transport, clock: Clock, group: str, topic: str
) -> None:
    """Two static members; each stops as by SIGTERM and comes back: nothing moves, all is new."""
    await transport.create_topic(TopicSpec(topic, 4))
    parties = {
        name: await Party(transport, clock, group, name, topic=topic, static=True).start()
        for name in ("a", "b")
    }
    await wait(settled(4, *parties.values()))
    generation = parties["a"].rebalancer.generation
    for name, other in (("a", "b"), ("b", "a")):
        had, quiet = parties[name].owned, list(parties[other].heard)
        await parties[name].stop()
        again = parties[name] = await Party(
            transport, clock, group, name, topic=topic, static=True
        ).start()
        await wait(lambda again=again: bool(again.heard))  # type: ignore[misc]  # bound now
        assert again.heard == ["assign 2"]
        assert again.owned == had
        assert parties[other].heard == quiet
        assert again.rebalancer.generation == generation
    for party in parties.values():
        await party.stop()
        assert not party.crashed


async def a_leader_dies_before_it_plans(
    transport: Transport, clock: Clock, group: str, topic: str, *, to_the_end: bool
) -> None:
    """The others commit what stays with them, long before the session of the dead one ends."""
    await transport.create_topic(TopicSpec(topic, 4))
    one = await Party(transport, clock, group, "a", topic=topic).start()
    await wait(settled(4, one))
    two = await Party(transport, clock, group, "b", topic=topic).start()
    await wait(settled(4, one, two))
    dead = asyncio.Event()

    async def dies(members: object) -> None:
        one.rebalancer._tasks[1].cancel()
        dead.set()
        await asyncio.Event().wait()

    one.rebalancer._plan = dies  # type: ignore[method-assign]  # SIGKILL after its join
    mine = next(iter(two.assignments[-1].partitions))
    before = two.membership.generation
    three = await Party(transport, clock, group, "c", topic=topic).start()
    await dead.wait()
    await wait(lambda: two.membership.generation > before)

    async def commit() -> None:
        generation = two.rebalancer.generation
        await two.membership.commit({mine: Commit(1)}, generation=generation)

    with pytest.raises(RebalanceInProgress):
        await commit()
    died = clock.monotonic()
    while True:
        with suppress(RejoinError):
            await commit()
            break
        await clock.sleep(0.1)
    if to_the_end:
        assert clock.monotonic() - died < 5.0  # in virtual time
        await wait(settled(4, two, three))
    assert "lost" not in two.heard
    for party in (one, two, three):
        await party.stop()
