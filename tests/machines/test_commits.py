"""The metadata string, what a set of commits says together, and when the next commit is due."""

import json
import zlib
from base64 import b85encode
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from faust._machines import metadata
from faust._machines.commits import (
    METADATA_LIMIT,
    Chosen,
    CommitPolicy,
    CommitState,
    MetadataTooLarge,
    TableMark,
    TaskEntry,
    absent_readers,
    choose,
    decode,
    encode,
    reader_positions,
    without_tables,
    worst_case_size,
)

NAMES = st.text(max_size=12)
OFFSETS = st.integers(0, 10**15)
TIMES = st.floats(allow_nan=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=5,
)
SOURCES = NAMES | st.builds("{}:{}".format, NAMES, st.integers(-1, 5))


@st.composite
def entries(draw: st.DrawFn) -> TaskEntry:
    positions = draw(st.dictionaries(NAMES, OFFSETS, max_size=4))
    topics = NAMES | st.sampled_from(sorted(positions) or [""])
    marks = st.builds(TableMark, OFFSETS, OFFSETS, st.just("") | NAMES)
    return TaskEntry(
        writer=draw(NAMES),
        sequence=draw(OFFSETS),
        positions=positions,
        readers=draw(st.dictionaries(NAMES, st.dictionaries(topics, OFFSETS, max_size=3))),
        tables=draw(st.dictionaries(NAMES, marks, max_size=4)),
        forwarded=draw(st.dictionaries(SOURCES, OFFSETS, max_size=8)),
        watermarks=draw(st.dictionaries(NAMES, TIMES, max_size=3)),
        closed=draw(st.dictionaries(NAMES, TIMES, max_size=3)),
        cluster_id=draw(st.just("") | NAMES),
        extra=draw(st.dictionaries(st.text(min_size=2, max_size=5), JSON, max_size=2)),
    )


def entry(sequence: int = 1, writer: str = "w", **positions: int) -> TaskEntry:
    readers = {"one": dict(positions), "two": {t: at + 5 for t, at in positions.items()}}
    return TaskEntry(writer, sequence, positions, readers, {"t": TableMark(sequence, 100)})


# -- the string ----------------------------------------------------------------


@given(entries())
def test_an_entry_comes_back_as_it_was(original: TaskEntry) -> None:
    try:
        text = encode(original)
    except MetadataTooLarge:
        assume(False)
    assert decode(text) == original
    assert text.isascii()
    assert len(text) <= METADATA_LIMIT


@given(entries(), st.data())
def test_a_damaged_string_says_nothing(original: TaskEntry, data: st.DataObject) -> None:
    text = metadata._encode(original)
    at = data.draw(st.integers(0, len(text) - 1))
    damaged = data.draw(
        st.sampled_from([text[:at], text[:at] + text[at + 1 :], text[at:], text + "x"])
        | st.characters().map(lambda char: text[:at] + char + text[at + 1 :])
    )
    # Unless nothing changed, or what changed does not matter to a decompressor.
    assert decode(damaged) is None or decode(damaged) == original


def framed(body: str, mode: str = "j") -> str:
    data = body.encode()
    packed = b85encode(zlib.compress(data, wbits=-15)).decode() if mode == "z" else body
    return "F2" + mode + b85encode(zlib.crc32(data).to_bytes(4, "big")).decode() + packed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "F",
        "F2",
        "F2j",
        "F2zabcde",
        "F1j" + framed("{}")[3:],
        "F2x" + framed("{}")[3:],
        framed("{}"),
        framed("[]"),
        framed("7"),
        framed("{"),
        framed('{"s":1,"t":[[0,0,0]]}'),
        framed('{"s":1,"n":["a"],"t":[[0]]}'),
        framed('{"s":1,"n":["a"],"m":[0]}'),
        framed('{"s":1,"n":["a"],"m":[0,"x"]}'),
        framed('{"s":1,"n":["a"],"r":[[0,{}]]}'),
        framed('{"s":1,"n":["a"],"f":[[0,"x",1]]}'),
        framed('{"s":"x"}'),
        framed('{"s":Infinity}'),
        framed("[" * 100_000),
        framed(" " * (2 << 20) + '{"s":1}', "z"),
        "consumer-metadata of somebody else",
        "F2jé" * 9,
    ],
)
def test_what_is_not_an_entry_of_ours_says_nothing(text: str) -> None:
    assert decode(text) is None


