"""What is restored: every case in a table, and a changelog with crashes against a model."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)

from faust._machines.commits import TableMark
from faust._machines.restore import Progress, RestorePlan, Undo, lag, plan, record_crc, tail_is_old

HOUR = 3600.0


def decide(
    mark: int | None,
    log: tuple[int, int],
    store: tuple[int, str, float] | None = None,
    *,
    ids_match: bool = True,
    mark_id: str = "id",
    differs: bool = False,
) -> RestorePlan:
    return plan(
        mark=None if mark is None else TableMark(1, mark, mark_id),
        ids_match=ids_match,
        log_start=log[0],
        log_end=log[1],
        topic_id="id",
        checkpoint=store,
        max_local_age=12 * HOUR,
        differs=differs,
    )


def steps(found: RestorePlan) -> tuple[int, int, int, str]:
    flags = [name for name in ("wipe", "undo", "whole") if getattr(found, name)]
    if found.recommit and not found.undo and not found.whole:
        flags.append("recommit")
    return found.start, found.boundary, found.end, " ".join(flags)


YOUNG, OLD, FUTURE = 60.0, 13 * HOUR, -61.0


@pytest.mark.parametrize(
    ("mark", "log", "store", "expected"),
    [
        # nothing there yet
        (None, (0, 0), None, (0, 0, 0, "whole")),
        (0, (0, 0), None, (0, 0, 0, "")),
        # restored from the log alone
        (80, (0, 80), None, (0, 80, 80, "")),
        (80, (0, 100), None, (0, 80, 100, "undo")),
        (0, (0, 100), None, (0, 0, 100, "undo")),
        # onto a local store
        (80, (0, 80), (80, "id", YOUNG), (80, 80, 80, "")),
        (80, (0, 100), (80, "id", YOUNG), (80, 80, 100, "undo")),
        (80, (0, 80), (50, "id", YOUNG), (50, 80, 80, "")),
        (80, (0, 100), (50, "id", YOUNG), (50, 80, 100, "undo")),
        (80, (0, 80), (50, "id", -1.0), (50, 80, 80, "")),
        (80, (0, 80), (50, "id", 12 * HOUR), (50, 80, 80, "")),
        # a store that could lie
        (80, (0, 100), (81, "id", YOUNG), (0, 80, 100, "wipe undo")),
        (80, (0, 80), (50, "other", YOUNG), (0, 80, 80, "wipe")),
        (80, (0, 80), (80, "other", YOUNG), (0, 80, 80, "wipe")),
        (80, (0, 80), (50, "", YOUNG), (0, 80, 80, "wipe")),
        (80, (0, 80), (50, "id", OLD), (0, 80, 80, "wipe")),
        (80, (0, 80), (50, "id", FUTURE), (0, 80, 80, "wipe")),
        (80, (0, 80), (50, "id", float("nan")), (0, 80, 80, "wipe")),
        # ... and one that needs nothing more, at any age
        (80, (0, 80), (80, "id", OLD), (80, 80, 80, "")),
        (80, (0, 100), (80, "id", OLD), (80, 80, 100, "undo")),
        # no commit tells
        (None, (0, 100), None, (0, 100, 100, "whole")),
        (None, (0, 100), (50, "id", YOUNG), (50, 100, 100, "whole")),
        (None, (0, 100), (100, "id", YOUNG), (100, 100, 100, "whole")),
        (None, (0, 100), (101, "id", YOUNG), (0, 100, 100, "wipe whole")),
        (None, (0, 100), (50, "id", OLD), (0, 100, 100, "wipe whole")),
        # the log begins above zero
        (80, (30, 100), None, (30, 80, 100, "undo")),
        (80, (30, 80), (50, "id", YOUNG), (50, 80, 80, "")),
        (80, (60, 80), (50, "id", YOUNG), (60, 80, 80, "wipe")),
        (80, (50, 80), (50, "id", YOUNG), (50, 80, 80, "")),
        # ... or above the committed position
        (80, (90, 100), None, (90, 100, 100, "whole")),
        (80, (90, 100), (50, "id", YOUNG), (90, 100, 100, "wipe whole")),
        (80, (90, 100), (80, "id", YOUNG), (90, 90, 100, "undo")),
        (80, (90, 90), (80, "id", YOUNG), (90, 90, 90, "recommit")),
        (80, (90, 90), None, (90, 90, 90, "whole")),
        # the log ends below the committed position
        (80, (0, 70), None, (0, 70, 70, "whole")),
        (80, (0, 70), (60, "id", YOUNG), (0, 70, 70, "wipe whole")),
        (80, (0, 70), (80, "id", YOUNG), (0, 70, 70, "wipe whole")),
        (80, (0, 0), None, (0, 0, 0, "whole")),
    ],
)
def test_what_is_restored(
    mark: int | None,
    log: tuple[int, int],
    store: tuple[int, str, float] | None,
    expected: tuple[int, int, int, str],
) -> None:
    assert steps(decide(mark, log, store)) == expected


@pytest.mark.parametrize(
    ("ids_match", "mark_id", "expected"),
    [
        (True, "id", (0, 80, 100, "undo")),
        (True, "", (0, 80, 100, "undo")),
        (True, "other", (0, 100, 100, "whole")),
        (False, "id", (0, 100, 100, "whole")),
    ],
)
def test_a_commit_about_another_topic_is_no_evidence(
    ids_match: bool, mark_id: str, expected: tuple[int, int, int, str]
) -> None:
    found = decide(80, (0, 100), ids_match=ids_match, mark_id=mark_id)
    assert steps(found) == expected


@pytest.mark.parametrize("position", [50, 80])
def test_a_store_before_whose_position_the_log_has_another_record_is_wiped(position: int) -> None:
    found = decide(80, (0, 100), (position, "id", YOUNG), differs=True)
    assert steps(found) == (0, 80, 100, "wipe undo")
    assert found.loss
    assert "the log has another record at its position" in found.reason


def test_a_record_has_a_crc_of_its_own() -> None:
    records = [(b"a", b"1"), (b"a1", b""), (b"a", b""), (b"a", None), (b"b", b"1"), (b"", None)]
    assert len({record_crc(*record) for record in records}) == len(records)


def test_a_plan_says_what_was_found() -> None:
    assert decide(80, (0, 100), (81, "id", YOUNG)).reason == (
        "offsets 0 to 80; the local store is wiped: it is ahead of the commit; "
        "offsets 80 to 100 were not committed"
    )
    assert decide(None, (0, 100), (0, "id", YOUNG)).reason == (
        "offsets 0 to 100 onto the local store; all there is: no commit tells how much of it counts"
    )


def test_a_tail_that_is_too_old_to_be_undone_is_applied_and_counted() -> None:
    found = decide(80, (0, 100), (50, "id", YOUNG)).with_tail("too old")
    assert (steps(found), found.reason) == ((50, 100, 100, "whole"), "too old")


@given(
    mark=st.none() | st.integers(0, 60),
    ids_match=st.booleans(),
    log=st.tuples(st.integers(0, 50), st.integers(0, 50)).map(sorted),
    store=st.none()
    | st.tuples(st.integers(0, 60), st.sampled_from(["id", "other"]), st.floats(-1e5, 1e5)),
)
@settings(max_examples=400)
def test_every_plan_ends_and_never_undoes_on_a_guess(
    mark: int | None,
    ids_match: bool,
    log: list[int],
    store: tuple[int, str, float] | None,
) -> None:
    start, end = log
    found = decide(mark, (start, end), store, ids_match=ids_match)
    assert start <= found.start <= found.boundary <= found.end == end
    assert not (found.undo and found.whole)
    if found.undo:
        assert mark is not None
        assert ids_match
        assert found.boundary == max(mark, start)
        assert found.boundary < end
    elif not found.whole:
        assert found.boundary == end
        assert found.recommit == (mark != end)
    assert found.recommit or not (found.undo or found.whole)
    if store is None or found.wipe:
        assert found.start == start
        assert store is not None or not found.wipe
    else:
        assert store[0] <= found.boundary
        assert found.start == max(store[0], start)


# -- the tail's age --------------------------------------------------------------------

DAY_MS = 24 * 3600 * 1000


@pytest.mark.parametrize(
    ("first", "now", "lag", "old"),
    [
        (0, DAY_MS // 2 - 1, DAY_MS, False),
        (0, DAY_MS // 2, DAY_MS, True),
        (5_000, 0, DAY_MS, False),
        (DAY_MS, 0, DAY_MS, True),
        (-1, 5_000, DAY_MS, True),
        (5_000, -1, DAY_MS, True),
        (5_000, 5_000, 0, True),
    ],
)
def test_half_the_compaction_lag_counts_as_old(first: int, now: int, lag: int, old: bool) -> None:
    assert tail_is_old(first, now, lag) is old


# -- progress ----------------------------------------------------------------------------


def test_a_restore_ends_by_position_whatever_records_come() -> None:
    progress = Progress(10, 20, 30, now=100.0)
    assert (progress.restored, progress.done, progress.left) == (False, False, 20)
    assert (progress.eta(100.0), progress.rate(100.0)) == (None, 0.0)
    progress.advance(20)  # a gap: not one record came
    progress.advance(15)
    assert (progress.position, progress.restored, progress.done) == (20, True, False)
    assert (progress.rate(105.0), progress.eta(105.0), progress.fraction) == (2.0, 5.0, 0.5)
    progress.advance(31)
    assert (progress.done, progress.left, progress.fraction) == (True, 0, 1.0)
    assert progress.eta(105.0) == 0.0
    assert repr(progress) == "<Progress 31 of 20 (30)>"


def test_a_restore_of_nothing_is_done_before_it_begins() -> None:
    progress = Progress(7, 7, 7)
    assert (progress.restored, progress.done, progress.fraction) == (True, True, 1.0)


# -- undo --------------------------------------------------------------------------------


def test_each_key_of_a_tail_is_written_once_with_its_committed_value() -> None:
    undo = Undo()
    for key in (b"b", b"a", b"b", b"new"):
        undo.seen(key)
    store = {b"a": b"1", b"b": b"2"}
    assert undo.records(store.get) == [(b"b", b"2"), (b"a", b"1"), (b"new", None)]
    assert (len(undo), repr(undo)) == (3, "<Undo of 3 keys>")


# -- a changelog with crashes, against a model ---------------------------------------------

Write = tuple[bytes, bytes | None]
WRITES = st.lists(
    st.tuples(st.sampled_from([b"a", b"b", b"c"]), st.none() | st.sampled_from([b"1", b"2"])),
    min_size=1,
    max_size=4,
)
LAG = 24 * HOUR
RETENTION = 24 * HOUR


class Local:
    """A worker's store: entries, and its checkpoint with the time it was written."""

    def __init__(self) -> None:
        self.entries: dict[bytes, bytes] = {}
        self.checkpoint: tuple[int, str, float] | None = None

    def apply(self, writes: list[Write], position: int, topic_id: str, now: float) -> None:
        for key, value in writes:
            self.entries.pop(key, None)
            if value is not None:
                self.entries[key] = value
        self.checkpoint = (position, topic_id, now)

    def wipe(self) -> None:
        self.entries, self.checkpoint = {}, None


