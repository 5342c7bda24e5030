"""One partition's outgoing batches: order, sequence numbers, and what to do when one fails.

Decisions only: no socket, no task, no clock.

The broker keeps, for each producer id and partition, the epoch and the last sequence number, and
takes a batch only if it is the next one (KIP-98); a batch among the last five that comes again is
acknowledged again without being appended.  From this follow the rules here:

* A broker that does not know a producer (epoch) yet takes any sequence number.  So the first batch
  of an epoch goes alone: else, were it refused by a leader that is just starting, the second one
  could be appended before it.
* A batch gets its numbers when it is first sent, and is sent again with the same ones.
* When one comes back unacknowledged, nothing new is sent until all that are under way have come
  back; then all of them are sent again, in order.
* "Out of sequence" for a batch behind an unacknowledged one is only the echo of that one.  For the
  first one it means that the broker has another idea of us (it lost records, or forgot us): if
  the batch is certainly not in the log, the line starts a new epoch with it (KIP-360, as the Java
  client does for producers without transactions); if in doubt, nobody can know, and it fails.
* After a batch has failed, what was handed over behind it fails, too, and the line starts a new
  epoch, which also shuts out whatever may still arrive of the old one.
"""

from __future__ import annotations

import asyncio
from collections import deque

from aiokafka.record.util import calc_crc32c

from faust._values import TP
from faust.transport.producer import Placed
from faust.transport.records import HEADER, Builder

__all__ = ["Line", "Pending"]

#: Brokers remember this many batches of a producer (``ProducerStateEntry.NumBatchesToRetain``).
MOST_IN_FLIGHT = 5
_LAST_EPOCH = 32767
_LAST_SEQUENCE = 1 << 31
_PRODUCER_AT, _ATTRIBUTES_AT, _CRC_AT = 43, 21, 17


class Pending:
    """A batch that is not acknowledged yet.

    Attributes:
        data: Its bytes, once it has been numbered.
        sequence: Its first sequence number.
        count: Records in it.
        in_doubt: An attempt was cut off: it may be in the log.
        is_back: Its last attempt is over; it waits to be sent again.
        deadline: When to give up, on the transport's clock.
    """

    __slots__ = (
        "builder",
        "count",
        "data",
        "deadline",
        "future",
        "in_doubt",
        "is_back",
        "line",
        "sequence",
    )

    def __init__(
        self, line: Line, builder: Builder, future: asyncio.Future[Placed], deadline: float
    ) -> None:
        self.line = line
        self.builder: Builder | None = builder
        self.future = future
        self.deadline = deadline
        self.data: bytearray | None = None
        self.sequence = -1
        self.count = 0
        self.in_doubt = self.is_back = False


