"""The broker itself: topics, their logs, and what passing time does to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from threading import RLock

from faust._core.clock import Clock, SystemClock
from faust._machines.topicrules import (
    DEFAULTS,
    TopicPolicy,
    check_config,
    check_name,
    check_partitions,
)
from faust._values import TP
from faust.exceptions import InvalidTopic, MessageTooLarge, TopicExists, UnknownTopic
from faust.transport.base import EARLIEST, LATEST, TopicInfo, TopicSpec
from faust.transport.drivers.memory.client import Client
from faust.transport.drivers.memory.coordinator import Groups, Transactions
from faust.transport.drivers.memory.faults import Faults
from faust.transport.drivers.memory.log import Log
from faust.transport.producer import Placed

__all__ = ["MemoryBroker", "find_broker", "forget_broker"]

#: Seconds between two looks at retention and compaction (Kafka: 300 and 15).
MAINTENANCE_INTERVAL = 60.0

_brokers: dict[str, MemoryBroker] = {}
_brokers_lock = RLock()
_serials = count(1)


@dataclass
class Topic:
    """One topic: its identity, configuration and logs."""

    name: str
    topic_id: str
    config: dict[str, str]
    policy: TopicPolicy
    logs: list[Log] = field(default_factory=list)

    def grow(self, total: int) -> None:
        """Add partitions up to ``total``."""
        self.logs.extend(Log(TP(self.name, n)) for n in range(len(self.logs), total))


class MemoryBroker:
    """A broker in this process.  Its methods never wait.

    Arguments:
        name: The host part of ``memory://name``.
        auto_create: Create an unknown topic when it is first produced to or fetched from.
        clock: Where it takes the time from; a transport that opens replaces it by its own.

    Attributes:
        faults: What goes wrong with it.
        lock: Guards all of its state.
        clients: The transports that are open.
        groups, transactions: Its coordinators.
    """

    def __init__(
        self, name: str = "", *, auto_create: bool = True, clock: Clock | None = None
    ) -> None:
        self.name = name
        self.auto_create = auto_create
        self.clock: Clock = clock or SystemClock()
        self.lock = RLock()
        self.clients: list[Client] = []
        self.faults = Faults(self.clients, lambda tp, offset: self.log(tp).corrupt(offset))
        self.groups = Groups(lambda tp: self.find_log(tp) is not None)
        self.transactions = Transactions(self)
        self.cluster_id = f"memory-{name}-{next(_serials)}"
        self._topics: dict[str, Topic] = {}
        self._number = 0
        self._next_maintenance = self.clock.monotonic() + MAINTENANCE_INTERVAL

    def __repr__(self) -> str:
        return (
            f"<MemoryBroker {self.name!r}: {len(self._topics)} topics, {len(self.clients)} clients>"
        )

    @property
    def url(self) -> str:
        """What to connect to."""
        return f"memory://{self.name}"

    # -- clients, time, numbers --------------------------------------------------------

    def attach(self, client: Client) -> None:
        """Let a client in; its clock is the broker's from now on."""
        self.clients.append(client)
        if self.clock is not client.clock:
            self.use_clock(client.clock)

    def use_clock(self, clock: Clock) -> None:
        """Take the time from another clock; the interval of maintenance begins anew."""
        self.clock = clock
        self._next_maintenance = clock.monotonic() + MAINTENANCE_INTERVAL

    def detach(self, client: Client) -> None:
        """Let a client go."""
        if client in self.clients:
            self.clients.remove(client)

    def next_number(self) -> int:
        """Return a number that was never returned before: for ids of all kinds."""
        with self.lock:
            self._number += 1
            return self._number

    def now(self) -> float:
        """Seconds on the monotonic clock."""
        return self.clock.monotonic()

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        return int(self.clock.time() * 1000)

    def tick(self) -> None:
        """Do what is due: transactions that are too old, retention and compaction."""
        with self.lock:
            self.transactions.tick(self.now())
            if self.now() >= self._next_maintenance:
                self._next_maintenance = self.now() + MAINTENANCE_INTERVAL
                self._maintain(force=False)

    def deadline(self) -> float:
        """When `tick` has something to do next."""
        due = self.transactions.deadline()
        return self._next_maintenance if due is None else min(due, self._next_maintenance)

    def hurry(self) -> None:
        """Wake the clients that would sleep past `deadline`."""
        due = self.deadline()
        for client in self.clients:
            if client.sleeps_until > due:
                client.housekeeping.set()

    def run_maintenance(self) -> None:
        """Apply retention and compaction now, to every log."""
        with self.lock:
            self._maintain(force=True)

    def _maintain(self, *, force: bool) -> None:
        for topic in self._topics.values():
            for log in topic.logs:
                log.maintain(topic.policy, self.now_ms(), force=force)

    # -- topics ----------------------------------------------------------------------

    def topic(self, name: str) -> Topic:
        """Return a topic.

        Raises:
            UnknownTopic: there is none.
        """
        found = self._topics.get(name)
        if found is None:
            raise UnknownTopic(f"there is no topic {name!r}")
        return found

    def describe(self, names: Iterable[str] | None) -> dict[str, TopicInfo]:
        """Return what there is of these topics (``None``: all)."""
        wanted = self._topics if names is None else dict.fromkeys(names)
        found = (self._topics[name] for name in wanted if name in self._topics)
        return {t.name: TopicInfo(t.name, t.topic_id, len(t.logs)) for t in found}

    def create_topic(self, spec: TopicSpec) -> Topic:
        """Create a topic.

        Raises:
            TopicExists, InvalidTopic.
        """
        check_name(spec.name)
        if spec.name in self._topics:
            raise TopicExists(f"topic {spec.name!r} is there already")
        check_partitions(spec.name, spec.partitions)
        check_config(spec.name, spec.config)
        config = dict(spec.config)
        topic_id = f"{self.next_number():032x}"
        topic = Topic(spec.name, topic_id, config, TopicPolicy.parse(config))
        topic.grow(spec.partitions)
        self._topics[spec.name] = topic
        return topic

    def create_partitions(self, name: str, total: int) -> None:
        """Raise the number of partitions.

        Raises:
            UnknownTopic, InvalidTopic.
        """
        topic = self.topic(name)
        if total <= len(topic.logs):
            raise InvalidTopic(
                f"topic {name!r} has {len(topic.logs)} partitions, not below {total}"
            )
        topic.grow(total)

    def delete_topic(self, name: str) -> None:
        """Delete a topic, its records, and all commits for it.

        Raises:
            UnknownTopic.
        """
        topic = self.topic(name)
        del self._topics[name]
        self.groups.forget_topic(name)
        for log in topic.logs:
            log.is_deleted = True
            for follower in log.followers.values():
                follower.on_moved(log.tp)

    def topic_config(self, name: str) -> dict[str, str]:
        """Return a topic's configuration, defaults included."""
        return {**DEFAULTS, **self.topic(name).config}

    def alter_topic_config(self, name: str, config: Mapping[str, str]) -> None:
        """Set these entries."""
        topic = self.topic(name)
        check_config(name, config)
        topic.config.update(config)
        topic.policy = TopicPolicy.parse(topic.config)

    # -- logs ------------------------------------------------------------------------

    def find_log(self, tp: TP) -> Log | None:
        """Return a partition's log, or ``None``."""
        topic = self._topics.get(tp.topic)
        if topic is None or not 0 <= tp.partition < len(topic.logs):
            return None
        return topic.logs[tp.partition]

    def log(self, tp: TP, default_partitions: int = 0) -> Log:
        """Return a partition's log; its topic is created on first use, with that many partitions.

        Raises:
            UnknownTopic: there is none, and it may not be created (``default_partitions`` 0).
        """
        if tp.topic not in self._topics and self.auto_create and default_partitions:
            self.create_topic(TopicSpec(tp.topic, default_partitions))
        found = self.find_log(tp)
        if found is None:
            raise UnknownTopic(f"there is no partition {tp}")
        return found

    def append(
        self,
        log: Log,
        data: bytearray,
        producer: tuple[int, int, int],
        transactional: bool = False,
    ) -> Placed:
        """Append a batch to a log.

        Raises:
            UnknownTopic, MessageTooLarge, ProducerFenced, StopError.
        """
        topic = self._topics.get(log.tp.topic)
        if topic is None or log.is_deleted:
            raise UnknownTopic(f"topic {log.tp.topic!r} was deleted")
        if len(data) > topic.policy.max_message_bytes:
            raise MessageTooLarge(
                f"{log.tp}: a batch of {len(data)} bytes; max.message.bytes is "
                f"{topic.policy.max_message_bytes}"
            )
        return log.append(
            data,
            int(self.clock.time() * 1000),
            log_append_time=topic.policy.log_append_time,
            producer=producer,
            transactional=transactional,
        )

    def offsets(self, tps: Iterable[TP], at: int) -> dict[TP, int]:
        """Return first or end offsets, or those of a timestamp; unknown partitions are left out."""
        found: dict[TP, int] = {}
        for tp in tps:
            log = self.find_log(tp)
            if log is None:
                continue
            if at == EARLIEST:
                found[tp] = log.state.start
            elif at == LATEST:
                found[tp] = log.state.end
            else:
                found[tp] = log.offset_at(at)
        return found

    def delete_records(self, before: Mapping[TP, int]) -> dict[TP, int]:
        """Let logs begin later; return where they begin now.

        Raises:
            UnknownTopic, OffsetOutOfRange.
        """
        return {tp: self.log(tp).delete_records(offset) for tp, offset in before.items()}


def find_broker(name: str = "") -> MemoryBroker:
    """Return the broker of that name in this process; the first to ask makes it."""
    with _brokers_lock:
        if name not in _brokers:
            _brokers[name] = MemoryBroker(name)
        return _brokers[name]


def forget_broker(name: str = "") -> None:
    """Drop the broker of that name and all it holds; transports that use it keep theirs."""
    with _brokers_lock:
        _brokers.pop(name, None)
