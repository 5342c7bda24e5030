"""What a broker does to its logs and groups in the course of time, done now: retention, compaction,
members that are forgotten, partitions that are added, changelogs that are deleted.

Nothing here goes beyond what a cluster may do.  Retention takes source records that are committed.
Compaction takes what is older than the changelog's compaction lag (a day): here, what lies below
the position that the last commit names, as if all of it were that old.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from faust._machines.metadata import decode
from faust._values import TP
from faust.exceptions import UnknownMember
from faust.testing.harness import Harness
from faust.transport.base import TopicSpec

__all__ = ["compact", "delete_changelog", "forget_member", "grow", "members", "truncate"]


def truncate(harness: Harness, group_id: str, topics: Iterable[str]) -> int:
    """Let logs of sources begin at what is committed; return how many records went."""
    known = harness.broker.describe(None)
    tps = [log.tp for t in topics if t in known for log in harness.broker.topic(t).logs]
    gone = 0
    for tp, offset in harness.committed(group_id, tps).items():
        log = harness.broker.log(tp)
        gone += max(0, offset - log.state.start)
        log.delete_records(max(offset, log.state.start))
    return gone


def compact(harness: Harness, group_id: str) -> int:
    """Compact changelogs below their committed positions; return how many batches went."""
    gone = 0
    for tp, position in _committed_positions(harness, group_id).items():
        log = harness.broker.find_log(tp)
        if log is not None:
            before = len(log.batches)
            policy = harness.broker.topic(tp.topic).policy
            log.compact_below(min(position, log.state.stable), policy, harness.broker.now_ms())
            gone += before - len(log.batches)
    return gone


def _committed_positions(harness: Harness, group_id: str) -> dict[TP, int]:
    """Return the positions of changelogs that the group's commits name."""
    found: dict[TP, int] = {}
    newest: dict[TP, int] = {}
    for source, commit in harness.broker.groups.committed(group_id, None).items():
        entry = decode(commit.metadata)
        for table, mark in () if entry is None else entry.tables.items():
            tp = TP(f"{group_id}-{table}-changelog", source.partition)
            if entry is not None and entry.sequence > newest.get(tp, -1):
                newest[tp], found[tp] = entry.sequence, mark.position
    return found


def delete_changelog(harness: Harness, group_id: str, random: Random) -> bool:
    """Delete a changelog, and in half of all cases make it anew; return whether there was one.

    From then on the broker creates no topic that it does not know, as on most clusters: one that is
    created by whoever looks at it first has not the partitions that it must have.
    """
    broker = harness.broker
    broker.auto_create = False
    prefix = f"{group_id}-"
    changelogs = [
        name
        for name in sorted(broker.describe(None))
        if name.startswith(prefix) and name.endswith("-changelog")
    ]
    if not changelogs:
        return False
    name = random.choice(changelogs)
    topic = broker.topic(name)
    spec = TopicSpec(name, len(topic.logs), config=topic.config)
    broker.delete_topic(name)
    if random.random() < 0.5:
        broker.create_topic(spec)
    return True


def members(harness: Harness, group_id: str) -> list[str]:
    """Return the ids of a group's members."""
    return sorted(harness.broker.groups.group(group_id).members)


def forget_member(harness: Harness, group_id: str, member_id: str) -> bool:
    """Let the group forget a member, who is not told; return whether there was one."""
    groups = harness.broker.groups
    try:
        groups.group(group_id).leave(member_id, now=harness.clock.monotonic())
    except UnknownMember:  # it has just been expired
        return False
    groups.notify(group_id)
    return True


def grow(harness: Harness, topic: str) -> int:
    """Add a partition to a topic; return how many it has now."""
    total = len(harness.broker.topic(topic).logs) + 1
    harness.broker.create_partitions(topic, total)
    return total
