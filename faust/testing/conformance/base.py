"""What every part of the suite stands on: a world for each test, and short words for its steps."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, NamedTuple
from uuid import uuid4

from yarl import URL

from faust._core.clock import Clock, SystemClock
from faust._values import TP
from faust.exceptions import RebalanceInProgress, RejoinError
from faust.transport.base import TopicSpec, Transport, TransportOptions
from faust.transport.membership import GroupOptions, Membership, Round
from faust.transport.producer import Placed, Producer, ProducerOptions
from faust.transport.reader import Fetched, Reader, ReaderOptions
from faust.transport.records import Builder, Item, new_builder

__all__ = ["Read", "Suite", "World", "batch", "join_all", "scenario"]

#: Seconds that one test may take where time is real.
TEST_TIMEOUT = 110.0
#: Seconds that a fetch of ours waits at most.
WAIT = 5.0

_numbers = count(1)


class Read(NamedTuple):
    """A record as it was read back."""

    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int
    timestamp_type: int
    headers: list[tuple[str, bytes | None]]


class World:
    """One test's surroundings: override what differs for your broker."""

    def url(self) -> str:
        """Where the broker is."""
        raise LookupError("override World.url")

    def driver(self) -> type[Transport]:
        """The driver's class."""
        raise LookupError("override World.driver")

    def clock(self) -> Clock:
        """Return the clock that transports are given; called on the running loop."""
        return SystemClock()

    def run(self, main: Coroutine[Any, Any, None]) -> None:
        """Run a test."""
        asyncio.run(asyncio.wait_for(main, TEST_TIMEOUT))

    async def maintain(self, transport: Transport) -> None:
        """Let the broker apply retention and compaction, or wait until it has looked."""
        raise LookupError("override World.maintain for CleaningConformance")

    # -- what tests use -------------------------------------------------------------------

    def __init__(self) -> None:
        self._opened: list[Transport] = []
        self._closers: list[Callable[[], Awaitable[None]]] = []

    def name(self, kind: str) -> str:
        """Return a name that nobody has used."""
        return f"{kind}-{next(_numbers)}-{uuid4().hex[:8]}"

    async def transport(self, **options: Any) -> Transport:
        """Open a transport; it is closed when the test ends."""
        given = TransportOptions(clock=self.clock(), **options)
        transport = self.driver()([URL(self.url())], given)
        await transport.open()
        self._opened.append(transport)
        return transport

    async def topic(
        self,
        transport: Transport,
        partitions: int = 1,
        config: Mapping[str, str] | None = None,
    ) -> str:
        """Create a topic under a name of its own."""
        name = self.name("topic")
        await transport.create_topic(TopicSpec(name, partitions, config=config or {}))
        return name

    async def partition(self, transport: Transport, config: Mapping[str, str] | None = None) -> TP:
        """Create a topic of one partition."""
        return TP(await self.topic(transport, config=config), 0)

    def producer(self, transport: Transport, **options: Any) -> Producer:
        """Return a producer that is closed when the test ends."""
        producer = transport.producer(ProducerOptions(**options))
        self._closers.append(producer.close)
        return producer

    def reader(self, transport: Transport, **options: Any) -> Reader:
        """Return a reader that is closed when the test ends."""
        reader = transport.reader(ReaderOptions(**options))
        self._closers.append(reader.close)
        return reader

    def member(self, transport: Transport, group_id: str, **options: Any) -> Membership:
        """Return a membership that is closed when the test ends."""
        options.setdefault("session_timeout", 30.0)
        # Of a group of type "consumer", Kafka 4 parses what members join with.
        options.setdefault("protocol_type", "conformance")
        membership = transport.membership(GroupOptions(group_id=group_id, **options))
        self._closers.append(membership.close)
        return membership

    async def append(
        self, transport: Transport, tp: TP, *items: Item, compression: str | None = None
    ) -> Placed:
        """Append one batch."""
        producer = transport.producer(ProducerOptions())
        try:
            return await producer.produce(tp, batch(*items, compression=compression))
        finally:
            await producer.close()

    async def read(
        self, transport: Transport, tp: TP, position: int = 0, *, committed: bool = True
    ) -> list[Read]:
        """Read everything from ``position`` up to what is the end now."""
        reader = transport.reader(ReaderOptions(read_committed=committed))
        reader.assign({tp: position})
        found: list[Read] = []
        try:
            while True:
                fetched = await reader.fetch(0.5)
                for error in fetched.errors.values():
                    raise error
                found.extend(records_of(fetched, position))
                if reader.positions()[tp] >= fetched.ends.get(tp, 1 << 62):
                    return found
        finally:
            await reader.close()

    async def until_committed(
        self, transport: Transport, tp: TP, values: Sequence[bytes]
    ) -> list[Read]:
        """Return the committed records, once they are these; anything else fails at once.

        Kafka answers a commit when its coordinator has decided, and writes the markers after that:
        each partition shows the records a moment later, and not all of them in the same one.
        """
        while True:
            found = await self.read(transport, tp)
            seen = [read.value or b"" for read in found]
            assert seen == list(values[: len(seen)]), (seen, values)
            if len(seen) == len(values):
                return found
            # TEST_TIMEOUT ends this, if it never comes.
            await asyncio.sleep(0.05)

    async def close(self) -> None:
        """Close what the test opened, last first."""
        for close in reversed(self._closers):
            await close()
        for transport in reversed(self._opened):
            await transport.close()