class Line:
    """The queue of one partition.

    Arguments:
        tp: The partition.
        idempotent: Number the batches; otherwise only one is under way at a time.
    """

    __slots__ = (
        "_known",
        "_renumber",
        "_sent",
        "_waiting",
        "epoch",
        "idempotent",
        "next_sequence",
        "producer_id",
        "resting",
        "tp",
    )

    def __init__(self, tp: TP, *, idempotent: bool) -> None:
        self.tp = tp
        self.idempotent = idempotent
        self.producer_id = self.epoch = -1
        self.next_sequence = 0
        self.resting = False
        self._renumber = self._known = False
        self._waiting: deque[Pending] = deque()
        self._sent: deque[Pending] = deque()

    def __repr__(self) -> str:
        return f"<Line {self.tp} [{len(self._waiting)} waiting | {len(self._sent)} sent]>"

    # -- queueing and sending --------------------------------------------------

    @property
    def is_empty(self) -> bool:
        """Is everything acknowledged?"""
        return not self._waiting and not self._sent

    @property
    def can_send(self) -> bool:
        """May the next batch be sent now?"""
        if not self._waiting or self.resting:
            return False
        most = MOST_IN_FLIGHT if self.idempotent and self._known else 1
        return len(self._sent) < most and not any(pending.is_back for pending in self._sent)

    @property
    def oldest(self) -> Pending | None:
        """The batch that has waited longest."""
        return self._sent[0] if self._sent else self._waiting[0] if self._waiting else None

    @property
    def next_waiting(self) -> Pending:
        """The batch to be sent next (only while there is one)."""
        return self._waiting[0]

    def unacknowledged(self) -> list[Pending]:
        """Return all batches, in order."""
        return [*self._sent, *self._waiting]

    def append(self, pending: Pending) -> None:
        """Put a batch at the end."""
        self._waiting.append(pending)

    def number_next(self) -> bytearray:
        """Return the bytes of the next batch, numbered; it stays where it is until `take_next`."""
        pending = self._waiting[0]
        if pending.data is None:
            assert pending.builder is not None
            if self.idempotent:
                pending.builder.set_producer_state(self.producer_id, self.epoch, self.next_sequence)
            pending.data = pending.builder.build()
            pending.builder = None
            pending.count = HEADER.unpack_from(pending.data)[12]
            self._count(pending)
        return pending.data

    def take_next(self) -> Pending:
        """Take the next batch to be sent."""
        pending = self._waiting.popleft()
        pending.is_back = False
        self._sent.append(pending)
        return pending

    def _count(self, pending: Pending) -> None:
        pending.sequence = self.next_sequence
        self.next_sequence = (self.next_sequence + pending.count) % _LAST_SEQUENCE

    # -- outcomes --------------------------------------------------------------

    def acknowledge(self, pending: Pending) -> bool:
        """Take an acknowledged batch out; return whether it was still ours."""
        if pending not in self._sent:
            return False
        self._sent.remove(pending)
        self._known = True
        self._settle()
        return True

    def is_first(self, pending: Pending) -> bool:
        """Is everything before this batch acknowledged?"""
        return bool(self._sent) and self._sent[0] is pending

    def give_back(self, pending: Pending, *, in_doubt: bool, renumber: bool = False) -> bool:
        """Note that an attempt is over and the batch must be sent again.

        Returns:
            Whether the batch was still ours.
        """
        if pending not in self._sent:
            return False
        pending.is_back = True
        pending.in_doubt = pending.in_doubt or in_doubt
        self._renumber = self._renumber or renumber
        self._settle()
        return True

    def fail(self, pending: Pending) -> list[Pending]:
        """Take out a batch that failed, and all behind it; return them."""
        everything = self.unacknowledged()
        if pending not in everything:
            return []
        at = everything.index(pending)
        kept, failed = everything[:at], everything[at:]
        self._sent = deque(p for p in self._sent if p in kept)
        self._waiting = deque(p for p in self._waiting if p in kept)
        if pending.sequence >= 0 and not any(p.sequence >= 0 for p in kept):
            self._start_epoch()
        elif pending.sequence >= 0:
            self.next_sequence = pending.sequence
        self._settle()
        return failed

    # -- inside ----------------------------------------------------------------

    def _settle(self) -> None:
        """When nothing is under way any more, put back in order what has to be sent again."""
        if not all(pending.is_back for pending in self._sent):
            return
        self._waiting.extendleft(reversed(self._sent))
        self._sent.clear()
        if self._renumber:
            self._renumber = False
            self._start_epoch()
            for pending in self._waiting:
                if pending.data is not None:
                    self._number_again(pending)

    def _start_epoch(self) -> None:
        if not self.idempotent:
            return
        self.next_sequence = 0
        self._known = False
        if self.epoch < _LAST_EPOCH:
            self.epoch += 1
        else:
            self.producer_id = self.epoch = -1  # the producer gives us a new id

    def adopt(self, producer_id: int, epoch: int) -> None:
        """Take over a producer id, for batches that have no number yet (or need a new one)."""
        self.producer_id, self.epoch, self.next_sequence = producer_id, epoch, 0
        self._known = False
        for pending in self._waiting:
            if pending.data is not None:
                self._number_again(pending)

    def _number_again(self, pending: Pending) -> None:
        data = pending.data
        assert data is not None
        self._count(pending)
        data[_PRODUCER_AT : _PRODUCER_AT + 14] = (
            self.producer_id.to_bytes(8, "big", signed=True)
            + self.epoch.to_bytes(2, "big", signed=True)
            + pending.sequence.to_bytes(4, "big")
        )
        data[_CRC_AT : _CRC_AT + 4] = calc_crc32c(bytes(data[_ATTRIBUTES_AT:])).to_bytes(4, "big")
