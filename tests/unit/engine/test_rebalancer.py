"""Membership: what is ours, and when it is not ours any more."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from faust._core.threads import LoopBridge
from faust._engine.rebalancer import Callbacks, Rebalancer, Subscription
from faust.assignor.partition_assignor import PartitionAssignor
from faust.exceptions import BrokerUnavailable
from faust.testing.clock import VirtualClock, run_virtual
from faust.transport.base import Round, TopicInfo


class Group:
    """A group of one, whose member may be forgotten."""

    def __init__(self) -> None:
        self.member_id = ""
        self.generation = 0
        self.number = 0
        self.lost_syncs = 0

    async def join(self, protocols: Any) -> Round:
        if not self.member_id:
            self.number += 1
            self.member_id = f"m{self.number}"
        self.generation += 1
        members = {self.member_id: protocols[0][1]}
        return Round(self.generation, self.member_id, self.member_id, protocols[0][0], members)

    async def sync(self, generation: int, plan: Mapping[str, bytes] | None) -> bytes:
        if self.lost_syncs:
            self.lost_syncs -= 1
            raise BrokerUnavailable("the answer to sync got lost")
        assert plan is not None
        return plan[self.member_id]

    async def heartbeat(self) -> None:
        await asyncio.sleep(0)

    async def leave(self) -> None:
        self.member_id = ""

    async def close(self) -> None:
        await asyncio.sleep(0)

    async def topics(self, names: Any) -> dict[str, TopicInfo]:
        return {name: TopicInfo(name, "id", 2) for name in names}


def test_who_joins_under_a_new_id_has_lost_what_it_had() -> None:
    async def main() -> None:
        group, clock, bridge = Group(), VirtualClock.current(), LoopBridge()
        await bridge.start()
        heard: list[str] = []

        async def revoke(tasks: Any, reason: str) -> None:
            heard.append(f"revoke {len(tasks)}")

        async def assign(added: Any, assignment: Any, generation: int) -> None:
            heard.append(f"assign {len(added)}")

        async def lost(reason: str) -> None:
            heard.append("lost")

        async def crash(error: BaseException) -> None:
            heard.append(f"crash {error!r}")

        rebalancer = Rebalancer(
            bridge=bridge,
            clock=clock,
            transport=group,  # type: ignore[arg-type]  # as much of one as is needed
            membership=group,  # type: ignore[arg-type]  # as much of one as is needed
            assignor=PartitionAssignor(),
            subscription=lambda: Subscription(frozenset({"a"}), False, set),
            url="http://here",
            app_version="1",
            heartbeat_interval=1.0,
            session_timeout=10.0,
            revoke_patience=10.0,
            cap=dict,
            callbacks=Callbacks(
                revoke, assign, lost, crash, lambda *each: None, lambda: None, lambda *each: None
            ),
        )
        rebalancer.begin()
        await clock.sleep(1.5)
        assert heard == ["assign 2"]
        # A new round begins, its answer gets lost; meanwhile a commit hears that we are unknown.
        group.lost_syncs = 1
        rebalancer.request_rejoin("a test")
        await clock.sleep(0.05)
        group.member_id = ""
        await clock.sleep(3.0)
        assert heard == ["assign 2", "lost", "assign 2"]
        await rebalancer.end()

    run_virtual(main(), 1)
