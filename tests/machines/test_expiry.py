"""Stale windows and the time of a partition, against a model."""

from math import inf, nan

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from faust._machines.expiry import ExpiryIndex, Watermark

ENDS = st.sampled_from([1.0, 2.0, 2.5, 3.0, 10.0])
KEYS = st.sampled_from("abc")


class ExpiryAgainstModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.index: ExpiryIndex[str] = ExpiryIndex()
        self.model: dict[tuple[float, str], None] = {}

    @rule(end=ENDS, key=KEYS)
    def add(self, end: float, key: str) -> None:
        self.index.add(end, key)
        self.model.setdefault((end, key))

    @rule(end=ENDS, key=KEYS)
    def discard(self, end: float, key: str) -> None:
        self.index.discard(end, key)
        self.model.pop((end, key), None)

    @rule(up_to=ENDS | st.just(-inf) | st.just(inf))
    def expire(self, up_to: float) -> None:
        expected = sorted((item for item in self.model if item[0] <= up_to), key=lambda i: i[0])
        assert self.index.expired(up_to) == expected
        for item in expected:
            del self.model[item]

    @invariant()
    def it_holds_what_was_added_and_did_not_go(self) -> None:
        assert list(self.index) == sorted(self.model, key=lambda item: item[0])
        assert len(self.index) == len(self.model)
        assert self.index.next_end == min((end for end, _ in self.model), default=None)
        assert all(item in self.index for item in self.model)
        assert (99.0, "a") not in self.index


TestExpiryAgainstModel = ExpiryAgainstModel.TestCase


def test_a_window_is_stale_at_its_very_end() -> None:
    index: ExpiryIndex[str] = ExpiryIndex()
    index.add(10.0, "a")
    assert repr(index) == "<ExpiryIndex 1 keys, next end 10.0>"
    assert index.expired(9.999) == []
    assert index.expired(10.0) == [(10.0, "a")]


@given(st.lists(st.floats(allow_nan=True)))
def test_time_never_goes_back(times: list[float]) -> None:
    watermark = Watermark()
    highest: float | None = None
    for timestamp in times:
        moved = watermark.observe(timestamp)
        before, highest = highest, watermark.value
        assert moved == (highest != before)
        assert before is None or (highest is not None and highest >= before)
    known = [t for t in times if t == t and t != -inf]
    assert watermark.value == max(known, default=None)


def test_a_watermark_goes_on_where_a_commit_left_it() -> None:
    watermark = Watermark(5.0)
    assert [watermark.observe(t) for t in (4.0, nan, 5.0, 6.0)] == [False, False, False, True]
    assert (watermark.value, repr(watermark)) == (6.0, "<Watermark 6.0>")
