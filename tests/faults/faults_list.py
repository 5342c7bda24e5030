"""The faults: each strikes, heals, and leaves the group as it is meant to be."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from contextlib import suppress
from functools import partial

from faults_arena import Arena, Fault
from faults_cluster import WorkerProcess
from faults_judge import KILL
from faults_storm import AIM, WORKING

from tools.kafka import KafkaNode

__all__ = ["BROKER_FAULTS", "WORKER_FAULTS"]

#: Events that are lost on purpose, by deletion, for each partition.
DELETED = 50


# -- on workers ------------------------------------------------------------------------------


async def kill(arena: Arena) -> None:
    """SIGKILL in some phase; the next comes up in the same place, or where nothing is."""
    victim = arena.victim()
    async with arena.striking(KILL, victim) as strike:
        victim.killed = True
        victim.marks.wish(arena.random.choice(WORKING))
        await _until_dead(victim)
        victim.kill()
        strike.phase = victim.marks.phase
        await asyncio.sleep(arena.random.uniform(0.1, 1.0))
        if arena.random.random() < 0.5:
            arena.cluster.wipe(victim.slot)
        arena.start_missing()
    strike.ends = None


async def _until_dead(victim: WorkerProcess) -> None:
    for _ in range(int(AIM / 0.02)):
        if not victim.alive:
            return
        await asyncio.sleep(0.02)


async def stop(arena: Arena) -> None:
    """SIGTERM; the next comes up in the same place."""
    victim = arena.victim()
    async with arena.striking("leaves", victim, harmless=True):
        await arena.cluster.terminate(victim)
        await asyncio.sleep(arena.random.uniform(0.0, 1.0))
    async with arena.striking("joins", harmless=True):
        arena.start_missing()


async def zombie(arena: Arena) -> None:
    """SIGSTOP for twice the session, then SIGCONT: it has lost everything, and must notice."""
    victim = arena.victim()
    async with arena.striking("SIGSTOP", victim):
        victim.signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(2 * arena.plan.session)
        finally:
            victim.signal(signal.SIGCONT)
        await asyncio.sleep(1.0)  # it still says that it is ready, until it has looked


async def resize(arena: Arena) -> None:
    """Workers are added, or leave: 3, 6, 2, 5."""
    sizes = {3: 6, 6: 2, 2: 5, 5: 3}
    arena.wanted = sizes.get(arena.wanted, 3)
    living = arena.cluster.living()
    if arena.wanted < len(living):
        leaving = arena.random.sample(living, len(living) - arena.wanted)
        async with arena.striking("leaves", *leaving, harmless=True):
            await arena.cluster.terminate(*leaving)
    else:
        async with arena.striking("joins", harmless=True):
            arena.start_missing()
            await arena.cluster.started()
            await arena.cluster.settled()


async def block(arena: Arena) -> None:
    """An agent sleeps with the whole loop for three sessions: nobody may take its tasks."""
    victim = arena.victim()
    before, blocked = await arena.cluster.settled(), victim.blocked
    async with arena.striking("time.sleep", harmless=True):
        victim.block(3 * arena.plan.session)
        await arena.cluster.until(
            "the end of a block", lambda: arena.idle or victim.blocked > blocked, 120.0
        )
        victim.block(0.0)
    after = await asyncio.to_thread(arena.cluster.rounds)
    if after != before:
        arena.report.findings.append(f"a blocked loop has made a rebalance: {before}, {after}")


async def wipe_all(arena: Arena) -> None:
    """All stop, and come back with nothing of their own."""
    living = arena.cluster.living()
    async with arena.striking("wiped", harmless=True):
        await arena.cluster.terminate(*living)
        for worker in living:
            arena.cluster.wipe(worker.slot)
        arena.start_missing()


async def delete(arena: Arena) -> None:
    """While nobody runs, records behind the positions are deleted: they are gone, and said so."""
    living = arena.cluster.living()
    async with arena.striking("deleted records", harmless=True):
        await arena.cluster.terminate(*living)
        await asyncio.sleep(1.0)
        gone = await arena.flow.delete(DELETED)
        arena.report.skipped |= gone
        new = arena.start_missing()
        await arena.ready()
        if gone and not any("records are gone" in worker.log.read_text() for worker in new):
            arena.report.findings.append(f"nobody has said that {len(gone)} records are gone")


async def grow(arena: Arena) -> None:
    """Partitions are added to the source of a table: the old ones go on, and workers say so."""
    if arena.cluster.tolerated:  # once is enough
        await kill(arena)
        return
    arena.cluster.tolerated = "has grown to"
    async with arena.striking("partitions added", harmless=True):
        await arena.flow.grow(2)


# -- SIGTERM in any state ----------------------------------------------------------------------


async def stop_starting(arena: Arena) -> None:
    """SIGTERM to a worker that has hardly begun."""
    victim = arena.victim()
    async with arena.striking("leaves", victim, harmless=True):
        await arena.cluster.terminate(victim)
    async with arena.striking("SIGTERM while starting", harmless=True):
        (new,) = arena.start_missing()
        # Before Python's own handlers are there, SIGTERM ends any process, and nothing has begun.
        await arena.cluster.until("a first line in a log", lambda: new.log.stat().st_size > 0)
        await asyncio.sleep(arena.random.uniform(0.0, 2.0))
        await arena.cluster.terminate(new)
        arena.start_missing()


async def stop_recovering(arena: Arena) -> None:
    """SIGTERM to a worker that restores its tables."""
    victim = arena.victim()
    async with arena.striking("SIGTERM while recovering", harmless=True):
        await arena.cluster.terminate(victim)
        arena.cluster.wipe(victim.slot)
        (new,) = arena.start_missing()
        restores = partial(new.marks.doing, "restore")
        with suppress(AssertionError):  # there may be nothing to restore for it
            await arena.cluster.until("a restore", restores, 10.0)
        await asyncio.sleep(arena.random.uniform(0.0, 0.02))
        await arena.cluster.terminate(new)
        arena.start_missing()


async def stop_rebalancing(arena: Arena) -> None:
    """SIGTERM to one worker while another joins."""
    victim = arena.victim()
    async with arena.striking("SIGTERM while rebalancing", harmless=True):
        arena.wanted += 1
        arena.start_missing()
        arena.wanted -= 1
        await asyncio.sleep(arena.random.uniform(0.5, 2.0))
        await arena.cluster.terminate(victim)
        await asyncio.sleep(1.0)


async def stop_while_away(arena: Arena) -> None:
    """SIGTERM while no broker can be reached: it must end, and may have to leave work undone."""
    victim = arena.victim()
    async with arena.striking("SIGTERM while brokers are away", everyone=True):
        for proxy in arena.kafka.proxies:
            proxy.black_hole()
        try:
            await asyncio.sleep(arena.random.uniform(0.0, 1.5) * arena.plan.session)
            await arena.cluster.terminate(victim, any_status=True)
        finally:
            for proxy in arena.kafka.proxies:
                proxy.heal()
        arena.start_missing()


# -- on brokers ------------------------------------------------------------------------------


async def _coordinator(arena: Arena) -> KafkaNode:
    return await asyncio.to_thread(arena.kafka.cluster.coordinator, arena.plan.app)


async def kill_coordinator(arena: Arena) -> None:
    """SIGKILL to the node that coordinates the group; it comes back later."""
    node = await _coordinator(arena)
    async with arena.striking("coordinator killed", everyone=True):
        await asyncio.to_thread(node.kill)
        await asyncio.sleep(arena.random.uniform(1.0, 2.0) * arena.plan.session)
        await asyncio.to_thread(arena.kafka.heal)


async def pause_coordinator(arena: Arena) -> None:
    """SIGSTOP to the node that coordinates the group, for longer than a session."""
    node = await _coordinator(arena)
    async with arena.striking("coordinator paused", everyone=True):
        node.suspend()
        await asyncio.sleep(2 * arena.plan.session)
        await asyncio.to_thread(arena.kafka.heal)


async def restart_brokers(arena: Arena) -> None:
    """One node after the other is restarted in order."""
    async with arena.striking("brokers restarted", everyone=True):
        for node in arena.kafka.cluster.nodes:
            await asyncio.to_thread(node.restart)
            await asyncio.to_thread(arena.kafka.cluster.wait_until_whole)


async def black_hole(arena: Arena) -> None:
    """Connections stay open, and nothing arrives: of one node or of all, one way or both."""
    some = arena.random.choice([arena.kafka.proxies, [arena.random.choice(arena.kafka.proxies)]])
    up = arena.random.random() < 0.6
    async with arena.striking("black hole", everyone=True):
        for proxy in some:
            proxy.black_hole(up=up)
        await asyncio.sleep(arena.random.uniform(0.5, 2.0) * arena.plan.session)
        for proxy in some:
            if arena.random.random() < 0.5:
                proxy.cut()  # what was held is lost
            proxy.heal()


async def cut(arena: Arena) -> None:
    """Connections are reset, again and again; for a while new ones are refused."""
    async with arena.striking("connections cut", everyone=True):
        for _ in range(5):
            proxy = arena.random.choice(arena.kafka.proxies)
            proxy.refuse()
            proxy.cut(reset=arena.random.random() < 0.5)
            await asyncio.sleep(arena.random.uniform(0.1, 1.0))
            proxy.heal()


async def slow(arena: Arena) -> None:
    """The network is slow."""
    async with arena.striking("slow network", everyone=True):
        for proxy in arena.kafka.proxies:
            proxy.slow(latency=0.15, bytes_per_second=200_000)
        await asyncio.sleep(1.5 * arena.plan.session)
        for proxy in arena.kafka.proxies:
            proxy.heal()


WORKER_FAULTS: Mapping[str, Fault] = {
    "kill": kill,
    "stop": stop,
    "zombie": zombie,
    "resize": resize,
    "block": block,
    "wipe": wipe_all,
    "delete": delete,
    "grow": grow,
    "stop-starting": stop_starting,
    "stop-recovering": stop_recovering,
    "stop-rebalancing": stop_rebalancing,
}

BROKER_FAULTS: Mapping[str, Fault] = {
    "coordinator-killed": kill_coordinator,
    "coordinator-paused": pause_coordinator,
    "brokers-restarted": restart_brokers,
    "black-hole": black_hole,
    "cut": cut,
    "slow": slow,
    "stop-away": stop_while_away,
}
