"""The wire form of the assignment, both ways, and what is refused."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from types import SimpleNamespace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faust._machines.assignment import MemberState
from faust._machines.copartition import TaskGroup, TaskId
from faust._values import TP
from faust.assignor import Assignment, PartitionAssignor
from faust.assignor.consumer_protocol import (
    ConsumerAssignment,
    ConsumerSubscription,
    Malformed,
    pack_assignment,
    pack_subscription,
    unpack_assignment,
    unpack_subscription,
)
from faust.assignor.wire import MemberData, pack_member, unpack_member, unpack_plan
from faust.exceptions import ImproperlyConfigured

SUBSCRIPTION = ConsumerSubscription(
    ("a", "b"), b"user", (TP("a", 0), TP("a", 1), TP("b", 2)), generation=7
)
ASSIGNMENT = ConsumerAssignment((TP("a", 0), TP("b", 2)), b"data")

#: As ConsumerProtocol of kafka-clients 4.1.0 writes them (both of version 3, without a rack).
KAFKA_SUBSCRIPTION = bytes.fromhex(
    "00030000000200016100016200000004757365720000000200016100000002000000000000000100016200000001"
    "0000000200000007ffff"
)
KAFKA_ASSIGNMENT = bytes.fromhex(
    "000300000002000161000000010000000000016200000001000000020000000464617461"
)

NAMES = st.text(st.characters(codec="utf-8"), max_size=20)
TPS = st.lists(st.builds(TP, NAMES, st.integers(0, 2**31 - 1)), unique=True, max_size=8)


# -- Kafka's part --------------------------------------------------------------


def test_what_kafka_itself_writes_is_read() -> None:
    assert unpack_subscription(KAFKA_SUBSCRIPTION) == SUBSCRIPTION
    assert unpack_assignment(KAFKA_ASSIGNMENT) == ASSIGNMENT


def test_what_we_write_differs_from_what_kafka_writes_by_its_version_only() -> None:
    assert pack_subscription(SUBSCRIPTION)[2:] == KAFKA_SUBSCRIPTION[2:-2]
    assert pack_assignment(ASSIGNMENT)[2:] == KAFKA_ASSIGNMENT[2:]


def test_older_versions_end_earlier() -> None:
    whole = pack_subscription(SUBSCRIPTION)
    without_generation = b"\0\x01" + whole[2:-4]
    assert unpack_subscription(without_generation) == SUBSCRIPTION._replace(generation=-1)
    assert unpack_subscription(b"\0\0" + whole[2:]) == ConsumerSubscription(("a", "b"), b"user")
    assert unpack_assignment(b"") == ConsumerAssignment(())


@given(
    topics=st.lists(NAMES, unique=True, max_size=5),
    user_data=st.none() | st.binary(max_size=20),
    owned=TPS,
    generation=st.integers(-1, 2**31 - 1),
)
def test_both_ways(
    topics: list[str], user_data: bytes | None, owned: list[TP], generation: int
) -> None:
    subscription = ConsumerSubscription(
        tuple(sorted(topics)), user_data, tuple(sorted(owned)), generation
    )
    assert unpack_subscription(pack_subscription(subscription)) == subscription
    assignment = ConsumerAssignment(tuple(sorted(owned)), user_data)
    assert unpack_assignment(pack_assignment(assignment)) == assignment


@given(st.binary(max_size=60))
def test_any_other_bytes_are_malformed_or_read_but_nothing_else(data: bytes) -> None:
    for unpack in (unpack_subscription, unpack_assignment):
        with suppress(Malformed):
            unpack(data)
    for unpack_ours in (unpack_member, unpack_plan):
        with suppress(Malformed):
            unpack_ours(b"FAUST\x01" + data)


# -- a group of workers --------------------------------------------------------

TOPICS = {"orders": 4, "returns": 4, "rates": 1}


def join(assignor: PartitionAssignor, n: int, *, owned: Collection[TaskId] = ()) -> bytes:
    return assignor.subscription(
        list(TOPICS), url=f"http://worker-{n}:6066", app_version="1", owned=owned, generation=3
    )


def test_two_workers_share_the_tasks_and_know_of_each_other() -> None:
    assignor = PartitionAssignor(None, replicas=1)
    members = {f"m{n}": join(assignor, n) for n in range(2)}
    plan = assignor.plan(members, TOPICS)
    parts = {name: assignor.assignment(data) for name, data in plan.items()}
    assert sorted(len(part.tasks) for part in parts.values()) == [2, 3]
    for name, part in parts.items():
        assert part.another_round is False
        assert part.partitions == {
            TP(topic, task.partition)
            for task in part.tasks
            for topic, size in TOPICS.items()
            if str(size) == task.group
        }
        for tp in part.partitions:
            for other in parts.values():
                assert other.owner_url(*tp) == f"http://worker-{name[1]}:6066"
    assert parts["m0"].owner_url("unknown", 0) is None
    assert parts["m0"].owner_url("orders", 99) is None


def test_what_the_other_still_owns_comes_in_the_next_round() -> None:
    assignor = PartitionAssignor()
    everything = [TaskId("4", n) for n in range(4)] + [TaskId("1", 0)]
    members = {"old": join(assignor, 0, owned=everything), "new": join(assignor, 1)}
    parts = {n: assignor.assignment(d) for n, d in assignor.plan(members, TOPICS).items()}
    assert parts["new"].tasks == frozenset()
    assert parts["new"].another_round
    assert parts["old"].tasks < set(everything)
    members["old"] = join(assignor, 0, owned=parts["old"].tasks)
    second = {n: assignor.assignment(d) for n, d in assignor.plan(members, TOPICS).items()}
    assert second["new"].tasks == set(everything) - parts["old"].tasks
    assert not second["new"].another_round
    assert second["new"].owners == parts["new"].owners


def test_kafkas_tools_see_topics_and_partitions() -> None:
    assignor = PartitionAssignor()
    metadata = assignor.subscription(
        ["orders"], owned=[TaskId("4", 1)], partitions=[TP("orders", 1)], generation=5
    )
    seen = unpack_subscription(metadata)
    assert (seen.topics, seen.owned, seen.generation) == (("orders",), (TP("orders", 1),), 5)
    plan = assignor.plan({"m": metadata}, {"orders": 2})
    assert unpack_assignment(plan["m"]).partitions == (TP("orders", 0), TP("orders", 1))


def test_a_topic_that_is_not_there_yet_is_not_assigned() -> None:
    assignor = PartitionAssignor()
    members = {"m": join(assignor, 0)}
    assert assignor.subscribed_topics(members) == set(TOPICS)
    part = assignor.assignment(assignor.plan(members, {"rates": 1, "not ours": 7})["m"])
    assert part.partitions == {TP("rates", 0)}


def test_a_plan_for_another_version_of_the_member_is_recognised() -> None:
    assignor = PartitionAssignor()
    part = assignor.assignment(assignor.plan({"m": join(assignor, 0)}, TOPICS)["m"])
    assert part.subscription == assignor.subscription_digest(reversed(TOPICS), "1")
    assert part.subscription != assignor.subscription_digest(TOPICS, "2")
    assert part.subscription != assignor.subscription_digest(["orders"], "1")


def test_the_assignment_in_force_answers_questions() -> None:
    assignor = PartitionAssignor()
    assert assignor.assigned_actives() == set()
    assignor.on_assignment(Assignment(partitions=frozenset({TP("orders", 1)})))
    assert assignor.assigned_actives() == {TP("orders", 1)}
    assert assignor.is_active(TP("orders", 1))
    assert not assignor.is_active(TP("orders", 2))


def tables(**sizes: int) -> SimpleNamespace:
    made = {
        name: SimpleNamespace(changelog_topic_name=f"{name}-changelog", partitions=size)
        for name, size in sizes.items()
    }
    return SimpleNamespace(tables=made)


def test_copies_of_tables_are_kept_elsewhere_and_known_by_their_changelogs() -> None:
    assignor = PartitionAssignor(tables(totals=4, elsewhere=7), replicas=1)
    members = {f"m{n}": join(assignor, n) for n in range(2)}
    parts = {n: assignor.assignment(d) for n, d in assignor.plan(members, TOPICS).items()}
    for name, other in (("m0", "m1"), ("m1", "m0")):
        theirs = {task for task in parts[other].tasks if task.group == "4"}
        assert parts[name].standbys == theirs
        assert parts[name].warming == frozenset()
    assignor.on_assignment(parts["m0"])
    copies = {TP("totals-changelog", task.partition) for task in parts["m0"].standbys}
    assert assignor.assigned_standbys() == copies
    assert all(assignor.is_standby(tp) and not assignor.is_active(tp) for tp in copies)
    assert not assignor.is_standby(TP("orders", min(copies).partition))


def test_what_a_member_says_of_its_copies_reaches_the_leader() -> None:
    assignor = PartitionAssignor(tables(totals=4))
    lags = {TaskId("4", 1): 0, TaskId("4", 3): 2**40}
    since = {TaskId("4", 0): 3}
    metadata = assignor.subscription(
        TOPICS, owned=since, generation=5, since=since, standbys=[TaskId("4", 1)], lags=lags,
        process="p", reason="a reason", asks=2,
    )  # fmt: skip
    info = assignor.member("m", metadata)
    assert (info.state.lags, info.state.since) == (lags, since)
    assert info.state.standbys == {TaskId("4", 1)}
    assert info.changelogs == {"4": {"totals-changelog"}}
    assert (info.process, info.joining) == ("p", ("m", "a reason"))


def test_a_table_moves_to_a_copy_that_has_caught_up_and_is_named_as_coming_until_then() -> None:
    assignor = PartitionAssignor(tables(totals=4))
    everything = [TaskId("4", n) for n in range(4)]
    members = {"old": join(assignor, 0, owned=everything), "new": join(assignor, 1)}
    first = {n: assignor.assignment(d) for n, d in assignor.plan(members, TOPICS).items()}
    assert first["old"].tasks >= set(everything)
    coming = first["new"].warming
    assert first["new"].standbys == coming
    assert len(coming) == 2
    assert {first["old"].owners[task] for task in coming} == {"http://worker-0:6066"}
    members["new"] = assignor.subscription(
        list(TOPICS), url="http://worker-1:6066", app_version="1", standbys=coming,
        lags=dict.fromkeys(coming, 100),
    )  # fmt: skip
    second = {n: assignor.assignment(d) for n, d in assignor.plan(members, TOPICS).items()}
    assert second["old"].tasks == first["old"].tasks - coming
    assert second["new"].another_round
    assert {second["old"].owners[task] for task in coming} == {"http://worker-1:6066"}


# -- what is refused -----------------------------------------------------------


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        (KAFKA_SUBSCRIPTION, "not written by this library"),
        (pack_subscription(ConsumerSubscription(("a",))), "not written by this library"),
        (pack_subscription(ConsumerSubscription(("a",), b"FAUST\x09\x80")), "of version 9"),
        (pack_subscription(ConsumerSubscription(("a",), b"FAUST\x01\xc1")), "damaged"),
        (b"\0\x01\0", "end in the middle"),
    ],
)
def test_a_foreign_member_is_named_and_refused(metadata: bytes, reason: str) -> None:
    with pytest.raises(ImproperlyConfigured) as caught:
        PartitionAssignor().plan({"consumer-1": metadata}, {"a": 1})
    assert "'consumer-1'" in str(caught.value)
    assert reason in str(caught.value)


def test_a_foreign_leaders_plan_is_refused() -> None:
    assignor = PartitionAssignor()
    assert assignor.assignment(b"") == Assignment()
    for data in (KAFKA_ASSIGNMENT, b"\0", pack_assignment(ConsumerAssignment((), b"FAUST\x02"))):
        with pytest.raises(ImproperlyConfigured, match="leader of the group"):
            assignor.assignment(data)


def test_a_field_of_a_later_release_is_skipped() -> None:
    later = msgspec.msgpack.encode({"url": "http://w", "moods": {"4": [1]}})
    assert unpack_member(pack_member(MemberData())[:6] + later) == MemberData(url="http://w")


# -- a user's own --------------------------------------------------------------


class EverythingToTheFirst(PartitionAssignor):
    name = "first"

    def assign(
        self, members: Mapping[str, MemberState], groups: Sequence[TaskGroup]
    ) -> Mapping[str, Collection[TaskId]]:
        return {min(members): [task for group in groups for task in group.tasks()]}


class EverythingToAll(PartitionAssignor):
    def assign(
        self, members: Mapping[str, MemberState], groups: Sequence[TaskGroup]
    ) -> Mapping[str, Collection[TaskId]]:
        return {name: [task for group in groups for task in group.tasks()] for name in members}


def test_an_assignor_of_ones_own_decides_and_the_hand_over_stays_cooperative() -> None:
    assignor = EverythingToTheFirst()
    members = {"a": join(assignor, 0), "b": join(assignor, 1, owned=[TaskId("1", 0)])}
    parts = {n: assignor.assignment(d) for n, d in assignor.plan(members, TOPICS).items()}
    assert parts["a"].tasks == {TaskId("4", n) for n in range(4)}
    assert parts["a"].another_round
    assert parts["b"].tasks == frozenset()


def test_an_assignor_that_gives_a_task_twice_is_named() -> None:
    assignor = EverythingToAll()
    members = {f"m{n}": join(assignor, n) for n in range(2)}
    with pytest.raises(ImproperlyConfigured, match=r"EverythingToAll\.assign: .*two members"):
        assignor.plan(members, TOPICS)
