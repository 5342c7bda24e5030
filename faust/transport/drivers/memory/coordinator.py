"""Groups and transactions of the memory broker: machines, commits, and who waits for them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from faust._machines.groups import Group
from faust._machines.transactions import Ended, TransactionalId
from faust._values import TP
from faust.exceptions import BrokerError, MessageTooLarge, UnknownTopic
from faust.transport.drivers.memory.log import Log
from faust.transport.drivers.memory.signals import Signal
from faust.transport.membership import Commit

__all__ = ["MAX_METADATA_BYTES", "Groups", "Transactions"]

#: Kafka's ``offset.metadata.max.bytes``.
MAX_METADATA_BYTES = 4096


class Groups:
    """All groups of one broker, and what they have committed."""

    def __init__(self, topic_has: Callable[[TP], bool]) -> None:
        self._topic_has = topic_has
        self._groups: dict[str, Group] = {}
        self._commits: dict[str, dict[TP, Commit]] = {}
        self._waiters: dict[str, dict[int, Signal]] = {}

    def group(self, group_id: str) -> Group:
        """Return the group; it is there from the first time somebody asks."""
        if group_id not in self._groups:
            self._groups[group_id] = Group(group_id=group_id)
        return self._groups[group_id]

    def names(self, now: float) -> list[str]:
        """Ids of groups with members or commits."""
        for group in self._groups.values():
            group.tick(now)
        living = [name for name, group in self._groups.items() if group.members]
        return sorted({*living, *(name for name, kept in self._commits.items() if kept)})

    # -- waiting -------------------------------------------------------------------

    def watch(self, group_id: str, signal: Signal) -> None:
        """Set ``signal`` whenever the group moves."""
        self._waiters.setdefault(group_id, {})[id(signal)] = signal

    def unwatch(self, group_id: str, signal: Signal) -> None:
        """Undo `watch`."""
        waiters = self._waiters.get(group_id, {})
        waiters.pop(id(signal), None)
        if not waiters:
            self._waiters.pop(group_id, None)

    def notify(self, group_id: str) -> None:
        """Wake whoever waits for the group."""
        for signal in list(self._waiters.get(group_id, {}).values()):
            signal.set()

    # -- commits -------------------------------------------------------------------

    def refused(self, offsets: Mapping[TP, Commit]) -> dict[TP, BrokerError]:
        """Return the partitions that cannot be committed, each with its reason."""
        found: dict[TP, BrokerError] = {}
        for tp, commit in offsets.items():
            size = len(commit.metadata.encode())
            if size > MAX_METADATA_BYTES:
                found[tp] = MessageTooLarge(
                    f"{tp}: commit metadata of {size} bytes; {MAX_METADATA_BYTES} are allowed"
                )
            elif not self._topic_has(tp):
                found[tp] = UnknownTopic(f"there is no partition {tp}")
        return found

    def commit(self, group_id: str, offsets: Mapping[TP, Commit]) -> dict[TP, BrokerError]:
        """Keep these offsets; return those refused."""
        refused = self.refused(offsets)
        kept = self._commits.setdefault(group_id, {})
        kept.update((tp, Commit(*commit)) for tp, commit in offsets.items() if tp not in refused)
        return refused

    def committed(self, group_id: str, tps: Collection[TP] | None) -> dict[TP, Commit]:
        """Return what the group has committed for these partitions (``None``: all)."""
        kept = self._commits.get(group_id, {})
        if tps is None:
            return dict(kept)
        return {tp: kept[tp] for tp in tps if tp in kept}

    def forget_topic(self, topic: str) -> None:
        """Drop all commits for a topic that was deleted."""
        for group_id, kept in self._commits.items():
            self._commits[group_id] = {tp: at for tp, at in kept.items() if tp.topic != topic}


class Broker(Protocol):
    """What transactions ask of their broker."""

    groups: Groups

    def next_number(self) -> int: ...
    def now_ms(self) -> int: ...
    def find_log(self, tp: TP) -> Log | None: ...


class Transactions:
    """All transactional ids of one broker."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._ids: dict[str, TransactionalId] = {}

    def initialize(self, name: str, timeout: float) -> TransactionalId:
        """Give a transactional id to a new producer; what its predecessor left open is aborted."""
        found = self._ids.get(name)
        if found is None:
            producer_id = self._broker.next_number()
            found = self._ids[name] = TransactionalId(name=name, producer_id=producer_id)
        left_open = found.initialize(timeout)
        if left_open is not None:
            self.finish(left_open, commit=False)
        return found

    def find(self, name: str) -> TransactionalId:
        """Return a transactional id that was initialized before."""
        return self._ids[name]

    def renew(self, name: str, epoch: int) -> int:
        """Give the producer of this epoch the next one; what it left open is aborted."""
        found = self._ids[name]
        left_open = found.renew(epoch)
        if left_open is not None:
            self.finish(left_open, commit=False)
        return found.epoch

    def finish(self, ended: Ended, *, commit: bool) -> None:
        """Write the markers and the offsets of a transaction that has ended."""
        now_ms = self._broker.now_ms()
        for tp in ended.partitions:
            log = self._broker.find_log(tp)
            if log is not None:
                log.mark(ended.producer_id, ended.epoch, now_ms, commit=commit)
        groups = self._broker.groups
        for group_id, offsets in ended.offsets.items():
            if commit:
                groups.commit(group_id, {tp: Commit(*value) for tp, value in offsets.items()})
            groups.notify(group_id)

    def is_unstable(self, group_id: str, tps: Collection[TP] | None) -> bool:
        """Does an open transaction hold offsets of these partitions of the group?"""
        return any(
            group_id in found.offsets
            and (tps is None or any(found.holds(group_id, tp) for tp in tps))
            for found in self._ids.values()
        )

    def tick(self, now: float) -> None:
        """Abort transactions that have been open for too long."""
        for found in self._ids.values():
            ended = found.tick(now)
            if ended is not None:
                self.finish(ended, commit=False)

    def deadline(self) -> float | None:
        """When `tick` has something to do next."""
        times = [found.deadline() for found in self._ids.values()]
        return min((time for time in times if time is not None), default=None)
