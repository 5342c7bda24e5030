"""Our own part of what members tell each other: the user data inside of ConsumerProtocol.

``FAUST`` + one byte of version + a MessagePack map (deflated in assignments).  A field that is
added needs no new version: unknown ones are skipped, missing ones have defaults.  Another meaning
of an old field needs one, and with it another protocol name, so that old and new workers meet only
when both know a common name.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from typing import TypeVar

import msgspec

from faust._machines.copartition import TaskId
from faust.assignor.consumer_protocol import Malformed

__all__ = [
    "VERSION",
    "GroupData",
    "MemberData",
    "PlanData",
    "pack_member",
    "pack_numbers",
    "pack_plan",
    "pack_tasks",
    "unpack_member",
    "unpack_numbers",
    "unpack_plan",
    "unpack_tasks",
]

VERSION = 1
_MAGIC = b"FAUST"

#: Tasks by group: partition numbers, ascending.
TaskSet = dict[str, list[int]]

#: A number for each task, by group and partition.
TaskNumbers = dict[str, dict[int, int]]


class MemberData(msgspec.Struct, omit_defaults=True):
    """What a member says of itself.

    Attributes:
        url: Where its web server answers; "" without one.
        app_version: The app's own version.
        owned: Tasks it has open.
        generation: The generation in which it got them; -1 if it has none.
        since: For each of these, the generation since which it has had it without a break.
        standbys: Tasks of which it has been told to keep a copy.
        lags: Tasks of which it has local state: how many records that is behind.
        changelogs: Changelogs of its tables, by number of partitions.
        subscription: Digest of its topics and app version.
        process: Tells one process of a static member from the next.
        reason: Why it asks for a new generation; "" if it does not.
        asks: How often it has asked: a broker looks only at members that join with other data.
    """

    url: str = ""
    app_version: str = ""
    owned: TaskSet = {}
    generation: int = -1
    since: TaskNumbers = {}
    standbys: TaskSet = {}
    lags: TaskNumbers = {}
    changelogs: dict[str, list[str]] = {}
    subscription: str = ""
    process: str = ""
    reason: str = ""
    asks: int = 0


class GroupData(msgspec.Struct, omit_defaults=True):
    """A group of topics and who owns its tasks.

    Attributes:
        topics: The source topics, as the leader knows them.
        owners: For each partition, in order: index into `PlanData.urls`; -1 for nobody.
    """

    topics: list[str]
    owners: list[int] = []


class PlanData(msgspec.Struct, omit_defaults=True):
    """What a member is told.

    Attributes:
        tasks: What it owns in this generation.
        subscription: The digest that it was planned for.
        process: The process that it was planned for.
        another_round: Whether tasks wait until others have revoked them.
        urls: The workers' URLs.
        groups: All groups by name: who will own what.
        standbys: Tasks of which it keeps a copy.
        warming: Those of them that will be moved to it once their copy has caught up.
        causes: Why there is another generation, as far as the leader can tell.
        members: What all members are called.
    """

    tasks: TaskSet = {}
    subscription: str = ""
    process: str = ""
    another_round: bool = False
    urls: list[str] = []
    groups: dict[str, GroupData] = {}
    standbys: TaskSet = {}
    warming: TaskSet = {}
    causes: list[str] = []
    members: list[str] = []


_T = TypeVar("_T")


def pack_member(data: MemberData) -> bytes:
    """Return a member's data as bytes."""
    return _head() + msgspec.msgpack.encode(data)


def unpack_member(data: bytes | None) -> MemberData:
    """Return a member's data.

    Raises:
        Malformed: it is of another program or version, or damaged.
    """
    return _decode(_body(data), MemberData)


def pack_plan(data: PlanData) -> bytes:
    """Return a member's part of the plan as bytes."""
    return _head() + zlib.compress(msgspec.msgpack.encode(data), 1)


def unpack_plan(data: bytes | None) -> PlanData:
    """Return a member's part of the plan.

    Raises:
        Malformed: it is of another program or version, or damaged.
    """
    try:
        body = zlib.decompress(_body(data))
    except zlib.error as exc:
        raise Malformed(f"it is damaged ({exc})") from exc
    return _decode(body, PlanData)


def pack_tasks(tasks: Iterable[TaskId]) -> TaskSet:
    """Return tasks by group."""
    by_group: TaskSet = {}
    for group, partition in sorted(tasks):
        by_group.setdefault(group, []).append(partition)
    return by_group


def unpack_tasks(tasks: Mapping[str, Iterable[int]]) -> frozenset[TaskId]:
    """Return what `pack_tasks` was given."""
    return frozenset(TaskId(group, n) for group, numbers in tasks.items() for n in numbers)


def pack_numbers(numbers: Mapping[TaskId, int]) -> TaskNumbers:
    """Return a number for each task by group and partition."""
    by_group: TaskNumbers = {}
    for (group, partition), number in sorted(numbers.items()):
        by_group.setdefault(group, {})[partition] = number
    return by_group


def unpack_numbers(numbers: TaskNumbers) -> dict[TaskId, int]:
    """Return what `pack_numbers` was given."""
    return {
        TaskId(group, partition): number
        for group, found in numbers.items()
        for partition, number in found.items()
    }


def _head() -> bytes:
    return _MAGIC + bytes([VERSION])


def _body(data: bytes | None) -> bytes:
    if not data or not data.startswith(_MAGIC) or len(data) <= len(_MAGIC):
        raise Malformed("it was not written by this library")
    version = data[len(_MAGIC)]
    if version != VERSION:
        raise Malformed(f"it is of version {version}, and this worker knows version {VERSION} only")
    return data[len(_MAGIC) + 1 :]


def _decode(body: bytes, kind: type[_T]) -> _T:
    try:
        return msgspec.msgpack.decode(body, type=kind)
    except msgspec.MsgspecError as exc:
        raise Malformed(f"it is damaged ({exc})") from exc
