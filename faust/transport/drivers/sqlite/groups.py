"""Consumer groups in the file: the group machine, applied by whichever process has an event.

The state of a group is one row of plain data.  Each event reads it, lets the machine decide, and
writes it back, all in one write transaction, so members in different processes see one
coordinator.  Beside the machine's own state the row keeps which process each member lives in: a
process that is certainly dead (see `wake`) frees the places of its dynamic members at once; static
ones keep theirs until their session ends, so that a restart moves nothing.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from faust._machines.groups import Group
from faust._values import TP
from faust.exceptions import BrokerError, MessageTooLarge, UnknownTopic
from faust.transport.drivers.sqlite.log import Session
from faust.transport.membership import Commit

__all__ = [
    "MOST_METADATA",
    "SharedGroup",
    "commit",
    "committed",
    "glimpse",
    "load",
    "names",
    "refused",
    "remove_dead",
    "save",
    "tick_all",
]

#: Kafka's ``offset.metadata.max.bytes``.
MOST_METADATA = 4096

#: What a `SharedGroup` has besides the machine.
_OWN = ("judge_since", "processes", "stored", "known_version")


@dataclass(kw_only=True)
class SharedGroup(Group):
    """A group that judges silence only over the time in which this process could have written.

    Attributes:
        judge_since: The beginning of that time.
        processes: Member id -> the process it lives in.
        stored: The text it was read from.
        known_version: Its version then.
    """

    judge_since: float | None = None
    processes: dict[str, str] = field(default_factory=dict)
    stored: str = ""
    known_version: int = 0

    def tick(self, now: float, *, writable_since: float | None = None) -> bool:
        """As `Group.tick`; the bound holds for every event."""
        since = self.judge_since if writable_since is None else writable_since
        return super().tick(now, writable_since=since)

    def pack(self) -> str:
        """Return all of it as text."""
        plain = self.encode()
        for own in _OWN:
            plain.pop(own, None)
        living = {m: p for m, p in self.processes.items() if m in self.members}
        return json.dumps({"group": plain, "processes": living}, separators=(",", ":"))

    def clamp(self, now: float) -> None:
        """Times from before the machine was started anew lie in the future: they count from now."""
        self.since = min(self.since, now)
        for member in self.members.values():
            member.seen = min(member.seen, now)


def load(session: Session, name: str) -> SharedGroup:
    """Return a group as it stands, for one event."""
    row = session.db.execute("SELECT state FROM consumer_group WHERE name = ?", (name,)).fetchone()
    group = _unpack(row[0]) if row is not None else SharedGroup(group_id=name)
    group.judge_since = session.writable_since
    group.clamp(session.clock.monotonic())
    return group


def save(session: Session, group: SharedGroup) -> None:
    """Keep what the machine has decided."""
    text = group.pack()
    if text == group.stored:
        return
    # Nobody waits for a mere sign of life.
    session.touched = session.touched or group.version != group.known_version
    session.db.execute(
        "INSERT INTO consumer_group (name, version, deadline, state) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (name) DO UPDATE SET version = excluded.version,"
        " deadline = excluded.deadline, state = excluded.state",
        (group.group_id, group.version, group.deadline(), text),
    )


def glimpse(db: sqlite3.Connection, name: str) -> tuple[int, float | None]:
    """Return a group's version, and when the passing of time will change it."""
    row = db.execute(
        "SELECT version, deadline FROM consumer_group WHERE name = ?", (name,)
    ).fetchone()
    return (int(row[0]), row[1]) if row is not None else (0, None)


def names(db: sqlite3.Connection) -> list[str]:
    """Return all groups: those with members, and those with commits."""
    rows = db.execute(
        "SELECT name FROM consumer_group UNION SELECT group_name FROM committed ORDER BY 1"
    ).fetchall()
    return [row[0] for row in rows]


# -- offsets ---------------------------------------------------------------------------------


def refused(session: Session, offsets: Mapping[TP, Commit]) -> dict[TP, BrokerError]:
    """Return the partitions that cannot be committed, each with its reason."""
    found: dict[TP, BrokerError] = {}
    for tp, entry in offsets.items():
        if session.find(tp) is None:
            found[tp] = UnknownTopic(f"there is no partition {tp}")
        elif len(entry.metadata.encode()) > MOST_METADATA:
            found[tp] = MessageTooLarge(
                f"the metadata of the commit of {tp} has {len(entry.metadata.encode())} bytes; "
                f"{MOST_METADATA} fit"
            )
    return found


def commit(session: Session, name: str, offsets: Mapping[TP, Commit]) -> dict[TP, BrokerError]:
    """Keep these offsets; return those that were refused."""
    left_out = refused(session, offsets)
    for tp, entry in offsets.items():
        log = session.find(tp)
        if log is not None and tp not in left_out:
            session.db.execute(
                "INSERT INTO committed VALUES (?, ?, ?, ?) ON CONFLICT (group_name, partition)"
                " DO UPDATE SET next_offset = excluded.next_offset, metadata = excluded.metadata",
                (name, log.id, entry.offset, entry.metadata),
            )
    return left_out


def committed(db: sqlite3.Connection, name: str, tps: Collection[TP] | None) -> dict[TP, Commit]:
    """Return what a group has committed, of these partitions or of all."""
    rows = db.execute(
        "SELECT t.name, p.number, c.next_offset, c.metadata FROM committed c"
        " JOIN partition p ON p.id = c.partition JOIN topic t ON t.id = p.topic"
        " WHERE c.group_name = ?",
        (name,),
    ).fetchall()
    found = {TP(row[0], row[1]): Commit(row[2], row[3]) for row in rows}
    return found if tps is None else {tp: found[tp] for tp in tps if tp in found}


# -- what nobody asks for ----------------------------------------------------------------------


def tick_all(session: Session) -> None:
    """Apply the passing of time to every group that waits for it."""
    now = session.clock.monotonic()
    rows = session.db.execute(
        "SELECT name FROM consumer_group WHERE deadline <= ?", (now,)
    ).fetchall()
    for (name,) in rows:
        group = load(session, name)
        group.tick(now)
        save(session, group)


def remove_dead(session: Session, dead: Collection[str]) -> None:
    """Let the dynamic members of dead processes go."""
    now = session.clock.monotonic()
    for (text,) in session.db.execute("SELECT state FROM consumer_group").fetchall():
        gone = [m for m, process in json.loads(text)["processes"].items() if process in dead]
        if gone:
            _let_go(session, _unpack(text), gone, now)


def _let_go(session: Session, group: SharedGroup, gone: list[str], now: float) -> None:
    group.judge_since = session.writable_since
    group.clamp(now)
    for member_id in gone:
        member = group.members.get(member_id)
        if member is not None and member.instance_id is None:
            group.leave(member_id, now=now)
    save(session, group)


def _unpack(text: str) -> SharedGroup:
    plain: dict[str, Any] = json.loads(text)
    group = SharedGroup.decode(plain["group"])
    assert isinstance(group, SharedGroup)
    group.processes = plain["processes"]
    group.stored = text
    group.known_version = group.version
    return group