def test_entries_of_a_later_version_are_carried_through() -> None:
    later = json.loads(encode(entry(a=1))[8:]) | {"q": [1, {"x": None}], "new": True}
    found = decode(framed(json.dumps(later)))
    assert found is not None
    assert found.extra == {"q": [1, {"x": None}], "new": True}
    assert decode(encode(replace(found, sequence=2))) == replace(found, sequence=2)


def test_an_extra_entry_that_means_something_here_is_refused() -> None:
    with pytest.raises(ValueError, match="'p'"):
        encode(replace(entry(a=1), extra={"p": 1}))


def test_a_reader_at_the_committed_position_costs_a_few_bytes_besides_its_name() -> None:
    one = entry(a=10**12)
    many = replace(one, readers={f"r{n}": {"a": 10**12} for n in range(10)})
    assert len(encode(many)) - len(encode(replace(one, readers={}))) <= 10 * 15


def test_long_entries_are_deflated_and_short_ones_can_be_read_by_people() -> None:
    assert encode(entry(a=1))[:3] == "F2j"
    large = replace(entry(a=1), tables={f"table_number_{n}": TableMark(1, 5) for n in range(60)})
    assert encode(large)[:3] == "F2z"
    assert decode(encode(large)) == large


def test_what_does_not_fit_is_refused_with_its_size() -> None:
    sizes = {f"id:{n}": n * 7_919**3 % 10**15 for n in range(1_000)}
    with pytest.raises(MetadataTooLarge) as failure:
        encode(replace(entry(a=1), forwarded=sizes))
    assert failure.value.limit == METADATA_LIMIT < failure.value.size
    assert str(failure.value.size) in str(failure.value)


SHORT_NAMES = st.lists(st.from_regex(r"[a-z][a-z_.-]{0,30}", fullmatch=True), unique=True)


@settings(max_examples=50)
@given(st.data(), SHORT_NAMES, SHORT_NAMES, SHORT_NAMES, st.integers(0, 60))
def test_nothing_becomes_larger_than_the_worst_case(
    data: st.DataObject, topics: list[str], readers: list[str], tables: list[str], sources: int
) -> None:
    offsets = st.integers(0, 10**15) | st.just(0)
    ids = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", max_size=22)
    times = st.integers(0, 10**16).map(lambda us: us / 1e6)
    count = data.draw(st.integers(0, 10**10))
    found = TaskEntry(
        writer=data.draw(ids),
        sequence=count,
        positions={topic: data.draw(offsets) for topic in topics},
        readers={r: {topic: data.draw(offsets) for topic in topics} for r in readers},
        tables={
            t: TableMark(data.draw(st.integers(0, count)), data.draw(offsets), data.draw(ids))
            for t in tables
        },
        forwarded={f"MkU3OEVBNTcwNTJENDM2Qk:{n}": data.draw(offsets) for n in range(sources)},
        watermarks={topic: data.draw(times) for topic in topics},
        closed={table: data.draw(times) for table in tables},
        cluster_id=data.draw(ids),
    )
    worst = worst_case_size(topics, readers, tables, sources)
    assert len(metadata._encode(found)) <= worst
    assert worst <= worst_case_size(
        topics, dict.fromkeys(readers, topics), tables, {"a": sources, "b": 300}
    )


def test_ordinary_apps_fit_and_enormous_ones_are_seen_at_the_start() -> None:
    names = [f"number_{n}" for n in range(100)]
    assert worst_case_size(["orders"], ["app.count"], ["totals"]) <= 1_100
    assert worst_case_size(names[:10], names[:5], names[:10], 32) <= METADATA_LIMIT
    assert worst_case_size(names, names, names) > METADATA_LIMIT


# -- what a set of commits says ------------------------------------------------


def committed(*pairs: tuple[str, int, TaskEntry | None]) -> dict[str, tuple[int, str]]:
    return {t: (at, "" if found is None else encode(found)) for t, at, found in pairs}


def test_where_all_agree_the_entry_and_its_positions_hold() -> None:
    e = entry(7, a=10, b=20)
    assert choose(committed(("a", 10, e), ("b", 20, e))) == Chosen(e, {"a": 10, "b": 20}, True)


def test_the_highest_sequence_number_gives_all_positions() -> None:
    old, new = entry(7, a=10, b=20), entry(8, a=15, b=30)
    assert choose(committed(("a", 15, new), ("b", 20, old))) == Chosen(
        new, {"a": 15, "b": 30}, False
    )


