"""What a group coordinator decides: tables, and a state machine of members that come and go."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    precondition,
    rule,
)

from faust._machines.groups import Group, Joined
from faust._machines.members import SUCCESSORS, Member, Phase
from faust.exceptions import (
    BrokerError,
    FencedMember,
    IllegalGeneration,
    RebalanceInProgress,
    RejoinError,
    StopError,
    UnknownMember,
)

PLAIN = [("range", b"")]


def stable_group(*names: str, static: bool = False) -> Group:
    """Return a stable group of these members; the first leads."""
    group = Group(group_id="g")
    for name in names:
        group.join(
            "", PLAIN, now=0.0, new_id=name, instance_id=f"static-{name}" if static else None
        )
    for name in names[:-1]:
        instance = f"static-{name}" if static else None
        group.join(name, PLAIN, now=0.0, new_id="unused", instance_id=instance)
    plan = {name: name.encode() for name in names}
    for name in names:
        group.sync(name, group.generation, plan, now=0.0)
    assert group.phase is Phase.STABLE
    for name in names:
        assert group.sync(name, group.generation, None, now=0.0) == name.encode()
    return group


def copied(group: Group) -> Group:
    """Return the group as another process would see it."""
    return Group.decode(json.loads(json.dumps(group.encode())))


def test_the_first_member_leads_at_once() -> None:
    group = Group(group_id="g")
    joined = group.join("", [("p", b"m")], now=0.0, new_id="a")
    assert joined == Joined(1, "a", "a", "p", {"a": b"m"}, {})
    assert group.sync("a", 1, {"a": b"plan", "gone": b"x"}, now=0.0) == b"plan"


def test_a_member_without_a_part_in_the_plan_gets_nothing() -> None:
    group = Group(group_id="g")
    group.join("", PLAIN, now=0.0, new_id="a")
    assert group.sync("a", 1, None, now=0.0) == b""


def test_a_second_member_waits_until_the_first_has_joined_again() -> None:
    group = stable_group("a")
    before = group.version
    assert group.join("", PLAIN, now=1.0, new_id="b") is None
    assert group.version > before
    assert group.join_answer("b", now=1.0) is None
    with pytest.raises(RebalanceInProgress):
        group.heartbeat("a", 1, now=1.0)
    led = group.join("a", PLAIN, now=2.0, new_id="unused")
    assert led is not None
    assert (led.generation, led.leader, set(led.members)) == (2, "a", {"a", "b"})
    followed = group.join_answer("b", now=2.0)
    assert followed is not None
    assert (followed.generation, followed.leader, followed.members) == (2, "a", {})
    assert group.sync("b", 2, None, now=2.0) is None
    assert group.sync("a", 2, {"b": b"B"}, now=2.0) == b""
    assert group.sync("b", 2, None, now=2.0) == b"B"


def test_the_protocol_with_most_votes_among_the_common_ones_wins() -> None:
    group = Group(group_id="g")
    group.join("", [("x", b""), ("y", b"")], now=0.0, new_id="a")
    group.join("", [("y", b""), ("x", b"")], now=0.0, new_id="b")
    group.join("", [("y", b"1"), ("z", b""), ("x", b"")], now=0.0, new_id="c")
    group.join("a", [("x", b""), ("y", b"")], now=0.0, new_id="unused")
    assert set(group.members) == {"a", "b", "c"}
    assert group.protocol == "y"


def test_no_common_protocol_is_refused_and_changes_nothing() -> None:
    group = stable_group("a")
    before = group.encode()
    with pytest.raises(StopError):
        group.join("", [("other", b"")], now=0.0, new_id="b")
    with pytest.raises(StopError):
        group.join("", PLAIN, now=0.0, new_id="b", protocol_type="connect")
    with pytest.raises(StopError):
        group.join("", [], now=0.0, new_id="b")
    assert group.encode() == before


def test_somebody_without_protocols_is_refused() -> None:
    with pytest.raises(StopError):
        Group(group_id="g").join("", [], now=0.0, new_id="a")


def test_a_sole_member_may_change_its_protocols() -> None:
    group = stable_group("a")
    joined = group.join("a", [("new", b"")], now=0.0, new_id="unused")
    assert joined is not None
    assert (joined.generation, joined.protocol) == (2, "new")


def test_a_round_ends_without_those_who_do_not_join_in_time() -> None:
    group = stable_group("a", "b")
    generation = group.generation
    assert group.join("", PLAIN, now=10.0, new_id="c", rebalance_timeout=5.0) is None
    assert group.join("b", PLAIN, now=11.0, new_id="unused") is None
    with pytest.raises(RebalanceInProgress):
        group.heartbeat("a", generation, now=50.0)
    for name in ("b", "c"):
        assert group.join_answer(name, now=50.0) is None
    assert (
        group.deadline() == 70.0
    )  # the longest rebalance_timeout, from the beginning of the round
    assert group.tick(70.0)
    joined = group.join_answer("b", now=70.0)
    assert joined is not None
    assert (joined.leader, set(joined.members)) == ("b", {"b", "c"})
    with pytest.raises(UnknownMember):
        group.heartbeat("a", generation, now=70.0)


def test_a_silent_member_is_out_after_its_session() -> None:
    group = stable_group("a", "b")
    group.heartbeat("b", group.generation, now=59.0)
    assert group.deadline() == 60.0
    assert not group.tick(59.9)
    assert group.tick(60.0)
    assert set(group.members) == {"b"}
    assert group.phase is Phase.PREPARING


def test_silence_counts_for_nothing_while_nobody_could_write() -> None:
    group = stable_group("a", "b")
    assert not group.tick(1000.0, writable_since=950.0)
    assert group.tick(1010.0, writable_since=950.0)
    assert group.phase is Phase.EMPTY
    assert group.deadline() is None


def test_members_that_never_sync_are_dropped() -> None:
    group = stable_group("a")
    group.join("", PLAIN, now=0.0, new_id="b")
    group.join("a", PLAIN, now=0.0, new_id="unused")
    group.heartbeat("a", 2, now=50.0)
    group.heartbeat("b", 2, now=50.0)
    assert group.sync("b", 2, None, now=50.0) is None
    assert group.tick(60.0)
    assert set(group.members) == {"b"}


def test_a_follower_that_never_syncs_is_dropped_from_a_stable_group() -> None:
    group = stable_group("a")
    group.join("", PLAIN, now=0.0, new_id="b")
    group.join("a", PLAIN, now=0.0, new_id="unused")
    group.sync("a", 2, {}, now=0.0)
    for name in ("a", "b"):
        group.heartbeat(name, 2, now=50.0)
    assert group.tick(60.0)
    assert set(group.members) == {"a"}


def test_leaving_ends_a_round_that_waited_for_the_one_who_leaves() -> None:
    group = stable_group("a")
    assert group.join("", PLAIN, now=0.0, new_id="b") is None
    group.leave("a", now=0.0)
    joined = group.join_answer("b", now=0.0)
    assert joined is not None
    assert joined.leader == "b"


def test_the_last_one_who_leaves_ends_the_generation() -> None:
    group = stable_group("a")
    group.leave("a", now=0.0)
    assert (group.phase, group.generation, group.leader) == (Phase.EMPTY, 2, "")
    with pytest.raises(UnknownMember):
        group.leave("a", now=0.0)


def test_a_follower_that_lost_the_answer_gets_it_again() -> None:
    group = stable_group("a", "b")
    generation = group.generation
    again = group.join("b", PLAIN, now=0.0, new_id="unused")
    assert again is not None
    assert again.generation == generation == group.generation
    assert group.phase is Phase.STABLE


@pytest.mark.parametrize(("who", "metadata"), [("a", b""), ("b", b"changed")])
def test_the_leader_or_new_metadata_begin_a_round(who: str, metadata: bytes) -> None:
    group = stable_group("a", "b")
    assert group.join(who, [("range", metadata)], now=0.0, new_id="unused") is None
    assert group.phase is Phase.PREPARING


def test_a_member_whose_round_was_overtaken_hears_so() -> None:
    group = stable_group("a")
    group.join("", PLAIN, now=0.0, new_id="b")
    group.join("a", PLAIN, now=0.0, new_id="unused")  # ends the round; b has not asked yet
    group.join("", PLAIN, now=0.0, new_id="c")
    with pytest.raises(RebalanceInProgress):
        group.join_answer("b", now=0.0)
    with pytest.raises(RebalanceInProgress):
        group.sync("a", 2, {}, now=0.0)


def test_wrong_ids_and_generations_have_names() -> None:
    group = stable_group("a")
    with pytest.raises(UnknownMember):
        group.join("x", PLAIN, now=0.0, new_id="unused")
    with pytest.raises(UnknownMember):
        group.heartbeat("x", 1, now=0.0)
    with pytest.raises(UnknownMember):
        group.heartbeat("a", 1, now=0.0, instance_id="never-heard-of")
    for use in (group.heartbeat, group.check_commit):
        with pytest.raises(IllegalGeneration):
            use("a", 7, now=0.0)
    with pytest.raises(IllegalGeneration):
        group.sync("a", 7, {}, now=0.0)


def test_commits_are_checked_by_member_generation_and_phase() -> None:
    group = Group(group_id="g")
    group.check_commit("", -1, now=0.0)
    group.join("", PLAIN, now=0.0, new_id="a")
    with pytest.raises(RebalanceInProgress):
        group.check_commit("a", 1, now=0.0)
    group.check_commit("a", 1, now=0.0, transactional=True)
    group.sync("a", 1, {}, now=0.0)
    group.check_commit("a", 1, now=0.0)
    group.join("", PLAIN, now=0.0, new_id="b")
    group.check_commit("a", 1, now=0.0)
    with pytest.raises(UnknownMember):
        group.check_commit("", -1, now=0.0)
    group.check_commit("", -1, now=0.0, transactional=True)


# -- static members ----------------------------------------------------------------------------


def test_a_static_follower_comes_back_to_its_part() -> None:
    group = stable_group("a", "b", static=True)
    generation = group.generation
    back = group.join("", PLAIN, now=1.0, new_id="b2", instance_id="static-b")
    assert back == Joined(generation, "b2", "a", "range", {}, {})
    assert group.sync("b2", generation, None, now=1.0, instance_id="static-b") == b"b"
    for use in (group.heartbeat, group.check_commit):
        with pytest.raises(FencedMember, match="a consumer_group_instance_id of its own"):
            use("b", generation, now=1.0, instance_id="static-b")
    with pytest.raises(UnknownMember):
        group.heartbeat("b", generation, now=1.0)


def test_a_static_leader_comes_back_as_leader_and_is_told_to_leave_its_plan() -> None:
    group = stable_group("a", "b", static=True)
    back = group.join("", PLAIN, now=1.0, new_id="a2", instance_id="static-a")
    assert back is not None
    assert (back.leader, back.skip_assignment) == ("a2", True)
    assert back.instances == {"a2": "static-a", "b": "static-b"}
    assert group.sync("a2", back.generation, {"b": b"other"}, now=1.0) == b"a"
    assert group.sync("b", back.generation, None, now=1.0) == b"b"


def test_a_static_member_that_changes_the_protocol_begins_a_round() -> None:
    group = Group(group_id="g")
    group.join("", [("x", b""), ("y", b"")], now=0.0, new_id="a", instance_id="i")
    group.sync("a", 1, {}, now=0.0)
    back = group.join("", [("y", b"")], now=0.0, new_id="a2", instance_id="i")
    assert back is not None
    assert (back.generation, back.protocol) == (2, "y")


def test_a_static_member_that_comes_back_between_join_and_sync_begins_a_round() -> None:
    group = Group(group_id="g")
    group.join("", PLAIN, now=0.0, new_id="a", instance_id="i")
    back = group.join("", PLAIN, now=0.0, new_id="a2", instance_id="i")
    assert back is not None
    assert (back.generation, back.member_id) == (2, "a2")


def test_a_static_member_keeps_its_place_in_a_round_it_misses() -> None:
    group = stable_group("a", "b", static=True)
    generation = group.generation
    group.join("", PLAIN, now=0.0, new_id="c", rebalance_timeout=5.0)
    for name in ("a", "b"):
        with pytest.raises(RebalanceInProgress):
            group.heartbeat(name, generation, now=59.0)
    assert group.join_answer("c", now=59.0) is None
    assert group.tick(60.0)
    joined = group.join_answer("c", now=60.0)
    assert joined is not None
    assert (joined.leader, set(joined.members)) == ("c", {"a", "b", "c"})


def test_a_round_goes_on_while_only_silent_static_members_are_left() -> None:
    group = stable_group("a", "b", static=True)
    group.join("", PLAIN, now=0.0, new_id="c", session_timeout=1.0)
    for name in ("a", "b"):
        with pytest.raises(RebalanceInProgress):
            group.heartbeat(name, group.generation, now=59.5)
    assert set(group.members) == {"a", "b"}  # c never asked again
    generation = group.generation
    assert not group.tick(60.0)
    assert (group.phase, group.generation, group.since) == (Phase.PREPARING, generation, 60.0)


def test_an_illegal_step_is_an_error_of_ours() -> None:
    group = Group(group_id="g")
    with pytest.raises(AssertionError, match="cannot become"):
        group._enter(Phase.STABLE, 0.0)
    assert group.phase is Phase.EMPTY


# -- members that come and go ---------------------------------------------------------------------


class Life(RuleBasedStateMachine):
    """Any order of requests, by any number of members, with the state copied at every step."""

    ids = Bundle("ids")

    @initialize()
    def begin(self) -> None:
        self.group = Group(group_id="g")
        self.now = 0.0
        self.count = 0
        self.generations: dict[str, int] = {}
        self.seen_generation = 0
        self.seen_phase = Phase.EMPTY

    @rule(target=ids, instance=st.sampled_from([None, None, "s1", "s2"]), short=st.booleans())
    def join_anew(self, instance: str | None, short: bool) -> tuple[str, str | None]:
        self.count += 1
        new_id = f"m{self.count}"
        joined = self.group.join(
            "",
            PLAIN,
            now=self.now,
            new_id=new_id,
            instance_id=instance,
            session_timeout=10.0 if short else 30.0,
            rebalance_timeout=5.0 if short else 20.0,
        )
        self.note(new_id, joined)
        return new_id, instance

    @rule(member=ids, data=st.sampled_from([b"", b"new"]))
    def join_again(self, member: tuple[str, str | None], data: bytes) -> None:
        member_id, instance = member
        try:
            joined = self.group.join(
                member_id, [("range", data)], now=self.now, new_id="unused", instance_id=instance
            )
        except (RejoinError, FencedMember):
            assert member_id not in self.group.members
        else:
            self.note(member_id, joined)

    @rule(member=ids)
    def ask(self, member: tuple[str, str | None]) -> None:
        try:
            self.note(member[0], self.group.join_answer(member[0], now=self.now))
        except RebalanceInProgress:
            assert not self.group.members[member[0]].joined
        except UnknownMember:
            assert member[0] not in self.group.members

    @rule(member=ids)
    def sync(self, member: tuple[str, str | None]) -> None:
        generation = self.generations.get(member[0], 0)
        plan = {name: f"{generation}".encode() for name in self.group.members}
        try:
            part = self.group.sync(member[0], generation, plan, now=self.now)
        except RejoinError:
            return
        assert self.group.generation == generation
        if part is not None:
            assert self.group.phase is Phase.STABLE

    @rule(member=ids)
    def heartbeat_and_commit(self, member: tuple[str, str | None]) -> None:
        generation = self.generations.get(member[0], 0)
        try:
            self.group.heartbeat(member[0], generation, now=self.now)
        except RebalanceInProgress:
            assert self.group.phase is Phase.PREPARING
        except (IllegalGeneration, UnknownMember):
            with pytest.raises(RejoinError):
                self.group.check_commit(member[0], generation, now=self.now)
            return
        if self.group.phase is not Phase.SYNCING:
            self.group.check_commit(member[0], generation, now=self.now)

    @rule(member=consumes(ids))
    def leave(self, member: tuple[str, str | None]) -> None:
        with suppress(BrokerError):
            self.group.leave(member[0], now=self.now, instance_id=member[1])
        assert member[0] not in self.group.members

    @rule(seconds=st.sampled_from([0.5, 4.0, 12.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        due = self.group.deadline()
        changed = self.group.tick(self.now)
        if due is None or due > self.now:
            assert not changed

    @precondition(lambda self: self.group.members)
    @rule()
    def everybody_dies(self) -> None:
        for _ in range(10):
            due = self.group.deadline()
            if due is None:
                break
            self.now = max(self.now, due)
            self.group.tick(self.now)
        assert self.group.phase is Phase.EMPTY

    @precondition(lambda self: self.group.members)
    @rule()
    def everybody_does_what_it_is_told(self) -> None:
        """Then the group is stable, everybody has its part of one plan, and may commit."""
        for _ in range(3):
            for member in list(self.group.members.values()):
                if self.group.phase is Phase.PREPARING and not member.joined:
                    self.join_again_as_before(member)
            if self.group.phase is Phase.PREPARING:
                due = self.group.deadline()
                assert due is not None
                self.now = max(self.now, due)
                self.group.tick(self.now)
        assert self.group.phase in (Phase.SYNCING, Phase.STABLE)
        names = sorted(self.group.members, key=lambda name: name == self.group.leader)
        for name in names:
            self.note(name, self.group.join_answer(name, now=self.now))
        generation = self.group.generation
        plan = {name: f"part of {name}".encode() for name in names}
        was_stable = self.group.phase is Phase.STABLE
        parts = {}
        for name in [*names, *names]:
            parts[name] = self.group.sync(name, generation, plan, now=self.now)
        assert self.group.phase is Phase.STABLE
        assert was_stable or parts == plan
        for name in names:
            self.group.heartbeat(name, generation, now=self.now)
            self.group.check_commit(name, generation, now=self.now)

    def join_again_as_before(self, member: Member) -> None:
        joined = self.group.join(
            member.member_id,
            member.protocols,
            now=self.now,
            new_id="unused",
            instance_id=member.instance_id,
            session_timeout=member.session_timeout,
            rebalance_timeout=member.rebalance_timeout,
        )
        self.note(member.member_id, joined)

    def note(self, member_id: str, joined: Joined | None) -> None:
        if joined is None:
            return
        assert joined.member_id == member_id
        assert joined.generation == self.group.generation
        assert bool(joined.members) == (joined.leader == member_id)
        if joined.members:
            assert set(joined.members) == set(self.group.members)
        self.generations[member_id] = joined.generation

    @invariant()
    def is_sane(self) -> None:
        group = self.group
        assert group.generation >= self.seen_generation
        self.seen_generation = group.generation
        assert (group.phase is Phase.EMPTY) == (not group.members)
        if group.phase in (Phase.SYNCING, Phase.STABLE):
            assert group.leader in group.members
        instances = [m.instance_id for m in group.members.values() if m.instance_id is not None]
        assert len(instances) == len(set(instances))
        assert (group.deadline() is None) == (not group.members)
        twin = copied(group)
        assert twin == group
        assert list(twin.members) == list(group.members)
        self.group = twin  # the next event is applied by another process


Life.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestLife = Life.TestCase


def test_every_phase_can_be_left() -> None:
    assert set(SUCCESSORS) == set(Phase)
    assert all(SUCCESSORS.values())
