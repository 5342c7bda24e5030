"""Which records of a retry partition count: checked against what the worlds of writers did."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from faust._machines.copies import REMEMBERED, Copies, generation_to_name, is_foreign

PLACE = ("orders", 7)


def judge(*records: tuple[tuple[str, int] | None, int | None]) -> list[bool]:
    copies = Copies()
    return [copies.counts(offset, *record) for offset, record in enumerate(records)]


def test_the_first_copy_from_a_place_counts() -> None:
    assert judge((PLACE, 1), (("orders", 8), 1), (PLACE, 1), (PLACE, None)) == [
        True, True, False, False,
    ]  # fmt: skip


def test_marks_are_not_handed_out_and_what_others_wrote_is() -> None:
    assert judge((None, 1), (None, None)) == [False, True]


def test_what_a_replaced_worker_writes_behind_its_successors_mark_does_not_count() -> None:
    assert judge((None, 1), (PLACE, 1), (None, 2), (("orders", 8), 1)) == [
        False, True, False, False,
    ]  # fmt: skip


def test_a_void_copy_does_not_stand_before_the_successors_own() -> None:
    assert judge((None, 2), (PLACE, 1), (PLACE, 2)) == [False, False, True]


def test_a_late_mark_of_a_replaced_worker_makes_nothing_void() -> None:
    assert judge((None, 2), (None, 1), (PLACE, 2)) == [False, False, True]


def test_a_copy_of_a_later_generation_is_as_good_as_a_mark() -> None:
    assert judge((PLACE, 3), (("orders", 8), 2)) == [True, False]


def test_copies_that_name_no_generation_count() -> None:
    assert judge((None, 5), (PLACE, None)) == [False, True]


def test_memory_is_bounded() -> None:
    copies = Copies()
    for offset in range(REMEMBERED + 10):
        assert copies.counts(offset, ("orders", offset), 1)
    assert not copies.counts(REMEMBERED + 10, ("orders", REMEMBERED), 1)
    for offset in range(REMEMBERED + 11, 2 * REMEMBERED + 30):
        assert not copies.counts(offset, None, 0)
    assert not copies.counts(2 * REMEMBERED + 29, None, 0)


RECORDS = st.lists(
    st.tuples(
        st.none() | st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 3)),
        st.none() | st.integers(0, 4),
    ),
    max_size=12,
)


@given(RECORDS, st.integers(0, 12))
def test_who_looks_again_from_further_back_finds_the_same(
    records: list[tuple[tuple[str, int] | None, int | None]], start: int
) -> None:
    copies = Copies()
    first = [copies.counts(offset, *record) for offset, record in enumerate(records)]
    again = [copies.counts(o, *r) for o, r in list(enumerate(records))[start:]]
    assert again == first[start:]


@given(RECORDS)
def test_each_place_counts_once_and_never_from_below_what_is_known(
    records: list[tuple[tuple[str, int] | None, int | None]],
) -> None:
    copies = Copies()
    highest, counted = -1, set()
    for offset, (place, generation) in enumerate(records):
        does = copies.counts(offset, place, generation)
        is_void = generation is not None and generation < highest
        if place is None:
            assert does is (generation is None)
        else:
            assert does is (not is_void and place not in counted)
            if does:
                counted.add(place)
        highest = max(highest, -1 if generation is None else generation)
        assert copies.generation == highest


def test_what_names_no_group_is_ours() -> None:
    assert [is_foreign(group, "shop") for group in ("shop", "till", None)] == [False, True, False]


def test_a_copy_names_a_generation_only_if_all_who_looked_agree() -> None:
    """The last that named one won, also where another had seen a higher one: the copy was void."""
    assert generation_to_name([3, 3]) == 3
    assert generation_to_name([None, 3]) is None
    assert generation_to_name([3, None]) is None
    assert generation_to_name([]) is None