def test_an_offset_that_a_tool_has_moved_is_kept_for_all_readers() -> None:
    e = entry(7, a=10, b=20)
    chosen = choose(committed(("a", 3, None), ("b", 20, e)))
    assert chosen.positions == {"a": 3, "b": 20}
    assert chosen.entry is not None
    assert not chosen.agrees
    assert reader_positions(chosen.entry, 3, "a", "two") == 3
    assert reader_positions(chosen.entry, 20, "b", "two") == 25
    assert absent_readers(chosen.entry, "a", []) == []


def test_an_offset_that_its_own_entry_does_not_say_is_not_ours() -> None:
    """A mirror translates offsets and copies the metadata."""
    e = entry(7, a=10, b=20)
    chosen = choose(committed(("a", 4, e), ("b", 8, e)))
    assert chosen == Chosen(None, {"a": 4, "b": 8}, False)
    chosen = choose(committed(("mirror.a", 10, e)))
    assert chosen == Chosen(None, {"mirror.a": 10}, False)


def test_without_entries_of_ours_every_partition_keeps_its_offset() -> None:
    assert choose(committed(("a", 4, None), ("b", 8, None))) == Chosen(
        None, {"a": 4, "b": 8}, False
    )
    assert choose({}) == Chosen(None, {}, True)


def test_a_topic_that_the_entry_does_not_know_keeps_its_offset_and_its_readers() -> None:
    """Committed by a version of the app that read it; the version after that did not."""
    old, new = entry(7, a=10, c=70), entry(9, a=15)
    chosen = choose(committed(("a", 15, new), ("c", 70, old)))
    assert chosen.positions == {"a": 15, "c": 70}
    assert chosen.entry is not None
    assert chosen.entry.tables == new.tables
    assert chosen.entry.readers == {"one": {"a": 15, "c": 70}, "two": {"a": 20, "c": 75}}
    assert not chosen.agrees


def test_a_reader_that_only_the_older_entry_knows_keeps_its_position() -> None:
    old = replace(entry(7, a=10, c=70), readers={"gone": {"c": 71}, "one": {"a": 10}})
    chosen = choose(committed(("a", 15, entry(9, a=15)), ("c", 70, old)))
    assert chosen.entry is not None
    assert chosen.entry.readers == {"one": {"a": 15}, "two": {"a": 20}, "gone": {"c": 71}}


def test_what_two_tasks_have_committed_holds_when_their_topics_come_together() -> None:
    """A topic has grown, and has as many partitions as others now."""
    grown = replace(entry(90, a=10), tables={}, forwarded={"r|x:0": 4, "q|x:0": 9})
    behind = replace(entry(7, b=20, c=30), forwarded={"r|x:0": 6}, watermarks={"t": 5.0})
    ahead = replace(entry(8, b=21, c=31), forwarded={"r|x:0": 7}, watermarks={"t": 6.0})
    chosen = choose(committed(("a", 10, grown), ("b", 20, behind), ("c", 31, ahead)))
    assert chosen.positions == {"a": 10, "b": 21, "c": 31}
    assert chosen.entry is not None
    assert chosen.entry.sequence == 90
    assert chosen.entry.tables == {"t": TableMark(8, 100)}
    assert chosen.entry.forwarded == {"r|x:0": 7, "q|x:0": 9}
    assert chosen.entry.watermarks == {"t": 6.0}
    assert chosen.entry.readers["two"] == {"a": 15, "b": 26, "c": 36}
    assert not chosen.agrees


def test_what_is_said_of_tables_that_are_another_task_s_is_not_carried_on() -> None:
    """It would grow old, and its number would be the higher one."""
    e = replace(entry(7, a=10), tables={"t": TableMark(7, 5), "u": TableMark(6, 8)})
    e = replace(e, watermarks={"t": 1.0, "u": 2.0}, closed={"t": 3.0})
    left = without_tables(e, {"t", "z"})
    assert (left.tables, left.watermarks, left.closed) == ({"u": TableMark(6, 8)}, {"u": 2.0}, {})
    assert left.positions == e.positions
    assert without_tables(e, {"z"}) is e


def test_a_topic_without_a_commit_is_not_in_the_answer() -> None:
    e = entry(7, a=10, b=20)
    chosen = choose(committed(("a", 10, e)))
    assert (chosen.positions, chosen.entry) == ({"a": 10}, e)


