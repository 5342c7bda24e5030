"""Crontab entries over changes of the clock: no run is missed, none is doubled."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faust.exceptions import ImproperlyConfigured
from faust.utils.cron import Cron

NEW_YORK = ZoneInfo("America/New_York")  # 10 March 2024: 02:00 -> 03:00; 3 November: 02:00 -> 01:00
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")  # changes by half an hour


def at(text: str, zone: Any = UTC, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp()


def runs(expression: str, zone: Any, start: str, end: str) -> list[str]:
    """Local times with their offsets, of all runs after ``start`` and up to ``end``."""
    cron, now, last = Cron(expression, zone), at(start, zone), at(end, zone)
    seen = []
    while (now := cron.next_after(now)) <= last:
        seen.append(datetime.fromtimestamp(now, zone).strftime("%d %H:%M %z"))
    return seen


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("* * * * *", "2024-01-01T12:00:00", "2024-01-01T12:01:00"),
        ("* * * * *", "2024-01-01T12:00:59.999", "2024-01-01T12:01:00"),
        ("0 0 * * *", "2024-01-01T00:00:00", "2024-01-02T00:00:00"),
        ("0 0 29 2 *", "2024-03-01T00:00:00", "2028-02-29T00:00:00"),
        ("30 8 * * mon-fri", "2024-01-05T09:00:00", "2024-01-08T08:30:00"),
        ("@hourly", "2024-01-01T12:30:00", "2024-01-01T13:00:00"),
    ],
)
def test_the_next_run_is_the_first_after(expression: str, after: str, expected: str) -> None:
    assert Cron(expression).next_after(at(after)) == at(expected)


def test_the_clock_is_that_of_the_timezone() -> None:
    zone = ZoneInfo("Asia/Kolkata")
    assert Cron("0 9 * * *", zone).next_after(at("2024-01-01T00:00:00")) == at(
        "2024-01-01T03:30:00"
    )


def test_a_time_that_is_skipped_runs_at_the_jump_once() -> None:
    assert runs("30 2 * * *", NEW_YORK, "2024-03-09T12:00", "2024-03-11T12:00") == [
        "10 03:00 -0400",
        "11 02:30 -0400",
    ]


def test_skipped_times_do_not_pile_up() -> None:
    assert runs("*/15 2,3 * * *", NEW_YORK, "2024-03-10T00:00", "2024-03-10T12:00") == [
        "10 03:00 -0400",
        "10 03:15 -0400",
        "10 03:30 -0400",
        "10 03:45 -0400",
    ]


def test_a_time_that_comes_twice_runs_once() -> None:
    assert runs("30 1 * * *", NEW_YORK, "2024-11-02T12:00", "2024-11-04T12:00") == [
        "03 01:30 -0400",
        "04 01:30 -0500",
    ]


def test_every_hour_runs_in_both_of_two_equal_hours() -> None:
    assert runs("0 * * * *", NEW_YORK, "2024-11-03T00:00", "2024-11-03T03:00") == [
        "03 01:00 -0400",
        "03 01:00 -0500",
        "03 02:00 -0500",
        "03 03:00 -0500",
    ]


def test_every_hour_runs_at_every_hour_that_there_is() -> None:
    assert runs("0 * * * *", NEW_YORK, "2024-03-10T00:30", "2024-03-10T04:30") == [
        "10 01:00 -0500",
        "10 03:00 -0400",
        "10 04:00 -0400",
    ]


def test_every_hour_has_no_extra_run_at_the_jump() -> None:
    assert runs("30 * * * *", NEW_YORK, "2024-03-10T00:45", "2024-03-10T05:00") == [
        "10 01:30 -0500",
        "10 03:30 -0400",
        "10 04:30 -0400",
    ]


def test_a_half_hour_change_of_the_clock() -> None:
    # 7 April 2024: 02:00 (+11) -> 01:30 (+10:30); 6 October: 02:00 -> 02:30.
    assert runs("*/15 * * * *", LORD_HOWE, "2024-04-07T01:15", "2024-04-07T02:15") == [
        "07 01:30 +1100",
        "07 01:45 +1100",
        "07 01:30 +1030",
        "07 01:45 +1030",
        "07 02:00 +1030",
        "07 02:15 +1030",
    ]
    assert runs("15 2 * * *", LORD_HOWE, "2024-10-05T12:00", "2024-10-07T12:00") == [
        "06 02:30 +1100",
        "07 02:15 +1100",
    ]


@pytest.mark.parametrize("start", ["2024-03-09T20:00", "2024-11-02T20:00"])
@pytest.mark.parametrize("zone", [NEW_YORK, LORD_HOWE, ZoneInfo("Europe/Berlin")])
def test_every_ten_minutes_is_always_ten_minutes_apart(start: str, zone: ZoneInfo) -> None:
    cron, now = Cron("*/10 * * * *", zone), at(start, zone)
    for _ in range(12 * 6):
        following = cron.next_after(now)
        assert following - now == 600
        now = following


@settings(max_examples=40, deadline=None)
@given(
    st.integers(min_value=int(at("2024-11-02T00:00:00")), max_value=int(at("2024-11-05T00:00:00")))
)
def test_where_one_starts_makes_no_difference(start: int) -> None:
    cron = Cron("*/20 * * * *", NEW_YORK)
    following = cron.next_after(start)
    assert start < following <= start + 1200
    assert cron.next_after(following - 0.001) == following


@pytest.mark.parametrize("expression", ["0 0 * * *", "30 1 * * *", "30 2 * * *", "15,45 1-3 * * *"])
def test_a_time_of_the_day_runs_as_often_every_day(expression: str) -> None:
    cron, now = Cron(expression, NEW_YORK), at("2024-10-30T23:00:00", NEW_YORK)
    seen = [now := cron.next_after(now) for _ in range(60)]
    assert all(a < b for a, b in pairwise(seen))
    dates = [datetime.fromtimestamp(t, NEW_YORK).date() for t in seen]
    counts = {dates.count(d) for d in dates if d not in (dates[0], dates[-1])}
    assert len(counts) == 1


ZONES = [
    "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/St_Johns",
    "Africa/Cairo", "Asia/Beirut", "America/Havana", "Pacific/Chatham", "Europe/Dublin",
]  # fmt: skip


def changes(zone: ZoneInfo, year: int) -> list[int]:
    """The moments at which the clocks of a zone change."""
    begin = int(datetime(year, 1, 1, tzinfo=UTC).timestamp())
    offsets = [(t, datetime.fromtimestamp(t, zone).utcoffset())
               for t in range(begin, begin + 366 * 86_400, 900)]  # fmt: skip
    return [t for (_, before), (t, after) in pairwise(offsets) if before != after]


def planned(
    begin: int, end: int, zone: ZoneInfo, minutes: set[int], hours: set[int] | None
) -> list[int]:
    """The runs after ``begin`` up to ``end``, minute by minute: slow, and nothing to get wrong."""

    def is_meant(wall: datetime) -> bool:
        return wall.minute in minutes and (hours is None or wall.hour in hours)

    found = []
    for now in range(begin + 60, end + 1, 60):
        local, earlier = (datetime.fromtimestamp(t, zone) for t in (now, now - 60))
        skipped = local.replace(tzinfo=None) - earlier.replace(tzinfo=None) - timedelta(minutes=1)
        lost = [local.replace(tzinfo=None) - timedelta(minutes=n + 1)
                for n in range(round(skipped.total_seconds() / 60))]  # fmt: skip
        if (is_meant(local) and (hours is None or local.fold == 0)) or (
            hours is not None and any(map(is_meant, lost))
        ):
            found.append(now)
    return found


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(ZONES),
    st.integers(0, 1),
    st.sets(st.sampled_from(range(0, 60, 5)), min_size=1, max_size=4),
    st.none() | st.sets(st.integers(0, 4), min_size=1, max_size=3),
)
def test_in_any_zone_no_run_is_missed_or_doubled_when_the_clocks_change(
    name: str, number: int, minutes: set[int], hours: set[int] | None
) -> None:
    zone = ZoneInfo(name)
    change = CHANGES[name][number]
    begin, end = change - 5 * 3600, change + 6 * 3600
    fields = [",".join(map(str, sorted(each))) if each else "*" for each in (minutes, hours)]
    cron = Cron(f"{' '.join(fields)} * * *", zone)
    now, seen = float(begin), []
    while (now := cron.next_after(now)) <= end:
        seen.append(int(now))
    assert seen == planned(begin, end, zone, minutes, hours)


CHANGES = {name: changes(ZoneInfo(name), 2024) for name in ZONES}


def test_a_run_planned_from_the_last_planned_run_is_not_doubled_by_an_early_timer() -> None:
    cron = Cron("* * * * *")
    planned = cron.next_after(at("2024-01-01T12:00:30"))
    assert cron.next_after(planned) == planned + timedelta(minutes=1).total_seconds()


@pytest.mark.parametrize("expression", ["", "* * *", "61 * * * *", "soon", None, "@never"])
def test_what_is_no_crontab_entry_is_refused(expression: Any) -> None:
    with pytest.raises(ImproperlyConfigured, match="not a crontab entry"):
        Cron(expression)


def test_an_entry_that_never_comes_is_an_error() -> None:
    with pytest.raises(ImproperlyConfigured, match="never runs"):
        Cron("0 0 30 2 *").next_after(0.0)