class RestoringIsExact(RuleBasedStateMachine):
    """Workers take turns; each restores, writes, and may die after any step."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.topics = 0
        self.new_topic()
        self.mark: TableMark | None = None
        self.model: dict[bytes, bytes] = {}
        self.workers = [Local(), Local()]

    @initialize()
    def commit_the_start(self) -> None:
        self.mark = TableMark(0, 0, self.topic_id)

    def new_topic(self) -> None:
        self.topics += 1
        self.topic_id = f"topic-{self.topics}"
        self.log: dict[int, tuple[bytes, bytes | None, float]] = {}
        self.end = 0

    def append(self, writes: list[Write]) -> None:
        for key, value in writes:
            self.log[self.end] = (key, value, self.now)
            self.end += 1
        self.end += 1  # a marker

    def read(self, start: int, end: int) -> Iterator[Write]:
        for offset, (key, value, _) in sorted(self.log.items()):
            if start <= offset < end:
                yield key, value

    def content(self, end: int | None = None) -> dict[bytes, bytes]:
        everything = Local()
        records = self.read(0, self.end if end is None else end)
        everything.apply(list(records), self.end, self.topic_id, self.now)
        return everything.entries

    # -- what a worker does ------------------------------------------------------------------

    def restore(self, local: Local) -> bool:
        """Bring a store to the committed state; return whether a commit must follow."""
        checkpoint = local.checkpoint
        found = plan(
            mark=self.mark,
            ids_match=self.mark is not None and self.mark.topic_id == self.topic_id,
            log_start=0,
            log_end=self.end,
            topic_id=self.topic_id,
            checkpoint=checkpoint and (*checkpoint[:2], self.now - checkpoint[2]),
            max_local_age=RETENTION / 2,
        )
        stamps = [at for offset, (_, _, at) in self.log.items() if offset >= found.boundary]
        if found.undo and stamps and tail_is_old(*_ms(min(stamps), self.now, LAG)):
            found = found.with_tail("too old")
        if found.wipe:
            local.wipe()
        progress = Progress(found.start, found.boundary, found.end)
        while not progress.restored:
            upto = min(progress.position + 2, found.boundary)
            part = list(self.read(progress.position, upto))
            local.apply(part, upto, self.topic_id, self.now)
            progress.advance(upto)
        if found.whole or (found.undo and not stamps):
            # A tail that is gone altogether was too old, too: its tombstones were applied and left.
            self.model = self.content()
        assert local.entries == self.model
        if found.undo:
            undo = Undo()
            for key, _ in self.read(found.boundary, found.end):
                undo.seen(key)
            self.append(undo.records(local.entries.get))
        return found.recommit

    @rule(
        who=st.integers(0, 1),
        writes=WRITES,
        dies=st.sampled_from(["restored", "started", "produced", "committed", "never"]),
    )
    def work(self, who: int, writes: list[Write], dies: str) -> None:
        local = self.workers[who]
        must_commit = self.restore(local)
        if dies == "restored":
            return
        if must_commit:
            self.mark = TableMark(0, self.end, self.topic_id)
        # Else the next restore could not tell these writes from committed ones.
        assert self.mark == TableMark(0, self.end, self.topic_id)
        if dies == "started":
            return
        self.append(writes)
        if dies == "produced":
            return
        self.mark = TableMark(0, self.end, self.topic_id)
        model = Local()
        model.apply([*self.model.items(), *writes], 0, "", 0.0)
        self.model = model.entries
        if dies == "never":
            local.apply(writes, self.end, self.topic_id, self.now)

    @rule(who=st.integers(0, 1))
    def lose_a_directory(self, who: int) -> None:
        self.workers[who].wipe()

    # -- what the world does -----------------------------------------------------------------

    @rule(hours=st.sampled_from([1, 7, 13, 30]))
    def time_passes(self, hours: int) -> None:
        self.now += hours * HOUR

    @rule()
    def compact(self) -> None:
        """Only what is older than the lag; a tombstone goes a retention after it could first go."""
        young = [o for o, (_, _, at) in self.log.items() if at > self.now - LAG]
        limit = min(young, default=self.end)
        last = {key: o for o, (key, _, _) in sorted(self.log.items()) if o < limit}
        for offset, (key, value, at) in list(self.log.items()):
            if offset < limit:
                gone = value is None and at <= self.now - LAG - RETENTION
                if last[key] != offset or gone:
                    del self.log[offset]

    @rule()
    def offsets_expire(self) -> None:
        self.mark = None

    @rule()
    def recreate_the_topic(self) -> None:
        self.new_topic()
        self.model = {}

    @rule(records=st.integers(1, 3))
    def lose_the_end_of_the_log(self, records: int) -> None:
        self.end = max(0, self.end - records)
        self.log = {offset: record for offset, record in self.log.items() if offset < self.end}
        lost = self.mark is not None and self.mark.position > self.end
        if not lost and self.mark is not None and self.mark.topic_id == self.topic_id:
            # A tail that was taken for true, being old, and that nobody had committed may be gone.
            self.model = self.content(self.mark.position)
        if lost or any(self.is_ahead_of_the_log(local) for local in self.workers):
            # The brokers have lost what was committed: what they have now is the truth, at once,
            # as a worker that holds the task would find (a log that has grown again lies to all).
            for local in self.workers:
                self.restore(local)
        if lost:
            self.mark = TableMark(0, self.end, self.topic_id)

    def is_ahead_of_the_log(self, local: Local) -> bool:
        checkpoint = local.checkpoint
        return bool(checkpoint and checkpoint[1] == self.topic_id and checkpoint[0] > self.end)

    @invariant()
    def everybody_would_restore_the_same(self) -> None:
        if self.mark is None or self.mark.topic_id != self.topic_id:
            return
        kept = self.log.copy(), self.end, self.model
        fresh = Local()
        self.restore(fresh)
        self.log, self.end, self.model = kept


def _ms(first: float, now: float, lag: float) -> tuple[int, int, int]:
    return int(first * 1000), int(now * 1000), int(lag * 1000)


TestRestoringIsExact = RestoringIsExact.TestCase
TestRestoringIsExact.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


# -- copies that only follow -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mark", "log", "store", "expected"),
    [
        # up to the commit, and what lies beyond is left alone
        (80, (0, 100), None, (0, 80, False)),
        (80, (0, 100), (50, "id", YOUNG), (50, 80, False)),
        (80, (0, 100), (80, "id", OLD), (80, 80, False)),
        # what cannot be used is read anew
        (80, (0, 100), (50, "other", YOUNG), (0, 80, True)),
        (80, (0, 100), (90, "id", YOUNG), (0, 80, True)),
        (80, (0, 100), (50, "id", OLD), (0, 80, True)),
        (80, (60, 100), (50, "id", YOUNG), (60, 80, True)),
        # where no commit vouches for anything, nothing is followed
        (None, (0, 100), None, (0, 0, False)),
        (80, (90, 100), None, (90, 90, False)),
        (120, (0, 100), None, (0, 0, False)),
    ],
)
def test_a_copy_follows_what_a_commit_vouches_for_and_nothing_else(
    mark: int | None,
    log: tuple[int, int],
    store: tuple[int, str, float] | None,
    expected: tuple[int, int, bool],
) -> None:
    found = decide(mark, log, store).for_standby()
    assert (found.start, found.boundary, found.wipe) == expected
    assert not found.undo
    assert not found.recommit


@pytest.mark.parametrize(
    ("mark", "log", "store", "loss"),
    [
        (80, (0, 100), None, False),
        (None, (0, 100), None, False),
        (80, (60, 100), (50, "id", YOUNG), True),
        (80, (90, 100), None, True),
        (120, (0, 100), None, True),
    ],
)
def test_it_is_known_where_something_committed_is_gone(
    mark: int | None,
    log: tuple[int, int],
    store: tuple[int, str, float] | None,
    loss: bool,
) -> None:
    assert decide(mark, log, store).loss is loss


def test_a_commit_about_another_topic_of_that_name_is_a_loss() -> None:
    assert decide(80, (0, 100), mark_id="other").loss


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (None, 80),
        ((0, "id"), 80),
        ((50, "id"), 30),
        ((50, ""), 30),
        ((80, "id"), 0),
        ((90, "id"), 80),
        ((50, "other"), 80),
    ],
)
def test_how_far_behind_a_store_is(known: tuple[int, str] | None, expected: int) -> None:
    assert lag(TableMark(1, 80, "id"), known) == expected
