"""Who gets which task, as members of a group tell each other: the wire form of the assignment."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from faust._machines.assignment import MemberState, Plan, assign, realise
from faust._machines.causes import Joining, causes
from faust._machines.copartition import TaskGroup, TaskId, copartition
from faust._values import TP
from faust.assignor.assignments import Assignment, MemberInfo
from faust.assignor.consumer_protocol import (
    ConsumerAssignment,
    ConsumerSubscription,
    Malformed,
    pack_assignment,
    pack_subscription,
    unpack_assignment,
    unpack_subscription,
)
from faust.assignor.whereabouts import Whereabouts
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

__all__ = ["Assignment", "MemberInfo", "PartitionAssignor"]


class PartitionAssignor(Whereabouts):
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
        super().__init__(app)
        self.replicas = replicas

    # -- to override -----------------------------------------------------------

    def assign(
        self, members: Mapping[str, MemberState], groups: Sequence[TaskGroup]
    ) -> Mapping[str, Collection[TaskId]]:
        """Return for each member id the tasks that it is to own.

        Runs on the leader only.  Must not give a task to two members, nor to a member that does not
        know its topics; tasks may be left out.  The default is sticky and balanced, and what must
        move goes to members that have local state of it.

        What is returned is where tasks are to be in the end; the same facts must give the same
        answer.  On the way there the rest is done as always: a task with tables stays where it is
        until the copy at its new place has caught up, what its present owner must first revoke is
        withheld, and ``table_standby_replicas`` copies are kept elsewhere.

        Arguments:
            members: Member id -> topics it knows, tasks it owns, tasks of which it has local state.
            groups: The groups of topics; ``group.tasks()`` are their tasks, and those of a group
                with ``changelogs`` have tables.
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
        process: str = "",
        reason: str = "",
        asks: int = 0,
    ) -> bytes:
        """Return the metadata to join with.

        Arguments:
            topics: The source topics this worker reads.
            url: Where its web server answers (``canonical_url``).
            app_version: The app's own version.
            owned: Tasks it has open.
            partitions: The source partitions that it reads in these.
            generation: The generation in which they were given to it.
            since: For each of these, the generation since which it has had it without a break.
            standbys: Tasks of which it has been told to keep a copy.
            lags: Tasks of which it has local state (kept as a standby, or left behind in its data
                directory): how many changelog records that is behind what is committed.
            process: Tells this process from an earlier one of the same static member.
            reason: Why it asks for a new generation; "" if others have.
            asks: How often it has asked, so that the broker sees a difference each time.
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
            process=process,
            reason=reason,
            asks=asks,
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
            process=inner.process,
            another_round=inner.another_round,
            owners=_owners(inner),
            topics={topic: name for name, group in inner.groups.items() for topic in group.topics},
            standbys=unpack_tasks(inner.standbys),
            warming=unpack_tasks(inner.warming),
            causes=tuple(inner.causes),
            members=tuple(inner.members),
        )

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
            partitions=frozenset(outer.owned),
            generation=inner.generation,
            since=unpack_numbers(inner.since),
            standbys=unpack_tasks(inner.standbys),
            lags=unpack_numbers(inner.lags),
        )
        changelogs = {name: frozenset(topics) for name, topics in inner.changelogs.items()}
        label = inner.url.rpartition("://")[2] or member_id
        return MemberInfo(
            state,
            inner.url,
            inner.app_version,
            inner.subscription,
            changelogs,
            inner.process,
            Joining(label, inner.reason),
        )

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
        groups = tuple(
            replace(group, changelogs=_changelogs_of(group, members))
            for group in copartition({topic: n for topic, n in topics.items() if topic in known})
        )
        try:
            return groups, realise(states, self.assign(states, groups), groups, self.replicas)
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
        joining = [info.joining for info in members.values()]
        why = causes(self._assignment.members, joining)
        labels = sorted(each.label for each in joining)
        return {
            name: pack_assignment(
                ConsumerAssignment(
                    _partitions(plan.now[name], topics, info.state.topics),
                    pack_plan(
                        PlanData(
                            tasks=pack_tasks(plan.now[name]),
                            subscription=info.subscription,
                            process=info.process,
                            another_round=plan.another_round,
                            urls=urls,
                            groups=shared,
                            standbys=pack_tasks(plan.standbys.get(name, ())),
                            warming=pack_tasks(plan.warming.get(name, ())),
                            causes=why,
                            members=labels,
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


def _changelogs_of(group: TaskGroup, members: Mapping[str, MemberInfo]) -> tuple[str, ...]:
    """The changelogs of a group's tables, as any of its members know them."""
    found = (info.changelogs.get(group.name, frozenset()) for info in members.values())
    return tuple(sorted(frozenset().union(*found)))


def _owners(plan: PlanData) -> dict[TaskId, str]:
    return {
        TaskId(name, partition): plan.urls[place]
        for name, group in plan.groups.items()
        for partition, place in enumerate(group.owners)
        if 0 <= place < len(plan.urls)
    }