class Suite:
    """Base of all parts: makes a world for each test."""

    def make_world(self) -> World:
        """Return the world of one test."""
        raise LookupError("override make_world")


def scenario(
    test: Callable[[Any, World], Coroutine[Any, Any, None]],
) -> Callable[[Any], None]:
    """Make a test of a coroutine function that is given a `World`."""

    @functools.wraps(test)
    def run(self: Suite) -> None:
        world = self.make_world()
        world.run(_live(test(self, world), world))

    # pytest would take the parameters of the wrapped function for fixtures.
    del run.__wrapped__
    return run


async def _live(test: Coroutine[Any, Any, None], world: World) -> None:
    try:
        await test
    finally:
        await world.close()


# -- short words ---------------------------------------------------------------------------


def batch(*items: Item, compression: str | None = None, transactional: bool = False) -> Builder:
    """Return a builder that holds these records."""
    builder = new_builder(1 << 20, compression, transactional=transactional)
    for number, item in enumerate(items):
        builder.append(number, item.timestamp_ms, item.key, item.value, item.headers)
    return builder


def records_of(fetched: Fetched, position: int = 0) -> list[Read]:
    """Return the records of a fetch from ``position`` on."""
    return [
        Read(r.offset, r.key, r.value, r.timestamp, r.timestamp_type, list(r.headers))
        for found in fetched.batches
        for r in found.records()
        if r.offset >= position
    ]


async def fetch_until(reader: Reader, is_enough: Callable[[list[Read]], bool]) -> list[Read]:
    """Fetch until what was read is enough (ten empty answers are not)."""
    found: list[Read] = []
    for _ in range(1000):
        found.extend(records_of(await reader.fetch(WAIT)))
        if is_enough(found):
            return found
    raise AssertionError(f"this is all there is to read: {found}")


Plan = Callable[[Round], Mapping[str, bytes]]


def plan_by_id(joined: Round) -> dict[str, bytes]:
    """Give each member its own id."""
    return {member_id: b"for " + member_id.encode() for member_id in joined.members}


async def join_all(
    members: Sequence[Membership],
    protocols: Sequence[Sequence[tuple[str, bytes]]] | None = None,
    plan: Plan = plan_by_id,
) -> tuple[list[Round], list[bytes]]:
    """Let these members join and sync; return their rounds and parts.

    A member whose round was void joins again, as an application does.
    """
    offered = protocols or [[("range", b"")] for _ in members]
    joined = await _stable_rounds(members, offered)
    parts = await asyncio.gather(
        *(
            member.sync(found.generation, plan(found) if found.is_leader else None)
            for member, found in zip(members, joined, strict=True)
        )
    )
    return joined, list(parts)


async def _stable_rounds(
    members: Sequence[Membership], offered: Sequence[Sequence[tuple[str, bytes]]]
) -> list[Round]:
    # Members that come one by one to an empty group make a generation each: those that are behind
    # the newest one join again, until all are in the same.
    at = {members[0]: await members[0].join(offered[0])}

    def settled() -> bool:
        return len(at) == len(members) and len({found.generation for found in at.values()}) == 1

    async def live(member: Membership, given: Sequence[tuple[str, bytes]]) -> None:
        while not settled():
            if member not in at:
                at[member] = await member.join(given)
            try:
                await member.heartbeat()
            except RejoinError:
                at.pop(member)
            else:
                await asyncio.sleep(0.05)

    rest = [
        asyncio.ensure_future(live(member, given))
        for member, given in zip(members[1:], offered[1:], strict=True)
    ]
    if rest:
        await asyncio.sleep(0.5)  # most often they are all there by then: one round more, not many
        await asyncio.gather(live(members[0], offered[0]), *rest)
    return [at[member] for member in members]


async def until_rebalance(member: Membership) -> None:
    """Heartbeat until a round has begun (the test's time-out ends it, if none begins)."""
    while True:
        try:
            await member.heartbeat()
        except RebalanceInProgress:
            return
        await asyncio.sleep(0.05)


@asynccontextmanager
async def heartbeats(*members: Membership, every: float = 1.0) -> AsyncIterator[None]:
    """Keep members alive meanwhile (what their heartbeats are answered does not matter here)."""

    async def beat(member: Membership) -> None:
        while True:
            await asyncio.gather(member.heartbeat(), return_exceptions=True)
            await asyncio.sleep(every)

    tasks = [asyncio.create_task(beat(member)) for member in members]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
