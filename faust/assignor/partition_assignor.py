"""Who gets which task, as members of a group tell each other: the wire form of the assignment."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from faust._core.partitioner import partition_for
from faust._machines.assignment import MemberState, Plan, assign, withhold
from faust._machines.copartition import TaskGroup, TaskId, copartition
from faust._values import TP
from faust.assignor.consumer_protocol import (
    ConsumerAssignment,
    ConsumerSubscription,
    Malformed,
    pack_assignment,
    pack_subscription,
    unpack_assignment,
    unpack_subscription,
)
from faust.assignor.wire import (
    VERSION,
    GroupData,
    MemberData,
    PlanData,
    pack_member,
    pack_numbers,
    pack_plan,
    pack_tasks,
    unpack_member,
    unpack_numbers,
    unpack_plan,
    unpack_tasks,
)
from faust.exceptions import ImproperlyConfigured
from faust.utils.urls import parse_address, to_url

if TYPE_CHECKING:
    from yarl import URL

__all__ = ["Assignment", "MemberInfo", "PartitionAssignor"]


@dataclass(frozen=True)
class MemberInfo:
    """A member as it joined.

    Attributes:
        state: What the plan is made from.
        url: Where its web server answers; "" without one.
        app_version: The app's own version.
        subscription: Digest of its topics and app version.
        changelogs: Changelogs of its tables, by number of partitions.
    """

    state: MemberState
    url: str
    app_version: str
    subscription: str
    changelogs: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Assignment:
    """A member's part of the plan.

    Attributes:
        tasks: What it owns in this generation.
        partitions: The source partitions of these tasks that it reads.
        subscription: The digest that it was planned for; where it is not the member's own (a static
            member that came back as another version), the member must join again.
        another_round: Whether tasks wait until others have revoked them.
        owners: Task -> URL of the worker that owns it, or will when all moves are made.
        topics: Source topic -> name of its group.
        standbys: Tasks of which it keeps a copy: what ``table_standby_replicas`` asks for, and what
            is to be moved here.
        warming: Those of the standbys that will be moved here once they have caught up
            (`~faust._machines.assignment.ACCEPTABLE_LAG`); when one has, the member joins again
            with its ``lags`` to get it.
        causes: Why there is another generation, as far as the leader could tell.
    """

    tasks: frozenset[TaskId] = frozenset()
    partitions: frozenset[TP] = frozenset()
    subscription: str = ""
    another_round: bool = False
    owners: Mapping[TaskId, str] = field(default_factory=dict)
    topics: Mapping[str, str] = field(default_factory=dict)
    standbys: frozenset[TaskId] = frozenset()
    warming: frozenset[TaskId] = frozenset()
    causes: tuple[str, ...] = ()

    def owner_url(self, topic: str, partition: int) -> str | None:
        """Return the URL of the worker that owns a source partition; ``None`` if unknown."""
        group = self.topics.get(topic)
        return self.owners.get(TaskId(group, partition)) if group is not None else None


class PartitionAssignor:
    """Decides who gets which task, and says so in Kafka's own ConsumerProtocol.

    Subclass it and override `assign` to place tasks by rules of your own; encoding and cooperative
    hand-over stay as they are.  All workers of an app must use the same class; give yours another
    `name`.  Routing asks `key_store` and `table_metadata`, the leader `is_active`.

    Arguments:
        app: The app: its tables say which tasks a changelog belongs to.
        replicas: Standby copies of each table partition that the app asks for.
    """

    #: Name of the protocol in the group: members that share none are refused by the broker.
    name: ClassVar[str] = "faust2"
    #: Version of the user data.
    version: ClassVar[int] = VERSION

    def __init__(self, app: Any = None, replicas: int = 0) -> None:
        self.app = app
        self.replicas = replicas
        self._assignment = Assignment()

    # -- to override -----------------------------------------------------------

    def assign(
        self, members: Mapping[str, MemberState], groups: Sequence[TaskGroup]
    ) -> Mapping[str, Collection[TaskId]]:
        """Return for each member id the tasks that it is to own.

        Runs on the leader only.  Must not give a task to two members, nor to a member that does not
        know its topics; tasks may be left out.  What a task's present owner must first revoke is
        withheld afterwards by the caller.  The default is sticky and balanced.

        Arguments:
            members: Member id -> topics it knows, tasks it owns, tasks of which it has local state.
            groups: The groups of topics; ``group.tasks()`` are their tasks.
        """
        return assign(members, groups)

    # -- a member --------------------------------------------------------------

    @staticmethod
    def subscription_digest(topics: Iterable[str], app_version: str = "") -> str:
        """Return a short digest of what a member subscribes to, and in which version."""
        text = "\0".join((app_version, *sorted(set(topics))))
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def subscription(
        self,
        topics: Collection[str],
        *,
        url: str = "",
        app_version: str = "",
        owned: Collection[TaskId] = (),
        partitions: Collection[TP] = (),
        generation: int = -1,
        since: Mapping[TaskId, int] | None = None,
        standbys: Collection[TaskId] = (),
        lags: Mapping[TaskId, int] | None = None,
    ) -> bytes:
        """Return the metadata to join with.

        Arguments:
            topics: The source topics this worker reads.
            url: Where its web server answers (``canonical_url``).
            app_version: The app's own version.
            owned: Tasks it has open.
            partitions: The source partitions of these, for Kafka's own tools.
            generation: The generation in which they were given to it.
            since: For each of these, the generation since which it has had it without a break.
            standbys: Tasks of which it has been told to keep a copy.
            lags: Tasks of which it has local state (kept as a standby, or left behind in its data
                directory): how many changelog records that is behind what is committed.
        """
        data = MemberData(
            url=url,
            app_version=app_version,
            owned=pack_tasks(owned),
            generation=generation,
            since=pack_numbers(since or {}),
            standbys=pack_tasks(standbys),
            lags=pack_numbers(lags or {}),
            changelogs=self._changelogs_by_group(),
            subscription=self.subscription_digest(topics, app_version),
        )
        return pack_subscription(
            ConsumerSubscription(tuple(topics), pack_member(data), tuple(partitions), generation)
        )

    def assignment(self, data: bytes) -> Assignment:
        """Return what the leader's plan says to this member; nothing for no bytes at all.

        Raises:
            ImproperlyConfigured: another program, or an unknown version of this one, leads.
        """
        if not data:
            return Assignment()
        try:
            outer = unpack_assignment(data)
            inner = unpack_plan(outer.user_data)
        except Malformed as exc:
            raise ImproperlyConfigured(
                f"the leader of the group has sent an assignment that cannot be read: {exc}; "
                "the group id (the app's id) must be used by workers of one app only"
            ) from exc
        return Assignment(
            tasks=unpack_tasks(inner.tasks),
            partitions=frozenset(outer.partitions),
            subscription=inner.subscription,
            another_round=inner.another_round,
            owners=_owners(inner),
            topics={topic: name for name, group in inner.groups.items() for topic in group.topics},
            standbys=unpack_tasks(inner.standbys),
            warming=unpack_tasks(inner.warming),
            causes=tuple(inner.causes),
        )

    def on_assignment(self, assignment: Assignment) -> None:
        """Remember the assignment that is in force, for the questions below."""
        self._assignment = assignment

    def assigned_actives(self) -> set[TP]:
        """Return the source partitions that are ours."""
        return set(self._assignment.partitions)

    def assigned_standbys(self) -> set[TP]:
        """Return the partitions of tables (of their changelogs) of which we keep a copy."""
        groups = self._changelogs_by_group()
        return {
            TP(topic, task.partition)
            for task in self._assignment.standbys
            for topic in groups.get(task.group, ())
        }

    def is_active(self, tp: TP) -> bool:
        """Whether a source partition is ours."""
        return tp in self.assigned_actives()

    def is_standby(self, tp: TP) -> bool:
        """Whether we keep a copy of a table's partition (of its changelog)."""
        return tp in self.assigned_standbys()

    # -- who has what ------------------------------------------------------------

    def group_for_topic(self, topic: str) -> int:
        """Return the group of a source topic or changelog: its number of partitions.

        Raises:
            KeyError: it is unknown.
        """
        group = self._assignment.topics.get(topic)
        if group is None:
            group = self._groups_of_changelogs()[topic]
        return int(group)

    def key_store(self, topic: str, key: bytes) -> URL:
        """Return the URL of the worker that has a key of a source topic or changelog.

        Raises:
            KeyError: no worker is known to have it.
        """
        count = self.group_for_topic(topic)
        partition = self._partition_for(key, count)
        return to_url(parse_address(self._assignment.owners[TaskId(str(count), partition)]))

    def table_metadata(self, topic: str) -> dict[str, dict[str, list[int]]]:
        """Return who has a changelog: URL -> topic -> partitions."""
        every = self.tables_metadata()
        return {url: {topic: found[topic]} for url, found in every.items() if topic in found}

    def tables_metadata(self) -> dict[str, dict[str, list[int]]]:
        """Return who has the changelogs of all tables: URL -> topic -> partitions."""
        return self._places_of(self._groups_of_changelogs())

    def external_topics_metadata(self) -> dict[str, dict[str, list[int]]]:
        """Return who has the source topics: URL -> topic -> partitions."""
        return self._places_of(self._assignment.topics)

    def _groups_of_changelogs(self) -> dict[str, str]:
        tables = {} if self.app is None else self.app.tables
        return {
            table.changelog_topic_name: str(table.partitions)
            for table in list(tables.values())
            if table.partitions
        }

    def _changelogs_by_group(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for topic, group in sorted(self._groups_of_changelogs().items()):
            found.setdefault(group, []).append(topic)
        return found

    def _places_of(self, groups: Mapping[str, str]) -> dict[str, dict[str, list[int]]]:
        found: dict[str, dict[str, list[int]]] = {}
        for task, url in sorted(self._assignment.owners.items()):
            for topic, group in sorted(groups.items()):
                if group == task.group:
                    found.setdefault(url, {}).setdefault(topic, []).append(task.partition)
        return found

    def _partition_for(self, key: bytes, count: int) -> int:
        """The partition that a key is sent to: by ``producer_partitioner`` where there is one."""
        own = None if self.app is None else self.app.conf.producer_partitioner
        everyone = list(range(count))
        return partition_for(key, count) if own is None else int(own(key, everyone, everyone))

    # -- the leader ------------------------------------------------------------

    def member(self, member_id: str, metadata: bytes) -> MemberInfo:
        """Return what a member has joined with.

        Raises:
            ImproperlyConfigured: it is no worker of this library, or of an unknown version.
        """
        try:
            outer = unpack_subscription(metadata)
            inner = unpack_member(outer.user_data)
        except Malformed as exc:
            raise ImproperlyConfigured(
                f"member {member_id!r} of the group has joined with data that cannot be read: "
                f"{exc}; "
                "the group id (the app's id) must be used by workers of one app only"
            ) from exc
        state = MemberState(
            topics=frozenset(outer.topics),
            owned=unpack_tasks(inner.owned),
            generation=inner.generation,
            since=unpack_numbers(inner.since),
            standbys=unpack_tasks(inner.standbys),
            lags=unpack_numbers(inner.lags),
        )
        changelogs = {name: frozenset(topics) for name, topics in inner.changelogs.items()}
        return MemberInfo(state, inner.url, inner.app_version, inner.subscription, changelogs)

    def subscribed_topics(self, members_metadata: Mapping[str, bytes]) -> frozenset[str]:
        """Return all topics that any member reads: `plan` needs their partition counts.

        Raises:
            ImproperlyConfigured: as by `member`.
        """
        infos = [self.member(name, data) for name, data in members_metadata.items()]
        return frozenset().union(*(info.state.topics for info in infos))

    def plan(
        self, members_metadata: Mapping[str, bytes], topics: Mapping[str, int]
    ) -> Mapping[str, bytes]:
        """Return each member's part of the plan.

        Arguments:
            members_metadata: Member id -> what it joined with.
            topics: Topic -> number of partitions, of all `subscribed_topics`; a topic that is left
                out (it is not there yet) is not assigned.

        Raises:
            ImproperlyConfigured: as by `member`; or an overridden `assign` gave a task twice.
        """
        members = {name: self.member(name, data) for name, data in members_metadata.items()}
        return self.encode_plan(members, *self.decide(members, topics))

    def decide(
        self, members: Mapping[str, MemberInfo], topics: Mapping[str, int]
    ) -> tuple[tuple[TaskGroup, ...], Plan]:
        """Return the groups and the plan, not yet encoded (for logs and counters)."""
        states = {name: info.state for name, info in members.items()}
        known = frozenset().union(*(state.topics for state in states.values()))
        groups = copartition({topic: n for topic, n in topics.items() if topic in known})
        try:
            return groups, withhold(states, self.assign(states, groups), groups)
        except ValueError as exc:
            raise ImproperlyConfigured(f"{type(self).__qualname__}.assign: {exc}") from exc

    def encode_plan(
        self, members: Mapping[str, MemberInfo], groups: Sequence[TaskGroup], plan: Plan
    ) -> dict[str, bytes]:
        """Return the plan as each member will read it."""
        urls = sorted({info.url for info in members.values() if info.url})
        owners = {task: members[name].url for name, tasks in plan.target.items() for task in tasks}
        places = {url: n for n, url in enumerate(urls)}
        shared = {
            group.name: GroupData(
                list(group.topics),
                [places.get(owners.get(task, ""), -1) for task in group.tasks()],
            )
            for group in groups
        }
        topics = {group.name: group.topics for group in groups}
        return {
            name: pack_assignment(
                ConsumerAssignment(
                    _partitions(plan.now[name], topics, info.state.topics),
                    pack_plan(
                        PlanData(
                            tasks=pack_tasks(plan.now[name]),
                            subscription=info.subscription,
                            another_round=plan.another_round,
                            urls=urls,
                            groups=shared,
                            standbys=pack_tasks(plan.standbys.get(name, ())),
                            warming=pack_tasks(plan.warming.get(name, ())),
                        )
                    ),
                )
            )
            for name, info in members.items()
        }

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.name} v{self.version}>"


def _partitions(
    tasks: Iterable[TaskId], topics: Mapping[str, Sequence[str]], known: Collection[str]
) -> tuple[TP, ...]:
    """The source partitions of ``tasks`` that a member reads."""
    return tuple(
        TP(topic, task.partition)
        for task in sorted(tasks)
        for topic in topics.get(task.group, ())
        if topic in known
    )


def _owners(plan: PlanData) -> dict[TaskId, str]:
    return {
        TaskId(name, partition): plan.urls[place]
        for name, group in plan.groups.items()
        for partition, place in enumerate(group.owners)
        if 0 <= place < len(plan.urls)
    }
