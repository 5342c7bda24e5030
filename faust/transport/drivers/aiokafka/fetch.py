"""The reader: whole batches from the leaders of many partitions.

How it works.  One synchronous function, `_schedule`, looks at every partition that wants more and
has none under way (`demand`), and starts one request for each node.  When an answer comes, it is
filed and `_schedule` runs again, before anybody has consumed anything: the next fetch is under way
while the last is worked on.

A node may have up to three requests at a time, on connections of their own: a fetch that finds
nothing waits at the broker, and a partition that was resumed meanwhile must not wait behind it.
A fetch that nobody answers ends, connection and all, as soon as metadata name another leader for a
partition of it (`under_way`).

An answer belongs to the `_Partition` object that asked: `assign` makes a new one, and what comes
for an old one is dropped.  `fetch` only hands out what is there; it checks CRCs then, when the next
request is already on its way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from itertools import count

from faust._values import TP
from faust.exceptions import BrokerError, CorruptRecord, UnknownTopic
from faust.transport.drivers.aiokafka.cluster import Cluster
from faust.transport.drivers.aiokafka.demand import demand_of
from faust.transport.drivers.aiokafka.errors import (
    FOREIGN,
    NO_ERROR,
    OFFSET_OUT_OF_RANGE,
    TOPIC_GONE,
    error_for,
    may_be_retried,
    translated,
)
from faust.transport.drivers.aiokafka.fetch_request import Answered, ask
from faust.transport.drivers.aiokafka.fetched import read_partition
from faust.transport.drivers.aiokafka.offsets import out_of_range
from faust.transport.drivers.aiokafka.partitions import Delivery, Partition
from faust.transport.drivers.aiokafka.patience import RestingNodes
from faust.transport.drivers.aiokafka.requests import NO_TOPIC_ID
from faust.transport.drivers.aiokafka.silence import Silence
from faust.transport.drivers.aiokafka.under_way import (
    UNANSWERED_SECONDS,
    Request,
    UnderWay,
    has_moved,
)
from faust.transport.drivers.aiokafka.wire import FetchedPartition, FetchOptions
from faust.transport.reader import Fetched, Reader, ReaderOptions

__all__ = ["KafkaReader"]

#: How long a fetch that finds nothing waits at the broker.
_LONG_POLL_SECONDS = 0.25
#: Requests under way at one node.
_LANES = 3
_numbers = count(1)


class KafkaReader(Reader):
    """See `faust.transport.reader.Reader`."""

    def __init__(self, cluster: Cluster, options: ReaderOptions) -> None:
        self._cluster = cluster
        self._clock = cluster.options.clock
        self._options = options
        self._name = f"fetch-{next(_numbers)}"
        self._parts: dict[TP, Partition] = {}
        self._under_way: UnderWay[Partition] = UnderWay()
        self._resting = RestingNodes(self._schedule_soon)
        self._heard: dict[TP, tuple[int, int]] = {}  # end and start, since the last `fetch`
        self._news = asyncio.Event()
        self._scheduled = False
        self._silence = Silence(self._clock)
        self._closed = False
        cluster.watch(self)

    def __repr__(self) -> str:
        return f"<KafkaReader [{len(self._parts)} partitions | {len(self._under_way)} requests]>"

    # -- what to read ----------------------------------------------------------

    def assign(self, positions: Mapping[TP, int]) -> None:
        for tp, position in positions.items():
            before = self._parts.pop(tp, None)
            self._heard.pop(tp, None)
            self._parts[tp] = Partition(tp, position)
            if before is not None:
                self._parts[tp].paused = before.paused and before.error is None
        if any(self._cluster.leader(tp) is None for tp in positions):
            self._cluster.refresh_soon()
        self._schedule_soon()

    def unassign(self, tps: Collection[TP]) -> None:
        for tp in tps:
            self._parts.pop(tp, None)
            self._heard.pop(tp, None)

    def pause(self, tps: Collection[TP]) -> None:
        for tp in tps:
            part = self._parts.get(tp)
            if part is not None:
                part.paused = True

    def resume(self, tps: Collection[TP]) -> None:
        for tp in tps:
            part = self._parts.get(tp)
            if part is not None and part.paused:
                part.paused = False
                if part.has_news:
                    self._news.set()
        self._schedule_soon()

    def positions(self) -> dict[TP, int]:
        return {tp: part.position for tp, part in self._parts.items()}

    # -- reading ---------------------------------------------------------------

    async def fetch(self, max_wait: float) -> Fetched:
        deadline = self._clock.monotonic() + max_wait
        while True:
            self._news.clear()
            delivery = self._deliver()
            if delivery.is_news or self._closed:
                return self._with_ends(delivery)
            remaining = deadline - self._clock.monotonic()
            if remaining <= 0:
                self._raise_if_unavailable()
                return self._with_ends(delivery)
            try:
                async with asyncio.timeout(remaining):
                    await self._news.wait()
            except TimeoutError:
                pass

    async def close(self) -> None:
        self._closed = True
        self._cluster.unwatch(self)
        self._news.set()
        self._resting.close()
        tasks = self._under_way.tasks()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for number in range(_LANES):
            self._cluster.connections.drop_lane(f"{self._name}-{number}", abort=True)

    def unheard_since(self) -> float | None:
        """Return since when no node has answered, although a fetch waits for one.

        A fetch that finds nothing is answered after a quarter of a second.
        """
        if not self._is_waiting():
            self._silence.nothing_asked()
        return self._silence.unheard_since()

    def _is_waiting(self) -> bool:
        return any(not part.paused and part.error is None for part in self._parts.values())

    def _deliver(self) -> Delivery:
        """Take what lies here of the partitions that are not paused, up to ``max_bytes``."""
        delivery = Delivery(self._options.max_bytes, check_crcs=self._options.check_crcs)
        for tp in [tp for tp, part in self._parts.items() if part.has_news and not part.paused]:
            part = self._parts.pop(tp)  # to the end of the queue, so that none starves another
            self._parts[tp] = part
            delivery.take(part)
            if delivery.is_full:
                break
        if delivery.is_news:
            self._schedule_soon()
        return delivery

    def _with_ends(self, delivery: Delivery) -> Fetched:
        fetched = delivery.fetched
        for tp in [tp for tp in self._heard if not self._parts[tp].paused]:
            fetched.ends[tp], fetched.starts[tp] = self._heard.pop(tp)
        return fetched

    def _raise_if_unavailable(self) -> None:
        if self._is_waiting():
            self._silence.raise_after(self._cluster.options.request_timeout, len(self._parts))

    # -- for the cluster -------------------------------------------------------

    def watched_topics(self) -> Iterable[str]:
        """Return the topics of our partitions."""
        return {tp.topic for tp in self._parts}

    def metadata_changed(self) -> None:
        """Look for partitions that are gone, and go on with those that have a leader now."""
        for tp, part in self._parts.items():
            part.stale = False
            if part.error is None and self._cluster.is_gone(tp):
                self._fail(part, self._cluster.why_gone(tp))
            else:
                self._check_topic_id(part)
        self._leave_former_leaders()
        self._schedule_soon()

    def _leave_former_leaders(self) -> None:
        """End requests that nobody answers and that ask for what another node leads by now."""
        for request in self._under_way.unanswered(self._clock.monotonic()):
            if has_moved(request, self._leader_of) and request.task is not None:
                request.task.cancel()
                self._cluster.connections.drop(request.node, request.lane)

    def _leader_of(self, part: Partition) -> int | None:
        leader = self._cluster.leader(part.tp)
        return None if leader is None else leader.node

    def _check_topic_id(self, part: Partition) -> None:
        topic = self._cluster.topic(part.tp.topic)
        if topic is None or topic.topic_id == NO_TOPIC_ID or part.error is not None:
            return
        if part.topic_id is None or not part.answered:
            part.topic_id = topic.topic_id
        elif part.topic_id != topic.topic_id:
            self._fail(part, UnknownTopic(f"{part.tp.topic} was deleted and created anew"))

    def _fail(self, part: Partition, error: BrokerError) -> None:
        part.error = error
        self._news.set()

    # -- asking ----------------------------------------------------------------

    def _schedule_soon(self) -> None:
        """Run `_schedule` once, after whatever else is called in this turn of the loop."""
        if not self._scheduled and not self._closed:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._schedule)

    def _schedule(self) -> None:
        self._scheduled = False
        if self._closed:
            return
        demand = demand_of(self._parts.values(), self._options, self._leader_of)
        for tp in demand.leaderless:
            self._cluster.refresh_soon()
            self._silence.failed(ConnectionError(f"{tp} has no leader"))
        if demand.drop_paused:
            self._drop_unread_of_paused()
        for node, parts in demand.by_node.items():
            self._ask(node, parts)

    def _drop_unread_of_paused(self) -> None:
        """Keep memory flat where many partitions are paused; they are asked again when resumed."""
        for part in self._parts.values():
            if part.paused and part.error is None:
                part.drop_unread()

    def _ask(self, node: int, parts: list[Partition]) -> None:
        if node in self._resting:
            return
        taken = self._under_way.lanes_at(node)
        lanes = (f"{self._name}-{number}" for number in range(_LANES))
        lane = next((lane for lane in lanes if lane not in taken), None)
        if lane is None:
            return
        for part in parts:
            part.asking = True
            self._check_topic_id(part)
        request = Request(node, lane, self._clock.monotonic(), parts)
        self._under_way.add(request)
        task = asyncio.create_task(self._request(request), name=f"kafka {lane} {node}")
        request.task = task
        late = asyncio.get_running_loop().call_later(UNANSWERED_SECONDS, self._is_late, request)

        def requested(task: asyncio.Task[None]) -> None:
            late.cancel()
            self._under_way.remove(request)
            self._schedule_soon()  # not before its lane is free: all may end in one turn
            if not task.cancelled():
                task.result()

        task.add_done_callback(requested)

    def _is_late(self, request: Request[Partition]) -> None:
        """Ask who leads, again and again while nobody answers."""
        if request in self._under_way and not self._closed:
            self._cluster.refresh_soon()
            asyncio.get_running_loop().call_later(UNANSWERED_SECONDS, self._is_late, request)

    async def _request(self, request: Request[Partition]) -> None:
        node, parts = request.node, request.parts
        asked = [(part, part.fetch_position) for part in parts]
        try:
            answered = await self._send(node, request.lane, parts)
        except (BrokerError, *FOREIGN, NotImplementedError) as exc:
            self._rest(node, exc)
        else:
            self._resting.recovered(node)
            self._silence.answered()
            lost = [part for part, position in asked if not self._file(part, position, answered)]
            for part in lost:
                await self._check_range(part)
        finally:
            for part in parts:
                part.asking = False

    async def _send(self, node: int, lane: str, parts: list[Partition]) -> Answered:
        options = FetchOptions(
            int(_LONG_POLL_SECONDS * 1000), self._options.max_bytes, self._options.read_committed
        )
        return await ask(
            self._cluster, node, lane, parts, options, self._options.max_partition_bytes
        )

    # -- answers ---------------------------------------------------------------

    def _file(
        self,
        part: Partition,
        position: int,
        answered: Answered,
    ) -> bool:
        """Keep what was answered for a partition; return whether its position is in the log."""
        if self._parts.get(part.tp) is not part or part.fetch_position != position:
            return True  # moved or unassigned meanwhile
        frame, answer = answered.get(part.key, (b"", None))
        if answer is None:
            return True
        if answer.error_code == NO_ERROR:
            self._file_data(part, frame, answer)
        elif answer.error_code == OFFSET_OUT_OF_RANGE:
            return False
        elif answer.error_code in TOPIC_GONE or may_be_retried(answer.error_code):
            part.stale = True  # until the metadata have been asked
            self._cluster.refresh_soon()
        else:
            self._fail(part, error_for(answer.error_code, f"fetching {part.tp}"))
        return True

    def _file_data(self, part: Partition, frame: bytes, answer: FetchedPartition) -> None:
        part.answered = True
        committed = self._options.read_committed
        end = answer.last_stable if committed else answer.high_watermark
        self._heard[part.tp] = (end, answer.log_start)
        if answer.end == answer.start:
            return
        try:
            batches, next_offset = read_partition(
                part.tp,
                frame,
                answer.start,
                answer.end,
                part.fetch_position,
                answer.aborted if committed else (),
            )
        except CorruptRecord as exc:
            self._fail(part, exc)
            return
        part.add(batches, next_offset, answer.end - answer.start)
        if part.has_news and not part.paused:
            self._news.set()

    async def _check_range(self, part: Partition) -> None:
        """Tell the caller that a position is lost, once the leader has confirmed it.

        A leader that was just elected may not know yet how far its log is readable.
        """
        try:
            lost = await out_of_range(self._cluster, part.tp, part.fetch_position)
        except BrokerError:
            return  # the next fetch finds out again
        if lost is not None:
            self._fail(part, lost)
        else:
            part.stale = True
            self._cluster.refresh_soon()

    def _rest(self, node: int, failure: BaseException) -> None:
        """Leave a node alone for a moment, and ask whether it still leads."""
        self._silence.failed(failure)
        self._cluster.refresh_soon()
        self._resting.add(node)
        if may_be_retried(failure):
            return
        for tp, part in self._parts.items():
            if self._leader_of(part) == node and part.error is None:
                self._fail(part, translated(failure, f"fetching {tp}"))
