"""Reading from the memory broker: stored batches are handed over as they are."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import NamedTuple

from faust._values import TP
from faust.exceptions import BrokerError, CorruptRecord, UnknownTopic
from faust.transport.drivers.memory.connection import Connection
from faust.transport.drivers.memory.log import Log
from faust.transport.reader import Fetched, Reader, ReaderOptions
from faust.transport.records import Batch

__all__ = ["MemoryReader"]


class Portion(NamedTuple):
    """What one partition adds to an answer."""

    tp: TP
    position: int
    reached: int
    batches: list[Batch]
    limit: int
    start: int
    error: BrokerError | None


class MemoryReader(Reader):
    """Follows its partitions' logs: `_moved` holds those that may have more, in their turns."""

    def __init__(self, client: Connection, options: ReaderOptions) -> None:
        self._client = client
        self._broker = client.broker
        self._options = options
        self._positions: dict[TP, int] = {}
        self._logs: dict[TP, Log] = {}
        self._moved: dict[TP, None] = {}
        self._paused: set[TP] = set()
        self._signal = client.new_signal()
        self._is_closed = False

    def on_moved(self, tp: TP) -> None:
        """Called by the log, on whatever thread appends."""
        self._moved[tp] = None
        self._signal.set()

    # -- what to read ------------------------------------------------------------------

    def assign(self, positions: Mapping[TP, int]) -> None:
        """Read these partitions from these positions."""
        with self._broker.lock:
            self._forget(positions)
            for tp, position in positions.items():
                self._positions[tp] = position
                self.on_moved(tp)

    def unassign(self, tps: Collection[TP]) -> None:
        """Stop reading these partitions."""
        with self._broker.lock:
            self._forget(tps)
            for tp in tps:
                self._positions.pop(tp, None)
        self._signal.set()

    def _forget(self, tps: Collection[TP]) -> None:
        for tp in tps:
            self._moved.pop(tp, None)
            self._paused.discard(tp)
            log = self._logs.pop(tp, None)
            if log is not None:
                log.followers.pop(id(self), None)

    def pause(self, tps: Collection[TP]) -> None:
        """Ask for no more of these until `resume`."""
        self._paused.update(tp for tp in tps if tp in self._positions)

    def resume(self, tps: Collection[TP]) -> None:
        """Go on with paused partitions."""
        self._paused.difference_update(tps)
        self._signal.set()

    def positions(self) -> dict[TP, int]:
        """Return where each partition will be read next."""
        return dict(self._positions)

    # -- reading -----------------------------------------------------------------------

    async def fetch(self, max_wait: float) -> Fetched:
        """Return what there is; wait for the first batch at most ``max_wait`` seconds."""
        deadline = self._client.clock.monotonic() + max_wait
        answer = Fetched([], {}, {}, {}, {})
        left = max_wait
        while not self._is_closed:
            self._signal.clear()
            portions = await self._client.call("fetch", "", self._collect)
            self._take(portions, answer)
            left = deadline - self._client.clock.monotonic()
            if answer.batches or answer.positions or answer.errors or left <= 0 or self._is_closed:
                break
            await self._signal.wait(left)
        if left <= 0 and not self._is_closed:
            self._hear_of_the_idle(answer)
        return answer

    def _hear_of_the_idle(self, answer: Fetched) -> None:
        """The broker has answered: of what has not moved it says where it ends, as others do."""
        with self._broker.lock:
            for tp, log in self._logs.items():
                if tp in self._positions and tp not in self._paused and not log.is_deleted:
                    answer.ends.setdefault(tp, self._limit(log))

    def _collect(self) -> list[Portion]:
        # Changes nothing: the answer may get lost on its way.
        left = self._options.max_bytes
        portions: list[Portion] = []
        for tp in list(self._moved):
            if tp in self._paused:
                continue
            portion = self._read(tp, left)
            portions.append(portion)
            left -= sum(len(batch.data) for batch in portion.batches)
            if left <= 0:
                break
        return portions

    def _read(self, tp: TP, left: int) -> Portion:
        position, options = self._positions[tp], self._options
        try:
            log = self._logs.get(tp) or self._follow(tp)
            if log.is_deleted:
                raise UnknownTopic(f"topic {tp.topic!r} was deleted")
            log.state.check_position(tp, position)
            most = min(left, options.max_partition_bytes)
            batches, reached = log.read(position, most, committed=options.read_committed)
            if log.is_suspect and options.check_crcs:
                self._check(batches)
        except BrokerError as error:
            return Portion(tp, position, position, [], 0, 0, error)
        return Portion(tp, position, reached, batches, self._limit(log), log.state.start, None)

    def _limit(self, log: Log) -> int:
        return log.state.stable if self._options.read_committed else log.state.end

    def _take(self, portions: list[Portion], answer: Fetched) -> None:
        # What was paused or moved while the answer was on its way is dropped, and read again.
        with self._broker.lock:
            for portion in portions:
                tp = portion.tp
                if tp in self._paused or self._positions.get(tp) != portion.position:
                    continue
                if portion.error is None and tp not in self._logs:
                    continue  # it was given up, and assigned again at the same place
                if portion.error is not None:
                    self._forget([tp])
                    self._paused.add(tp)
                    answer.errors[tp] = portion.error
                    continue
                del self._moved[tp]
                if portion.reached < self._limit(self._logs[tp]):
                    self._moved[tp] = None  # its next turn is after everybody else's
                answer.ends[tp], answer.starts[tp] = portion.limit, portion.start
                if portion.reached > portion.position:
                    self._positions[tp] = answer.positions[tp] = portion.reached
                answer.batches.extend(portion.batches)

    def _follow(self, tp: TP) -> Log:
        may_create = self._options.auto_create
        log = self._broker.log(tp, self._client.options.default_partitions if may_create else 0)
        log.followers[id(self)] = self
        self._logs[tp] = log
        return log

    def _check(self, batches: list[Batch]) -> None:
        for batch in batches:
            if not batch.validate_crc():
                raise CorruptRecord(f"{batch.tp}: the batch at {batch.base_offset} is damaged")

    async def close(self) -> None:
        """Stop; a `fetch` that waits returns empty.  Hands over to the event loop once."""
        self._is_closed = True
        self.unassign(list(self._positions))
        self._client.drop_signal(self._signal)
        await asyncio.sleep(0)