def test_two_entries_with_one_number_are_told_apart_by_how_far_they_are() -> None:
    behind, ahead = entry(7, "z", a=10, b=20), entry(7, "y", a=12, b=20)
    for pairs in (("a", 10, behind), ("b", 20, ahead)), (("b", 20, ahead), ("a", 10, behind)):
        assert choose(committed(*pairs)) == Chosen(ahead, {"a": 12, "b": 20}, False)


class CommitsThatReachSomePartitions(RuleBasedStateMachine):
    """A task of three topics; commits, some of which reach only a part, tools, and restarts."""

    topics = ("a", "b", "c")

    def __init__(self) -> None:
        super().__init__()
        self.broker: dict[str, tuple[int, str]] = {}
        #: What tools have set since the last commit that reached the partition.
        self.moved: dict[str, int] = {}
        self.sequence = 0
        self.here: dict[str, int] = dict.fromkeys(self.topics, 0)

    @rule(steps=st.tuples(*[st.integers(0, 9)] * 3), reached=st.sets(st.sampled_from("abc")))
    def commit(self, steps: tuple[int, ...], reached: set[str]) -> None:
        self.here = {t: self.here[t] + s for t, s in zip(self.topics, steps, strict=True)}
        self.sequence += 1
        ahead = {t: at + 2 for t, at in self.here.items()}
        made = TaskEntry("w", self.sequence, self.here, {"x": ahead})
        for topic in reached:
            self.broker[topic] = (self.here[topic], encode(made))
            self.moved.pop(topic, None)

    @rule(topic=st.sampled_from(topics), offset=st.integers(0, 50))
    def reset_by_a_tool(self, topic: str, offset: int) -> None:
        self.broker[topic] = (offset, "")
        self.moved[topic] = offset

    @rule()
    def restart(self) -> None:
        """The next owner goes on from what it finds, numbers included."""
        chosen = choose(self.broker)
        self.here |= chosen.positions
        self.sequence = chosen.entry.sequence if chosen.entry is not None else 0

    @precondition(lambda self: self.broker)
    @invariant()
    def what_is_chosen_is_what_is_true(self) -> None:
        chosen = choose(self.broker)
        if chosen.entry is None:
            assert chosen.positions == {t: at for t, (at, _) in self.broker.items()}
            return
        newest = max(
            (found for _, text in self.broker.values() if (found := decode(text)) is not None),
            key=lambda found: found.sequence,
        )
        for topic, at in chosen.positions.items():
            assert at == self.moved.get(topic, newest.positions[topic])
            ahead = 0 if topic in self.moved else 2
            assert reader_positions(chosen.entry, at, topic, "x") == at + ahead


TestCommitsThatReachSomePartitions = CommitsThatReachSomePartitions.TestCase


def test_a_reader_starts_at_its_own_position_where_it_is_ahead() -> None:
    e = replace(entry(a=10), readers={"ahead": {"a": 30}, "behind": {"a": 2}})
    starts = [reader_positions(e, 10, "a", name) for name in ("ahead", "behind", "new")]
    assert starts == [30, 10, 10]
    assert reader_positions(e, 10, "other", "ahead") == 10


def test_readers_that_are_gone_are_named() -> None:
    e = replace(entry(a=10), readers={"z": {"a": 1}, "b": {"a": 1}, "c": {"d": 1}, "x": {"a": 1}})
    assert absent_readers(e, "a", {"x"}) == ["b", "z"]


# -- when ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "dirty", "moved", "due"),
    [
        (2.9, 0, True, False),
        (3.0, 0, True, True),
        (3.0, 1, False, True),
        (99.0, 0, False, False),
        (0.1, 20_000, False, True),
        (0.1, 19_999, True, False),
    ],
)
def test_a_commit_is_due_after_its_interval_or_with_many_dirty_keys(
    now: float, dirty: int, moved: bool, due: bool
) -> None:
    assert CommitState(CommitPolicy(), 0.0).due(now, dirty, moved) is due


def test_a_commit_that_fails_is_tried_again_soon_and_then_less_often() -> None:
    state = CommitState(CommitPolicy(interval=5.0, dirty_keys=10), 0.0)
    waits = []
    for _ in range(7):
        state.failed(100.0)
        waits.append(round(state.deadline - 100.0, 3))
        assert not state.due(state.deadline - 0.01, 1_000, True)
        assert state.due(state.deadline, 1, False)
    assert waits == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
    assert repr(state) == "<CommitState due at 102.0 failures=7>"
    state.committed(200.0)
    assert (state.due(204.9, 9, True), state.due(205.0, 9, True)) == (False, True)
    assert state.due(200.0, 10, False)
